"""The vectors in a library's file: read from there where the collection does not answer, and what collections are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from rag.library import rows
from rag.library.database import PIECE, Database
from rag.library.rows import Row

if TYPE_CHECKING:
    import numpy as np

Batch = tuple[list[str], "np.ndarray", list[str]]
_VECTORS = "SELECT chunks.id, vector, paper, key, vectors.digest FROM chunks JOIN vectors USING (key)"
_RECENT = "FROM papers CROSS JOIN chunks ON paper = papers.id WHERE since > ?"  # CROSS: what is recent comes first


class StoredVectors:
    """The vectors of one library's chunks and sentences. Every method raises LibraryDamaged. Usable from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def under(self, keys: Collection[bytes]) -> dict[bytes, np.ndarray]:
        """The vectors under those keys, each float32 (dimensions,). Raises LibraryDamaged when one is missing."""
        import numpy as np

        found = {}
        for key, vector, known in self._db.many(
            "SELECT key, vector, digest FROM vectors WHERE key IN ({})", list(keys)
        ):
            rows.check_vector(self._db, key, vector, known)
            found[key] = np.frombuffer(vector, np.float32)
        if len(found) < len(keys):
            raise self._db.damaged("a vector is missing")
        return found

    def batches(self) -> Iterator[Batch]:
        """Batches of (chunk ids, their vectors, their papers), by id."""
        query = f"{_VECTORS} JOIN papers ON papers.id = paper ORDER BY chunks.id"
        for some in self._db.batches(query, 1000):
            yield self._batch(some)

    def recent(self, since: int) -> list[tuple[str, int]]:
        """(chunk id, generation in which its paper was last stored) of what was stored after a generation, by id."""
        return self._db.rows(f"SELECT chunks.id, since {_RECENT} ORDER BY chunks.id", since)

    def named(self, chunks: Sequence[str]) -> dict[str, np.ndarray]:
        """The vectors of some chunks. Raises LibraryDamaged when one is missing."""
        found: dict[str, np.ndarray] = {}
        for at in range(0, len(chunks), PIECE):
            ids, matrix, _ = self._batch(
                self._db.many(f"{_VECTORS} WHERE chunks.id IN ({{}})", chunks[at : at + PIECE])
            )
            found |= zip(ids, matrix, strict=True)
        if len(found) < len(chunks):
            raise self._db.damaged("a vector is missing")
        return found

    def of(self, papers: Sequence[str]) -> Iterator[Batch]:
        """The same of some papers."""
        for at in range(0, len(papers), PIECE):
            if some := self._db.many(f"{_VECTORS} WHERE paper IN ({{}})", papers[at : at + PIECE]):
                yield self._batch(some)

    def alive(self, chunks: Sequence[str], until: int) -> set[str]:
        """Those of some chunks whose papers were last stored in that generation or before."""
        query = f"SELECT chunks.id FROM chunks JOIN papers ON papers.id = paper WHERE since <= {until:d} AND chunks.id IN ({{}})"
        return {row[0] for row in self._db.many(query, chunks)}

    def count(self) -> int:
        """How many chunks there are."""
        return int(self._db.rows("SELECT count(*) FROM chunks")[0][0])

    def count_until(self, generation: int) -> int:
        """How many chunks belong to papers last stored in that generation or before."""
        later = self._db.rows(f"SELECT count(*) {_RECENT}", generation)[0][0]  # as a rule these are few
        return self.count() - int(later)

    def _batch(self, some: Sequence[Row]) -> Batch:
        import numpy as np

        for row in some:
            rows.check_vector(self._db, row[3], row[1], row[4])
        matrix = np.frombuffer(b"".join(row[1] for row in some), np.float32).reshape(len(some), -1)
        return [row[0] for row in some], matrix, [row[2] for row in some]
