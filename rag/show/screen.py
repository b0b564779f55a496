"""What commands and chats write on: a terminal, a pipe, or a pipe for a program that reads JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from rag.records import EXTRACTIVE, Answer
from rag.text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from rag.show.lines import Line


class Told(Protocol):
    """Where an answer appears as it comes."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def sentence(self, piece: str) -> None:
        """A piece of the answer has come."""


class Screen(Protocol):
    """What a chat writes on."""

    def put(self, lines: Iterable[Line]) -> None:
        """Show lines."""

    def raw(self, text: str) -> None:
        """Show text to be copied, neither wrapped nor styled."""

    def say(self, text: str) -> None:
        """A notice: what was done, or what is wrong."""

    def answer(self, answer: Answer) -> None:
        """Show an answer with its sources."""

    def end(self) -> None:
        """A turn is over."""

    def telling(self) -> AbstractContextManager[Told]:
        """Show the progress of what is waited for."""


def screen(*, removed: bool = False, hint: str = "") -> Screen:
    """What standard output is: a terminal, or a pipe. `removed` shows what was taken out of answers."""
    return Terminal(removed=removed, hint=hint) if sys.stdout.isatty() else Piped(removed)


class Silent:
    """Nothing is shown while something is waited for."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def sentence(self, piece: str) -> None:
        """A piece of the answer has come."""


class Piped:
    """Plain text: answers and what commands show on stdout, notices on stderr."""

    def __init__(self, removed: bool = False) -> None:
        self._removed = removed

    def put(self, lines: Iterable[Line]) -> None:
        """Show lines, what is quoted between « and »."""
        print(plain(lines), flush=True)

    def raw(self, text: str) -> None:
        """Show text to be copied."""
        print(printable(text), flush=True)

    def say(self, text: str) -> None:
        """A notice."""
        print(printable(text), file=sys.stderr, flush=True)

    def answer(self, answer: Answer) -> None:
        """The answer with its sources."""
        from rag.show import render

        print(render.plain_answer(answer, removed=self._removed), end="\n\n", flush=True)

    def end(self) -> None:
        """Nothing to do: an answer ends with its own blank line."""

    @contextmanager
    def telling(self) -> Iterator[Told]:
        """No progress is shown."""
        yield Silent()


class AsJson(Piped):
    """Answers as JSON on stdout; everything else on stderr."""

    def put(self, lines: Iterable[Line]) -> None:
        """Show lines."""
        self.say(plain(lines))

    def raw(self, text: str) -> None:
        """Show text to be copied."""
        self.say(text)

    def answer(self, answer: Answer) -> None:
        """The answer, whole."""
        import json

        print(json.dumps(answer.to_dict(), ensure_ascii=True, indent=2), end="\n\n", flush=True)


class Terminal:
    """A terminal of any width, with colour or without, through rich.

    `hint` is shown once, below the first answer that no chat model wrote. On a `console` of the caller's,
    only what stays is shown.
    """

    def __init__(self, *, removed: bool = False, hint: str = "", console: Console | None = None) -> None:
        self._removed, self._hint, self._console = removed, hint, console
        self._recorded = console is not None

    def put(self, lines: Iterable[Line]) -> None:
        """Show lines."""
        self._print(rich(lines, self._rich()))

    def raw(self, text: str) -> None:
        """Show text to be copied."""
        self._rich().print(printable(text), markup=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A notice."""
        self._rich().print(printable(text), style="dim", markup=False)

    def answer(self, answer: Answer) -> None:
        """What was searched, the text, its sources, and what should be known besides."""
        from rich.text import Text

        from rag.show import lines, render

        notes = [Text(note, "dim") for note in render.notes(answer, self._removed)]
        struck = [lines.line(claim.text, "strike", "-") for claim in answer.removed if self._removed]
        parts: list[list[Line]] = [lines.searched(answer), lines.sources(answer), struck]
        console = self._rich()
        text = [render.rich_text(lines.told(answer)), *([Text()] if answer.citations else [])]
        self._print(rich(parts[0], console), *text, rich(parts[1], console), *notes, rich(parts[2], console))
        if self._hint and answer.model == EXTRACTIVE and answer.citations:
            self.say(self._hint)
            self._hint = ""

    def end(self) -> None:
        """A blank line before the next prompt."""
        self._rich().print()

    def telling(self) -> AbstractContextManager[Told]:
        """Sentences as they come, the stage in between."""
        from rag.show.progress import Telling
        from rag.show.render import rich_text

        return nullcontext(Silent()) if self._recorded else Telling(rich_text)

    def _rich(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(highlight=False)
        return self._console

    def _print(self, *parts: RenderableType | None) -> None:
        for part in parts:
            if part is not None:
                self._rich().print(part)


def plain(lines: Iterable[Line]) -> str:
    """Lines as text, their marks in a column, what is quoted between « and »."""
    from rag.show.render import QUOTED

    lines = list(lines)
    width = max((len(line.mark) for line in lines), default=0)
    shown = []
    for line in lines:
        text = "".join(f"«{t}»" if style == QUOTED and not t.startswith("“") else t for t, style in line.pieces)
        shown.append(f"{line.mark:<{width}} {text}".rstrip() if width else text)
    return "\n".join(shown)


def rich(lines: Iterable[Line], console: Console) -> RenderableType | None:
    """Lines for a terminal: marks in a column, or above their texts where the terminal is too narrow for that."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from rag.show.render import MARK

    lines = list(lines)
    if not lines:
        return None
    if console.color_system is None:
        lines = [line._replace(pieces=((plain([line._replace(mark="")]), ""),)) for line in lines]
    texts = [(Text(line.mark, MARK, no_wrap=True), Text.assemble(*line.pieces)) for line in lines]
    width = max(len(mark) for mark, _ in texts)
    if not width:
        return Group(*(text for _, text in texts))
    if 2 * width > console.width:
        return Group(*(Group(mark, text) if mark else text for mark, text in texts))
    grid = Table.grid(padding=(0, 1))
    for mark, text in texts:
        grid.add_row(mark, text)
    return grid
