"""The dense search of a library: which chunks are nearest to a vector.

The collection answers; one that is behind the library, or broken, is filled again first. Of the papers that a
filter admits a few are compared one by one with the vectors in the library's file, which is exact.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from rag.errors import LibraryError
from rag.library import build
from rag.library.store import Library
from rag.library.vectors import Stale, open_collection
from rag.records import paper_of

if TYPE_CHECKING:
    import numpy as np

EXACT = 2000  # papers of a filter up to which each is compared
SPARE = 10  # of more papers, so many times what is wanted is asked of the whole collection: fewer would miss some

Ranked = list[tuple[str, float]]  # (chunk id, cosine), best first


class DenseSearch:
    """The chunks of one library by their vectors. Usable from several threads."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._collection = open_collection(library.path)
        self._generation = library.generation
        self._guard = threading.Lock()

    def close(self) -> None:
        """Let go of the collection's files; the next search opens them again."""
        self._collection.close()

    def nearest(self, vector: np.ndarray, limit: int, within: Collection[str] | None = None) -> Ranked:
        """(chunk id, cosine) of the `limit` chunks nearest to a vector of unit length, best first.

        `within` are the ids of the papers that may be looked at, None for all. Raises LibraryError.
        """
        if within is None:
            return self._asked(vector, limit)
        if len(within) > EXACT:  # the collection knows enough of them, unless they are the farthest
            near = self._asked(vector, SPARE * limit * len(self._library) // len(within))
            found = [(chunk, cosine) for chunk, cosine in near if paper_of(chunk) in within][:limit]
            if len(found) == limit:
                return found
        return exact(self._library, vector, within, limit)

    def _asked(self, vector: np.ndarray, limit: int) -> Ranked:
        with self._guard:
            if self._library.generation != self._generation:
                self._collection.close()  # another process wrote: an open client would not see it
                self._generation = self._library.generation
            try:
                if self._library.filled():
                    return self._collection.query(vector, limit)
            except Stale:
                pass
            try:
                return build.healed(self._library, self._collection, lambda: self._collection.query(vector, limit))
            except Stale as error:
                raise LibraryError(f"the collection does not find what it was given; delete {error}") from error


def exact(library: Library, vector: np.ndarray, papers: Collection[str], limit: int) -> Ranked:
    """(chunk id, cosine) of the chunks of some papers that are nearest to a vector, best first. Slow for many."""
    found: Ranked = []
    for ids, vectors, _ in library.vectors_of(list(papers)):
        found += zip(ids, (vectors @ vector).tolist(), strict=True)
    return sorted(found, key=lambda item: (-item[1], item[0]))[:limit]
