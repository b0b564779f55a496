"""What is going on: a bar for work on a library, on stderr (one line where that is no terminal), and an
answer as it comes into being, at the terminal where it will stand: whole checked sentences, and the stage.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.records import Answer

STAGES = {
    "followup": "reading the question",
    "retrieve": "searching",
    "rerank": "ranking",
    "synthesize": "writing",
    "verify": "checking",
}


class Bar:
    """A callable (stage, done, total) that shows itself only once there is something to show; `quiet` only at a terminal."""

    def __init__(self, what: str = "Preparing the library, once", *, quiet: bool = False) -> None:
        self._what = what
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._said = ""

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            if stage != self._said and not self._quiet:
                print(f"{self._what}: {stage}", file=sys.stderr, flush=True)
                self._said = stage
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._task, description=f"{self._what}: {stage}", completed=done, total=total or None)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, TimeRemainingColumn

        columns = [*Progress.get_default_columns()[:-1], TimeRemainingColumn(compact=True)]
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=None)
        self._bar.start()


def heard(told: Generator[str, None, Answer], sentence: Callable[[str], None]) -> Answer:
    """The answer at the end of its pieces, each of which is passed on."""
    while True:
        try:
            sentence(next(told))
        except StopIteration as end:
            answer: Answer = end.value
            return answer


class Telling:
    """Shows sentences as they come, and what is done in between; on leaving it is gone, for the whole answer."""

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
