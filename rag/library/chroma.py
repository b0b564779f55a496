"""Chroma's two doors: its Python client, which writes, and the engine under it, which reads.

Half of the processor time of `rag ask` was spent on importing the client. The engine is a module of its own
in the same package, and is asked here just as the client asks it; `tests/library/test_chroma.py` holds the
two against each other. Any other minor version than the one tested is read through its client.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

TESTED = "1.5."  # the versions of Chroma whose engine is asked directly
_WHERE = ("default_tenant", "default_database")


class Reader(Protocol):
    """A collection, open. Every method raises what Chroma raises."""

    def count(self) -> int:
        """How many rows it holds."""
        ...

    def query(self, vector: np.ndarray, limit: int) -> tuple[list[str], list[float]]:
        """The ids of the nearest rows, nearest first, and their distances."""
        ...

    def ids(self) -> list[str]:
        """The ids of all rows."""
        ...

    def close(self) -> None:
        """Let go of its files."""
        ...


def open_reader(folder: Path, name: str) -> Reader:
    """A collection that stands in a folder, for this process alone. Raises what Chroma raises."""
    return Engine(folder, name) if version("chromadb").startswith(TESTED) else Client(folder, name)


class Engine:
    """A collection read by Chroma's engine."""

    def __init__(self, folder: Path, name: str) -> None:
        import chromadb_rust_bindings as chroma

        database = chroma.SqliteDBConfig(
            hash_type=chroma.MigrationHash.MD5,
            migration_mode=chroma.MigrationMode.Apply,
            url=str(folder / "chroma.sqlite3"),
        )
        self._engine: Any = chroma.Bindings(
            allow_reset=False, sqlite_db_config=database, persist_path=str(folder), hnsw_cache_size=_handles() // 5
        )
        self._id = str(self._engine.get_collection(name, *_WHERE).id)

    def count(self) -> int:
        return int(self._engine.count(self._id, *_WHERE))

    def query(self, vector: np.ndarray, limit: int) -> tuple[list[str], list[float]]:
        found = self._engine.query(self._id, None, [vector], limit, None, None, ["distances"], *_WHERE)
        return found.ids[0], found.distances[0]

    def ids(self) -> list[str]:
        found = self._engine.get(self._id, None, None, None, 0, None, [], *_WHERE)
        return list(found.ids)

    def close(self) -> None:
        self._engine = None


def _handles() -> int:
    """How many files this process may have open; 4,096 where nothing limits it."""
    try:
        import resource
    except ImportError:  # Windows
        return 512
    limit = int(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return limit if limit != resource.RLIM_INFINITY else 4096


class Client:
    """A collection read by Chroma's client."""

    def __init__(self, folder: Path, name: str) -> None:
        self._client = open_client(str(folder))
        self._collection = self._client.get_collection(name, embedding_function=None)

    def count(self) -> int:
        return int(self._collection.count())

    def query(self, vector: np.ndarray, limit: int) -> tuple[list[str], list[float]]:
        found = self._collection.query(vector[None, :], n_results=limit, include=["distances"])
        return found["ids"][0], found["distances"][0]

    def ids(self) -> list[str]:
        return list(self._collection.get(include=[])["ids"])

    def close(self) -> None:
        self._client.close()


def open_client(path: str) -> Any:
    """Chroma's own client of a folder: it writes, and reads where its engine is not the one that was tested."""
    try:
        return _chromadb().PersistentClient(path=path, settings=_settings().model_copy())
    except BaseException:
        from chromadb.api.shared_system_client import SharedSystemClient

        SharedSystemClient._identifier_to_system.pop(path, None)  # Chroma keeps even what failed to start
        raise


@cache
def _settings() -> Any:
    """Chroma's settings, which take 50 ms to make."""
    return _chromadb().config.Settings(_env_file=None, anonymized_telemetry=False)


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
