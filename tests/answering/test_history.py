"""What was said before, in every form that callers keep it in."""

from __future__ import annotations

import pytest
from made import S4

from rag.answering.history import turns
from rag.errors import UsageError
from rag.records import STRUCK, Answer, Citation, Claim, FrozenMap, Usage


def said(role, content):
    return {"role": role, "content": content}


def test_messages_are_turns_of_a_question_and_its_answer():
    history = [
        said("system", "You are kind."),
        said("assistant", "Hello!"),
        said("user", "Which layer solved Path-X? year>=2020"),
        said("assistant", [{"type": "text", "text": "S4 did."}]),
        said("tool", "{}"),
        said("user", "Is it fast?"),
        said("user", "Is it, then?"),
        said("assistant", None),
        said("assistant", "Yes."),
        said("user", "nobody answered this"),
    ]
    assert [(turn.question, turn.text) for turn in turns(history)] == [
        ("Which layer solved Path-X?", "S4 did."),
        ("Is it, then?", "Yes."),
    ]


def test_messages_mix_with_pairs():
    mixed = [("Which?", "S4."), said("user", "Fast?"), said("assistant", "Yes."), ["Cheap?", "No."]]
    assert [turn.text for turn in turns(mixed)] == ["S4.", "Yes.", "No."]


def test_what_was_taken_out_is_no_part_of_what_was_said():
    claim = Claim("S4 is a state space model.", 0, 26, (Citation(1, S4, "S4", 36, 38),), "supported", "")
    gone = Claim("S4 cures colds.", 0, 0, (), "unsupported", "no")
    text = f"S4 is a state space model. [1]\n\n{STRUCK}S4 cures colds.{STRUCK}  (no)"
    answer = Answer("What is S4?", "", text, "answered", (claim,), (gone,), claim.citations, (), "m", Usage(1),
                    FrozenMap(), FrozenMap(), "r")  # fmt: skip
    assert turns([answer])[0].text == answer.verified == "S4 is a state space model. [1]"


@pytest.mark.parametrize(
    ("history", "told"),
    [
        ([said("user", 3)], "content is int; give text"),
        ([said("user", [{"type": "image", "text": 3}])], "content is list; give text"),
        ([{"content": "x"}], "holds no Answer, dict of one, pair or message"),
        (said("user", "x"), "history is one dict, not a list"),
        (["x"], r'holds str; give Answers, their dicts, \(question, text\) pairs, or {"role"'),
    ],
)
def test_what_is_none_of_them_is_told(history, told):
    with pytest.raises(UsageError, match=told):
        turns(history)
