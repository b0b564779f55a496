"""A damaged file of a library -> a new one, of all that can be read and is as it was written.

Each page that SQLite cannot read is stepped around. A paper counts if its row is as its digest says; its chunks,
sentences and full text are made anew from it, with the stored vectors that are sound, so that only what has none is
embedded again. What is not as it was written is set aside, never put to use.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag.library import rows, write
from rag.library.database import FILE
from rag.library.digests import digest, digest_of_bytes
from rag.library.rows import PAPER, Row
from rag.library.store import PAGE, Library

SHORTEST = 100  # bytes of a row, which bounds their number: a damaged table may not know its last
TRIES = 50_000  # ranges that may fail before a table is given up
NEW = f"{FILE}.new"
OLD = f"{FILE}.damaged"


@dataclass(slots=True)
class Salvaged:
    """What a damaged file gave. `aside` are rows of papers that are not as they were written.

    `named` are the ids of papers that something else in the file names: those among them without a row are lost.
    """

    embedder: str = ""
    generation: int = 0
    papers: list[Row] = field(default_factory=list)
    aside: list[Row] = field(default_factory=list)
    before: list[Row] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    journal: list[Row] = field(default_factory=list)
    broken: int = 0

    def lost(self) -> dict[str, str]:
        """{id: title, "" where it cannot be read} of the papers that are not among the sound ones."""
        sound = {row[0] for row in self.papers}
        told = {str(row[0]): str(row[1]) for row in self.aside}
        return {id: told.get(id, "") for id in sorted(self.named | told.keys()) if id not in sound}


@contextmanager
def readable_file(folder: Path) -> Iterator[Path]:
    """The damaged file; where SQLite finds no table in it, a copy with the first page of a new library.

    The tables of every library begin at the same pages, since they are made before anything is stored in them. Where
    that is not so, no digest fits what is read.
    """
    file = folder / FILE
    if _has_tables(file):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="abstracts-rag-") as place:
        Library.make(Path(place), FILE, "", 0).close()
        page = (Path(place) / FILE).read_bytes()[:PAGE]
        raw = file.read_bytes()
        pages = max(1, len(raw) // PAGE)
        (Path(place) / FILE).write_bytes(page[:28] + pages.to_bytes(4) + page[32:] + raw[PAGE:])
        yield Path(place) / FILE


def _has_tables(file: Path) -> bool:
    with closing(_open(file)) as db:
        return any(_scan(db, "SELECT 1 FROM sqlite_master WHERE name = 'papers'"))


def read_out(file: Path) -> Salvaged:
    """What can be read of a file, but for its vectors."""
    found = Salvaged()
    with closing(_open(file)) as db:
        meta = {
            row[0]: row[1] for row in _scan(db, "SELECT key, value, digest FROM meta") if digest(*row[:2]) == row[2]
        }
        found.embedder = str(meta.get("embedder", ""))
        for row in _numbered(db, "papers", "number", PAPER):
            (found.papers if _is_sound(row) else found.aside).append(row)
        for row in _numbered(db, "journal", "rowid", "generation, at, action, detail, digest"):
            if digest(*row[:4]) == row[4]:
                found.journal.append(row)
            else:
                found.broken += 1
        found.before = list(_scan(db, "SELECT at, id, title, record, reason FROM aside"))
        for table, column in (("papers", "id"), ("chunks", "paper"), ("sentences", "paper")):
            found.named |= {row[0] for row in _scan(db, f"SELECT DISTINCT {column} FROM {table}") if _is_id(row[0])}
        generations = [int(row[0]) for row in found.journal] + [int(row[3]) for row in found.papers]
        found.generation = max([int(meta.get("generation", 0)), *generations])
    return found


def copy_vectors(file: Path, library: Library) -> int:
    """Bring the sound vectors of a file into a library; how many were not."""
    damaged = 0
    length = 4 * int(library.meta("dimensions"))
    with closing(_open(file)) as db, library.database.transaction() as new:
        for row in _keyed(db):
            if _is_vector(row, length):
                new.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", row)
            else:
                damaged += 1
    return damaged


def begin(
    folder: Path, found: Salvaged, embedder: str, dimensions: int, more: Mapping[str, str] | None = None
) -> Library:
    """A new library beside the damaged file, with the journal and what was set aside, but no paper yet."""
    library = Library.make(folder, NEW, embedder, dimensions, more)
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    aside = [(at, str(row[0]), str(row[1]), str(row[4]), "not as it was written") for row in found.aside]
    with library.database.transaction() as db:
        write.set_meta(db, generation=found.generation)
        db.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?)", found.journal)
        db.executemany(
            "INSERT INTO aside VALUES (?, ?, ?, ?, ?)", [tuple(map(_writable, r)) for r in [*found.before, *aside]]
        )
    return library


def switch(folder: Path, *, keep: str) -> None:
    """Put the new file in the place of the old one, which is kept under the name `keep`, "" for not at all.

    Nobody has the new one open.
    """
    for left in ("-wal", "-shm"):  # of the old file: SQLite would apply them to the new one
        (folder / f"{FILE}{left}").unlink(missing_ok=True)
    if keep:
        (folder / keep).unlink(missing_ok=True)
        with suppress(OSError):
            os.link(folder / FILE, folder / keep)
    os.replace(folder / NEW, folder / FILE)


# --- reading around damage ----------------------------------------------------------------------


def _open(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, timeout=30, isolation_level=None)
    with suppress(sqlite3.Error):
        db.execute("PRAGMA writable_schema = ON")  # else nothing of a file that was cut can be read
    db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return db


def _scan(db: sqlite3.Connection, query: str, *values: object) -> Iterator[Row]:
    """Rows of a query up to the first that cannot be read."""
    with suppress(sqlite3.Error, OverflowError):
        yield from db.execute(query, values)


def _numbered(db: sqlite3.Connection, table: str, number: str, columns: str) -> Iterator[Row]:
    """Rows of a table in the order of their numbers."""
    query = f"SELECT {columns} FROM {table} WHERE {number} >= ? AND {number} < ? ORDER BY {number}"
    last = max(
        [_size(db) // SHORTEST, *(int(row[0]) for row in _scan(db, f"SELECT max({number}) FROM {table}") if row[0])]
    )
    yield from _around(lambda low, high: db.execute(query, (low, high)).fetchall(), 0, last + 1)


def _keyed(db: sqlite3.Connection) -> Iterator[Row]:
    """The vectors, by the first two bytes of their keys."""
    query = "SELECT key, vector, digest FROM vectors WHERE key >= ? AND key < ?"

    def some(low: int, high: int) -> list[Row]:
        end = high.to_bytes(2) if high < 1 << 16 else b"\xff" * 17
        return db.execute(query, (low.to_bytes(2), end)).fetchall()

    yield from _around(some, 0, 1 << 16)


def _around(some: Callable[[int, int], list[Row]], low: int, high: int) -> Iterator[Row]:
    """The rows of a range, in order; one that cannot be read as a whole is read by halves."""
    ranges, failed = [(low, high)], 0
    while ranges and failed < TRIES:
        low, high = ranges.pop()
        try:
            yield from some(low, high)
        except (sqlite3.Error, OverflowError) as error:
            if "no such" in str(error) or "not a database" in str(error):
                return
            failed += 1
            middle = (low + high) // 2
            ranges += [(middle, high), (low, middle)] if high - low > 1 else []


def _size(db: sqlite3.Connection) -> int:
    """Bytes of the file, as it says itself."""
    with suppress(sqlite3.Error):
        return int(db.execute("PRAGMA page_count").fetchone()[0]) * int(db.execute("PRAGMA page_size").fetchone()[0])
    return 0


# --- what counts --------------------------------------------------------------------------------


def _is_sound(row: Row) -> bool:
    return rows.is_sound(row) and isinstance(row[0], str)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value.isalnum()


def _is_vector(row: Sequence[Any], length: int) -> bool:
    key, vector, known = row
    return (
        isinstance(key, bytes)
        and isinstance(vector, bytes)
        and len(vector) == length
        and digest_of_bytes(vector, key) == known
    )


def _writable(value: object) -> str:
    """A value as text that SQLite takes, whatever bytes it was."""
    return str(value).encode("utf-8", "backslashreplace").decode()
