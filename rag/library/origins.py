"""Journal -> where a library came from: its files as they were last read, and what is to be looked at again.

Each run that read files says so in the journal. What was undone since does not count, so a file is known
with the content that its papers in the library are from. A paper taken out by hand is remembered too.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.addresses import address_at
from rag.readers import Way, file_named, file_of, version

if TYPE_CHECKING:
    from rag.library.store import Library

Entry = Mapping[str, Any]
LONGEST = 60  # characters shown of a text that is no paper


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read: the name that sources use, where it lies, what it held then, and how it was read."""

    file: str
    path: str
    sha256: str
    format: str
    records: int
    way: Way = field(default_factory=Way)
    reader: str = ""  # the version of the code that read it

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        way = {"way": way_dict(self.way)} if self.way != Way() else {}
        return {"file": self.file, "path": self.path, "sha256": self.sha256, "format": self.format,
                "records": self.records, "reader": self.reader} | way  # fmt: skip

    @classmethod
    def from_dict(cls, data: Entry) -> Source:
        """The Source that `to_dict` wrote."""
        return cls(data["file"], data["path"], data["sha256"], data["format"], data["records"],
                   way_of(data.get("way", {})), data.get("reader", ""))  # fmt: skip

    @property
    def is_there(self) -> bool:
        """Is there still a file?"""
        return os.path.exists(self.path)

    def is_as_read(self) -> bool:
        """Does the file hold what it held, and would it be read as it was?"""
        return self.reader == version() and bool(self.sha256) and digest(self.path) == self.sha256


@dataclass(frozen=True, slots=True)
class Origin:
    """A file as it was last read (`at`, ISO 8601), with the pieces that were no paper and the records that merged."""

    source: Source
    at: str
    run: int = 0  # which of the runs read it
    skipped: tuple[Entry, ...] = ()
    merges: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Origins:
    """`files` by path, in the order they came; `given` are paths named to `add`.

    `removed` are ids of papers taken out by hand, with their files; `missed` are ids that no file held any more, with
    the run that saw it.
    """

    files: Mapping[str, Origin] = field(default_factory=dict)
    given: Mapping[str, Way] = field(default_factory=dict)
    removed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """What the papers' sources call a file, by path."""
        return {path: origin.source.file for path, origin in self.files.items()}

    def replaceable(self) -> set[str]:
        """The names that stand for one file only: what it says now replaces what it said."""
        return {name for name, count in Counter(self.names.values()).items() if count == 1}

    def absent(self, sources: Mapping[str, Sequence[str]]) -> list[str]:
        """Of papers with their sources, those that no file held when one of theirs was last read."""
        last = {origin.source.file: origin.run for origin in self.files.values()}
        return [
            id
            for id, run in self.missed.items()
            if id in sources and all(last.get(file_of(source, last), -1) <= run for source in sources[id])
        ]


def way_dict(way: Way) -> dict[str, Any]:
    """Plain JSON types."""
    return {"format": way.format, "columns": dict(way.columns)}


def way_of(data: Entry) -> Way:
    """The Way that `way_dict` wrote."""
    return Way(data.get("format"), data.get("columns", {}))


def digest(path: str) -> str:
    """SHA-256 of a file, "" if it cannot be read; a pipe or a device would not end."""
    if not os.path.isfile(path):
        return ""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def standing(journal: Iterable[Entry]) -> list[Entry]:
    """The entries that were not taken back, oldest first. What was only noted after a change went with it."""
    kept: list[Entry] = []
    for entry in journal:
        if "undid" not in entry:
            kept.append(entry)
            continue
        while kept:
            last = kept.pop()
            if "before" in last and last["generation"] == entry["undid"]:
                break
    return kept


def origins(journal: Iterable[Entry]) -> Origins:
    """Where the papers came from, by what stands in the journal."""
    files: dict[str, Origin] = {}
    given: dict[str, Way] = {}
    removed: dict[str, frozenset[str]] = {}
    missed: dict[str, int] = {}
    for run, entry in enumerate(standing(journal)):
        files |= {origin.source.path: origin for origin in _read_in(entry, run)}
        missed |= dict.fromkeys(entry.get("ids", {}).get("absent", ()), run)
        given |= {one["path"]: way_of(one) for one in entry.get("given", ())}
        for path in entry.get("forgotten", ()):
            files.pop(path, None)
        if entry.get("lost"):  # papers that could not be read: any file may have them
            files = {path: replace(one, source=replace(one.source, reader="")) for path, one in files.items()}
        if entry["action"] == "remove":
            names = {origin.source.file for origin in files.values()}
            removed |= {
                p["id"]: frozenset(file_of(source, names) for source in p["sources"]) for p in entry["before"]["back"]
            }
        for id in entry.get("ids", {}).get("added", ()):
            removed.pop(id, None)
    return Origins(files, given, removed, missed)


def _read_in(entry: Entry, run: int) -> list[Origin]:
    names = {file["file"] for file in entry.get("files", ())}
    pieces = _by_file(entry.get("skipped", ()), names)
    merges = _by_file(entry.get("merges", ()), names)
    return [
        Origin(Source.from_dict(file), entry["at"], run, tuple(pieces.get(file["file"], ())),
               tuple(merges.get(file["file"], ())))
        for file in entry.get("files", ())
    ]  # fmt: skip


def _by_file(pieces: Iterable[Any], names: Collection[str]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for piece in pieces:
        if isinstance(piece, Mapping):
            source = piece["source"]
            has_line = source.rpartition(":")[2].isdigit()
            name = file_of(source, names) if has_line else file_named(source, names)
            found.setdefault(name, []).append(piece)
    return found


# --- for `rag status` ---------------------------------------------------------------------------


def sources(library: Library) -> list[dict[str, Any]]:
    """The files whose papers the library holds, or that were refused: file, path, format, papers, when last read, state."""
    known = origins(library.journal()).files
    names = {origin.source.file for origin in known.values()}
    papers = Counter(file for _, held in library.sources() for file in {file_of(source, names) for source in held})
    return [
        {
            "file": origin.source.file,
            "path": path,
            "format": origin.source.format,
            "papers": papers[origin.source.file],
            "refused": sum(piece["kind"] == "refused" for piece in origin.skipped),
            "read": origin.at,
            "state": state(origin.source),
        }
        for path, origin in known.items()
        if papers[origin.source.file] or any(piece["kind"] == "refused" for piece in origin.skipped)
    ]


def state(source: Source) -> str:
    """What became of a file since it was read."""
    if not source.is_there:
        return "its copy is lost" if address_at(Path(source.path)) else "no longer there"
    return "unchanged since" if digest(source.path) == source.sha256 else "changed since"


def passed_over(journal: Sequence[Entry]) -> dict[str, list[str]]:
    """What was no paper when each file was last read, by kind; a library that was stored whole says it in plain lines."""
    kinds: dict[str, list[str]] = {"no abstract": [], "refused": [], "passed over": []}
    for entry in standing(journal):
        kinds["passed over"] += [piece for piece in entry.get("skipped", ()) if isinstance(piece, str)]
    for origin in origins(journal).files.values():
        for piece in origin.skipped:
            kinds[piece["kind"]].append(f"{piece['source']}: {_short(piece['text'])!r}: {piece['reason']}")
    return {kind: list(dict.fromkeys(pieces)) for kind, pieces in kinds.items()}


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
