"""The rows of a library's file, as they are written and as they are read: what differs from its digest is damage.

A paper's row holds the digest of the row and those of its chunks and of its sentences, so that a row that is missing
is noticed too. `since` is the generation in which the paper was last stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rag.errors import LibraryDamaged
from rag.library.database import Database
from rag.library.digests import digest, digest_of_bytes
from rag.records import Paper

PAPER = "id, title, title_key, since, record, papers.digest"  # what `paper` reads

Row = Sequence[Any]


def recorded(paper: Paper) -> str:
    """A paper as its row has it."""
    return json.dumps(paper.to_dict(), ensure_ascii=True)


def is_sound(row: Row) -> bool:
    """Is a paper's row (`PAPER`) as it was written?"""
    return digest(*row[:5]) == bytes(row[5] if isinstance(row[5], bytes) else b"")


def paper(database: Database, row: Row) -> Paper:
    """The paper of a row (`PAPER`). Raises LibraryDamaged."""
    if not is_sound(row):
        raise damaged_paper(database, row[1])
    try:
        return Paper.from_dict(json.loads(row[4]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged_paper(database, row[1]) from error


def damaged_paper(database: Database, title: object, what: str = "the record") -> LibraryDamaged:
    """The error that names a paper."""
    shown = ascii(str(title)[:60])
    return database.damaged(f"{what} of {shown}")


def digest_of(rows: Iterable[Row]) -> bytes:
    """The digest of the chunks or of the sentences of a paper, in order."""
    return digest(*map(tuple, rows))


def check_vector(database: Database, key: bytes, vector: bytes, known: bytes) -> None:
    """Raises LibraryDamaged when a vector is not as it was written."""
    if digest_of_bytes(vector, key) != known:
        raise database.damaged("a vector")
