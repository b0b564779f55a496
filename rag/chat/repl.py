"""`rag chat`: a question a line, answers with their sources, follow-ups and commands in between.

At a terminal the prompt is there before the assistant is; sentences appear as they pass their check.
Ctrl-C stops the answer, not the chat; Ctrl-D leaves. Piped, each line is a question or a command, and there
Ctrl-C stops all of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from rag import __version__
from rag.chat import commands
from rag.chat.commands import Screen, Told
from rag.chat.conversation import PREPARING, Conversation, Open
from rag.chat.store import FILE, Chats
from rag.errors import RagError
from rag.filters import ALL, Filter, unread
from rag.records import EXTRACTIVE, Answer
from rag.text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from rag.settings import Settings
    from rag.show.lines import Line

HELP = "Ask a question; /help for more, Ctrl-D leaves."
BARE = {"quit": "/quit", "exit": "/quit", "help": "/help", "?": "/help"}  # as other tools have it
HINT = "Each sentence above is a quote; /open 1 shows it in its abstract. To have a model write: /model NAME ollama"
PROMPT = "? "
DUMB = ("", "dumb", "unknown")  # terminals that cannot move their cursor: read line by line


def chat(
    settings: Settings,
    open: Open,
    *,
    notice: Callable[[Settings], None],
    where: Filter = ALL,
    resume: int | None = None,
    library_given: bool = False,
    as_json: bool = False,
    removed: bool = False,
    hint: bool = False,
) -> int:
    """Chat on standard input and output until it ends; the exit code.

    `where` says which papers are asked, `resume` the chat to go on with, 0 the last one.
    """
    from dataclasses import replace

    typed, seen = sys.stdin.isatty(), sys.stdout.isatty()
    out: Screen = AsJson() if as_json else screen(removed=removed, hint=hint)
    if typed and resume is None:
        out.say(f"rag {__version__}. {HELP}")
    store = _store(out, needed=resume is not None)
    kept = store.chat(resume or None) if store and resume is not None else None
    if kept and not library_given:
        settings = replace(settings, library=kept.library)
    talk = Conversation(settings, open, store, where=where, say=out.say, notice=notice)
    if kept:
        talk.resume(kept)
        out.say(f"Chat {kept.id} of {kept.at[:10]}, {len(kept.answers)} answers so far. {HELP if typed else ''}")
    if settings.model:
        notice(settings)
    try:
        if typed and seen and os.environ.get("TERM", "") not in DUMB:
            return _typed(talk, out, kept is not None)
        talk.opening.start()
        talk.assistant(_saying_once(out))
        return converse(talk, out, _lines(typed), typed=typed)
    finally:
        talk.opening.leave()


def screen(*, removed: bool = False, hint: bool = False) -> Screen:
    """What standard output is: a terminal, or a pipe."""
    return Terminal(removed=removed, hint=hint) if sys.stdout.isatty() else Piped(removed)


def _typed(talk: Conversation, screen: Screen, resumed: bool) -> int:
    if resumed and talk.history:
        screen.say(f"? {talk.history[-1].question}")
        screen.answer(talk.history[-1])
        screen.end()
    with unechoed():
        code = converse(talk, screen, _prompt(talk), typed=True)
    if not talk.opening.ready:  # a thread in the middle of native code cannot be waited for
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _prompt(talk: Conversation) -> Callable[[], str]:
    """The prompt, on screen before what edits it is loaded; what is typed meanwhile is not lost."""
    from rag.places import home

    print(PROMPT, end="", flush=True)
    from rag.chat.prompt import Prompt

    prompt = Prompt(talk, PROMPT, home("data") / "history")
    print("\r", end="", flush=True)
    return prompt.read


def converse(talk: Conversation, screen: Screen, read: Callable[[], str], *, typed: bool) -> int:
    """Answer until there is nothing more to read; 1 when something piped in failed."""
    code = 0
    while True:
        line = None
        try:
            line = read()
            respond(line, talk, screen)
        except KeyboardInterrupt:
            if not typed:
                raise
            screen.say("(Ctrl-D leaves)" if line is None else "stopped")
        except EOFError:
            return code
        except RagError as error:
            if typed and not talk.history and talk.opening.error is error:
                raise
            screen.say(f"rag: {' '.join(error.worded('chat').split())}")
            code = 0 if typed else 1


def respond(line: str, talk: Conversation, screen: Screen) -> None:
    """Do what one line says: a command, or a question. Raises RagError; EOFError leaves."""
    line = BARE.get(line.strip().lower(), line.strip())
    question: str | None = line
    if line.startswith("/"):
        question = commands.run(line, talk, screen)
    if question:
        if doubt := unread(question):
            screen.say(f"rag: {doubt}")
        with screen.telling() as told:
            answer = _told(talk, question, told)
        screen.answer(answer)
    if line:
        screen.end()


def _told(talk: Conversation, question: str, told: Told) -> Answer:
    from rag.show.progress import heard

    return heard(talk.ask(question, told.stage), told.sentence)


def _store(screen: Screen, *, needed: bool) -> Chats | None:
    from rag.places import home

    try:
        return Chats(home("data") / FILE)
    except RagError as error:
        if needed:
            raise
        screen.say(f"rag: {error.worded('chat')}; this chat is not kept")
        return None


def _saying_once(screen: Screen) -> Callable[[str], None]:
    """Tells a reader of a log, once, that a library is being prepared."""
    said: list[str] = []

    def stage(text: str) -> None:
        if text.startswith(PREPARING) and not said:
            said.append(text)
            screen.say(PREPARING.capitalize())

    return stage


def _lines(typed: bool) -> Callable[[], str]:
    def read() -> str:
        if typed:
            print(PROMPT, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line

    return read


# --- screens ------------------------------------------------------------------------------------


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
        """Nothing stands between two turns but what they end with."""

    @contextmanager
    def telling(self) -> Iterator[Told]:
        """Quietly."""
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
    """A terminal of any width, with colour or without, through rich. On a `console` of the caller's, only what stays is shown."""

    def __init__(self, *, removed: bool = False, hint: bool = False, console: Console | None = None) -> None:
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
            self._hint = False
            self.say(HINT)

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


@contextmanager
def unechoed() -> Iterator[None]:
    """What is typed ahead waits for the next prompt, and does not break into what is shown."""
    try:
        import termios
    except ImportError:  # Windows
        yield
        return
    try:
        before = termios.tcgetattr(sys.stdin)
        quiet = before[3] & ~(termios.ECHO | termios.ICANON)  # by key and not by line: a Ctrl-D waits, too
        termios.tcsetattr(sys.stdin, termios.TCSANOW, [*before[:3], quiet, *before[4:]])
    except (termios.error, OSError, ValueError):  # no terminal
        yield
        return
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


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
