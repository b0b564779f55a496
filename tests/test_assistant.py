"""The public contract: `answer`, `aanswer`, `stream` and `search` over the shipped abstracts, for real."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import made
import pytest

import rag
from rag import Answer, Cancelled, FrozenMap, LibraryMissing, RagError, UsageError
from rag.assistant import LONGEST_QUESTION, open_assistant
from rag.settings import load
from rag.text import readable

PATH_X = "Which layer first solved Path-X?"
POKER = "How many poker scenarios does PokerBench contain?"
NOT_HERE = "What is the best recipe for sourdough bread?"
STAGES = ["followup", "retrieve", "rerank", "synthesize", "verify"]


def timeless(answer):
    """An answer without what differs from one run to the next."""
    return replace(answer, seconds=FrozenMap())


@pytest.fixture(scope="module")
def path_x():
    return rag.answer(PATH_X)


@pytest.fixture(scope="module")
def refused():
    return rag.answer(NOT_HERE)


@pytest.fixture
def small(tmp_path):
    return made.library(tmp_path / "small", made.S4, made.FLASH)


# --- an answer ----------------------------------------------------------------------------------


def test_an_answer_is_sentences_with_marks_and_every_mark_is_a_verbatim_quote(path_x):
    assert path_x.status == "answered"
    assert str(path_x) == path_x.text
    assert "Path-X" in path_x.text
    assert {int(n) for n in re.findall(r"\[(\d+)\]", path_x.text)} == {c.number for c in path_x.citations}
    assert all(c.paper.abstract[c.start : c.end] == c.quote for c in path_x.citations)
    assert [path_x.text[claim.start : claim.end] for claim in path_x.claims] == [c.text for c in path_x.claims]
    assert all(claim.verdict == "quoted" and claim.citations for claim in path_x.claims)
    quotes = {readable(citation.quote) for citation in path_x.citations}
    assert {claim.text for claim in path_x.claims} <= quotes


def test_an_answer_says_what_made_it(path_x):
    assert (path_x.question, path_x.query, path_x.model) == (PATH_X, PATH_X, "extractive")
    assert list(path_x.seconds) == STAGES
    assert all(0 <= seconds < 60 for seconds in path_x.seconds.values())
    assert path_x.usage.calls == 0
    assert {"dense", "lexical", "retrieve", "rerank"} <= set(path_x.trace)
    assert all([t.rank for t in path_x.trace[stage]] == sorted(t.rank for t in path_x.trace[stage]) for stage in STAGES if stage in path_x.trace)  # fmt: skip
    assert [t.id for t in path_x.trace["rerank"]] == [e.chunk.id for e in path_x.evidence]
    assert {c.paper.id for c in path_x.citations} <= {e.paper.id for e in path_x.evidence}
    assert re.fullmatch(r"[0-9a-f]{12}", path_x.run)
    assert path_x.citations[0].paper.sources


def test_numbers_go_from_one_in_order_of_first_mention(path_x):
    marks = [int(n) for n in re.findall(r"\[(\d+)\]", path_x.text)]
    assert list(dict.fromkeys(marks)) == list(range(1, max(marks) + 1))
    assert list(path_x.numbers) == list(dict.fromkeys(marks))


def test_a_refusal_cites_nothing_and_names_the_nearest_papers(refused):
    assert refused.status == "refused"
    assert (refused.claims, refused.citations, refused.numbers) == ((), (), {})
    assert not re.search(r"\[\d+\]", refused.text)
    nearest = [readable(e.paper.title) for e in refused.evidence[:3]]
    assert len(nearest) == 3
    assert all(title in refused.text for title in nearest)


def test_the_same_question_gives_the_same_answer(path_x):
    assert timeless(rag.answer(PATH_X)) == timeless(path_x)
    afresh = open_assistant(load())
    assert timeless(afresh.answer(PATH_X)) == timeless(path_x)
    afresh.close()


@pytest.mark.parametrize("which", ["path_x", "refused"])
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


def test_answer_works_inside_a_running_event_loop(path_x):
    async def notebook():
        return rag.answer(PATH_X)

    assert timeless(asyncio.run(notebook())) == timeless(path_x)


def test_aanswer_is_answer_and_several_run_at_once(path_x):
    async def both():
        return await asyncio.gather(rag.aanswer(PATH_X), rag.aanswer(POKER), rag.aanswer(PATH_X, k=3))

    first, second, third = asyncio.run(both())
    assert timeless(first) == timeless(path_x)
    assert timeless(second) == timeless(rag.answer(POKER))
    assert len(third.evidence) == 3


def test_a_cancelled_task_does_not_wait_for_the_model():
    entered, go_on, left = threading.Event(), threading.Event(), []

    class Slow:
        def chat(self, messages):
            entered.set()
            go_on.wait(20)
            left.append("chat")
            raise RuntimeError("the caller is gone")

    async def cancelled():
        task = asyncio.create_task(rag.aanswer(PATH_X, model=Slow()))
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
        assistant.answer(PATH_X, cancelled=third_time)
    assert assistant.answer(PATH_X).status == "answered"
    assistant.close()


def test_threads_share_one_assistant(path_x):
    questions = [PATH_X, POKER, NOT_HERE] * 2
    alone = {question: timeless(rag.answer(question)) for question in set(questions)}
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(rag.answer, questions))
    assert [timeless(answer) for answer in found] == [alone[question] for question in questions]


def test_a_stream_gives_whole_sentences_that_join_to_the_text(path_x):
    with rag.stream(PATH_X) as pieces:
        said = list(pieces)
    assert "".join(said) == pieces.answer.text == path_x.text
    assert len(said) == len(path_x.claims) > 1
    assert all(claim.text in piece for claim, piece in zip(path_x.claims, said, strict=True))
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
    assert all(hit.found and {f.search for f in hit.found} <= {"dense", "lexical"} for hit in hits)
    assert {f.search for f in hits[0].found} == {"dense", "lexical"}


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
        door(PATH_X, k=k)


def test_a_library_that_is_not_there_is_told(tmp_path):
    for door in (rag.answer, rag.search):
        with pytest.raises(LibraryMissing, match="no library at"):
            door(PATH_X, library=str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_an_error_of_ours_is_a_rag_error():
    with pytest.raises(RagError):
        asyncio.run(rag.aanswer(""))


# --- history ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", [lambda a: a, lambda a: a.to_dict(), lambda a: json.loads(json.dumps(a.to_dict()))], ids=str
)
def test_history_may_be_answers_or_their_dicts(path_x, form):
    follow = rag.answer("And what accuracy on sequential CIFAR-10?", history=[form(path_x)])
    assert follow.question == "And what accuracy on sequential CIFAR-10?"
    assert follow.query != follow.question
    assert "91%" in follow.text
    assert timeless(follow) == timeless(rag.answer(follow.question, history=[path_x]))


def test_history_may_be_pairs():
    pair = ("How many poker scenarios does PokerBench contain?", "It holds 11,000.")
    follow = rag.answer("And which models were evaluated?", history=[pair])
    assert "poker" in follow.query.lower()
    assert follow.citations[0].paper.title.startswith("PokerBench")


def test_a_paper_keeps_its_number_over_the_turns_and_new_ones_go_on(path_x):
    second = rag.answer(POKER, history=[path_x])
    third = rag.answer("Which model solves the Path-X task of length 16k?", history=[path_x, second])
    taken = {paper.id: number for number, paper in path_x.numbers.items()}
    new = [number for number, paper in second.numbers.items() if paper.id not in taken]
    assert new[0] == max(taken.values()) + 1
    given = {}
    for turn in (path_x, second, third):
        for number, paper in turn.numbers.items():
            assert given.setdefault(paper.id, number) == number
    assert len(set(given.values())) == len(given)
    assert f"[{taken['005efae14363']}]" in third.text


def test_a_question_that_stands_alone_is_answered_as_without_history(path_x):
    assert rag.answer(POKER, history=[path_x]).query == POKER
    assert rag.answer(NOT_HERE, history=[path_x]).status == "refused"


@pytest.mark.parametrize("history", [[1], [{}], "text", [("one",)]])
def test_what_is_no_history_is_told(history):
    with pytest.raises(UsageError, match="history"):
        rag.answer(PATH_X, history=history)


# --- libraries ----------------------------------------------------------------------------------


def test_a_library_of_ones_own_is_asked_by_path_and_by_environment(small, monkeypatch):
    assert {hit.paper for hit in rag.search("Path-X", library=small)} == {made.S4, made.FLASH}
    monkeypatch.setenv("RAG_LIBRARY", str(small))
    answer = rag.answer("Which model solves Path-X, which all prior work fails on?")
    assert answer.citations[0].paper == made.S4
    assert rag.answer(POKER).status == "refused"


def test_another_library_another_run(path_x, small):
    assert rag.answer(PATH_X, library=small).run != path_x.run


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
    answer = rag.answer(PATH_X, library=empty)
    assert answer.status == "refused"
    assert "no paper" in answer.text
    assert rag.search(PATH_X, library=empty) == ()


def test_a_library_of_another_embedder_is_told(tmp_path):
    from rag.library import Library, writer

    with writer(tmp_path / "other"):
        Library.create(tmp_path / "other", "another-model", 3).close()
    with pytest.raises(RagError, match="another-model"):
        rag.answer(PATH_X, library=tmp_path / "other")
