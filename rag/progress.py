"""What is going on, on stderr: a bar at a terminal, one line elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Bar:
    """A callable (stage, done, total) that shows itself only once there is something to show."""

    def __init__(self) -> None:
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
            if stage != self._said:
                print(f"Preparing the library, once: {stage}", file=sys.stderr, flush=True)
                self._said = stage
            return
        if self._bar is None:
            self._start()
        self._bar.update(
            self._task, description=f"Preparing the library, once: {stage}", completed=done, total=total or None
        )

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, TimeRemainingColumn

        columns = [*Progress.get_default_columns()[:-1], TimeRemainingColumn(compact=True)]
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=None)
        self._bar.start()
