"""What changes a library's file. Call these under the writer's lock; each is one transaction: all of it happens or nothing.

Vectors are stored as they are made, before the papers that need them: a build that is killed goes on where it
stopped, and a text that was embedded once is never embedded again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

from rag.library import names, words
from rag.library.database import Database
from rag.records import Chunk, Paper
from rag.text import readable, terms, title_key

if TYPE_CHECKING:
    import numpy as np


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
    rows = [(key, vector.astype("float32").tobytes()) for key, vector in zip(keys, vectors, strict=True)]
    with database.transaction() as db:
        db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)


def replace(
    database: Database,
    entries: Iterable[Entry],
    gone: Iterable[str],
    action: str,
    detail: Mapping[str, Any],
    records: Iterable[Paper] = (),
) -> int:
    """Store entries, delete the papers in `gone`, note it in the journal; returns the generation.

    `records` are papers of the library whose title and abstract are as stored: all else of them is replaced.
    """
    with database.transaction() as db:
        names.ensure(db)
        content = int(database.meta("content"))
        content -= sum(_delete(db, id) for id in dict.fromkeys(gone))
        content += sum(_insert(db, entry) - before for entry, before in _cleared(db, entries))
        content += sum(_restate(db, paper) for paper in records)
        generation = database.generation + 1
        _set(db, content=content % 2**128, generation=generation)
        _note(db, generation, action, detail)
    return generation


def note(database: Database, action: str, detail: Mapping[str, Any]) -> None:
    """Write in the journal what changed no paper; the same note once more only moves its time."""
    with database.transaction() as db:
        moved = db.execute(
            "UPDATE journal SET at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE rowid = (SELECT max(rowid) "
            "FROM journal) AND generation = ? AND action = ? AND detail = ?",
            (database.generation, action, json.dumps(dict(detail))),
        )
        if not moved.rowcount:
            _note(db, database.generation, action, detail)


def set_filled(database: Database) -> None:
    """Note that the collection of vectors now holds what the file does."""
    with database.transaction() as db:
        _set(db, collection=database.generation)


def mend(database: Database, mending: Callable[[Connection], None], detail: Mapping[str, Any]) -> None:
    """Have the file mended, build the full text and the sum over the papers anew, note it."""
    with database.transaction() as db:
        db.execute("BEGIN IMMEDIATE")
        mending(db)
        words.create(db)
        names.create(db)
        for number, record in db.execute("SELECT number, record FROM papers ORDER BY number").fetchall():
            paper = Paper.from_dict(json.loads(record))
            words.insert(db, number, paper)
            names.insert(db, number, paper)
        generation = database.generation + 1
        _set(db, content=content(database), generation=generation)
        _note(db, generation, "repair", detail)


def content(database: Database) -> int:
    """The sum behind a library's fingerprint, computed from its papers; `meta("content")` is the one that was kept."""
    return sum(_digest(record) for (record,) in database.rows("SELECT record FROM papers")) % 2**128


# --- rows ---------------------------------------------------------------------------------------


def _set(db: Connection, **values: int) -> None:
    db.executemany("UPDATE meta SET value = ? WHERE key = ?", [(str(value), key) for key, value in values.items()])


def _note(db: Connection, generation: int, action: str, detail: Mapping[str, Any]) -> None:
    db.execute(
        "INSERT INTO journal VALUES (?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?, ?)",
        (generation, action, json.dumps(dict(detail))),
    )


def _delete(db: Connection, id: str) -> int:
    """Delete a paper if it is there; the hash of its record, 0 if there was none."""
    digest = 0
    for number, record in db.execute("SELECT number, record FROM papers WHERE id = ?", (id,)).fetchall():
        words.delete(db, number)
        names.delete(db, number)
        digest += _digest(record)
    db.execute("DELETE FROM papers WHERE id = ?", (id,))
    for table in ("chunks", "sentences"):
        db.execute(f"DELETE FROM {table} WHERE paper = ?", (id,))
    return digest


def _cleared(db: Connection, entries: Iterable[Entry]) -> Iterator[tuple[Entry, int]]:
    """Entries, each once what was stored under its id is deleted, with the hash of that."""
    for entry in entries:
        yield entry, _delete(db, entry.paper.id)


def _restate(db: Connection, paper: Paper) -> int:
    """Replace the record of a paper; how the hash changes."""
    ((before,),) = db.execute("SELECT record FROM papers WHERE id = ?", (paper.id,)).fetchall()
    record = _recorded(paper)
    db.execute("UPDATE papers SET record = ? WHERE id = ?", (record, paper.id))
    return _digest(record) - _digest(before)


def _insert(db: Connection, entry: Entry) -> int:
    """Store a paper with its spans; the hash of its record."""
    paper, record = entry.paper, _recorded(entry.paper)
    number = db.execute(
        "INSERT INTO papers (id, title, title_key, record) VALUES (?, ?, ?, ?)",
        (paper.id, paper.title, title_key(paper.title), record),
    ).lastrowid
    words.insert(db, number, paper)
    names.insert(db, number, paper)
    chunks = [(c.id, paper.id, c.start, c.end, c.tokens, key) for c, key in entry.chunks]
    db.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)", chunks)
    sentences = [
        (paper.id, n, s.start, s.end, s.key, _terms(paper.abstract[s.start : s.end]))
        for n, s in enumerate(entry.sentences)
    ]
    db.executemany("INSERT INTO sentences VALUES (?, ?, ?, ?, ?, ?)", sentences)
    return _digest(record)


def _terms(sentence: str) -> str:
    return " ".join(dict.fromkeys(terms(readable(sentence))))


def _recorded(paper: Paper) -> str:
    return json.dumps(paper.to_dict(), ensure_ascii=True)


def _digest(record: str) -> int:
    return int.from_bytes(hashlib.sha256(record.encode()).digest()[:16])
