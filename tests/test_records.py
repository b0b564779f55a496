"""The values that travel: frozen, hashable, picklable, through JSON and back; no quote that is not verbatim."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import PromptError
from rag.records import (
    Answer,
    Chunk,
    Citation,
    Claim,
    Draft,
    Evidence,
    Explained,
    Found,
    FrozenMap,
    Hit,
    Marked,
    Paper,
    Prompt,
    Traced,
    Usage,
    Where,
)

PAPER = Paper("1f", "A title", "It works. We tried.", ("A. Smith",), 2024, sources=("a.txt:1",), extra=FrozenMap({"k": "v"}))  # fmt: skip
CHUNK = Chunk("1f.0", PAPER, 0, 9, 5)
CITATION = Citation(1, PAPER, "It works.", 0, 9)
CLAIM = Claim("It works.", 0, 9, (CITATION,), "quoted", "word for word")
EVIDENCE = Evidence(CHUNK, 1, 0.9)
ANSWER = Answer(
    question="Does it?",
    query="does it work",
    text="It works. [1]",
    status="answered",
    claims=(CLAIM,),
    removed=(Claim("It flies.", 0, 0, (), "uncited", "no passage"),),
    citations=(CITATION,),
    evidence=(EVIDENCE,),
    model="extractive",
    usage=Usage(1, 2, 3),
    seconds=FrozenMap({"retrieve": 0.5}),
    trace=FrozenMap({"retrieve": (Traced("1f.0", 1, 0.9),)}),
    run="abc",
)
VALUES = [
    PAPER,
    CHUNK,
    Found("dense", 1, 0.5),
    Hit(CHUNK, 0.5, 1, (Found("dense", 1, 0.5),)),
    EVIDENCE,
    Usage(1, 2, 3),
    Prompt("p", 1, "s", "u"),
    Draft((Marked("It works.", (1,)),), (EVIDENCE,), "answered", "extractive"),
    CITATION,
    CLAIM,
    Traced("a", 1, 0.5),
    Where("year>=2023", 3, 12, 1),
    ANSWER,
]

# --- what all values share ----------------------------------------------------------------------


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_cannot_be_changed(value: Any) -> None:
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)
    with pytest.raises((AttributeError, TypeError)):
        value.another = 1


@pytest.mark.parametrize("value", [*VALUES, ANSWER.seconds], ids=lambda value: type(value).__name__)
def test_a_value_is_hashable_and_equal_to_its_copies(value: Any) -> None:
    for other in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):  # noqa: S301
        assert other == value
        assert hash(other) == hash(value)


ODD = "A 'very' \"long\" title \u202e\x1b[31m\n" * 2000
LONG = Paper("0123456789ab", ODD, ODD, year=2024)
LONG_CHUNK = Chunk("0123456789ab.10", LONG, 100, len(ODD) - 1, 5000)
LONG_HIT = Hit(LONG_CHUNK, 1 / 3, 100, (Found("dense", 1, 0.5),) * 4)
LONG_EVIDENCE = Evidence(LONG_CHUNK, 100, 1 / 3)
LONG_CLAIM = Claim(ODD, 0, len(ODD), (Citation(100, LONG, ODD[100:], 100, len(ODD)),) * 20, "unsupported", ODD)
LONG_VALUES = [
    LONG,
    LONG_CHUNK,
    LONG_HIT,
    LONG_EVIDENCE,
    LONG_CLAIM,
    LONG_CLAIM.citations[0],
    Explained(LONG_HIT, ODD, ("a",) * 1000, ("b",) * 1000),
    Draft((ODD,) * 1000, (LONG_EVIDENCE,) * 1000, "answered", ODD, missing=ODD),
    replace(ANSWER, question=ODD, text=ODD, claims=(LONG_CLAIM,) * 1000, evidence=(LONG_EVIDENCE,) * 1000),
]


@pytest.mark.parametrize("value", LONG_VALUES, ids=lambda value: type(value).__name__)
def test_a_repr_is_one_short_line_however_long_the_texts_are(value: Any) -> None:
    shown = repr(value)
    assert len(shown) < 200
    assert shown.isprintable()
    assert shown.startswith(f"{type(value).__name__}(")
    assert "A 'very'" in shown.replace("\\'", "'")


def test_the_repr_of_an_answer_says_what_it_answers_and_how() -> None:
    shown = "Answer('Does it?', status='answered', claims=1, citations=1, text='It works. [1]')"
    assert repr(ANSWER) == shown
    assert repr(CHUNK) == "Chunk('1f.0', 'A title', start=0, end=9, text='It works.')"
    assert repr(PAPER) == "Paper('1f', 'A title', year=2024, abstract='It works. We tried.')"


def test_a_frozen_map_keeps_order_and_cannot_be_changed() -> None:
    given_ = {"b": 1, "a": 2}
    frozen = FrozenMap(given_)
    given_["c"] = 3
    assert list(frozen.items()) == [("b", 1), ("a", 2)]
    with pytest.raises(TypeError):
        frozen["b"] = 2  # type: ignore[index]
    with pytest.raises(AttributeError):
        frozen.x = 1


def test_frozen_maps_are_equal_and_hash_alike_in_any_order() -> None:
    one, two = FrozenMap({"a": 1, "b": 2}), FrozenMap({"b": 2, "a": 1})
    assert one == two
    assert hash(one) == hash(two)
    assert one != FrozenMap({"a": 1})
    assert len({FrozenMap(), FrozenMap({})}) == 1


# --- citations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quote", "start", "end"),
    [
        ("it works.", 0, 9),
        ("It works", 0, 9),
        ("It works.", 1, 10),
        ("", 3, 3),
        ("tried.?", 13, 99),
        ("It works.\u200b", 0, 9),
    ],
)
def test_a_quote_that_is_not_verbatim_cannot_be_cited(quote: str, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not verbatim"):
        Citation(1, PAPER, quote, start, end)


def test_offsets_count_code_points() -> None:
    paper = replace(PAPER, abstract="🙂 naïve 🙂 end")
    assert Citation(1, paper, "naïve", 2, 7).quote == "naïve"
    assert Chunk("c", paper, 10, 13, 1).text == "end"


# --- JSON ---------------------------------------------------------------------------------------

texts = st.text(max_size=4)
scores = st.floats(allow_nan=False, allow_infinity=False)
small = st.integers(0, 99)


@st.composite
def papers(draw: st.DrawFn) -> list[Paper]:
    ids = draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    return [
        Paper(
            id=id,
            title=draw(texts),
            abstract=draw(st.text(min_size=1, max_size=30)),
            authors=tuple(draw(st.lists(texts, max_size=2))),
            year=draw(st.none() | small),
            venue=draw(st.none() | texts),
            doi=draw(st.none() | texts),
            url=draw(st.none() | texts),
            sources=tuple(draw(st.lists(texts, max_size=2))),
            extra=FrozenMap(draw(st.dictionaries(texts, texts, max_size=2))),
        )
        for id in ids
    ]


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    paper = st.sampled_from(draw(papers()))

    @st.composite
    def citation(draw: st.DrawFn) -> Citation:
        of = draw(paper)
        start = draw(st.integers(0, len(of.abstract) - 1))
        end = draw(st.integers(start + 1, len(of.abstract)))
        return Citation(draw(small), of, of.abstract[start:end], start, end)

    def tuples(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
        return st.lists(of, max_size=2).map(tuple)

    verdicts = st.sampled_from(["quoted", "supported", "partial", "unsupported", "uncited"])
    claim = st.builds(Claim, texts, small, small, tuples(citation()), verdicts, texts)
    chunk = st.builds(Chunk, texts, paper, small, small, small)
    return Answer(
        question=draw(texts),
        query=draw(texts),
        text=draw(texts),
        status=draw(st.sampled_from(["answered", "partial", "refused"])),
        claims=draw(tuples(claim)),
        removed=draw(tuples(claim)),
        citations=draw(tuples(citation())),
        evidence=draw(tuples(st.builds(Evidence, chunk, small, scores))),
        model=draw(texts),
        usage=draw(st.builds(Usage, small, small, small)),
        seconds=FrozenMap(draw(st.dictionaries(texts, scores, max_size=3))),
        trace=FrozenMap(draw(st.dictionaries(texts, tuples(st.builds(Traced, texts, small, scores)), max_size=2))),
        run=draw(texts),
        where=draw(st.none() | st.builds(Where, texts.filter(bool), small, small, small)),
    )


@settings(max_examples=30)
@given(answers())
def test_any_answer_comes_back_from_json_and_pickle_equal(answer: Answer) -> None:
    back = Answer.from_dict(json.loads(json.dumps(answer.to_dict())))
    assert back == answer
    assert hash(back) == hash(answer)
    assert pickle.loads(pickle.dumps(answer)) == answer  # noqa: S301


@settings(max_examples=50)
@given(papers())
def test_any_paper_comes_back_from_json_equal(some: list[Paper]) -> None:
    for paper in some:
        assert Paper.from_dict(json.loads(json.dumps(paper.to_dict()))) == paper


def test_json_holds_each_abstract_once_and_names_papers_elsewhere() -> None:
    data = ANSWER.to_dict()
    assert json.dumps(data).count(PAPER.abstract) == 1
    assert data["version"] == 1
    assert set(data["papers"]) == {"1f"}
    named = [data["citations"][0]["paper"], data["claims"][0]["citations"][0]["paper"], data["evidence"][0]["chunk"]["paper"]]  # fmt: skip
    assert named == [{"id": "1f", "title": "A title"}] * 3


def test_json_says_which_papers_were_asked() -> None:
    data = replace(ANSWER, where=Where("year>=2023", 3, 12, 1)).to_dict()
    assert (data["where"], data["selected"]) == ("year>=2023", {"papers": 3, "of": 12, "silent": 1})
    assert (ANSWER.to_dict()["where"], ANSWER.to_dict()["selected"]) == (None, None)
    before = {name: value for name, value in ANSWER.to_dict().items() if name not in ("where", "selected")}
    assert Answer.from_dict(before) == ANSWER  # as it was kept before there were filters


@pytest.mark.parametrize(
    ("silent", "counted"), [(0, "(3 of 1,204)"), (1, "(3 of 1,204; 1 more does not say)"), (2, "2 more do not say)")]
)
def test_a_filter_is_said_with_how_many_papers_it_left(silent: int, counted: str) -> None:
    said = Where("year>=2023", 3, 1204, silent).said
    assert said.startswith("Only papers with year>=2023 (3 of 1,204")
    assert said.endswith(f"{counted}.")


def test_json_of_another_version_is_refused() -> None:
    for version in (0, 2, "1", None):
        with pytest.raises(ValueError, match="version"):
            Answer.from_dict(ANSWER.to_dict() | {"version": version})


def test_json_whose_quote_was_changed_is_refused() -> None:
    data = ANSWER.to_dict()
    data["citations"][0]["quote"] = "It flies."
    with pytest.raises(ValueError, match="not verbatim"):
        Answer.from_dict(data)


def test_json_that_lacks_a_cited_paper_is_refused() -> None:
    with pytest.raises(KeyError):
        Answer.from_dict(ANSWER.to_dict() | {"papers": {}})


# --- conveniences -------------------------------------------------------------------------------


def test_an_answer_prints_as_its_text_and_numbers_its_papers_in_order() -> None:
    other = replace(PAPER, id="2f")
    cited = (Citation(4, other, "We tried.", 10, 19), CITATION, Citation(4, other, "It", 0, 2))
    answer = replace(ANSWER, citations=cited)
    assert str(answer) == "It works. [1]"
    assert list(answer.numbers.items()) == [(4, other), (1, PAPER)]


def test_hits_and_evidence_know_their_paper() -> None:
    assert Hit(CHUNK, 0.5, 1, ()).paper is EVIDENCE.paper is PAPER
    assert CHUNK.text == "It works."


def test_usage_adds_up() -> None:
    assert Usage(1, 2, 3) + Usage(10, 20, 30) == Usage(11, 22, 33)


# --- prompts ------------------------------------------------------------------------------------


def test_a_prompt_is_filled_with_exactly_its_variables() -> None:
    prompt = Prompt("ask", 3, "", "Q: $question, for $$5, in ${place}s")
    assert prompt.fill(question="$why {x}", place="here") == "Q: $why {x}, for $5, in heres"


@pytest.mark.parametrize(
    ("user", "values", "named"),
    [
        ("$a $b", {"a": "x"}, "b"),
        ("$a", {"a": "x", "c": "y"}, "c"),
        ("$a", {"a": " \n"}, "a"),
        ("$a costs $ 5", {"a": "x"}, r"\$"),
    ],
)
def test_a_prompt_with_a_hole_in_it_is_an_error_that_names_it(user: str, values: dict[str, str], named: str) -> None:
    with pytest.raises(PromptError, match=f"'ask' \\(version 3\\).*{named}"):
        Prompt("ask", 3, "", user).fill(**values)
