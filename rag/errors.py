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

A message is one line for the reader: what is wrong, where, and what to type next. Errors of
other packages are translated at the module that calls them, so that `except RagError` is enough.
"""

from __future__ import annotations


class RagError(Exception):
    """Base of every error this package raises on purpose. `str(error)` is one line."""

    exit_code = 1


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
