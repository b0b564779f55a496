"""The online half, in order; the only module that knows it.

    question -followup-> query -retrieve-> hits -rerank-> evidence -synthesize-> draft -verify-> Answer

Each stage gets the value before it and the callables or numbers it needs; this module hands them
over, times them, and turns the outcome into an Answer. When nothing of a chat model's draft
survives `verify`, the extractive answer takes its place, and `Answer.model` says so.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from rag import filters
from rag.answering import batch, followup
from rag.answering.judge import Asserted, Opinion, opinions
from rag.answering.judge import asking as judging
from rag.answering.relevance import Asked, Matched, Scored, asked, match_sentences, score_sentences
from rag.answering.rerank import covered, explain, gather, rerank
from rag.answering.retrieve import retrieve
from rag.answering.shape import Shape, asking, shape
from rag.answering.synthesize import Part, confirm, extract, write, write_together
from rag.answering.verify import Judge, Verified, Verifier, by_support, verify
from rag.answering.wording import in_words_of, nothing_selected, refusal, unanswered
from rag.errors import Cancelled, LibraryError, RagError, UsageError
from rag.filters import ALL, Filter, Selected
from rag.library import build
from rag.library.dense import DenseSearch
from rag.library.embed import Embedder, open_embedder
from rag.library.store import Library
from rag.models.chat import ChatModel, open_chat, saying
from rag.models.deadline import Deadline
from rag.models.tokens import counter
from rag.records import (
    EXTRACTIVE,
    Answer,
    Claim,
    Draft,
    Evidence,
    Explained,
    FrozenMap,
    Hit,
    Marked,
    Paper,
    Sentence,
    Status,
    Traced,
    Usage,
)
from rag.remedies import Remedy
from rag.settings import SAME, Settings
from rag.text import printable, readable

if TYPE_CHECKING:
    import numpy as np

LONGEST_QUESTION = 8000  # characters; a longer text is a document, not a question
SECOND = 3  # sentences without support that are searched again, and papers looked at for each
SHARED = 8  # assistants one process keeps open
CONSIDERED = 20  # papers whose sentences are looked at (for an answer from more than 10, twice as many)
LIST_PAPERS = 12  # papers a list may name, at least
FIRST = 5  # papers that say how well the library fits a follow-up taken by itself
OWN_SHARE = 0.6  # of a follow-up's own vector in that of what it asks
QUOTED_SHARE = 0.8  # of the score of a sentence quoted before
BEST = 2  # papers shown to a model that found no answer among more
AT_ONCE = 4  # questions of a batch that a chat model is asked at the same time


Within = Selected | None  # the papers that may be looked at; None is all


class Assistant:
    """A library, its embedder and perhaps a chat model, ready for questions. Thread-safe for reading."""

    def __init__(self, settings: Settings, library: Library, embedder: Embedder, model: Any = None) -> None:
        self.settings = settings
        self.library = library
        self.embedder = embedder
        self._dense = DenseSearch(library)
        self._known: dict[str, np.ndarray] = {}
        chosen = model if model is not None else settings.model
        self._model = None if chosen is None or chosen == EXTRACTIVE else self._chat(chosen)
        self._judge = None
        if self._model and settings.judge:
            self._judge = self._model if settings.judge == SAME else self._chat(settings.judge)

    @property
    def model(self) -> str:
        """The chat model's name, or "extractive"."""
        return self._model.name if self._model else EXTRACTIVE

    def close(self) -> None:
        """Let go of the library's files."""
        self._dense.close()
        self.library.close()

    def _chat(self, model: Any) -> ChatModel:
        of = self.settings
        return open_chat(model, of.base_url, reply_tokens=of.reply_tokens, temperature=of.temperature)

    # --- doors ----------------------------------------------------------------------------------

    def search(self, query: str, k: int, where: Filter = ALL) -> tuple[Hit, ...]:
        """The best `k` papers for a query, best first. Raises UsageError for a query that is none."""
        return self._searched(query, k, where).hits[:k]

    def explain(self, query: str, k: int, where: Filter = ALL) -> tuple[Explained, ...]:
        """`search`, each hit with why it ranks where it does."""
        found = self._searched(query, k, where)
        return tuple(explain(hit, found.asked, found.near(hit.paper)) for hit in found.hits[:k])

    def like(self, paper: Paper, k: int, where: Filter = ALL) -> tuple[Hit, ...]:
        """The `k` papers nearest to a paper of this or another library, without itself."""
        text = printable(f"{readable(paper.title)}. {readable(paper.abstract)}")[:LONGEST_QUESTION]
        found = self._ranked(text, self._selected(where), at_least=k + 1)
        return tuple(hit for hit in found.hits if hit.paper.id != paper.id)[:k]

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
        return _last(self._told(question, history, where, cancelled, piecemeal=False))

    def stream(
        self,
        question: str,
        history: Sequence[Any] = (),
        *,
        where: Filter = ALL,
        cancelled: Callable[[], bool] | None = None,
        stage: Callable[[str], None] | None = None,
    ) -> Generator[str, None, Answer]:
        """`answer`, whose text comes in pieces, whole sentences that passed their check; its value is the Answer.

        `stage` is told the name of each stage as it begins.
        """
        return self._told(question, history, where, cancelled, stage=stage, piecemeal=True)

    def _told(
        self,
        question: str,
        history: Sequence[Any],
        where: Filter,
        cancelled: Callable[[], bool] | None,
        *,
        stage: Callable[[str], None] | None = None,
        piecemeal: bool,
    ) -> Generator[str, None, Answer]:
        case = self._prepared(checked(question), where, history, _Clock(cancelled, stage))
        case = replace(case, piecemeal=piecemeal)
        return (yield from self._told_from(case, self._draft(case)))

    def answer_many(
        self, questions: Sequence[str], *, where: Filter = ALL, cancelled: Callable[[], bool] | None = None
    ) -> tuple[Answer | RagError, ...]:
        """An answer to each of several questions that know nothing of each other, or the error that it ended with.

        They are embedded together. Questions that lead to the same papers share calls of the chat model,
        in several orders, and the drafts vote (see `rag.answering.batch`). Raises UsageError for what is no question.
        """
        asked = [checked(question) for question in questions]
        self._encoded(self._respelled(asking(filters.split(question).text)) for question in asked)
        cases = [self._prepared(question, where, (), _Clock(cancelled, None)) for question in asked]
        if not self._model:
            return tuple(self._alone(case) for case in cases)
        shown = [[evidence.paper.id for evidence in case.evidence] for case in cases]
        found: dict[int, Answer | RagError] = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            members = batch.groups(shown)
            for group, answers in zip(
                members, pool.map(lambda g: self._together([cases[m] for m in g]), members), strict=True
            ):
                found.update(zip(group, answers, strict=True))
        return tuple(found[at] for at in range(len(cases)))

    def _alone(self, case: _Case) -> Answer | RagError:
        case = case.begun(self.settings.deadline)
        try:
            return _last(self._told_from(case, self._draft(case)))
        except Cancelled:
            raise
        except RagError as error:
            return error

    def _together(self, cases: Sequence[_Case]) -> list[Answer | RagError]:
        """Answers to questions that share a prompt. Who is left without a draft is asked alone."""
        if len(cases) == 1:
            return [self._alone(cases[0])]
        cases = [case.begun(self.settings.deadline) for case in cases]
        drafts: list[list[Draft]] = [[] for _ in cases]
        try:
            for order in batch.orders(len(cases)):
                for at, draft in zip(order, self._round([cases[at] for at in order]), strict=True):
                    drafts[at] += [draft] if draft else []
        except Cancelled:
            raise
        except RagError as error:
            return [error] * len(cases)
        return [self._elected(case, own) if own else self._alone(case) for case, own in zip(cases, drafts, strict=True)]

    def _round(self, cases: Sequence[_Case]) -> list[Draft | None]:
        """One call for all; what it cost is written down with the first of them."""
        assert self._model
        union = {evidence.paper: evidence for case in cases for evidence in case.evidence}
        prompt, room = self.settings.prompt("together"), self.settings.prompt_tokens
        ask = partial(self._model.ask, deadline=cases[0].deadline)
        queries, model = [case.query for case in cases], self._model.name
        drafts, usage = write_together(
            queries, tuple(union.values()), prompt, ask, model=model, tokens=room, count=counter()
        )
        cases[0].spent.append(usage)
        return drafts

    def _elected(self, case: _Case, drafts: Sequence[Draft]) -> Answer:
        """The answer by the draft that the others agree with; by one that holds nothing if most do."""
        judge = self._by_support()
        held = [verify(draft, judge=judge, numbers={}).claims for draft in drafts]
        best = batch.elected(held)
        if best is None:
            best = next((at for at, claims in enumerate(held) if not claims), 0)
        return _last(self._told_from(case, _sentences_of(drafts[best]), drafts[best].passages))

    def _prepared(self, question: str, where: Filter, history: Sequence[Any], clock: _Clock) -> _Case:
        """The question with its evidence."""
        deadline, spent = Deadline(self.settings.deadline, clock.cancelled), list[Usage]()
        with clock("followup"):
            turns, (own, within) = followup.turns(history), self._parted(question, where)
            query = followup.resolve(self._respelled(asking(own)), turns, partial(self._fits, within))
            query = self._reworded(query, turns, deadline, spent)
        with clock("retrieve"):
            vector = self._vector(query.text)
            hits = self._retrieve(query.text, vector, within, self.settings.pool)
            hits = tuple(hit for hit in hits if hit.paper.id not in query.without)
        with clock("rerank"):
            wanted, whole, evidence, sentences = self._gathered(query, vector, hits, turns)
        numbers = followup.numbers(turns)
        return _Case(
            question, own, within, query.text, hits, wanted, whole, evidence, sentences, numbers, clock, deadline, spent
        )

    def _told_from(
        self, case: _Case, written: Generator[Marked, None, Draft], passages: Sequence[Evidence] | None = None
    ) -> Generator[str, None, Answer]:
        """The rest of the way, from the sentences of a draft; their marks name `passages`, else the case's evidence."""
        verifier = self._verifier(case, case.evidence if passages is None else passages)
        draft = yield from self._checked(written, verifier, case.clock)
        if self._model and draft.status == "refused" and not verifier.text:
            draft, verifier = yield from self._asked_again(case, draft, verifier)
        if self._model:
            draft, verifier = yield from self._settled(case, draft, verifier)
        answer = self._answer(case, replace(draft, usage=sum(case.spent, draft.usage)), verifier.verified())
        yield answer.text[len(verifier.text) :]
        return answer

    # --- stages, with what they need ------------------------------------------------------------

    def _respelled(self, text: str) -> str:
        return followup.respelled(text, self.library.words.spelled)

    def _reworded(
        self, query: followup.Query, turns: Sequence[followup.Turn], deadline: Deadline, spent: list[Usage]
    ) -> followup.Query:
        if not self._model:
            return query
        ask = partial(self._model.ask, deadline=deadline)
        query, usage = followup.reworded(query, turns, self.settings.prompt("followup"), ask)
        spent.append(usage)
        return query

    def _parted(self, question: str, where: Filter) -> tuple[str, Within]:
        """A question without its filter, and the papers that this and `where` admit."""
        text, own = filters.split(question)
        return text, self._selected(where & own)

    def _selected(self, where: Filter) -> Within:
        return self.library.subsets.selected(where) if where else None

    def _fits(self, within: Within, text: str, papers: Sequence[Paper]) -> tuple[list[followup.Fit], followup.Fit]:
        """How well each of the papers fits a text, and how well the best that may be looked at."""
        found = self._ranked(text, within, also=papers)

        def fit(paper: Paper) -> followup.Fit:
            near = found.near(paper)
            return followup.Fit(max((s.cosine for s in near), default=0.0), covered(paper, found.asked, near))

        first = [fit(hit.paper) for hit in found.hits[:FIRST]]
        best = followup.Fit(max((f.cosine for f in first), default=0.0), first[0].words if first else 0.0)
        return [fit(paper) for paper in papers], best

    def _gathered(
        self, query: followup.Query, vector: np.ndarray, hits: Sequence[Hit], turns: Sequence[followup.Turn]
    ) -> tuple[Shape, Part, tuple[Evidence, ...], _Sentences]:
        """What is wanted, how well papers fit it, and the evidence for it: the hits in their final order."""
        compared, depth = self._asked(query.text, vector), max(CONSIDERED, 2 * self.settings.k)
        sentences = self._sentences([*(hit.paper for hit in hits[:depth]), *query.papers], turns)
        near = partial(sentences.matched, compared)
        ranked = rerank(hits, compared, near, depth=depth, first=query.papers)
        wanted = Shape(False, ()) if query.papers else shape(query.own)
        k = max(self.settings.k, LIST_PAPERS) if wanted.listing else self.settings.k
        focus = self._focus(query, vector) if query.own != query.text else compared
        whole = Part(focus, {hit.paper.id: hit.score for hit in ranked})
        evidence = gather(ranked, compared, near, k)
        if len(query.papers) > 1:  # they are compared: something of each, and of no other
            titles = {paper.id: readable(paper.title) for paper in query.papers}
            wanted = Shape(False, tuple(titles.values()))
            evidence = tuple(e for e in evidence if e.paper.id in titles) or evidence
            whole = Part(focus, dict.fromkeys(titles, 1.0))
        return wanted, whole, evidence, sentences

    def _focus(self, query: followup.Query, vector: np.ndarray) -> Asked:
        """What the follow-up itself asks, with what was said before as its context."""
        blend = OWN_SHARE * self._vector(query.own) + (1 - OWN_SHARE) * vector
        return self._asked(query.own, blend / float((blend @ blend) ** 0.5), query.text)

    def _vector(self, query: str) -> np.ndarray:
        known = self._known.get(query)
        vector: np.ndarray = self.embedder.encode([query])[0] if known is None else known
        return vector

    def _encoded(self, queries: Iterable[str]) -> None:
        """Embed queries together, for `_vector` to find."""
        texts = list(dict.fromkeys(queries))
        self._known = dict(zip(texts, self.embedder.encode(texts), strict=True)) if texts else {}

    def _searched(self, query: str, k: int, where: Filter) -> _Ranked:
        text, within = self._parted(checked(query), where)
        return self._ranked(self._respelled(text), within, at_least=k)

    def _retrieve(self, query: str, vector: np.ndarray, within: Within, pool: int) -> tuple[Hit, ...]:
        return retrieve(
            query,
            dense=lambda n: self._dense.nearest(vector, n, within and within.ids),
            lexical=lambda n: self.library.words.lexical(query, n, within and within.ids),
            chunks=self.library.chunks,
            pool=pool,
            dense_weight=self.settings.dense_weight,
        )

    def _ranked(self, text: str, within: Within, *, at_least: int = 0, also: Sequence[Paper] = ()) -> _Ranked:
        """The hits for a text in their final order; the sentences of papers in `also` are at hand as well."""
        vector = self._vector(text)
        question, pool = self._asked(text, vector), max(at_least, self.settings.pool)
        hits = self._retrieve(text, vector, within, pool)
        looked_at = [hit.paper for hit in hits[: max(CONSIDERED, at_least)]]
        near = partial(self._sentences([*looked_at, *also]).matched, question)
        return _Ranked(question, near, rerank(hits, question, near, depth=CONSIDERED))

    def _asked(self, query: str, vector: np.ndarray, context: str = "") -> Asked:
        return asked(query, vector, self.library.words.document_frequency, len(self.library), context=context)

    def _sentences(self, papers: Iterable[Paper], history: Sequence[followup.Turn] = ()) -> _Sentences:
        return _Sentences(self.library.sentences([paper.id for paper in papers]), followup.quoted(history))

    def _draft(self, case: _Case) -> Generator[Marked, None, Draft]:
        if self._model is None:
            return (yield from _sentences_of(self._extract(case)))
        prompt, room = self.settings.prompt("answer"), self.settings.prompt_tokens
        say = saying(self._model, case.deadline, piecemeal=case.piecemeal)
        return (
            yield from write(
                case.query, case.evidence, prompt, say, model=self._model.name, tokens=room, count=counter()
            )
        )

    def _extract(self, case: _Case) -> Draft:
        parts = [self._part(part, case.within) for part in case.wanted.parts]
        score, least = case.sentences.scored, self.settings.least_support
        return extract(case.whole, parts, case.evidence, score, listing=case.wanted.listing, least_support=least)

    def _part(self, text: str, within: Within) -> Part:
        """A part of a question, searched by itself."""
        vector = self._vector(text)
        hits = self._retrieve(text, vector, within, self.settings.pool)
        return Part(self._asked(text, vector), {hit.paper.id: hit.score for hit in hits})

    def _checked(
        self, written: Generator[Marked, None, Draft], verifier: Verifier, clock: _Clock
    ) -> Generator[str, None, Draft]:
        """What the claims add to the text, each as soon as it has passed; the value is the draft."""
        while True:
            with clock("synthesize"):
                try:
                    sentence = next(written)
                except StopIteration as end:
                    draft: Draft = end.value
                    return draft
            at = len(verifier.text)
            with clock("verify"):
                verifier.check(sentence)
            if added := verifier.text[at:]:
                yield added

    def _asked_again(
        self, case: _Case, draft: Draft, verifier: Verifier
    ) -> Generator[str, None, tuple[Draft, Verifier]]:
        """A model that found no answer, though the evidence is good, is asked once more with the best of it alone:
        small models lose sight of one passage among many.
        """
        best = case.evidence[:BEST]
        if len(best) == len(case.evidence) or best[0].score < self.settings.least_support:
            return draft, verifier
        alone, again = replace(case, evidence=best), self._verifier(case, best, failed=verifier)
        second = yield from self._checked(self._draft(alone), again, case.clock)
        usage = draft.usage + second.usage
        return replace(second, passages=case.evidence, usage=usage), again

    def _settled(self, case: _Case, draft: Draft, verifier: Verifier) -> Generator[str, None, tuple[Draft, Verifier]]:
        """The draft of a chat model that is shown, and what holds of it.

        When more of it fails than holds, what failed is searched once more. When nothing holds then, the
        abstracts' own sentences take its place; if the model found no answer, only when it says that they are one.
        """
        held = verifier.verified()
        if len(held.claims) < len(held.removed):
            at = len(verifier.text)
            with case.clock("verify"):
                more = self._more(draft, held.removed, case.within)
                verifier.again(more)
            draft = replace(draft, passages=(*draft.passages, *more))
            if added := verifier.text[at:]:
                yield added
        if verifier.text:
            return draft, verifier
        with case.clock("synthesize"):
            instead = replace(self._extract(case), usage=draft.usage)
            if draft.status == "refused" and not self._confirmed(case, instead):
                return draft, verifier
        again = self._verifier(case, instead.passages, failed=verifier)
        yield from self._checked(_sentences_of(instead), again, case.clock)
        return instead, again

    def _confirmed(self, case: _Case, draft: Draft) -> bool:
        """Does the model say that the sentences answer? Small models tell an answer that they cannot write."""
        assert self._model
        ask = partial(self._model.ask, deadline=case.deadline)
        says, usage = confirm(case.query, draft.sentences, self.settings.prompt("confirm"), ask)
        case.spent.append(usage)
        return says

    def _verifier(self, case: _Case, passages: Sequence[Evidence], failed: Verifier | None = None) -> Verifier:
        opinion = partial(self._opinion, case) if self._judge else None
        return Verifier(passages, self._by_support(), case.numbers, opinion=opinion, failed=failed)

    def _by_support(self) -> Judge:
        kept: dict[str, Sequence[Sentence]] = {}

        def sentences(paper: Paper) -> Sequence[Sentence]:
            if paper.id not in kept:
                kept[paper.id] = self.library.sentences([paper.id]).get(paper.id, ())
            return kept[paper.id]

        frequency, papers = self.library.words.document_frequency, len(self.library)
        return by_support(
            self.settings.claim_support, sentences, self.embedder.encode, frequency=frequency, papers=papers
        )

    def _opinion(self, case: _Case, claim: Asserted) -> Opinion:
        assert self._judge
        reply = self._judge.ask(*judging(self.settings.prompt("judge"), [claim]), deadline=case.deadline)
        case.spent.append(reply.usage)
        (opinion,) = opinions(reply.text, [claim])
        return opinion

    def _more(self, draft: Draft, failed: Sequence[Claim], within: Within) -> tuple[Evidence, ...]:
        """Papers not yet shown to the model that what it said without support leads to."""
        shown, found = {passage.paper for passage in draft.passages}, dict[Paper, Evidence]()
        for claim in failed[:SECOND]:
            again = self._ranked(claim.text, within)
            for evidence in gather(again.hits, again.asked, again.near, SECOND):
                found.setdefault(evidence.paper, evidence)
        return tuple(evidence for paper, evidence in found.items() if paper not in shown)

    # --- the answer -----------------------------------------------------------------------------

    def _answer(self, case: _Case, draft: Draft, verified: Verified) -> Answer:
        refused = not verified.claims
        status: Status = "refused" if refused else "partial" if draft.status == "partial" else "answered"
        text = verified.text
        if refused:
            text = self._refusal(case)
        elif status == "partial":
            text += f" {unanswered(in_words_of(case.own, draft.missing), bool(case.within))}"
        citations = dict.fromkeys(citation for claim in verified.claims for citation in claim.citations)
        model = draft.model if draft.model == self.model or not self._model else EXTRACTIVE
        return Answer(
            question=case.question,
            query=case.query,
            text=text,
            status=status,
            claims=verified.claims,
            removed=verified.removed,
            citations=tuple(citations),
            evidence=draft.passages,
            model=model,
            usage=draft.usage,
            seconds=FrozenMap(case.clock.seconds),
            trace=_trace(case.hits, draft.passages, verified),
            run=self._run(),
            where=case.within and case.within.where,
        )

    def _refusal(self, case: _Case) -> str:
        if case.within and not case.within.ids:
            return nothing_selected(self.library.subsets.nothing(filters.parse(case.within.where.text)))
        return refusal([e.paper for e in case.evidence], case.own, case.within and case.within.where)

    def _run(self) -> str:
        judged = f" judged by {self._judge.name}" if self._judge else ""
        made_by = "\0".join([self.settings.fingerprint, self.model + judged, self.library.fingerprint])
        return hashlib.sha256(made_by.encode()).hexdigest()[:12]


def open_assistant(settings: Settings, model: Any = None, progress: build.Progress | None = None) -> Assistant:
    """An assistant for the library that the settings name; the shipped one is built if need be.

    Raises LibraryError for a library that is not there, is damaged, or was made by another embedder.
    """
    embedder = open_embedder()
    library = open_library(settings.library, embedder, progress)
    if library.embedder != embedder.name:
        raise LibraryError(
            f"{library.path} was embedded with {library.embedder!r}, this package uses {embedder.name!r}"
        )
    return Assistant(settings, library, embedder, model)


_shared: dict[Any, Assistant] = {}
_sharing = threading.Lock()


def shared_assistant(settings: Settings, model: Any = None) -> Assistant:
    """The assistant of this process for these settings, opened once; model objects are told by identity."""
    made_by = tuple(os.environ.get(name) for name in ("RAG_HOME", "RAG_API_KEY", "OPENAI_API_KEY"))
    key = (settings, made_by, id(model) if model is not None else None)
    with _sharing:
        if key not in _shared:
            if len(_shared) >= SHARED:
                _shared.pop(next(iter(_shared)))
            _shared[key] = open_assistant(settings, model)
        return _shared[key]


def open_library(name: str | None, embedder: Embedder, progress: build.Progress | None = None) -> Library:
    """The library of that name or path; None is the shipped one."""
    if name is None:
        return build.open_shipped(embedder, progress)
    if not name.strip():
        raise UsageError("the library's name is empty; leave it out to ask the shipped abstracts")
    return build.open_named(name)


def checked(question: str) -> str:
    """The question without surrounding white space. Raises UsageError when it cannot be one."""
    if not isinstance(question, str):
        raise UsageError(f"the question is {type(question).__name__}, not text")
    question = question.strip()
    if not question:
        raise UsageError("the question is empty", Remedy.ASK)
    if "\0" in question or printable(question).count("\ufffd") > max(3, len(question) // 20):
        raise UsageError("the question is not text but binary data", Remedy.GIVE_TEXT)
    if len(question) > LONGEST_QUESTION:
        raise UsageError(
            f"the question has {len(question):,} characters; at most {LONGEST_QUESTION:,}, ask in fewer words"
        )
    if not any(char.isalnum() for char in question):
        raise UsageError(f"the question {question[:20]!r} has no word in it; ask in words")
    text, where = filters.split(question)
    if not any(char.isalnum() for char in text):
        raise UsageError(f"{str(where)!r} is a filter and asks nothing", Remedy.ASK_BESIDE_FILTER, where=str(where))
    return printable(question)


def _sentences_of(draft: Draft) -> Generator[Marked, None, Draft]:
    yield from draft.sentences
    return draft


def _last(told: Generator[str, None, Answer]) -> Answer:
    while True:
        try:
            next(told)
        except StopIteration as end:
            answer: Answer = end.value
            return answer


def _trace(hits: Sequence[Hit], evidence: Sequence[Evidence], verified: Verified) -> FrozenMap[tuple[Traced, ...]]:
    stages: dict[str, tuple[Traced, ...]] = {}
    for search in ("dense", "lexical"):
        found = [(f.rank, f.score, h.chunk.id) for h in hits for f in h.found if f.search == search]
        stages[search] = tuple(Traced(id, rank, score) for rank, score, id in sorted(found))
    stages["retrieve"] = tuple(Traced(h.chunk.id, h.rank, h.score) for h in hits)
    stages["rerank"] = tuple(Traced(e.chunk.id, e.rank, e.score) for e in evidence)
    stages["unknown marks"] = (Traced("", verified.unknown_marks, 0.0),) if verified.unknown_marks else ()
    return FrozenMap(stages)


class _Ranked(NamedTuple):
    """A text as it is compared, the sentences of papers next to it, and its hits, best first."""

    asked: Asked
    near: Callable[[Paper], Sequence[Matched]]
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """What is to be answered, from what.

    question, own     as asked, and without the filter in it
    within            the papers that may be looked at; None is all
    query             the form that is searched
    hits              for that, as the searches gave them
    wanted, whole     what kind of answer, and how well papers fit the question
    evidence          what the answer may rest on, best first
    numbers           those that papers have on screen
    spent             collects what else than the draft a chat model was asked for
    piecemeal         whether a reply is read as it comes
    """

    question: str
    own: str
    within: Within
    query: str
    hits: tuple[Hit, ...]
    wanted: Shape
    whole: Part
    evidence: tuple[Evidence, ...]
    sentences: _Sentences
    numbers: dict[str, int]
    clock: _Clock
    deadline: Deadline
    spent: list[Usage]
    piecemeal: bool = False

    def begun(self, seconds: float) -> _Case:
        """The case with its deadline counted from now."""
        return replace(self, deadline=Deadline(seconds, self.clock.cancelled))


class _Sentences:
    """The sentences of some papers next to questions, each compared once.

    Those quoted earlier in a conversation are less likely to be asked for.
    """

    def __init__(self, kept: Mapping[str, Sequence[Sentence]], quoted: frozenset[tuple[str, int]]) -> None:
        self._kept, self._quoted = kept, quoted
        self._matched: dict[tuple[str, str], Sequence[Matched]] = {}
        self._scored: dict[tuple[str, str], Sequence[Scored]] = {}

    def matched(self, question: Asked, paper: Paper) -> Sequence[Matched]:
        """How near each sentence of the paper is to the question, in meaning and words."""
        key = question.text, paper.id
        if key not in self._matched:
            self._matched[key] = match_sentences(question, paper, self._kept.get(paper.id, ()))
        return self._matched[key]

    def scored(self, question: Asked, paper: Paper) -> Sequence[Scored]:
        """How well each sentence of the paper answers the question."""
        key = question.text, paper.id
        if key not in self._scored:
            self._scored[key] = tuple(
                replace(s, score=QUOTED_SHARE * s.score) if (paper.id, s.span.start) in self._quoted else s
                for s in score_sentences(question, paper, self._kept.get(paper.id, ()))
            )
        return self._scored[key]


class _Clock:
    """Wall seconds per stage; before each stage the caller may have asked to stop."""

    def __init__(self, cancelled: Callable[[], bool] | None, told: Callable[[str], None] | None) -> None:
        self.seconds: dict[str, float] = {}
        self.cancelled, self._told = cancelled, told

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        if self.cancelled and self.cancelled():
            raise Cancelled(f"stopped before {stage}; nothing was lost")
        if self._told:
            self._told(stage)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began
