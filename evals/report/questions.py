"""One question at a time: what each run answered, what became of it, and where a fact was lost.

A Reply is one side (the sample that went wrong, if any did), an Item both sides with the word for
what changed. Differences are marked in pieces of text, never in markup, so that each format escapes
them in its own way; everything from an answer or an abstract passes through `printable` here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rag.records import Paper
from rag.text import printable, readable

from .. import metrics
from ..compare import Comparison
from ..gold import Fact, Question
from ..records import Record, Run

RIGHT, WRONG, OVER_REFUSED = "right", "wrong", "wrongly refused"
REFUSED, FALSE_ANSWER = "rightly refused", "wrongly answered"
ERROR = "error"
GOOD = (RIGHT, REFUSED)
HOW = ("broken", "newly flaky", "error", "fixed", "changed")  # the order of interest
ALIKE = 3  # words in a row that must be equal to count as kept: fewer are confetti


class Piece(NamedTuple):
    """A stretch of text that is marked (changed, or quoted) or not."""

    text: str
    marked: bool


class Rank(NamedTuple):
    """Where a paper stood (1 is best) among those found and in the evidence; None: not there."""

    found: int | None
    evidence: int | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What one run answered to one question; with several samples, the first that was not right."""

    outcome: str
    right: int
    samples: int
    text: str
    citations: tuple[Mapping[str, Any], ...]
    facts: tuple[tuple[Fact, str], ...]
    ranks: Mapping[str, Rank]
    confidence: float | None
    query: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A question with both sides; `how` is one of HOW, or "same", or "" where there is no baseline."""

    question: Question
    how: str
    before: Reply | None
    after: Reply | None

    @property
    def good(self) -> bool:
        """Was it handled right this time?"""
        return self.after is not None and self.after.outcome in GOOD


# --- outcomes -----------------------------------------------------------------------------------


def outcome(question: Question, record: Record) -> str:
    """The cell of the 2x2 table a record falls into, or "error"; an act is right or wrong, never refused."""
    if record.answer is None:
        return ERROR
    right = metrics.correct(question, record.answer, {}) == 1
    if question.answerable and metrics.declined(question, record.answer):
        return OVER_REFUSED
    if question.answerable or question.kind == "act":
        return RIGHT if right else WRONG
    return REFUSED if right else FALSE_ANSWER


def as_written(records: Iterable[Record], questions: Mapping[str, Question]) -> dict[str, list[Record]]:
    """The records of each question in its own wording, at the revision it has now."""
    found: dict[str, list[Record]] = {}
    for record in records:
        question = questions.get(record.id)
        if question and record.variant == 0 and record.rev == question.rev:
            found.setdefault(record.id, []).append(record)
    return found


# --- both sides ---------------------------------------------------------------------------------


def items(
    accepted: Run | None, candidate: Run, result: Comparison | None, questions: Sequence[Question]
) -> tuple[Item, ...]:
    """Every question of the candidate, the most telling changes first, then by id."""
    known = {question.id: question for question in questions}
    before = as_written(accepted.records, known) if accepted else {}
    after = as_written(candidate.records, known)
    judged: dict[str, str] = {}
    for change in result.changed if result else ():
        judged.setdefault(change.id, change.how)
    made = (_item(known[id], before.get(id, []), after[id], judged.get(id)) for id in sorted(after))
    return tuple(sorted(made, key=lambda item: HOW.index(item.how) if item.how in HOW else len(HOW)))


def _item(question: Question, before: Sequence[Record], after: Sequence[Record], judged: str | None) -> Item:
    if not judged and before:
        failed = any(record.answer is None for record in after)
        judged = ERROR if failed else "same" if _said(before) == _said(after) else "changed"
    return Item(question, judged or "", reply(question, before), reply(question, after))


def _said(records: Sequence[Record]) -> set[tuple[Any, ...]]:
    """What a reader would see: status, text and quotes, whatever the order of samples."""
    return {
        (record.answer["status"], record.answer["text"], *_places(record.answer)) if record.answer else (record.error,)
        for record in records
    }


def _places(answer: metrics.Answer) -> list[tuple[str, int, int]]:
    return [(c["paper"], c["start"], c["end"]) for c in metrics.citations(answer)]


def reply(question: Question, records: Sequence[Record]) -> Reply | None:
    """One side of a question; None when it was not asked there."""
    if not records:
        return None
    outcomes = [outcome(question, record) for record in records]
    at = next((i for i, word in enumerate(outcomes) if word not in GOOD), 0)
    right = sum(word in GOOD for word in outcomes)
    answer = records[at].answer
    if answer is None:
        return Reply(ERROR, right, len(records), printable(records[at].error or "no answer"), (), (), {}, None)
    return Reply(
        outcomes[at],
        right,
        len(records),
        printable(answer["text"]),
        tuple(metrics.citations(answer)),
        tuple((fact, _lost(question, fact, answer)) for fact in question.facts),
        ranks(answer),
        confidence(answer),
        str(answer.get("query") or question.question),
    )


def _lost(question: Question, fact: Fact, answer: metrics.Answer) -> str:
    return metrics.lost_at(question, fact, answer)


def ranks(answer: metrics.Answer) -> dict[str, Rank]:
    """The rank of every paper that was found or used."""
    found = _first_ranks(answer["retrieved"])
    used = _first_ranks(answer["evidence"])
    return {paper: Rank(found.get(paper), used.get(paper)) for paper in {**found, **used}}


def _first_ranks(listed: Sequence[Sequence[Any]]) -> dict[str, int]:
    papers = dict.fromkeys(paper for paper, _ in listed)
    return {paper: rank for rank, paper in enumerate(papers, 1)}


def confidence(answer: metrics.Answer) -> float:
    """Score of the first evidence, which is what a refusal is decided by; 0 without any."""
    return float(answer["evidence"][0][1]) if answer["evidence"] else 0.0


def rank_changes(item: Item) -> list[tuple[str, int | None, Rank | None, Rank | None]]:
    """(paper, gold grade, before, after) of the papers that matter: wanted or cited, best grade first."""
    sides = [side for side in (item.before, item.after) if side]
    cited = dict.fromkeys(c["paper"] for side in sides for c in side.citations)
    grades = item.question.papers
    wanted = sorted({**{p: 0 for p, grade in grades.items() if grade}, **cited}, key=lambda p: (-grades.get(p, -1), p))
    nowhere = Rank(None, None)
    before, after = (side.ranks if side else None for side in (item.before, item.after))
    return [
        (
            paper,
            grades.get(paper),
            None if before is None else before.get(paper, nowhere),
            None if after is None else after.get(paper, nowhere),
        )
        for paper in wanted
    ]


# --- marked text --------------------------------------------------------------------------------


def word_diff(old: str, new: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces; what only one of them has is marked, unless they have nothing in common."""
    a, b = (re.findall(r"\S+\s*", text) for text in (old, new))
    match = difflib.SequenceMatcher(None, [w.strip() for w in a], [w.strip() for w in b], autojunk=False)
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, a0, a1, b0, b1 in match.get_opcodes():
        kept = kind == "equal" and (a1 - a0 >= ALIKE or (a0, a1) == (0, len(a)))
        left.append(Piece("".join(a[a0:a1]), not kept))
        right.append(Piece("".join(b[b0:b1]), not kept))
    if all(piece.marked for piece in (*left, *right)):
        return [Piece(old, False)], [Piece(new, False)]
    return _joined(left), _joined(right)


def highlighted(paper: Paper, spans: Iterable[tuple[int, int]]) -> list[Piece]:
    """The abstract, readable, with the quoted spans marked; overlapping ones are merged."""
    pieces, at, text = [], 0, paper.abstract
    for start, end in sorted(set(spans)):
        start, end = max(start, at), min(end, len(text))
        if start < end:
            pieces += [Piece(shown(text[at:start]), False), Piece(shown(text[start:end]), True)]
            at = end
    return _joined([*pieces, Piece(shown(text[at:]), False)])


def verbatim(citation: Mapping[str, Any], papers: Mapping[str, Paper]) -> bool:
    """Does the quote stand in the abstract, at its offsets?"""
    paper = papers.get(citation["paper"])
    return paper is not None and paper.abstract[citation["start"] : citation["end"]] == citation["quote"]


def title_of(paper: str, papers: Mapping[str, Paper]) -> str:
    """A paper's title as shown; its id when the library does not have it."""
    return shown(papers[paper].title) if paper in papers else f"{printable(paper)} (not in the library)"


def shown(text: str) -> str:
    """Text of a paper, as a reader sees it."""
    return printable(readable(text))


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].marked == piece.marked:
            joined[-1] = Piece(joined[-1].text + piece.text, piece.marked)
        elif piece.text:
            joined.append(piece)
    return joined
