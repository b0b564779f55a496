"""The values that travel through an evaluation.

A Record is what one question got: an answer, or an error (a crash is a row, never a zero). It keeps
of the Answer what scoring and reading need, so that a stored run or baseline can be scored again
when a metric changes. A Score is one number for one record; `None` means that the metric does not
apply there, which is not the same as 0.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Key = tuple[str, int, int, int]  # (question id, rev, variant, sample)


@dataclass(frozen=True, slots=True)
class Record:
    """One question asked once. `variant` 0 is the question as written, n its n-th other wording.

    `answer` (None after an error) holds: status, text, query, model, run; claims (text, verdict,
    citations with number, paper, start, end, quote); removed; retrieved and evidence as [paper id,
    score], best first; found: per search the paper ids; before: ids cited in earlier turns; usage; seconds
    per stage; cpu seconds.
    """

    id: str
    rev: int
    variant: int
    sample: int
    answer: Mapping[str, Any] | None = None
    error: str | None = None

    @property
    def key(self) -> Key:
        """What pairs two records of different runs."""
        return self.id, self.rev, self.variant, self.sample

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """The Record that `to_dict` wrote. Raises TypeError or KeyError for what is none."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a run was: enough to say whether two runs can be compared, and what differs.

    corpus   fingerprint of the library's papers and embedder
    run      fingerprint of settings, prompts, model and library (`Answer.run`)
    code     hash of the sources of `rag` and its prompts
    gold     hash of the gold rows asked
    model    "extractive" or the chat model's name
    """

    created: str
    corpus: str
    run: str
    code: str
    gold: str
    model: str
    version: str
    split: str
    samples: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Run:
    """A manifest with the records made under it."""

    manifest: Manifest
    records: tuple[Record, ...]


def write_whole(path: Path, text: str | bytes) -> None:
    """Write a file whole or not at all: what was there stays until the new one is complete. Raises OSError."""
    raw = text.encode() if isinstance(text, str) else text
    if path.exists() and not path.is_file():  # a pipe, a terminal
        path.write_bytes(raw)
        return
    target = path.resolve()
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(raw)
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


Verdict = Literal["pass", "regression", "inconclusive", "invalid", "not comparable"]
EXIT: dict[Verdict, int] = {"pass": 0, "regression": 4, "inconclusive": 5, "invalid": 6, "not comparable": 7}
