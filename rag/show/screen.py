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
    from rich.text import Text

    from rag.show.lines import Line


STANDARD = 80  # columns of a terminal
LENGTHS = range(300, 40, -20)  # characters of a sentence of a list, tried one after the other until it fits
LEAST_SEEN = 20  # columns of a title that is cut
CUT = "... marks a sentence that is cut here; --abstracts shows all"


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
    only what stays is shown. `abstracts` shows those of the sources whole. An answer from many papers is made
    to fit `rows`, at 80 columns, by cutting long sentences; None cuts none.
    """

    def __init__(
        self,
        *,
        removed: bool = False,
        hint: str = "",
        console: Console | None = None,
        abstracts: bool = False,
        rows: int | None = None,
    ) -> None:
        self._removed, self._hint, self._console = removed, hint, console
        self._abstracts, self._rows = abstracts, rows
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
        from rag.show import lines

        console = self._rich()
        rows = None if self._abstracts or len(answer.numbers) < lines.MANY else self._rows
        tried: list[tuple[bool, int | None]] = [(True, None)]
        if rows:
            rows = rows * max(STANDARD, console.width) // console.width
            tried += [(False, longest) for longest in (None, *LENGTHS)]
        for apart, longest in tried:
            parts = self._parts(answer, apart, longest)
            if rows and sum(len(console.render_lines(part, pad=False)) for part in parts) <= rows:
                break
        self._print(*parts)
        if self._hint and answer.model == EXTRACTIVE and answer.citations:
            self.say(self._hint)
            self._hint = ""

    def _parts(self, answer: Answer, apart: bool, longest: int | None) -> list[RenderableType]:
        """What is shown of an answer, the sentences of a list `apart` and cut at `longest` characters."""
        from rich.text import Text

        from rag.show import lines, render

        console, told = self._rich(), lines.told(answer, apart=apart, longest=longest)
        notes = render.notes(answer, self._removed)
        struck = [lines.line(claim.text, "strike", "-") for claim in answer.removed if self._removed]
        parts = [
            rich(lines.searched(answer), console),
            render.rich_text(told),
            Text() if answer.citations else None,
            rich(lines.sources(answer, longest=longest, abstracts=self._abstracts), console),
            Text(CUT, "dim") if longest else None,
            *(Text(note, "dim") for note in notes),
            rich(struck, console),
        ]
        return [part for part in parts if part is not None]

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
    lines = list(lines)
    width = max((len(line.mark) for line in lines), default=0)
    shown = []
    for line in lines:
        text = "".join(text for text, _ in marked(line).pieces)
        shown.append(f"{line.mark:<{width}} {text}".rstrip() if width else text)
    return "\n".join(shown)


def marked(line: Line) -> Line:
    """The line, what is quoted between « and », where it has no marks of its own."""
    from rag.show.render import QUOTED

    pieces = ((f"«{t}»" if style == QUOTED and not t.startswith("“") else t, style) for t, style in line.pieces)
    return line._replace(pieces=tuple(pieces))


def rich(lines: Iterable[Line], console: Console) -> RenderableType | None:
    """Lines for a terminal: marks in a column, or above their texts where the terminal is too narrow for that."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from rag.show.render import MARK

    lines = list(lines)
    if not lines:
        return None
    if console.color_system is None or console.no_color:
        lines = [marked(line) for line in lines]
    width = max(len(line.mark) for line in lines)
    beside = console.width - (width + 1 if 0 < 2 * width <= console.width else 0)
    texts = [(Text(line.mark, MARK, no_wrap=True), _assembled(line, beside)) for line in lines]
    if not width:
        return Group(*(text for _, text in texts))
    if 2 * width > console.width:
        return Group(*(Group(mark, text) if mark else text for mark, text in texts))
    grid = Table.grid(padding=(0, 1))
    for mark, text in texts:
        grid.add_row(mark, text)
    return grid


def _assembled(line: Line, width: int) -> Text:
    """The text of a line; of one that fits, on one row of that width, if the first piece can be cut so far."""
    from rich.text import Text

    if not line.fits:
        return Text.assemble(*line.pieces)
    first, rest = Text(*line.pieces[0]), Text.assemble(*line.pieces[1:])
    first.truncate(max(width - rest.cell_len, LEAST_SEEN), overflow="ellipsis")
    return first + rest
