"""Files, or the name of a paper -> a changed library, and a report of what was done.

A change is prepared first (read, embed), then stored in one transaction together with its report, in
the journal; the Chroma collection follows. Whatever fails on the way leaves the papers as they were.
A file that was added before is known by its path: what it says now replaces what it said, and a paper
that is no longer in it stays until it is removed, or pruned. What a file holds decides by its hash
whether it is read at all; one that is as it was is read only for a paper that another file shares and
says otherwise now. The journal holds what each change replaced, so that the last one can be undone
without embedding.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from rag.embed import Embedder
from rag.errors import LibraryError, LibraryMissing, PaperNotFound, UsageError
from rag.ingest import change, fill, named_folder
from rag.library import FILE, Library, writer
from rag.origins import Origin, Origins, Source, digest, origins, standing, way_dict
from rag.readers import File, Reading, Skipped, Taken, Way, file_of, joined, listed, nothing, take, version
from rag.records import Paper
from rag.report import Added
from rag.settings import home
from rag.vectors import Stale, Vectors

__all__ = ["Added", "Way", "add", "own_folder", "remove", "sync", "undo"]

Progress = Callable[[str, int, int], None]
Agree = Callable[[Sequence[Paper]], bool]  # are these papers to be removed?
DIFFERENCE = 5000  # papers up to which the collection is updated rather than filled anew


def add(
    paths: Sequence[Path],
    name: str,
    embedder: Embedder,
    way: Way | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Added:
    """Read files into the library of that name, made if it is not there; only what is new is embedded.

    Raises UsageError, LibraryError or EmbedError. When no paper could be read nothing is stored or made,
    and `problem` of the report says why.
    """
    look = partial(_named, paths, way or Way())
    folder = own_folder(name)
    is_new = not os.path.isfile(folder / FILE)
    first = _planned(name, look(Origins()), None, progress) if is_new else None
    if first and (dry_run or first.report.problem):
        return replace(first.report, dry_run=dry_run)
    if dry_run:
        return _tried(folder, name, look, progress)
    with _writing(folder, embedder) as library:
        plan = first if first and not library.generation else _plan(name, look, library, progress)
        if not plan.report.problem:
            _store(library, plan, "add", embedder, progress)
        return plan.report


def sync(
    name: str,
    embedder: Embedder,
    *,
    prune: bool = False,
    agree: Agree = lambda papers: True,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Added:
    """Look again at every file and folder that was added: read what is new or changed, tell what is gone.

    With `prune`, papers that none of their files holds any more are removed if `agree` says so; every file is
    read for that. A paper of a file of which anything was refused is never pruned, nor is one that names no file.

    Raises LibraryError, also when no file is known, or EmbedError.
    """
    folder = own_folder(name)
    if dry_run:
        return _tried(folder, name, partial(_all, prune=prune), progress)
    with _writing(folder, embedder, create=False) as library:
        plan = _plan(name, partial(_all, prune=prune), library, progress)
        if plan.report.removed and not agree(list(library.papers(plan.report.removed).values())):
            plan = _plan(name, partial(_all, prune=False), library, progress)
        _store(library, plan, "sync", embedder, progress)
        return plan.report


# --- which files --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Looked:
    """Files by real path: `read` are to be read, `rest` only if they share a paper that changed; `kept` are as they were.

    `gone` are no longer there; with `prune` their papers go. `given` are the paths that were named.
    """

    read: Mapping[str, tuple[File, Way]]
    rest: Mapping[str, tuple[File, Way]] = field(default_factory=dict)
    kept: tuple[Origin, ...] = ()
    gone: tuple[Source, ...] = ()
    missing: tuple[Skipped, ...] = ()
    given: tuple[Mapping[str, Any], ...] = ()
    before: Origins = field(default_factory=Origins)
    sync: bool = False
    prune: bool = False


def _named(paths: Sequence[Path], way: Way, before: Origins) -> _Looked:
    """What to do for files and folders that were named."""
    listing, missing = listed(paths)
    found = _called([(file, way) for file in listing], before)
    by_hand = {name for names in before.removed.values() for name in names}
    known = {path: origin for path, origin in before.files.items() if path in found}
    kept = {path: one for path, one in known.items()
            if one.source.way == way and one.source.file not in by_hand and one.source.is_as_read()}  # fmt: skip
    given = {os.path.abspath(path): way for path in paths if os.path.exists(path)}
    return _Looked(
        read={path: one for path, one in found.items() if path not in kept},
        rest=_there(before, set(found) - set(kept)),
        kept=tuple(kept.values()),
        missing=tuple(missing),
        given=tuple({"path": p, **way_dict(w)} for p, w in given.items() if before.given.get(p) != w),
        before=before,
    )


def _all(before: Origins, prune: bool) -> _Looked:
    """What to do for all that was ever named: what is there, what changed, what is gone."""
    if not before.files:
        raise LibraryError(
            "no file is known to have made this library; add its files again: rag add FILE --library NAME"
        )
    there = {given: way for given, way in before.given.items() if os.path.exists(given)}
    listing = [(file, way) for given, way in there.items() for file in listed([Path(given)])[0]]
    found = _called(listing, before) | _there(before, set())
    if prune and not found:
        raise LibraryError(
            "none of the library's files is there any more (a disk that is not mounted?); nothing was pruned"
        )
    kept = [] if prune else [one for path, one in before.files.items() if path in found and one.source.is_as_read()]
    as_were = {one.source.path for one in kept}
    order = {path: n for n, path in enumerate(before.files)}
    return _Looked(
        read={p: found[p] for p in sorted(found, key=lambda p: order.get(p, len(order))) if p not in as_were},
        rest={path: found[path] for path in as_were},
        kept=tuple(kept),
        gone=tuple(one.source for path, one in before.files.items() if path not in found),
        before=before,
        sync=True,
        prune=prune,
    )


def _there(before: Origins, less: set[str]) -> dict[str, tuple[File, Way]]:
    """The known files that are still there, each to be read as it was."""
    named = set(map(os.path.realpath, before.given))
    return {
        path: (File(Path(path), one.source.file, path in named or not named), one.source.way)
        for path, one in before.files.items()
        if path not in less and one.source.is_there
    }


def _called(files: Iterable[tuple[File, Way]], before: Origins) -> dict[str, tuple[File, Way]]:
    """Files by real path, each under the name that sources know it by; a name that is taken is not given again."""
    names = before.names
    taken = set(names.values())
    found: dict[str, tuple[File, Way]] = {}
    for file, way in files:
        path = os.path.realpath(file.path)
        other = os.path.abspath(file.path) if file.name in taken else file.name
        named = file._replace(name=names.get(path, other))
        found.setdefault(path, (named, way))
        taken.add(named.name)
    return found


# --- what they would change ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """A report of what would be done, and the papers to store; `moved` stand at other lines of their files, that is all."""

    report: Added
    papers: tuple[Paper, ...] = ()
    moved: tuple[Paper, ...] = ()
    looked: _Looked = field(default_factory=lambda: _Looked({}))


def _tried(folder: Path, name: str, look: Callable[[Origins], _Looked], progress: Progress | None) -> Added:
    with closing(Library.open(folder)) as library:
        return replace(_plan(name, look, library, progress).report, dry_run=True)


def _plan(name: str, look: Callable[[Origins], _Looked], library: Library, progress: Progress | None) -> _Plan:
    return _planned(name, look(origins(library.journal())), library, progress)


def _planned(name: str, looked: _Looked, library: Library | None, progress: Progress | None) -> _Plan:
    """What reading would do to a library, or to one that is not there yet."""
    is_read = bool(looked.read or (looked.prune and looked.gone))
    known = {paper.id: paper for paper in library} if library and is_read else {}
    reading, sources, again = _reading(looked, known, progress)
    held = dict(library.sources()) if library else {}
    by_hand = set(looked.before.removed) - set(held) if looked.sync else set()
    read = {paper.id: paper for paper in reading.papers if paper.id not in by_hand}
    papers, moved = _differing(read, known)
    kept = {origin.source.file for origin in looked.kept} - {source.file for source in sources}
    named = {file_of(source) for held_in in held.values() for source in held_in}
    same = {id for id, held_in in held.items() if not kept.isdisjoint(map(file_of, held_in))}
    absent = _absent(looked, known, read, again)
    removed = _prunable(absent, known, reading) if looked.prune else ()
    report = Added(
        library=name,
        read=reading.records,
        papers=len((held.keys() | read) - set(removed)),
        added=tuple(paper.id for paper in papers if paper.id not in known),
        changed=tuple(paper.id for paper in papers if paper.id in known),
        unchanged=len((same | read.keys()) - {paper.id for paper in papers}),
        merged=reading.merged,
        skipped=reading.skipped,
        files=sources,
        kept=tuple(origin for origin in looked.kept if origin.source.file in kept),
        gone=tuple(source for source in looked.gone if source.file in named),
        absent=tuple(id for id in (*absent, *_still_absent(looked, held, again)) if id not in removed),
        removed=removed,
        left_out=tuple(paper.id for paper in reading.papers if paper.id in by_hand),
        problem=_problem(looked, reading),
    )
    return _Plan(report, papers, moved, looked)


def _differing(read: Mapping[str, Paper], known: Mapping[str, Paper]) -> tuple[tuple[Paper, ...], tuple[Paper, ...]]:
    """Papers that are new or changed, and those that only stand at other lines."""
    differ = [paper for paper in read.values() if paper != known.get(paper.id)]
    moved = {paper.id for paper in differ if paper.id in known and _only_moved(paper, known[paper.id])}
    return tuple(p for p in differ if p.id not in moved), tuple(p for p in differ if p.id in moved)


def _problem(looked: _Looked, reading: Reading) -> str:
    """Why there is nothing to add, "" if there is, or nothing was to be."""
    if looked.sync or looked.kept or reading.papers:
        return ""
    return nothing([file.path for file, _ in looked.read.values()], reading)


def _reading(
    looked: _Looked, known: Mapping[str, Paper], progress: Progress | None
) -> tuple[Reading, tuple[Source, ...], set[str]]:
    """What the files say, a Source for each, and the names of those whose word replaces what they said."""
    order = {path: n for n, path in enumerate(looked.before.files)}
    wanted = dict(looked.read)
    taken: dict[str, tuple[Source, Taken]] = {}
    gone = {source.file for source in looked.gone} if looked.prune else set()
    while True:
        taken |= _taken(wanted, progress)
        taken = dict(sorted(taken.items(), key=lambda item: order.get(item[0], len(order))))
        known_names = looked.before.replaceable() & {looked.before.names.get(path, "") for path in taken}
        again = known_names | gone
        told = partial(progress, "comparing") if progress else (lambda done, total: None)
        reading = joined([one for _, one in taken.values()], known.values(), again, looked.missing, told)
        wanted = _sharing(looked, known, reading, again, taken)
        if not wanted:
            return reading, tuple(source for source, _ in taken.values()), again


def _taken(files: Mapping[str, tuple[File, Way]], progress: Progress | None) -> dict[str, tuple[Source, Taken]]:
    taken = {}
    for done, (path, (file, way)) in enumerate(files.items()):
        if progress:
            progress("reading", done, len(files) if len(files) > 1 else 0)
        sha256 = digest(path)  # before it is read: what changes meanwhile is seen the next time
        one = take(file, way)
        formats = Counter(held.format for held in one.files if held.format)
        records = sum(held.records for held in one.files)
        taken[path] = Source(file.name, path, sha256, ", ".join(formats), records, way, version()), one
    return taken


def _sharing(
    looked: _Looked, known: Mapping[str, Paper], reading: Reading, again: set[str], taken: Mapping[str, Any]
) -> dict[str, tuple[File, Way]]:
    """Files not read that hold a paper of which a file that was read says something else now, or nothing."""
    unread = {file.name: path for path, (file, _) in looked.rest.items() if path not in taken}
    if not unread:
        return {}
    read = {paper.id: paper for paper in reading.papers}
    shared: set[str] = set()
    for paper in known.values():
        files = set(map(file_of, paper.sources))
        now = read.get(paper.id)
        if files & again and files & unread.keys() and not (now and (now == paper or _only_moved(now, paper))):
            shared |= files & unread.keys()
    return {unread[name]: looked.rest[unread[name]] for name in shared}


def _only_moved(paper: Paper, before: Paper) -> bool:
    """Is it the same paper of the same files, at other lines?"""
    files = [set(map(file_of, one.sources)) for one in (paper, before)]
    return files[0] == files[1] and replace(paper, sources=before.sources) == before


def _absent(looked: _Looked, known: Mapping[str, Paper], read: Mapping[str, Paper], again: set[str]) -> tuple[str, ...]:
    """Papers that the files read again no longer hold, nor any other that is there."""
    gone = {source.file for source in looked.gone}
    missing = [paper for paper in known.values() if paper.id not in read and paper.sources]
    files = {paper.id: set(map(file_of, paper.sources)) for paper in missing}
    return tuple(id for id, held_in in files.items() if held_in & again and held_in <= again | gone)


def _still_absent(looked: _Looked, held: Mapping[str, Sequence[str]], again: set[str]) -> tuple[str, ...]:
    """Papers that no file held when it was last read, as told then; their files were not read now."""
    return tuple(
        id
        for id in looked.before.absent(held)
        if again.isdisjoint(map(file_of, held[id])) and looked.sync
    )  # fmt: skip


def _prunable(absent: Iterable[str], known: Mapping[str, Paper], reading: Reading) -> tuple[str, ...]:
    """Those that are in no file of which anything was refused: there they may only be hidden."""
    broken = {_file(piece.source) for piece in reading.skipped if piece.kind == "refused"}
    return tuple(id for id in absent if broken.isdisjoint(map(file_of, known[id].sources)))


def _file(source: str) -> str:
    """The file of a piece, which names a line unless the whole file was refused."""
    return file_of(source) if source.rpartition(":")[2].isdigit() else source.partition("!")[0]


# --- storing ------------------------------------------------------------------------------------


def _store(library: Library, plan: _Plan, action: str, embedder: Embedder, progress: Progress | None) -> None:
    """Store what a plan says, and its report in the journal."""
    report = plan.report
    gone = [source.path for source in plan.looked.gone] if plan.looked.prune else []
    more = {"given": list(plan.looked.given), "forgotten": gone}
    detail = report.entry() | {name: paths for name, paths in more.items() if paths}
    if not (plan.papers or plan.moved or report.removed):
        library.note(action, detail)
        if not library.filled():
            fill(library, Vectors(library.path / "chroma"), progress)
        return
    if plan.papers or report.removed:
        detail |= {"before": _before(library, plan)}
    _changed(library, [*plan.papers, *plan.moved], report.removed, embedder, action, detail, progress)


def _before(library: Library, plan: _Plan) -> dict[str, Any]:
    """What it takes to undo a plan."""
    back = library.papers([*plan.report.changed, *plan.report.removed])
    moved = library.papers([paper.id for paper in plan.moved])
    return {
        "gone": list(plan.report.added),
        "back": [paper.to_dict() for paper in back.values()],
        "moved": {id: list(paper.sources) for id, paper in moved.items()},
    }


def _changed(
    library: Library,
    papers: Sequence[Paper],
    gone: Sequence[str],
    embedder: Embedder,
    action: str,
    detail: Mapping[str, Any],
    progress: Progress | None = None,
) -> None:
    """Store a change, and have the Chroma collection follow: by the difference if it was in step, else whole."""
    stored = library.papers([paper.id for paper in papers])
    texts = [paper for paper in papers if not _says_the_same(paper, stored.get(paper.id))]
    records = [paper for paper in papers if _says_the_same(paper, stored.get(paper.id))]
    vectors = Vectors(library.path / "chroma")
    ids = [paper.id for paper in texts]
    is_in_step = library.filled() and (not (ids or gone) or _rows(vectors) == library.counts()["chunks"])
    stale = [chunk.id for chunks in library.chunks([*gone, *ids]).values() for chunk in chunks]
    change(library, texts, gone, embedder, action, detail, progress, records)
    if is_in_step and len(ids) <= DIFFERENCE:
        with suppress(LibraryError):
            if ids or stale:
                vectors.update(library.vectors_of(ids), stale)
            library.set_filled()
            return
    fill(library, vectors, progress)


def _says_the_same(paper: Paper, stored: Paper | None) -> bool:
    """Is nothing of what is embedded and indexed another?"""
    return stored is not None and (paper.title, paper.abstract) == (stored.title, stored.abstract)


def _rows(vectors: Vectors) -> int:
    try:
        return vectors.count()
    except Stale:
        return -1


# --- taking back --------------------------------------------------------------------------------


def remove(paper: str, name: str, embedder: Embedder) -> Paper:
    """Remove the paper with that id, the beginning of one, or title. Raises PaperNotFound or LibraryError."""
    with _writing(own_folder(name), embedder, create=False) as library:
        try:
            found = library.paper(paper)
        except PaperNotFound as error:  # what to type names the shipped library
            raise PaperNotFound(re.sub(r"type: rag \w+", rf"\g<0> --library {_quoted(name)}", str(error))) from None
        detail = {"ids": {"removed": [found.id]}, "before": {"gone": [], "back": [found.to_dict()]}}
        _changed(library, (), [found.id], embedder, "remove", detail)
        return found


def _quoted(name: str) -> str:
    return shlex.quote(name).replace("\\", r"\\")  # for re.sub


def undo(name: str, embedder: Embedder) -> dict[str, Any]:
    """Take back the last change that was not taken back yet; what it was and how many papers it touched.

    Raises LibraryError when there is none.
    """
    with _writing(own_folder(name), embedder, create=False) as library:
        last = _last(library.journal())
        if last is None:
            raise LibraryError(f"no change to undo in {library.path}; rag status --library {name} tells what it holds")
        back = [Paper.from_dict(paper) for paper in last["before"]["back"]]
        gone = last["before"]["gone"]
        lines = last["before"].get("moved", {})
        moved = [replace(paper, sources=tuple(lines[id])) for id, paper in library.papers(lines).items()]
        _changed(library, [*back, *moved], gone, embedder, "undo", {"undid": last["generation"]})
        return {"action": last["action"], "at": last["at"], "removed": gone, "restored": [paper.id for paper in back],
                "papers": len(library)}  # fmt: skip


def _last(journal: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((entry for entry in reversed(standing(journal)) if "before" in entry), None)


# --- which library ------------------------------------------------------------------------------


def own_folder(name: str | None) -> Path:
    """The folder of a library that may be changed. Raises UsageError for the shipped one, or a folder of other files."""
    if name is None:
        raise UsageError("the shipped library is never changed; name one of your own: add --library NAME")
    if not name.strip():
        raise UsageError("the library's name is empty; name one of your own: --library NAME")
    folder = named_folder(name)
    real = Path(os.path.realpath(folder))
    if real.name.startswith("shipped-") and real.parent == Path(os.path.realpath(home("cache"))):
        raise UsageError("the shipped library is never changed; name one of your own: --library NAME")
    if os.path.isfile(folder):
        raise UsageError(f"{folder} is a file; a library is a folder: --library NAME")
    if os.path.isdir(folder) and not os.path.isfile(folder / FILE) and _is_foreign(folder):
        raise UsageError(f"{folder} is a folder of other files, no library; name another one: --library NAME")
    return folder


def _is_foreign(folder: Path) -> bool:
    try:
        return any(not entry.startswith((FILE, "writer.lock", "chroma")) for entry in os.listdir(folder))
    except OSError as error:
        raise LibraryError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from error


@contextmanager
def _writing(folder: Path, embedder: Embedder, *, create: bool = True) -> Iterator[Library]:
    """The library, alone. Raises LibraryBusy, LibraryMissing or another LibraryError."""
    if not create and not os.path.isfile(folder / FILE):
        raise LibraryMissing(f"no library at {folder}; type: rag add FILE --library NAME")
    with writer(folder), closing(Library.create(folder, embedder.name, embedder.dimensions)) as library:
        if library.embedder != embedder.name:
            raise LibraryError(
                f"{folder} was embedded with {library.embedder!r}, this package uses {embedder.name!r}; "
                "add its files to a new library"
            )
        yield library
