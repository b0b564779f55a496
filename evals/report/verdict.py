"""The verdict of a comparison in words, and what a person would type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from rag.records import EXTRACTIVE

from ..compare import LEAST_PAIRS, MARGIN, Comparison
from ..records import Run
from .questions import GOOD, HOW, Item

ALL = "all"


@dataclass(frozen=True, slots=True)
class Words:
    """The verdict as a person is told it: `headline` says what became of the answers, `level` how many are right.

    `command` is what to type next.
    """

    verdict: str
    exit_code: int | None
    headline: str
    level: str
    why: str
    more: tuple[str, ...]
    says: str
    command: str


def words_of(result: Comparison | None, candidate: Run, listed: Sequence[Item], typed: str = "") -> Words:
    """The verdict, why, and what to do next; `result` is None when nothing was compared.

    `typed` are the options that name the gold set and its library.
    """
    level = _level(listed)
    place = f" {typed}" if typed else ""
    if result is None:
        why = "These are figures alone: nothing was compared."
        command = f"rag eval{place}{_asked_with(candidate)}"
        return Words("not judged", None, "not compared", level, why, (), "judge it against the baseline", command)
    why, *more = result.reasons or (_passed(result, listed),)
    says, command = _next(result, candidate, listed)
    whole = command + place + (_by(candidate) if command.startswith("rag eval show") else _asked_with(candidate))
    return Words(result.verdict, result.exit_code, _headline(result, listed), level, why, tuple(more), says, whole)


def _level(listed: Sequence[Item]) -> str:
    """How many are right, and how many of the same were before, where both are known."""
    now = sum(item.good for item in listed)
    known = [item for item in listed if item.before]
    before = sum(item.before is not None and item.before.outcome in GOOD for item in known)
    then = f", {before} before" if len(known) == len(listed) and before != now else ""
    return f"{now} of {len(listed)} questions right{then}"


def _by(candidate: Run) -> str:
    model = candidate.manifest.model
    return "" if model == EXTRACTIVE else f" --model {shlex.quote(model)}"


def _asked_with(candidate: Run) -> str:
    """The options of the run that change its answers."""
    server, k = (candidate.manifest.settings.get(name) for name in ("base_url", "k"))
    return _by(candidate) + (f" --base-url {shlex.quote(server)}" if server else "") + (f" -k {k}" if k else "")


def _headline(result: Comparison, listed: Sequence[Item]) -> str:
    if result.withheld and result.verdict == "inconclusive":
        return "no verdict"
    if result.verdict == "pass":
        return "no worse" if any(item.how in HOW for item in listed) else "unchanged"
    return {"regression": "worse", "inconclusive": "perhaps worse"}.get(result.verdict, result.verdict)


def _passed(result: Comparison, listed: Sequence[Item]) -> str:
    changed = sum(item.how in HOW for item in listed)
    same = f"{changed} of {len(listed)} answers changed" if changed else "every answer is the one of the baseline"
    if result.small:
        return f"Nothing that was right became wrong on {result.pairs} compared questions; {same}. {_limit(result)}"
    least = f", and a fall of {result.detectable:.3f} in correct would have been found" if result.detectable else ""
    return (
        f"No guarded metric fell by more than {MARGIN} past doubt on {result.pairs} compared questions{least}; {same}."
    )


def _limit(result: Comparison) -> str:
    """What so few questions can tell."""
    if result.detectable is None:
        return f"{result.pairs} questions are too few to notice a fall; {LEAST_PAIRS} allow a test of the means."
    return (
        f"With {result.pairs} questions a fall of {result.detectable:.2f} in the share of right answers would be noticed "
        f"four times in five; from {LEAST_PAIRS} on the means are tested, too."
    )


def _next(result: Comparison, candidate: Run, listed: Sequence[Item]) -> tuple[str, str]:
    """(why, command): what a person would want to type now."""
    changed = [item.question.id for item in listed if item.how in HOW]
    first = changed[0] if changed else listed[0].question.id if listed else ""
    if result.verdict == "regression":
        return "look at the first question that changed", f"rag eval show {first}"
    if result.verdict == "inconclusive":
        return _doubtful(result, candidate, first)
    if result.verdict == "invalid":
        return "repeat the run", "rag eval"
    bless = 'rag eval bless --reason "..."'
    if result.verdict == "not comparable":
        return "make a baseline that this run can be compared with", bless
    if changed:
        return "accept the new answers, if they are the right ones", bless
    return "nothing to do; to see one answer", f"rag eval show {first}"


def _doubtful(result: Comparison, candidate: Run, first: str) -> tuple[str, str]:
    if result.withheld and not result.changed:
        return "ask every question", "rag eval"
    if result.withheld:
        return "look at the first question that changed", f"rag eval show {first}"
    if candidate.manifest.model != EXTRACTIVE:
        return "repeat with more samples", "rag eval --samples 3"
    if candidate.manifest.split != ALL:
        return "ask every question: these answers do not vary, so samples would not help", "rag eval --split all"
    return "look at what changed: these answers do not vary, so samples would not help", f"rag eval show {first}"
