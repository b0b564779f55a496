"""A library -> what in it does not fit together, in plain words; and its repair from what is sound.

A repair reads out what is as it was written into a new file (`salvage`): papers, from which all else is made anew, and
vectors. A paper that is damaged is read again from the file that it came from, if that is as it was; else it is set
aside and named. Never is damage taken for data. Both looking and repairing hold the writer's lock.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rag.errors import LibraryDamaged, LibraryError
from rag.library import facts, integrity, known, rows, salvage, write
from rag.library.build import Progress, behind, change, fill, shipped_papers
from rag.library.chunks import passage
from rag.library.database import FILE
from rag.library.embed import Embedder
from rag.library.origins import Origins, origins
from rag.library.plan import Looked, planned, there
from rag.library.report import plural
from rag.library.served import kept_of
from rag.library.store import Library, writer
from rag.library.vectors import Collection, Manifest, Stale, collections_folder, leftovers, open_collection, sweep
from rag.library.write import vector_key
from rag.records import Paper
from rag.text import label, readable

SAMPLE = 100  # chunks that are searched by their own vector
NEAREST = 20  # ... and are to be among so many
SAME = 0.999  # cosine of a vector and itself, as Chroma rounds
MISSED = 0.02  # share of them that an approximate index may miss
NAMED = 3  # things named in a line


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
    """What was looked at; papers that are damaged ({id: title}), vectors that are missing or damaged."""

    checks: list[Check] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    lacking: set[bytes] = field(default_factory=set)

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
            check = Check("file", error.message)
            return Health(str(folder), (check,), (), 0, _beyond(folder, name))
        return Health(str(folder), tuple(found.checks), (), 0, advice)


def repair(folder: Path, name: str | None, embedder: Embedder, progress: Progress | None = None) -> Health:
    """Mend what can be, and look again. Raises what `examine` does, EmbedError, and LibraryError where it cannot write."""
    before = examine(folder, name, embedder)
    if not before.problems:
        return before
    bad = {check.name for check in before.checks if check.problem}
    with writer(folder):
        done, embedded = _read_out(folder, name, embedder, progress) if bad - {"collection", "leftovers"} else ([], 0)
        if not done and bad - {"collection", "leftovers"}:
            return before
        with closing(Library.open(folder)) as library:
            if library.embedder != embedder.name:
                raise LibraryError(
                    f"{folder} was embedded with {library.embedder!r}, this package uses {embedder.name!r}"
                )
            if done or "collection" in bad:
                fill(library, progress)
                done.append("the collection, from the stored vectors")
            done += _clear(library)
    after = examine(folder, name, embedder)
    return Health(after.folder, after.checks, tuple(done), embedded, after.advice)


# --- looking ------------------------------------------------------------------------------------


def _found(library: Library, embedder: Embedder) -> _Found:
    found = _Found()
    for name, look in _LOOKS.items():
        try:
            problem, fact = look(library, embedder, found)
        except LibraryDamaged as error:
            problem, fact = error.message, ""
        found.checks.append(Check(name, problem, fact))
        if name == "file" and problem:  # whatever else is asked of it may be wrong
            break
    return found


Look = Callable[[Library, Embedder, _Found], tuple[str, str]]  # (problem, fact)


def _file(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    return library.database.run(integrity.damage), "SQLite finds nothing wrong with it"


def _papers(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    found.lost = library.database.run(integrity.unsound)
    titles = ", ".join(ascii(title) for title in list(found.lost.values())[:NAMED])
    problem = f"{len(found.lost):,} not as they were written: {titles}" if found.lost else ""
    return problem, f"{len(library):,}, each as it was written"


def _spans(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    """Has each paper chunks and sentences, within its abstract, each under the key of its text?"""
    orphans = library.database.run(integrity.orphans)
    held = library.database.run(integrity.spans)
    wrong = library.database.run(integrity.unsound_spans)
    wrong |= set() if found.lost else {p.id for p in library if not _fits(p, held.get(p.id), library.embedder)}
    told = [f"{count:,} {table} of no paper" for table, count in orphans.items()]
    told += [f"{len(wrong):,} papers without all of their chunks and sentences"] if wrong else []
    counts = library.counts()
    return ", ".join(told), f"{counts['chunks']:,} chunks, {counts['sentences']:,} sentences, each where its text is"


def _fits(paper: Paper, held: integrity.Spans | None, embedder: str) -> bool:
    if not held or not held.chunks or not _whole(paper, sorted(s[:2] for s in held.sentences)):
        return False
    chunks = all(key == vector_key(embedder, passage(paper, start, end)) for start, end, key in held.chunks)
    return chunks and all(
        key == vector_key(embedder, readable(paper.abstract[start:end])) for start, end, key in held.sentences
    )


def _whole(paper: Paper, spans: Sequence[tuple[int, int]]) -> bool:
    """Do the spans leave no word out but labels of sections? An earlier version cut some sentences elsewhere."""
    text, at = paper.abstract, 0
    for start, end in [*spans, (len(text), len(text) + 1)]:
        between = text[at:start].strip()
        if not at <= start < end or (between and between != label(f"{between} .").strip()):
            return False
        at = end
    return True


def _vectors(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    missing, damaged = library.database.run(partial(integrity.flawed, dimensions=int(library.meta("dimensions"))))
    found.lacking = missing | damaged
    told = {"missing": len(missing), "damaged": len(damaged)}
    problem = ", ".join(f"{count:,} {what}" for what, count in told.items() if count)
    return problem, f"{library.counts()['vectors']:,}, each as it was written"


def _full_text(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    return library.database.run(integrity.unindexed), "holds every paper as it reads"


def _filters(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    return "" if found.lost else library.database.run(facts.problem), "look at every paper as it is"


def _known(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    return "" if found.lost else library.database.run(known.problem), "tell of every paper what a file may call it"


def _fingerprint(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    kept = int(library.meta("content")) == write.content(library.database)
    return ("" if kept else "is not that of the papers"), f"{library.fingerprint}, that of the papers"


def _journal(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    broken = library.database.run(integrity.broken_entries)
    problem = f"{broken:,} lines are not as they were written" if broken else ""
    return problem, "" if problem else f"{len(library.journal()):,} of its lines can be read"


def _collection(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    """Does a collection hold the chunks of the file, but for a few, and find them?"""
    manifest = Manifest.from_json(library.meta("collection"))
    problem = behind(library)
    if problem or manifest is None:
        return problem, ""
    if problem := manifest.problem(collections_folder(library.path) / manifest.folder):
        return problem, ""
    collection = open_collection(library.path, manifest)
    collection.close()  # what this process had open may be older than the files
    try:
        problem = _unlike(library, collection, manifest) or (
            "" if found.lacking else _out_of_reach(library, collection, manifest)
        )
        return problem, f"holds {manifest.rows:,} of the {library.counts()['chunks']:,} chunks, and finds them"
    except Stale as stale:
        return str(stale).partition(": ")[2] or str(stale), ""
    finally:
        collection.close()


def _unlike(library: Library, collection: Collection, manifest: Manifest) -> str:
    """Every chunk of a paper that was stored before the collection was made is to be in it."""
    query = "SELECT chunks.id FROM chunks JOIN papers ON papers.id = paper WHERE since <= ?"
    missing = {row[0] for row in library.database.rows(query, manifest.generation)} - collection.ids()
    return f"{len(missing):,} chunks missing" if missing else ""


def _out_of_reach(library: Library, collection: Collection, manifest: Manifest) -> str:
    """Are chunks found by their own vectors?"""
    every = max(1, library.counts()["chunks"] // SAMPLE)
    tried = missed = 0
    for ids, matrix, _ in library.vectors.batches():
        held = library.vectors.alive(ids, manifest.generation)
        for at in (at for at in range(0, len(ids), every) if ids[at] in held):
            near = collection.query(matrix[at], NEAREST)
            tried += 1
            is_found = any(id == ids[at] for id, _ in near) or (near and near[-1][1] > SAME)  # many of one text
            missed += not (is_found and near[0][1] > SAME)
    return f"{missed:,} of {tried:,} chunks are not found by their own vectors" if missed > MISSED * tried else ""


def _leftovers(library: Library, embedder: Embedder, found: _Found) -> tuple[str, str]:
    left = _left(library)
    return (f"{', '.join(left)}: left by a run that was stopped" if left else ""), "nothing left by a stopped run"


def _left(library: Library) -> list[str]:
    files = [path.name for path in sorted(library.path.glob(f"{salvage.NEW}*"))]
    return [*files, *leftovers(library.path, Manifest.from_json(library.meta("collection")))]


_LOOKS: dict[str, Look] = {
    "file": _file,
    "papers": _papers,
    "spans": _spans,
    "vectors": _vectors,
    "full text": _full_text,
    "filters": _filters,
    "merging": _known,
    "fingerprint": _fingerprint,
    "journal": _journal,
    "collection": _collection,
    "leftovers": _leftovers,
}


# --- mending ------------------------------------------------------------------------------------


def _read_out(folder: Path, name: str | None, embedder: Embedder, progress: Progress | None) -> tuple[list[str], int]:
    """Put a new file in the place of the damaged one: what was done, nothing if no paper can be read; texts embedded."""
    with salvage.readable_file(folder) as file:
        found = salvage.read_out(file)
        if not found.papers:
            return [], 0
        return _rebuilt(folder, file, found, name, embedder, progress)


def _rebuilt(
    folder: Path, file: Path, found: salvage.Salvaged, name: str | None, embedder: Embedder, progress: Progress | None
) -> tuple[list[str], int]:
    """The same, from what was read out of `file`."""
    if found.embedder not in ("", embedder.name):
        raise LibraryError(f"{folder} was embedded with {found.embedder!r}, this package uses {embedder.name!r}")
    lost = found.lost()
    with closing(salvage.begin(folder, found, embedder.name, embedder.dimensions, kept_of(embedder))) as new:
        salvage.copy_vectors(file, new)
        before = origins(new.journal())
        papers = [rows.paper(new.database, row) for row in found.papers]
        _, embedded, _ = change(
            new, papers, (), embedder, "repair", {"papers": len(papers), "lost": list(lost)}, progress
        )
        again = _from_files(new, before, lost, name, progress)
        if again:
            embedded += change(new, again, (), embedder, "repair", {"again": [p.id for p in again]}, progress)[1]
    salvage.switch(folder, keep=salvage.OLD)
    return list(_told(found, lost, again, name)), embedded


def _told(found: salvage.Salvaged, lost: Mapping[str, str], again: Sequence[Paper], name: str | None) -> Iterator[str]:
    yield f"{plural(len(found.papers), 'paper')} read out into a new file, each as it was written"
    if again:
        yield f"read again from their files: {_some([readable(paper.title) for paper in again])}"
    if left := [title or id for id, title in lost.items() if id not in {paper.id for paper in again}]:
        sync = f"; their files may have them, type: rag sync{_library(name)}" if name else ""
        yield f"set aside, since they are damaged: {_some(left)}{sync}"
    if found.broken:
        yield f"left out {plural(found.broken, 'line')} of the journal"
    yield f"the damaged file is kept as {salvage.OLD}"


def _from_files(
    library: Library, before: Origins, lost: Mapping[str, str], name: str | None, progress: Progress | None
) -> list[Paper]:
    """Those of the lost papers that the files they came from still hold, if those are as they were read."""
    if not lost:
        return []
    if name is None:
        return [paper for paper in shipped_papers() if paper.id in lost]
    as_were = {path for path, one in before.files.items() if one.source.is_as_read()}
    files = {path: one for path, one in there(before, set()).items() if path in as_were}
    plan = planned(name, Looked(files, before=before), library, progress) if files else None
    return [paper for paper in plan.papers if paper.id in lost] if plan else []


def _some(titles: Sequence[str]) -> str:
    more = f" and {len(titles) - NAMED:,} more" if len(titles) > NAMED else ""
    return ", ".join(ascii(title) for title in titles[:NAMED]) + more


def _clear(library: Library) -> list[str]:
    """Delete what a stopped run left behind; a line if there was anything."""
    left = _left(library)
    for path in library.path.glob(f"{salvage.NEW}*"):
        path.unlink()
    sweep(library.path, Manifest.from_json(library.meta("collection")))
    return [f"deleted {', '.join(left)}"] if left else []


# --- what is left to do -------------------------------------------------------------------------


def _advice(found: _Found, folder: Path, name: str | None) -> str:
    if not any(check.problem for check in found.checks):
        return ""
    if found.bad("file"):
        return _beyond(folder, name)
    return _repair(name)


def _beyond(folder: Path, name: str | None) -> str:
    """What to type when SQLite finds the file damaged: a repair if any paper can be read."""
    with salvage.readable_file(folder) as file:
        return _repair(name) if salvage.read_out(file).papers else _anew(folder, name)


def _repair(name: str | None) -> str:
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
