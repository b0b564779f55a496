"""Files in some format -> Papers. Nothing is lost in silence: what is not a paper is reported.

`files` opens (archives, encodings, limits), `sniff` decides the format by content, a reader turns
text into Records, `merge` makes one Paper of the records of one paper. A reader is a function from
a text and the name to show to Records and Skipped, each with file and line. One bad record ends no
file and one bad file no run: both are in the Reading, with a reason.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from inspect import signature
from pathlib import Path

from rag import formats
from rag.errors import ReadError, UsageError
from rag.formats import Format
from rag.readers.fields import ALIASES, Columns
from rag.readers.files import File, Refused, listed, texts
from rag.readers.merge import Merged, file_named, file_of, keys_of, merged, record_of
from rag.readers.record import Found, Record, Skipped
from rag.readers.sniff import Unknown, sniff
from rag.records import FrozenMap, Paper
from rag.remedies import Remedy

__all__ = [
    "File",
    "Merged",
    "ReadFile",
    "Reading",
    "Record",
    "Skipped",
    "Taken",
    "Way",
    "file_named",
    "file_of",
    "gather",
    "joined",
    "keys_of",
    "listed",
    "nothing",
    "read",
    "record_of",
    "take",
    "version",
]

Reader = Callable[[str, str, Columns], Found]


_WITH_ABSTRACTS = (
    "export with abstracts (Scopus: tick Abstract; Web of Science: Full Record; PubMed: format PubMed, not CSV; "
    "Google Scholar and DBLP give none)"
)


@dataclass(frozen=True, slots=True)
class Way:
    """How files are to be read: a format for all (a name in `rag.formats`), and what a field is called in a table or JSON.

    Raises UsageError for a format or field there is none of.
    """

    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=FrozenMap)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", FrozenMap(self.columns))
        if self.format is not None:
            formats.named(self.format)
        if wrong := [name for name in self.columns if name not in ALIASES]:
            raise UsageError(f"no field is called {wrong[0]!r}; there are {', '.join(sorted(ALIASES))}")

    @property
    def forced(self) -> Format | None:
        """The format it names; None leaves that to the content."""
        return formats.named(self.format) if self.format is not None else None


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What one file (or member of an archive) gave. `format` is "" where none was found."""

    name: str
    format: str
    records: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What one file held: its records, the pieces that are none, and the files in it (itself, or an archive's members)."""

    records: tuple[Record, ...]
    skipped: tuple[Skipped, ...]
    files: tuple[ReadFile, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What files gave: papers in order of first appearance, records read, and what was passed over.

    `merged` are records that were a paper already read; `skipped` says of each by its `kind` whether it
    was no record, had no abstract, or was refused.
    """

    papers: tuple[Paper, ...]
    records: int
    skipped: tuple[Skipped, ...]
    merged: tuple[Merged, ...] = ()
    files: tuple[ReadFile, ...] = ()

    def summary(self) -> str:
        """One line: how many were read, merged, without abstract, refused and passed over."""
        kinds = Counter(piece.kind for piece in self.skipped)
        return (
            f"{self.records:,} records in {len(self.files):,} files: {len(self.papers):,} papers, "
            f"{len(self.merged):,} merged, {kinds['no abstract']:,} without abstract, "
            f"{kinds['refused']:,} refused, {kinds['passed over']:,} passed over"
        )


def read(
    paths: Iterable[Path],
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    known: Iterable[Paper] = (),
) -> Reading:
    """Read files, folders and archives of them, in sorted order.

    `format` (a name in `rag.formats`) overrides what the content says; `columns` says what a field is called
    in a table or in JSON ({"title": "Headline"}); `known` are papers of a library: a record of one of
    them keeps its id and adds to its sources.

    Raises UsageError for a format or field there is none of, ReadError when no paper at all was found.
    """
    paths = list(paths)
    reading = gather(paths, format=format, columns=columns, known=known)
    if not reading.papers:
        raise nothing(paths, reading)
    return reading


def gather(
    paths: Iterable[Path],
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    known: Iterable[Paper] = (),
    again: Collection[str] = (),
) -> Reading:
    """What `read` gives, also when it holds no paper: then `nothing` says why.

    `again` are the names of files that papers of `known` came from and that may have changed since: what
    they say now replaces what they said.
    """
    way = Way(format, columns or {})
    found, missing = listed(paths)
    return joined([take(file, way) for file in found], known, again, missing)


def take(file: File, way: Way) -> Taken:
    """What one file holds."""
    records: list[Record] = []
    skipped: list[Skipped] = []
    files: list[ReadFile] = []
    for name, text, remark in texts(file):
        kind, (got, passed_over) = _one(file, name, text, way.forced, way.columns)
        if remark and got:
            passed_over = [Skipped(f"{name}:1", "", remark), *passed_over]
        records += got
        skipped += passed_over
        files.append(ReadFile(name, kind, len(got), len(passed_over)))
    return Taken(tuple(records), tuple(skipped), tuple(files))


def joined(
    taken: Collection[Taken],
    known: Iterable[Paper] = (),
    again: Collection[str] = (),
    missing: Iterable[Skipped] = (),
    told: Callable[[int, int], None] = lambda done, total: None,
    is_taken: Callable[[str], bool] = lambda id: False,
) -> Reading:
    """The papers of files that were read, those of one paper together; see `merged`. `told` hears how far it is."""
    total = sum(len(one.records) for one in taken)
    records = _counted((r for one in taken for r in one.records), total, told)
    papers, shown, empty = merged(records, known, again, is_taken)
    skipped = (*missing, *(piece for one in taken for piece in one.skipped), *empty)
    files = tuple(file for one in taken for file in one.files)
    return Reading(tuple(papers), total, skipped, tuple(shown), files)


def _counted(records: Iterable[Record], total: int, told: Callable[[int, int], None]) -> Iterator[Record]:
    for done, record in enumerate(records):
        if not done % 1000:
            told(done, total)
        yield record


@cache
def version() -> str:
    """12 hex digits of the code that reads: another version may read a file otherwise."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in (
        *(folder.parent / f"{name}.py" for name in ("text", "markup", "formats")),
        *sorted(folder.glob("*.py")),
    ):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _one(file: File, name: str, text: str | Refused, forced: Format | None, columns: Columns) -> tuple[str, Found]:
    """The format and the records of one text, or why there are none."""
    suffix = Path(name).suffix.lower()
    foreign = not file.named and suffix not in formats.SUFFIXES  # of a folder, and nothing to say that it is meant
    if isinstance(text, Refused):
        return "", ([], [Skipped(name, "", str(text), "passed over" if foreign else "refused")])
    plainly = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        kind = forced or sniff(plainly, columns)
    except Unknown as unknown:
        return "", (
            [],
            [Skipped(f"{name}:1", "", str(unknown), "passed over" if foreign else "refused", unknown.remedy)],
        )
    is_prose = kind.name in ("pages", "text")
    if is_prose and foreign and not forced:
        why = "in no known format; if it is text, name the file itself to have it read"
        return "", ([], [Skipped(f"{name}:1", "", why)])
    return kind.label, _reader(kind)(text if kind.name == "pages" else plainly, name, columns)


@cache
def _reader(kind: Format) -> Reader:
    """The function that the table names; one that takes no columns is given none."""
    module, _, function = kind.reader.partition(":")
    read: Callable[..., Found] = getattr(import_module(f"rag.readers.{module}"), function)
    takes_columns = len(signature(read).parameters) > 2
    return read if takes_columns else lambda text, name, _: read(text, name)


def nothing(paths: Iterable[Path], reading: Reading) -> ReadError:
    """Why there is no paper, by the first thing that was refused."""
    refused = [piece for piece in reading.skipped if piece.kind == "refused"]
    names = re.sub(
        r"\s+",
        " ",
        ", ".join(file.name for file in reading.files[:5] if file.format) or ", ".join(map(str, paths)) or "no file",
    )
    if refused:
        more = f" (and {len(refused) - 1:,} more)" if len(refused) > 1 else ""
        return _said(refused[0], more)
    if not reading.files:
        return ReadError(f"no file in {names}")
    if any(piece.kind == "no abstract" for piece in reading.skipped):
        return ReadError(f"no abstract in {names}: titles alone say too little to answer from; {_WITH_ABSTRACTS}")
    binary = [piece for piece in reading.skipped if piece.reason.startswith("is a ")]
    if binary and len(binary) == len(reading.files):
        return _said(binary[0])
    return ReadError(f"no title with an abstract below it found in {names}", Remedy.NAME_FORMAT)


def _said(piece: Skipped, more: str = "") -> ReadError:
    remedies = [Remedy[piece.remedy]] if piece.remedy else []
    return ReadError(" ".join(f"{piece.source}: {piece.reason}{more}".split()), *remedies)
