"""What papers say on claims, as a person reads it: plain lines, wrapped where a width is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from rag.attributed import Attribution, Bearing
from rag.show.lines import Line, line, titled
from rag.show.render import QUOTED, shown
from rag.text import printable

NOTHING = "Nothing in this library supports this."
WORDS = {"supports": "supports", "differs": "differs", "unclear": "near"}


def told(found: Attribution, k: int) -> list[Bearing]:
    """The papers that support a claim, at most `k`, and those that differ; where there is none, the nearest ones."""
    return [*found.supporting[:k], *found.differing[:k]] or list(found.bearings[:k])


def lines(found: Attribution, k: int, width: int | None = None) -> list[str]:
    """These papers, each with its key and quotes."""
    return [*_opening(found), *(line for one in told(found, k) for line in bearing(one, width))]


def numbered(found: Attribution, numbers: Mapping[str, int]) -> list[Line]:
    """The papers that have numbers, as a chat shows them."""
    shown_lines = [line(text) for text in _opening(found)]
    for one in found.bearings:
        if one.paper.id in numbers:
            why = "" if one.verdict == "supports" else f": {printable(one.reason)}"
            shown_lines += [titled(numbers[one.paper.id], one.paper), line(f"{WORDS[one.verdict]}{why}", "dim")]
            shown_lines += [line(f"“{shown(quote.quote)}”", QUOTED) for quote in one.quotes]
    return shown_lines


def _opening(found: Attribution) -> list[str]:
    if found.supporting:
        return []
    return [NOTHING if found.differing or not found.bearings else f"{NOTHING} The nearest:"]


def bearing(one: Bearing, width: int | None = None) -> Iterator[str]:
    """A paper with its key, what it says on the claim, and its quotes."""
    told = f"{WORDS[one.verdict]:<8}  {printable(one.key)}  {shown(one.paper.headline)}"
    yield from _wrapped(told if one.verdict == "supports" else f"{told}: {printable(one.reason)}", "", width)
    for quote in one.quotes:
        yield from _wrapped(f'"{shown(quote.quote)}"', "    ", width)


def _wrapped(text: str, indent: str, width: int | None) -> list[str]:
    deeper = indent or " " * 10
    return wrap(text, width, initial_indent=indent, subsequent_indent=deeper) if width else [indent + text]


def summary(found: Sequence[Attribution]) -> str:
    """How many claims are supported, by how many nothing is known, in a line."""
    counts = {status: sum(one.status == status for one in found) for status in ("supported", "differs", "nothing")}
    return (
        f"{len(found):,} claim{'s' * (len(found) != 1)}: {counts['supported']:,} supported, "
        f"{counts['differs']:,} said otherwise, {counts['nothing']:,} without support"
    )
