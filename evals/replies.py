"""Replies that a model gave once, kept in the repository: its whole path is replayed by anyone, without server or key.

`replies/MODEL.jsonl` has a reply a line: `key` of its prompt, `id` of the gold question, `step` of the path and `text`.
`--cache only` reads them beside the stored calls. A prompt that changed since has no reply: its question is stale, which
is neither right nor wrong, and is counted and named. `evals/bench/record.py` records them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import RagError

from .baseline import path_for as baseline_for
from .records import Record, Run
from .run import RunError

FOLDER = Path(__file__).parent / "replies"
_FENCE = re.compile(r"=== [0-9a-f]{12} ===")


class Stale(RagError):
    """A prompt has no recorded reply. No ModelError: no other way is gone because of it."""


@dataclass(frozen=True, slots=True)
class Replies:
    """Recorded replies by the key of their prompt, and the ids of the questions that they answer, in order."""

    texts: Mapping[str, str]
    ids: tuple[str, ...]

    def to(self, system: str, user: str) -> str | None:
        """The reply to a prompt; None when it has none."""
        return self.texts.get(key_of(system, user))


def key_of(system: str, user: str) -> str:
    """16 hex digits of a prompt, whatever fence encloses its data: that is a hash with a key of each installation."""
    asked = json.dumps([["system", system], ["user", user]], ensure_ascii=False)
    return hashlib.sha256(_FENCE.sub("=== FENCE ===", asked).encode()).hexdigest()[:16]


def step_of(system: str) -> str:
    """Which step of the path a prompt is: "plan", "answer" or "appeal"."""
    told = {"You plan": "plan", "You answer": "answer", "You are shown": "appeal"}
    return next((step for beginning, step in told.items() if system.startswith(beginning)), "other")


def path_for(model: str, folder: Path | None = None) -> Path:
    """Where the replies of a model lie."""
    return (folder or FOLDER) / baseline_for(model).name.replace(".json.gz", ".jsonl")


def load(model: str, folder: Path | None = None) -> Replies | None:
    """The recorded replies of a model; None when there are none. Raises RunError that names the line."""
    path = path_for(model, folder)
    if not path.is_file():
        return None
    texts, ids = dict[str, str](), dict[str, None]()
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            texts[row["key"]], ids[row["id"]] = row["text"], None
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path}:{number}: is no recorded reply ({error}); restore it from git") from error
    return Replies(texts, tuple(ids))


def parted(run: Run) -> tuple[Run, tuple[Record, ...]]:
    """A run without the questions that are stale, and those."""
    stale = tuple(r for r in run.records if r.error and r.error.startswith(f"{Stale.__name__}: "))
    return Run(run.manifest, tuple(record for record in run.records if record not in stale)), stale


def told(stale: Sequence[Record], asked: int) -> str:
    """What is said of stale questions."""
    named = ", ".join(f"{record.id} ({(record.error or '').rsplit(' ', 1)[-1]})" for record in stale)
    return (
        f"stale: {len(stale)} of {asked} recorded questions, neither passed nor failed, since a prompt of theirs "
        f"changed: {named}; record them anew as evals/README.md says"
    )
