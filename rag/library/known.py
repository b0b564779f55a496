"""Which papers of a library a file that is read may touch, found without reading the others.

Two tables stand beside the papers and change with them, in the same transaction: by what a record finds its paper (a
number, a title, the beginning of an abstract; as hashes, since a paper too many does no harm), and the files that a paper
came from. What a record is found by, the code of the readers says: other code fills the tables anew before it adds.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from sqlite3 import Connection

from rag.library import rows
from rag.library.database import PIECE, Database
from rag.library.digests import digest
from rag.library.rows import PAPER, Row, is_sound
from rag.readers import Record, file_named, keys_of, record_of, version
from rag.records import Paper

VERSION = 1  # of the tables
_TABLES = (
    "CREATE TABLE keys (key INTEGER NOT NULL, paper INTEGER NOT NULL, PRIMARY KEY (key, paper)) WITHOUT ROWID",
    "CREATE INDEX keys_paper ON keys (paper)",
    "CREATE TABLE origins (file BLOB NOT NULL, paper INTEGER NOT NULL, PRIMARY KEY (file, paper)) WITHOUT ROWID",
    "CREATE INDEX origins_paper ON origins (paper)",
)


class Known:
    """What a library holds, None for one that is not there yet. `names` are what sources call files that are known or read."""

    def __init__(self, database: Database | None, names: Collection[str]) -> None:
        self._db, self._names = database, names
        if database:
            with database.transaction() as db:
                ensure(db)

    def count(self) -> int:
        """How many papers there are."""
        return self._db.count() if self._db else 0

    def has(self, id: str) -> bool:
        """Is there a paper of that id?"""
        return bool(self.ids([id]))

    def ids(self, wanted: Iterable[str]) -> set[str]:
        """Those of some ids under which there is a paper."""
        return {id for (id,) in self._many("SELECT id FROM papers WHERE id IN ({})", wanted)}

    def sources(self, ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The sources of some papers, those that there are."""
        return {id: paper.sources for id, paper in self._papers("id", ids).items()}

    def touched(self, records: Iterable[Record], files: Collection[str]) -> dict[str, Paper]:
        """The papers, in the order they were added, that one of the records may be, or that came from one of the files."""
        keys = {key for record in records for key in _hashes(record)}
        numbers = {n for (n,) in self._many("SELECT paper FROM keys WHERE key IN ({})", list(keys))}
        return self._papers("number", sorted(numbers | self._numbers(files)))

    def _papers(self, column: str, values: Iterable[object]) -> dict[str, Paper]:
        """In each piece by number, so that of sorted numbers all are."""
        if not self._db:
            return {}
        read = self._many(f"SELECT {PAPER} FROM papers WHERE {column} IN ({{}}) ORDER BY number", values)
        return {row[0]: rows.paper(self._db, row) for row in read}

    def _many(self, query: str, values: Iterable[object]) -> list[Row]:
        return list(self._db.many(query, list(values))) if self._db else []

    def beside(self, files: Collection[str]) -> set[str]:
        """The files from which papers of some files came, these among them."""
        query = "SELECT DISTINCT file FROM origins WHERE paper IN ({})"
        return {self._file(name) for (name,) in self._many(query, sorted(self._numbers(files)))}

    def held_by(self, files: Collection[str]) -> set[str]:
        """The ids of the papers that came from one of some files."""
        query = "SELECT id FROM papers WHERE number IN ({})"
        return {id for (id,) in self._many(query, sorted(self._numbers(files)))}

    def files(self) -> set[str]:
        """All files that papers came from."""
        return set(map(self._file, self._called()))

    def _numbers(self, files: Collection[str]) -> set[int]:
        called = [name for name in self._called() if self._file(name) in files] if files else []
        return {n for (n,) in self._many("SELECT paper FROM origins WHERE file IN ({})", called)}

    def _file(self, name: bytes) -> str:
        """Sources name a file, or a file and what lies in it: "archive!member"."""
        return file_named(_decoded(name), self._names)

    def _called(self) -> list[bytes]:
        """All names that sources have, each found by the one before: there are few files for many papers."""
        query = (
            "WITH RECURSIVE found (file) AS (SELECT min(file) FROM origins UNION ALL "
            "SELECT (SELECT min(file) FROM origins WHERE file > found.file) FROM found WHERE file IS NOT NULL) "
            "SELECT file FROM found WHERE file IS NOT NULL"
        )
        return [name for (name,) in self._db.rows(query)] if self._db else []


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")


def problem(db: Connection) -> str:
    """How the tables differ from the papers, "" if they do not or are to be made anew before they are used."""
    if not current(db):
        return ""
    keys, origins = _by_paper(db, "key", "keys"), _by_paper(db, "file", "origins")
    wrong = sum(
        (keys.pop(number, set()), origins.pop(number, set())) != (set(_hashes(record_of(paper))), set(_files(paper)))
        for number, paper in _stored(db)
    )
    wrong += len(keys.keys() | origins.keys())
    return f"{wrong:,} papers would not be known again in a file" if wrong else ""


def _by_paper(db: Connection, column: str, table: str) -> dict[int, set[object]]:
    found: dict[int, set[object]] = defaultdict(set)
    for value, paper in db.execute(f"SELECT {column}, paper FROM {table}"):
        found[paper].add(value)
    return found


# --- writing ------------------------------------------------------------------------------------


def current(db: Connection) -> bool:
    """Has a library the tables, as this version fills them?"""
    return bool(db.execute("SELECT 1 FROM meta WHERE key = 'known' AND value = ?", (_version(),)).fetchall())


def _version() -> str:
    return f"{VERSION} {version()}"


def ensure(db: Connection) -> None:
    """Fill the tables of a library that has none, or those of other code."""
    if current(db):
        return
    if not db.in_transaction:
        db.execute("BEGIN IMMEDIATE")
    create(db)
    papers = _stored(db)
    while some := dict(islice(papers, PIECE)):
        update(db, some)


def create(db: Connection) -> None:
    """Make the tables, empty; those that are there are dropped first."""
    for table in ("keys", "origins"):
        db.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in _TABLES:
        db.execute(statement)
    db.execute("INSERT OR REPLACE INTO meta VALUES ('known', ?, ?)", (_version(), digest("known", _version())))


def update(db: Connection, papers: Mapping[int, Paper | None]) -> None:
    """Say what papers there are under some numbers now; None is none. Tables of other code are left to `ensure`."""
    if not current(db):
        return
    for table in ("keys", "origins"):
        db.executemany(f"DELETE FROM {table} WHERE paper = ?", [(number,) for number in papers])
    held = [(number, paper) for number, paper in papers.items() if paper]
    db.executemany(
        "INSERT INTO keys VALUES (?, ?)", [(key, n) for n, paper in held for key in set(_hashes(record_of(paper)))]
    )
    db.executemany("INSERT INTO origins VALUES (?, ?)", [(name, n) for n, paper in held for name in set(_files(paper))])


def _stored(db: Connection) -> Iterator[tuple[int, Paper]]:
    """The papers that are as they were written, with their numbers."""
    for *row, number in db.execute(f"SELECT {PAPER}, number FROM papers ORDER BY number"):
        if is_sound(row):
            yield number, Paper.from_dict(json.loads(row[4]))


def _hashes(record: Record) -> Iterator[int]:
    """What a record is found by, as numbers that SQLite takes."""
    for kind, value in keys_of(record):
        raw = hashlib.blake2b(f"{kind}\0{value}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        yield int.from_bytes(raw, signed=True)


def _files(paper: Paper) -> Iterator[bytes]:
    """What the sources of a paper call their files; a name may hold what is no UTF-8."""
    return (source.rpartition(":")[0].encode("utf-8", "surrogatepass") for source in paper.sources)
