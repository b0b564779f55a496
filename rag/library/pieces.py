"""The digests of the full text and of the names, in pieces that most changes leave alone.

A piece is a segment of FTS5's index, which is written once, or what stands under 1,024 numbers of papers. A reader that
looked at all of them looks after a change only at those whose digest is another; a writer makes the digests of the papers
that it touched, so that damage elsewhere is never taken for what was written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from sqlite3 import Connection
from typing import NamedTuple

from rag.library.digests import SIZE

PAPERS = 10  # bits of a paper's number within a piece
Pieces = dict[str, str]  # {"names 3": digest in hex}


class _Scan(NamedTuple):
    """How the rows of a table are read: the last column is bytes, `column` says where a piece ends, after so many bits."""

    query: str
    column: str
    bits: int


_INDEX = {
    "data": _Scan("SELECT id, block FROM passages_data {} ORDER BY id", "id", 37),  # FTS5: a segment's number is above
    "idx": _Scan("SELECT segid, pgno, CAST(term AS BLOB) FROM passages_idx {} ORDER BY segid, term", "segid", 0),
}
_BY_PAPER = {
    "sizes": _Scan("SELECT id, sz FROM passages_docsize {} ORDER BY id", "id", PAPERS),
    "names": _Scan(
        "SELECT paper, key, name, how, word, start, \"end\", long, long_key, x'' FROM names {} ORDER BY rowid",
        "paper",
        PAPERS,
    ),
}
_SCANS = _INDEX | _BY_PAPER


def state(db: Connection) -> str:
    """The digests of all pieces as they will be after the transaction, as text. The text in the index is not read by any search."""
    _flush(db)
    return _text({name: one for table in _SCANS for name, one in _digests(db, table).items()})


def changed(db: Connection, before: str, numbers: Collection[int]) -> str:
    """The same where only papers under some numbers changed since it was `before`."""
    _flush(db)
    touched = {number >> PAPERS for number in numbers}
    found = {
        name: one for name, one in parsed(before).items() if _table(name) in _BY_PAPER and _piece(name) not in touched
    }
    for table in _INDEX:
        found |= _digests(db, table)
    for table in _BY_PAPER:
        for piece in touched:
            found |= _digests(db, table, piece)
    return _text(found)


def parsed(text: str) -> Pieces:
    """What `state` gave; nothing of what an earlier version kept, or of what is no such text."""
    with suppress(ValueError, TypeError):
        return dict(json.loads(text))
    return {}


def are_sound(db: Connection, kept: Pieces, looked_at: Pieces) -> bool:
    """Are all pieces as they were written, but for those that were looked at before with the same digest?"""
    if not looked_at:
        return {name: one for table in _SCANS for name, one in _digests(db, table).items()} == kept
    new = (name for name, one in kept.items() if looked_at.get(name) != one)
    return all(_digests(db, _table(name), _piece(name)).get(name) == kept[name] for name in new)


def _digests(db: Connection, table: str, piece: int | None = None) -> Pieces:
    """The digests of the pieces of a table, or of one of them; a piece without rows has none."""
    scan = _SCANS[table]
    within = (
        ""
        if piece is None
        else f"WHERE {scan.column} >= {piece << scan.bits} AND {scan.column} < {piece + 1 << scan.bits}"
    )
    found: dict[int, hashlib.blake2b] = {}
    for row in db.execute(scan.query.format(within)):
        at = row[0] >> scan.bits
        if at not in found:
            found[at] = hashlib.blake2b(digest_size=SIZE)
        found[at].update(b"%a%b" % (row[:-1], row[-1]) if isinstance(row[-1], bytes) else b"%a" % (row,))
    return {f"{table} {at}": one.hexdigest() for at, one in found.items()}


def _flush(db: Connection) -> None:
    """FTS5 keeps what is new in memory until a savepoint is released."""
    db.execute("SAVEPOINT flushed")
    db.execute("RELEASE flushed")


def _text(found: Pieces) -> str:
    return json.dumps(found, sort_keys=True)


def _table(name: str) -> str:
    return name.partition(" ")[0]


def _piece(name: str) -> int:
    return int(name.partition(" ")[2])
