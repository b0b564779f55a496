"""The online half, in order.

    question -followup-> query -retrieve-> hits -rerank-> evidence -synthesize-> draft -verify-> Answer

Here are the doors; `finding` goes from a question to its evidence, `writing` from there to the Answer. They alone know
the order of the stages: each gets the value before it and the callables or numbers that it needs, and is timed.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

from rag import filters
from rag.answering import batch
from rag.answering.case import Calls, Case, Clock, last
from rag.answering.columns import columns as columned
from rag.answering.finding import Finding
from rag.answering.judge import Asserted, Opinion, opinion
from rag.answering.plain import Plain
from rag.answering.question import accepted
from rag.answering.reading import Reads
from rag.answering.search import Search
from rag.answering.shape import asking
from rag.answering.survey import CellReader, Progress, Survey
from rag.answering.writing import Writing
from rag.attributed import Attribution
from rag.errors import RagError, UsageError
from rag.filters import ALL, Filter
from rag.library.embed import Embedder
from rag.library.reader import Reader
from rag.library.store import Library
from rag.models.chat import ChatModel
from rag.models.tokens import counter
from rag.prompting import fitting
from rag.records import EXTRACTIVE, Answer, Explained, Hit, Paper
from rag.settings import Settings
from rag.tabulated import Table

_log = logging.getLogger(__name__)


class Assistant:
    """A library, its embedder and perhaps chat models, one that writes and one that judges. Thread-safe for reading."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        embedder: Embedder,
        model: ChatModel | None = None,
        judge: ChatModel | None = None,
        reader: Reader | None = None,
    ) -> None:
        """`reader` reads the first papers of a question; without it the signals alone decide."""
        self.settings = settings
        self._model, self._judge = model, judge
        reading = Reads(reader, settings.papers_read) if reader and settings.papers_read else None
        search = Search(library, embedder, pool=settings.pool, dense_weight=settings.dense_weight, reading=reading)
        self._over(library, search)

    def _over(self, library: Library, search: Search) -> None:
        """Take what works on one state of a library."""
        settings = self.settings
        self.library, self._search, self._survey = library, search, Survey(library, search)
        plain = Plain(settings, library, search)
        self._finding = Finding(settings, library, search, plain)
        self._writing = Writing(
            settings, library, search, plain, self._finding, self._model, self._judge, lambda: self.run
        )

    def under(self, settings: Settings, model: ChatModel | None, judge: ChatModel | None) -> Assistant:
        """An assistant over the same open library, with other numbers and models; closing one closes both."""
        found = copy(self)
        found.settings, found._model, found._judge = settings, model, judge
        found._over(self.library, self._search)
        return found

    @property
    def model(self) -> str:
        """The chat model's name, or "extractive"."""
        return self._model.name if self._model else EXTRACTIVE

    @property
    def run(self) -> str:
        """12 hex digits that change with settings, prompts, models and library."""
        judged = f" judged by {self._judge.name}" if self._judge else ""
        made_by = "\0".join([self.settings.fingerprint, self.model + judged, self.library.fingerprint])
        return hashlib.sha256(made_by.encode()).hexdigest()[:12]

    def close(self) -> None:
        """Let go of the library's files."""
        self._search.close()
        self.library.close()

    # --- doors ----------------------------------------------------------------------------------

    def search(self, query: str, k: int, where: Filter = ALL) -> tuple[Hit, ...]:
        """The best `k` papers for a query, best first. Raises UsageError for a query that is none."""
        with self._still() as still:
            return still._search.search(query, k, where)

    def explain(self, query: str, k: int, where: Filter = ALL) -> tuple[Explained, ...]:
        """`search`, each hit with why it ranks where it does."""
        with self._still() as still:
            return still._search.explain(query, k, where)

    def like(self, paper: Paper, k: int, where: Filter = ALL) -> tuple[Hit, ...]:
        """The `k` papers nearest to a paper of this or another library, without itself."""
        with self._still() as still:
            return still._search.like(paper, k, where)

    def cite(
        self, claims: Sequence[str], k: int, where: Filter = ALL, *, keep: bool = False
    ) -> tuple[Attribution, ...]:
        """For each claim the best `k` papers, each with what it says on it. Raises UsageError for what is no claim.

        With `keep`, the reason of a paper says that a chat model believes it though what it copied does not stand there.
        """
        wanted = [accepted(claim, "claim") for claim in claims]
        with self._still() as still:
            return still._survey.cite(wanted, k, still._search.selected(where), self._opinion(), keep=keep)

    def check(self, claims: Sequence[tuple[str, Sequence[Paper]]]) -> tuple[Attribution, ...]:
        """What papers of the library say on claims, for each claim its own papers, in their order."""
        with self._still() as still:
            return still._survey.check(claims)

    def table(
        self,
        columns: str | Sequence[str],
        where: Filter = ALL,
        *,
        papers: Sequence[str] = (),
        most: int | None = None,
        keep: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Table, int]:
        """A row for each paper, or for those named, of at most the first `most`; on how many the chat model failed.

        `columns` are several names, or one text with semicolons between them. With `keep`, a cell has what the chat
        model wrote though it does not stand in the abstract, and no quote. Raises UsageError, PaperNotFound, and
        ModelError when the model fails at once.
        """
        asked = columned(columns)
        with self._still() as still:
            within = still._search.selected(where)
            chosen = list(dict.fromkeys(map(still.library.paper, papers))) or list(still.library)
            kept = [paper for paper in chosen if within is None or paper.id in within.ids][:most]
            reader = self._reader(keep)
            return still._survey.table(asked, kept, reader, progress), reader.failed if reader else 0

    def _opinion(self) -> Callable[[Asserted], Opinion] | None:
        """Whom a claim that is only near to a paper is shown, with that paper: the chat model, if there is one.

        A judge that is another model must agree.
        """
        if not (model := self._model):
            return None
        prompt, room = self.settings.prompt("judge"), self._room()

        def asked(said: Asserted) -> Opinion:
            shown = said._replace(quotes=tuple(room(said.quotes)))
            found = opinion(shown, prompt, Calls(self.settings.deadline, None).to(model))
            if not (found.supported and self._judge) or self._judge is model:
                return found
            second = opinion(shown, prompt, Calls(self.settings.deadline, None).to(self._judge))
            return found if second.supported else second

        return asked

    def _reader(self, keep: bool) -> CellReader | None:
        """What reads cells with the chat model, each abstract within its own deadline."""
        if not (model := self._model):
            return None
        judge = self._judge

        def agrees(said: Asserted) -> bool:
            asked = Calls(self.settings.deadline, None)
            return not judge or opinion(said, self.settings.prompt("judge"), asked.to(judge)).supported is not False

        calls = partial(Calls, self.settings.deadline, None)
        return CellReader(self.settings.prompt("table"), lambda: calls().to(model), self._room(), agrees, keep=keep)

    def _room(self) -> Callable[[Sequence[str]], Sequence[str]]:
        """The first sentences of an abstract that a model is shown alone: as many as its room in a prompt allows."""
        if self.settings.prompt_tokens is None:
            return lambda said: said
        return partial(fitting, tokens=self.settings.prompt_tokens, count=counter())

    def answer(
        self,
        question: str,
        history: Sequence[Any] = (),
        *,
        where: Filter = ALL,
        cancelled: Callable[[], bool] | None = None,
    ) -> Answer:
        """Answer a question. `history` holds Answers, their dicts or (question, text) pairs.

        Only papers that `where` and the filter in the question admit are looked at.

        Raises UsageError for a question that is none, ModelError when the chat model fails,
        Cancelled between two stages once `cancelled()` is true.
        """
        return last(self._told(question, history, where, cancelled, piecemeal=False))

    def stream(
        self,
        question: str,
        history: Sequence[Any] = (),
        *,
        where: Filter = ALL,
        cancelled: Callable[[], bool] | None = None,
        stage: Callable[[str], None] | None = None,
        numbers: Mapping[int, Paper] | None = None,
    ) -> Generator[str, None, Answer]:
        """`answer`, whose text comes in pieces, whole sentences that passed their check; its value is the Answer.

        `stage` is told the name of each stage as it begins. `numbers` are those that papers bear beside the ones
        cited in `history`: no other paper gets them.
        """
        return self._told(question, history, where, cancelled, stage=stage, piecemeal=True, numbers=numbers or {})

    def answer_many(
        self, questions: Sequence[str], *, where: Filter = ALL, cancelled: Callable[[], bool] | None = None
    ) -> tuple[Answer | RagError, ...]:
        """An answer to each of several questions that know nothing of each other, or the error that it ended with.

        They are embedded together. Questions that lead to the same papers share calls of the chat model,
        in several orders, and the drafts vote (see `rag.answering.batch`).
        """
        taken = [_accepted(question) for question in questions]
        with self._still() as still:
            answers = iter(still._answered([one for one in taken if isinstance(one, str)], where, cancelled))
            return tuple(next(answers) if isinstance(one, str) else one for one in taken)

    def _answered(
        self, wanted: Sequence[str], where: Filter, cancelled: Callable[[], bool] | None
    ) -> tuple[Answer | RagError, ...]:
        self._search.encode(self._search.respelled(asking(filters.split(question).text)) for question in wanted)
        cases = [self._finding.prepared(question, where, (), Clock(cancelled)) for question in wanted]
        begin: Callable[[Case], Case] = partial(Case.begun, seconds=self.settings.deadline)
        if not self._model:
            return tuple(batch.tried(self._writing.alone, begin(case)) for case in cases)
        return batch.answers(
            cases,
            lambda case: [evidence.paper.id for evidence in case.evidence],
            begin=begin,
            alone=self._writing.alone,
            ask=self._writing.drafted_together,
            vote=self._writing.voted,
        )

    # --- the order ------------------------------------------------------------------------------

    def _told(
        self,
        question: str,
        history: Sequence[Any],
        where: Filter,
        cancelled: Callable[[], bool] | None,
        *,
        stage: Callable[[str], None] | None = None,
        piecemeal: bool,
        numbers: Mapping[int, Paper] = {},
    ) -> Generator[str, None, Answer]:
        wanted = accepted(question)
        with self._still() as still:
            case = still._finding.prepared(wanted, where, history, Clock(cancelled, stage))
            listed = {paper.id: number for number, paper in numbers.items()}
            case = replace(
                still._finding.planned(case, still._model), piecemeal=piecemeal, numbers=listed | case.numbers
            )
            answer = yield from still._writing.written(case)
            _log.debug(
                "%s by %s in %.2f s, %d citations, run %s",
                answer.status, answer.model, sum(answer.seconds.values()), len(answer.citations), answer.run,
            )  # fmt: skip
            return answer

    @contextmanager
    def _still(self) -> Iterator[Assistant]:
        """The assistant over the library as it is now: one answer rests on one state, whatever is written meanwhile."""
        with self.library.snapshot() as library:
            found = copy(self)
            found._over(library, self._search.over(library))
            yield found


def _accepted(question: str) -> str | UsageError:
    try:
        return accepted(question)
    except UsageError as error:
        return error
