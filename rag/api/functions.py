"""The functions that `import rag` gives: each asks a library that stays open for the next call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from rag.api.asking import Asking, AsyncStream, Options, Stream
from rag.api.library import Files, Library, Progress, added, opened_store
from rag.attributed import Attribution
from rag.errors import RagError
from rag.hits import Hits
from rag.records import Answer
from rag.tabulated import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rag.library.backup import Backup
    from rag.library.report import Added


def answer(
    question: str,
    *,
    library: str | Path | None = None,
    history: Sequence[Any] = (),
    model: Any = None,
    base_url: str | None = None,
    judge: Any = None,
    k: int | None = None,
    deadline: float | None = None,
    prompt_tokens: int | None = None,
    keep_unverified: bool = False,
    where: str | None = None,
) -> Answer:
    """Answer a question from a library's abstracts. Works where an event loop already runs, too.

    question   1 to 8,000 characters; it may hold a filter, such as year>=2023
    library    a path, a name, or None: what RAG_LIBRARY or the settings file names, else the shipped abstracts
    history    earlier turns, oldest first: Answers, their dicts, (question, text) pairs, or messages
               {"role": "user" or "assistant", "content": text}; Answers keep the numbers of their papers
    where      which papers may be looked at, such as 'year>=2023 author:"Jane Smith"'; see `rag.filters`

    The others as in `Library.open`. Raises UsageError for what is no question or a wrong value, LibraryError (and its
    kinds) for a library that cannot be read, ModelError when the chat model fails; all are RagErrors of one line.

    >>> a = answer("Which sequence model first solved Path-X?")
    >>> a.status, a.citations[0].number
    ('answered', 1)
    >>> messages = [{"role": "user", "content": a.question}, {"role": "assistant", "content": a.text}]
    >>> answer("And what does FlashAttention reduce?", history=messages).status
    'answered'
    """
    options = Options(model, base_url, judge, k, deadline, prompt_tokens, keep_unverified)
    return _asking(library, options).ask(question, history=history, where=where)


async def aanswer(
    question: str,
    *,
    library: str | Path | None = None,
    history: Sequence[Any] = (),
    model: Any = None,
    base_url: str | None = None,
    judge: Any = None,
    k: int | None = None,
    deadline: float | None = None,
    prompt_tokens: int | None = None,
    keep_unverified: bool = False,
    where: str | None = None,
) -> Answer:
    """`answer` in a thread. Cancelling the task stops the work before its next stage.

    >>> import asyncio
    >>> asyncio.run(aanswer("Who made Stim?")).status
    'partial'
    """
    options = Options(model, base_url, judge, k, deadline, prompt_tokens, keep_unverified)
    return await _asking(library, options).aask(question, history=history, where=where)


def answer_many(
    questions: Sequence[str],
    *,
    library: str | Path | None = None,
    model: Any = None,
    base_url: str | None = None,
    judge: Any = None,
    k: int | None = None,
    deadline: float | None = None,
    prompt_tokens: int | None = None,
    keep_unverified: bool = False,
    where: str | None = None,
) -> tuple[Answer | RagError, ...]:
    """An answer to each question, with shared work; in the place of one that failed, its error. No follow-ups.

    A text that is no question has a UsageError in its place, the others are answered; `deadline` is for each. Raises
    what `answer` raises for the library and the model's name.

    >>> [type(one).__name__ for one in answer_many(["What is PokerBench?", " "])]
    ['Answer', 'UsageError']
    """
    options = Options(model, base_url, judge, k, deadline, prompt_tokens, keep_unverified)
    return _asking(library, options).ask_many(questions, where=where)


def stream(
    question: str,
    *,
    library: str | Path | None = None,
    history: Sequence[Any] = (),
    model: Any = None,
    base_url: str | None = None,
    judge: Any = None,
    k: int | None = None,
    deadline: float | None = None,
    prompt_tokens: int | None = None,
    keep_unverified: bool = False,
    where: str | None = None,
) -> Stream:
    """The answer as an iterable of whole, already verified sentences; use it in a `with`.

    Errors are raised while it is iterated: those of `answer`.

    >>> with stream("What does FlashAttention reduce?") as pieces:
    ...     text = "".join(pieces)
    >>> text == pieces.answer.text
    True
    """
    options = Options(model, base_url, judge, k, deadline, prompt_tokens, keep_unverified)
    return _asking(library, options).stream(question, history=history, where=where)


def astream(
    question: str,
    *,
    library: str | Path | None = None,
    history: Sequence[Any] = (),
    model: Any = None,
    base_url: str | None = None,
    judge: Any = None,
    k: int | None = None,
    deadline: float | None = None,
    prompt_tokens: int | None = None,
    keep_unverified: bool = False,
    where: str | None = None,
) -> AsyncStream:
    """`stream` for asyncio; use it in an `async with`.

    >>> import asyncio
    >>> async def told():
    ...     async with astream("What does FlashAttention reduce?") as pieces:
    ...         return "".join([piece async for piece in pieces]) == pieces.answer.text
    >>> asyncio.run(told())
    True
    """
    options = Options(model, base_url, judge, k, deadline, prompt_tokens, keep_unverified)
    return _asking(library, options).astream(question, history=history, where=where)


def search(query: str, *, library: str | Path | None = None, k: int = 8, where: str | None = None) -> Hits:
    """The `k` papers nearest to a query (1 to 100), best first, each saying what found it and how.

    Raises UsageError for a query that is none, LibraryError for a library that cannot be read.

    >>> search("fast exact attention", k=1)[0].paper.title.split(":")[0]
    'FlashAttention'
    """
    return _asking(library, Options("extractive", k=k)).search(query, k=k, where=where)


@overload
def cite(
    claims: str,
    *,
    library: str | Path | None = None,
    model: Any = None,
    base_url: str | None = None,
    judge: Any = None,
    k: int = 3,
    deadline: float | None = None,
    prompt_tokens: int | None = None,
    keep_unverified: bool = False,
    where: str | None = None,
) -> Attribution: ...
@overload
def cite(
    claims: list[str] | tuple[str, ...],
    *,
    library: str | Path | None = None,
    model: Any = None,
    base_url: str | None = None,
    judge: Any = None,
    k: int = 3,
    deadline: float | None = None,
    prompt_tokens: int | None = None,
    keep_unverified: bool = False,
    where: str | None = None,
) -> tuple[Attribution, ...]: ...
def cite(
    claims: str | list[str] | tuple[str, ...],
    *,
    library: str | Path | None = None,
    model: Any = None,
    base_url: str | None = None,
    judge: Any = None,
    k: int = 3,
    deadline: float | None = None,
    prompt_tokens: int | None = None,
    keep_unverified: bool = False,
    where: str | None = None,
) -> Attribution | tuple[Attribution, ...]:
    """What the `k` best papers (1 or more) say on a claim: `supporting` ones, `differing` ones, with quotes; on each of several.

    A `model`, which must be named here, is asked where no paper surely supports a claim: whether the nearest do, in other
    words than the claim's. It is shown one abstract at a time, of which `prompt_tokens` bounds the length; `deadline` is
    for each. A `judge` that is another model must agree. `keep_unverified` has the reason of a paper say that the model
    believed it though the words it copied do not stand there. Raises UsageError for what is no claim, and what `answer` raises.

    >>> cite("RepoST-Train has 7,415 functions from 832 repositories.").supporting[0].key
    'repost-20160dca0bff'
    """
    chosen = "extractive" if model is None else model  # a call for each paper: never by a setting alone
    options = Options(chosen, base_url, judge, None, deadline, prompt_tokens, keep_unverified)
    return _asking(library, options).cite(claims, k=k, where=where)


def table(
    columns: str | list[str] | tuple[str, ...],
    *,
    papers: list[str] | tuple[str, ...] = (),
    library: str | Path | None = None,
    model: Any = None,
    base_url: str | None = None,
    judge: Any = None,
    deadline: float | None = None,
    prompt_tokens: int | None = None,
    keep_unverified: bool = False,
    where: str | None = None,
) -> Table:
    """A row for each paper (all, or those of some ids or titles), a cell for each column: a quote of its abstract, or empty.

    `columns` are several names, or one text such as "task; data set; best result". With a `model`, which must be named
    here, a cell holds the words that it copied from the abstract, of which it is shown `prompt_tokens`; `deadline` is for
    each paper. A `judge` empties cells that do not state their column. Nothing is guessed; `keep_unverified` keeps what the
    model wrote and does not stand there, without a quote. Raises UsageError, PaperNotFound, and what `answer` raises.

    >>> title = "RepoST: Scalable Repository-Level Coding Environment Construction with Sandbox Testing"
    >>> table("year; data set", papers=[title]).columns
    ('year', 'data set')
    """
    chosen = "extractive" if model is None else model  # one call a paper: never by a setting alone
    options = Options(chosen, base_url, judge, None, deadline, prompt_tokens, keep_unverified)
    return _asking(library, options).table(columns, papers=papers, where=where)


def add(
    paths: Files,
    *,
    library: str | Path | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    embedder: str | None = None,
    embed_url: str | None = None,
) -> Added:
    """Read files, folders and archives into a library of your own, made if it is not there; what became of each record.

    A text such as "doi:10.1000/xyz", "arxiv:2205.14135" or "pmid:12345" is fetched from its public service;
    "zotero:" and "zotero:COLLECTION" read Zotero's database.
    `format` (such as "ris") overrides what the content says, `columns` says what a field is called in a table
    or JSON ({"title": "Headline"}), `dry_run` stores nothing, `progress` is told (stage, done, of how many). A new
    library is embedded with the model `embedder` of the server `embed_url`; None is the shipped one.
    Raises ReadError when no paper could be read at all, UsageError, LibraryBusy while another process writes, EmbedError.

    >>> report = add(folder / "my.bib", library=folder / "mine")  # `folder` is a pathlib.Path of yours
    >>> len(report.added), [piece.kind for piece in report.skipped]
    (2, ['no abstract'])
    """
    return added(paths, Options("extractive").settings(library).library, format=format, columns=columns,
                 dry_run=dry_run, progress=progress, embedder=embedder, embed_url=embed_url)  # fmt: skip


def backup(file: str | Path, *, library: str | Path | None = None, force: bool = False) -> Backup:
    """Write a library, as it is now, to one file; what it holds. `force` replaces a file that is there.

    Raises UsageError, LibraryDamaged for a library that is not as it was written, LibraryError when it cannot be written.

    >>> backup(folder / "all.zip").papers  # `folder` is a pathlib.Path of yours
    213
    """
    from rag.library.backup import backup as backed_up

    with Library.open(library, model="extractive") as opened:
        return backed_up(opened.store, Path(file), over=force)


def restore(file: str | Path, *, library: str | Path, force: bool = False) -> Backup:
    """Make what `backup` wrote a library of your own; `force` replaces one that is there, whose file is kept beside it.

    Raises UsageError, LibraryNewer, LibraryBusy, or LibraryError for what is no whole backup: nothing is changed then.

    >>> held = backup(folder / "all.zip")  # `folder` is a pathlib.Path of yours
    >>> restore(folder / "all.zip", library=folder / "again") == held
    True
    """
    from rag.library.backup import restore as restored

    return restored(Path(file), str(library), over=force)


def open_library(name: str | Path | None = None) -> Library:
    """`Library.open`, but None is always the shipped library, which is built if need be.

    >>> with open_library() as library:
    ...     len(library)
    213
    """
    named = None if name is None else str(name)
    return Library(named, opened_store(named), Options())


def _asking(library: str | Path | None, options: Options) -> Asking:
    from rag.answering.opening import shared_assistant

    return Asking(lambda: shared_assistant(options.settings(library), *options.objects), options.keep_unverified)
