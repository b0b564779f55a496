"""One question on its way: what is known of it so far, its time, what chat models were asked; and the Answer at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rag.answering.asked import Plan, Query, Subject, Turn
from rag.answering.relevance import Part, Ranked, Sentences
from rag.answering.shape import Shape
from rag.answering.wording import in_words_of, looked_at, nothing_selected, refusal, unanswered
from rag.errors import Cancelled
from rag.filters import ALL, Filter, Selected, parse
from rag.models.chat import ChatModel
from rag.models.deadline import Deadline
from rag.prompting import Ask
from rag.records import (
    EXTRACTIVE,
    Answer,
    Draft,
    Evidence,
    FrozenMap,
    Hit,
    Paper,
    Reply,
    Status,
    Traced,
    Usage,
    Verified,
)

NEAR = 0.15  # of a paper's evidence (0..1), from which a refusal names it


class Clock:
    """Wall seconds per stage; before each stage the caller may have asked to stop."""

    def __init__(self, cancelled: Callable[[], bool] | None, told: Callable[[str], None] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self.cancelled, self._told = cancelled, told

    @contextmanager
    def __call__(self, stage: str, words: str = "") -> Iterator[None]:
        """A stage, of which the caller is told its name, or the words for it."""
        if self.cancelled and self.cancelled():
            raise Cancelled(f"stopped before {stage}; nothing was lost")
        if self._told:
            self._told(words or stage)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


class Calls:
    """What chat models are asked for one question besides its draft: until when, and what it cost."""

    def __init__(self, seconds: float, cancelled: Callable[[], bool] | None, spent: Usage | None = None) -> None:
        self.deadline = Deadline(seconds, cancelled)
        self.spent = spent or Usage()

    def to(self, model: ChatModel) -> Ask:
        """Asking that model, with the cost written down."""

        def ask(system: str, user: str) -> Reply:
            reply = model.ask(system, user, deadline=self.deadline)
            self.spent += reply.usage
            return reply

        return ask


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be answered, from what.

    question, own     as asked, and without the filter in it
    within            the papers that may be looked at; None is all
    query             the form that stands alone
    meant, turns      what it leans on, and the turns before it
    hits              for the query, as the searches gave them
    ranked            the same in their final order
    wanted, whole     what kind of answer, and how well papers fit the question
    evidence          what the answer may rest on, best first
    subjects          the names in the query, in order
    first             the papers that they name, which come before others
    told              the draft, where nothing is to be searched or written
    sentences         of the papers, compared with the question
    numbers           those that papers have on screen, by paper id
    piecemeal         whether a reply is read as it comes
    plan              by which papers were looked for; None is without one
    more              evidence that comes after what a chat model is shown
    """

    question: str
    own: str
    within: Selected | None
    query: str
    meant: Query
    turns: tuple[Turn, ...]
    hits: tuple[Hit, ...]
    ranked: Ranked
    wanted: Shape
    whole: Part
    evidence: tuple[Evidence, ...]
    sentences: Sentences
    numbers: dict[str, int]
    clock: Clock
    calls: Calls
    piecemeal: bool = False
    plan: Plan | None = None
    more: tuple[Evidence, ...] = ()
    subjects: tuple[Subject, ...] = ()
    first: tuple[Paper, ...] = ()
    told: Draft | None = None

    @property
    def only(self) -> Paper | None:
        """The paper that a follow-up is about, if it is about one on screen."""
        return self.meant.papers[0] if len(self.meant.papers) == 1 else None

    @property
    def named(self) -> tuple[Paper, ...]:
        """The papers that the question names, or means in its conversation: a chat model is shown them at every try."""
        subjects = (one.paper for one in self.subjects if one.paper)
        return tuple(dict.fromkeys([*self.first, *self.meant.papers, *subjects]))

    @property
    def asked(self) -> str:
        """The question as a chat model is shown it: as it was typed, and what it means in a conversation, if it leans on it."""
        itself = not self.meant.leans and self.query == self.meant.shown
        if not self.turns or itself or self.query == self.own:
            return self.own
        return f"{self.own}\n(In the conversation this means: {self.query})"

    @property
    def where(self) -> Filter:
        """The filter that was used."""
        return parse(self.within.where.text) if self.within else ALL

    def begun(self, seconds: float) -> Case:
        """The case with its deadline counted from now."""
        return replace(self, calls=Calls(seconds, self.clock.cancelled, self.calls.spent))


def outcome(case: Case, draft: Draft, verified: Verified, *, nothing: str, model: str, run: str) -> Answer:
    """The answer to a case. `nothing` says why its filter leaves no paper ("" if it leaves some)."""
    where = case.within and case.within.where
    status: Status = "answered" if draft.status != "partial" else "partial"
    text = verified.text
    if not verified.claims:
        status = "refused"
        papers = [evidence.paper for evidence in case.evidence if evidence.score >= NEAR]
        near = refusal(papers, "" if case.plan else case.own, where)
        text = nothing_selected(nothing) if nothing else draft.lead or near
    elif status == "partial" and not draft.lead:
        text += f" {unanswered(in_words_of(case.own, draft.missing), bool(where))}"
    if verified.claims and model != EXTRACTIVE and case.plan and case.plan.kind == "list":
        text += f" {looked_at(len(draft.passages))}"
    return Answer(
        question=case.question,
        query=case.query,
        text=text,
        status=status,
        claims=verified.claims,
        removed=verified.removed,
        citations=tuple(dict.fromkeys(citation for claim in verified.claims for citation in claim.citations)),
        evidence=draft.passages,
        model=model,
        usage=draft.usage,
        seconds=FrozenMap(case.clock.seconds),
        trace=_trace(case.hits, draft.passages, verified),
        run=run,
        where=where,
        searched=case.plan.queries if case.plan else (),
    )


def _trace(hits: Sequence[Hit], evidence: Sequence[Evidence], verified: Verified) -> FrozenMap[tuple[Traced, ...]]:
    stages: dict[str, tuple[Traced, ...]] = {}
    for search in ("dense", "lexical"):
        found = [(f.rank, f.score, h.chunk.id) for h in hits for f in h.found if f.search == search]
        stages[search] = tuple(Traced(id, rank, score) for rank, score, id in sorted(found))
    stages["retrieve"] = tuple(Traced(h.chunk.id, h.rank, h.score) for h in hits)
    stages["rerank"] = tuple(Traced(e.chunk.id, e.rank, e.score) for e in evidence)
    stages["unknown marks"] = (Traced("", verified.unknown_marks, 0.0),) if verified.unknown_marks else ()
    return FrozenMap(stages)


def last(told: Generator[str, None, Answer]) -> Answer:
    """The Answer at the end of a text that comes in pieces."""
    while True:
        try:
            next(told)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
