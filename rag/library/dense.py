"""The dense search of a library: which chunks are nearest to a vector.

The collection answers for the papers that it holds. Papers stored since, and papers that are gone, are made up for from
the library's file, by exact products, until a writer makes a new collection. One that is missing or damaged is made
anew if nobody is writing; else, and where this process may not write, the file answers for all. Nobody waits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection as Ids
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import LibraryBusy, LibraryError
from rag.library import build
from rag.library.store import Library, writer
from rag.library.vectors import Collection, Manifest, Stale, open_collection
from rag.records import paper_of

if TYPE_CHECKING:
    import numpy as np

EXACT = 2000  # papers of a filter up to which each is compared
SPARE = 10  # of more papers, so many times what is wanted is asked of the whole collection: fewer would miss some

Ranked = list[tuple[str, float]]  # (chunk id, cosine), best first


@dataclass(frozen=True, slots=True)
class _State:
    """How one state of a library is searched.

    collection       what answers for most chunks, None if nothing does
    until            the generation that it holds, -1 for nothing
    gone             how many of its chunks are no longer so in the library
    lacked, matrix   the chunks that it lacks, each with the generation in which it was stored, and their vectors
    """

    collection: Collection | None
    until: int
    gone: int
    lacked: list[tuple[str, int]]
    matrix: np.ndarray | None

    def alive(self, library: Library, vector: np.ndarray, limit: int) -> Ranked:
        """Of the chunks of the collection that are still so in the library, the nearest."""
        if not self.collection:
            return []
        wanted, most = limit + min(self.gone, limit), limit + self.gone
        while True:
            found = self.collection.query(vector, wanted)
            if self.gone:
                kept = library.vectors.alive([id for id, _ in found], self.until)
                found = [(id, cosine) for id, cosine in found if id in kept]
            if wanted == most or len(found) >= limit:
                return found[:limit]
            wanted = min(4 * wanted, most)

    def others(self, vector: np.ndarray) -> Ranked:
        """The chunks that the collection lacks, in no order."""
        if self.matrix is None:
            return []
        return [(id, cosine) for (id, _), cosine in zip(self.lacked, (self.matrix @ vector).tolist(), strict=True)]


class DenseSearch:
    """The chunks of one library by their vectors. Usable from several threads."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._embedder = library.embedder
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._guard = threading.Lock()
        self._state: tuple[tuple[tuple[int, int], int, str], _State] | None = None

    def close(self) -> None:
        """Let go of the collection; the next search opens it again."""
        self._state = None

    def nearest(
        self, vector: np.ndarray, limit: int, within: Ids[str] | None = None, library: Library | None = None
    ) -> Ranked:
        """(chunk id, cosine) of the `limit` chunks nearest to a vector of unit length, best first.

        `within` are the ids of the papers that may be looked at, None for all; `library` is a snapshot of the library,
        None for its present state. Raises LibraryError.
        """
        if library is None:
            with self._library.snapshot() as library:
                return self.nearest(vector, limit, within, library)
        if within is None:
            return self._nearest(library, vector, limit)
        if len(within) > EXACT:  # the collection knows enough of them, unless they are the farthest
            near = self._nearest(library, vector, SPARE * limit * len(library) // len(within))
            found = [(chunk, cosine) for chunk, cosine in near if paper_of(chunk) in within][:limit]
            if len(found) == limit:
                return found
        return exact(library, vector, within, limit)

    def _nearest(self, library: Library, vector: np.ndarray, limit: int) -> Ranked:
        state = self._state_of(library)
        try:
            found = state.alive(library, vector, limit)
        except Stale:  # its files were lost before they were read
            state, found = _state(library, None, None, None), []
        if others := state.others(vector):
            found = sorted([*found, *others], key=lambda item: (-item[1], item[0]))
        return found[:limit]

    def _state_of(self, library: Library) -> _State:
        """How this state of the library is searched; remembered until another is asked for."""
        if self._process != os.getpid():  # nothing of Chroma survives a fork
            self._begin()
        key = (library.database.identity, library.generation, library.meta("collection"))
        known = self._state
        if known and known[0] == key:
            return known[1]
        with self._guard:
            if self._state and self._state[0] == key:
                return self._state[1]
            if library.embedder != self._embedder:
                raise LibraryError(f"{library.path} was embedded anew with {library.embedder!r}; start again")
            before = self._state[1] if self._state and self._state[0][0] == key[0] else None
            manifest, collection = self._whole(library)
            state = _state(library, manifest, collection, before)
            self._state = (key, state)
            return state

    def _whole(self, library: Library) -> tuple[Manifest, Collection] | tuple[None, None]:
        """A collection, open, for this state of the library or an earlier one; (None, None) if there is none."""
        manifest = Manifest.from_json(library.meta("collection"))
        if manifest and (found := _opened(library, manifest)):
            return manifest, found
        with suppress(LibraryBusy, LibraryError, OSError), writer(library.path):
            with closing(Library.open(library.path)) as live:
                manifest = Manifest.from_json(live.meta("collection"))
                found = _opened(live, manifest) if manifest else None
                if manifest is None or found is None:
                    manifest = build.fill(live)
                    found = _opened(live, manifest)
            if found and manifest.generation <= library.generation:
                return manifest, found
        return None, None


def exact(library: Library, vector: np.ndarray, papers: Ids[str], limit: int) -> Ranked:
    """(chunk id, cosine) of the chunks of some papers that are nearest to a vector, best first. Slow for many."""
    found: Ranked = []
    for ids, vectors, _ in library.vectors.of(list(papers)):
        found += zip(ids, (vectors @ vector).tolist(), strict=True)
    return sorted(found, key=lambda item: (-item[1], item[0]))[:limit]


def _opened(library: Library, manifest: Manifest) -> Collection | None:
    found = open_collection(library.path, manifest)
    try:
        found.open()
    except Stale:
        return None
    return found


def _state(library: Library, manifest: Manifest | None, collection: Collection | None, before: _State | None) -> _State:
    """How a state of the library is searched; vectors that the state `before` has in common with it are not read anew."""
    import numpy as np

    if manifest is None:
        batches = list(library.vectors.batches())
        every = [(id, -1) for ids, _, _ in batches for id in ids]
        return _State(None, -1, 0, every, np.concatenate([vectors for _, vectors, _ in batches]) if batches else None)
    lacked = library.vectors.recent(manifest.generation)
    known = dict(zip(before.lacked, before.matrix, strict=True)) if before and before.matrix is not None else {}
    read = library.vectors.named([id for id, since in lacked if (id, since) not in known])
    rows = [known[one] if one in known else read[one[0]] for one in lacked]
    gone = manifest.rows - library.vectors.count_until(manifest.generation)
    return _State(collection, manifest.generation, gone, lacked, np.stack(rows) if rows else None)
