"""Follow-ups of two and three turns, asked without a model: is the paper they mean the one cited first?

The cases are the follow-up rows of `evals/train.jsonl`: every earlier question is asked, too, and what it was
answered is what the follow-up leans on. None of them is in the gold set.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from running import ROOT

from evals.gold import Question, load
from rag import Answer
from rag.answering.assistant import Assistant
from rag.answering.opening import open_assistant
from rag.settings import load as settings

SHARE = 0.8  # of the cases, at least


@pytest.fixture(scope="module")
def assistant() -> Assistant:
    return open_assistant(settings(model="extractive"))


@pytest.fixture(scope="module")
def outcomes(assistant) -> list[tuple[Question, bool, bool]]:
    """(case, right with what was said before, right without it)."""
    rows = [row for row in load(ROOT / "evals" / "train.jsonl") if row.kind == "followup" and row.essential]
    return [
        (row, _right(row, assistant.answer(row.question, _asked(assistant, row.history))), _right(row, assistant.answer(row.question)))
        for row in rows
    ]  # fmt: skip


def _asked(assistant: Assistant, questions: Sequence[str]) -> list[Answer]:
    history: list[Answer] = []
    for question in questions:
        history.append(assistant.answer(question, history))
    return history


def _right(row: Question, answer: Answer) -> bool:
    return bool(answer.citations) and answer.citations[0].paper.id in row.essential


def test_there_are_enough_cases_of_two_and_of_three_turns(outcomes):
    assert len(outcomes) >= 60
    assert {len(row.history) for row, _, _ in outcomes} == {1, 2}


def test_most_follow_ups_cite_the_paper_they_mean_first(outcomes):
    wrong = [row.id for row, right, _ in outcomes if not right]
    assert len(wrong) <= (1 - SHARE) * len(outcomes), wrong


def test_what_was_said_before_helps(outcomes):
    assert sum(right for _, right, _ in outcomes) >= sum(raw for _, _, raw in outcomes)


PATH_X = ("Which sequence model first solved Path-X?", "How does FlashAttention do on Path-X?")
S4, FLASH = "005efae14363", "ab71d384aa75"


@pytest.mark.parametrize(
    ("question", "papers"),
    [
        ("and its cost?", [FLASH]),
        ("what about [1]?", [S4]),
        ("the other paper: what does it score on CIFAR-10?", [S4]),
        ("the other one, is it fast?", [S4]),
        ("how fast is the first one?", [S4]),
        ("and the second one?", [FLASH]),
        ("compare with the first one", [FLASH, S4]),
        ("compare it with the second one", [FLASH, S4]),
        ("how does [1] differ from [2]?", [FLASH, S4]),
        ("Which benchmark tests poker playing of language models?", ["6cbbc2f613df"]),
        ("How much faster is checkpointing with DataStates-LLM?", ["efc83f86da15"]),
        ("What does PokerBench hold?", ["6cbbc2f613df"]),
    ],
)
def test_what_a_reader_points_at_on_screen(assistant, question, papers):
    answer = assistant.answer(question, _asked(assistant, PATH_X))
    assert sorted({citation.paper.id for citation in answer.citations}) == sorted(papers)


def test_a_question_for_a_list_is_a_topic_of_its_own(assistant):
    question = "Which papers are about speculative decoding?"
    assert assistant.answer(question, _asked(assistant, PATH_X)).query == question
