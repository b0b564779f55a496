"""The SQLite file of a library -> what in it does not fit together, and its mending.

Each function asks one question of a connection. `mend` drops what belongs to nothing or cannot be read, within
a transaction of the caller's.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rag.records import Paper
from rag.text import readable

TABLES = {"meta", "papers", "chunks", "sentences", "vectors", "journal"}  # the full text can be built anew
META = {"schema", "generation", "content", "collection", "embedder", "dimensions"}
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
        kept = {row[0] for row in db.execute("SELECT key FROM meta")} if "meta" in tables else set()
    except sqlite3.DatabaseError as error:
        return str(error)
    lacking = [f"no {name!r} in it" for name in sorted(TABLES - tables | META - kept)]
    return "; ".join([line for line in found if line != "ok" and "fts5" not in line.lower()] + lacking)


def unreadable(db: sqlite3.Connection) -> dict[str, str]:
    """{id: title} of the papers whose record cannot be read, or is that of another."""
    found = {}
    for id, title, record in db.execute("SELECT id, title, record FROM papers"):
        try:
            good = Paper.from_dict(json.loads(record)).id == id
        except (ValueError, KeyError, TypeError, AttributeError):
            good = False
        if not good:
            found[str(id)] = str(title)
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
    """Keys of vectors that chunks or sentences name: (those there is none of, those of another length or no numbers)."""
    import numpy as np

    named = {row[0] for table in ("chunks", "sentences") for row in db.execute(f"SELECT key FROM {table}")}
    stored, damaged = set(), set()
    for key, vector in db.execute("SELECT key, vector FROM vectors"):
        stored.add(key)
        if len(vector) != 4 * dimensions or not 0.9 < float(np.sum(np.frombuffer(vector, np.float32) ** 2)) < 1.1:
            damaged.add(key)  # not of length 1; NaN is neither above nor below anything
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
    told = {"papers missing": missing, "papers with another text": wrong, "papers that are gone": len(held)}
    return ", ".join(f"{count:,} {what}" for what, count in told.items() if count)


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


def broken_entries(db: sqlite3.Connection) -> list[int]:
    """Rows of the journal that cannot be read."""
    found = []
    for row, detail in db.execute("SELECT rowid, detail FROM journal"):
        try:
            if not isinstance(json.loads(detail), dict):
                found.append(row)
        except (ValueError, TypeError):
            found.append(row)
    return found


def mend(db: sqlite3.Connection, lost: Iterable[str], keys: Iterable[bytes], entries: Iterable[int]) -> None:
    """Drop the papers in `lost`, the vectors under `keys`, journal rows, and what belongs to no paper."""
    db.executemany("DELETE FROM papers WHERE id = ?", [(id,) for id in lost])
    for table, which in _ORPHANS.items():
        db.execute(f"DELETE FROM {table} WHERE {which}")
    db.executemany("DELETE FROM vectors WHERE key = ?", [(key,) for key in keys])
    db.executemany("DELETE FROM journal WHERE rowid = ?", [(row,) for row in entries])
