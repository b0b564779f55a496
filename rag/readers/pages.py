"""Saved web pages that list titles and abstracts.

The structure is found by what titles and abstracts are, not by where they stand. An abstract is
prose: several sentences, or one long one. A title is a shorter line that does not read as prose
and stands directly over an abstract. What is neither is furniture of the page (buttons, dates,
bylines) and is reported, as is a title with no abstract below it. Blank lines mean nothing, so
layouts with and without them are one. Saving a page can glue a button's label to the line after
it ("SubscribeOn the ..."): the label is taken off when the page shows it to be a label.
"""

from __future__ import annotations

import io
import re
from typing import NamedTuple

from rag.readers.record import Record, Skipped
from rag.text import sentences

PROSE_WORDS = 35  # a line of this many words is prose whatever its punctuation; titles seen reach 20
TITLE_WORDS = 40

_LABELS = ("Subscribe", "Upvote", "Download", "Share", "Follow", "Sign up", "Log in")
_GLUED = re.compile(rf"(?:{'|'.join(_LABELS)})(?=[A-Z0-9\"'(])")
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_FURNITURE = re.compile(
    rf"new|trending|top|by\s?[A-Z].{{0,60}}|get .{{0,60}}(?:e-?mail|inbox).{{0,20}}|{'|'.join(_LABELS)}|"
    rf"(?:(?:published|submitted)( on)?\s)?(?:{_MONTH}\s\d{{1,2}}(?:,\s\d{{4}})?|\d{{1,2}}\s{_MONTH}(?:\s\d{{4}})?|"
    r"\d{4}-\d{2}-\d{2})|[\d.,]+\s?k?|[·•|–-]+|https?://\S+",
    re.IGNORECASE,
)


class _Line(NamedTuple):
    number: int
    text: str
    start: int
    end: int


def read(text: str, name: str) -> tuple[list[Record], list[Skipped]]:
    """The records of a page in order, and everything else on it. `name` goes into the sources."""
    records: list[Record] = []
    skipped: list[Skipped] = []
    waiting: list[_Line] = []  # lines since the last abstract: furniture, then perhaps a title
    lines = _lines(text)
    at = 0
    while at < len(lines):
        if not _is_prose(lines[at].text):
            waiting.append(lines[at])
            at += 1
            continue
        end = at + 1
        while end < len(lines) and _is_prose(lines[end].text):  # an abstract of several paragraphs
            end += 1
        abstract = text[lines[at].start : lines[end - 1].end]
        records += _record(waiting, abstract, lines[at], name, skipped)
        waiting, at = [], end
    skipped += [_passed_over(line, name) for line in waiting]
    return records, skipped


def _lines(text: str) -> list[_Line]:
    found, at = [], 0
    for number, line in enumerate(io.StringIO(text, newline=""), 1):  # lines as editors count them
        bare = line.strip().lstrip("\ufeff").lstrip()
        if bare:
            start = at + line.index(bare)
            found.append(_Line(number, bare, start, start + len(bare)))
        at += len(line)
    return found


def _is_prose(line: str) -> bool:
    count = len(line.split())
    if count >= PROSE_WORDS:
        return True
    return count >= 12 and line[-1] in ".!" and len(sentences(line)) > 1


def _record(waiting: list[_Line], abstract: str, first: _Line, name: str, skipped: list[Skipped]) -> list[Record]:
    """The record whose abstract begins at `first`, if a title stands over it; the rest is skipped."""
    title = next((line for line in reversed(waiting) if not _is_furniture(line.text)), None)
    skipped += [_passed_over(line, name) for line in waiting if line is not title]
    if title is None:
        skipped.append(Skipped(f"{name}:{first.number}", abstract, "an abstract with no title over it"))
        return []
    glued = _GLUED.match(title.text) if _is_label(title, waiting) else None
    if glued:
        skipped.append(Skipped(f"{name}:{title.number}", glued[0], "a button's label, glued to the title"))
    return [Record(title.text[glued.end() if glued else 0 :], abstract, f"{name}:{title.number}")]


def _is_label(title: _Line, waiting: list[_Line]) -> bool:
    """Only where page furniture stands directly over it: a paper may be called "ShareGPT4V"."""
    over = [line for line in waiting if line.number < title.number]
    return bool(over) and _is_furniture(over[-1].text)


def _is_furniture(line: str) -> bool:
    return bool(_FURNITURE.fullmatch(line.rstrip("!").strip())) or len(line.split()) > TITLE_WORDS


def _passed_over(line: _Line, name: str) -> Skipped:
    reason = "page furniture" if _is_furniture(line.text) else "no abstract below it"
    return Skipped(f"{name}:{line.number}", line.text, reason)
