"""The public contract: `answer`, `aanswer`, `stream` and `search` over the shipped abstracts, for real."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import made
import pytest
from running import ROOT

import rag
from rag import Answer, Cancelled, FrozenMap, LibraryMissing, RagError, UsageError, text
from rag.answering.case import NEAR
from rag.answering.opening import open_assistant, open_library
from rag.answering.question import LONGEST_QUESTION
from rag.library.embed import open_embedder
from rag.library.store import Library
from rag.settings import load
from rag.text import readable

MEMORY = "How does FlashAttention reduce memory accesses?"
POKER = "How many poker scenarios does PokerBench contain?"
NOT_HERE = "What is the best recipe for sourdough bread?"
STAGES = ["followup", "retrieve", "rerank", "synthesize", "verify"]


def timeless(answer):
    """An answer without what differs from one run to the next."""
    return replace(answer, seconds=FrozenMap())


@pytest.fixture(scope="module")
def flash():
    return rag.answer(MEMORY)


@pytest.fixture(scope="module")
def refused():
    return rag.answer(NOT_HERE)


@pytest.fixture
def small(tmp_path):
    return made.library(tmp_path / "small", made.S4, made.FLASH)


# --- an answer ----------------------------------------------------------------------------------


def test_an_answer_is_sentences_with_marks_and_every_mark_is_a_verbatim_quote(flash):
    assert flash.status == "answered"
    assert str(flash) == flash.text
    assert "tiling" in flash.text
    assert {int(n) for n in re.findall(r"\[(\d+)\]", flash.text)} == {c.number for c in flash.citations}
    assert all(c.paper.abstract[c.start : c.end] == c.quote for c in flash.citations)
    assert [flash.text[claim.start : claim.end] for claim in flash.claims] == [c.text for c in flash.claims]
    assert all(claim.verdict == "quoted" and claim.citations for claim in flash.claims)
    quotes = {readable(citation.quote) for citation in flash.citations}
    assert {claim.text for claim in flash.claims} <= quotes


def test_an_answer_says_what_made_it(flash):
    assert (flash.question, flash.query, flash.model) == (MEMORY, MEMORY, "extractive")
    assert list(flash.seconds) == STAGES
    assert all(0 <= seconds < 60 for seconds in flash.seconds.values())
    assert flash.usage.calls == 0
    assert {"dense", "lexical", "retrieve", "rerank"} <= set(flash.trace)
    assert all([t.rank for t in flash.trace[stage]] == sorted(t.rank for t in flash.trace[stage]) for stage in STAGES if stage in flash.trace)  # fmt: skip
    assert [t.id for t in flash.trace["rerank"]] == [e.chunk.id for e in flash.evidence]
    assert {c.paper.id for c in flash.citations} <= {e.paper.id for e in flash.evidence}
    assert re.fullmatch(r"[0-9a-f]{12}", flash.run)
    assert flash.citations[0].paper.sources


def test_numbers_go_from_one_in_order_of_first_mention(flash):
    marks = [int(n) for n in re.findall(r"\[(\d+)\]", flash.text)]
    assert list(dict.fromkeys(marks)) == list(range(1, max(marks) + 1))
    assert list(flash.numbers) == list(dict.fromkeys(marks))


def test_a_refusal_cites_nothing_and_names_papers_only_if_they_are_near(refused):
    assert refused.status == "refused"
    assert (refused.claims, refused.citations, refused.numbers) == ((), (), {})
    assert not re.search(r"\[\d+\]", refused.text)
    assert refused.evidence
    assert all((readable(e.paper.title) in refused.text) is (e.score >= NEAR) for e in refused.evidence[:3])
    near = rag.answer("How well do state space models translate poems?", model="extractive")
    assert near.status != "refused" or "nearest paper" in near.text


def test_the_same_question_gives_the_same_answer(flash):
    assert timeless(rag.answer(MEMORY)) == timeless(flash)
    afresh = open_assistant(load())
    assert timeless(afresh.answer(MEMORY)) == timeless(flash)
    afresh.close()


@pytest.mark.parametrize("which", ["flash", "refused"])
def test_an_answer_goes_to_json_and_back_and_is_a_value(which, request):
    answer = request.getfixturevalue(which)
    data = json.loads(json.dumps(answer.to_dict()))
    assert Answer.from_dict(data) == answer == pickle.loads(pickle.dumps(answer))  # noqa: S301
    assert hash(Answer.from_dict(data)) == hash(answer)
    assert sorted(data["papers"]) == sorted({e.paper.id for e in answer.evidence})
    assert all(set(c["paper"]) >= {"id", "title"} for c in data["citations"])


def test_k_counts_the_papers_an_answer_may_draw_on():
    one = rag.answer("How do benchmarks for long contexts differ?", k=1)
    assert len(one.evidence) == 1
    assert len({c.paper for c in one.citations}) <= 1
    assert len(rag.answer("How do benchmarks for long contexts differ?", k=5).evidence) == 5


@pytest.mark.parametrize(
    "question",
    [
        "path-x",
        "  Which layer first\nsolved Path-X?\t",
        "¿Which layer first solved Path‑X? 🙂",
        '"Path-X" AND (layer OR NEAR/2) NOT * ^ -',
        "$question ${fence} %s {0} Path-X",
        "Path-X " * 500,
        "哪个模型首先解决了 Path-X",
    ],
)
def test_any_text_with_a_word_is_a_question(question):
    answer = rag.answer(question)
    assert answer.status in ("answered", "refused")
    assert answer.text


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("?!", "no word"),
        ("a\0b", "binary"),
        ("\x01\x02\x03\x04\x05word", "binary"),
        ("word " * LONGEST_QUESTION, "at most 8,000"),
        (None, "not text"),
        (b"bytes", "not text"),
    ],
)
@pytest.mark.parametrize("door", [rag.answer, rag.search])
def test_what_is_no_question_is_told_in_one_line(question, why, door):
    with pytest.raises(UsageError, match=why) as raised:
        door(question)
    assert "\n" not in str(raised.value)


# --- doors --------------------------------------------------------------------------------------


def test_answer_works_inside_a_running_event_loop(flash):
    async def notebook():
        return rag.answer(MEMORY)

    assert timeless(asyncio.run(notebook())) == timeless(flash)


def test_aanswer_is_answer_and_several_run_at_once(flash):
    async def both():
        return await asyncio.gather(rag.aanswer(MEMORY), rag.aanswer(POKER), rag.aanswer(MEMORY, k=3))

    first, second, third = asyncio.run(both())
    assert timeless(first) == timeless(flash)
    assert timeless(second) == timeless(rag.answer(POKER))
    assert len(third.evidence) == 3


def test_a_cancelled_task_does_not_wait_for_the_model():
    entered, go_on, left = threading.Event(), threading.Event(), []

    class Slow:
        def chat(self, messages):
            entered.set()
            go_on.wait(60)
            left.append("chat")
            raise RuntimeError("the caller is gone")

    async def cancelled():
        task = asyncio.create_task(rag.aanswer(MEMORY, model=Slow()))
        await asyncio.to_thread(entered.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left == []
        go_on.set()

    asyncio.run(cancelled())


def test_cancelling_is_looked_at_between_stages():
    assistant = open_assistant(load())
    asked = []

    def third_time():
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(Cancelled, match="before rerank"):
        assistant.answer(MEMORY, cancelled=third_time)
    assert assistant.answer(MEMORY).status == "answered"
    assistant.close()


def asked(name):
    lines = (ROOT / "evals" / name).read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def forget_words():
    for cached in (text.stem, text.porter, text._tokens):
        cached.cache_clear()


def test_threads_share_one_assistant():
    """With cold caches: every thread stems at the same time."""
    questions = [MEMORY, POKER, NOT_HERE, *asked("gold.jsonl")[::24], *asked("train.jsonl")[::30]]
    rag.answer(MEMORY)
    forget_words()
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(rag.answer, questions))
    forget_words()
    assert [timeless(answer) for answer in together] == [timeless(rag.answer(question)) for question in questions]


def test_a_stream_gives_whole_sentences_that_join_to_the_text(flash):
    with rag.stream(MEMORY) as pieces:
        said = list(pieces)
    assert "".join(said) == pieces.answer.text == flash.text
    assert len(said) == len(flash.claims) > 1
    assert all(claim.text in piece for claim, piece in zip(flash.claims, said, strict=True))
    assert list(pieces) == said


def test_a_stream_of_a_refusal_is_its_text(refused):
    with rag.stream(NOT_HERE) as pieces:
        assert "".join(pieces) == refused.text


def test_a_stream_asks_once_and_not_before_it_is_read():
    with rag.stream("") as pieces, pytest.raises(UsageError):
        next(iter(pieces))


def test_search_gives_papers_best_first_and_says_what_found_them():
    hits = rag.search("offline reinforcement learning datasets", k=20)
    assert len(hits) == 20
    assert hits[0].paper.title.startswith("D4RL")
    assert [hit.rank for hit in hits] == list(range(1, 21))
    assert len({hit.paper.id for hit in hits}) == 20
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(hit.found and {f.search for f in hit.found} <= {"dense", "lexical", "sentence", "words"} for hit in hits)
    assert {f.search for f in hits[0].found} == {"dense", "lexical", "sentence", "words"}
    assert all(hit.score == pytest.approx(sum(f.part for f in hit.found)) for hit in hits)


def test_more_results_begin_with_the_fewer():
    few, more = rag.search("Path-X", k=3), rag.search("Path-X", k=30)
    assert [hit.paper.id for hit in more[:3]] == [hit.paper.id for hit in few]


def test_search_finds_a_paper_by_its_title(papers):
    for paper in papers[::20]:
        assert paper.id in [hit.paper.id for hit in rag.search(paper.title, k=3)]


@pytest.mark.parametrize("k", [0, -1, 101, 1.5, True, "8"])
@pytest.mark.parametrize("door", [rag.answer, rag.search])
def test_k_has_limits(k, door):
    with pytest.raises(UsageError, match="k is"):
        door(MEMORY, k=k)


def test_a_library_that_is_not_there_is_told(tmp_path):
    for door in (rag.answer, rag.search):
        with pytest.raises(LibraryMissing, match="no library at"):
            door(MEMORY, library=str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_the_libraries_there_are_are_named_where_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    fails = partial(pytest.raises, LibraryMissing)
    with fails(match=r"make one with rag\.add\("):
        open_library("papers", open_embedder())
    for name in ("thesis", "papers"):
        (tmp_path / "data" / "libraries" / name).mkdir(parents=True)
        Library.create(tmp_path / "data" / "libraries" / name, "embedder", 2).close()
    with fails(match=r"there is papers, thesis; to make one: rag\.add\("):
        open_library("quarks", open_embedder())
    with fails(match=r"did you mean papers\? to make one"):
        open_library("paper", open_embedder())


def test_an_error_of_ours_is_a_rag_error():
    with pytest.raises(RagError):
        asyncio.run(rag.aanswer(""))


# --- history ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [lambda a: a, lambda a: a.to_dict(), lambda a: json.loads(json.dumps(a.to_dict()))],
    ids=["Answer", "dict", "JSON"],
)
def test_history_may_be_answers_or_their_dicts(flash, form):
    follow = rag.answer("And how much faster does it train GPT-2?", history=[form(flash)])
    assert follow.question == "And how much faster does it train GPT-2?"
    assert follow.query != follow.question
    assert "speedup on GPT-2" in follow.text
    assert timeless(follow) == timeless(rag.answer(follow.question, history=[flash]))


def test_history_may_be_pairs():
    pair = ("How many poker scenarios does PokerBench contain?", "It holds 11,000.")
    follow = rag.answer("And which models were evaluated?", history=[pair])
    assert "poker" in follow.query.lower()
    assert follow.citations[0].paper.title.startswith("PokerBench")


def test_a_paper_keeps_its_number_over_the_turns_and_new_ones_go_on(flash):
    second = rag.answer(POKER, history=[flash])
    third = rag.answer("Which exact attention algorithm is IO-aware?", history=[flash, second])
    taken = {paper.id: number for number, paper in flash.numbers.items()}
    new = [number for number, paper in second.numbers.items() if paper.id not in taken]
    assert new[0] == max(taken.values()) + 1
    given = {}
    for turn in (flash, second, third):
        for number, paper in turn.numbers.items():
            assert given.setdefault(paper.id, number) == number
    assert len(set(given.values())) == len(given)
    assert f"[{taken['ab71d384aa75']}]" in third.text


def test_a_question_that_stands_alone_is_answered_as_without_history(flash):
    assert rag.answer(POKER, history=[flash]).query == POKER
    assert rag.answer(NOT_HERE, history=[flash]).status == "refused"


@pytest.mark.parametrize("history", [[1], [{}], "text", [("one",)]])
def test_what_is_no_history_is_told(history):
    with pytest.raises(UsageError, match="history"):
        rag.answer(MEMORY, history=history)


# --- libraries ----------------------------------------------------------------------------------


def test_a_library_of_ones_own_is_asked_by_path_and_by_environment(small, monkeypatch):
    assert {hit.paper for hit in rag.search("Path-X", library=small)} == {made.S4, made.FLASH}
    monkeypatch.setenv("RAG_LIBRARY", str(small))
    answer = rag.answer("Which model solves Path-X, which all prior work fails on?")
    assert answer.citations[0].paper == made.S4
    assert rag.answer(POKER).status == "refused"


def test_another_library_another_run(flash, small):
    assert rag.answer(MEMORY, library=small).run != flash.run


ADD = """
import sys
sys.path.insert(0, sys.argv[1])
import made
made.library(made.Path(sys.argv[2]), made.POKER)
"""


def test_what_another_process_wrote_is_seen_by_one_that_was_open(small, python):
    before = rag.answer(POKER, library=small)
    assert before.status == "refused"
    assert len(rag.search("poker", library=small, k=20)) == 2  # a second assistant on the same folder
    done = python(ADD, made.__file__.rpartition("/")[0], small)
    assert done.returncode == 0, done.stderr
    after = rag.answer(POKER, library=small)
    assert after.status == "answered"
    assert after.citations[0].paper == made.POKER
    assert made.POKER.id in {t.id.partition(".")[0] for t in after.trace["dense"]}
    found = rag.search("poker", library=small, k=20)
    assert found[0].paper == made.POKER
    assert "dense" in {f.search for f in found[0].found}
    assert after.run != before.run


def test_an_empty_library_refuses(tmp_path):
    empty = made.library(tmp_path / "empty")
    answer = rag.answer(MEMORY, library=empty)
    assert answer.status == "refused"
    assert "no paper" in answer.text
    assert rag.search(MEMORY, library=empty) == ()


def test_a_library_of_another_embedder_is_told(tmp_path):
    from rag.library.store import Library, writer

    with writer(tmp_path / "other"):
        Library.create(tmp_path / "other", "another-model", 3).close()
    with pytest.raises(RagError, match="another-model"):
        rag.answer(MEMORY, library=tmp_path / "other")


# --- filters ------------------------------------------------------------------------------------

OLD, NEW = replace(made.S4, year=2019, authors=("Doe, Ann",)), replace(made.FLASH, year=2023, venue="Nature")
PATH_X = "Which model reaches which result on Path-X?"


@pytest.fixture
def known(tmp_path):
    return made.library(tmp_path / "known", OLD, NEW, made.POKER)


def test_only_papers_that_a_filter_admits_are_looked_at(known):
    free = rag.answer(PATH_X, library=known)
    assert {e.paper for e in free.evidence} == {OLD, NEW, made.POKER}
    assert free.where is None
    for where, paper in (("year<2020", OLD), ("author:doe", OLD), ("venue:nature", NEW), ("year>=2020", NEW)):
        found = rag.answer(PATH_X, library=known, where=where)
        assert {e.paper for e in found.evidence} == {paper} == set(found.numbers.values())
        assert (found.where.papers, found.where.of) == (1, 3)
        assert Answer.from_dict(json.loads(json.dumps(found.to_dict()))) == found
        assert [hit.paper for hit in rag.search(PATH_X, library=known, where=where)] == [paper]


def test_a_filter_in_a_question_is_used_and_not_searched(known):
    asked = rag.answer(f"{PATH_X} year>=2020", library=known)
    given = rag.answer(PATH_X, library=known, where="year>=2020")
    assert asked.question == f"{PATH_X} year>=2020"
    assert asked.query == PATH_X
    assert timeless(replace(asked, question=PATH_X)) == timeless(given)
    assert rag.search(f"{PATH_X} year>=2020", library=known) == rag.search(PATH_X, library=known, where="year>=2020")


def test_every_door_takes_a_filter(known):
    options = {"library": known, "where": "year>=2020"}
    given = rag.answer(PATH_X, **options)
    assert timeless(asyncio.run(rag.aanswer(PATH_X, **options))) == timeless(given)
    with rag.stream(PATH_X, **options) as pieces:
        assert "".join(pieces) == given.text
    assert timeless(pieces.answer) == timeless(given)
    one, other = rag.answer_many([PATH_X, f"{PATH_X} year<2021"], library=known, where="author:Doe")
    assert one.where.text == "author:Doe"
    assert other.where.text == "year<=2020 author:Doe"
    assert timeless(replace(other, where=None, question=PATH_X)) == timeless(replace(one, where=None))


def test_a_filter_that_leaves_nothing_is_a_refusal_that_says_why(known):
    refused = rag.answer(PATH_X, library=known, where="year>=2030")
    assert (refused.status, refused.citations, refused.evidence) == ("refused", (), ())
    assert refused.text == (
        "No paper of this library has year>=2030; its papers are of 2019 to 2023. Ask with another filter, or without."
    )
    assert rag.search(PATH_X, library=known, where="year>=2030") == ()
    assert "none of its 213 papers has a year" in rag.answer(f"{MEMORY} year>=2020").text


def test_a_refusal_within_a_filter_speaks_of_the_papers_it_left(known):
    one = rag.answer(NOT_HERE, library=known, where="year>=2020")
    assert one.text.startswith("The one paper with year>=2020 does not say. None is near it.")
    both = rag.answer(f"{NOT_HERE} year>=2000", library=known)
    assert both.text.startswith("The 2 papers with year>=2000 do not say.")
    assert both.text.endswith("Without the filter all 3 are asked.")
    assert both.where.silent == 1


def test_a_follow_up_neither_inherits_a_filter_nor_searches_its_words(known):
    first = rag.answer(f"{PATH_X} author:Doe", library=known)
    for turn in (first, first.to_dict(), (f"{PATH_X} author:Doe", first.text)):
        follow = rag.answer("and how fast is it?", library=known, history=[turn])
        assert follow.where is None
        assert "doe" not in follow.query.lower()
        assert "fast" in follow.query
        assert "S4" in follow.query or PATH_X in follow.query


@pytest.mark.parametrize("question", ["year>=2023", "author:Smith, year:2020?", 'where venue:"A B"'])
def test_a_question_that_is_only_a_filter_is_told(question):
    with pytest.raises(UsageError, match="asks nothing; add a question to it"):
        rag.answer(question)


@pytest.mark.parametrize("where", ["year>=abc", "", "author:", 2023])
def test_what_is_no_filter_is_told(where):
    with pytest.raises(UsageError, match="type"):
        rag.search(MEMORY, where=where)
