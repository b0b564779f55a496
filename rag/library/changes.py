"""Files, or the name of a paper -> a changed library, and a report of what was done.

A change is prepared first (planned, embedded), then stored in one transaction together with its report, in
the journal; the Chroma collection follows. Whatever fails on the way leaves the papers as they were.
A paper that is no longer in its file stays until it is removed, or pruned. The journal holds what each
change replaced, so that the last one can be undone without embedding.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rag.errors import LibraryError, LibraryMissing, UsageError
from rag.library import write
from rag.library.build import change, follow, named_folder
from rag.library.database import FILE
from rag.library.embed import Embedder
from rag.library.origins import Origins, origins, standing
from rag.library.plan import Looked, Plan, every, named, planned
from rag.library.report import Added
from rag.library.served import NOTHING_KEPT, kept_of
from rag.library.store import Library, writer
from rag.library.vectors import collections_folder
from rag.places import home
from rag.readers import Skipped, Way
from rag.records import Paper
from rag.remedies import Remedy
from rag.sources import brought, refreshed

__all__ = ["Added", "Way", "add", "embed", "own_folder", "remove", "sync", "undo"]

_log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
Agree = Callable[[Sequence[Paper]], bool]  # are these papers to be removed?


def add(
    paths: Sequence[Path | str],
    name: str,
    embedder: Embedder,
    way: Way | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Added:
    """Read files into the library of that name, made if it is not there; only what is new is embedded.

    A text may be an address (`rag.addresses`): what it names is fetched, kept, and read from there ever after.
    Raises UsageError, LibraryError or EmbedError. When no paper could be read nothing is stored or made,
    and `problem` of the report says why.
    """
    way, folder = way or Way(), own_folder(name)
    files, missed = brought(paths)
    look = partial(named, files, way, missed)
    is_new = not os.path.isfile(folder / FILE)
    first = planned(name, look(Origins()), None, progress) if is_new else None
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

    What came from a public service is not asked for again; Zotero is.
    Raises LibraryError, also when no file is known, or EmbedError.
    """
    folder = own_folder(name)
    if dry_run:
        with closing(Library.open(folder)) as library:
            look = partial(every, prune=prune, missed=_refreshed(library))
            return replace(_plan(name, look, library, progress).report, dry_run=True)
    with _writing(folder, embedder, create=False) as library:
        missed = _refreshed(library)
        plan = _plan(name, partial(every, prune=prune, missed=missed), library, progress)
        if plan.report.removed and not agree(list(library.papers(plan.report.removed).values())):
            plan = _plan(name, partial(every, prune=False, missed=missed), library, progress)
        _store(library, plan, "sync", embedder, progress)
        return plan.report


def _refreshed(library: Library) -> tuple[Skipped, ...]:
    """Bring Zotero's part up to date; what of it could not be had."""
    return refreshed(origins(library.journal()).files)


def _tried(folder: Path, name: str, look: Callable[[Origins], Looked], progress: Progress | None) -> Added:
    with closing(Library.open(folder)) as library:
        return replace(_plan(name, look, library, progress).report, dry_run=True)


def _plan(name: str, look: Callable[[Origins], Looked], library: Library, progress: Progress | None) -> Plan:
    return planned(name, look(origins(library.journal())), library, progress)


# --- storing ------------------------------------------------------------------------------------


def _store(library: Library, plan: Plan, action: str, embedder: Embedder, progress: Progress | None) -> None:
    """Store what a plan says, and its report in the journal."""
    report = plan.report
    gone = [source.path for source in plan.looked.gone] if plan.looked.prune else []
    more = {"given": list(plan.looked.given), "forgotten": [*gone, *plan.looked.turned]}
    detail = report.entry() | {name: paths for name, paths in more.items() if paths}
    if not (plan.papers or plan.moved or report.removed):
        write.note(library.database, action, detail)
        follow(library, progress)
        return
    if plan.papers or report.removed:
        detail |= {"before": _before(library, plan)}
    _changed(library, [*plan.papers, *plan.moved], report.removed, embedder, action, detail, progress)


def _before(library: Library, plan: Plan) -> dict[str, Any]:
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
    """Store a change; a new collection of vectors is made once enough differs from the present one."""
    _log.info("%s: %s, %d papers to store, %d to take out", library.path, action, len(papers), len(gone))
    stored = library.papers([paper.id for paper in papers])
    texts = [paper for paper in papers if not _says_the_same(paper, stored.get(paper.id))]
    records = [paper for paper in papers if _says_the_same(paper, stored.get(paper.id))]
    change(library, texts, gone, embedder, action, detail, progress, records)
    follow(library, progress)


def _says_the_same(paper: Paper, stored: Paper | None) -> bool:
    """Is nothing of what is embedded and indexed another?"""
    return stored is not None and (paper.title, paper.abstract) == (stored.title, stored.abstract)


# --- taking back --------------------------------------------------------------------------------


def remove(paper: str, name: str, embedder: Embedder) -> Paper:
    """Remove the paper with that id, the beginning of one, or title. Raises PaperNotFound or LibraryError."""
    with _writing(own_folder(name), embedder, create=False) as library:
        found = library.paper(paper)
        detail = {"ids": {"removed": [found.id]}, "before": {"gone": [], "back": [found.to_dict()]}}
        _changed(library, (), [found.id], embedder, "remove", detail)
        return found


def undo(name: str, embedder: Embedder) -> dict[str, Any]:
    """Take back the last change that was not taken back yet; what it was and how many papers it touched.

    Raises LibraryError when there is none.
    """
    with _writing(own_folder(name), embedder, create=False) as library:
        last = _last(library.journal())
        if last is None:
            raise LibraryError(f"no change to undo in {library.path}", Remedy.SEE_STATUS, library=name)
        back = [Paper.from_dict(paper) for paper in last["before"]["back"]]
        gone = last["before"]["gone"]
        lines = last["before"].get("moved", {})
        moved = [replace(paper, sources=tuple(lines[id])) for id, paper in library.papers(lines).items()]
        _changed(library, [*back, *moved], gone, embedder, "undo", {"undid": last["generation"]})
        return {"action": last["action"], "at": last["at"], "removed": gone, "restored": [paper.id for paper in back],
                "papers": len(library)}  # fmt: skip


def embed(name: str, embedder: Embedder, progress: Progress | None = None) -> tuple[str, int]:
    """Move a library to another embedder; the name of the last one, and how many texts were embedded.

    Until every text has its new vector the library is as it was: what is stopped goes on from there the next time.
    Raises LibraryMissing, another LibraryError or EmbedError.
    """
    folder = own_folder(name)
    if not os.path.isfile(folder / FILE):
        raise LibraryMissing(f"no library at {folder}", Remedy.MAKE_LIBRARY)
    with writer(folder), closing(Library.open(folder)) as library:
        before = library.embedder
        meta = {"embedder": embedder.name, "dimensions": embedder.dimensions, "collection": "", **NOTHING_KEPT}
        detail = {"from": before, "to": embedder.name}
        _, embedded, _ = change(
            library, list(library), (), embedder, "embed", detail, progress, meta=meta | kept_of(embedder)
        )
        follow(library, progress)
        return before, embedded


def _last(journal: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((entry for entry in reversed(standing(journal)) if "before" in entry), None)


# --- which library ------------------------------------------------------------------------------


def own_folder(name: str | None) -> Path:
    """The folder of a library that may be changed. Raises UsageError for the shipped one, or a folder of other files."""
    if name is None:
        raise UsageError("the shipped library is never changed", Remedy.NAME_LIBRARY)
    if not name.strip():
        raise UsageError("the library's name is empty", Remedy.NAME_LIBRARY)
    folder = named_folder(name)
    real = Path(os.path.realpath(folder))
    if real.name.startswith("shipped-") and real.parent == Path(os.path.realpath(home("cache"))):
        raise UsageError("the shipped library is never changed", Remedy.NAME_LIBRARY)
    if os.path.isfile(folder):
        raise UsageError(f"{folder} is a file, no library", Remedy.NAME_ANOTHER)
    if os.path.isdir(folder) and not os.path.isfile(folder / FILE) and _is_foreign(folder):
        raise UsageError(f"{folder} is a folder of other files, no library", Remedy.NAME_ANOTHER)
    return folder


def _is_foreign(folder: Path) -> bool:
    try:
        return any(
            not entry.startswith((FILE, "writer.lock", collections_folder(folder).name)) for entry in os.listdir(folder)
        )
    except OSError as error:
        raise LibraryError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from error


@contextmanager
def _writing(folder: Path, embedder: Embedder, *, create: bool = True) -> Iterator[Library]:
    """The library, alone. Raises LibraryBusy, LibraryMissing or another LibraryError."""
    if not create and not os.path.isfile(folder / FILE):
        raise LibraryMissing(f"no library at {folder}", Remedy.MAKE_LIBRARY)
    with (
        writer(folder),
        closing(Library.create(folder, embedder.name, embedder.dimensions, kept_of(embedder))) as library,
    ):
        if library.embedder != embedder.name:
            raise LibraryError(
                f"{folder} was embedded with {library.embedder!r}, this package uses {embedder.name!r}; "
                "add its files to a new library"
            )
        yield library
