"""A chat model of one's own, and what it thinks: nothing of that is shown, whole or in pieces."""

from __future__ import annotations

import pytest
from serving import GOOD, POKER

import rag
from rag.models.chat import ChatModel, open_chat
from rag.models.deadline import Deadline
from rag.models.streamed import Part, Streamed
from rag.records import Reply, Usage

THOUGHT = "PokerBench has 11,000 important scenarios of poker play [1]. So I say that."
MUSING = "Okay, passage [1] has 11,000 scenarios. I should cite it."
ANSWER = "PokerBench holds 11,000 important scenarios of poker play. [1]"


class Scripted:
    """A `ChatModel` that says one reply after the other, a few characters at a time."""

    name = "mine"

    def __init__(self, *replies: str, size: int = 5) -> None:
        self._replies, self._size = list(replies), size
        self.deadlines: list[float] = []

    def _next(self) -> str:
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def ask(self, system: str, user: str, *, deadline: Deadline | None = None) -> Reply:
        self.deadlines.append(deadline.seconds if deadline else 0.0)
        return Reply(self._next(), Usage(1, 7, 3), "stop")

    def stream(self, system: str, user: str, *, deadline: Deadline | None = None) -> Streamed:
        text = self._next()
        parts = [Part(text[at : at + self._size]) for at in range(0, len(text), self._size)]
        return Streamed(iter([*parts, Part("", "stop", Usage(1, 7, 3))]))


def opened(*replies, **options):
    return open_chat(Scripted(*replies, **options), None, reply_tokens=9, temperature=None)


def test_an_object_with_a_name_that_can_be_asked_is_a_chat_model():
    model = Scripted(GOOD)
    assert isinstance(model, ChatModel)
    answer = rag.answer(POKER, model=model)
    assert (answer.text, answer.model, answer.usage) == (ANSWER, "mine", Usage(1, 7, 3))
    assert model.deadlines == [120.0]


@pytest.mark.parametrize("thought", [THOUGHT, MUSING])
@pytest.mark.parametrize(
    "form", ["<think>{}</think>", "{}</think>\n", "{}[/THINK]", "<|channel|>analysis<|message|>{}<|end|>"]
)
def test_no_thought_is_shown_and_the_pieces_are_the_answer(form, thought):
    reply = form.format(thought) + GOOD
    assert rag.answer(POKER, model=Scripted(reply)).text == ANSWER
    with rag.stream(POKER, model=Scripted(reply)) as pieces:
        shown = "".join(pieces)
    assert shown == pieces.answer.text
    assert shown.endswith(ANSWER)
    if thought is MUSING or not form.startswith("{}"):
        assert shown == ANSWER


def test_nothing_is_given_before_it_is_told_from_a_thought():
    chat = opened(f"{MUSING}</think>{GOOD}")
    assert "".join(chat.stream("s", "u")) == GOOD
    plain = opened(MUSING)
    assert list(plain.stream("s", "u")) == [MUSING]  # at the end, for then it was an answer


def test_a_model_that_was_seen_to_think_is_waited_for_from_then_on():
    chat = opened(f"{THOUGHT}</think>{GOOD}")
    first, second = list(chat.stream("s", "u")), list(chat.stream("s", "u"))
    assert "".join(first).rpartition("</think>")[2] == GOOD
    assert "".join(second) == GOOD
    after_a_whole = opened(f"{THOUGHT}</think>{GOOD}")
    assert after_a_whole.ask("s", "u").text == GOOD
    assert "".join(after_a_whole.stream("s", "u")) == GOOD


def test_an_answer_is_given_as_it_comes():
    """Once its first sentence cites; after a plain reply, and after thoughts that were told, from its first word."""
    pieces = list(opened(f"{GOOD} And more [2].").stream("s", "u"))
    assert len(pieces) > 2
    chat = opened("Yes. It is so.")
    assert [len(list(chat.stream("s", "u"))) for _ in range(2)] == [1, 3]
    assert len(list(opened(f"<think>{THOUGHT}</think>Yes. It is so.").stream("s", "u"))) == 3
