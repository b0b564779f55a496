"""What filters look at, beside the papers: the year, the authors' and the venue's words of each, many papers to a row.

A row is one field of a page of papers, a line for each number, so that a filter over a large library reads a few
hundred rows instead of every record. The table changes with the papers, in the same transaction.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from sqlite3 import Connection
from typing import NamedTuple

from rag.filters import NO_YEAR, YEARS, Lines, author_line, venue_line
from rag.library.digests import digest, digest_of_bytes
from rag.library.rows import PAPER, is_sound
from rag.records import Paper

VERSION = 1  # of the table and of what its lines say; another one is filled anew
PAGE = 1024  # papers
FIELDS = ("id", "year", "author", "venue")

_TABLE = """CREATE TABLE facts (field TEXT NOT NULL, page INTEGER NOT NULL, value BLOB NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (field, page)) WITHOUT ROWID"""


class Page(NamedTuple):
    """Some papers: their ids, "" for a number that is no paper's, and what filters compare of each."""

    ids: Sequence[str]
    lines: Lines


class Unsound(Exception):
    """The table is not as it was written."""


def pages(db: Connection, fields: Sequence[str]) -> Iterator[Page]:
    """The papers by their numbers, with some of the fields: year, author, venue. Raises Unsound."""
    read = {field: _values(db, field) for field in ("id", *fields)}
    for page, ids in read["id"].items():
        try:
            held = {field: read[field][page] for field in fields}
        except KeyError:
            raise Unsound from None
        texts = (held.get(field, b"").decode() for field in ("author", "venue"))
        yield Page(ids.decode().split("\n"), Lines(array("h", held.get("year", b"")), *texts))


def _values(db: Connection, field: str) -> dict[int, bytes]:
    found = {}
    for page, value, known in db.execute(
        "SELECT page, value, digest FROM facts WHERE field = ? ORDER BY page", (field,)
    ):
        if not isinstance(value, bytes) or digest_of_bytes(value, _key(field, page)) != known:
            raise Unsound
        found[page] = value
    return found


def _key(field: str, page: int) -> bytes:
    return f"{field} {page} ".encode()


def problem(db: Connection) -> str:
    """How the table differs from the papers, "" if it does not."""
    try:
        held = {field: _values(db, field) for field in FIELDS}
    except Unsound:
        return "it is not as it was written"
    numbered = dict(_papers(db))
    pages = {number // PAGE for number in numbered}.union(*held.values())
    differing = sum(
        held[field].get(page) != _joined(field, [_line(field, numbered.get(page * PAGE + at)) for at in range(PAGE)])
        for page in pages
        for field in FIELDS
    )
    return f"{differing:,} pages differ from the papers" if differing else ""


# --- writing ------------------------------------------------------------------------------------


def current(db: Connection) -> bool:
    """Has a library the table, as this version makes it?"""
    return bool(db.execute("SELECT 1 FROM meta WHERE key = 'facts' AND value = ?", (str(VERSION),)).fetchall())


def create(db: Connection) -> None:
    """Make the table, empty; one that is there is dropped first."""
    db.execute("DROP TABLE IF EXISTS facts")
    db.execute(_TABLE)
    db.execute("INSERT OR REPLACE INTO meta VALUES ('facts', ?, ?)", (str(VERSION), digest("facts", str(VERSION))))


def ensure(db: Connection) -> None:
    """Fill the table of a library that has none, or an older one: once for libraries made before."""
    if not db.in_transaction:
        db.execute("BEGIN IMMEDIATE")
    if not current(db):
        refill(db)


def refill(db: Connection) -> None:
    """Make the table from the papers, but for those that are not as they were written."""
    create(db)
    papers = _papers(db)
    while some := dict(islice(papers, PAGE)):
        update(db, some)


def _papers(db: Connection) -> Iterator[tuple[int, Paper]]:
    """The papers that are as they were written, with their numbers."""
    for *row, number in db.execute(f"SELECT {PAPER}, number FROM papers ORDER BY number"):
        if is_sound(row):
            yield number, Paper.from_dict(json.loads(row[4]))


def update(db: Connection, papers: Mapping[int, Paper | None]) -> None:
    """Say what papers there are under some numbers now; None is none."""
    by_page: dict[int, dict[int, Paper | None]] = defaultdict(dict)
    for number, paper in papers.items():
        by_page[number // PAGE][number % PAGE] = paper
    for page, some in by_page.items():
        for field in FIELDS:
            lines = _lines(db, field, page)
            for at, paper in some.items():
                lines[at] = _line(field, paper)
            value = _joined(field, lines)
            row = (field, page, value, digest_of_bytes(value, _key(field, page)))
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", row)


def _lines(db: Connection, field: str, page: int) -> list[str]:
    """The lines of a page, one for each number, as text."""
    rows = db.execute("SELECT value FROM facts WHERE field = ? AND page = ?", (field, page)).fetchall()
    if not rows:
        return [_line(field, None)] * PAGE
    return list(map(str, array("h", rows[0][0]))) if field == "year" else rows[0][0].decode().split("\n")


def _line(field: str, paper: Paper | None) -> str:
    if field == "year":
        year = paper.year if paper else None
        return str(NO_YEAR if year is None else max(-1, min(year, YEARS + 1)))
    if paper is None:
        return ""
    return {"id": paper.id, "author": author_line(paper.authors), "venue": venue_line(paper.venue)}[field]


def _joined(field: str, lines: Sequence[str]) -> bytes:
    return array("h", map(int, lines)).tobytes() if field == "year" else "\n".join(lines).encode()
