"""The gold set: questions with what a right answer must state and cite.

One JSON object a line; empty lines and lines that begin with "#" are left out. The shipped `gold.jsonl` was
written by hand from reading the abstracts (`card.md` says how, and where it is weak). `load` validates every
row; each problem names file and line. A row's (id, rev) is its identity: an id is never used again, and any edit of a row raises its rev, so that
a comparison never pairs two different questions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .match import check

GOLD = Path(__file__).parent / "gold.jsonl"
Kind = Literal[
    "single", "multi", "list", "unanswerable", "followup", "robustness",
    "definition", "comparison", "mention", "detail", "act",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
LISTS: tuple[Kind, ...] = ("list", "mention")  # right by the papers cited; may name no fact
Split = Literal["dev", "gate"]


class GoldError(Exception):
    """The gold set cannot be used; the text names file and line."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _checked(match: dict[str, Any] | None) -> dict[str, Any] | None:
    if match is not None:
        check(match)
    return match


class Support(_Row):
    """A verbatim quote that states a fact, and the id of the paper it stands in."""

    paper: str
    quote: str = Field(min_length=1)


class Fact(_Row):
    """One atomic thing a right answer states; `vital` ones must all be there."""

    id: str
    text: str
    match: dict[str, Any]
    support: tuple[Support, ...] = Field(min_length=1, strict=False)
    vital: bool = True

    _checked = field_validator("match")(_checked)


class Forbidden(_Row):
    """What a typical wrong answer says."""

    text: str
    why: str
    match: dict[str, Any] | None = None

    _checked = field_validator("match")(_checked)


class Question(_Row):
    """One row. `papers` grades papers by id: 2 answers, 1 acceptable to cite, 0 a hard negative.

    `history` holds the questions asked before, oldest first; `variants` other wordings of the same
    question; `missing` what the library lacks, for questions that it does not answer; `group` the
    cluster whose rows are resampled together and share a split.

    Kinds as people ask: `definition` ("what is X?"), `comparison` (two papers), `mention` (every paper
    that names X), `detail` (one figure, licence, maker ... of a named system; `missing` when its
    abstract, which then has grade 1, does not give it) and `act` ("thanks": nothing is asked).
    """

    id: str = Field(pattern=r"^[a-z]{2}\d{3}$")
    rev: int = Field(ge=1)
    question: str = Field(min_length=1)
    kind: Kind
    split: Split
    group: str = Field(min_length=1)
    history: tuple[str, ...] = Field(default=(), strict=False)
    variants: tuple[str, ...] = Field(default=(), strict=False)
    papers: dict[str, Literal[0, 1, 2]] = {}
    facts: tuple[Fact, ...] = Field(default=(), strict=False)
    reference: str = ""
    forbidden: tuple[Forbidden, ...] = Field(default=(), strict=False)
    missing: str | None = None
    tags: tuple[str, ...] = Field(default=(), strict=False)
    notes: str = ""

    @property
    def answerable(self) -> bool:
        """Does the library hold the answer?"""
        return self.missing is None

    @property
    def essential(self) -> frozenset[str]:
        """The papers a right answer must cite."""
        return frozenset(paper for paper, grade in self.papers.items() if grade == 2)

    @property
    def acceptable(self) -> frozenset[str]:
        """The papers a right answer may cite."""
        return frozenset(paper for paper, grade in self.papers.items() if grade >= 1)


def load(path: Path = GOLD) -> tuple[Question, ...]:
    """The questions of a gold file. Raises GoldError naming the first line that is wrong."""
    lines = lines_in(path)
    questions = tuple(_question(path, number, line) for number, line in enumerate(lines, 1) if says(line))
    if not questions:
        raise GoldError(f"{path}: holds no question; add some with: rag gold add {path}")
    return questions


def lines_in(path: Path) -> list[str]:
    """The lines of a file, as an editor counts them: a text may hold characters that Python takes for a line's end.

    Raises GoldError when it cannot be read.
    """
    try:
        return path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise GoldError(f"{path}: cannot be read: {error}") from error


def question_of(line: str) -> Question:
    """The row of one line. Raises GoldError."""
    return _question(Path("row"), 1, line)


def lines_of(path: Path) -> dict[str, int]:
    """The line of each row by its id, the first one where it stands twice; only of a file that `load` takes."""
    found: dict[str, int] = {}
    for number, line in enumerate(lines_in(path), 1):
        if says(line):
            found.setdefault(json.loads(line)["id"], number)
    return found


def says(line: str) -> bool:
    """Is a line of the file a row?"""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _question(path: Path, number: int, line: str) -> Question:
    try:
        return Question.model_validate(json.loads(line))
    except json.JSONDecodeError as error:
        raise GoldError(f"{path.name}:{number}: not JSON: {error.msg} at column {error.colno}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "row"
        raise GoldError(f"{path.name}:{number}: {where}: {first['msg']}") from error
