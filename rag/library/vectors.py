"""The Chroma collection of a library: ids and vectors, nothing that is not elsewhere too.

Chroma answers the dense search. It gets no text (that is what costs there) and is never the only
home of anything: the SQLite file has every vector, so that a lost, stale or damaged collection is
filled again without embedding. Chroma is not safe between processes: writing happens under the
library's lock, and a reader takes a fresh client when the generation has moved on. A collection
whose index files are gone still counts its rows but finds only the last of them, up to 1,000; the
first query of a client asks for more than that, and notices.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rag.errors import LibraryError

if TYPE_CHECKING:
    import numpy as np

COLLECTION = "chunks"
BATCH = 5000  # Chroma takes at most 5,461 rows at once
BREADTH = 300  # ef_search: recall@10 of .999 at 100,000 rows
REACH = 1100  # rows the first query asks for: more than Chroma keeps outside its index files
Batch = tuple[list[str], "np.ndarray", list[str]]


class Stale(Exception):
    """The collection is not what the library holds: fill it again."""


class Collection(Protocol):
    """The chunks of a library by their vectors, in a store of its own. `query` raises Stale."""

    def query(self, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
        """(chunk id, cosine) of the nearest chunks, best first; fewer than `limit` if there are fewer."""

    def count(self) -> int:
        """How many chunks it holds."""

    def ids(self) -> set[str]:
        """The ids of its chunks."""

    def fill(self, batches: Iterable[Batch]) -> None:
        """Hold these (chunk ids, vectors, paper ids) and nothing else. Under the writer's lock."""

    def update(self, batches: Iterable[Batch], gone: Sequence[str]) -> None:
        """Delete the chunks in `gone`, then insert or replace the batches. Under the writer's lock."""

    def close(self) -> None:
        """Let go of the files; the next call opens them afresh."""


def collection_folder(library: Path) -> Path:
    """Where the collection of the library in that folder lies."""
    return library / "chroma"


def open_collection(library: Path) -> Collection:
    """The collection of the library in that folder; nothing is read or made yet."""
    return Chroma(collection_folder(library))


class _Door:
    """The one client of a folder in this process.

    Chroma gives all clients of a path the same insides: with a second one still open, closing the
    first would let go of nothing, and what another process wrote would stay unseen.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.client: Any = None
        self.collection: Any = None
        self.whole = False  # has a query reached more rows than those outside the index files?


_doors: dict[str, _Door] = {}


class Chroma:
    """The collection in `folder`. Raises LibraryError when Chroma cannot work there."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.realpath(folder))  # Chroma tells clients by path, whatever folder it starts from
        self._door = _doors.setdefault(str(self.folder), _Door())

    def query(self, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
        """(chunk id, cosine) of the nearest chunks, best first; fewer than `limit` if there are fewer.

        Raises Stale when the collection is missing, cannot be opened, or does not reach its rows.
        """
        if not (self.folder / "chroma.sqlite3").is_file():
            raise Stale(f"no collection in {self.folder}")
        try:
            with self._door.lock:
                collection = self._open()
                wanted = min(limit if self._door.whole else max(limit, REACH), collection.count())
                found = collection.query(vector[None, :], n_results=wanted, include=["distances"]) if wanted else None
        except Exception as error:  # whatever a damaged collection raises: it is filled again
            raise Stale(f"{self.folder}: {error}") from error
        ids, distances = (found["ids"][0], found["distances"][0]) if found else ([], [])
        if len(ids) < wanted:
            raise Stale(f"{self.folder}: {len(ids)} of {wanted} rows within reach")
        self._door.whole = True
        return [(id, 1.0 - float(distance)) for id, distance in zip(ids, distances, strict=True)][:limit]

    def count(self) -> int:
        """Rows in the collection; 0 when there is none. Raises Stale when it cannot be opened."""
        if not (self.folder / "chroma.sqlite3").is_file():
            return 0
        try:
            with self._door.lock:
                return int(self._open().count())
        except Exception as error:
            raise Stale(f"{self.folder}: {error}") from error

    def ids(self) -> set[str]:
        """The chunks in the collection. Raises Stale when it cannot be opened."""
        if not self.count():
            return set()
        try:
            with self._door.lock:
                return set(self._open().get(include=[])["ids"])
        except Exception as error:
            raise Stale(f"{self.folder}: {error}") from error

    def fill(self, batches: Iterable[Batch]) -> None:
        """Throw the collection away and fill it with (chunk ids, vectors, paper ids). Under the lock.

        It is filled under another name: whoever reads meanwhile finds a whole collection or none.
        """
        new = Chroma(self.folder.with_name(self.folder.name + ".new"))
        with self._door.lock, _translated(self.folder):
            self.close()
            shutil.rmtree(new.folder, ignore_errors=True)
            new.folder.mkdir(parents=True)
            try:
                new._upsert(batches)
            finally:
                new.close()
            _swap(new.folder, self.folder)

    def update(self, batches: Iterable[Batch], gone: Sequence[str]) -> None:
        """Delete the chunks in `gone`, then insert or replace the batches. Under the lock."""
        with self._door.lock, _translated(self.folder):
            collection = self._open(create=True)
            for at in range(0, len(gone), BATCH):
                collection.delete(ids=list(gone[at : at + BATCH]))
            self._upsert(batches)

    def close(self) -> None:
        """Let go of the files; the next call opens them afresh."""
        with self._door.lock:
            if self._door.client is not None:
                self._door.client.close()
            self._door.client = self._door.collection = None
            self._door.whole = False

    def _upsert(self, batches: Iterable[Batch]) -> None:
        collection = self._open(create=True)
        for ids, vectors, papers in batches:
            for at in range(0, len(ids), BATCH):
                part = slice(at, at + BATCH)
                metadata = [{"paper": paper} for paper in papers[part]]
                collection.upsert(ids=ids[part], embeddings=vectors[part], metadatas=metadata)

    def _open(self, *, create: bool = False) -> Any:
        """The collection. Only a writer makes one: a database that lost it is not an empty library."""
        if self._door.collection is None:
            self._door.client = self._door.client or _client(str(self.folder))
            if create:
                self._door.client.get_or_create_collection(
                    COLLECTION,
                    embedding_function=None,
                    configuration={"hnsw": {"space": "cosine", "ef_search": BREADTH, "ef_construction": 200}},
                )
            self._door.collection = self._door.client.get_collection(COLLECTION, embedding_function=None)
        return self._door.collection


def _swap(new: Path, folder: Path) -> None:
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def _client(path: str) -> Any:
    chromadb = _chromadb()
    quiet = chromadb.config.Settings(_env_file=None, anonymized_telemetry=False)
    try:
        return chromadb.PersistentClient(path=path, settings=quiet)
    except Exception:
        from chromadb.api.shared_system_client import SharedSystemClient

        SharedSystemClient._identifier_to_system.pop(path, None)  # Chroma keeps even what failed to start
        raise


def _chromadb() -> Any:
    """The package. Importing it reads a .env file of the current folder, whatever that holds: not here."""
    here = Path.cwd() if Path(".env").exists() else None
    try:
        if here:
            os.chdir(Path(__file__).parent)
        import chromadb
        import chromadb.config
    finally:
        if here:
            os.chdir(here)
    return chromadb


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise LibraryError(
            f"{folder}: Chroma cannot write there ({first}); check the disk's space and permissions"
        ) from error
