"""The libraries of one's own as wholes: which there are, another name for one, and deleting one.

A library that another process has open is left alone: SQLite says so when its journal is asked to change.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from rag.errors import LibraryBusy, LibraryError, LibraryMissing, RagError, UsageError
from rag.library.build import named_folder, own_libraries
from rag.library.changes import own_folder
from rag.library.database import FILE
from rag.library.store import Library, writer
from rag.library.vectors import collections_folder
from rag.places import libraries
from rag.remedies import Remedy

LONGEST = 100  # characters of a name


class Standing(NamedTuple):
    """A library as a whole: its papers (None if it cannot be read, with the problem), its size in bytes, its last change."""

    name: str
    folder: str
    papers: int | None
    bytes: int
    changed: str
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return self._asdict()


def standing() -> tuple[Standing, ...]:
    """The libraries that were made by name, sorted."""
    return tuple(one(name) for name in own_libraries())


def one(name: str) -> Standing:
    """A library by name or folder. Raises LibraryMissing."""
    folder = named_folder(name)
    if not os.path.isfile(folder / FILE):
        raise LibraryMissing(f"no library at {folder}", Remedy.SEE_LIBRARIES)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    try:
        with closing(Library.open(folder)) as library:
            changed = library.journal()[-1]["at"] if library.generation else ""
            return Standing(name, str(folder), len(library), size, changed)
    except RagError as error:
        return Standing(name, str(folder), None, size, "", error.message)


def rename(name: str, to: str) -> Path:
    """Give a library another name; its folder. Raises UsageError, LibraryMissing, LibraryBusy or LibraryError."""
    _check_name(to)
    folder, target = libraries() / name, libraries() / to
    if named_folder(name) != folder or not os.path.isfile(folder / FILE):
        raise LibraryMissing(f"no library is called {name!r}", Remedy.SEE_LIBRARIES)
    if os.path.exists(target):
        raise UsageError(f"there is a library {to!r} already; choose another name, or remove that one first")
    _alone(folder)
    _moved(folder, target)
    return target


def remove(name: str) -> None:
    """Delete a library with all that it holds. Raises UsageError, LibraryMissing, LibraryBusy or LibraryError."""
    folder = own_folder(name)
    if not os.path.isfile(folder / FILE):
        raise LibraryMissing(f"no library at {folder}", Remedy.SEE_LIBRARIES)
    ours = (FILE, "writer.lock", collections_folder(folder).name)
    if foreign := sorted(entry for entry in os.listdir(folder) if not entry.startswith(ours)):
        raise LibraryError(f"{folder} holds files that are no library's ({foreign[0]}); move them away first")
    _alone(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.removed")  # gone at once, whatever happens to its files
    _moved(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def _check_name(name: str) -> None:
    if (
        not name.strip()
        or name != name.strip()
        or len(name) > LONGEST
        or name.startswith((".", "-", "~"))
        or not name.isprintable()
    ):
        raise UsageError(f"{name[:LONGEST]!r} is no name for a library; use letters, figures and hyphens")
    if "/" in name or "\\" in name or named_folder(name) != libraries() / name:
        raise UsageError(f"{name[:LONGEST]!r} is a path; a library is renamed within {libraries()}")


def _alone(folder: Path) -> None:
    """Raises LibraryBusy when another process has the library open."""
    with writer(folder):
        try:
            with closing(sqlite3.connect(folder / FILE, timeout=0)) as db:
                ((mode,),) = db.execute("PRAGMA journal_mode = DELETE").fetchall()
                is_free = mode == "delete"
                db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            is_free = False
        except sqlite3.DatabaseError:  # damaged: nobody can use it
            is_free = True
    if not is_free:
        raise LibraryBusy(f"{folder} is open in another process (a chat?); close that first")


def _moved(folder: Path, target: Path) -> None:
    try:
        os.rename(folder, target)
    except OSError as error:
        raise LibraryError(f"{folder}: cannot be moved ({error.strerror}); check its permissions") from error
