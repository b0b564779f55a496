"""The prompt of a chat at a terminal: editing, history, completion, many lines, on prompt_toolkit.

Imported only where a person types. The assistant is opened once the prompt is on screen. Enter sends,
Alt-Enter begins a new line, a pasted text stays one question. Commands complete as they are typed, numbers
and titles on Tab. The terminal is never asked where its cursor is: over a slow connection its reply
would be read as typing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter, get_common_complete_suffix
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style

from rag.chat.commands import COMMANDS, OFF
from rag.chat.conversation import PREPARING, Conversation
from rag.errors import RagError
from rag.formats import CITED
from rag.places import private
from rag.text import printable, readable, unstyled

TITLES = 20_000  # of a library, that completion offers
OFFERED = 20  # completions at a time
LEAST = 3  # characters of a title before it is offered
SHORT = 40  # characters of a name before the colon of a title
REFRESH = 0.3  # seconds between two looks at a library that is being prepared
STYLE = Style.from_dict({"prompt": "bold ansicyan", "placeholder": "ansibrightblack"})


class Prompt:
    """Reads one question or command after the other."""

    def __init__(self, chat: Conversation, prompt: str, history: Path) -> None:
        self._chat = chat
        self._session: PromptSession[str] = PromptSession(
            [("class:prompt", prompt)],
            multiline=True,
            prompt_continuation=" " * len(prompt),
            history=History(history),
            completer=Completions(chat),
            complete_while_typing=Condition(lambda: get_app().current_buffer.text.startswith("/")),
            key_bindings=_bindings(),
            placeholder=self._doing,
            output=_output(),
            style=STYLE,
            reserve_space_for_menu=6,
            enable_suspend=True,
        )

    def read(self) -> str:
        """What was typed. Raises EOFError, KeyboardInterrupt, or what opening the assistant raised meanwhile."""
        opening = self._chat.opening
        begin = None if opening.started else self._start
        return self._session.prompt(pre_run=begin, refresh_interval=0 if opening.ready else REFRESH)

    def _start(self) -> None:
        """Open the assistant as soon as the prompt is on screen."""
        app = self._session.app

        def tell() -> None:
            if app.loop:
                app.loop.call_soon_threadsafe(self._opened)

        def shown(_: Any) -> None:
            app.after_render -= shown
            if not self._chat.opening.started:
                self._chat.opening.start(tell)

        app.after_render += shown

    def _opened(self) -> None:
        app, error = self._session.app, self._chat.opening.error
        if app.is_running and not app.is_done:
            if error:
                app.exit(exception=error)
            else:
                app.invalidate()

    def _doing(self) -> StyleAndTextTuples:
        doing = self._chat.opening.doing
        shown = not self._chat.opening.ready and doing.startswith(PREPARING)
        return [("class:placeholder", f"({doing})")] if shown else []


class History(FileHistory):
    """What was typed in earlier chats, in a file that need not be writable."""

    def __init__(self, file: Path) -> None:
        with suppress(OSError):
            private(file)
        super().__init__(str(file))

    def load_history_strings(self) -> Iterable[str]:
        """Latest first."""
        try:
            yield from (printable(line) for line in super().load_history_strings())
        except OSError:
            return

    def store_string(self, string: str) -> None:
        """Keep a line; nothing is kept when the disk is full."""
        with suppress(OSError, ValueError):
            super().store_string(string)


class Completions(Completer):
    """Commands, their arguments, and in a question the numbers and titles it may name."""

    def __init__(self, chat: Conversation) -> None:
        self._chat = chat
        self._titles: tuple[object, list[tuple[str, str]]] = (None, [])

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """What can be inserted at the cursor."""
        text = document.text_before_cursor
        if text.startswith("/"):
            found = self._of_command(text[1:], document, complete_event)
        else:
            found = self._of_question(text) if complete_event.completion_requested else iter(())
        with suppress(RagError):
            yield from islice(found, OFFERED)

    def _of_command(self, typed: str, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        name, space, argument = typed.partition(" ")
        if not space:
            for one in COMMANDS:
                if one.name.startswith(name.lower()):
                    gap = " " if one.arguments and not one.arguments.startswith("[") else ""
                    yield Completion(one.name + gap, -len(name), display=one.usage, display_meta=one.help)
            return
        takes = next((one.takes for one in COMMANDS if one.name == name.lower()), "")
        if takes == "file":
            yield from PathCompleter(expanduser=True).get_completions(Document(argument), event)
        elif takes:
            last = argument.split(" ")[-1] if takes in ("cite", "number", "where") else argument
            for value, meta in OFFERS[takes](self):
                if value.casefold().startswith(last.casefold()):
                    yield Completion(value, -len(last), display_meta=meta)

    def _of_question(self, text: str) -> Iterator[Completion]:
        if mark := re.search(r"\[(\d*)$", text):
            for value, title in self.numbers():
                if value.startswith(mark[1]):
                    yield Completion(f"{value}]", -len(mark[1]), display_meta=title)
            return
        starts = [word.start() for word in re.finditer(r"(?<!\w)\w", text)]
        for start in starts:  # the longest end of the question that begins a title
            typed = text[start:].casefold()
            found = [(name, title) for name, title in self.titles() if name.casefold().startswith(typed)]
            if len(typed) >= LEAST and found:
                yield from (Completion(name, start - len(text), display_meta=title) for name, title in found)
                return

    def numbers(self) -> list[tuple[str, str]]:
        """The numbers on screen, with the titles behind them."""
        return [(str(n), _line(paper.headline)) for n, paper in sorted(self._chat.on_screen.items())]

    def titles(self) -> list[tuple[str, str]]:
        """(what is inserted, whole title) of the library's papers: the name before a colon, if there is one."""
        opening = self._chat.opening
        if not opening.ready or opening.error:
            return []
        library = self._chat.assistant().library
        at = (library.path, library.generation)
        if at != self._titles[0]:
            titles = [_line(paper.title) for paper in islice(library, TITLES)]
            self._titles = at, [(_name(title), title) for title in titles]
        return self._titles[1]


OFFERS: dict[str, Callable[[Completions], list[tuple[str, str]]]] = {
    "number": Completions.numbers,
    "paper": lambda of: of.numbers() + [(title, "") for _, title in of.titles()],
    "cite": lambda of: of.numbers() + [(form, "") for form in CITED],
    "verdict": lambda of: [("good", "it answers, and rightly"), ("bad", "say after it what is wrong")],
    "where": lambda of: [(OFF, "ask all"), ("year>=", ""), ("year:", "2020-2023"), ("author:", ""), ("venue:", "")],
    "command": lambda of: [(one.name, one.help) for one in COMMANDS],
}


def _name(title: str) -> str:
    name, colon, _ = title.partition(":")
    return name if colon and len(name) <= SHORT else title


def _line(title: str) -> str:
    return " ".join(printable(readable(title)).split())


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None
        event.current_buffer.validate_and_handle()

    @bindings.add("tab")
    def complete(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_next()
            return
        asked = CompleteEvent(completion_requested=True)
        found = list(buffer.completer.get_completions(buffer.document, asked))
        if len(found) == 1:  # at once: prompt_toolkit drops a Tab while it still looks for something
            buffer.apply_completion(found[0])
        elif common := get_common_complete_suffix(buffer.document, found):
            buffer.insert_text(common)
        elif buffer.complete_state:
            buffer.complete_next()
        elif found:
            buffer.start_completion(select_first=False)

    @bindings.add(Keys.BracketedPaste)
    def paste(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(unstyled(event.data.replace("\r\n", "\n").replace("\r", "\n")))

    @bindings.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings


def _output() -> Output:
    output = create_output(sys.stdout)
    if isinstance(output, Vt100_Output):
        output.enable_cpr = False
    return output
