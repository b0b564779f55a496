"""The SQLite file of a library -> what in it does not fit together. Each function asks one question of a connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from rag.library import pieces
from rag.library.digests import digest, digest_of_bytes
from rag.library.rows import PAPER, digest_of, is_sound
from rag.library.write import content_of
from rag.records import Paper
from rag.text import readable

TABLES = {"meta", "papers", "chunks", "sentences", "vectors", "journal", "aside"}  # the full text can be built anew
META = {"schema", "generation", "content", "collection", "embedder", "dimensions", "full_text"}
_ORPHANS = {
    "chunks": "paper NOT IN (SELECT id FROM papers)",
    "sentences": "paper NOT IN (SELECT id FROM papers)",
}


@dataclass(frozen=True, slots=True)
class Spans:
    """Of one paper, the (start, end, key of the vector) of its chunks and of its sentences."""

    chunks: tuple[tuple[int, int, bytes], ...]
    sentences: tuple[tuple[int, int, bytes], ...]


def damage(db: sqlite3.Connection) -> str:
    """What of the file SQLite finds wrong, or is not in it at all, "" if nothing."""
    try:
        found = [str(row[0]) for row in db.execute("PRAGMA integrity_check(3)")]
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
        meta = db.execute("SELECT key, value, digest FROM meta").fetchall() if "meta" in tables else []
        kept = {row[0] for row in meta}
        wrong = {row[0] for row in meta if digest(*row[:2]) != row[2]}
    except sqlite3.DatabaseError as error:
        return str(error)
    lacking = [f"no {name!r} in it" for name in sorted(TABLES - tables | META - kept)]
    lacking += [f"its {name} is not as it was written" for name in sorted(wrong)]
    return "; ".join([line for line in found if line != "ok" and "fts5" not in line.lower()] + lacking)


def unsound(db: sqlite3.Connection) -> dict[str, str]:
    """{id: title} of the papers whose row is not as it was written."""
    return {str(row[0]): str(row[1]) for row in db.execute(f"SELECT {PAPER} FROM papers") if not is_sound(row)}


def unsound_spans(db: sqlite3.Connection) -> set[str]:
    """Ids of the papers whose chunks or sentences are not as they were written, or not all there."""
    known = {row[0]: row[1:] for row in db.execute("SELECT id, chunks, sentences FROM papers")}
    chunks = 'SELECT paper, id, start, "end", tokens, key FROM chunks ORDER BY paper, start, id'
    sentences = 'SELECT paper, number, start, "end", key, terms FROM sentences ORDER BY paper, number'
    found = set()
    for at, query in enumerate((chunks, sentences)):
        held = {id: list(rows) for id, rows in groupby(db.execute(query), key=itemgetter(0))}
        found |= {id for id, spans in known.items() if digest_of(row[1:] for row in held.get(id, ())) != spans[at]}
    return found


def orphans(db: sqlite3.Connection) -> dict[str, int]:
    """{table: rows that belong to no paper}, tables without any left out."""
    counts = {t: db.execute(f"SELECT count(*) FROM {t} WHERE {which}").fetchone()[0] for t, which in _ORPHANS.items()}
    return {table: count for table, count in counts.items() if count}


def spans(db: sqlite3.Connection) -> dict[str, Spans]:
    """The spans of each paper that has any."""
    found: dict[str, tuple[list[tuple[int, int, bytes]], list[tuple[int, int, bytes]]]] = {}
    for n, table in enumerate(("chunks", "sentences")):
        for paper, start, end, key in db.execute(f'SELECT paper, start, "end", key FROM {table}'):
            found.setdefault(paper, ([], []))[n].append((start, end, key))
    return {paper: Spans(tuple(chunks), tuple(sentences)) for paper, (chunks, sentences) in found.items()}


def flawed(db: sqlite3.Connection, dimensions: int) -> tuple[set[bytes], set[bytes]]:
    """Keys of vectors: (those that chunks or sentences name and there is none of, those not as they were written).

    One that nothing names may have another length: of a move to another embedder that was stopped.
    """
    named = {row[0] for table in ("chunks", "sentences") for row in db.execute(f"SELECT key FROM {table}")}
    stored, damaged = set(), set()
    for key, vector, known in db.execute("SELECT key, vector, digest FROM vectors"):
        stored.add(key)
        if (key in named and len(vector) != 4 * dimensions) or digest_of_bytes(vector, key) != known:
            damaged.add(key)
    return named - stored, damaged


def unindexed(db: sqlite3.Connection) -> str:
    """What is wrong with the full text, "" if nothing: every paper is in it once, as it reads, and its index holds."""
    try:
        db.execute("INSERT INTO passages (passages, rank) VALUES ('integrity-check', 0)")
        held = dict(_passages(db))
    except sqlite3.DatabaseError as error:
        return f"its index is damaged ({error})"
    finally:
        db.rollback()
    wrong = missing = 0
    for number, title, abstract in _texts(db):
        text = held.pop(number, None)
        missing += text is None
        wrong += text is not None and text != hash((title, abstract))
    if not (wrong or missing or held) and pieces.state(db) != _meta(db, "full_text"):
        return "its index is not as it was written"
    told = {"papers missing": missing, "papers with another text": wrong, "papers that are gone": len(held)}
    return ", ".join(f"{count:,} {what}" for what, count in told.items() if count)


def _meta(db: sqlite3.Connection, key: str) -> str:
    return str(db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])


def _passages(db: sqlite3.Connection) -> Iterator[tuple[int, int]]:
    for number, title, abstract in db.execute("SELECT rowid, title, abstract FROM passages"):
        yield number, hash((title, abstract))


def _texts(db: sqlite3.Connection) -> Iterator[tuple[int, str, str]]:
    """(number, title, abstract) of every paper as the full text has it; one that cannot be read is left out."""
    for number, record in db.execute("SELECT number, record FROM papers"):
        try:
            paper = Paper.from_dict(json.loads(record))
            yield number, readable(paper.title), readable(paper.abstract)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def problem(db: sqlite3.Connection) -> str:
    """What in the file is not as it was written, "" if nothing. That its parts agree is not looked at."""
    if found := damage(db):
        return found
    missing, damaged = flawed(db, int(_meta(db, "dimensions")))
    counts = {
        "papers": len(unsound(db)),
        "papers' chunks or sentences": len(unsound_spans(db)),
        "vectors": len(missing | damaged),
        "lines of the journal": broken_entries(db),
    }
    told = [f"{count:,} {what} not as they were written" for what, count in counts.items() if count]
    told += ["its full text is not as it was written"] if pieces.state(db) != _meta(db, "full_text") else []
    told += ["its content is not that of its papers"] if str(content_of(db)) != _meta(db, "content") else []
    return "; ".join(told)


def broken_entries(db: sqlite3.Connection) -> int:
    """How many rows of the journal are not as they were written."""
    return sum(
        digest(*row[:4]) != row[4] for row in db.execute("SELECT generation, at, action, detail, digest FROM journal")
    )
