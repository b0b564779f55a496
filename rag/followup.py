"""Earlier turns + a question -> a question that stands alone.

A follow-up leaves out what was said before ("and its cost?"). When a question leans on the turns
before it (a pronoun, an opening like "and" or "what about", or next to no words of its own), the
last question and the title of the paper cited first there join what is searched; with a mark like
[2] the title of that paper does. A question that stands alone is searched as it is, so that a
change of topic is not dragged back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.errors import UsageError
from rag.records import Answer, Paper
from rag.text import folded, readable, terms

REACH = 3  # turns gone back to find what a question leans on
OWN_TERMS = 2  # a question with at most this many words of its own leans on what was said before
TITLES = 1  # "it" is the paper cited first
_LEANS = re.compile(
    r"^\s*(?:and|but|so|also|or|what about|how about|what else|why|why not|how so|really|then)\b|"
    r"\b(?:it|its|they|their|them|this|these|those|he|she|the same|(?:this|that|which) one|the (?:first|second|third|"
    r"other|former|latter|last)(?: one| paper)?)\b|"
    r"\b(?:is|was|does|did|of|about|than|like|with|why) that\b|\bthat (?:paper|model|method|work|result)\b|\bthat\W*$",
    re.IGNORECASE,
)
_TYPED = re.compile(r"(?<![\w-])[^\W\d_]+(?![\w-])")
_NAMED = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier question with its answer; `papers` are those cited, by number."""

    question: str
    text: str
    papers: tuple[tuple[int, Paper], ...] = ()


def turns(history: Sequence[Any]) -> tuple[Turn, ...]:
    """Turns from Answers, their dicts, or (question, text) pairs, oldest first. Raises UsageError."""
    if isinstance(history, (Answer, Mapping, str)):
        raise UsageError(f"history is one {type(history).__name__}, not a list of turns; give history=[...]")
    return tuple(_turn(item) for item in history)


def _turn(item: Any) -> Turn:
    try:
        if isinstance(item, Mapping):
            item = Answer.from_dict(item)
        if isinstance(item, Answer):
            return Turn(item.question, item.text, tuple(item.numbers.items()))
        question, text = item if not isinstance(item, str) else (None, None)
        if isinstance(question, str) and isinstance(text, str):
            return Turn(question, text)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"history holds no Answer, dict of one, or (question, text) pair: {error}") from error
    raise UsageError(f"history holds {type(item).__name__}; give Answers, their dicts, or (question, text) pairs")


def stand_alone(question: str, history: Sequence[Turn]) -> str:
    """The question to search: as asked, or with what the earlier turns were about."""
    if not history or not leans(question):
        return question
    cited = {number: paper for turn in history for number, paper in turn.papers}
    named = [cited[int(n)] for n in _NAMED.findall(question) if int(n) in cited]
    leant = [] if named else _leant_on(history)
    papers = named or [paper for turn in leant for _, paper in turn.papers][:TITLES]
    own = " ".join(_NAMED.sub(" ", question).split())
    return " ".join([own, *(turn.question for turn in leant), *(readable(paper.title) for paper in papers)])


def _leant_on(history: Sequence[Turn]) -> list[Turn]:
    """The turns a question leans on, latest first: back to one that names papers or stands alone."""
    found: list[Turn] = []
    for turn in reversed(history[-REACH:]):
        found.append(turn)
        if turn.papers or not leans(turn.question):
            break
    return found


def respelled(question: str, spelled: Callable[[str], str | None]) -> str:
    """The question with slips of typing mended; `spelled` gives the word that was meant, or None.

    A capitalised word is a name, and stays.
    """
    return _TYPED.sub(lambda word: (not word[0].istitle() and spelled(folded(word[0]))) or word[0], question)


def leans(question: str) -> bool:
    """Does the question need an earlier turn to be understood?"""
    return bool(_LEANS.search(question) or _NAMED.search(question)) or len(set(terms(question))) <= OWN_TERMS


def numbers(history: Sequence[Turn]) -> dict[str, int]:
    """The numbers that papers already have, by paper id; the first one given stays, and names one paper only."""
    given: dict[str, int] = {}
    for turn in history:
        for number, paper in turn.papers:
            if number not in given.values():
                given.setdefault(paper.id, number)
    return given
