"""Everything that can go wrong and is not a bug, in one tree.

    RagError
    +-- UsageError          the call or the question is wrong
    +-- ReadError           a file of abstracts cannot be read
    +-- LibraryError        a library cannot be opened or written
    |   +-- LibraryMissing  no library there
    |   +-- LibraryBusy     another process is writing
    |   +-- LibraryDamaged  the files are not what they should be
    |   +-- LibraryNewer    written by a later version of this package
    +-- PaperNotFound       no paper with that id or title
    +-- EmbedError          the embedder or its server failed
    +-- ModelError          the chat model or its server failed
    +-- PromptError         a prompt file is missing, or a variable in it
    +-- Cancelled           the caller asked to stop

An error says what is wrong and where, and names what to do next (`rag.remedies`), which each door words
in its own way: `str(error)` is one line for Python. Errors of other packages are translated at the module
that calls them, so that `except RagError` is enough.
"""

from __future__ import annotations

from rag.remedies import Door, Remedy


class RagError(Exception):
    """Base of every error this package raises on purpose. `str(error)` is one line.

    message    what is wrong, and where
    remedies   what to do; of several, any will do
    values     what the words of the remedies name, such as library="mine"
    """

    exit_code = 1

    def __init__(self, message: str = "", *remedies: Remedy, **values: object) -> None:
        super().__init__(message)
        self.message = message
        self.remedies = remedies
        self.values = values

    def worded(self, door: Door, **known: object) -> str:
        """The error with what to do at that door. `known` is what the door knows besides: the library it was given."""
        todo = ", or ".join(remedy.words(door, known | self.values) for remedy in self.remedies)
        gap = " " if self.message.endswith("?") else "; "
        return f"{self.message}{gap}{todo}" if todo else self.message

    def __str__(self) -> str:
        return self.worded("python")


class UsageError(RagError):
    """The question, an option or an argument is wrong."""

    exit_code = 2


class ReadError(RagError):
    """A file of abstracts cannot be read at all."""


class LibraryError(RagError):
    """A library cannot be opened, read or written."""


class LibraryMissing(LibraryError):
    """There is no library at that place."""


class LibraryBusy(LibraryError):
    """Another process holds the writer's lock."""


class LibraryDamaged(LibraryError):
    """The library's files are not what they should be."""


class LibraryNewer(LibraryError):
    """The library was written by a later version of this package."""


class PaperNotFound(RagError):
    """No paper of the library answers to that id or title."""


class EmbedError(RagError):
    """The embedder, its files or its server failed."""


class ModelError(RagError):
    """The chat model or its server failed."""


class PromptError(RagError):
    """A prompt file is missing or lacks a variable."""


class Cancelled(RagError):
    """The caller asked to stop; nothing was lost."""

    exit_code = 130
