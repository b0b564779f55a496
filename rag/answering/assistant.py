"""The online half, in order; the only module that knows it.

    question -followup-> query -retrieve-> hits -rerank-> evidence -synthesize-> draft -verify-> Answer

Where a chat model writes, it plans first, unless nothing is gained by it: its queries are searched beside the
question, and what all of them find is fused. When it finds no answer, it is shown the next papers, once.

Each stage gets the value before it and the callables or numbers it needs; this module hands them
over, times them, and turns the outcome into an Answer. When nothing of a chat model's draft
survives `verify`, the extractive answer takes its place, and `Answer.model` says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rag import filters
from rag.answering import batch, followup, metadata, plan
from rag.answering.acts import act
from rag.answering.appeal import Failed, appealed
from rag.answering.asked import Plan, Query, Subject, Turn, leading
from rag.answering.bearing import by_copied_words, by_support
from rag.answering.case import Calls, Case, Clock, last, outcome
from rag.answering.columns import columns as columned
from rag.answering.fusion import fused, in_sight
from rag.answering.judge import Asserted, Opinion, opinion
from rag.answering.plain import Plain
from rag.answering.question import accepted
from rag.answering.quotes import Judge
from rag.answering.relevance import Part, Question, Ranked, Sentences
from rag.answering.rerank import confidence, gather
from rag.answering.search import CONSIDERED, Search, Within
from rag.answering.shape import Shape, asking, compared, shape
from rag.answering.survey import Progress, Reader, Survey
from rag.answering.synthesize import as_written, write, write_together
from rag.answering.verify import Verifier, verify
from rag.attributed import Attribution
from rag.errors import ModelError, RagError
from rag.filters import ALL, Filter
from rag.library.embed import Embedder
from rag.library.store import Library
from rag.models.chat import ChatModel, saying
from rag.models.tokens import counter
from rag.records import EXTRACTIVE, Answer, Claim, Draft, Evidence, Explained, Hit, Marked, Paper, Prompt
from rag.settings import Settings
from rag.tabulated import Table
from rag.text import readable

if TYPE_CHECKING:
    import numpy as np

SECOND = 3  # sentences without support that are searched again, and papers looked at for each
PAPERS = 8  # papers an answer may draw on
LIST_PAPERS = 12  # the same for a list made without a chat model
MANY_PAPERS = 24  # papers that a chat model is shown for what more than one of them answers
ROOM = 8000  # tokens of passages for a chat model whose context nobody knows
LEAST_ROOM = 500  # the same for one whose context is next to nothing
NOTHING = Question("", None, (), False, frozenset(), False, False, False)  # type: ignore[arg-type]  # of what is not searched
SPARED = 0.1  # of a context: tokens are counted by one encoding for all models


class Assistant:
    """A library, its embedder and perhaps chat models, one that writes and one that judges. Thread-safe for reading."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        embedder: Embedder,
        model: ChatModel | None = None,
        judge: ChatModel | None = None,
    ) -> None:
        self.settings = settings
        self.library = library
        self._search = Search(library, embedder, pool=settings.pool, dense_weight=settings.dense_weight)
        self._plain = Plain(settings, library, self._search)
        self._survey = Survey(library, self._search)
        self._model, self._judge = model, judge

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

    def cite(self, claims: Sequence[str], k: int, where: Filter = ALL) -> tuple[Attribution, ...]:
        """For each claim the best `k` papers, each with what it says on it. Raises UsageError for what is no claim."""
        wanted = [accepted(claim, "claim") for claim in claims]
        with self._still() as still:
            return still._survey.cite(wanted, k, still._search.selected(where), self._opinion())

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
        progress: Progress | None = None,
    ) -> tuple[Table, int]:
        """A row for each paper, or for those named, of at most the first `most`; on how many the chat model failed.

        `columns` are several names, or one text with semicolons between them. Raises UsageError, PaperNotFound, and
        ModelError when the model fails at once.
        """
        asked = columned(columns)
        with self._still() as still:
            within = still._search.selected(where)
            chosen = list(dict.fromkeys(map(still.library.paper, papers))) or list(still.library)
            kept = [paper for paper in chosen if within is None or paper.id in within.ids][:most]
            reader = self._reader()
            return still._survey.table(asked, kept, reader, progress), reader.failed if reader else 0

    def _opinion(self) -> Callable[[Asserted], Opinion] | None:
        """Whom a claim that is only near to a paper is shown, with that paper: the chat model, if there is one."""
        if not (model := self._model):
            return None
        prompt = self.settings.prompt("judge")
        return lambda said: opinion(said, prompt, Calls(self.settings.deadline, None).to(model))

    def _reader(self) -> Reader | None:
        """What reads cells with the chat model, each abstract within its own deadline."""
        if not (model := self._model):
            return None
        return Reader(self.settings.prompt("table"), lambda: Calls(self.settings.deadline, None).to(model))

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
        in several orders, and the drafts vote (see `rag.answering.batch`). Raises UsageError for what is no question.
        """
        wanted = [accepted(question) for question in questions]
        with self._still() as still:
            return still._answered(wanted, where, cancelled)

    def _answered(
        self, wanted: Sequence[str], where: Filter, cancelled: Callable[[], bool] | None
    ) -> tuple[Answer | RagError, ...]:
        self._search.encode(self._search.respelled(asking(filters.split(question).text)) for question in wanted)
        cases = [self._prepared(question, where, (), Clock(cancelled)) for question in wanted]
        begin: Callable[[Case], Case] = partial(Case.begun, seconds=self.settings.deadline)
        if not self._model:
            return tuple(batch.tried(self._alone, begin(case)) for case in cases)
        return batch.answers(
            cases,
            lambda case: [evidence.paper.id for evidence in case.evidence],
            begin=begin,
            alone=self._alone,
            ask=self._drafted_together,
            vote=self._voted,
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
            case = still._prepared(wanted, where, history, Clock(cancelled, stage))
            listed = {paper.id: number for number, paper in numbers.items()}
            case = replace(still._planned(case), piecemeal=piecemeal, numbers=listed | case.numbers)
            return (yield from still._written(case))

    @contextmanager
    def _still(self) -> Iterator[Assistant]:
        """The assistant over the library as it is now: one answer rests on one state, whatever is written meanwhile."""
        with self.library.snapshot() as library:
            found = copy(self)
            found.library, found._search = library, self._search.over(library)
            found._plain = Plain(self.settings, library, found._search)
            found._survey = Survey(library, found._search)
            yield found

    def _written(self, case: Case) -> Generator[str, None, Answer]:
        """The rest of the way for a case with its evidence."""
        if self._model and not case.told:
            return (yield from self._finished(case, self._draft(case)))
        with case.clock("synthesize"):
            draft = case.told or self._plain.draft(case)
        return (yield from self._finished(case, as_written(draft), draft.passages, draft))

    def _prepared(self, question: str, where: Filter, history: Sequence[Any], clock: Clock) -> Case:
        """The question with its evidence."""
        search, calls = self._search, Calls(self.settings.deadline, clock.cancelled)
        with clock("followup"):
            turns, (own, within) = followup.turns(history), search.parted(question, where)
            query, within, told = self._meant(own, turns, within)
        nothing = Part(NOTHING, {})
        case = Case(
            question=question,
            own=own,
            within=within,
            query=query.shown,
            meant=query,
            turns=turns,
            hits=(),
            ranked=Ranked(NOTHING, Sentences({}, frozenset()), ()),
            wanted=Shape("point"),
            whole=nothing,
            evidence=told.passages if told else (),
            sentences=Sentences({}, frozenset()),
            numbers=followup.numbers(turns),
            clock=clock,
            calls=calls,
            told=told,
        )
        return case if told else self._found(case)

    def _meant(self, own: str, turns: Sequence[Turn], within: Within) -> tuple[Query, Within, Draft | None]:
        """What a question asks after what was said before, and of which papers; the answer, if it needs no search."""
        spoken, library, itself = act(own), metadata.asked(own), Query(own, own, shown=own)
        if spoken == "others" and (query := followup.others(turns)):
            return query, within, None
        if spoken:
            return itself, within, self._plain.acted(spoken, turns)
        if library:
            chosen, told = self._plain.listed(library, within)
            if told:
                return itself, chosen, told
        text = self._search.respelled(asking(own))
        naming = followup.Naming(partial(self._plain.subjects, within=within), self._plain.called)
        return followup.resolve(text, turns, partial(self._search.fits, within), naming), within, None

    def _found(self, case: Case) -> Case:
        """The case with its evidence."""
        search, within, query = self._search, case.within, case.meant
        with case.clock("retrieve"):
            subjects = query.subjects or self._plain.subjects(query.own, within)
            wanted = _wanted(query, subjects)
            first = query.papers or _first(query, subjects, wanted)
            vector = search.vector(query.text)
            hits = search.joined(search.retrieved(query.text, vector, within), first)
            hits = tuple(hit for hit in hits if hit.paper.id not in query.without)
        case = replace(case, hits=hits, wanted=wanted, subjects=subjects, first=first)
        with case.clock("rerank"):
            return self._gathered(case, vector)

    def _gathered(self, case: Case, vector: np.ndarray) -> Case:
        """The case with its hits in their final order, how well papers fit it, and the evidence for it."""
        query, wanted, most = case.meant, case.wanted, self.settings.k or PAPERS
        question, depth = self._search.compared(query.text, vector), max(CONSIDERED, 2 * most)
        ranked = self._search.reranked(
            case.hits, question, depth=depth, also=case.first, first=case.first, quoted=followup.quoted(case.turns)
        )
        k = max(most, LIST_PAPERS) if wanted.listing and not self.settings.k else most
        focus = self._search.focus(query.own, query.text, vector) if query.own != query.text else question
        whole = Part(focus, {hit.paper.id: hit.score for hit in ranked.hits})
        evidence = gather(ranked.hits, question, ranked.near, k)
        if len(query.papers) > 1:  # they are compared: something of each, and of no other
            titles = {paper.id: readable(paper.title) for paper in query.papers}
            wanted = wanted if wanted.kind == "comparison" else Shape("point", tuple(titles.values()))
            evidence = tuple(e for e in evidence if e.paper.id in titles) or evidence
            whole = Part(focus, dict.fromkeys(titles, 1.0))
        return replace(case, ranked=ranked, wanted=wanted, whole=whole, evidence=evidence, sentences=ranked.sentences)

    def _planned(self, case: Case) -> Case:
        """The case with the papers that a chat model is shown, found by its plan; without a model, as it is."""
        if not self._model or case.told:
            return case
        named = self.library.names.names_in(case.own)
        stands = not case.meant.leans and not (case.turns and followup.leans(case.own))
        best = case.evidence[0].paper.id if case.evidence else ""
        if stands and plan.is_clear(case.own, named, best, case.wanted):
            return self._sighted(case, plan.as_typed(case.own, case.wanted))
        return self._sighted(case, self._plan(case, self._model))

    def _plan(self, case: Case, model: ChatModel) -> Plan:
        with case.clock("plan"):
            told, prompt = followup.conversation(case.turns), self.settings.prompt("plan")
            found = plan.planned(case.own, told, prompt, case.calls.to(model))
        return found or plan.as_typed(case.own, case.wanted)

    def _sighted(self, case: Case, made: Plan) -> Case:
        """The case with what its question and the queries of a plan find together, best first."""
        meant, leans, worded = case.meant, case.meant.text != case.meant.own, made.question != case.own
        also = (*(() if leans else (asking(case.own),)), *((made.question,) if worded else ()), *made.queries)
        texts = [text for text in dict.fromkeys(also) if text != meant.text]
        with case.clock("retrieve", f"searching {len(texts) + 1} queries" if made.queries else ""):
            others = self._search.each(texts, case.within, meant.without)
        with case.clock("rerank"):
            searches, named = [case.ranked, *others], case.named
            rankings = [search.hits for search in searches]
            rankings[0] = self._search.joined(rankings[0], named)
            order = fused(rankings, first=case.first)
            most = self.settings.k or (PAPERS if made.kind == "fact" else MANY_PAPERS)
            shown = in_sight(order, rankings, most, named)
            rest = [hit for hit in order if hit not in shown][:most]
            both = [hit.paper.id for hit in (*shown, *rest)]
            sentences = Sentences(self.library.sentences(both), followup.quoted(case.turns))
            evidence = [_evidence(rank, hit, searches, sentences) for rank, hit in enumerate([*shown, *rest], 1)]
        query = made.question if worded else case.query
        return replace(
            case,
            query=query,
            plan=made,
            evidence=tuple(evidence[: len(shown)]),
            more=tuple(evidence[len(shown) :]),
            sentences=sentences,
        )

    def _finished(
        self,
        case: Case,
        written: Generator[Marked, None, Draft],
        passages: Sequence[Evidence] | None = None,
        plain: Draft | None = None,
    ) -> Generator[str, None, Answer]:
        """The rest of the way, from the sentences of a draft, whose numbers name `passages`, else the case's evidence.

        What it yields makes up the text of the answer. `plain` is the whole draft, where no model writes it.
        """
        verifier = self._verifier(case, case.evidence if passages is None else passages, plain=plain)
        if verifier.text:
            yield verifier.text
        draft = yield from _checked(written, verifier, case.clock, self._reading(case))
        if self._model and not plain and draft.status == "refused" and not verifier.text:
            case, draft, verifier = yield from self._widened(case, draft, verifier)
        if self._model and not plain and draft.status != "refused":
            draft, verifier = yield from self._settled(case, draft, verifier)
        draft = replace(draft, usage=draft.usage + case.calls.spent)
        nothing = self.library.subsets.nothing(case.where) if case.within and not case.within.ids else ""
        model = draft.model if draft.model == self.model or not self._model else EXTRACTIVE
        answer = outcome(case, draft, verifier.verified(), nothing=nothing, model=model, run=self.run)
        yield answer.text[len(verifier.text) :]
        return answer

    def _widened(
        self, case: Case, draft: Draft, verifier: Verifier
    ) -> Generator[str, None, tuple[Case, Draft, Verifier]]:
        """A model that found no answer is shown the next papers, once, if they may hold one; then it is believed.

        The papers that the question names are shown again beside them: the next papers are measured by what it asks of
        those. Papers that were chosen by their number are all there are. A model that fails now has found no answer.
        """
        if self.settings.k or not self._model:
            return case, draft, verifier
        again = verifier
        try:
            wider = case if "plan" in case.clock.seconds else self._sighted(case, self._plan(case, self._model))
            seen = {passage.paper for passage in draft.passages}
            unseen = [e for e in (*wider.evidence, *wider.more) if e.paper not in seen][:MANY_PAPERS]
            if max((e.score for e in unseen), default=0.0) < self.settings.least_support:
                return case, draft, verifier
            named = [passage for passage in draft.passages if passage.paper in case.named]
            wider = replace(wider, evidence=(*named, *unseen)[:MANY_PAPERS])
            again = self._verifier(wider, wider.evidence, failed=verifier)
            second = yield from _checked(self._draft(wider), again, case.clock, self._reading(wider))
        except ModelError:
            if again.text:
                raise
            return case, draft, verifier
        both = tuple({passage.paper: passage for passage in (*draft.passages, *second.passages)}.values())
        second = replace(second, passages=second.passages if again.text else both, usage=draft.usage + second.usage)
        return replace(wider, evidence=both), second, again

    def _settled(self, case: Case, draft: Draft, verifier: Verifier) -> Generator[str, None, tuple[Draft, Verifier]]:
        """The draft of a chat model that is shown, and what holds of it.

        When more of it fails than holds, what failed is searched once more. When nothing holds then, the
        abstracts' own sentences take its place.
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
            instead = replace(self._plain.draft(case), usage=draft.usage)
        again = self._verifier(case, instead.passages, failed=verifier, plain=instead)
        if again.text:
            yield again.text
        yield from _checked(as_written(instead), again, case.clock)
        return instead, again

    def _more(self, draft: Draft, failed: Sequence[Claim], within: Within) -> tuple[Evidence, ...]:
        """Papers not yet shown to the model that what it said without support leads to."""
        shown, found = {passage.paper for passage in draft.passages}, dict[Paper, Evidence]()
        for claim in failed[:SECOND]:
            for evidence in self._search.evidence(claim.text, within, SECOND):
                found.setdefault(evidence.paper, evidence)
        return tuple(evidence for paper, evidence in found.items() if paper not in shown)

    # --- stages, with what they need ------------------------------------------------------------

    def _draft(self, case: Case) -> Generator[Marked, None, Draft]:
        assert self._model
        prompt, model = self.settings.prompt("answer"), self._model
        say = saying(model, case.calls.deadline, piecemeal=case.piecemeal)
        room = self._room(model, prompt, case.asked)
        written = write(case.asked, case.evidence, prompt, say, model=model.name, tokens=room, count=counter())
        return (yield from written)

    def _reading(self, case: Case) -> str:
        papers = len(case.evidence)
        return f"reading {papers} abstract{'s' if papers > 1 else ''}" if self._model and papers else ""

    def _room(self, model: ChatModel, prompt: Prompt, *questions: str) -> int:
        """Tokens for passages: as chosen, else what the model's context leaves beside instructions and reply."""
        if self.settings.prompt_tokens is not None:
            return self.settings.prompt_tokens
        context: int | None = getattr(model, "context", None)
        if not context:
            return ROOM
        beside = counter()("\n".join([prompt.system, prompt.user, *questions])) + self.settings.reply_tokens
        return max(LEAST_ROOM, int((1 - SPARED) * context) - beside)

    def _alone(self, case: Case) -> Answer:
        return last(self._written(self._planned(case)))

    def _drafted_together(self, cases: Sequence[Case]) -> list[Draft | None]:
        """One call for all; what it cost is written down with the first of them."""
        assert self._model
        shared = sorted((e for case in cases for e in case.evidence), key=lambda e: (e.rank, e.paper.id))
        union = {evidence.paper: evidence for evidence in reversed(shared)}  # the same in every order of the cases
        passages = sorted(union.values(), key=lambda e: (e.rank, e.paper.id))[:MANY_PAPERS]
        prompt, questions = self.settings.prompt("together"), [case.own for case in cases]
        ask, room = cases[0].calls.to(self._model), self._room(self._model, prompt, *questions)
        return write_together(questions, passages, prompt, ask, model=self._model.name, tokens=room, count=counter())

    def _voted(self, drafts: Sequence[Draft], case: Case) -> Answer:
        """The answer by the draft that the others agree with; by one that holds nothing if most do."""
        judge = self._by_support()
        held = [verify(draft, judge=judge, numbers={}).claims for draft in drafts]
        best = batch.elected(held)
        if best is None:
            best = next((at for at, claims in enumerate(held) if not claims), 0)
        return last(self._finished(case, as_written(drafts[best]), drafts[best].passages))

    def _verifier(
        self, case: Case, passages: Sequence[Evidence], failed: Verifier | None = None, plain: Draft | None = None
    ) -> Verifier:
        second = None
        told: dict[str, Any] = {"lead": plain.lead, "edited": plain.edited} if plain else {}
        if self._judge:
            second = partial(opinion, prompt=self.settings.prompt("judge"), ask=case.calls.to(self._judge))
        appeal = partial(self._appeal, case) if self._model and not plain else None
        frequency, size = self.library.words.document_frequency, len(self.library)
        borne = by_copied_words(self._search.embedder.encode, frequency=frequency, papers=size)
        told.update(opinion=second, appeal=appeal, borne=borne, failed=failed)
        return Verifier(passages, self._by_support(), case.numbers, **told)

    def _appeal(self, case: Case, failed: Sequence[Failed]) -> Sequence[Sequence[str]]:
        """The words that the model copies for sentences that failed; none when the call fails: the rest stands."""
        assert self._model
        try:
            return appealed(failed, self.settings.prompt("appeal"), case.calls.to(self._model))
        except ModelError:
            return ((),) * len(failed)

    def _by_support(self) -> Judge:
        return by_support(
            self.settings.claim_support,
            self._search.sentences_of,
            self._search.embedder.encode,
            frequency=self.library.words.document_frequency,
            papers=len(self.library),
        )


def _wanted(query: Query, subjects: Sequence[Subject]) -> Shape:
    """What a question wants; one about a paper on screen wants a point of it."""
    spans = [one.span for one in subjects]
    if len(query.papers) > 1 and query.subjects:
        return compared(query.own, spans)
    if query.papers or query.listing:
        return Shape("list" if query.listing else "point")
    return shape(query.own, spans, len({one.papers for one in subjects if one.papers}))


def _first(query: Query, subjects: Sequence[Subject], wanted: Shape) -> tuple[Paper, ...]:
    """The papers that a question names, which come before those that a search finds: one, or those compared."""
    named = [one for one in subjects if one.papers] if wanted.kind == "comparison" else leading(query.own, subjects)
    papers = tuple(dict.fromkeys(one.paper for one in named if one.paper))
    return papers if wanted.kind == "comparison" or (len(papers) == 1 and not wanted.listing) else ()


def _evidence(rank: int, hit: Hit, searches: Sequence[Ranked], sentences: Sentences) -> Evidence:
    """A hit as evidence, as sure as the search that is surest of it."""
    sure = [confidence(hit, found.question, sentences.matched(found.question, hit.paper)) for found in searches]
    return Evidence(hit.chunk, rank, max(sure))


def _checked(
    written: Generator[Marked, None, Draft], verifier: Verifier, clock: Clock, words: str = ""
) -> Generator[str, None, Draft]:
    """What the claims add to the text, each as soon as it has passed; the value is the draft.

    `words` say what is done until the first sentence comes.
    """
    while True:
        with clock("synthesize", words):
            try:
                sentence = next(written)
            except StopIteration as end:
                draft: Draft = end.value
                break
        words = ""
        at = len(verifier.text)
        with clock("verify"):
            verifier.check(sentence)
        if added := verifier.text[at:]:
            yield added
    at = len(verifier.text)
    with clock("verify"):
        verifier.settle(appealing=draft.status != "refused")  # what stands beside a refusal is not worth a call
    if added := verifier.text[at:]:
        yield added
    return draft
