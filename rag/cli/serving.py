"""`rag mcp` and `rag skill`: the doors for agents."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from rag.cli import common
from rag.errors import Cancelled, UsageError
from rag.remedies import Remedy


def mcp(arguments: argparse.Namespace) -> int:
    """Serve a library to an agent until it closes standard input."""
    from rag import Library, __version__
    from rag.show.progress import Bar

    try:
        from rag.integrations.mcp import server
    except ImportError:
        raise UsageError("rag mcp needs the package mcp, version 2, which is not here", Remedy.MCP_EXTRA) from None
    settings = common.settings_of(arguments)
    chosen = common.options_of(arguments) | {"keep_unverified": arguments.keep_unverified}
    with Bar() as bar:
        opened = Library.open(chosen.pop("library"), progress=bar, **chosen)
    if settings.model:
        common.notice(settings.model, settings.base_url)
    if sys.stdin.isatty():
        print(
            "rag: waiting for an agent on standard input; rag skill teaches one without it; Ctrl-C ends",
            file=sys.stderr,
        )
    with opened as library, _ended_by_ctrl_c():
        server(library, __version__).run("stdio")
    return 0


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Ctrl-C ends the process at once: the thread that waits for input would not hear of it, and there is nothing to save."""

    def end(*_: object) -> NoReturn:
        print("rag: stopped", file=sys.stderr, flush=True)
        os._exit(Cancelled.exit_code)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def skill(arguments: argparse.Namespace) -> int:
    """Print what teaches an agent the command line."""
    from rag.integrations.agents import skill as text

    sys.stdout.write(text())
    return 0
