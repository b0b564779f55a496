"""A gold row with two facts in two papers, and stored answers to it, right and wrong, made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from served import manifest

from evals.gold import Question
from evals.records import Record, Run

ABSTRACTS = {
    "pa": "Long sequences are hard. S4 is 60 times faster than before. It solves Path-X at last.",
    "pb": "Attention is slow. FlashAttention is exact and reads memory once. It needs no approximation.",
    "pc": "Poker is hard for models. They play poorly before training.",
    "pd": "Weather is what it is. Nobody forecasts it well.",
}
FAST, EXACT, POKER, RAIN = (abstract.split(". ")[1].rstrip(".") + "." for abstract in ABSTRACTS.values())


def fact(id: str, paper: str, quote: str, *words: str, vital: bool = True) -> dict[str, Any]:
    """A fact that one of these words states."""
    support = [{"paper": paper, "quote": quote}]
    return {
        "id": id,
        "text": quote,
        "match": {"type": "phrase", "any": list(words)},
        "support": support,
        "vital": vital,
    }


def row(id: str = "aa001", **fields: Any) -> Question:
    """An answerable row: S4's speed (paper pa) and that FlashAttention is exact (pb); pc may be cited."""
    plain = {
        "id": id,
        "rev": 1,
        "question": f"How fast is the one, and is the other exact ({id})?",
        "kind": "multi",
        "split": "dev",
        "group": id,
        "papers": {"pa": 2, "pb": 2, "pc": 1, "pd": 0},
        "facts": [fact("f1", "pa", FAST, "60 times"), fact("f2", "pb", EXACT, "is exact")],
        "reference": "It is 60 times faster; the other is exact.",
        "forbidden": [{"text": "inexact", "why": "inverted", "match": {"type": "phrase", "any": ["inexact"]}}],
    }
    return Question.model_validate_json(json.dumps(plain | fields))


def unanswerable(id: str = "un001", **fields: Any) -> Question:
    """A row the library does not answer."""
    plain: dict[str, Any] = {"kind": "unanswerable", "papers": {}, "facts": [], "forbidden": [], "missing": "all of it"}
    return row(id, **(plain | {"tags": ["off-topic"]} | fields))


def cite(paper: str, quote: str, number: int = 1) -> dict[str, Any]:
    """A citation of a stored answer."""
    start = ABSTRACTS[paper].find(quote)
    return {"number": number, "paper": paper, "start": start, "end": start + len(quote), "quote": quote}


def claim(text: str, *cited: dict[str, Any]) -> dict[str, Any]:
    """A claim of a stored answer."""
    return {"text": text, "verdict": "quoted", "citations": list(cited)}


def stored(claims: Iterable[dict[str, Any]] = (), retrieved: Sequence[str] = ("pa", "pb", "pc"), **fields: Any) -> dict:
    """A stored answer that says these claims; without any, a refusal."""
    said = list(claims)
    texts = [c["text"] + " " + "".join(f"[{q['number']}]" for q in c["citations"]) for c in said]
    plain = {
        "status": "answered" if said else "refused",
        "text": " ".join(texts) if said else "This library does not say.",
        "query": "q",
        "claims": said,
        "removed": [],
        "retrieved": [[paper, 1.0 - at / 10] for at, paper in enumerate(retrieved)],
        "evidence": [[paper, 0.5] for paper in retrieved],
    }
    return plain | fields


def right() -> dict[str, Any]:
    """A right answer to `row()`."""
    return stored([claim(FAST, cite("pa", FAST)), claim(EXACT, cite("pb", EXACT, 2))])


def wrong() -> dict[str, Any]:
    """An answer to `row()` that misses what was asked."""
    return stored([claim(POKER, cite("pc", POKER))])


def run(answers: Iterable[tuple[Question, dict[str, Any] | None]], samples: int = 1, **fields: Any) -> Run:
    """A run in which each question got that answer in every sample; None stands for an error."""
    records = [
        Record(question.id, question.rev, 0, sample, answer=answer, error=None if answer else "ValueError: by zero")
        for question, answer in answers
        for sample in range(samples)
    ]
    return Run(manifest(**fields), tuple(records))
