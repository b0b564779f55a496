"""What a reply says aloud, however it is cut: no thoughts, no tool calls, no envelope of JSON."""

from __future__ import annotations

import pytest

from rag.models.spoken import Spoken


class Text:
    """Takes what is said."""

    def __init__(self):
        self.said = ""

    @property
    def at_start(self):
        return not self.said.rpartition("\n")[2].strip()

    def take(self, char):
        self.said += char

    def restart(self):
        self.said = ""


def said(reply, size=1):
    text = Text()
    spoken = Spoken(text)
    for at in range(0, len(reply), size):
        spoken.feed(reply[at : at + size])
    spoken.close()
    return text.said.strip()


@pytest.mark.parametrize(
    ("reply", "aloud"),
    [
        ("It does.", "It does."),
        ("<think>Hm.</think>It does.", "It does."),
        ("Hm.</think>It does.", "It does."),
        ("It does.<reasoning>and so", "It does."),
        ('{"answer": "It does."}', "It does."),
        ('<tool_call>{"answer": "It does."}</tool_call>', "It does."),
        ('{"answer": "It do', "It do"),
        ("The set {1, 2} is small, 1 < 2 and a<b.", "The set {1, 2} is small, 1 < 2 and a<b."),
        ('{"answer": "It does.", "citations": [1, 3]}', "It does.\n[1, 3]"),
    ],
)
def test_what_is_said_aloud(reply, aloud):
    assert {said(reply, size) for size in (1, 3, 1000)} == {aloud}
