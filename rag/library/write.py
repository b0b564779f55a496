"""What changes a library's file. Call these under the writer's lock; each is one transaction: all of it happens or nothing.

Vectors are stored as they are made, before the papers that need them: a build that is killed goes on where it
stopped, and a text that was embedded once is never embedded again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

from rag.library import facts, names, pieces, words
from rag.library.database import Database
from rag.library.digests import digest, digest_of_bytes
from rag.library.rows import digest_of, recorded
from rag.records import Chunk, Paper
from rag.text import readable, terms, title_key

if TYPE_CHECKING:
    import numpy as np


ASIDE = """CREATE TABLE aside (at TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, record TEXT NOT NULL,
    reason TEXT NOT NULL)"""  # records that were found damaged


class Embedded(NamedTuple):
    """A span of a paper with the key of its vector."""

    start: int
    end: int
    key: bytes


class Entry(NamedTuple):
    """A paper as it is stored: with its chunks and sentences, each naming its vector."""

    paper: Paper
    chunks: tuple[tuple[Chunk, bytes], ...]
    sentences: tuple[Embedded, ...]


Numbered = dict[int, Paper | None]  # what a change left under the numbers of papers


def vector_key(embedder: str, text: str) -> bytes:
    """Under which a vector is stored: it depends on the embedder and the text embedded."""
    return hashlib.sha256(f"{embedder}\0{text}".encode("utf-8", "surrogatepass")).digest()[:16]


def missing(database: Database, keys: Iterable[bytes]) -> set[bytes]:
    """Those keys under which no vector is stored."""
    wanted = list(dict.fromkeys(keys))
    stored = {row[0] for row in database.many("SELECT key FROM vectors WHERE key IN ({})", wanted)}
    return set(wanted) - stored


def store_vectors(database: Database, keys: Sequence[bytes], vectors: np.ndarray) -> None:
    """Keep vectors, float32 of shape (len(keys), dimensions). Safe to repeat."""
    raw = [(key, vector.astype("float32").tobytes()) for key, vector in zip(keys, vectors, strict=True)]
    rows = [(key, vector, digest_of_bytes(vector, key)) for key, vector in raw]
    with database.transaction() as db:
        db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)


def replace(
    database: Database,
    entries: Iterable[Entry],
    gone: Iterable[str],
    action: str,
    detail: Mapping[str, Any],
    records: Iterable[Paper] = (),
    meta: Mapping[str, object] | None = None,
) -> int:
    """Store entries, delete the papers in `gone`, note it in the journal; returns the generation.

    `records` are papers of the library whose title and abstract are as stored: all else of them is replaced. `meta` is
    what the library says of another embedder that made the vectors from now on: those of the last one are deleted.
    """
    from rag.library import known  # with the readers, which no question needs

    with database.transaction() as db:
        db.execute("BEGIN IMMEDIATE")
        content, generation = int(database.meta("content")), database.generation + 1
        now: Numbered = {}
        content -= sum(_delete(db, id, now) for id in dict.fromkeys(gone))
        content += sum(_insert(db, entry, generation, now) - before for entry, before in _cleared(db, entries, now))
        content += sum(_restate(db, paper, now) for paper in records)
        facts.update(db, now)
        known.update(db, now)
        full_text = pieces.changed(db, database.meta("full_text"), now)
        set_meta(db, content=content % 2**128, generation=generation, full_text=full_text)
        if meta:
            set_meta(db, **meta)
            db.execute("DELETE FROM vectors WHERE key NOT IN (SELECT key FROM chunks UNION SELECT key FROM sentences)")
        _note(db, generation, action, detail)
    return generation


def note(database: Database, action: str, detail: Mapping[str, Any]) -> None:
    """Write in the journal what changed no paper; the same note once more only moves its time."""
    with database.transaction() as db:
        db.execute("BEGIN IMMEDIATE")
        said = (database.generation, action, json.dumps(dict(detail)))
        last = db.execute(
            "SELECT rowid, generation, action, detail FROM journal ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
        if last and last[1:] == said:
            db.execute("DELETE FROM journal WHERE rowid = ?", last[:1])
        _note(db, database.generation, action, detail)


def is_current(db: Connection) -> bool:
    """Is all that a library keeps of its papers as this version keeps it?"""
    ((full_text,),) = db.execute("SELECT value FROM meta WHERE key = 'full_text'").fetchall() or [("",)]
    return names.current(db) and facts.current(db) and bool(pieces.parsed(full_text))


def refill(database: Database) -> None:
    """Make what another version kept of the papers otherwise, or not at all: their names, what filters look at."""
    with database.transaction() as db:
        if not pieces.parsed(database.meta("full_text")):
            db.execute("INSERT INTO passages (passages, rank) VALUES ('integrity-check', 0)")
        if not (names.current(db) and pieces.parsed(database.meta("full_text"))):
            names.ensure(db)
            set_meta(db, full_text=state(db))
        facts.ensure(db)


def state(db: Connection) -> str:
    """The digests of the full text and of the names as they will be after the transaction."""
    return pieces.state(db)


def set_collection(database: Database, manifest: str) -> None:
    """Switch to another collection of vectors."""
    with database.transaction() as db:
        set_meta(db, collection=manifest)


def content(database: Database) -> int:
    """The sum behind a library's fingerprint, computed from its papers; `meta("content")` is the one that was kept."""
    return database.run(content_of)


def content_of(db: Connection) -> int:
    """The same, asked of a connection."""
    return sum(_hash(record) for (record,) in db.execute("SELECT record FROM papers")) % 2**128


def set_meta(db: Connection, **values: object) -> None:
    """Write what the library says of itself."""
    rows = [(key, str(value), digest(key, str(value))) for key, value in values.items()]
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", rows)


# --- rows ---------------------------------------------------------------------------------------


def _note(db: Connection, generation: int, action: str, detail: Mapping[str, Any]) -> None:
    row = generation, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), action, json.dumps(dict(detail))
    db.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?)", (*row, digest(*row)))


def _delete(db: Connection, id: str, now: Numbered) -> int:
    """Delete a paper if it is there; the hash of its record, 0 if there was none."""
    digest = 0
    for number, record in db.execute("SELECT number, record FROM papers WHERE id = ?", (id,)).fetchall():
        words.delete(db, number)
        names.delete(db, number)
        now[number] = None
        digest += _hash(record)
    db.execute("DELETE FROM papers WHERE id = ?", (id,))
    for table in ("chunks", "sentences"):
        db.execute(f"DELETE FROM {table} WHERE paper = ?", (id,))
    return digest


def _cleared(db: Connection, entries: Iterable[Entry], now: Numbered) -> Iterator[tuple[Entry, int]]:
    """Entries, each once what was stored under its id is deleted, with the hash of that."""
    for entry in entries:
        yield entry, _delete(db, entry.paper.id, now)


def _restate(db: Connection, paper: Paper, now: Numbered) -> int:
    """Replace the record of a paper; how the hash changes."""
    number, title_key_, since, before = db.execute(
        "SELECT number, title_key, since, record FROM papers WHERE id = ?", (paper.id,)
    ).fetchone()
    now[number] = paper
    row = paper.id, paper.title, title_key_, since, recorded(paper)
    db.execute("UPDATE papers SET record = ?, digest = ? WHERE id = ?", (row[4], digest(*row), paper.id))
    return _hash(row[4]) - _hash(before)


def _insert(db: Connection, entry: Entry, generation: int, now: Numbered) -> int:
    """Store a paper with its spans; the hash of its record."""
    paper = entry.paper
    chunks = [(c.id, c.start, c.end, c.tokens, key) for c, key in entry.chunks]
    sentences = [
        (n, s.start, s.end, s.key, _terms(paper.abstract[s.start : s.end])) for n, s in enumerate(entry.sentences)
    ]
    row = paper.id, paper.title, title_key(paper.title), generation, recorded(paper)
    spans = digest_of(sorted(chunks, key=lambda one: (one[1], one[0]))), digest_of(sentences)
    columns = "id, title, title_key, since, record, digest, chunks, sentences"
    values = (*row, digest(*row), *spans)
    number = db.execute(f"INSERT INTO papers ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values).lastrowid
    words.insert(db, number, paper)
    names.insert(db, number, paper)
    now[int(number or 0)] = paper
    db.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)", [(one[0], paper.id, *one[1:]) for one in chunks])
    db.executemany("INSERT INTO sentences VALUES (?, ?, ?, ?, ?, ?)", [(paper.id, *one) for one in sentences])
    return _hash(row[4])


def _terms(sentence: str) -> str:
    return " ".join(dict.fromkeys(terms(readable(sentence))))


def _hash(record: str) -> int:
    return int.from_bytes(hashlib.sha256(record.encode("utf-8", "surrogateescape")).digest()[:16])
