"""Errors say what is wrong; what to do is worded by the door that shows them."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from pathlib import Path

import pytest

import rag.errors
from rag.errors import PaperNotFound, RagError, UsageError
from rag.remedies import Remedy

ROOT = Path(__file__).parents[1]
DOORS = ("python", "terminal", "chat")
TYPED = re.compile(r"\brag [a-z]+\b|(?:^|[ '\"(])-{1,2}[a-z]+")  # what only a terminal takes
VALUES = {"library": "my papers", "id": "ab12", "where": "author:'X Y'", "server": "http://[::1]:1/v1", "seconds": "1,000", "model": "qwen3"}  # fmt: skip
CLASSES = [c for c in vars(rag.errors).values() if isinstance(c, type) and issubclass(c, RagError)]


@pytest.mark.parametrize("remedy", Remedy, ids=lambda remedy: remedy.name)
@pytest.mark.parametrize("door", DOORS)
def test_every_remedy_has_words_at_every_door(remedy, door):
    error = RagError("it is broken", remedy, **VALUES)
    assert re.fullmatch(r"it is broken; \S[^\n]{5,}", error.worded(door))
    assert not re.search(r"\{\w|\w\}", error.worded(door).replace("columns={", "").replace("}", ""))


@pytest.mark.parametrize("remedy", Remedy, ids=lambda remedy: remedy.name)
def test_in_python_nothing_is_to_be_typed_at_a_terminal_unless_that_is_said(remedy):
    said = str(RagError("it is broken", remedy, **VALUES))
    assert "at a terminal" in said.casefold() or not TYPED.search(said)
    assert "/papers" not in said


@pytest.mark.parametrize(
    ("door", "said"),
    [
        ("python", "no paper; its id is 'ab12'"),
        ("terminal", "no paper; type: rag show --library 'my papers' ab12"),
        ("chat", "no paper; type: /open ab12"),
    ],
)
def test_a_door_words_what_to_do(door, said):
    error = PaperNotFound("no paper", Remedy.SHOW_PAPER, id="ab12")
    assert error.worded(door, library="my papers") == said


def test_values_are_quoted_for_the_shell_and_for_python():
    error = RagError("damaged", Remedy.SEE_STATUS, library="a b'; rm -rf ~")
    assert error.worded("terminal") == """damaged; type: rag status --library 'a b'"'"'; rm -rf ~'"""
    assert str(error) == """damaged; rag.open_library("a b'; rm -rf ~").journal() tells what was done"""


def test_of_several_remedies_any_will_do():
    error = RagError("m refused to answer", Remedy.REPHRASE, Remedy.WITHOUT_MODEL)
    assert error.worded("terminal") == "m refused to answer; ask in other words, or leave --model out"
    assert str(RagError("is it there?", Remedy.AGAIN)) == "is it there? try again"
    assert str(RagError()) == ""


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling_whole(kind):
    error = kind("no paper", Remedy.SHOW_PAPER, id="ab12")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert type(other) is kind
        assert [other.worded(door) for door in DOORS] == [error.worded(door) for door in DOORS]


def test_no_room_but_the_command_line_tells_what_to_type_there():
    """Not in a raise: the error names a remedy, which each door words."""
    wrong = []
    for path in sorted((ROOT / "rag").rglob("*.py")):
        if path.parent.name in ("cli", "weights"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            said = (
                [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)] if isinstance(node, ast.Raise) else []
            )
            wrong += [
                f"{path.name}:{node.lineno}: {text}" for text in said if isinstance(text, str) and TYPED.search(text)
            ]
    assert wrong == []


def test_an_empty_question_is_told_a_python_caller_in_python():
    with pytest.raises(UsageError, match=r"^the question is empty; ask something, in words$"):
        rag.answer(" ")
