"""Evidence removed: is what an answer rests on taken away, does it still answer?

The gold papers are taken out of a copy of the library one at a time, and the questions that need the paper are asked
again. Where nothing acceptable is left, the right answer is a refusal, and any other is counted. Where another paper
is left, an answer may go on; counted is a fact that it still states though the only papers that say it are gone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rag.library.changes import remove, undo
from rag.library.embed import open_embedder

from . import metrics
from .gold import Question
from .records import Record
from .run import Ask, Task, ask_one
from .statistics import Estimate, estimate

Asking = Callable[[str], Ask]  # a library's folder -> how it is asked


@dataclass(frozen=True, slots=True)
class Ablated:
    """What became of the questions without their evidence; ids of questions, one for each paper taken away.

    refused    nothing was left, and that was said
    answered   nothing was left, and there was an answer: it should have been a refusal
    invented   something was left, and a fact was stated whose only papers were gone
    kept       something was left, and no such fact was stated
    errors     no answer came
    """

    refused: tuple[str, ...]
    answered: tuple[str, ...]
    invented: tuple[str, ...]
    kept: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def share(self) -> Estimate:
        """Answers that should have been refusals, of those where nothing was left; with Wilson's interval."""
        values = [1.0] * len(self.answered) + [0.0] * len(self.refused)
        return estimate(values, [str(at) for at, _ in enumerate(values)], binary=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self) | {"share": asdict(self.share)}

    def __str__(self) -> str:
        share = self.share
        lines = ["no question rests on papers that can be taken away"]
        if share.mean is not None:
            lines = [
                f"nothing left     {len(self.answered)} of {share.n} answered all the same: {share.mean:.2f} "
                f"[{share.low:.2f}, {share.high:.2f}]; {len(self.refused)} refused"
            ]
        if some := len(self.invented) + len(self.kept):
            lines.append(f"something left   {len(self.invented)} of {some} state a fact whose papers are gone")
        for name, ids in (("answered", self.answered), ("invented", self.invented), ("error", self.errors)):
            lines += [f"{name:<16} {', '.join(ids)}"] if ids else []
        return "\n".join(lines)


def ablate(
    questions: Sequence[Question], library: Path, asking: Asking, tick: Callable[[int, int], None] | None = None
) -> Ablated:
    """Ask the questions without each of their essential papers in turn. Raises LibraryError; the library stays as it is."""
    without: dict[str, list[Question]] = {}
    for question in questions:
        for paper in sorted(question.essential) if question.answerable and not question.history else ():
            without.setdefault(paper, []).append(question)
    found: dict[str, list[str]] = {name: [] for name in Ablated.__slots__}
    total, done = sum(map(len, without.values())), 0
    with _copy(library) as folder:
        ask = asking(str(folder))
        for paper, mine in sorted(without.items()):
            remove(paper, str(folder), open_embedder())
            for question in mine:
                became = _became(question, paper, ask_one(Task(question, 0, 0), ask))
                found[became].append(question.id)
                done += 1
                if tick:
                    tick(done, total)
            undo(str(folder), open_embedder())
    return Ablated(**{name: tuple(ids) for name, ids in found.items()})


@contextmanager
def _copy(library: Path) -> Iterator[Path]:
    """A copy that may be changed."""
    with TemporaryDirectory(prefix="rag-ablate-") as folder:
        yield Path(shutil.copytree(library, Path(folder) / "library"))


def _became(question: Question, paper: str, record: Record) -> str:
    if record.answer is None:
        return "errors"
    if not question.acceptable - {paper}:
        return "refused" if metrics.declined(question, record.answer) else "answered"
    return "invented" if _invented(question, paper, record.answer) else "kept"


def _invented(question: Question, paper: str, answer: Mapping[str, Any]) -> bool:
    if metrics.declined(question, answer):
        return False
    gone = [fact for fact in question.facts if {support.paper for support in fact.support} == {paper}]
    return any(metrics.stated(fact, answer) for fact in gone)
