"""What can be asked of one library with one choice of models: the order of words is here, the work is the assistant's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from rag.attributed import Attribution
from rag.errors import RagError, UsageError
from rag.hits import Hits
from rag.records import Answer
from rag.tabulated import Table

if TYPE_CHECKING:
    from rag.answering.assistant import Assistant
    from rag.filters import Filter
    from rag.settings import Settings


class Options(NamedTuple):
    """How questions are answered: `rag.Library.open` says what each means; None is not said."""

    model: Any = None
    base_url: str | None = None
    judge: Any = None
    k: int | None = None
    deadline: float | None = None
    prompt_tokens: int | None = None
    keep_unverified: bool = False

    def settings(self, library: object) -> Settings:
        """With what the environment and the settings file say. Raises UsageError."""
        from rag.settings import load

        numbers = {"k": self.k, "deadline": self.deadline, "prompt_tokens": self.prompt_tokens}
        named = {"model": named_model(self.model), "judge": named_model(self.judge), "base_url": self.base_url}
        found = load(library=None if library is None else str(library), **numbers, **named)
        if self.judge is not None and not found.model and self.objects[0] is None:
            raise UsageError('judge looks at what a chat model wrote; give a model, too: model="NAME"')
        return found

    @property
    def objects(self) -> tuple[Any, Any]:
        """(model, judge) where they are objects, else None."""
        return tuple(None if named_model(one) is not None else one for one in (self.model, self.judge))  # type: ignore[return-value]


def named_model(model: Any) -> str | None:
    """A model's name, or the file it is in; None for an object, or none."""
    from os import PathLike, fspath

    return model if isinstance(model, str) else str(fspath(model)) if isinstance(model, PathLike) else None


class Asking:
    """Questions to one library. `opened` gives the assistant for them, the same each time."""

    def __init__(self, opened: Callable[[], Assistant], keep_unverified: bool = False) -> None:
        self._opened, self._keep = opened, keep_unverified

    def ask(self, question: str, *, history: Sequence[Any] = (), where: str | None = None) -> Answer:
        """Answer a question; `rag.answer` says what `history` and `where` may be and what is raised.

        >>> with rag.Library.open() as library:
        ...     library.ask("Which attention is IO-aware?").status
        'answered'
        """
        return self._asked(question, history, where, None)

    async def aask(self, question: str, *, history: Sequence[Any] = (), where: str | None = None) -> Answer:
        """`ask` in a thread. Cancelling the task stops the work before its next stage."""
        import asyncio
        import threading

        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._asked, question, history, where, stop.is_set)
        except asyncio.CancelledError:
            stop.set()
            raise

    def ask_many(self, questions: Sequence[str], *, where: str | None = None) -> tuple[Answer | RagError, ...]:
        """An Answer, or the error it ended with, for each question, in their order; see `rag.answer_many`."""
        if isinstance(questions, str):
            raise UsageError("questions is one text, not a list of them; give [question]")
        answers = self._opened().answer_many(questions, where=filtered(where))
        return tuple(one if isinstance(one, RagError) else self._told(one) for one in answers)

    def stream(self, question: str, *, history: Sequence[Any] = (), where: str | None = None) -> Stream:
        """The answer as an iterable of whole, already verified sentences; use it in a `with`."""
        return Stream(lambda: self._pieces(question, history, where, None))

    def astream(self, question: str, *, history: Sequence[Any] = (), where: str | None = None) -> AsyncStream:
        """`stream` for asyncio; use it in an `async with`."""
        return AsyncStream(lambda cancelled: self._pieces(question, history, where, cancelled))

    def search(self, query: str, *, k: int = 8, where: str | None = None) -> Hits:
        """The `k` papers nearest to a query (1 or more), best first. Raises UsageError for a query that is none."""
        return Hits(self._opened().search(query, papers_asked(k), filtered(where)))

    @overload
    def cite(self, claims: str, *, k: int = 3, where: str | None = None) -> Attribution: ...
    @overload
    def cite(
        self, claims: list[str] | tuple[str, ...], *, k: int = 3, where: str | None = None
    ) -> tuple[Attribution, ...]: ...
    def cite(
        self, claims: str | list[str] | tuple[str, ...], *, k: int = 3, where: str | None = None
    ) -> Attribution | tuple[Attribution, ...]:
        """What the `k` best papers say on a claim, or on each of several; see `rag.cite`."""
        wanted = [claims] if isinstance(claims, str) else list(claims)
        found = self._opened().cite(wanted, papers_asked(k), filtered(where), keep=self._keep)
        return found[0] if isinstance(claims, str) else found

    def table(
        self,
        columns: str | list[str] | tuple[str, ...],
        *,
        papers: list[str] | tuple[str, ...] = (),
        where: str | None = None,
    ) -> Table:
        """A row a paper, a cell for each column; see `rag.table`."""
        return self._opened().table(columns, filtered(where), papers=papers, keep=self._keep)[0]

    def _asked(
        self, question: str, history: Sequence[Any], where: str | None, cancelled: Callable[[], bool] | None
    ) -> Answer:
        return self._told(self._opened().answer(question, history, where=filtered(where), cancelled=cancelled))

    def _pieces(
        self, question: str, history: Sequence[Any], where: str | None, cancelled: Callable[[], bool] | None
    ) -> Generator[str, None, Answer]:
        told = self._opened().stream(question, history, where=filtered(where), cancelled=cancelled)
        answer = yield from told
        kept = self._told(answer)
        if kept is not answer:
            yield kept.text[len(answer.text) :]
        return kept

    def _told(self, answer: Answer) -> Answer:
        """The answer; with what was taken out after it, if that is to be kept."""
        from rag.show.render import struck

        if not (self._keep and answer.removed):
            return answer
        return replace(answer, text="\n\n".join([answer.text, "\n".join(struck(answer))]))


def filtered(where: str | None) -> Filter:
    """The filter that a text says; None is none. Raises UsageError."""
    from rag.filters import ALL, parse

    return ALL if where is None else parse(where)


def papers_asked(k: int) -> int:
    """How many papers are wanted. Raises UsageError for what is no such number."""
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise UsageError(f"k={k!r} is no number of papers; give 1 or more")
    return k


class Stream:
    """Sentences of one answer as they pass their check; `"".join(stream) == stream.answer.text`.

    Nothing is done before it is iterated. Leaving the `with` stops what is still under way.

    >>> with rag.stream("Which attention is IO-aware?") as pieces:
    ...     text = "".join(pieces)
    >>> pieces.answer.text == text
    True
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

    def __repr__(self) -> str:
        return _told_so_far(self, self._pieces, self._answer)

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


class AsyncStream:
    """`Stream` for asyncio: `async for` gives its sentences, `answer` the whole once they are all there.

    The work is done in a thread. Leaving the `async with`, or cancelling the task, stops it before its next stage, or
    while it waits for a model; nothing of it runs on afterwards. One task may iterate it, once.

    >>> import asyncio
    >>> async def told():
    ...     async with rag.astream("Which attention is IO-aware?") as pieces:
    ...         return (await pieces.finish()).status
    >>> asyncio.run(told())
    'answered'
    """

    def __init__(self, work: Callable[[Callable[[], bool]], Generator[str, None, Answer]]) -> None:
        import threading

        self._work, self._stop = work, threading.Event()
        self._pieces: list[str] = []
        self._answer: Answer | None = None
        self._running: Any = None
        self._box: Any = None

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        import asyncio

        self._stop.set()
        if self._running:
            await asyncio.wait([self._running])

    def __repr__(self) -> str:
        return _told_so_far(self, self._pieces, self._answer)

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if self._answer is not None or self._stop.is_set():
            raise StopAsyncIteration
        self._begin()
        piece, end, error = await self._box.get()
        if error or end:
            self._answer = end
            self._stop.set()
            raise error or StopAsyncIteration
        self._pieces.append(piece)
        return str(piece)

    async def finish(self) -> Answer:
        """The whole Answer, with what is still to come waited for. Raises what `rag.answer` raises."""
        async for _ in self:
            pass
        return self.answer

    @property
    def answer(self) -> Answer:
        """The whole Answer. Raises UsageError while sentences are still to come, or when it was left before them."""
        if self._answer is None:
            raise UsageError("the stream is not at its end; iterate it, or: await pieces.finish()")
        return self._answer

    def _begin(self) -> None:
        import asyncio

        if self._running is None:
            loop, self._box = asyncio.get_running_loop(), asyncio.Queue()
            put = self._box.put_nowait
            work = asyncio.to_thread(self._run, lambda *told: loop.call_soon_threadsafe(put, told))
            self._running = asyncio.ensure_future(work)

    def _run(self, tell: Callable[[str, Answer | None, Exception | None], object]) -> None:
        """Tells each piece, then the whole answer or the error it ended with."""
        try:
            told = self._work(self._stop.is_set)
            while not self._stop.is_set():
                if piece := next(told):
                    tell(piece, None, None)
            told.close()
        except StopIteration as end:
            tell("", end.value, None)
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            tell("", None, error)


def _told_so_far(stream: object, pieces: Sequence[str], answer: Answer | None) -> str:
    return f"{type(stream).__name__}({len(pieces)} pieces, {answer.status if answer else 'not at its end'})"
