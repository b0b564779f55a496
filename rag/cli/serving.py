"""`rag mcp` and `rag skill`: the doors for agents."""

from __future__ import annotations

import argparse
import sys

from rag.cli import common
from rag.errors import UsageError
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
    with opened as library:
        if settings.model:
            common.notice(settings.model, settings.base_url)
        server(library, __version__).run("stdio")
    return 0


def skill(arguments: argparse.Namespace) -> int:
    """Print what teaches an agent the command line."""
    from rag.integrations.agents import skill as text

    sys.stdout.write(text())
    return 0
