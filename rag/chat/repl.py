"""`rag chat`: a question a line, answers with their sources, follow-ups and commands in between.

At a terminal the prompt is there before the assistant is; sentences appear as they pass their check.
Ctrl-C stops the answer, not the chat; Ctrl-D leaves. Piped, each line is a question or a command, and there
Ctrl-C stops all of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rag import __version__
from rag.chat import commands
from rag.chat.conversation import PREPARING, Conversation, Open
from rag.chat.store import FILE, Chats
from rag.errors import RagError, UsageError
from rag.filters import ALL, Filter, unread
from rag.records import Answer
from rag.show.screen import AsJson, Screen, Told, screen
from rag.text import may_be_cut, unstyled

if TYPE_CHECKING:
    from rag.settings import Settings

HELP = "Ask a question; /help for more, Ctrl-D leaves."
BARE = {"quit": "/quit", "exit": "/quit", "help": "/help", "?": "/help"}  # as other tools have it
HINT = (
    "Each sentence above is a quote; /open 1 shows it in its abstract. To have a model write: /model NAME ollama, "
    "or another server's URL, or /model FILE.gguf"
)
PROMPT = "? "
TOO_LONG = "this terminal drops the end of so long a line; ask in fewer words, or pipe it in: rag chat < FILE"
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
    out = AsJson() if as_json else screen(removed=removed, hint=HINT if hint else "")
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
    """A prompt that is shown before its editor is loaded; keys typed meanwhile are not lost."""
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
    typed = unstyled(line)
    line = typed.strip()
    line = BARE.get(line.lower(), line)
    question: str | None = line
    if line.startswith("/") and not typed[0].isspace():  # a blank makes it a question
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
    """Says once, where no bar can be shown, that a library is being prepared."""
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
        if typed and may_be_cut(line):
            raise UsageError(TOO_LONG)
        return line

    return read


@contextmanager
def unechoed() -> Iterator[None]:
    """Between prompts, keys are not shown; the next prompt reads them."""
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
