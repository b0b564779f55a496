"""A question -> the evidence for it: what is meant, what a search finds, in their final order.

Where a chat model writes, it plans first, unless nothing is gained by it: its queries are searched beside the
question, and what all of them find is fused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rag.answering import followup, metadata, plan
from rag.answering.acts import act
from rag.answering.asked import Plan, Query, Subject, Turn, leading
from rag.answering.case import Calls, Case, Clock
from rag.answering.fusion import fused, in_sight
from rag.answering.history import turns as turns_of
from rag.answering.plain import Plain
from rag.answering.relevance import Part, Question, Ranked, Sentences
from rag.answering.rerank import confidence, gather
from rag.answering.search import CONSIDERED, Search, Within
from rag.answering.shape import Shape, asking, compared, shape
from rag.filters import Filter
from rag.library.store import Library
from rag.models.chat import ChatModel
from rag.records import Draft, Evidence, Hit, Paper
from rag.settings import Settings
from rag.text import readable

if TYPE_CHECKING:
    import numpy as np

PAPERS = 8  # papers an answer may draw on
LIST_PAPERS = 12  # the same for a list made without a chat model
MANY_PAPERS = 24  # papers that a chat model is shown for what more than one of them answers
NOTHING = Question("", None, (), False, frozenset(), False, False, False)  # type: ignore[arg-type]  # of what is not searched


class Finding:
    """Finds the evidence for questions in one state of a library."""

    def __init__(self, settings: Settings, library: Library, search: Search, plain: Plain) -> None:
        self._settings, self._library, self._search, self._plain = settings, library, search, plain

    def prepared(self, question: str, where: Filter, history: Sequence[Any], clock: Clock) -> Case:
        """The question with its evidence."""
        search, calls = self._search, Calls(self._settings.deadline, clock.cancelled)
        with clock("followup"):
            turns, (own, within) = turns_of(history), search.parted(question, where)
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
        query, wanted, most = case.meant, case.wanted, self._settings.k or PAPERS
        question, depth = self._search.compared(query.text, vector), max(CONSIDERED, 2 * most)
        ranked = self._search.reranked(
            case.hits, question, depth=depth, also=case.first, first=case.first, quoted=followup.quoted(case.turns)
        )
        k = max(most, LIST_PAPERS) if wanted.listing and not self._settings.k else most
        focus = self._search.focus(query.own, query.text, vector) if query.own != query.text else question
        whole = Part(focus, {hit.paper.id: hit.score for hit in ranked.hits})
        evidence = gather(ranked.hits, question, ranked.near, k)
        if len(query.papers) > 1:  # they are compared: something of each, and of no other
            titles = {paper.id: readable(paper.title) for paper in query.papers}
            wanted = wanted if wanted.kind == "comparison" else Shape("point", tuple(titles.values()))
            evidence = tuple(e for e in evidence if e.paper.id in titles) or evidence
            whole = Part(focus, dict.fromkeys(titles, 1.0))
        return replace(case, ranked=ranked, wanted=wanted, whole=whole, evidence=evidence, sentences=ranked.sentences)

    def planned(self, case: Case, model: ChatModel | None) -> Case:
        """The case with the papers that a chat model is shown, found by its plan; without a model, as it is."""
        if not model or case.told:
            return case
        named = self._library.names.names_in(case.own)
        stands = not case.meant.leans and not (case.turns and followup.leans(case.own))
        best = case.evidence[0].paper.id if case.evidence else ""
        if stands and plan.is_clear(case.own, named, best, case.wanted):
            return self.sighted(case, plan.as_typed(case.own, case.wanted))
        return self.sighted(case, self.plan(case, model))

    def plan(self, case: Case, model: ChatModel) -> Plan:
        """What a chat model plans to search; the question as it was typed when it plans nothing."""
        with case.clock("plan"):
            told, prompt = followup.conversation(case.turns), self._settings.prompt("plan")
            found = plan.planned(case.own, told, prompt, case.calls.to(model))
        return found or plan.as_typed(case.own, case.wanted)

    def sighted(self, case: Case, made: Plan) -> Case:
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
            most = self._settings.k or (PAPERS if made.kind == "fact" else MANY_PAPERS)
            shown = in_sight(order, rankings, most, named)
            rest = [hit for hit in order if hit not in shown][:most]
            both = [hit.paper.id for hit in (*shown, *rest)]
            sentences = Sentences(self._library.sentences(both), followup.quoted(case.turns))
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
