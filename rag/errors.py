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

    >>> try:
    ...     rag.answer(" ")
    ... except rag.RagError as error:
    ...     str(error), error.exit_code
    ('the question is empty; ask something, in words', 2)
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
    """The question, an option or an argument is wrong.

    >>> rag.answer("What is S4?", k=0)
    Traceback (most recent call last):
    rag.errors.UsageError: k is 0; it counts papers, from 1 to 100
    """

    exit_code = 2


class ReadError(RagError):
    """A file of abstracts cannot be read at all.

    >>> rag.add(folder / "none.bib", library=folder / "new")
    Traceback (most recent call last):
    rag.errors.ReadError: ...none.bib: no such file or folder...
    """


class LibraryError(RagError):
    """A library cannot be opened, read or written.

    >>> rag.Library.build(folder / "my.bib", folder / "other").undo().keys() and rag.Library.open(folder / "other").undo()
    Traceback (most recent call last):
    rag.errors.LibraryError: no change to undo in ...
    """


class LibraryMissing(LibraryError):
    """There is no library at that place.

    >>> rag.answer("What is S4?", library=folder / "nowhere")
    Traceback (most recent call last):
    rag.errors.LibraryMissing: no library at ...
    """


class LibraryBusy(LibraryError):
    """Another process holds the writer's lock.

    >>> rag.add(folder / "my.bib", library=folder / "mine").papers
    2
    >>> import filelock
    >>> with filelock.FileLock(rag.open_library(folder / "mine").path / "writer.lock"):
    ...     rag.add(folder / "my.bib", library=folder / "mine")
    Traceback (most recent call last):
    rag.errors.LibraryBusy: another process is writing to ...; try again when it is done
    """


class LibraryDamaged(LibraryError):
    """The library's files are not what they should be.

    >>> (folder / "odd").mkdir(), (folder / "odd" / "library.sqlite").write_text("no database")
    (None, 11)
    >>> rag.open_library(folder / "odd")
    Traceback (most recent call last):
    rag.errors.LibraryDamaged: ...
    """


class LibraryNewer(LibraryError):
    """The library was written by a later version of this package.

    >>> issubclass(rag.LibraryNewer, rag.LibraryError), rag.LibraryNewer.exit_code
    (True, 1)
    """


class PaperNotFound(RagError):
    """No paper of the library answers to that id or title.

    >>> rag.open_library().get("FlashAttention-9")
    Traceback (most recent call last):
    rag.errors.PaperNotFound: no paper 'FlashAttention-9' in this library; the nearest title is ...
    """


class EmbedError(RagError):
    """The embedder, its files or its server failed.

    >>> issubclass(rag.EmbedError, rag.RagError), rag.EmbedError.exit_code
    (True, 1)
    """


class ModelError(RagError):
    """The chat model or its server failed.

    >>> rag.answer("What is S4?", model="gpt-5-mini")
    Traceback (most recent call last):
    rag.errors.ModelError: ...OPENAI_API_KEY...
    """


class PromptError(RagError):
    """A prompt file is missing or lacks a variable.

    >>> issubclass(rag.PromptError, rag.RagError), rag.PromptError.exit_code
    (True, 1)
    """


class TextLeaves(UserWarning):
    """Not an error: questions and passages are about to go to another machine. Told once a process and server."""


class Cancelled(RagError):
    """The caller asked to stop; nothing was lost.

    >>> rag.Cancelled.exit_code
    130
    """

    exit_code = 130
