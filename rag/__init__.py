"""Ask a library of paper abstracts; every sentence of the answer is traceable to a verbatim quote.

    from rag import Library, add, answer, answer_many, cite, search, stream
    a = answer("Which sequence model first solved Path-X?")   # shipped abstracts, no key, no network
    print(a)                      # sentences with [1] marks, or an honest "this library does not say"
    a.citations[0].quote          # verbatim: a.citations[0].paper.abstract[start:end]
    add("my.bib", library="mine")                             # a library of your own; answer(q, library="mine")
    with Library.open("mine") as mine:                        # the same as methods, for those who want one object
        mine.ask("..."), mine.search("..."), mine.export("mine.ris")

What the options mean is said at `Library.open`, what `history` and `where` may be at `answer`. All raise RagError, whose
text is one line. Importing this module imports nothing heavy. What it does is logged under "rag", without questions,
texts or keys: files read and libraries changed (INFO), calls made again (WARNING), one line a question (DEBUG).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rag.api.asking import AsyncStream, Stream
from rag.api.functions import (
    aanswer,
    add,
    answer,
    answer_many,
    astream,
    backup,
    cite,
    open_library,
    restore,
    search,
    stream,
    table,
)
from rag.api.library import Library
from rag.attributed import Attribution, Bearing
from rag.errors import (
    Cancelled,
    EmbedError,
    LibraryBusy,
    LibraryDamaged,
    LibraryError,
    LibraryMissing,
    LibraryNewer,
    ModelError,
    PaperNotFound,
    PromptError,
    RagError,
    ReadError,
    UsageError,
)
from rag.hits import Hits
from rag.records import Answer, Chunk, Citation, Claim, Draft, Evidence, Found, FrozenMap, Hit, Paper, Usage
from rag.tabulated import Cell, Row, Table

if TYPE_CHECKING:
    from rag.library.backup import Backup
    from rag.library.report import Added

__version__ = "0.1.0"
__all__ = [
    "Added", "Answer", "AsyncStream", "Attribution", "Backup", "Bearing", "Cancelled", "Cell", "Chunk", "Citation", "Claim",
    "Draft",
    "EmbedError", "Evidence", "Found", "FrozenMap", "Hit", "Hits", "Library", "LibraryBusy", "LibraryDamaged",
    "LibraryError", "LibraryMissing", "LibraryNewer", "ModelError", "Paper", "PaperNotFound", "PromptError", "RagError",
    "ReadError", "Row", "Stream", "Table", "Usage", "UsageError", "aanswer", "add", "answer", "answer_many", "astream",
    "backup", "cite", "open_library", "restore", "search", "stream", "table",
]  # fmt: skip

logging.getLogger(__name__).addHandler(logging.NullHandler())


_LATE = {"Added": "rag.library.report", "Backup": "rag.library.backup"}


def __getattr__(name: str) -> Any:
    """`Added` and `Backup`, loaded when they are first asked for: a prompt is there sooner without them."""
    from importlib import import_module

    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)
