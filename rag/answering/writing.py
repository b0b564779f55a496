"""Evidence -> an Answer: what a chat model or the library's own sentences say, each checked before it is shown.

When a chat model finds no answer, it is shown the next papers, once. When nothing of its draft survives `verify`, the
extractive answer takes its place, and `Answer.model` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rag.answering import batch
from rag.answering.appeal import Failed, appealed
from rag.answering.bearing import by_copied_words, by_support
from rag.answering.case import Case, Clock, last, outcome
from rag.answering.finding import MANY_PAPERS, Finding
from rag.answering.judge import opinion
from rag.answering.plain import Plain
from rag.answering.quotes import Judge
from rag.answering.search import Search, Within
from rag.answering.synthesize import as_written, write, write_together
from rag.answering.verify import Verifier, verify
from rag.errors import ModelError
from rag.library.store import Library
from rag.models.chat import ChatModel, saying
from rag.models.tokens import counter
from rag.records import EXTRACTIVE, Answer, Claim, Draft, Evidence, Marked, Paper, Prompt
from rag.settings import Settings

SECOND = 3  # sentences without support that are searched again, and papers looked at for each
ROOM = 8000  # tokens of passages for a chat model whose context nobody knows
LEAST_ROOM = 500  # the same for one whose context is next to nothing
SPARED = 0.1  # of a context: tokens are counted by one encoding for all models


class Writing:
    """Writes and checks answers over one state of a library. `run` gives what `Answer.run` says."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        search: Search,
        plain: Plain,
        finding: Finding,
        model: ChatModel | None,
        judge: ChatModel | None,
        run: Callable[[], str],
    ) -> None:
        self._settings, self._library, self._search = settings, library, search
        self._plain, self._finding = plain, finding
        self._model, self._judge, self._run = model, judge, run

    def written(self, case: Case) -> Generator[str, None, Answer]:
        """The rest of the way for a case with its evidence."""
        if self._model and not case.told:
            return (yield from self._finished(case, self._draft(case)))
        with case.clock("synthesize"):
            draft = case.told or self._plain.draft(case)
        return (yield from self._finished(case, as_written(draft), draft.passages, draft))

    def alone(self, case: Case) -> Answer:
        """The answer to a question that shares no call with others."""
        return last(self.written(self._finding.planned(case, self._model)))

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
        nothing = self._library.subsets.nothing(case.where) if case.within and not case.within.ids else ""
        model = EXTRACTIVE if self._model and draft.model != self._model.name else draft.model
        answer = outcome(case, draft, verifier.verified(), nothing=nothing, model=model, run=self._run())
        yield answer.text[len(verifier.text) :]
        return answer

    def _widened(
        self, case: Case, draft: Draft, verifier: Verifier
    ) -> Generator[str, None, tuple[Case, Draft, Verifier]]:
        """A model that found no answer is shown the next papers, once, if they may hold one; then it is believed.

        The papers that the question names are shown again beside them: the next papers are measured by what it asks of
        those. Papers that were chosen by their number are all there are. A model that fails now has found no answer.
        """
        if self._settings.k or not self._model:
            return case, draft, verifier
        again = verifier
        try:
            wider = (
                case
                if "plan" in case.clock.seconds
                else self._finding.sighted(case, self._finding.plan(case, self._model))
            )
            seen = {passage.paper for passage in draft.passages}
            unseen = [e for e in (*wider.evidence, *wider.more) if e.paper not in seen][:MANY_PAPERS]
            if max((e.score for e in unseen), default=0.0) < self._settings.least_support:
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

    def _draft(self, case: Case) -> Generator[Marked, None, Draft]:
        assert self._model
        prompt, model = self._settings.prompt("answer"), self._model
        say = saying(model, case.calls.deadline, piecemeal=case.piecemeal)
        room = self._room(model, prompt, case.asked)
        written = write(case.asked, case.evidence, prompt, say, model=model.name, tokens=room, count=counter())
        return (yield from written)

    def _reading(self, case: Case) -> str:
        papers = len(case.evidence)
        return f"reading {papers} abstract{'s' if papers > 1 else ''}" if self._model and papers else ""

    def _room(self, model: ChatModel, prompt: Prompt, *questions: str) -> int:
        """Tokens for passages: as chosen, else what the model's context leaves beside instructions and reply."""
        if self._settings.prompt_tokens is not None:
            return self._settings.prompt_tokens
        context: int | None = getattr(model, "context", None)
        if not context:
            return ROOM
        beside = counter()("\n".join([prompt.system, prompt.user, *questions])) + self._settings.reply_tokens
        return max(LEAST_ROOM, int((1 - SPARED) * context) - beside)

    def drafted_together(self, cases: Sequence[Case]) -> list[Draft | None]:
        """One call for all; what it cost is written down with the first of them."""
        assert self._model
        shared = sorted((e for case in cases for e in case.evidence), key=lambda e: (e.rank, e.paper.id))
        union = {evidence.paper: evidence for evidence in reversed(shared)}  # the same in every order of the cases
        passages = sorted(union.values(), key=lambda e: (e.rank, e.paper.id))[:MANY_PAPERS]
        prompt, questions = self._settings.prompt("together"), [case.own for case in cases]
        ask, room = cases[0].calls.to(self._model), self._room(self._model, prompt, *questions)
        return write_together(questions, passages, prompt, ask, model=self._model.name, tokens=room, count=counter())

    def voted(self, drafts: Sequence[Draft], case: Case) -> Answer:
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
            second = partial(opinion, prompt=self._settings.prompt("judge"), ask=case.calls.to(self._judge))
        appeal = partial(self._appeal, case) if self._model and not plain else None
        frequency, size = self._library.words.document_frequency, len(self._library)
        borne = by_copied_words(self._search.embedder.encode, frequency=frequency, papers=size)
        told.update(opinion=second, appeal=appeal, borne=borne, failed=failed)
        return Verifier(passages, self._by_support(), case.numbers, **told)

    def _appeal(self, case: Case, failed: Sequence[Failed]) -> Sequence[Sequence[str]]:
        """The words that the model copies for sentences that failed; none when the call fails: the rest stands."""
        assert self._model
        try:
            return appealed(failed, self._settings.prompt("appeal"), case.calls.to(self._model))
        except ModelError:
            return ((),) * len(failed)

    def _by_support(self) -> Judge:
        reading = self._search.reading
        return by_support(
            self._settings.claim_support,
            self._search.sentences_of,
            self._search.embedder.encode,
            frequency=self._library.words.document_frequency,
            papers=len(self._library),
            read=reading.supporting if reading else None,
        )


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
