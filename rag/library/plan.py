"""Files that were named, or ever were -> what reading them would do to a library: a plan, with its report.

A file that was added before is known by its path: what it says now replaces what it said. What it holds
decides by its hash whether it is read at all; one that is as it was is read only for a paper that another
file that is read shares. Nothing is stored here.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from rag.addresses import address_at
from rag.errors import LibraryError, ReadError
from rag.library.known import Known
from rag.library.origins import Origin, Origins, Source, digest, way_dict
from rag.library.report import Added
from rag.library.store import Library
from rag.readers import File, Reading, Skipped, Taken, Way, file_named, file_of, joined, listed, nothing, take, version
from rag.records import Paper
from rag.remedies import Remedy

_log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]


# --- which files --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Looked:
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
    turned: tuple[str, ...] = ()  # paths that a link led to when it was last read, which leads elsewhere now

    @property
    def names(self) -> set[str]:
        """What sources call the files that are known or read."""
        return {*self.before.names.values(), *(file.name for file, _ in self.read.values())}


def named(paths: Sequence[Path], way: Way, missed: Sequence[Skipped], before: Origins) -> Looked:
    """What to do for files and folders that were named; `missed` is what could not be brought."""
    listing, missing = listed(paths)
    before, turned = _turned(listing, before)
    found = _called([(file, _way(file.path, way)) for file in listing], before)
    by_hand = {name for names in before.removed.values() for name in names}
    known = {path: origin for path, origin in before.files.items() if path in found}
    kept = {path: one for path, one in known.items()
            if one.source.way == found[path][1] and one.source.file not in by_hand and one.source.is_as_read()}  # fmt: skip
    given = {os.path.abspath(path): _way(path, way) for path in paths if os.path.exists(path)}
    return Looked(
        read={path: one for path, one in found.items() if path not in kept},
        rest=there(before, set(found) - set(kept)),
        kept=tuple(kept.values()),
        missing=(*missed, *missing),
        given=tuple({"path": p, **way_dict(w)} for p, w in given.items() if before.given.get(p) != w),
        before=before,
        turned=turned,
    )


def _way(path: Path, way: Way) -> Way:
    """How a file is read: what was brought from an address says itself what it is."""
    return Way() if address_at(path) else way


def every(before: Origins, prune: bool, missed: Sequence[Skipped] = ()) -> Looked:
    """What to do for all that was ever named: what is there, what changed, what is gone; `missed` could not be brought.

    What was brought from an address is never gone: when its file is lost, it can be brought again.
    """
    if not before.files:
        raise LibraryError("no file is known to have made this library", Remedy.ADD_FILES_AGAIN)
    named = {given: way for given, way in before.given.items() if os.path.exists(given)}
    listing = [(file, way) for given, way in named.items() for file in listed([Path(given)])[0]]
    before, turned = _turned([file for file, _ in listing], before)
    found = _called(listing, before) | there(before, set())
    if prune and not found:
        raise LibraryError(
            "none of the library's files is there any more (a disk that is not mounted?); nothing was pruned"
        )
    kept = [] if prune else [one for path, one in before.files.items() if path in found and one.source.is_as_read()]
    as_were = {one.source.path for one in kept}
    order = {path: n for n, path in enumerate(before.files)}
    return Looked(
        read={p: found[p] for p in sorted(found, key=lambda p: order.get(p, len(order))) if p not in as_were},
        rest={path: found[path] for path in as_were},
        kept=tuple(kept),
        missing=tuple(missed),
        gone=tuple(one.source for p, one in before.files.items() if p not in found and not address_at(Path(p))),
        before=before,
        sync=True,
        prune=prune,
        turned=turned,
    )


def there(before: Origins, less: set[str]) -> dict[str, tuple[File, Way]]:
    """The known files that are still there, each to be read as it was."""
    places = _places(before)
    named = set(map(os.path.realpath, before.given))
    return {
        path: (File(Path(path), one.source.file, path in named or not named), one.source.way)
        for path, one in before.files.items()
        if path not in less and one.source.is_there and (not places or _leads_to(path, places))
    }


def _places(before: Origins) -> set[str]:
    """The paths that were named, and where they lead now."""
    return {place for one in before.given for place in (one, os.path.realpath(one))}


def _leads_to(path: str, places: set[str]) -> bool:
    """Is a path one of these places, or in one of them? What a link led to before is not."""
    return path in places or any(str(parent) in places for parent in Path(path).parents)


def _turned(files: Iterable[File], before: Origins) -> tuple[Origins, tuple[str, ...]]:
    """What was known, with a link that leads to another file now known as that file; and the paths it led to.

    What was read through the link has its name: what the other file says replaces it.
    """
    known = {name: path for path, name in before.names.items()}
    places, turned = _places(before), dict[str, str]()
    for file in files:
        path, old = os.path.realpath(file.path), known.get(file.name, "")
        is_link = os.path.abspath(file.path) != path
        if is_link and old and path not in before.files and not _leads_to(old, places):
            turned[old] = path
    if not turned:
        return before, ()
    held = {
        turned.get(path, path): _at(turned[path], one) if path in turned else one for path, one in before.files.items()
    }
    return replace(before, files=held), tuple(turned)


def _at(path: str, origin: Origin) -> Origin:
    """The origin at another path, not read there yet."""
    return replace(origin, source=replace(origin.source, path=path, sha256=""))


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
class Plan:
    """A report of what would be done, and the papers to store; `moved` stand at other lines of their files, that is all."""

    report: Added
    papers: tuple[Paper, ...] = ()
    moved: tuple[Paper, ...] = ()
    looked: Looked = field(default_factory=lambda: Looked({}))


def planned(name: str, looked: Looked, library: Library | None, progress: Progress | None) -> Plan:
    """What reading would do to a library, or to one that is not there yet."""
    held = Known(library.database if library else None, looked.names)
    taken, again = _read(looked, held, progress)
    records = (record for _, one in taken for record in one.records)
    known = held.touched(records, again) if looked.read or (looked.prune and looked.gone) else {}
    told = partial(progress, "comparing") if progress else (lambda done, total: None)
    reading = joined([one for _, one in taken], known.values(), again, looked.missing, told, held.has)
    sources = tuple(source for source, _ in taken)
    by_hand = set(looked.before.removed) - held.ids(looked.before.removed) if looked.sync else set()
    read = {paper.id: paper for paper in reading.papers if paper.id not in by_hand}
    papers, moved = _differing(read, known)
    kept = {origin.source.file for origin in looked.kept} - {source.file for source in sources}
    holding = held.files() if looked.gone else set()
    same = held.held_by(kept)
    absent = _absent(looked, known, read, again)
    removed = _prunable(absent, known, reading, sources) if looked.prune else ()
    report = Added(
        library=name,
        read=reading.records,
        papers=held.count() + len(read.keys() - known.keys()) - len(removed),
        added=tuple(paper.id for paper in papers if paper.id not in known),
        changed=tuple(paper.id for paper in papers if paper.id in known),
        unchanged=len((same | read.keys()) - {paper.id for paper in papers}),
        merged=reading.merged,
        skipped=reading.skipped,
        files=sources,
        kept=tuple(origin for origin in looked.kept if origin.source.file in kept),
        gone=tuple(source for source in looked.gone if source.file in holding),
        absent=tuple(id for id in (*absent, *_still_absent(looked, held, again)) if id not in removed),
        removed=removed,
        pruned=looked.prune,
        left_out=tuple(paper.id for paper in reading.papers if paper.id in by_hand),
        problem=_problem(looked, reading),
    )
    return Plan(report, papers, moved, looked)


def _differing(read: Mapping[str, Paper], known: Mapping[str, Paper]) -> tuple[tuple[Paper, ...], tuple[Paper, ...]]:
    """Papers that are new or changed, and those that only stand at other lines."""
    differ = [paper for paper in read.values() if paper != known.get(paper.id)]
    moved = {paper.id for paper in differ if paper.id in known and _only_moved(paper, known[paper.id])}
    return tuple(p for p in differ if p.id not in moved), tuple(p for p in differ if p.id in moved)


def _problem(looked: Looked, reading: Reading) -> ReadError | None:
    """Why there is nothing to add; None if there is, or nothing was to be."""
    if looked.sync or looked.kept or reading.papers:
        return None
    return nothing([file.path for file, _ in looked.read.values()], reading)


def _read(looked: Looked, held: Known, progress: Progress | None) -> tuple[list[tuple[Source, Taken]], set[str]]:
    """The files, each with what it says, and the names of those whose word replaces what they said."""
    order = {path: n for n, path in enumerate(looked.before.files)}
    wanted, again = dict(looked.read), set[str]()
    taken: dict[str, tuple[Source, Taken]] = {}
    while wanted:
        taken |= _taken(wanted, progress)
        again = looked.before.replaceable() & {looked.before.names.get(path, "") for path in taken}
        wanted = _sharing(looked, held, again, taken)
    again |= {source.file for source in looked.gone} if looked.prune else set()
    return [taken[path] for path in sorted(taken, key=lambda path: order.get(path, len(order)))], again


def _taken(files: Mapping[str, tuple[File, Way]], progress: Progress | None) -> dict[str, tuple[Source, Taken]]:
    taken = {}
    for done, (path, (file, way)) in enumerate(files.items()):
        if progress:
            progress("reading", done, len(files) if len(files) > 1 else 0)
        sha256 = digest(path)  # before it is read: what changes meanwhile is seen the next time
        one = take(file, way)
        formats = Counter(held.format for held in one.files if held.format)
        records = sum(held.records for held in one.files)
        _log.info("%s read: %d records, %d pieces that are none", file.name, records, len(one.skipped))
        taken[path] = Source(file.name, path, sha256, ", ".join(formats), records, way, version()), one
    return taken


def _sharing(looked: Looked, held: Known, again: set[str], taken: Mapping[str, Any]) -> dict[str, tuple[File, Way]]:
    """Files not read that hold a paper of one that was: only together do they say what it is now."""
    unread = {file.name: path for path, (file, _) in looked.rest.items() if path not in taken}
    shared = held.beside(again) & unread.keys() if unread else set()
    return {unread[name]: looked.rest[unread[name]] for name in shared}


def _only_moved(paper: Paper, before: Paper) -> bool:
    """Is it the same paper of the same files, at other lines?"""
    files = [set(map(file_of, one.sources)) for one in (paper, before)]
    return files[0] == files[1] and replace(paper, sources=before.sources) == before


def _absent(looked: Looked, known: Mapping[str, Paper], read: Mapping[str, Paper], again: set[str]) -> tuple[str, ...]:
    """Papers that the files read again no longer hold, nor any other that is there."""
    gone = {source.file for source in looked.gone}
    missing = [paper for paper in known.values() if paper.id not in read and paper.sources]
    names = again | gone
    files = {paper.id: {file_of(source, names) for source in paper.sources} for paper in missing}
    return tuple(id for id, held_in in files.items() if held_in & again and held_in <= again | gone)


def _still_absent(looked: Looked, held: Known, again: set[str]) -> tuple[str, ...]:
    """Papers that no file held when it was last read, as told then; their files were not read now."""
    sources = held.sources(looked.before.missed) if looked.sync else {}
    return tuple(
        id for id in looked.before.absent(sources) if again.isdisjoint(file_of(source, again) for source in sources[id])
    )


def _prunable(
    absent: Iterable[str], known: Mapping[str, Paper], reading: Reading, sources: Iterable[Source]
) -> tuple[str, ...]:
    """Those that are in no file of which anything was refused, or of which nothing is a record: there they may only be hidden."""
    names = {source.file for source in sources}
    broken = {_file(piece.source, names) for piece in reading.skipped if piece.kind == "refused"}
    strange = {_file(piece.source, names) for piece in reading.skipped}
    broken |= {source.file for source in sources if not source.records and source.file in strange}
    return tuple(id for id in absent if broken.isdisjoint(file_of(source, names) for source in known[id].sources))


def _file(source: str, names: set[str]) -> str:
    """The file of a piece, which names a line unless the whole file was refused."""
    return file_of(source, names) if source.rpartition(":")[2].isdigit() else file_named(source, names)
