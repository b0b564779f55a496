"""Each metric against values computed by hand, and against the damage it is meant to see and no other."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
from judged import ABSTRACTS, EXACT, FAST, POKER, RAIN, cite, claim, fact, right, row, stored, unanswerable, wrong

from evals import metrics
from evals.metrics import BY_NAME, METRICS, PROMISED, lost_at, score


def value(name: str, answer: dict[str, Any], **fields: Any) -> float | None:
    return BY_NAME[name].score(row(**fields), answer, ABSTRACTS)


# --- by hand ------------------------------------------------------------------------------------


def test_a_right_answer_scores_one_everywhere_it_applies():
    scores = {name: found for name, found in score(row(), right(), ABSTRACTS).items() if found is not None}
    assert {name: found for name, found in scores.items() if found != 1} == {}
    others = {m for m in BY_NAME if m.startswith("refused")} | {"missing told", "fact first"}  # of other kinds
    assert {name for name in BY_NAME if name not in scores} == others


RANKED = ("pc", "pa", "pd", "px", "pb")  # grades 1, 2, 0, unknown, 2
IDEAL = 2 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
RETRIEVAL = {
    "success@1": 0,
    "success@5": 1,
    "recall@5": 1,
    "recall@10": 1,
    "mrr@10": 1 / 2,
    "ndcg@10": (1 / math.log2(2) + 2 / math.log2(3) + 2 / math.log2(6)) / IDEAL,
    "coverage@5": 1,
    "judged@5": 4 / 5,
    "evidence recall": 1,
    "evidence mrr": 1 / 2,
}


@pytest.mark.parametrize("name", RETRIEVAL)
def test_retrieval_by_hand(name):
    assert value(name, stored(retrieved=RANKED)) == pytest.approx(RETRIEVAL[name])


def test_what_stands_behind_the_tenth_place_does_not_count():
    filler = [f"p{n}" for n in range(10)]
    late = stored(retrieved=["pa", *filler, "pb"])
    assert value("recall@10", late) == value("recall@5", late) == 0.5
    assert value("mrr@10", stored(retrieved=[*filler, "pa"])) == 0
    assert value("success@5", stored(retrieved=[*filler[:5], "pa"])) == 0
    assert value("coverage@5", stored(retrieved=["pa", *filler])) == 0.5


def test_a_search_that_finds_nothing_scores_zero():
    nothing = stored(retrieved=[])
    assert {name: value(name, nothing) for name in RETRIEVAL if name != "judged@5"} == dict.fromkeys(
        [name for name in RETRIEVAL if name != "judged@5"], 0
    )


@pytest.mark.parametrize(
    "name", [*RETRIEVAL, "gold recall", "gold precision", "cited f1", "first cited", "facts", "coverage"]
)
def test_what_does_not_apply_to_an_unanswerable_question(name):
    assert BY_NAME[name].score(unanswerable(), right(), ABSTRACTS) is None


def test_citations_by_hand():
    two_of_three = stored(
        [claim(FAST, cite("pa", FAST)), claim(POKER, cite("pc", POKER, 2)), claim("Rain.", cite("pd", "Weather", 3))]
    )
    assert value("gold recall", two_of_three) == 1 / 2
    assert value("gold precision", two_of_three) == 2 / 3  # pc may be cited, pd not
    assert value("cited f1", two_of_three) == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    assert value("first cited", two_of_three) == 1
    assert value("first cited", wrong()) == 0


def test_a_wrong_refusal_is_zero_where_a_citation_was_due():
    scores = score(row(), stored(), ABSTRACTS)
    zero = ("correct", "facts", "gold recall", "cited f1", "first cited", "coverage", "utility")
    assert {name: scores[name] for name in zero} == dict.fromkeys(zero, 0)
    silent = (
        "gold precision",
        "id valid",
        "quote verbatim",
        "quote whole",
        "claim cited",
        "claim supported",
        "text claimed",
    )
    assert {name: scores[name] for name in (*silent, "not contradicted")} == dict.fromkeys(
        (*silent, "not contradicted")
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (stored(), {"correct": 1, "refused": 1, "refused off-topic": 1, "refused near-miss": None, "utility": 1}),
        (wrong(), {"correct": 0, "refused": 0, "refused off-topic": 0, "refused near-miss": None, "utility": -1}),
    ],
    ids=["refused", "answered"],
)
def test_an_unanswerable_question(answer, expected):
    scores = score(unanswerable(), answer, ABSTRACTS)
    assert {name: scores[name] for name in expected} == expected


def test_half_of_the_facts():
    half = stored([claim(FAST, cite("pa", FAST))])
    assert value("facts", half) == 0.5
    assert value("correct", half) == 0
    assert value("utility", half) == 0


def test_only_vital_facts_count():
    facts = [fact("f1", "pa", FAST, "60 times"), fact("f2", "pb", EXACT, "is exact", vital=False)]
    half = stored([claim(FAST, cite("pa", FAST))])
    assert value("facts", half, facts=facts) == value("correct", half, facts=facts) == 1


def test_a_refusal_states_nothing_whatever_titles_it_names():
    named = stored(text="This library does not say. The nearest paper is 60 times faster, which is exact.")
    assert value("facts", named) == 0


def test_a_mark_is_no_number_of_a_fact():
    facts = [{**fact("f1", "pa", FAST, "x"), "match": {"type": "number", "value": 2}}]
    assert value("facts", stored([claim(EXACT, cite("pb", EXACT, 2))]), facts=facts) == 0


def test_what_is_forbidden_undoes_an_answer():
    said = f"{EXACT} It is inexact."
    answer = stored([claim(FAST, cite("pa", FAST)), claim(said, cite("pb", EXACT, 2))])
    assert value("facts", answer) == 1
    assert value("not contradicted", answer) == value("correct", answer) == 0
    assert value("not contradicted", answer, forbidden=[{"text": "x", "why": "no matcher"}]) is None


@pytest.mark.parametrize(
    ("cited", "right"),
    [("pa pb", 1), ("pa pb pc", 1), ("pa pb pd", 1), ("pa pb pc pd px", 0), ("pa pc", 0), ("pa", 0)],
)
def test_a_list_needs_every_essential_paper_and_two_thirds_that_belong(cited, right):
    cited = cited.split()
    claims = [
        claim(f"{p}.", {"number": n, "paper": p, "start": 0, "end": 1, "quote": "L"}) for n, p in enumerate(cited, 1)
    ]
    answer = stored(claims)
    belong = len(set(cited) & {"pa", "pb", "pc"}) / len(cited)
    assert (
        value("correct", answer, kind="list", facts=[])
        == right
        == float({"pa", "pb"} <= set(cited) and belong >= 2 / 3)
    )


# --- questions as people ask them ---------------------------------------------------------------

NEAREST = claim(FAST, cite("pa", FAST))
FOREIGN = claim("It is inexact.", cite("pb", EXACT, 2))


@pytest.mark.parametrize(
    ("said", "status", "first"),
    [
        ((FAST, POKER), "answered", 1),
        ((POKER, FAST), "answered", 0),
        ((POKER,), "answered", 0),
        ((FAST,), "refused", 0),
        ((), "refused", 0),
    ],
)
def test_the_first_sentence_says_what_it_is(said, status, first):
    facts = [fact("f1", "pa", FAST, "60 times"), fact("f2", "pc", POKER, "poorly", vital=False)]
    answer = stored([claim(text, cite("pa", FAST)) for text in said], status=status)
    assert value("fact first", answer, kind="definition", facts=facts) == first
    assert value("fact first", answer, kind="single", facts=facts) is None


@pytest.mark.parametrize("kind", ["list", "mention"])
def test_a_mention_is_right_by_its_papers(kind):
    assert value("correct", right(), kind=kind, facts=[]) == 1
    assert value("correct", stored([NEAREST]), kind=kind, facts=[]) == 0


@pytest.mark.parametrize(
    ("answer", "told", "right"),
    [
        (stored(), 1, 1),
        (stored([NEAREST], status="partial"), 1, 1),
        (stored([NEAREST, FOREIGN], status="partial"), 1, 0),  # the figure of another
        (stored([NEAREST]), 0, 0),
        (stored([FOREIGN]), 0, 0),
    ],
    ids=["refused", "partial", "partial, forbidden", "answered", "answered, forbidden"],
)
def test_a_detail_that_is_not_there(answer, told, right):
    forbidden = row().model_dump(mode="json")["forbidden"]
    scores = score(unanswerable(kind="detail", papers={"pa": 1}, forbidden=forbidden), answer, ABSTRACTS)
    assert (scores["missing told"], scores["correct"], scores["utility"]) == (told, right, 2 * right - 1)
    assert {scores[name] for name in ("coverage", "facts", "gold recall", "refused", "refused off-topic")} == {None}


def test_what_is_cited_beside_a_missing_detail():
    named = unanswerable(kind="detail", papers={"pa": 1})
    assert score(named, stored([NEAREST], status="partial"), ABSTRACTS)["gold precision"] == 1
    assert score(named, stored([FOREIGN], status="partial"), ABSTRACTS)["gold precision"] == 0
    assert score(unanswerable(), stored([NEAREST]), ABSTRACTS)["gold precision"] is None


@pytest.mark.parametrize(("status", "answered"), [("answered", 1), ("partial", 0), ("refused", 0)])
def test_a_detail_that_is_there_must_not_be_said_to_be_missing(status, answered):
    answer = right() | {"status": status}
    assert value("correct", answer, kind="detail") == value("coverage", answer, kind="detail") == answered
    assert value("utility", answer, kind="detail") == answered
    assert value("missing told", answer, kind="detail") is None
    assert value("correct", answer) == value("coverage", answer) == float(status != "refused")  # of another kind


@pytest.mark.parametrize(
    ("answer", "before", "right"),
    [
        (stored(), [], 1),
        (stored(status="answered"), [], 1),  # the status is not scored
        (stored([NEAREST]), [], 0),
        (stored([NEAREST]), ["pa", "pb"], 1),  # "are you sure?"
        (stored([NEAREST, FOREIGN]), ["pa"], 0),
    ],
)
def test_an_act_cites_nothing_new(answer, before, right):
    scores = score(unanswerable(kind="act"), answer | {"before": before}, ABSTRACTS)
    assert (scores["correct"], scores["utility"]) == (right, 2 * right - 1)
    assert {scores[name] for name in ("refused", "missing told", "coverage", "facts")} == {None}


def test_an_act_in_a_record_that_keeps_no_earlier_turns():
    assert score(unanswerable(kind="act"), stored([NEAREST]), ABSTRACTS)["correct"] == 0


# --- texts and quotes ---------------------------------------------------------------------------


def test_the_share_of_a_text_that_is_claimed():
    answer = right()
    answer["text"] = f"Well then: {answer['text']} So it is."
    said = len(f"{FAST} {EXACT}".split())
    assert value("text claimed", answer) == pytest.approx(1 - 5 / (said + 5))


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("S4 is 60 times faster than before.", True),
        ("Long sequences are hard. S4 is 60 times faster than before.", True),
        ("It solves Path-X at last.", True),
        ("is 60 times faster than before.", False),
        ("S4 is 60 times", False),
    ],
)
def test_a_quote_is_whole_at_the_borders_of_sentences(text, whole):
    assert value("quote whole", stored([claim(text, cite("pa", text))])) == float(whole)


# --- each metric sees its damage and no other ---------------------------------------------------

RETRIEVED = {"success@1", "mrr@10", "ndcg@10", "evidence mrr"}
CITED = {"first cited", "gold recall", "gold precision", "cited f1"}
TOLD = {"correct", "facts", "utility"}
REFUSED = {"coverage"} | TOLD | (CITED - {"gold precision"})


def _each(answer: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    for found in metrics.citations(answer):
        change(found)
    return answer


def marks_exchanged(answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"text": answer["text"].translate(str.maketrans("12", "21"))}


def quotes_exchanged(answer: dict[str, Any]) -> dict[str, Any]:
    one, other = answer["claims"]
    return stored([claim(one["text"], *other["citations"]), claim(other["text"], *one["citations"])])


def citation_dropped(answer: dict[str, Any]) -> dict[str, Any]:
    answer["claims"][1]["citations"] = []
    return answer | {"text": answer["text"].replace(" [2]", "")}


def cut(citation: dict[str, Any]) -> None:
    citation |= {"quote": citation["quote"][:-9], "end": citation["end"] - 9}


def shifted(citation: dict[str, Any]) -> None:
    citation |= {"start": citation["start"] - 3, "end": citation["end"] - 3}


def recased(answer: dict[str, Any]) -> dict[str, Any]:
    return _each(answer, lambda c: c.update(quote=c["quote"].upper()))


def digits_changed(answer: dict[str, Any]) -> dict[str, Any]:
    return stored([claim(c["text"].replace("60", "70"), *c["citations"]) for c in answer["claims"]])


def one_number_for_two(answer: dict[str, Any]) -> dict[str, Any]:
    return stored([claim(c["text"], *(q | {"number": 1} for q in c["citations"])) for c in answer["claims"]])


def paper_unknown(answer: dict[str, Any]) -> dict[str, Any]:
    return _each(answer, lambda c: c.update(paper="p?") if c["number"] == 2 else None)


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], set[str]]] = {
    "nothing": (lambda a: a, set()),
    "ranking turned round": (lambda a: a | {"retrieved": a["retrieved"][::-1]}, {"ndcg@10", "success@1", "mrr@10"}),
    "evidence turned round": (lambda a: a | {"evidence": a["evidence"][::-1]}, {"evidence mrr"}),
    "evidence without pb": (
        lambda a: a | {"evidence": [["pa", 1.0], ["pc", 0.5]]},
        {"evidence recall", "id valid"},
    ),
    "pb not found": (
        lambda a: a | {"retrieved": [["pa", 1.0], ["pc", 0.5]]},
        {"recall@5", "recall@10", "ndcg@10", "coverage@5"},
    ),
    "an unjudged paper among the first": (lambda a: a | {"retrieved": [*a["retrieved"], ["px", 0.0]]}, {"judged@5"}),
    "refused": (lambda a: stored(), REFUSED),
    "quotes exchanged": (quotes_exchanged, {"claim supported"}),
    "marks exchanged": (marks_exchanged, {"claim cited"}),
    "one number for two papers": (one_number_for_two, {"claim cited"}),
    "a mark of nothing": (lambda a: a | {"text": a["text"] + "[7]"}, {"claim cited"}),
    "a mark missing": (lambda a: a | {"text": a["text"].replace(" [2]", "")}, {"claim cited"}),
    "a citation dropped": (citation_dropped, {"claim cited", "gold recall", "cited f1"}),
    "quotes cut": (lambda a: _each(a, cut), {"quote whole"}),
    "offsets moved": (lambda a: _each(a, shifted), {"quote verbatim", "quote whole"}),
    "quotes in capitals": (recased, {"quote verbatim"}),
    "quotes empty": (lambda a: _each(a, lambda c: c.update(quote="")), {"quote verbatim", "claim supported"}),
    "offsets outside": (lambda a: _each(a, lambda c: c.update(start=999, end=1020)), {"quote verbatim"}),
    "a paper that is none": (
        paper_unknown,
        {"id valid", "quote verbatim", "gold recall", "gold precision", "cited f1"},
    ),
    "digits changed": (digits_changed, {"claim supported"} | TOLD),
    "a sentence beside the claims": (lambda a: a | {"text": a["text"] + " And more."}, {"text claimed"}),
    "half left out": (lambda a: stored(a["claims"][:1]), {"gold recall", "cited f1"} | TOLD),
    "cited the other way round": (lambda a: stored(a["claims"][::-1]), set()),
    "a paper too much, first": (
        lambda a: stored([claim(POKER, cite("pc", POKER, 3)), *a["claims"]]),
        {"first cited"},
    ),
    "what was never asked": (
        lambda a: stored([*a["claims"], claim(RAIN, cite("pd", RAIN, 3))],
                         retrieved=("pa", "pb", "pc", "pd")),
        {"gold precision", "cited f1"},
    ),
    "the contrary": (
        lambda a: stored([*a["claims"], claim("It is inexact.", cite("pb", EXACT, 2))]),
        {"not contradicted", "correct", "claim supported"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_metric_sees_its_damage_and_no_other(name):
    damage, expected = DAMAGE[name]
    before = score(row(), right(), ABSTRACTS)
    now = score(row(), damage(copy.deepcopy(right())), ABSTRACTS)
    lower = {m for m in BY_NAME if before[m] is not None and now[m] is not None and now[m] < before[m] - 1e-9}
    assert lower == expected
    assert {m for m in BY_NAME if before[m] is not None and now[m] is not None and now[m] > before[m] + 1e-9} == set()


def test_every_metric_that_can_fall_has_its_damage():
    seen = set().union(*(expected for _, expected in DAMAGE.values()))
    rest = {metric.name for metric in METRICS} - seen
    refusals = {"refused", "refused off-topic", "refused near-miss", "refused false-premise"}
    assert rest == {"success@5", "fact first", "missing told", *refusals}


@pytest.mark.parametrize(
    "bad", ["quotes empty", "offsets moved", "marks exchanged", "a paper that is none", "a citation dropped"]
)
def test_a_promise_is_broken_by(bad):
    scores = score(row(), DAMAGE[bad][0](copy.deepcopy(right())), ABSTRACTS)
    assert any(scores[name] < 1 for name in PROMISED)


# --- marks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("A is so. [1] B is so. [2]", True),
        ("A is so [1]. B is so. [2]", False),  # the claim's own words are "A is so."
        ("So: A is so.[1] And B is so.[2] Done.", True),
        ("A is so. [2] B is so. [1]", False),
        ("A is so. [1] B is so.", False),
        ("A is so. [1] B is so. [1][2]", False),
        ("A is so. [1]", False),
    ],
)
def test_where_marks_stand(text, kept):
    claims = [claim("A is so.", cite("pa", FAST)), claim("B is so.", cite("pb", EXACT, 2))]
    assert (value("claim cited", stored(claims, text=text)) == 1) is kept


def test_brackets_of_the_abstract_itself_are_no_marks():
    said = "As [2024] showed, A is so."
    assert value("claim cited", stored([claim(said, cite("pa", FAST))])) == 1


# --- where a fact is lost -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "where"),
    [
        (right(), "ok"),
        (stored([claim(EXACT, cite("pc", POKER))]), "stated, not cited"),
        (stored([claim(FAST, cite("pa", FAST))]), "not used"),
        (stored(), "not used"),
        (stored(retrieved=("pa", "pb"), evidence=[["pa", 1.0]]), "cut before the answer"),
        (stored(retrieved=("pa", "pc")), "not retrieved"),
    ],
)
def test_where_a_fact_is_lost(answer, where):
    assert lost_at(row(), row().facts[1], answer) == where
    assert where in metrics.WATERFALL
