"""What a run over files did, for a person, for a script, and for the journal.

A file that was not read again, since it had not changed, counts with what it gave when it was last read.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rag.errors import ReadError
from rag.library.origins import Origin, Source
from rag.readers import Merged, Skipped

SHOWN = 20  # papers that could not be added, named in the report for a person
NAMED = 3  # ids or files named in a line
LONGEST = 200  # characters kept of a text that is no paper


@dataclass(frozen=True, slots=True)
class Added:
    """What adding or syncing did, or with `dry_run` would do.

    files     read this time
    kept      not read again: as they were
    gone      no longer there
    absent    ids of papers that their files no longer hold, kept all the same
    removed   ids of such papers that `--prune` took out
    left_out  ids of papers that were removed by hand and not taken up again
    pruned    whether what is gone was to be forgotten
    problem   why there was nothing to add at all, None if there was

    >>> report = rag.add(folder / "my.bib", library=folder / "mine", dry_run=True)
    >>> report.counts()["added"], report.skipped[0].source
    (2, 'my.bib:11')
    """

    library: str
    read: int
    papers: int
    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: int
    merged: tuple[Merged, ...]
    skipped: tuple[Skipped, ...]
    files: tuple[Source, ...]
    kept: tuple[Origin, ...] = ()
    gone: tuple[Source, ...] = ()
    absent: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    pruned: bool = False
    dry_run: bool = False
    problem: ReadError | None = None

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in self.counts().items() if count)
        return f"Added({self.library[:56]!r}, {counts or 'nothing'})"

    def all_skipped(self) -> tuple[Skipped, ...]:
        """The pieces of files that are no paper, also of files not read again."""
        kept = (Skipped(**piece) for origin in self.kept for piece in origin.skipped)
        return (*self.skipped, *kept)

    def all_merged(self) -> tuple[Merged, ...]:
        """The records that were a paper already read, also of files not read again."""
        return (*self.merged, *(Merged(**one) for origin in self.kept for one in origin.merges))

    def of_kind(self, kind: str) -> tuple[Skipped, ...]:
        """The pieces of files that are no paper for that reason."""
        return tuple(piece for piece in self.all_skipped() if piece.kind == kind)

    def counts(self) -> dict[str, int]:
        """How many records there are, and what became of them."""
        kinds = Counter(piece.kind for piece in self.all_skipped())
        removed = {"removed": len(self.removed)} if self.removed else {}
        return {
            "read": self.read + sum(origin.source.records for origin in self.kept),
            "added": len(self.added),
            "changed": len(self.changed),
            "unchanged": self.unchanged,
            "merged": len(self.all_merged()),
            "without abstract": kinds["no abstract"],
            "refused": kinds["refused"],
            "passed over": kinds["passed over"],
        } | removed

    def entry(self) -> dict[str, Any]:
        """What the journal keeps: of the files that were read this time. Plain JSON types."""
        ids = {"added": self.added, "changed": self.changed, "absent": self.absent, "removed": self.removed}
        return {
            **{name.replace(" ", "_"): count for name, count in self.counts().items() if name != "removed"},
            "ids": {name: list(some) for name, some in ids.items()},
            "files": [source.to_dict() for source in self.files],
            "merges": [_merge(one) for one in self.merged],
            "skipped": [_piece(piece) for piece in self.skipped],
        }

    def to_dict(self) -> dict[str, Any]:
        """The whole report: plain JSON types."""
        return self.entry() | {
            "library": self.library,
            "papers": self.papers,
            "dry_run": self.dry_run,
            "kept": [origin.source.to_dict() for origin in self.kept],
            "gone": [source.to_dict() for source in self.gone],
            "left_out": list(self.left_out),
            "merges": [_merge(one) for one in self.all_merged()],
            "skipped": [_piece(piece) for piece in self.all_skipped()],
        }

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        if self.files or self.kept:
            yield self._held()
        yield ", ".join(f"{count:,} {name}" for name, count in self.counts().items())
        left = [*self.of_kind("refused"), *self.of_kind("no abstract")]
        for piece in left[:SHOWN]:
            named = f" {short(piece.text, 60)!r}:" if piece.text else ""
            yield f"  {piece.source}:{named} {piece.told('terminal')}"
        if len(left) > SHOWN:
            yield f"  and {len(left) - SHOWN:,} more; --json lists them all"
        yield from self._missed()
        if not self.problem:
            done = "would hold" if self.dry_run else "holds"
            yield f"library {self.library} {done} {plural(self.papers, 'paper')}" + (
                "; nothing was stored" * self.dry_run
            )

    def _held(self) -> str:
        sources = [*self.files, *(origin.source for origin in self.kept)]
        formats = Counter(source.format or "in no known format" for source in sources)
        held = ", ".join(f"{count:,} {name}" for name, count in formats.most_common())
        some = "" if self.files else "all "
        as_were = f"; {some or f'{len(self.kept):,} '}as before, not read again" if self.kept else ""
        return f"{len(sources):,} {'file' if len(sources) == 1 else 'files'}: {held}{as_were}"

    def _missed(self) -> Iterator[str]:
        """What is no longer where it came from."""
        prune = f"type: rag sync --library {shlex.quote(self.library)} --prune"
        if self.removed:
            yield f"{'would be removed' if self.dry_run else 'removed'}: {_some(self.removed)}"
        if self.gone:
            what = "; forgotten" if self.pruned else f"; their papers are kept; to remove them {prune}"
            yield f"no longer there: {_some([source.file for source in self.gone])}{what}"
        if self.absent:
            yield f"no longer in their files, but kept: {_some(self.absent)}; {prune}"
        if self.left_out:
            yield f"removed by hand before, left out: {_some(self.left_out)}; rag add takes them up again"


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def plural(count: int, noun: str) -> str:
    """The count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def short(text: str, length: int) -> str:
    """`text`, cut to `length` characters."""
    return text if len(text) <= length else text[: length - 3] + "..."


def _merge(one: Merged) -> Mapping[str, str]:
    return {"source": one.source, "title": one.title, "into": one.into, "reason": one.reason}


def _piece(piece: Skipped) -> Mapping[str, str]:
    named = {"remedy": piece.remedy} if piece.remedy else {}
    text = short(piece.text, LONGEST)
    return {"source": piece.source, "text": text, "reason": piece.reason, "kind": piece.kind} | named
