"""What a reader gives for each record of a file, and for each piece that is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """A title and its abstract as they stand in a file; `source` is "file:line" of the title."""

    title: str
    abstract: str
    source: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A piece of a file that is no record: where ("file:line"), its text, and why it was passed over."""

    source: str
    text: str
    reason: str

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        return f"{self.source}: {shown!r}: {self.reason}"
