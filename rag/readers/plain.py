"""One abstract a file: plain text broken into short lines, or Markdown.

The title is the Markdown heading, the front matter's "title:", a line "Title: ...", or else the
first paragraph where it is short. The abstract is the section of that name, or all that follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from rag.readers import pages
from rag.readers.fields import gathered, names, unfolded
from rag.readers.record import Found, Record, Skipped

TITLE_WORDS = 40
_FRONT = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_HEADING = re.compile(r"#{1,6}[ \t]+(.*)")
_LABEL = re.compile(
    r"[*_]{0,2}(title|authors?|year|date|doi|url|venue|journal|keywords)[*_]{0,2}:[*_]{0,2}[ \t]+(.*)", re.I
)
_ABSTRACT = re.compile(r"[*_]{0,2}(?:abstract|summary)[*_]{0,2}\s*[:.—–-]?[*_]{0,2}\s*", re.IGNORECASE)


class _Part(NamedTuple):
    """A paragraph, the line it begins on, and the heading it is ("" for none)."""

    line: int
    text: str
    heading: str


def is_wrapped(text: str) -> bool:
    """Is this prose broken into short lines, in mid-sentence? Then a line says nothing of what it is."""
    lines = text.split("\n")
    if max((len(line) for line in lines), default=0) > 120:
        return False
    pairs = pairwise(lines)
    return sum(len(one) > 40 and one.rstrip()[-1:] not in ".!?:" and two[:1].islower() for one, two in pairs) > 1


def is_markdown(text: str) -> bool:
    """Does it open with front matter that names a title, or with a heading?"""
    front = _FRONT.match(text)
    if front:
        return bool(re.search(r"^title\s*:", front[1], re.IGNORECASE | re.MULTILINE))
    return bool(_HEADING.fullmatch(text.lstrip().split("\n", 1)[0])) and not text.startswith("#!")


def read(text: str, name: str) -> Found:
    """The one record of a file, or why there is none."""
    fields, body, line = _front(text)
    parts = list(_parts(body, line))
    several = _several(parts, name) if not fields else None
    if several:
        return several
    title, begins = fields.pop("title", ""), 1
    if not title and parts:
        first = parts.pop(0)
        title, begins = first.heading or _labelled(first, fields) or first.text, first.line
        if len(title.split()) > TITLE_WORDS:
            return [], [
                Skipped(f"{name}:{first.line}", first.text[:200], "an abstract with no title over it", "refused")
            ]
    abstract = _abstract(parts, fields)
    made = gathered(
        f"{name}:{begins}",
        title,
        abstract,
        authors=names(fields.get("authors", fields.get("author", ""))),
        year=fields.get("year") or fields.get("date"),
        venue=fields.get("venue") or fields.get("journal"),
        doi=fields.get("doi"),
        url=fields.get("url"),
        extra={"keywords": fields.get("keywords")},
    )
    return ([made], []) if isinstance(made, Record) else ([], [made])


def _several(parts: list[_Part], name: str) -> Found | None:
    """What the reader of pages makes of the paragraphs, if they are titles over abstracts, more than one."""
    if any(part.heading for part in parts):
        return None
    records, skipped = pages.read("\n".join(part.text.replace("\n", " ") for part in parts), name)

    def at(source: str) -> str:
        return f"{name}:{parts[int(source.rsplit(':', 1)[1]) - 1].line}"

    if len(records) < 2:
        return None
    return [replace(r, source=at(r.source)) for r in records], [replace(s, source=at(s.source)) for s in skipped]


def _front(text: str) -> tuple[dict[str, str], str, int]:
    """The front matter's simple fields, what follows it, and the lines before that."""
    found = _FRONT.match(text)
    if not found:
        return {}, text, 0
    fields: dict[str, str] = {}
    last = ""
    for line in found[1].split("\n"):
        if match := re.fullmatch(r"(\w+)\s*:\s*(.*)", line):
            last = match[1].lower()
            fields[last] = match[2].strip().strip("\"'[]")
        elif last and (item := line.strip().lstrip("-").strip()):
            fields[last] = "; ".join(part for part in (fields[last].strip("|>"), item.strip("\"'")) if part)
    return fields, text[found.end() :], text.count("\n", 0, found.end())


def _parts(text: str, before: int) -> Iterator[_Part]:
    """Paragraphs and headings in order."""
    waiting: list[str] = []
    start = 0
    for number, line in enumerate([*text.split("\n"), ""], before + 1):
        heading = _HEADING.fullmatch(line.rstrip())
        if waiting and (heading or not line.strip()):
            yield _Part(start, unfolded("\n".join(waiting)), "")
            waiting = []
        if heading:
            title = heading[1].rstrip("# \t")
            yield _Part(number, title, title or " ")
        elif line.strip():
            start = start if waiting else number
            waiting.append(line)


def _labelled(part: _Part, fields: dict[str, str]) -> str:
    """ "Title: ..." gives its value; other labels go to the fields."""
    found = _LABEL.fullmatch(part.text)
    return found[2] if found and found[1].lower() == "title" else ""


def _abstract(parts: list[_Part], fields: dict[str, str]) -> str:
    """The section called abstract, or else all paragraphs; labelled lines go to the fields."""
    texts: list[str] = []
    inside, named = True, False
    for part in parts:
        label = _LABEL.fullmatch(part.text)
        if part.heading:
            is_abstract = bool(_ABSTRACT.fullmatch(part.heading))
            if is_abstract and not named:
                texts = []
            named, inside = named or is_abstract, is_abstract or not named
        elif label:
            fields.setdefault(label[1].lower(), label[2])
        elif inside:
            texts.append(part.text)
    whole = "\n\n".join(texts)
    opening = _ABSTRACT.match(whole)
    return whole[opening.end() :] if opening and re.search(r"[:.—–\n]|\*", opening[0]) else whole
