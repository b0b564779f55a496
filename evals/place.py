"""Where a gold set and all that is made from it lie, and which library it asks.

The shipped gold set lies in a checkout, with its baselines, runs and stored calls in folders beside it. For a
gold set of your own they lie in one folder beside the file:

    my_gold.jsonl
    my_gold.evals/   gold.lock  baselines/     to keep (in git, say)
                     runs/  cache/             made again at need; its .gitignore names them
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import rag
from rag.errors import UsageError
from rag.places import home
from rag.settings import load

from . import baseline, cache, gold, replies, run

LOCK = "gold.lock"
IGNORED = "runs/\ncache/\n"


@dataclass(frozen=True, slots=True)
class Place:
    """The paths of one gold set; `library` is the name or path that is asked, None the shipped abstracts.

    `typed` are the options that name them, as a person would type them again; "" for the shipped set.
    """

    file: Path
    lock: Path
    baselines: Path
    runs: Path
    cache: Path
    library: str | None
    typed: str

    def questions(self) -> tuple[gold.Question, ...]:
        """The rows of the file. Raises GoldError; UsageError where no set is shipped, as in an installed package."""
        if not self.file.is_file() and self.file == gold.GOLD:
            raise UsageError(
                "which gold set? type: rag eval --gold FILE --library NAME; to make one: rag gold init FILE"
            )
        return gold.load(self.file)

    def open_library(self) -> rag.Library:
        """The library asked. Raises LibraryError."""
        return rag.open_library(self.library)

    def corpus(self) -> str:
        """12 hex digits of what is asked, for a run's manifest: texts and embedder, wherever the files came from.

        The shipped library's own fingerprint, whose files are always the same ones, stands in its baselines.
        """
        library = self.open_library()
        if self.file == gold.GOLD:
            return library.fingerprint
        texts = sorted(
            json.dumps([paper.id, paper.title, paper.abstract, paper.year, paper.authors]) for paper in library
        )
        return hashlib.sha256("\n".join([library.store.embedder, *texts]).encode()).hexdigest()[:12]

    def baseline(self, model: str) -> Path:
        """Where the baseline of an answerer lies."""
        return baseline.path_for(model, self.baselines)

    def recorded(self, model: str) -> replies.Replies | None:
        """The recorded replies of a model to the shipped questions. Raises RunError."""
        return replies.load(model) if self.file == gold.GOLD else None

    @property
    def accepting(self) -> str:
        """The command that accepts the rows as they are now."""
        return f"rag eval lint --accept {self.typed}".strip()

    def made(self) -> None:
        """Make the folder of a gold set of one's own, which tells git what in it to leave out. Raises RunError."""
        if self.lock.parent == self.file.parent or self.lock.parent.is_dir():
            return
        try:
            self.lock.parent.mkdir(parents=True)
            with suppress(FileExistsError):
                (self.lock.parent / ".gitignore").write_text(IGNORED, "utf-8")
        except OSError as error:
            raise run.RunError(f"{self.lock.parent}: cannot be written ({error.strerror})") from error


def place_of(file: Path | None, library: str | None) -> Place:
    """The place of a gold set; None is the shipped one.

    The shipped questions ask the shipped abstracts whatever library the user has chosen for other commands; a set
    of one's own asks the library named here, else that of `RAG_LIBRARY` or the settings.
    """
    if file is None or file.resolve() == gold.GOLD.resolve():
        typed = f"--library {shlex.quote(library)}" if library else ""
        calls = cache.FOLDER if gold.GOLD.is_file() else home("cache") / "evals"
        return Place(gold.GOLD, gold.GOLD.with_name(LOCK), baseline.FOLDER, run.RUNS, calls, library, typed)
    folder = file.with_suffix(".evals")
    named = load(library=library).library
    typed = f"--gold {shlex.quote(os.fspath(file))}" + (f" --library {shlex.quote(named)}" if named else "")
    return Place(file, folder / LOCK, folder / "baselines", folder / "runs", folder / "cache", named, typed)
