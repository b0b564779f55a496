"""The SQLite file of a library: connecting, asking, changing, and SQLite's errors as ours.

What was read of the library is remembered until it changes: the generation number in the file tells.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rag.errors import LibraryBusy, LibraryDamaged, LibraryError
from rag.records import Paper
from rag.remedies import Remedy

if TYPE_CHECKING:
    from rag.filters import Filter, Selected

T = TypeVar("T")
FILE = "library.sqlite"
PIECE = 500  # values that SQLite is given at once
REMEMBERED = 50_000  # papers


@dataclass(slots=True)
class Memory:
    """What was read of one generation of a library: papers by id, in how many papers words stand, papers that filters admit."""

    generation: int
    papers: dict[str, Paper] = field(default_factory=dict)
    frequencies: dict[str, int] = field(default_factory=dict)
    selected: dict[Filter, Selected] = field(default_factory=dict)


class Database:
    """The connection to one library's file. Usable from several threads, one at a time."""

    def __init__(self, folder: Path, name: str = FILE) -> None:
        self.folder = folder
        self.file = folder / name
        self._guard = threading.RLock()
        self._memory = Memory(-1)
        with self._translated():
            self._connection = sqlite3.connect(
                self.file, timeout=30, check_same_thread=False, isolation_level="IMMEDIATE"
            )
            self._connection.execute("PRAGMA synchronous = NORMAL")

    def close(self) -> None:
        """Give the file back; the object is of no use afterwards."""
        with self._guard:
            self._connection.close()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.run(lambda connection: connection.execute(query, values).fetchall())

    def many(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Rows of a query with `IN ({})`, asked in pieces that SQLite takes."""
        rows: list[tuple[Any, ...]] = []
        for at in range(0, len(values), PIECE):
            piece = values[at : at + PIECE]
            rows += self.rows(query.format(",".join("?" * len(piece))), *piece)
        return rows

    def batches(self, query: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Rows of a query, so many at a time."""
        with self._guard, self._translated():
            cursor = self._connection.execute(query)
            while rows := cursor.fetchmany(size):
                yield rows

    def run(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """What a function finds in the file."""
        with self._guard, self._translated():
            return question(self._connection)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A change: all of it happens, or nothing when the block raises."""
        with self._guard, self._translated(), self._connection:
            yield self._connection

    def meta(self, key: str) -> str:
        """A value that the library keeps about itself. Raises LibraryDamaged when it is not there."""
        rows = self.rows("SELECT value FROM meta WHERE key = ?", key)
        if not rows:
            raise self.damaged(f"no {key!r} in it")
        return str(rows[0][0])

    @property
    def generation(self) -> int:
        """How often the library has changed; 0 while it was never filled. Raises LibraryDamaged."""
        try:
            return int(self.meta("generation"))
        except ValueError as error:
            raise self.damaged("its generation is no number") from error

    def memory(self) -> Memory:
        """What was read since the library last changed."""
        generation = self.generation
        if generation != self._memory.generation or len(self._memory.papers) > REMEMBERED:
            self._memory = Memory(generation)
        return self._memory

    def damaged(self, what: str) -> LibraryDamaged:
        """The error that says what is wrong with the file, and what to do."""
        return LibraryDamaged(f"{self.file} is damaged ({what})", Remedy.EXAMINE, library=self.folder)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's errors as ours, each with what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "locked" in text:
                raise LibraryBusy(f"another process is writing to {self.folder}; try again when it is done") from error
            if "no such" in text or "malformed" in text:
                raise self.damaged(text) from error
            raise LibraryError(f"{self.file}: {text}; check the disk's space and permissions") from error
        except sqlite3.DatabaseError as error:
            raise self.damaged(str(error)) from error
