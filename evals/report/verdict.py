"""The verdict of a comparison in words, and what a person would type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from rag.records import EXTRACTIVE

from ..compare import MARGIN, Comparison
from ..records import Run
from .questions import HOW, Item

ALL = "all"


@dataclass(frozen=True, slots=True)
class Words:
    """The verdict as a person is told it; `command` is what to type next."""

    verdict: str
    exit_code: int | None
    why: str
    more: tuple[str, ...]
    says: str
    command: str


def words_of(result: Comparison | None, candidate: Run, listed: Sequence[Item]) -> Words:
    """The verdict, why, and what to do next; `result` is None when nothing was compared."""
    model = candidate.manifest.model
    suffix = "" if model == EXTRACTIVE else f" --model {shlex.quote(model)}"
    if result is None:
        why = "These are figures alone: nothing was compared."
        return Words("not judged", None, why, (), "judge it against the baseline", f"rag eval{suffix}")
    why, *more = result.reasons or (_passed(result, listed),)
    says, command = _next(result, candidate, listed)
    return Words(result.verdict, result.exit_code, why, tuple(more), says, command + suffix)


def _passed(result: Comparison, listed: Sequence[Item]) -> str:
    changed = sum(item.how in HOW for item in listed)
    least = f", and a fall of {result.detectable:.3f} in correct would have been found" if result.detectable else ""
    same = f"{changed} of {len(listed)} answers changed" if changed else "every answer is the one of the baseline"
    return (
        f"No guarded metric fell by more than {MARGIN} past doubt on {result.pairs} compared questions{least}; {same}."
    )


def _next(result: Comparison, candidate: Run, listed: Sequence[Item]) -> tuple[str, str]:
    """(why, command): what a person would want to type now."""
    changed = [item.question.id for item in listed if item.how in HOW]
    bless = ("accept the new answers, if they are the right ones", 'rag eval bless --reason "..."')
    if result.verdict == "regression":
        return (
            "look at the first question that changed",
            f"rag eval show {changed[0] if changed else listed[0].question.id}",
        )
    if result.verdict == "inconclusive":
        if candidate.manifest.model != EXTRACTIVE:
            return "repeat with more samples", "rag eval --samples 3"
        if candidate.manifest.split != ALL:
            return "ask every question: these answers do not vary, so samples would not help", "rag eval --split all"
        return (
            "look at what changed: these answers do not vary, so samples would not help",
            f"rag eval show {changed[0]}",
        )
    if result.verdict == "invalid":
        return "repeat the run", "rag eval"
    if result.verdict == "not comparable":
        return "make a baseline that this run can be compared with", bless[1]
    return bless if changed else ("nothing to do; to see one answer", f"rag eval show {listed[0].question.id}")
