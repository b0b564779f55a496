"""Many questions at once: the same answers, fewer calls, and a vote where a prompt was shared."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import GOOD, NOT_HERE, POKER

import rag
from rag import Answer, Cancelled, ModelError, UsageError
from rag.answering.batch import LEAST, MOST, PAPERS, ROUNDS, answers, elected, groups, orders, tried
from rag.records import Claim

ABOUT_POKER = (
    POKER,
    "Is GPT-4 any good at poker, going by PokerBench?",
    "Who developed PokerBench's poker scenarios?",
    "What does fine-tuning do to poker models on PokerBench?",
    "Does PokerBench tell pre-flop from post-flop play?",
)
LAYER = "Which layer first solved Path-X?"


# --- who shares a prompt ------------------------------------------------------------------------


def test_questions_that_lead_to_the_same_papers_share_a_prompt_if_that_saves_calls():
    same, other = ["a", "b", "c", "d"], ["x", "y"]
    assert groups([same, other, same, same, same]) == [[0, 2, 3, 4], [1]]
    assert groups([same] * (LEAST - 1)) == [[at] for at in range(LEAST - 1)]
    assert groups([]) == []
    assert groups([[], [], [], []]) == [[0], [1], [2], [3]]


ids = st.lists(st.sampled_from("abcdefghijklmnop"), max_size=8, unique=True)


@given(st.lists(ids, max_size=30))
def test_every_question_is_in_one_group_and_no_group_is_too_large(papers):
    found = groups(papers)
    assert sorted(at for group in found for at in group) == list(range(len(papers)))
    for group in found:
        assert len(group) == 1 or LEAST <= len(group) <= MOST
        assert len(group) == 1 or len({paper for at in group for paper in papers[at]}) <= PAPERS


@pytest.mark.parametrize("size", [4, 5, 8])
def test_each_order_is_another_and_holds_everybody(size):
    found = orders(size)
    assert len(found) == ROUNDS == len({tuple(order) for order in found})
    assert all(sorted(order) == list(range(size)) for order in found)
    assert all(len({order.index(at) for order in found}) == ROUNDS for at in range(size))


def claims(*texts):
    return tuple(Claim(text, 0, 0, (), "supported", "") for text in texts)


def test_the_draft_that_the_others_agree_with_stands():
    one, odd = claims("PokerBench holds 11,000 scenarios."), claims("Poker needs luck.")
    close = claims("PokerBench holds 11,000 important scenarios.")
    assert elected([odd, one, close]) == 1
    assert elected([one, odd, close]) == 0
    assert elected([one]) == 0


def test_when_most_drafts_hold_nothing_none_stands():
    one = claims("PokerBench holds 11,000 scenarios.")
    assert elected([(), one, ()]) is None
    assert elected([one, (), one]) == 0
    assert elected([(), one]) is None
    assert elected([()]) is None


# --- without a model ----------------------------------------------------------------------------


def timeless(answer):
    return {name: value for name, value in answer.to_dict().items() if name != "seconds"}


def test_the_answers_are_those_of_each_question_alone():
    asked = [POKER, NOT_HERE, LAYER, POKER]
    assert [timeless(a) for a in rag.answer_many(asked)] == [timeless(rag.answer(q)) for q in asked]


def test_no_question_no_answer():
    assert rag.answer_many([]) == ()


def test_what_is_no_question_has_an_error_in_its_place():
    poker, empty, number = rag.answer_many([POKER, " ", 3])
    assert timeless(poker) == timeless(rag.answer(POKER))
    assert (type(empty), str(empty)) == (UsageError, "the question is empty; ask something, in words")
    assert (type(number), str(number)) == (UsageError, "the question is int, not text")
    with pytest.raises(UsageError, match=r"one text, not a list of them; give \[question\]"):
        rag.answer_many(POKER)


# --- with one -----------------------------------------------------------------------------------


class Model:
    """Answers each question that it is shown by `say(question, round)`; None leaves it out."""

    def __init__(self, say):
        self.metadata = SimpleNamespace(model_name="canned")
        self.asked = []
        self._say = say

    def chat(self, messages):
        user = messages[1].content
        questions = re.findall(r"^Q\d+: (.*)$", user, re.MULTILINE)
        alone = re.findall(r"^Question: (.*)$", user, re.MULTILINE)
        self.asked.append(questions or alone)
        number = next(iter(re.findall(r"^\[(\d+)\] PokerBench", user, re.MULTILINE)), "1")
        said = [(n, self._say(q, len(self.asked))) for n, q in enumerate(questions or alone, 1)]
        lines = [f"Q{n}: {text}" if questions else text for n, text in said if text is not None]
        text = "\n".join(lines).replace("[1]", f"[{number}]")
        usage = SimpleNamespace(prompt_tokens=100, completion_tokens=10)
        return SimpleNamespace(message=SimpleNamespace(content=text), raw=SimpleNamespace(usage=usage))


def test_questions_on_one_paper_share_three_calls_each_in_another_order():
    model = Model(lambda question, turn: GOOD if question == POKER else "NOT IN THIS LIBRARY")
    answers = rag.answer_many(ABOUT_POKER, model=model, k=1)
    shared, alone = model.asked[:ROUNDS], model.asked[ROUNDS:]
    assert len({tuple(order) for order in shared}) == ROUNDS
    assert {tuple(sorted(order)) for order in shared} == {tuple(sorted(ABOUT_POKER))}
    assert alone == []  # who finds no answer is believed
    assert [a.question for a in answers] == list(ABOUT_POKER)
    assert [a.status for a in answers] == ["answered"] + ["refused"] * 4
    assert "11,000" in answers[0].text
    assert answers[0].citations[0].paper.title.startswith("PokerBench")
    assert sum(a.usage.calls for a in answers) == len(model.asked)


def test_questions_share_calls_at_the_usual_number_of_papers():
    model = Model(lambda question, turn: GOOD)
    answers = rag.answer_many([*ABOUT_POKER, NOT_HERE], model=model)
    assert sorted(map(len, model.asked))[-ROUNDS:] == [len(ABOUT_POKER)] * ROUNDS
    assert len(model.asked) < 2 * len(ABOUT_POKER)
    assert all("11,000" in answer.text for answer in answers[:-1])


def test_a_slip_in_one_order_is_outvoted():
    slip = "PokerBench holds 12,000 important scenarios of poker play [1]."
    other = (
        "We introduce PokerBench, a benchmark for evaluating the poker-playing abilities of large language models [1]."
    )
    model = Model(lambda question, turn: slip if turn == 1 else GOOD if turn == 2 else other + " " + GOOD)
    answer = rag.answer_many(ABOUT_POKER, model=model, k=1)[0]
    assert "11,000" in answer.text
    assert "12,000" not in answer.text


def test_who_is_forgotten_is_asked_alone():
    model = Model(lambda question, turn: None if question == POKER and turn <= ROUNDS else GOOD)
    answers = rag.answer_many(ABOUT_POKER, model=model, k=1)
    assert model.asked[ROUNDS:] == [[POKER]]
    assert "11,000" in answers[0].text


def test_one_failure_takes_nothing_from_the_others():
    def say(question, turn):
        if question == LAYER:
            raise RuntimeError("no luck")
        return GOOD

    poker, layer = rag.answer_many([POKER, LAYER], model=Model(say))
    assert isinstance(poker, Answer)
    assert isinstance(layer, ModelError)
    assert "no luck" in str(layer)


# --- answers to a batch -------------------------------------------------------------------------


class Line:
    """Stands for the line of one question: says who answered what, and how often each was begun."""

    def __init__(self, ask):
        self.ask, self.begun = ask, []

    def answers(self, cases, papers=lambda case: ["a"]):
        return answers(
            cases, papers, begin=self.begin, alone=lambda case: f"alone {case}", ask=self.ask,
            vote=lambda drafts, case: f"{len(drafts)} drafts of {case}",
        )  # fmt: skip

    def begin(self, case):
        self.begun.append(case)
        return case


NAMES = [f"q{n}" for n in range(LEAST)]


def test_a_group_is_asked_in_every_order_and_its_drafts_vote():
    asked = []
    line = Line(lambda group: asked.append(list(group)) or [f"draft of {case}" for case in group])
    assert line.answers(NAMES) == tuple(f"{ROUNDS} drafts of {name}" for name in NAMES)
    assert len(asked) == ROUNDS
    assert all(sorted(group) == NAMES for group in asked)


def test_questions_about_other_papers_and_those_without_a_draft_are_answered_alone():
    line = Line(lambda group: [None if case == "q1" else "draft" for case in group])
    found = line.answers([*NAMES, "other"], lambda case: [case] if case == "other" else ["a"])
    assert found[1] == "alone q1"
    assert found[-1] == "alone other"
    assert found[0] == f"{ROUNDS} drafts of q0"
    assert line.begun.count("q1") == 2  # its time begins anew


def test_an_error_is_the_answer_of_all_who_share_it_and_of_no_other():
    def fails(group):
        raise ModelError("down")

    found = Line(fails).answers([*NAMES, "other"], lambda case: [case] if case == "other" else ["a"])
    assert [str(one) for one in found] == ["down"] * len(NAMES) + ["alone other"]


def test_an_error_of_one_vote_is_the_answer_of_that_one():
    def vote(case):
        if case == "bad":
            raise ModelError("down")
        return case

    assert [str(tried(vote, case)) for case in ("good", "bad")] == ["good", "down"]


def test_whoever_cancels_gets_no_answers():
    def cancelled(group):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        Line(cancelled).answers(NAMES)
