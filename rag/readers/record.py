"""What a reader gives for each record of a file, and for each piece that is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rag.records import FrozenMap
from rag.remedies import Door, Remedy

# "passed over": no record (page furniture, a comment); "no abstract": nothing to quote from; "refused": broken
Kind = Literal["passed over", "no abstract", "refused"]


@dataclass(frozen=True, slots=True)
class Record:
    """A title and its abstract as they stand in a file; `source` is "file:line" of where it begins.

    `abstract` is "" when the file has none: another file may have it. `extra` may hold "arxiv" and
    "pmid", by which a record is known as surely as by its DOI. `id` is the paper's where the file is an
    export of a library, "" elsewhere.
    """

    title: str
    abstract: str
    source: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    venue: str | None = None
    doi: str | None = None
    url: str | None = None
    extra: FrozenMap[str] = field(default_factory=FrozenMap)
    id: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A piece of a file that is no paper: where ("file:line"), its text, and why it was passed over.

    `remedy` is the name of a `rag.remedies.Remedy`, "" where nothing can be done.
    """

    source: str
    text: str
    reason: str
    kind: Kind = "passed over"
    remedy: str = ""

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        return f"{self.source}: {shown!r}: {self.reason}"

    def told(self, door: Door) -> str:
        """The reason, and what to do at that door."""
        return f"{self.reason}; {Remedy[self.remedy].words(door, {})}" if self.remedy else self.reason


Found = tuple[list[Record], list[Skipped]]  # what a reader makes of the text of one file
