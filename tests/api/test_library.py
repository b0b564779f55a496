"""`rag.Library`: one object for all that can be done with a library."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from types import SimpleNamespace

import pytest
from made import FLASH, POKER, S4

import rag

PAPERS = (S4, FLASH, POKER)
ASKED = "Which attention is IO-aware?"
FLIGHT = "FlashAttention is exact and IO-aware [1]."
HOT = "FlashAttention melts 400 GPUs a day [1]."


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    file = tmp_path_factory.mktemp("source") / "three.jsonl"
    file.write_text("".join(json.dumps(paper.to_dict()) + "\n" for paper in PAPERS), "utf-8")
    return file


@pytest.fixture(scope="module")
def mine(source, tmp_path_factory):
    with rag.Library.build(source, tmp_path_factory.mktemp("libraries") / "mine") as library:
        yield library


class Saying:
    """A chat model, as an LLM object of llama-index is called, that says one thing after the other, the last for good."""

    def __init__(self, *said, name="canned"):
        self.metadata = SimpleNamespace(model_name=name)
        self.asked, self._said = [], list(said)

    def chat(self, messages):
        self.asked.append("\n".join(str(message.content) for message in messages))
        text = self._said.pop(0) if len(self._said) > 1 else self._said[0]
        return SimpleNamespace(message=SimpleNamespace(content=text), raw=None)


def test_it_holds_what_was_read(mine):
    assert (len(mine), len(mine.built.added), mine.name) == (3, 3, str(mine.path))
    assert [paper.title for paper in mine] == [paper.title for paper in mine.papers()]
    assert mine.papers("year>=1900") == ()
    assert mine.get("PokerBench") == mine.get(POKER.id[:6])
    assert (POKER.id in mine, "PokerBench" in mine, mine.get("PokerBench") in mine, "Nothing" in mine, 3 in mine) == (
        True, True, True, False, False,
    )  # fmt: skip
    assert repr(mine) == f"Library({mine.name!r}, 3 papers)"
    assert (mine.generation, len(mine.fingerprint), mine.journal()[0]["action"]) == (1, 12, "add")
    assert {"papers": 3, "library": mine.name}.items() <= mine.status().items()


def test_it_answers_searches_and_cites(mine):
    answer = mine.ask(ASKED)
    assert answer.citations[0].paper.title == FLASH.title
    assert answer.text == mine.ask(ASKED, history=[{"role": "user", "content": "Hi"}]).text
    hits = mine.search("scenarios of a game", k=2)
    assert (hits[0].paper.title, len(hits)) == (POKER.title, 2)
    assert repr(hits) == "Hits(2 papers, the first 'PokerBench')"
    assert mine.cite("FlashAttention is exact and IO-aware.").supporting[0].paper.title == FLASH.title
    assert len(mine.cite(["FlashAttention is exact.", "S4 is a state space model."], k=1)) == 2
    assert [row.paper.title for row in mine.table("method", papers=["PokerBench"]).rows] == [POKER.title]
    assert [type(one).__name__ for one in mine.ask_many([ASKED, ""])] == ["Answer", "UsageError"]


def test_it_is_exported(mine, tmp_path):
    assert mine.export(tmp_path / "all.jsonl").count("\n") == 3
    assert (tmp_path / "all.jsonl").read_text("utf-8").count("\n") == 3
    assert re.findall(r"^TI  - (.*)$", mine.export(format="ris", papers=["PokerBench"]), re.MULTILINE) == ["PokerBench"]
    with pytest.raises(rag.RagError, match="is there already; give another name"):
        mine.export(tmp_path / "all.jsonl")
    with pytest.raises(rag.UsageError, match=r"the ending says no format; use one of .*\.bib"):
        mine.export(tmp_path / "all.docx")
    with pytest.raises(rag.UsageError, match="no format is called 'docx'"):
        mine.export(format="docx")
    with pytest.raises(rag.PaperNotFound):
        mine.export(papers=["Nothing of this name"])


def test_it_is_changed_and_what_is_open_sees_it(source, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "rag")
    with rag.Library.build(source, tmp_path / "mine") as library:
        assert library.ask("How many scenarios has PokerBench?").status != "refused"
        assert library.remove("PokerBench").title == POKER.title
        assert (len(library), library.search("poker", k=3)[0].paper.title != POKER.title) == (2, True)
        assert library.undo()["restored"] == [POKER.id]
        assert library.search("poker", k=1)[0].paper.title == POKER.title
        source_two = tmp_path / "more.jsonl"
        source_two.write_text(json.dumps({"title": "Snow", "abstract": "We weigh snow. It is light."}) + "\n")
        assert len(library.add(source_two, dry_run=True).added) == 1
        assert len(library.add(source_two).added) == 1
        assert len(library) == 4
        source_two.unlink()
        assert len(library.sync(prune=True).removed) == 1
    told = [record.getMessage() for record in caplog.records]
    assert "three.jsonl read: 3 records, 0 pieces that are none" in told
    assert f"{tmp_path / 'mine'}: remove, 0 papers to store, 1 to take out" in told
    assert any(re.fullmatch(r"answered by extractive in \d+\.\d\d s, \d citations, run \w{12}", line) for line in told)


def test_the_shipped_abstracts_are_never_changed(monkeypatch, mine):
    with rag.Library.open() as shipped:
        for change in (shipped.sync, shipped.undo, lambda: shipped.add("x.bib"), lambda: shipped.remove("S4")):
            with pytest.raises(rag.UsageError, match="shipped library is never changed"):
                change()
    monkeypatch.setenv("RAG_LIBRARY", mine.name)
    with rag.Library.open() as chosen, rag.open_library() as shipped:
        assert (len(chosen), len(shipped)) == (3, 213)
        assert (shipped.name, shipped.status()["papers"]) == (None, 213)


def test_what_is_wrong_is_told_in_one_line(tmp_path, mine):
    for call, told in {
        lambda: rag.Library.open(tmp_path / "none"): "no library at",
        lambda: rag.Library.open(mine.name, k=0): "k is 0",
        lambda: rag.Library.open(mine.name, judge="same"): 'give a model, too: model="NAME"',
        lambda: rag.Library.open(mine.name, deadline=0): "deadline is 0",
        lambda: rag.Library.open(mine.name, prompt_tokens=3): "prompt_tokens is 3",
        lambda: mine.using(modell="x"): "no option is called 'modell'; there are model,",
        lambda: mine.search("poker", k=0): "k=0 is no number of papers",
        lambda: mine.search("poker", k=True): "k=True is no number of papers",
        lambda: mine.ask("What?", where="nonsense"): "nonsense",
        lambda: mine.cite(" "): "claim is empty",
        lambda: rag.Library.build(tmp_path / "none.bib", tmp_path / "new"): "no such file",
    }.items():
        with pytest.raises(rag.RagError, match=re.escape(told)) as raised:
            call()
        assert "\n" not in str(raised.value)


def test_a_closed_library_says_so(source, tmp_path):
    library = rag.Library.build(source, tmp_path / "mine")
    library.ask(ASKED)
    library.close()
    library.close()
    for call in (lambda: library.ask(ASKED), lambda: len(library), lambda: library.get("S4"), library.journal):
        with pytest.raises(rag.LibraryError, match="closed"):
            call()
    assert repr(library).endswith(", closed or damaged)")


# --- with models --------------------------------------------------------------------------------


def test_other_options_share_what_is_open(mine):
    model = Saying(FLIGHT)
    other = mine.using(model=model, k=1, deadline=600, prompt_tokens=200)
    assert other.store is mine.store
    assert (other.ask(ASKED).model, mine.ask(ASKED).model) == ("canned", "extractive")
    assert model.asked


def test_what_was_taken_out_is_kept_on_demand(mine):
    reply = f"{FLIGHT} {HOT}"
    plain = mine.using(model=Saying(reply)).ask(ASKED)
    kept = mine.using(model=Saying(reply), keep_unverified=True)
    answer = kept.ask(ASKED)
    assert [claim.text for claim in answer.removed] == ["FlashAttention melts 400 GPUs a day."]
    assert "melts" not in plain.text
    assert answer.verified == plain.text
    assert re.search(r"\n\n~~FlashAttention melts 400 GPUs a day\.~~  \(.+\)\Z", answer.text)
    with kept.stream(ASKED) as pieces:
        assert "".join(pieces) == pieces.answer.text == answer.text
    assert rag.Answer.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer


def test_a_judge_may_be_an_object_of_its_own(mine):
    no = json.dumps({"verdicts": [{"claim": 1, "verdict": "not supported", "evidence": ""}]})
    judge = Saying(no, name="judge")
    said = "The attention that knows IO is FlashAttention [1]."
    mine.using(model=Saying(said), judge=judge).ask(ASKED)
    assert judge.asked


def test_a_judge_must_agree_that_a_paper_supports_a_claim(mine):
    claim = "Game playing agents lose before they are tuned for it"
    copied = "All state-of-the-art models play poorly before fine-tuning"

    def verdict(said):
        return json.dumps({"verdicts": [{"claim": 1, "verdict": said, "evidence": copied}]})

    yes, no = Saying(verdict("supported")), Saying(verdict("not supported"), name="judge")
    assert mine.using(model=yes).cite(claim).supporting
    assert not mine.using(model=yes, judge=no).cite(claim).supporting
    made_up = Saying(json.dumps({"verdicts": [{"claim": 1, "verdict": "supported", "evidence": "not at all there"}]}))
    told = mine.using(model=made_up, keep_unverified=True).cite(claim).bearings
    assert any("its evidence does not stand in the quotes" in one.reason for one in told)


def test_a_judge_empties_cells_and_what_is_not_there_may_be_kept(mine):
    asked = {"columns": "prize", "papers": ["PokerBench"]}

    def cell(**options):
        return mine.using(**options).table(**asked).rows[0].cells[0]

    assert cell(model=Saying("1: 11,000 poker scenarios")).text == "11,000 poker scenarios"
    no = Saying(json.dumps({"verdicts": [{"claim": 1, "verdict": "not supported", "evidence": ""}]}))
    assert cell(model=Saying("1: 11,000 poker scenarios"), judge=no) == rag.Cell()
    assert "prize: 11,000 poker scenarios" in no.asked[0]
    assert cell(model=Saying("1: a golden cup")) == rag.Cell()
    assert cell(model=Saying("1: a golden cup"), keep_unverified=True) == rag.Cell("a golden cup")


def test_prompt_tokens_bound_an_abstract_that_is_shown_alone(mine, tmp_path):
    long = " ".join(f"Sentence number {n} says very little about {n} and nothing else." for n in range(40))
    (tmp_path / "long.jsonl").write_text(json.dumps({"title": "A long one", "abstract": long}))
    with rag.Library.build(tmp_path / "long.jsonl", tmp_path / "long") as library:
        model = Saying("1: NONE")
        library.using(model=model).table("prize")
        library.using(model=model, prompt_tokens=100).table("prize")
    whole, cut = model.asked
    assert ("number 39 says" in whole, "number 2 says" in cut, "number 39 says" in cut) == (True, True, False)


# --- asyncio ------------------------------------------------------------------------------------


def test_asyncio_has_its_own_forms(mine):
    async def both():
        async with mine.astream(ASKED) as pieces:
            text = "".join([piece async for piece in pieces])
            assert [piece async for piece in pieces] == []
        async with mine.astream(ASKED) as again:
            with pytest.raises(rag.UsageError, match="not at its end"):
                again.answer  # noqa: B018
            assert (await again.finish()).text == text == pieces.answer.text
        return text, await mine.aask(ASKED)

    text, answer = asyncio.run(both())
    assert text == answer.text
    assert repr(mine.astream(ASKED)) == "AsyncStream(0 pieces, not at its end)"


def test_errors_of_an_asynchronous_stream_are_raised_where_it_is_iterated(mine):
    async def empty():
        async with mine.astream(" ") as pieces:
            with pytest.raises(rag.UsageError, match="empty"):
                await pieces.finish()
            return [piece async for piece in pieces]

    assert asyncio.run(empty()) == []


def test_leaving_an_asynchronous_stream_stops_its_work(mine):
    """The model is waiting to be allowed to answer; the one who asked leaves."""
    called, allowed = threading.Event(), threading.Event()

    class Waiting(Saying):
        def chat(self, messages):
            called.set()
            allowed.wait(60)
            return super().chat(messages)

    async def leave():
        async with mine.using(model=Waiting(FLIGHT)).astream(ASKED) as pieces:
            reading = asyncio.ensure_future(pieces.finish())
            await asyncio.to_thread(called.wait, 60)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        return pieces

    pieces = asyncio.run(leave())
    allowed.set()
    with pytest.raises(rag.UsageError, match="not at its end"):
        pieces.answer  # noqa: B018
