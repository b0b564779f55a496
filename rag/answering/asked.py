"""What is asked, as it goes from stage to stage: earlier turns, the query that a question stands for, a plan for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag.records import Paper

Kind = Literal["fact", "several", "list", "comparison"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier question with its answer; `papers` are those cited, by number, `quoted` the quotes' starts."""

    question: str
    text: str
    papers: tuple[tuple[int, Paper], ...] = ()
    quoted: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched, and what the question itself asks.

    `text` is the stand-alone form, `own` the question as asked. The answer is expected in `papers`, the
    likeliest first (none: anywhere; two: both, they are compared) and not in those whose ids are in `without`.
    """

    text: str
    own: str
    papers: tuple[Paper, ...] = ()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """`question` stands alone, in its own language; `queries` are searched beside it, in English; `kind` of answer."""

    question: str
    queries: tuple[str, ...] = ()
    kind: Kind = "fact"
