"""Ask a library of paper abstracts; every sentence of the answer is traceable to a verbatim quote.

    from rag import add, answer, answer_many, search, stream
    a = answer("Which sequence model first solved Path-X?")   # shipped abstracts, no key, no network
    print(a)                      # sentences with [1] marks, or an honest "this library does not say"
    a.citations[0].quote          # verbatim: a.citations[0].paper.abstract[start:end]
    add("my.bib", library="mine")                             # a library of your own; answer(q, library="mine")

`library` is a path, a name or None for the shipped abstracts; `model` a chat model's name, a GGUF file or a
llama-index LLM object, `base_url` its server; `k` how many papers may be drawn on; `prompt_tokens`
how many tokens of passages the model is shown, None for what its context has room for; `history` earlier
Answers (or their dicts, or (question, text) pairs), oldest first; `where` which papers may be looked
at, such as 'year>=2023 author:"Jane Smith"' (a question may say it, too; see rag.filters). All raise
RagError, whose text is one line. Importing this module imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

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
from rag.records import Answer, Chunk, Citation, Claim, Draft, Evidence, Found, FrozenMap, Hit, Paper, Usage
from rag.remedies import Remedy
from rag.tabulated import Cell, Row, Table

if TYPE_CHECKING:
    from pathlib import Path

    from rag.answering.assistant import Assistant
    from rag.filters import Filter
    from rag.library.report import Added
    from rag.library.store import Library

__version__ = "0.1.0"
__all__ = [
    "Added", "Answer", "Attribution", "Bearing", "Cancelled", "Cell", "Chunk", "Citation", "Claim", "Draft", "EmbedError", "Evidence", "Found", "FrozenMap",
    "Hit", "Library", "LibraryBusy", "LibraryDamaged", "LibraryError", "LibraryMissing", "LibraryNewer",
    "ModelError", "Paper", "PaperNotFound", "PromptError", "RagError", "ReadError", "Row", "Table", "Usage", "UsageError",
    "aanswer", "add", "answer", "answer_many", "cite", "open_library", "search", "stream", "table",
]  # fmt: skip
_LATE = {"Library": "rag.library.store", "Added": "rag.library.report"}


def __getattr__(name: str) -> Any:
    """`Library` and `Added`, loaded when they are first asked for: a prompt is there sooner without them."""
    from importlib import import_module

    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)


def answer(
    question: str,
    *,
    library: str | None = None,
    history: Sequence[Any] = (),
    model: Any = None,
    base_url: str | None = None,
    k: int | None = None,
    prompt_tokens: int | None = None,
    where: str | None = None,
) -> Answer:
    """Answer a question from a library's abstracts. Works where an event loop already runs, too."""
    return _assistant(library, model, base_url, k, prompt_tokens).answer(question, history, where=_filter(where))


def answer_many(
    questions: Sequence[str],
    *,
    library: str | None = None,
    model: Any = None,
    base_url: str | None = None,
    k: int | None = None,
    prompt_tokens: int | None = None,
    where: str | None = None,
) -> tuple[Answer | RagError, ...]:
    """An answer to each question, with shared work; in the place of one that failed, its error. No follow-ups.

    Raises UsageError when one of them is no question.
    """
    return _assistant(library, model, base_url, k, prompt_tokens).answer_many(questions, where=_filter(where))


async def aanswer(
    question: str,
    *,
    library: str | None = None,
    history: Sequence[Any] = (),
    model: Any = None,
    base_url: str | None = None,
    k: int | None = None,
    prompt_tokens: int | None = None,
    where: str | None = None,
) -> Answer:
    """`answer` in a thread. Cancelling the task stops the work before its next stage."""
    import asyncio
    import threading

    stop = threading.Event()

    def work() -> Answer:
        assistant = _assistant(library, model, base_url, k, prompt_tokens)
        return assistant.answer(question, history, where=_filter(where), cancelled=stop.is_set)

    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        stop.set()
        raise


def search(query: str, *, library: str | None = None, k: int = 8, where: str | None = None) -> tuple[Hit, ...]:
    """The `k` papers nearest to a query, best first, each saying what found it and how."""
    return _assistant(library, "extractive", None, k).search(query, k, _filter(where))


@overload
def cite(
    claims: str,
    *,
    library: str | None = None,
    model: Any = None,
    base_url: str | None = None,
    k: int = 3,
    where: str | None = None,
) -> Attribution: ...
@overload
def cite(
    claims: list[str] | tuple[str, ...],
    *,
    library: str | None = None,
    model: Any = None,
    base_url: str | None = None,
    k: int = 3,
    where: str | None = None,
) -> tuple[Attribution, ...]: ...
def cite(
    claims: str | list[str] | tuple[str, ...],
    *,
    library: str | None = None,
    model: Any = None,
    base_url: str | None = None,
    k: int = 3,
    where: str | None = None,
) -> Attribution | tuple[Attribution, ...]:
    """What the `k` best papers say on a claim: `supporting` ones, `differing` ones, with quotes; on each of several claims.

    A `model` is asked where no paper surely supports a claim: whether the nearest do, in other words than the claim's.

    >>> cite("S4 generates 60 times faster than Transformers").supporting[0].key
    'efficiently-005efae14363'
    """
    wanted = [claims] if isinstance(claims, str) else list(claims)
    if k < 1:
        raise UsageError(f"k={k} is no number of papers; give 1 or more")
    found = _assistant(library, "extractive" if model is None else model, base_url, None).cite(
        wanted, k, _filter(where)
    )
    return found[0] if isinstance(claims, str) else found


def table(
    columns: str | list[str] | tuple[str, ...],
    *,
    papers: list[str] | tuple[str, ...] = (),
    library: str | None = None,
    model: Any = None,
    base_url: str | None = None,
    where: str | None = None,
) -> Table:
    """A row for each paper (all, or those of some ids or titles), a cell for each column: a quote of its abstract, or empty.

    `columns` are several names, or one text such as "task; data set; best result". With a `model` a cell holds the words
    that it copied from the abstract. Nothing is guessed.

    >>> table("year; data set", papers=["RepoST: Scalable Repository-Level Coding Environment Construction with Sandbox Testing"]).columns
    ('year', 'data set')
    """
    chosen = "extractive" if model is None else model  # one call a paper: never by a setting alone
    return _assistant(library, chosen, base_url, None).table(columns, _filter(where), papers=papers)[0]


def stream(
    question: str,
    *,
    library: str | None = None,
    history: Sequence[Any] = (),
    model: Any = None,
    base_url: str | None = None,
    k: int | None = None,
    prompt_tokens: int | None = None,
    where: str | None = None,
) -> Stream:
    """The answer as an iterable of whole, already verified sentences; use it in a `with`."""
    return Stream(
        lambda: _assistant(library, model, base_url, k, prompt_tokens).stream(question, history, where=_filter(where))
    )


def add(
    paths: str | Path | Iterable[str | Path],
    *,
    library: str | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    dry_run: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Added:
    """Read files, folders and archives into a library of your own, made if it is not there; what became of each record.

    A text such as "doi:10.1000/xyz", "arxiv:2205.14135" or "pmid:12345" is fetched from its public service;
    "zotero:" and "zotero:COLLECTION" read Zotero's database.
    `format` (such as "ris") overrides what the content says, `columns` says what a field is called in a table
    or JSON ({"title": "Headline"}), `dry_run` stores nothing, `progress` is told (stage, done, of how many).
    Raises ReadError when no paper could be read at all.
    """
    from pathlib import Path

    from rag.library.changes import add as added
    from rag.library.embed import open_embedder
    from rag.readers import Way
    from rag.settings import load

    name = load(library=str(library) if library is not None else None, model="extractive").library
    if name is None:
        raise UsageError("the shipped library is never changed", Remedy.NAME_LIBRARY)
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    report = added(files, name, open_embedder(), Way(format, columns or {}), dry_run=dry_run, progress=progress)
    if report.problem:
        raise report.problem
    return report


def open_library(name: str | None = None) -> Library:
    """The library of that name or path; None is the shipped one, which is built if need be."""
    from rag.answering.opening import open_library
    from rag.library.embed import open_embedder

    return open_library(name, open_embedder())


class Stream:
    """Sentences of one answer as they pass their check; `"".join(stream) == stream.answer.text`.

    Nothing is done before it is iterated. Leaving the `with` stops what is still under way.
    """

    def __init__(self, work: Callable[[], Generator[str, None, Answer]]) -> None:
        self._work = work
        self._told: Generator[str, None, Answer] | None = None
        self._pieces: list[str] = []
        self._answer: Answer | None = None

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        if self._told:
            self._told.close()

    def __iter__(self) -> Iterator[str]:
        at = 0
        while at < len(self._pieces) or self._another():
            yield self._pieces[at]
            at += 1

    @property
    def answer(self) -> Answer:
        """The whole Answer, waited for if need be. Raises UsageError when the stream was left before its end."""
        while self._another():
            pass
        if self._answer is None:
            raise UsageError("the stream was left before its end; ask for its answer inside the with")
        return self._answer

    def _another(self) -> bool:
        """Is there one more piece?"""
        if self._answer is not None:
            return False
        self._told = self._told or self._work()
        try:
            piece = next(self._told)
        except StopIteration as end:
            self._answer = end.value
            return False
        if piece:
            self._pieces.append(piece)
        return bool(piece) or self._another()


def _filter(where: str | None) -> Filter:
    from rag.filters import ALL, parse

    return ALL if where is None else parse(where)


def _assistant(
    library: str | None, model: Any, base_url: str | None, k: int | None, prompt_tokens: int | None = None
) -> Assistant:
    from os import PathLike, fspath

    from rag.answering.opening import shared_assistant
    from rag.settings import load

    model = fspath(model) if isinstance(model, PathLike) else model
    name = model if isinstance(model, str) else None
    named = str(library) if library is not None else None
    settings = load(library=named, model=name, base_url=base_url, k=k, prompt_tokens=prompt_tokens)
    return shared_assistant(settings, None if isinstance(model, str) else model)
