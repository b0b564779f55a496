"""The SQLite file of a library: connecting, asking, changing, and SQLite's errors as ours.

What was read of the library is remembered until it changes: the generation number in the file tells. A file that
was replaced under a running process is opened anew, and so is every file after a fork: SQLite's connections do not
survive one. A snapshot is a connection of its own that sees one state of the library, whatever is written meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rag.errors import LibraryBusy, LibraryDamaged, LibraryError, LibraryMissing
from rag.library.digests import digest
from rag.records import Paper
from rag.remedies import Remedy

if TYPE_CHECKING:
    from rag.filters import Filter, Selected

T = TypeVar("T")
FILE = "library.sqlite"
PIECE = 500  # values that SQLite is given at once
REMEMBERED = 50_000  # papers
SPARE = 4  # connections kept for the next snapshot

_inherited: list[object] = []  # of a parent process: neither used nor closed


@dataclass(slots=True)
class Memory:
    """What was read of one generation of a library: papers by id, in how many papers words stand, papers that filters admit.

    `count` is how many papers there are, None while they were not counted. `sound` are the pieces of the full text that
    were found as they were written, in this generation or before.
    """

    generation: int
    count: int | None = None
    papers: dict[str, Paper] = field(default_factory=dict)
    frequencies: dict[str, int] = field(default_factory=dict)
    selected: dict[Filter, Selected] = field(default_factory=dict)
    is_full_text_sound: bool = False
    sound: dict[str, str] = field(default_factory=dict)

    def after(self, generation: int) -> Memory:
        """What may still be remembered of another generation of the same file."""
        return Memory(generation, sound=self.sound)


class Database:
    """The connection to one library's file. Usable from several threads, one at a time."""

    def __init__(self, folder: Path, name: str = FILE) -> None:
        self.folder = folder
        self.file = folder / name
        self._memory = Memory(-1)
        self._spare: list[sqlite3.Connection] = []
        self._open()

    def _open(self) -> None:
        self._process = os.getpid()
        self._guard = threading.RLock()
        with self._translated():
            self._connection = _connect(self.file)
            self._identity = _identity(self.file)

    def close(self) -> None:
        """Give the file back; the object is of no use afterwards."""
        if self._process == os.getpid():
            with self._guard:
                for connection in (self._connection, *self._spare):
                    connection.close()
                self._spare.clear()

    def __del__(self) -> None:
        """Python's connections refer to themselves: without this, one that is let go keeps its handles for long."""
        with suppress(AttributeError):  # it may not have been opened
            self.close()

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The file as it is now, for as long as the block lasts."""
        with self._held():
            connection = self._spare.pop() if self._spare else None
            identity, process = self._identity, self._process
        with self._translated():
            still = Snapshot(self, connection or _connect(self.file))
        try:
            yield still
        finally:
            still.leave()
            if (self._identity, os.getpid()) == (identity, process) and len(self._spare) < SPARE:
                self._spare.append(still._connection)
            elif os.getpid() == process:
                still._connection.close()

    @property
    def identity(self) -> tuple[int, int]:
        """Which file it is, as the operating system tells files apart."""
        return self._identity

    # --- asking and changing --------------------------------------------------------------------

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
        with self._held(), self._translated():
            cursor = self._connection.execute(query)
            while rows := cursor.fetchmany(size):
                yield rows

    def run(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """What a function finds in the file."""
        with self._held(), self._translated():
            return question(self._connection)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A change: all of it happens, or nothing when the block raises."""
        with self._held(), self._translated(), self._connection:
            yield self._connection

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The connection, for this thread alone: a fresh one after a fork, or when another file is there."""
        if self._process != os.getpid():
            _inherited.extend([self._connection, self._guard, *self._spare])
            self._spare = []
            self._open()
        with self._guard:
            if not self._connection.in_transaction and _identity(self.file) != self._identity:
                self._reopen()
            yield

    def _reopen(self) -> None:
        embedder = self.meta_of(self._connection, "embedder")
        for connection in (self._connection, *self._spare):
            connection.close()
        self._spare.clear()
        self._memory = Memory(-1)
        if not self.file.is_file():
            raise LibraryMissing(f"no library at {self.folder} any more", Remedy.SEE_LIBRARIES)
        with self._translated():
            self._connection = _connect(self.file)
            self._identity = _identity(self.file)
        if (now := self.meta_of(self._connection, "embedder")) != embedder:
            raise LibraryError(f"{self.folder} was replaced by a library embedded with {now!r}; start again")

    # --- what the library says of itself --------------------------------------------------------

    def meta(self, key: str) -> str:
        """A value that the library keeps about itself. Raises LibraryDamaged when it is not there as it was written."""
        return self.run(lambda connection: self.meta_of(connection, key))

    def meta_of(self, connection: sqlite3.Connection, key: str) -> str:
        """The same, asked of a connection."""
        with self._translated():
            rows = connection.execute("SELECT value, digest FROM meta WHERE key = ?", (key,)).fetchall()
        if not rows:
            raise self.damaged(f"no {key!r} in it")
        value = str(rows[0][0])
        if digest(key, value) != rows[0][1]:
            raise self.damaged(f"its {key}")
        return value

    def schema(self) -> int:
        """Which version wrote the file. Raises LibraryDamaged when it is no library's."""
        try:
            rows = self.rows("SELECT value FROM meta WHERE key = 'schema'")
            return int(rows[0][0])
        except (LibraryDamaged, ValueError, IndexError) as error:
            raise LibraryDamaged(
                f"{self.file} is not a library of this package", Remedy.EXAMINE, library=self.folder
            ) from error

    @property
    def generation(self) -> int:
        """How often the library has changed; 0 while it was never filled. Raises LibraryDamaged."""
        return int(self.meta("generation"))

    def memory(self) -> Memory:
        """What was read since the library last changed."""
        generation = self.generation
        if generation != self._memory.generation or len(self._memory.papers) > REMEMBERED:
            self._memory = self._memory.after(generation)
        return self._memory

    def count(self) -> int:
        """How many papers there are."""
        memory = self.memory()
        if memory.count is None:
            memory.count = int(self.rows("SELECT count(*) FROM papers")[0][0])
        return memory.count

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
            if "no such" in text or "malformed" in text or "decode" in text:
                raise self.damaged(text) from error
            raise LibraryError(f"{self.file}: {text}; {_cause(text)}") from error
        except (sqlite3.DatabaseError, OverflowError) as error:
            raise self.damaged(str(error)) from error


class Snapshot(Database):
    """One state of a library's file. It shares what is remembered of that state."""

    def __init__(self, of: Database, connection: sqlite3.Connection) -> None:
        self.folder, self.file = of.folder, of.file
        self._process = os.getpid()
        self._guard = threading.RLock()
        self._connection, self._identity = connection, of._identity
        self._connection.execute("BEGIN DEFERRED")
        generation = int(self.meta("generation"))  # the first read fixes the state
        if of._memory.generation != generation:
            of._memory = of._memory.after(generation)
        self._memory = of._memory

    def close(self) -> None:
        """The connection goes back to whom it came from: nothing is closed here."""

    def memory(self) -> Memory:
        """What was read of this state."""
        return self._memory

    @contextmanager
    def _held(self) -> Iterator[None]:
        with self._guard:
            yield

    def leave(self) -> None:
        """Let go of the state."""
        with self._guard, suppress(sqlite3.Error):
            self._connection.rollback()


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=30, check_same_thread=False, isolation_level="IMMEDIATE")
    connection.text_factory = _text
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _text(raw: bytes) -> str:
    """Bytes that are no UTF-8 are damage, and a digest tells; one such row must not make all others unreadable."""
    return raw.decode("utf-8", "surrogateescape")


def _identity(file: Path) -> tuple[int, int]:
    """Which file lies there: (0, 0) for none."""
    try:
        found = os.stat(file)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _cause(text: str) -> str:
    """What is probably behind SQLite's words."""
    if "unable to open" in text:
        return "too many open files, or no permission; check: ulimit -n"
    return "check the disk's space and permissions"
