"""`rag chat`: a question a line, answers with their sources, follow-ups in between.

Ctrl-C stops the answer, not the chat; Ctrl-D leaves. Works piped, one question a line; there Ctrl-C
stops all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from rag.errors import RagError
from rag.records import Answer

HELP = "Type a question. /new starts afresh, /quit or Ctrl-D leaves."
Reply = Callable[[str, list[Answer]], Answer]


def chat(reply: Reply, show: Callable[[Answer], None], say: Callable[[str], None]) -> None:
    """Read questions from standard input until it ends. `reply` may raise RagError: it is shown."""
    history: list[Answer] = []
    typed = sys.stdin.isatty()
    if typed:
        say(HELP)
    while True:
        try:
            line = _read()
        except KeyboardInterrupt:
            if not typed:
                raise
            say("\n(Ctrl-D leaves)")
            continue
        except EOFError:
            if typed:
                say("")
            return
        if line in ("/quit", "/exit"):
            return
        if line == "/new":
            history.clear()
        elif line.startswith("/"):
            say(HELP)
        elif line:
            _turn(line, history, reply, show, say)


def _turn(
    line: str, history: list[Answer], reply: Reply, show: Callable[[Answer], None], say: Callable[[str], None]
) -> None:
    try:
        answer = reply(line, history)
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
        say("stopped")
    except RagError as error:
        say(f"rag: {error}")
    else:
        show(answer)
        history.append(answer)


def _read() -> str:
    if sys.stdin.isatty():
        import contextlib

        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  line editing and history for input()
        return input("? ").strip()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()
