"""A library in one file, to be put away and had back: the file of SQLite as it is at one moment, and what it must be.

A backup is a zip of two members: the file, and a manifest with its digest. It is taken from a snapshot, so that readers
and a writer go on meanwhile. The collection of vectors is left out, since nothing is in it that the file has not; a
restore makes it anew. Both ways all is compared: every digest in the file when it is written and again when it comes
back, and nothing is put in a library's place before.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag.errors import LibraryBusy, LibraryDamaged, LibraryError, LibraryNewer, UsageError
from rag.library import integrity, salvage, write
from rag.library.build import Progress, follow
from rag.library.changes import own_folder
from rag.library.database import FILE, Database
from rag.library.store import SCHEMA, Library, writer
from rag.remedies import Remedy

MANIFEST = "backup.json"
KIND = "abstracts-rag backup"
VERSION = 1  # of the manifest
BEFORE = f"{FILE}.before"  # the library that a restore replaced
PIECE = 1 << 20  # bytes copied at once
LONGEST = 10_000  # bytes of a manifest


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds: the library when it was `made` (ISO 8601, UTC), and the size and digest of its file.

    >>> rag.backup(folder / "all.zip").generation  # `folder` is a pathlib.Path of yours
    1
    """

    made: str
    papers: int
    generation: int
    schema: int
    embedder: str
    fingerprint: str
    size: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def backup(library: Library, file: Path, *, over: bool = False) -> Backup:
    """Write a library, as it is now, to a file.

    Raises UsageError when the file is there already (unless `over`), LibraryDamaged when anything in the library is not
    as it was written, and LibraryError when it cannot be written; a file that was there is then as it was.
    """
    if os.path.lexists(file) and not over:
        raise UsageError(f"{file} is there already", Remedy.REPLACE_FILE)
    if file.is_dir():
        raise UsageError(f"{file} is a folder; give the name of a file")
    with _written(file), tempfile.TemporaryDirectory(prefix=".abstracts-rag-", dir=file.parent) as place:
        copy, packed = Path(place) / FILE, Path(place) / "packed"
        told = _copied(library, copy)
        _pack(copy, told, packed)
        with _opened(packed) as (archive, read):
            if read != told:
                raise OSError(None, "what was written is not what is there")
            _unpack(archive, read, None)
        os.replace(packed, file)
    return told


def restore(file: Path, name: str | None, *, over: bool = False, progress: Progress | None = None) -> Backup:
    """Make a backup the library of that name. Nothing changes until all of it was compared.

    A library that is there is replaced only if `over` is true, and its file is kept beside the new one (`BEFORE`).
    Raises UsageError, LibraryNewer, LibraryBusy, or LibraryError for what is no sound backup.
    """
    folder = own_folder(name)
    with _opened(file) as (archive, told):
        if told.schema > SCHEMA:
            raise LibraryNewer(
                f"{file} was written by a later version (schema {told.schema}, this reads {SCHEMA})", Remedy.UPGRADE
            )
        _refuse(folder, over)
        _unpack(archive, told, None)  # before anything is made
        is_new = not folder.exists()
        with writer(folder):
            _refuse(folder, over)
            try:
                _put(archive, told, file, folder)
            except BaseException:
                for left in folder.glob(f"{salvage.NEW}*"):
                    left.unlink()
                if is_new:
                    (folder / "writer.lock").unlink(missing_ok=True)
                    folder.rmdir()
                raise
    with writer(folder, wait=True), closing(Library.open(folder)) as library:
        follow(library, progress)
    return told


def _refuse(folder: Path, over: bool) -> None:
    if (folder / FILE).exists() and not over:
        raise UsageError(f"there is a library at {folder}", Remedy.REPLACE_LIBRARY)


# --- making -------------------------------------------------------------------------------------


def _copied(library: Library, copy: Path) -> Backup:
    """Copy the file of a library as it is now, and compare all of the copy with what it should be."""
    copy.touch(0o600)
    with library.snapshot() as still, closing(sqlite3.connect(copy)) as target:
        still.database.run(lambda source: source.backup(target))
        target.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    with closing(Database(copy.parent)) as database:
        with database.transaction() as db:
            write.set_meta(db, collection="")
        if problem := database.run(integrity.problem):
            raise library.database.damaged(problem)
        found = Library(database)
        told = {
            "papers": len(found),
            "generation": found.generation,
            "schema": database.schema(),
            "embedder": found.embedder,
            "fingerprint": found.fingerprint,
        }
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Backup(made, size=copy.stat().st_size, sha256=_sha256(copy), **told)  # type: ignore[arg-type]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _pack(copy: Path, told: Backup, packed: Path) -> None:
    packed.touch(0o600)
    with zipfile.ZipFile(packed, "w") as archive:  # what takes the room are vectors, which nothing makes smaller
        archive.writestr(MANIFEST, json.dumps({"kind": KIND, "version": VERSION, **told.to_dict()}, indent=2) + "\n")
        archive.write(copy, FILE)


@contextmanager
def _written(file: Path) -> Iterator[None]:
    """Errors of writing a file, as ours."""
    try:
        yield
    except OSError as error:
        raise LibraryError(
            f"{file}: cannot be written ({error.strerror}); check the folder, the disk's space and permissions"
        ) from error


# --- reading ------------------------------------------------------------------------------------


@contextmanager
def _opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Backup]]:
    """A backup and what it says of itself. Raises LibraryError for what is none, also later for what cannot be read."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive, _manifest(archive)
    except OSError as error:
        raise LibraryError(f"{file}: cannot be read ({error.strerror or error})", Remedy.NAME_BACKUP) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise LibraryError(f"{file} is no whole backup ({_first(error)})", Remedy.NAME_BACKUP) from error


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _manifest(archive: zipfile.ZipFile) -> Backup:
    """What a backup says of itself. Raises KeyError, TypeError or ValueError for what is none."""
    if archive.getinfo(MANIFEST).file_size > LONGEST:
        raise ValueError(f"its {MANIFEST} is too long")
    data = json.loads(archive.read(MANIFEST))
    if not isinstance(data, dict) or data.pop("kind", None) != KIND:
        raise ValueError(f"its {MANIFEST} is not of this package")
    if data.pop("version", None) != VERSION:
        raise ValueError("it was made by a later version")
    told = Backup(**data)
    if not all(isinstance(getattr(told, name), int) for name in ("papers", "generation", "schema", "size")):
        raise ValueError(f"its {MANIFEST} has no numbers")
    return told


def _unpack(archive: zipfile.ZipFile, told: Backup, to: Path | None) -> None:
    """Read the file of a backup, write it to a file if one is named, and compare it. Raises ValueError if it differs."""
    found, size = hashlib.sha256(), 0
    with archive.open(FILE) as source, open(to or os.devnull, "wb") as target:
        while (piece := source.read(PIECE)) and (size := size + len(piece)) <= told.size:
            found.update(piece)
            target.write(piece)
    if (size, found.hexdigest()) != (told.size, told.sha256):
        raise ValueError(f"its {FILE} is not as it was written")


def _put(archive: zipfile.ZipFile, told: Backup, file: Path, folder: Path) -> None:
    """Put the file of a backup in the place of a library's, once it was compared with what it should be."""
    new = folder / salvage.NEW
    with _written(new):
        new.touch(0o600)
        _unpack(archive, told, new)
        with closing(Database(folder, salvage.NEW)) as database:
            problem = database.run(integrity.problem) if told.schema == SCHEMA else ""  # an older one had no digests
            if problem:
                raise LibraryDamaged(f"{file} is damaged ({problem})", Remedy.BACK_UP_AGAIN)
            database.run(lambda db: db.execute("PRAGMA journal_mode = WAL").fetchall())
        if is_there := (folder / FILE).exists():
            _settle(folder)
        salvage.switch(folder, keep=BEFORE if is_there else "")


def _settle(folder: Path) -> None:
    """Bring all that was written to a library into its one file. Raises LibraryBusy while somebody reads it."""
    try:
        with closing(sqlite3.connect(folder / FILE, timeout=30)) as db:
            ((busy, *_),) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.DatabaseError:
        return  # it is beyond reading, and is replaced as it lies
    if busy:
        raise LibraryBusy(f"another process is reading {folder}; try again when it is done")
