"""`rag eval compare A B`: two settings asked the same questions, paired, with what each costs. No verdict.

    default                   the settings as they are
    k=4                       so many papers an answer may draw on
    model=NAME,base_url=URL   a chat model; its calls are stored and replayed
    dense_weight=.7,pool=80   how the two searches are fused before papers are ranked
    prompts=FOLDER            prompts of that folder in place of the shipped ones of the same names
    baseline                  the accepted answers
    a run's folder, a baseline file

A side that is a setting is asked, unless the same run is there already; one that is a run is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rag.answering.opening import shared_assistant
from rag.errors import UsageError
from rag.prompting import prompt
from rag.records import EXTRACTIVE, Answer
from rag.settings import Settings, load

from . import compare as gate
from . import run
from .gold import Question
from .records import Run
from .report.summary import Side, Summary, summarize
from .report.terminal import Line, interval, number
from .report.verdict import ALL, Words

DEFAULT = "default"
PROMPTS = "prompts"
SETTABLE = {
    field.name: field.type for field in fields(Settings) if field.name not in ("library", "prompts", "judge", "prices")
}
SHOWN = ("correct", "facts", "gold recall", "gold precision", "cited f1", "coverage", "refused", "recall@5", "utility")


@dataclass(frozen=True, slots=True)
class Setting:
    """One side as it was typed, and as settings."""

    name: str
    settings: Settings

    @property
    def changed(self) -> dict[str, Any]:
        """What differs from the settings as they are, for a run's manifest."""
        plain = load(library=self.settings.library)
        names = [name for name in SETTABLE if getattr(self.settings, name) != getattr(plain, name)]
        prompts = [] if self.settings.prompts == plain.prompts else [PROMPTS]
        return {name: getattr(self.settings, name) for name in names} | dict.fromkeys(prompts, self.name)


def setting(text: str, library: str | None) -> Setting:
    """The settings that a text such as "k=4,model=NAME" says. Raises UsageError, PromptError."""
    given: dict[str, Any] = {}
    folder = None
    for part in text.split(",") if text != DEFAULT else ():
        name, equals, value = part.strip().partition("=")
        if not equals or (name not in SETTABLE and name != PROMPTS):
            names = ", ".join([*SETTABLE, PROMPTS])
            raise UsageError(f"{part.strip()!r} is no run, file or setting; a setting is NAME=VALUE, with {names}")
        if name == PROMPTS:
            folder = Path(value)
        else:
            given[name] = _value(name, value)
    settings = load(library=library, **({"model": EXTRACTIVE} | given))
    return Setting(text, replace(settings, prompts=_prompts(settings, folder)) if folder else settings)


def _value(name: str, text: str) -> Any:
    wanted = str(SETTABLE[name])
    try:
        return int(text) if "int" in wanted else float(text) if "float" in wanted else text
    except ValueError:
        raise UsageError(f"{name}={text}: not a number") from None


def _prompts(settings: Settings, folder: Path) -> tuple[Any, ...]:
    own = {path.stem: path for path in sorted(folder.glob("*.md")) if path.name != "README.md"}
    known = {one.name for one in settings.prompts}
    if not own or not own.keys() <= known:
        wrong = f"no prompt named {min(own.keys() - known)}" if own else "no .md file in it"
        raise UsageError(f"{PROMPTS}={folder}: {wrong}; there are {', '.join(sorted(known))}")
    return tuple(prompt(own[one.name]) if one.name in own else one for one in settings.prompts)


def asking(chosen: Settings, model_for: Callable[[int], Any]) -> run.Ask:
    """How a question is asked with these settings."""

    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        return shared_assistant(chosen, model_for(sample)).answer(question, history)

    return ask


# --- the two together ---------------------------------------------------------------------------


def beside(
    names: tuple[str, str], a: Run, b: Run, questions: Sequence[Question], papers: Any, typed: str = ""
) -> Summary:
    """Both sides with all their figures; changes are B less A. Raises RunError when they cannot be paired."""
    if a.manifest.corpus != b.manifest.corpus:
        raise run.RunError(f"{names[0]} and {names[1]} asked different libraries; nothing can be paired")
    known = {question.id: question for question in questions}
    abstracts = {id: paper.abstract for id, paper in papers.items()}
    paired = gate.paired(a.records, b.records, known)
    if not paired:
        raise run.RunError(f"{names[0]} and {names[1]} have no answered question in common at its present revision")
    old, new = (gate.scored(side.records, known, abstracts, paired) for side in (a, b))
    result = gate.Comparison("pass", (), gate.deltas(old, new, known), (), len(paired))
    summary = summarize(a, b, result, questions, papers, typed=typed)
    why = f"The baseline of this page is {names[0]}, the candidate {names[1]}; {len(paired)} questions are paired."
    sides = [side for side in (summary.baseline, summary.candidate) if side]
    level = "; ".join(f"{name}: {_right(side)} right" for name, side in zip(names, sides, strict=True))
    words = Words(
        "not judged", None, "two settings", level, why, (), "look at one question",
        f"rag eval show {paired[0]} {typed}".strip(),
    )  # fmt: skip
    return replace(summary, words=words)


def _right(side: Side) -> str:
    found = side.metrics["correct"][ALL]
    return f"{round((found.mean or 0.0) * found.n)} of {found.n}"


def lines(names: tuple[str, str], summary: Summary) -> Iterator[Line]:
    """The table: quality paired, then what each side costs."""
    deltas = {delta.metric: delta for delta in (summary.result.deltas if summary.result else ()) if delta.slice == ALL}
    yield f"A  {names[0]}", "bold"
    yield f"B  {names[1]}", "bold"
    yield f"{summary.result.pairs if summary.result else 0} questions paired; B less A with its 95 % interval", "dim"
    yield f"{'':<16}{'A':>8}{'B':>8}{'B - A':>9}{'95 % interval':>20}{'n':>5}{'worse':>7}{'better':>8}", "bold"
    for name in SHOWN:
        if delta := deltas.get(name):
            moved = f"{number(delta.change.mean, sign=True):>9}{interval(delta.change, sign=True):>20}"
            row = f"{name:<16}{number(delta.baseline.mean):>8}{number(delta.candidate.mean):>8}{moved}"
            sure = delta.change.n and (delta.change.low or 0) * (delta.change.high or 0) > 0
            yield f"{row}{delta.change.n:>5}{delta.worse:>7}{delta.better:>8}", "bold" if sure else ""
    for name, cells in _costs(summary):
        yield f"{name:<16}{cells[0]:>8}{cells[1]:>8}", ""


def _costs(summary: Summary) -> Iterator[tuple[str, list[str]]]:
    sides = [side for side in (summary.baseline, summary.candidate) if side]
    yield "calls", [str(side.usage.calls) for side in sides]
    yield "tokens", [str(side.usage.prompt + side.usage.reply) for side in sides]
    yield "USD", ["unknown" if side.usage.usd is None else f"{side.usage.usd:.4f}" for side in sides]
    yield "seconds, median", [f"{s.seconds['total'].median:.2f}" if "total" in s.seconds else "-" for s in sides]
    yield "errors", [str(side.errors) for side in sides]
