"""Progress: of work on a library, a bar on stderr (a line for each stage where that is no terminal); of an
answer, at a terminal, its checked sentences so far and the stage.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.records import Answer

STAGES = {
    "followup": "reading the question",
    "retrieve": "searching",
    "rerank": "ranking",
    "plan": "planning",
    "synthesize": "writing",
    "verify": "checking",
}


class Bar:
    """Called with (stage, done, total). Nothing is shown before the first call; with `quiet`, only a terminal shows anything.

    `what` is said before each stage, except one that begins with a capital.
    """

    def __init__(self, what: str = "Preparing the library, once", *, quiet: bool = False) -> None:
        self._what = what
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._stage = ""
        self._began = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        is_new = stage != self._stage
        if is_new:
            self._stage, self._began = stage, time.monotonic()
        if not sys.stderr.isatty():
            if is_new and not self._quiet:
                print(named(self._what, stage), file=sys.stderr, flush=True)
            return
        if self._bar is None:
            self._start()
        if is_new:
            self._bar.reset(self._task)
        told = pace(done, total, time.monotonic() - self._began)
        self._bar.update(
            self._task, description=named(self._what, stage), completed=done, total=total or None, told=told
        )

    def stop(self) -> None:
        """Remove it from the screen; the next call shows it again."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn
        from rich.text import Text

        class Elapsed(TimeElapsedColumn):
            """Seconds, where there is nothing to count."""

            def render(self, task: Task) -> Text:
                return super().render(task) if task.total is None else Text()

        words = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[told]}", markup=False)
        columns = (words[0], BarColumn(bar_width=12), words[1], Elapsed())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=None, told="")
        self._bar.start()


def named(what: str, stage: str) -> str:
    """A stage of something, for a person; one that begins with a capital says itself what it is."""
    return stage if stage[:1].isupper() else f"{what}: {stage}"


def pace(done: int, total: int, seconds: float) -> str:
    """How far a stage is, its rate, and the time left: "1,240/20,000 · 85/s · 3 min left"; "" if there is nothing to count."""
    if not total:
        return ""
    if not done or seconds < 1:
        return f"{done:,}/{total:,}"
    rate = done / seconds
    left = (total - done) / rate
    spelled = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
    return f"{done:,}/{total:,} · {rate:,.{0 if rate >= 10 else 1}f}/s · {spelled} left"


def heard(told: Generator[str, None, Answer], sentence: Callable[[str], None]) -> Answer:
    """Pass each piece of an answer to `sentence`; return the answer."""
    while True:
        try:
            sentence(next(told))
        except StopIteration as end:
            answer: Answer = end.value
            return answer


class Telling:
    """Shows the sentences so far and the stage. On leaving both are removed, and the whole answer can be shown."""

    def __init__(self, show: Callable[[str], Any]) -> None:
        self._show = show
        self._text = ""
        self._live: Any = None
        self._spinner: Any = None

    def __enter__(self) -> Telling:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._spinner = Spinner("dots", "", style="dim")
        self._live = Live(self._spinner, console=Console(highlight=False), transient=True, refresh_per_second=10)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept = error is not None and self._text  # what was shown before a failure stays
        self._live.transient = not kept
        self._live.update(self._show(self._text) if kept else "")
        self._live.stop()

    def stage(self, name: str) -> None:
        """A stage begins."""
        from rich.text import Text

        self._spinner.update(text=Text(STAGES.get(name, name), "dim"))

    def sentence(self, piece: str) -> None:
        """A piece of the answer has come."""
        from rich.console import Group

        self._text += piece
        self._live.update(Group(self._show(self._text), self._spinner), refresh=True)
