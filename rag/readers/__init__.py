"""Files in some format -> Papers. Nothing is lost in silence: what is not a paper is reported.

A reader turns the text of one file into Records; `read` opens the files, calls the reader, and
merges records of one paper (same normalised title) into one Paper that remembers every place it
came from and keeps the fullest abstract. Each problem names file and line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rag.errors import ReadError
from rag.readers import pages
from rag.readers.record import Record, Skipped
from rag.records import Paper
from rag.text import paper_id

__all__ = ["Reading", "Record", "Skipped", "read"]

SUFFIXES = (".txt", ".text", ".md")


@dataclass(frozen=True, slots=True)
class Reading:
    """What files gave: papers in order of first appearance, records read, and what was passed over."""

    papers: tuple[Paper, ...]
    records: int
    skipped: tuple[Skipped, ...]


def read(paths: Iterable[Path]) -> Reading:
    """Read files, and folders of them, in sorted order.

    Raises ReadError when a path is missing or unreadable, or no paper at all was found.
    """
    records: list[Record] = []
    skipped: list[Skipped] = []
    paths = list(paths)
    files = list(dict.fromkeys(file for path in paths for file in _files(path)))
    for file in files:
        found, passed_over = pages.read(_text(file), file.name)
        records += found
        skipped += passed_over
    if not records:
        names = ", ".join(str(path) for path in files or paths) or "no file"
        raise ReadError(f"no title with an abstract below it found in {names}; see data/README.md for the layouts read")
    return Reading(_merged(records), len(records), tuple(skipped))


def _files(path: Path) -> list[Path]:
    if os.path.isdir(path):  # unlike Path's own, never raises
        inside = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.name != "README.md")
        shown = [file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)]
        return [file for file in shown if not file.is_dir()]
    if not os.path.exists(path):
        raise ReadError(f"{path}: no such file or folder")
    return [path]


def _text(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ReadError(f"{file}: cannot be read ({error.strerror}); check its permissions") from error
    if b"\0" in raw[:8192]:
        raise ReadError(f"{file}: is a binary file, not text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ReadError(f"{file}:{line}: is not UTF-8 text; convert it with: iconv -f latin1 -t utf-8") from error


def _merged(records: list[Record]) -> tuple[Paper, ...]:
    papers: dict[str, Paper] = {}
    for record in records:
        id = paper_id(record.title)
        new = Paper(id=id, title=record.title, abstract=record.abstract, sources=(record.source,))
        old = papers.get(id)
        if old is None:
            papers[id] = new
        else:
            fullest = max(old.abstract, new.abstract, key=len)
            papers[id] = replace(old, abstract=fullest, sources=(*old.sources, record.source))
    return tuple(papers.values())
