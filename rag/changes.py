"""Files, or the name of a paper -> a changed library, and a report of what was done.

A change is prepared first (read, embed), then stored in one transaction together with its report, in
the journal; the Chroma collection follows. Whatever fails on the way leaves the papers as they were.
A file that was added before is known by its path: what it says now replaces what it said, and a paper
that is no longer in it stays until it is removed. The journal holds what each change replaced, so
that the last one can be undone without embedding.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.embed import Embedder
from rag.errors import LibraryError, LibraryMissing, PaperNotFound, UsageError
from rag.ingest import change, fill, named_folder
from rag.library import FILE, Library, writer
from rag.readers import Merged, Reading, Skipped, file_of, gather, listed, nothing
from rag.records import Paper
from rag.settings import home
from rag.vectors import Stale, Vectors

Progress = Callable[[str, int, int], None]
SHOWN = 20  # papers that could not be added, named in the report for a person
DIFFERENCE = 5000  # papers up to which the collection is updated rather than filled anew
LONGEST = 200  # characters kept of a text that is no paper


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read: the name that sources use, where it lies, and what it held then."""

    file: str
    path: str
    sha256: str
    format: str
    records: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"file": self.file, "path": self.path, "sha256": self.sha256, "format": self.format,
                "records": self.records}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Added:
    """What adding files did, or with `dry_run` would do. `absent` are ids whose files no longer have them."""

    library: str
    read: int
    papers: int
    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: int
    merged: tuple[Merged, ...]
    skipped: tuple[Skipped, ...]
    files: tuple[Source, ...]
    absent: tuple[str, ...] = ()
    dry_run: bool = False
    problem: str = ""  # why there was nothing to add at all

    def of_kind(self, kind: str) -> tuple[Skipped, ...]:
        """The pieces of files that are no paper for that reason."""
        return tuple(piece for piece in self.skipped if piece.kind == kind)

    def counts(self) -> dict[str, int]:
        """How many records were read, and what became of them."""
        return {
            "read": self.read,
            "added": len(self.added),
            "changed": len(self.changed),
            "unchanged": self.unchanged,
            "merged": len(self.merged),
            "without abstract": len(self.of_kind("no abstract")),
            "refused": len(self.of_kind("refused")),
            "passed over": len(self.of_kind("passed over")),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; what the journal keeps."""
        return {
            **{name.replace(" ", "_"): count for name, count in self.counts().items()},
            "ids": {"added": list(self.added), "changed": list(self.changed), "absent": list(self.absent)},
            "files": [source.to_dict() for source in self.files],
            "merges": [_merge(one) for one in self.merged],
            "skipped": [_piece(piece) for piece in self.skipped],
        }

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        formats = Counter(source.format or "in no known format" for source in self.files)
        if self.files:
            held = ", ".join(f"{count:,} {name}" for name, count in formats.most_common())
            yield f"{len(self.files):,} {'file' if len(self.files) == 1 else 'files'}: {held}"
        yield ", ".join(f"{count:,} {name}" for name, count in self.counts().items())
        left = [*self.of_kind("refused"), *self.of_kind("no abstract")]
        for piece in left[:SHOWN]:
            named = f" {_short(piece.text, 60)!r}:" if piece.text else ""
            yield f"  {piece.source}:{named} {piece.reason}"
        if len(left) > SHOWN:
            yield f"  and {len(left) - SHOWN:,} more; --json lists them all"
        if self.absent:
            more = " and others" if len(self.absent) > 3 else ""
            yield f"no longer in their files, but kept: {', '.join(self.absent[:3])}{more}; type: rag remove PAPER"
        if not self.problem:
            done = "would hold" if self.dry_run else "holds"
            yield f"library {self.library} {done} {self.papers:,} papers" + ("; nothing was stored" * self.dry_run)


@dataclass(frozen=True, slots=True)
class Way:
    """How files are to be read: a format for all, and what a field is called in a table or JSON."""

    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


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
    way = way or Way()
    folder = own_folder(name)
    is_new = not os.path.isfile(folder / FILE)
    first = _read(paths, way, name, None if is_new else folder, dry_run) if is_new or dry_run else None
    if first and (dry_run or first[0].problem):
        return first[0]
    with _writing(folder, embedder) as library:
        report, papers = first if first and not library.generation else _read(paths, way, name, library)
        if not report.problem:
            _store(library, report, papers, embedder, progress)
        return report


def _read(
    paths: Sequence[Path], way: Way, name: str, where: Library | Path | None, dry_run: bool = False
) -> tuple[Added, list[Paper]]:
    """The report of what adding would do to a library, and the papers that are new or changed."""
    if isinstance(where, Path):
        with closing(Library.open(where)) as library:
            return _read(paths, way, name, library, dry_run)
    known = {paper.id: paper for paper in where} if where else {}
    found = {file.name: os.path.realpath(file.path) for file in listed(paths)[0]}
    again = _again(found, where.journal() if where else [])
    reading = gather(paths, format=way.format, columns=way.columns, known=known.values(), again=again)
    papers = [paper for paper in reading.papers if paper != known.get(paper.id)]
    seen = {paper.id for paper in reading.papers}
    report = Added(
        library=name,
        read=reading.records,
        papers=len(known.keys() | seen),
        added=tuple(paper.id for paper in papers if paper.id not in known),
        changed=tuple(paper.id for paper in papers if paper.id in known),
        unchanged=len(reading.papers) - len(papers),
        merged=reading.merged,
        skipped=reading.skipped,
        files=tuple(_source(file, path, reading) for file, path in found.items()),
        absent=tuple(id for id, paper in known.items() if id not in seen and _was_in(paper, again)),
        dry_run=dry_run,
        problem="" if reading.papers else nothing(paths, reading),
    )
    return report, papers


def _again(found: Mapping[str, str], journal: Iterable[Mapping[str, Any]]) -> set[str]:
    """The files that were added before: their name stood for the same path, and for no other."""
    paths: dict[str, set[str]] = {}
    for entry in journal:
        for source in entry.get("files", ()):
            paths.setdefault(source["file"], set()).add(source["path"])
    return {name for name, path in found.items() if paths.get(name) == {path}}


def _was_in(paper: Paper, files: set[str]) -> bool:
    return bool(paper.sources) and all(file_of(source) in files for source in paper.sources)


def _source(name: str, path: str, reading: Reading) -> Source:
    held = [file for file in reading.files if file.name == name or file.name.startswith(f"{name}!")]
    formats = Counter(file.format for file in held if file.format)
    return Source(name, path, digest(path), ", ".join(formats), sum(file.records for file in held))


def digest(path: str) -> str:
    """SHA-256 of a file, "" if it cannot be read; a pipe or a device would not end."""
    if not os.path.isfile(path):
        return ""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _store(
    library: Library, report: Added, papers: Sequence[Paper], embedder: Embedder, progress: Progress | None
) -> None:
    if not papers:
        library.note("add", report.to_dict())
        return
    back = [paper.to_dict() for paper in library.papers(report.changed).values()]
    detail = report.to_dict() | {"before": {"gone": list(report.added), "back": back}}
    _changed(library, papers, (), embedder, "add", detail, progress)


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
    vectors = Vectors(library.path / "chroma")
    is_in_step = library.filled() and _rows(vectors) == library.counts()["chunks"]
    ids = [paper.id for paper in papers]
    stale = [chunk.id for chunks in library.chunks([*gone, *ids]).values() for chunk in chunks]
    change(library, papers, gone, embedder, action, detail, progress)
    if is_in_step and len(ids) <= DIFFERENCE:
        with suppress(LibraryError):
            vectors.update(library.vectors_of(ids), stale)
            library.set_filled()
            return
    fill(library, vectors)


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
        _changed(library, back, gone, embedder, "undo", {"undid": last["generation"]})
        return {"action": last["action"], "at": last["at"], "removed": gone, "restored": [paper.id for paper in back],
                "papers": len(library)}  # fmt: skip


def _last(journal: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    undone = {entry["undid"] for entry in journal if "undid" in entry}
    return next((e for e in reversed(journal) if "before" in e and e["generation"] not in undone), None)


# --- what is in it ------------------------------------------------------------------------------


def sources(library: Library) -> list[dict[str, Any]]:
    """The files whose papers the library holds: file, path, format, papers, when last read, and its state since."""
    latest = {
        file["file"]: file | {"read": entry["at"]} for entry in library.journal() for file in entry.get("files", ())
    }
    papers = Counter(file for paper in library for file in {file_of(source) for source in paper.sources})
    return [
        {
            "file": name,
            "path": file["path"],
            "format": file["format"],
            "papers": papers[name],
            "read": file["read"],
            "state": _state(file),
        }
        for name, file in latest.items()
        if papers[name]
    ]


def _state(file: Mapping[str, Any]) -> str:
    if not os.path.exists(file["path"]):
        return "no longer there"
    return "unchanged since" if digest(file["path"]) == file["sha256"] else "changed since"


def passed_over(journal: Iterable[Mapping[str, Any]]) -> list[str]:
    """What was no paper in any run, each once."""
    pieces = [piece for entry in journal for piece in entry.get("skipped", ())]
    texts = [p if isinstance(p, str) else f"{p['source']}: {_short(p['text'], 60)!r}: {p['reason']}" for p in pieces]
    return list(dict.fromkeys(texts))


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


# --- JSON ---------------------------------------------------------------------------------------


def _merge(one: Merged) -> dict[str, str]:
    return {"source": one.source, "title": one.title, "into": one.into, "reason": one.reason}


def _piece(piece: Skipped) -> dict[str, str]:
    return {"source": piece.source, "text": _short(piece.text, LONGEST), "reason": piece.reason, "kind": piece.kind}


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
