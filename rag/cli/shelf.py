"""The commands over libraries as wholes, and over the command line itself.

Each takes the parsed arguments, prints, and gives the exit code; what it does is done elsewhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from rag.cli import common
from rag.cli.parser import LIBRARIES
from rag.errors import UsageError

if TYPE_CHECKING:
    from rag.library.shelf import Standing


def library(arguments: argparse.Namespace) -> int:
    """List, rename or remove libraries of one's own."""
    return _DOES[arguments.does](arguments)


def _embed(arguments: argparse.Namespace) -> int:
    from rag.library import changes
    from rag.library.served import chosen
    from rag.show.progress import Bar

    embedder = common.told(chosen(arguments.embedder, arguments.embed_url))
    with Bar("Embedding", quiet=True) as bar:
        before, count = changes.embed(arguments.name, embedder, bar)
    facts = {"library": arguments.name, "from": before, "to": embedder.name, "embedded": count}
    _print(
        arguments,
        facts,
        f"{arguments.name} is embedded with {embedder.name} now, was with {before}; {count:,} texts embedded",
    )
    return 0


def completion(arguments: argparse.Namespace) -> int:
    """Print a script for a shell, or what such a script asks for."""
    if arguments.shell == LIBRARIES:
        from rag.library.build import own_libraries

        print("\n".join(own_libraries()))
        return 0
    from rag.cli.completion import script

    sys.stdout.write(script(arguments.shell))
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from rag.library.shelf import standing

    found = standing()
    if arguments.json:
        common.print_json([one.to_dict() for one in found])
    elif found:
        common.print_pairs([(common.one_line(one.name), _said(one)) for one in found])
    else:
        print("rag: no library of your own yet; type: rag add FILE --library NAME", file=sys.stderr)
    return 0


def _rename(arguments: argparse.Namespace) -> int:
    from rag.library import shelf

    folder = shelf.rename(arguments.name, arguments.to)
    facts = {"library": arguments.to, "was": arguments.name, "folder": str(folder)}
    _print(arguments, facts, f"{arguments.name} is called {arguments.to} now")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from rag.library import shelf

    one = shelf.one(arguments.name)
    if not (arguments.yes or _agreed(one)):
        print("nothing was removed", file=sys.stderr)
        return 1
    shelf.remove(arguments.name)
    _print(arguments, {"removed": one.to_dict()}, f"removed {one.name}: {_said(one)}")
    return 0


def _agreed(one: Standing) -> bool:
    """Does the person at the terminal want all of it gone?"""
    from shlex import quote

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"this would delete {one.name} ({_said(one)}); to do it type: rag library remove {quote(one.name)} --yes"
        )
    text = f"Delete {one.name} ({_said(one)})? Its files stay; rag undo does not bring it back. [y/N] "
    print(common.one_line(text), end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _said(one: Standing) -> str:
    from rag.library.report import plural

    papers = common.one_line(one.problem) if one.papers is None else plural(one.papers, "paper")
    return f"{papers}, {one.bytes / 1e6:,.1f} MB" + (f", changed {one.changed}" if one.changed else "")


def _print(arguments: argparse.Namespace, facts: dict[str, object], line: str) -> None:
    if arguments.json:
        common.print_json(facts)
    else:
        print(common.one_line(line))


_DOES: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "rename": _rename,
    "remove": _remove,
    "embed": _embed,
}
