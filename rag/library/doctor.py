"""A library -> what in it does not fit together, in plain words; and its repair from what is sound.

The papers in the SQLite file are the truth. From them the full text is built anew, from the stored vectors the
Chroma collection; only a text whose vector is lost is embedded again. What is beyond that (the file itself)
is told, with the files that the library came from. Both looking and repairing hold the writer's lock.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rag.errors import LibraryDamaged, LibraryError
from rag.library import integrity, write
from rag.library.build import Progress, change, fill
from rag.library.chunks import passage
from rag.library.database import FILE
from rag.library.embed import Embedder
from rag.library.origins import origins
from rag.library.store import Library, writer
from rag.library.vectors import Collection, Stale, open_collection
from rag.library.write import vector_key
from rag.records import Paper
from rag.text import readable, sentences

SAMPLE = 100  # chunks that are searched by their own vector
NEAREST = 20  # ... and are to be among so many
SAME = 0.999  # cosine of a vector and itself, as Chroma rounds
MISSED = 0.02  # share of them that an approximate index may miss
NAMED = 3  # things named in a line
LEFT = ("chroma.new", "chroma.old", f"{FILE}.new")  # what a stopped run may leave behind


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what is wrong with it ("" if nothing), and what it is."""

    name: str
    problem: str
    fact: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What was found. `repaired` says what was done; `advice` is what to type for what is left, "" if nothing is."""

    folder: str
    checks: tuple[Check, ...]
    repaired: tuple[str, ...] = ()
    embedded: int = 0
    advice: str = ""

    @property
    def problems(self) -> int:
        """How many checks failed."""
        return sum(bool(check.problem) for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        checks = [{"name": c.name, "ok": not c.problem, "problem": c.problem, "fact": c.fact} for c in self.checks]
        return {"folder": self.folder, "problems": self.problems, "checks": checks, "repaired": list(self.repaired),
                "embedded": self.embedded, "advice": self.advice}  # fmt: skip

    def lines(self) -> Iterator[str]:
        """The same for a person: a line for each check."""
        for done in self.repaired:
            yield f"repaired: {done}"
        for check in self.checks:
            yield f"{check.name}: problem: {check.problem}" if check.problem else f"{check.name}: ok, {check.fact}"
        if self.advice:
            yield self.advice
        elif self.problems == 0:
            yield "all is well"


@dataclass(slots=True)
class _Found:
    """What is to be mended: papers that cannot be read, those to be cut and embedded again, vectors, journal rows."""

    checks: list[Check] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)
    keys: set[bytes] = field(default_factory=set)
    entries: list[int] = field(default_factory=list)

    def bad(self, *names: str) -> bool:
        """Did one of these checks fail?"""
        return any(check.problem and check.name in names for check in self.checks)


def examine(folder: Path, name: str | None, embedder: Embedder) -> Health:
    """Look at a library. `name` is what to call it in advice, None the shipped one. Raises LibraryMissing, LibraryBusy or LibraryNewer."""
    if not os.path.isfile(folder / FILE):
        Library.open(folder).close()  # says that it is missing, where the lock would make a folder
    with writer(folder):
        try:
            with closing(Library.open(folder)) as library:
                found = _found(library, embedder)
                advice = _advice(found, folder, name)
        except LibraryDamaged as error:
            return Health(str(folder), (Check("file", error.message),), (), 0,
                          _anew(folder, name))  # fmt: skip
        return Health(str(folder), tuple(found.checks), (), 0, advice)


def repair(folder: Path, name: str | None, embedder: Embedder, progress: Progress | None = None) -> Health:
    """Mend what can be, and look again. Raises what `examine` does, EmbedError, and LibraryError where it cannot write."""
    before = examine(folder, name, embedder)
    if not before.problems or any(check.name == "file" and check.problem for check in before.checks):
        return before
    with writer(folder), closing(Library.open(folder)) as library:
        if library.embedder != embedder.name:
            raise LibraryError(f"{folder} was embedded with {library.embedder!r}, this package uses {embedder.name!r}")
        done, embedded = _mended(library, _found(library, embedder), name, embedder, progress)
        done += _clear(folder)
    after = examine(folder, name, embedder)
    return Health(after.folder, after.checks, tuple(done), embedded, after.advice)


# --- looking ------------------------------------------------------------------------------------


def _found(library: Library, embedder: Embedder) -> _Found:
    found = _Found()
    for name, look in _LOOKS.items():
        try:
            problem, fact = look(library, embedder, found)
        except LibraryDamaged as error:
            problem, fact = error.message.partition(";")[0], ""
        found.checks.append(Check(name, problem, fact))
        if name == "file" and problem:  # whatever else is asked of it may be wrong
            break
    return found


Look = Callable[[Library, Embedder, _Found], tuple[str, str]]  # (problem, fact)


def _file(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    return library.database.run(integrity.damage), "SQLite finds nothing wrong with it"


def _papers(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    found.lost = library.database.run(integrity.unreadable)
    titles = ", ".join(repr(title) for title in list(found.lost.values())[:NAMED])
    return (f"{len(found.lost):,} cannot be read: {titles}" if found.lost else ""), f"{len(library):,}, each readable"


def _spans(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    """Has each paper chunks and sentences, within its abstract, each under the key of its text?"""
    orphans = library.database.run(integrity.orphans)
    held = library.database.run(integrity.spans)
    wrong = {} if found.lost else {p.id for p in library if not _fits(p, held.get(p.id), library.embedder)}
    found.again |= set(wrong)
    told = [f"{count:,} {table} of no paper" for table, count in orphans.items()]
    told += [f"{len(wrong):,} papers without all of their chunks and sentences"] if wrong else []
    counts = library.counts()
    return ", ".join(told), f"{counts['chunks']:,} chunks, {counts['sentences']:,} sentences, each where its text is"


def _fits(paper: Paper, held: integrity.Spans | None, embedder: str) -> bool:
    if not held or not held.chunks or [s[:2] for s in sorted(held.sentences)] != _cut(paper):
        return False
    chunks = all(key == vector_key(embedder, passage(paper, start, end)) for start, end, key in held.chunks)
    return chunks and all(
        key == vector_key(embedder, readable(paper.abstract[start:end])) for start, end, key in held.sentences
    )


def _cut(paper: Paper) -> list[tuple[int, int]]:
    return [(span.start, span.end) for span in sentences(paper.abstract)]


def _vectors(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    missing, damaged = library.database.run(partial(integrity.flawed, dimensions=int(library.meta("dimensions"))))
    found.keys = damaged
    lacking = missing | damaged
    for paper, held in library.database.run(integrity.spans).items() if lacking else ():
        if any(key in lacking for _, _, key in (*held.chunks, *held.sentences)):
            found.again.add(paper)
    told = {"missing": len(missing), "damaged": len(damaged)}
    problem = ", ".join(f"{count:,} {what}" for what, count in told.items() if count)
    return problem, f"{library.counts()['vectors']:,}, each of the right length"


def _full_text(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    return library.database.run(integrity.unindexed), "holds every paper as it reads"


def _fingerprint(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    kept = int(library.meta("content")) == write.content(library.database)
    return ("" if kept else "is not that of the papers"), f"{library.fingerprint}, that of the papers"


def _journal(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    found.entries = library.database.run(integrity.broken_entries)
    problem = f"{len(found.entries):,} lines cannot be read" if found.entries else ""
    return problem, "" if problem else f"{len(library.journal()):,} of its lines can be read"


def _collection(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    """Does Chroma hold the chunks of the file, and find them?"""
    vectors = open_collection(library.path)
    vectors.close()  # what this process had open may be older than the files
    try:
        problem = "" if library.filled() else "is behind the papers (a run was stopped)"
        problem = problem or _unlike(library, vectors) or ("" if found.keys else _out_of_reach(library, vectors))
        return problem, f"holds the {library.counts()['chunks']:,} chunks, and finds them"
    except Stale as stale:
        return str(stale).partition(": ")[2] or str(stale), ""
    finally:
        vectors.close()


def _unlike(library: Library, vectors: Collection) -> str:
    wanted = library.database.run(lambda db: {row[0] for row in db.execute("SELECT id FROM chunks")})
    held = vectors.ids()
    told = {"chunks missing": len(wanted - held), "chunks that are gone": len(held - wanted)}
    return ", ".join(f"{count:,} {what}" for what, count in told.items() if count)


def _out_of_reach(library: Library, vectors: Collection) -> str:
    """Chroma counts rows whose index files are lost, and finds few of them: are chunks found by their own vectors?"""
    every = max(1, library.counts()["chunks"] // SAMPLE)
    tried = missed = 0
    for ids, matrix, _ in library.vectors():
        for at in range(0, len(ids), every):
            near = vectors.query(matrix[at], NEAREST)
            tried += 1
            is_found = any(id == ids[at] for id, _ in near) or (near and near[-1][1] > SAME)  # many of one text
            missed += not (is_found and near[0][1] > SAME)
    return f"{missed:,} of {tried:,} chunks are not found by their own vectors" if missed > MISSED * tried else ""


def _leftovers(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    left = [name for name in LEFT if (library.path / name).exists()]
    return (f"{', '.join(left)}: left by a run that was stopped" if left else ""), "nothing left by a stopped run"


_LOOKS: dict[str, Look] = {
    "file": _file,
    "papers": _papers,
    "spans": _spans,
    "vectors": _vectors,
    "full text": _full_text,
    "fingerprint": _fingerprint,
    "journal": _journal,
    "collection": _collection,
    "leftovers": _leftovers,
}


# --- mending ------------------------------------------------------------------------------------


def _mended(
    library: Library, found: _Found, name: str | None, embedder: Embedder, progress: Progress | None
) -> tuple[list[str], int]:
    """What was done, and how many texts were embedded."""
    done: list[str] = []
    embedded = 0
    if found.bad("papers", "spans", "vectors", "full text", "fingerprint", "journal"):
        mending = partial(integrity.mend, lost=found.lost, keys=found.keys, entries=found.entries)
        write.mend(library.database, mending, {"lost": list(found.lost)})
        done.append("the full text and the fingerprint, from the papers")
        if found.lost:
            lost = f"dropped {len(found.lost):,} papers that cannot be read; their files have them, type:"
            done.append(f"{lost} rag sync{_library(name)}" if name else lost.partition(";")[0])
        found = _found(library, embedder)
    if found.again:
        papers = list(library.papers(found.again).values())
        embedded = change(library, papers, (), embedder, "repair", {"papers": len(papers)}, progress)[1]
        done.append(f"{len(papers):,} papers stored anew, {embedded:,} texts embedded again for them")
    if found.again or not library.filled() or found.bad("collection"):
        fill(library, open_collection(library.path), progress)
        done.append("the collection, from the stored vectors")
    return done, embedded


def _clear(folder: Path) -> list[str]:
    """Delete what a stopped run left behind; a line if there was anything."""
    left = [folder / name for name in LEFT if (folder / name).exists()]
    for path in left:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return [f"deleted {', '.join(path.name for path in left)}"] if left else []


# --- what is left to do -------------------------------------------------------------------------


def _advice(found: _Found, folder: Path, name: str | None) -> str:
    if found.bad("file"):
        return _anew(folder, name)
    if not any(check.problem for check in found.checks):
        return ""
    return f"to repair it type: rag doctor{_library(name)} --repair"


def _library(name: str | None) -> str:
    return "" if name is None else f" --library {shlex.quote(name)}"


def _anew(folder: Path, name: str | None) -> str:
    """What to type when the file itself is beyond repair."""
    if name is None:
        away = f"rm -r {shlex.quote(str(folder))}"
        return f"this cannot be repaired; type: {away}; the next question builds the shipped library anew"
    away = " ".join(shlex.quote(str(path)) for path in (folder, folder.with_name(f"{folder.name}.damaged")))
    return f"this cannot be repaired; type: mv {away} && rag add {_files(folder)} --library {shlex.quote(name)}"


def _files(folder: Path) -> str:
    """The files that a library came from, as far as its journal can still be read."""
    with suppress(LibraryError, sqlite3.DatabaseError), closing(Library.open(folder)) as library:
        known = origins(library.journal())
        return " ".join(map(shlex.quote, known.given or known.files)) or "FILE"
    return "FILE"
