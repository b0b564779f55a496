"""The collection of a library: its chunks by their vectors, in Chroma. Nothing is in it that the library's file has not.

A collection is made whole, and never changed again. A writer makes a new one in a folder of its own, with the size and
the digest of each of its files written down (`Manifest`); the library's file names the one that counts. Chroma is not
safe between processes: with changes pending in it, a process that only reads rewrites its index. So nothing is ever
left pending (`sync_threshold` is the number of rows), and a reader gives Chroma a private copy of the small database,
which it alters whenever it opens it, beside links to the index files. What differs from the manifest is not opened.

Chroma gets no text (that is what costs there).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rag.errors import LibraryError
from rag.library.chroma import Reader, open_client, open_reader
from rag.library.digests import digest_of_file
from rag.places import private_folder

if TYPE_CHECKING:
    import numpy as np

NAME = "chunks"
DATABASE = "chroma.sqlite3"
BATCH = 5000  # Chroma takes at most 5,461 rows at once
BREADTH = 300  # ef_search: recall@10 of .999 at 100,000 rows
LEAST = 2  # rows from which Chroma persists an index
Batch = tuple[list[str], "np.ndarray", list[str]]


class Stale(Exception):
    """The collection is not what its manifest says; another is to be made."""


class Collection(Protocol):
    """Chunks by their vectors, to be read. Every method raises Stale. Usable from several threads."""

    @property
    def rows(self) -> int:
        """How many chunks it holds."""

    def open(self) -> None:
        """Look whether it is whole."""

    def query(self, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
        """(chunk id, cosine) of the nearest chunks, best first; fewer than `limit` if there are fewer."""

    def ids(self) -> set[str]:
        """The ids of its chunks."""

    def close(self) -> None:
        """Let go of the files; the next call opens them again."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a collection is: its folder's name, the library's generation that it holds, its rows, and its files.

    `files` are (path within the folder, bytes, digest).
    """

    folder: str
    generation: int
    rows: int
    files: tuple[tuple[str, int, str], ...]

    def to_json(self) -> str:
        """The manifest as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Manifest | None:
        """What `to_json` wrote; None for "" and for the number that earlier versions kept there."""
        if not text.startswith("{"):
            return None
        data = json.loads(text)
        return cls(data["folder"], data["generation"], data["rows"], tuple(map(tuple, data["files"])))

    def problem(self, place: Path, *, thorough: bool = True) -> str:
        """How the files in a folder differ from it, "" if they do not. Without `thorough` only their sizes are compared."""
        for name, size, digest in self.files:
            file = place / name
            try:
                found = file.stat().st_size
                if found != size:
                    return f"{name} has {found:,} bytes, not {size:,}"
                if thorough and digest_of_file(file) != digest:
                    return f"{name} is not as it was written"
            except OSError as error:
                return f"{name}: {error.strerror}"
        return ""


def collections_folder(library: Path) -> Path:
    """Where the collections of the library in that folder lie."""
    return library / "chroma"


def make_collection(library: Path, generation: int, rows: int, batches: Iterable[Batch]) -> Manifest:
    """A new collection of so many rows, whole on disk; nobody knows of it yet. Under the writer's lock.

    Raises LibraryError.
    """
    home = collections_folder(library)
    name = f"{generation}-{secrets.token_hex(4)}"
    try:
        private_folder(home / name)
        _fill(home / name, rows, batches)
        files = sorted(file for file in (home / name).rglob("*") if file.is_file())
        for file in files:
            file.chmod(0o600)
        told = [(str(f.relative_to(home / name)), f.stat().st_size, digest_of_file(f)) for f in files]
        return Manifest(name, generation, rows, tuple(told))
    except BaseException as error:
        shutil.rmtree(home / name, ignore_errors=True)
        if isinstance(error, LibraryError) or not _is_fault(error):
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise LibraryError(
            f"{home}: Chroma cannot write there ({first}); check the disk's space and permissions"
        ) from error


def sweep(library: Path, keep: Manifest | None) -> list[str]:
    """Delete every collection but one, and what stopped runs left; the names of what was there. Under the writer's lock.

    Whoever has another one open goes on with it: it is in memory.
    """
    home = collections_folder(library)
    left = [path for path in home.iterdir() if keep is None or path.name != keep.folder] if home.is_dir() else []
    for path in left:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    return [path.name for path in left]


def leftovers(library: Path, keep: Manifest | None) -> list[str]:
    """What `sweep` would delete."""
    home = collections_folder(library)
    return [path.name for path in home.iterdir() if not keep or path.name != keep.folder] if home.is_dir() else []


def open_collection(library: Path, manifest: Manifest) -> Collection:
    """The collection of that manifest, the same object for all who have it open in this process."""
    place = Path(os.path.realpath(collections_folder(library) / manifest.folder))
    key = (os.getpid(), place, manifest)
    with _opening:
        found = _open.get(key)
        if found is None:
            found = _open[key] = Chroma(place, manifest)
        return found


class Chroma:
    """A collection in Chroma."""

    def __init__(self, place: Path, manifest: Manifest) -> None:
        self._place, self._manifest = place, manifest
        self._lock = threading.Lock()
        self._client = _Client()
        weakref.finalize(self, self._client.close)

    @property
    def rows(self) -> int:
        """How many chunks it holds."""
        return self._manifest.rows

    def open(self) -> None:
        """Look whether it is whole."""
        with self._lock:
            self._opened()

    def query(self, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
        """(chunk id, cosine) of the nearest chunks, best first; fewer than `limit` if there are fewer."""
        wanted = min(limit, self.rows)
        if wanted < 1:
            return []
        with self._lock:
            collection = self._opened()
            with _stale(self._place):
                ids, distances = collection.query(vector, wanted)
        if len(ids) < wanted:
            raise Stale(f"{self._place}: {len(ids)} of {wanted} rows within reach")
        return [(id, 1.0 - float(distance)) for id, distance in zip(ids, distances, strict=True)]

    def ids(self) -> set[str]:
        """The ids of its chunks."""
        if not self.rows:
            return set()
        with self._lock:
            collection = self._opened()
            with _stale(self._place):
                return set(collection.ids())

    def close(self) -> None:
        """Let go of the files; the next call opens them again."""
        with self._lock:
            self._client.close()

    def keep(self) -> None:
        """Never free what it holds, in this process."""
        self._client.keep()

    def _opened(self) -> Reader:
        if (collection := self._client.collection) is None:
            if problem := self._manifest.problem(self._place):
                raise Stale(f"{self._place}: {problem}")
            try:
                with _stale(self._place):
                    collection = self._client.open(self._place, link=self.rows >= LEAST)
                    held = collection.count()
                if held != self.rows:
                    raise Stale(f"{self._place}: {held:,} of {self.rows:,} rows")
            except Stale:
                self._client.close()
                raise
        return collection


class _Client:
    """Chroma over a private folder, which goes when it is closed, or with its process."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._folder: Path | None = None
        self.collection: Reader | None = None

    def open(self, place: Path, *, link: bool) -> Reader:
        """The collection, from a copy of its database and links to its index; without `link` copies of that too."""
        self._folder = Path(tempfile.mkdtemp(prefix="abstracts-rag-"))
        for path in place.iterdir():
            if path.is_dir():
                _linked(path, self._folder / path.name) if link else shutil.copytree(path, self._folder / path.name)
            else:
                shutil.copy(path, self._folder / path.name)
        self.collection = open_reader(self._folder, NAME)
        return self.collection

    def close(self) -> None:
        """Let go of it; in a child process only forget it, since it is the parent's."""
        collection, folder = self.collection, self._folder
        self._folder = self.collection = None
        if self._process != os.getpid():
            return
        if collection is not None:
            try:
                collection.close()
            except BaseException as error:
                if not _is_fault(error):
                    raise
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self) -> None:
        """Never free it."""
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.collection))


_open: weakref.WeakValueDictionary[tuple[int, Path, Manifest], Chroma] = weakref.WeakValueDictionary()
_opening = threading.Lock()


@contextlib.contextmanager
def _stale(place: Path) -> Iterator[None]:
    """Whatever Chroma raises as Stale."""
    try:
        yield
    except BaseException as error:
        if not _is_fault(error):
            raise
        raise Stale(f"{place}: {error}") from error


def _is_fault(error: BaseException) -> bool:
    """Is it something that went wrong? What panics in Chroma's Rust (no more file handles) is no Exception."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _after_fork() -> None:
    """In a child no thread of the parent goes on: what one of them held is never given back.

    To free Chroma there waits for its threads without end, at the latest when the child exits. So a reference
    that nobody holds keeps it until the process is gone.
    """
    global _opening
    _opening = threading.Lock()
    for collection in _open.values():
        collection.keep()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _fill(place: Path, rows: int, batches: Iterable[Batch]) -> None:
    """Put rows into a new database in that folder; its index is written once, when the last of them is there."""
    configuration = {"hnsw": {"space": "cosine", "ef_search": BREADTH, "ef_construction": 200,
                              "sync_threshold": max(LEAST, rows), "batch_size": max(LEAST, min(100, rows))}}  # fmt: skip
    client = open_client(str(place))
    try:
        collection = client.create_collection(NAME, embedding_function=None, configuration=configuration)
        for ids, vectors, papers in batches:
            for at in range(0, len(ids), BATCH):
                part = slice(at, at + BATCH)
                metadata = [{"paper": paper} for paper in papers[part]]
                collection.upsert(ids=ids[part], embeddings=vectors[part], metadatas=metadata)
        if (held := collection.count()) != rows:
            raise ValueError(f"{held:,} of {rows:,} rows are in it")
    finally:
        client.close()
    with contextlib.closing(sqlite3.connect(place / DATABASE)) as database:
        database.execute("VACUUM")  # the queue that the rows went through is ten times what is left


def _linked(folder: Path, link: Path) -> None:
    try:
        link.symlink_to(folder, target_is_directory=True)
    except OSError:
        shutil.copytree(folder, link)
