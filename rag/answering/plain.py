"""The answer to a question without a chat model: by its shape, from the sentences of the abstracts.

What is named is answered from the papers that introduce it, a list of those that have a name is complete, what a
conversation asks of itself is answered from what is on screen; all else by the best papers (`synthesize.extract`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from rag.answering import acts, compose, details
from rag.answering.acts import Act
from rag.answering.alone import Pick, drafted
from rag.answering.asked import Subject, Turn, leading, sets_scene
from rag.answering.case import Case
from rag.answering.detailed import Detailed, known, label_of, titled
from rag.answering.drafting import Drafting
from rag.answering.metadata import Wanted
from rag.answering.reading import blended, reordered, surer
from rag.answering.relevance import Question, Scored
from rag.answering.search import Search, Within
from rag.answering.shape import Shape, asks_verdict, joined, shape, sides, strangers
from rag.answering.synthesize import extract
from rag.answering.wording import (
    counted,
    known_of,
    lacking,
    markless,
    no_other_mentions,
    none_mentions,
    not_given,
    only_mentioned,
    others_mention,
    unheard,
)
from rag.errors import UsageError
from rag.filters import Filter, parse
from rag.library.spellings import TOKEN, spelling, strong
from rag.library.store import Library
from rag.records import EXTRACTIVE, Draft, Paper
from rag.settings import Settings
from rag.text import STOPWORDS, Span, looks_english, readable, terms

MET = 12  # papers that have a name, which may say what it is
LISTED = 8  # papers of a library that are shown where it is asked which there are
BRIEFLY = 14  # words of a question that compares with what no paper has
STRANGE = 3  # words that stand in no paper, which a refusal names
MENTIONS = 40  # papers that have a name, of which a list shows so many unless it is told how many


_VERSIONED = re.compile(r"[^\W\d_]+-?\d+(?:\.\d+)*[a-z]?")


class Plain(Drafting):
    """Drafts of one library without a chat model. Thread-safe."""

    def __init__(self, settings: Settings, library: Library, search: Search) -> None:
        super().__init__(settings, library, search)
        self._details = Detailed(settings, library, search)

    # --- a question -----------------------------------------------------------------------------

    def draft(self, case: Case) -> Draft:
        """The sentences that answer."""
        named = leading(case.query, case.subjects)
        draft = self._others(case, named) if case.meant.listing else self._by_shape(case, named)
        return draft or self._unheard(case) or self._extracted(case, named)

    def _others(self, case: Case, named: Sequence[Subject]) -> Draft | None:
        """The other papers that have the name which was asked about; None where none was."""
        before = shape(case.query, [one.span for one in case.subjects])
        looked_for = _looked_for(before, case.subjects) or [one.name for one in named or case.subjects[:1]]
        if not looked_for:
            return None
        names, told = self._library.names, markless(" or ".join(looked_for))
        ids = list(dict.fromkeys(id for name in looked_for for id in names.mentioning(name)))
        ids = [id for id in ids if id not in case.meant.without and (case.within is None or id in case.within.ids)]
        if not ids:
            return Draft((), case.evidence, "refused", EXTRACTIVE, lead=no_other_mentions(told))
        patterns = [spelling(form) for name in looked_for for form in names.spellings(name)]
        papers = self._library.papers(ids[: self._settings.k or MENTIONS])
        picks = compose.showing(list(papers.values()), patterns, self._of)
        return self._drafted(case, picks, others_mention(len(picks), told))

    def _unheard(self, case: Case) -> Draft | None:
        """The refusal of a question about what stands in no paper, a name or all that is asked; None for any other."""
        if case.meant.papers or not looks_english(case.own):
            return None
        strange, said = self._strange(case), set(terms(case.query))
        if not strange or not said <= {term for word in strange for term in terms(word)}:
            about = any(not sets_scene(case.query, one) for one in case.subjects) or not self._details.is_brief(
                case, case.query
            )
            strange = [] if about or case.wanted.listing else [word for word in strange if strong(word)]
        if not 0 < len(strange) <= STRANGE:
            return None
        return Draft((), case.evidence, "refused", EXTRACTIVE, lead=unheard(markless(" or ".join(strange))))

    def _strange(self, case: Case) -> list[str]:
        """The words of meaning of a question that stand in no paper, and are no slips of those that do."""
        taken = [one.span for one in case.subjects]
        found = [
            token[0]
            for token in TOKEN.finditer(case.query)
            if not any(one.start < token.end() and token.start() < one.end for one in taken)
            and token[0].isascii()
            and terms(token[0])
            and not self._heard(token[0])
        ]
        return list(dict.fromkeys(found))

    def _heard(self, word: str) -> bool:
        """Does a word stand in a paper, or is it like one that does? Of what has a version, the whole must: "GPT-5"."""
        words, names = self._library.words, self._library.names
        if _VERSIONED.fullmatch(word) and not details.METRIC.fullmatch(word):
            return bool(names.mentioning(word) or names.mentioning(word.removesuffix("s")))
        parts = [part for part in re.findall(r"[^\W\d_]+", word.lower()) if part not in STOPWORDS]
        return any(words.document_frequency(part) or words.spelled(part) for part in parts) or bool(
            names.mentioning(word)
        )

    def _by_shape(self, case: Case, named: Sequence[Subject]) -> Draft | None:
        """The draft for a shape that is about what is named; None where that gives none."""
        wanted = case.wanted
        if wanted.kind == "mention":
            return self._mentioning(case)
        if case.subjects and (stranger := self._stranger(case)):
            one = next(iter(named), case.subjects[0])
            lead = none_mentions(markless(stranger))
            if len({one.paper for one in named}) > 1:
                return self._comparing(case, lead)
            if one.papers:
                return self._drafted(case, compose.definition(one, self._of), lead, partial_=True)
            return self._met_only(case, one, lead, partial_=True)
        if wanted.kind == "comparison":
            return self._comparing(case)
        if not named and wanted.kind == "definition" and case.subjects:
            return self._met_only(case, case.subjects[0])
        if not named or wanted.kind not in ("definition", "reason"):
            return self._pointed(case, named) if wanted.kind == "point" else self._details.draft(case, named, sure=True)
        if wanted.kind == "definition":
            return self._drafted(case, compose.definition(named[0], self._of))
        return self._drafted(case, compose.reason(named[0], self._of, self._score))

    def _pointed(self, case: Case, named: Sequence[Subject]) -> Draft | None:
        """The draft for a question about one thing or two: a detail, or a line on each of two things named."""
        detailed = self._details.draft(case, named)
        plain = {one.paper for one in named if not sets_scene(case.query, one)}
        brief = len(case.query.split()) <= BRIEFLY and not asks_verdict(case.query)
        return detailed or (self._comparing(case) if len(plain) > 1 and brief else None)

    def _stranger(self, case: Case) -> str:
        """What is compared with a name of the question, and no paper has; "" is nothing."""
        brief = len(case.query.split()) <= BRIEFLY
        found = strangers(case.query, [one.span for one in case.subjects]) if brief else ""
        return "" if not found or self._library.names.mentioning(found) else found

    def _met_only(self, case: Case, one: Subject, lead: str = "", *, partial_: bool = False) -> Draft | None:
        """What papers say of a name that none of them introduces."""
        ids = [id for id in self._library.names.mentioning(one.name) if case.within is None or id in case.within.ids]
        papers = self._library.papers(ids[:MET])
        picks = compose.telling(one, list(papers.values()), self._of, self._score)
        return self._drafted(case, picks, lead or only_mentioned(markless(one.name)), partial_=partial_)

    def _comparing(self, case: Case, lead: str = "") -> Draft | None:
        """A line for each of what is compared; `lead` says what of it no paper has."""
        wanted = case.wanted
        named = [one for one in case.subjects if one.papers]
        plain = [one for one in named if not sets_scene(case.query, one)]
        named = (plain if len({one.paper for one in plain}) > 1 else named) or [
            self._about(side) for side in sides(case.query)
        ]
        if len(named) < 2:
            if detailed := self._details.draft(case, named):
                return detailed
            met = [self._met(one, named) for one in case.subjects if not one.papers]
            named += [one for one in met if one.papers]
        if len(named) < 2:
            return None
        spans = [one.span for one in case.subjects]
        beside = [one for one in case.subjects if not one.papers and joined(case.query, one.span, spans)]
        named += [one for one in (self._met(one, named) for one in beside) if one.papers and one not in named]
        picks = compose.comparison(named, wanted.aspect, wanted.figures, self._of, self._score)
        told = lead or self._told(named, wanted)
        return self._drafted(case, picks, told, partial_=bool(lead) or told.endswith("nearest:"))

    def _told(self, named: Sequence[Subject], wanted: Shape) -> str:
        """What is known beside the abstracts of the detail in which things are compared, or which of them do not give it."""
        detail = compose.detail_of(wanted.aspect, wanted.figures)
        if detail is None:
            return ""
        told = {one.name: known(detail, one.paper) for one in named if one.paper}
        if all(told.values()):
            return " ".join(known_of(markless(name), label_of(detail), markless(value)) for name, value in told.items())
        silent = [
            one.name
            for one in named
            if one.paper
            and not told[one.name]
            and not compose.giving(detail, [], [spelling(one.name)], one.paper, self._of)
            and not titled(detail, one.paper)
        ]
        return not_given(markless(" and ".join(silent)), detail.label, len(silent)) if silent else ""

    def _about(self, side: str) -> Subject:
        """The paper that is told by what it is about, under its name."""
        hits = self._search.ranked(side, None).hits
        paper = hits[0].paper
        return Subject(self.called(paper), Span(0, 0), (paper,))

    def _met(self, one: Subject, named: Sequence[Subject]) -> Subject:
        """A name that no paper introduces, with a paper that has it: one of those compared, if there is one."""
        ids = self._library.names.mentioning(one.name)
        own = [other.paper.id for other in named if other.paper and other.paper.id in ids]
        papers = list(self._library.papers(ids[:1]).values())
        titled_ = papers and spelling(one.name).search(readable(papers[0].title))
        return replace(one, papers=tuple(papers if titled_ or not own else self._library.papers(own[:1]).values()))

    def _mentioning(self, case: Case) -> Draft | None:
        wanted, names = case.wanted, self._library.names
        looked_for = _looked_for(wanted, case.subjects)
        found = [names.mentioning(name) for name in looked_for]
        ids = [
            id
            for id in dict.fromkeys(id for one in found for id in one)
            if not wanted.every or all(id in one for one in found)
        ]
        ids = [id for id in ids if case.within is None or id in case.within.ids]
        said = markless((" and " if wanted.every else " or ").join(looked_for))
        if not ids:
            return Draft((), case.evidence, "refused", EXTRACTIVE, lead=none_mentions(said))
        shown = self._library.papers(ids[: self._settings.k or MENTIONS])
        patterns = [spelling(one) for name in looked_for for one in names.spellings(name)]
        of_all = case.within.where.papers if case.within else len(self._library)
        picks = compose.showing([shown[id] for id in ids if id in shown], patterns, self._of)
        return self._drafted(case, picks, counted(len(ids), of_all, said, len(picks)))

    # --- points and lists -----------------------------------------------------------------------

    def _extracted(self, case: Case, named: Sequence[Subject]) -> Draft:
        case = self._read(case)
        parts = [self._search.part(part, case.within) for part in case.wanted.parts]
        evidence = case.evidence
        if len({one.paper for one in named}) == 1 and not parts and not case.wanted.listing:
            evidence = (
                tuple(e for e in evidence if named[0].stands_in(f"{e.paper.title} {e.paper.abstract}")) or evidence
            )
        draft = extract(
            case.whole,
            parts,
            evidence,
            case.sentences.scored,
            listing=case.wanted.listing,
            least_support=self._settings.least_support,
            asked=case.query,
        )
        rest = (one for one in case.evidence if one not in evidence)
        passages = (replace(one, rank=rank) for rank, one in enumerate([*evidence, *rest], 1))
        return replace(draft, passages=tuple(passages))

    def _read(self, case: Case) -> Case:
        """The case with its first papers read: in another order, as sure as they are then, their sentences scored anew."""
        reading = self._search.reading
        readings = reading.readings(case.query, case.ranked) if reading and not case.wanted.listing else {}
        if not readings:
            return case
        asked = case.whole.question.text

        def blend(question: Question, scored: tuple[Scored, ...]) -> tuple[Scored, ...]:
            read = readings.get(scored[0].paper.id) if scored and question.text == asked else None
            if read is None:
                return scored
            return tuple(replace(s, score=blended(s.score, x)) for s, x in zip(scored, read.sentences, strict=True))

        order = {hit.paper.id: hit.rank for hit in reordered(case.ranked.hits, readings, case.first)}
        surest = (
            case.evidence if case.wanted.parts else surer(case.evidence, readings)
        )  # a part may be answered elsewhere
        evidence = sorted(surest, key=lambda one: order.get(one.paper.id, len(order)))
        return replace(case, evidence=tuple(evidence), sentences=case.sentences.blended(blend))

    # --- the library itself ---------------------------------------------------------------------

    def listed(self, wanted: Wanted, within: Within) -> tuple[Within, Draft | None]:
        """The papers that a question about the library asks for, and the answer; None when it means something else."""
        where = self._filter(wanted)
        if wanted.value and where is None:
            return within, None
        if where is not None:
            within = self._search.selected(where if within is None else parse(within.where.text) & where)
            if within is not None and not within.ids:
                told = self._library.subsets.nothing(where)
                unknown = wanted.about != "year" and " none like it" in told
                return within, None if unknown else Draft((), (), "refused", EXTRACTIVE)
        ids = [id for id, _ in self._library.sources() if within is None or id in within.ids]
        papers = self._library.papers(ids[: self._settings.k or LISTED])
        picks = compose.showing(list(papers.values()), [], self._of)
        lead = lacking(len(ids), len(self._library), within.where.text if within and within.where else "", len(picks))
        return within, replace(drafted(picks, self._evidence(pick.paper for pick in picks)), lead=lead)

    def _filter(self, wanted: Wanted) -> Filter | None:
        if not wanted.value:
            return None
        value = wanted.value if wanted.about == "year" else f'"{wanted.value.strip()}"'
        try:
            return parse(f"{wanted.about}:{value}")
        except UsageError:
            return None

    # --- a conversation -------------------------------------------------------------------------

    def acted(self, act: Act, turns: Sequence[Turn]) -> Draft:
        """What is said to an act."""
        if act in acts.LINES:
            return _line(acts.LINES[act])
        answered = [
            turn for turn in turns if acts.act(turn.question) in (None, "others", "more", "summary", "shorter", "again")
        ]
        if not answered:
            return _line(acts.NOTHING_ASKED)
        last = answered[-1]
        if act == "sure":
            said = acts.SURE_REFUSED if not last.papers else acts.SURE_QUOTED if last.verbatim else acts.SURE_CHECKED
            return _line(said)
        spoken = next((turn for turn in reversed(answered) if turn.papers), None)
        if spoken is None:
            return _line(acts.NOTHING_ON_SCREEN)
        picks = self._from_screen(act, spoken, turns)
        return drafted(picks, self._evidence(pick.paper for pick in picks)) if picks else _line(acts.NO_MORE)

    def _from_screen(self, act: Act, turn: Turn, turns: Sequence[Turn]) -> list[Pick]:
        papers = {paper.id: paper for _, paper in turn.papers}
        first = next(iter(papers.values()))
        question = next((t.query or t.question for t in reversed(turns) if acts.act(t.question) is None), turn.question)
        if act in ("again", "shorter"):
            shown = [
                Pick(papers[id], span)
                for id, start in turn.quoted
                if id in papers
                for span in self._at(papers[id], start)
            ]
            return shown[:1] if act == "shorter" else shown
        if act == "summary":
            name = next((one for one in self.subjects(question) if first in one.papers), None)
            own = name or next((one for one in self.subjects(self.called(first)) if first in one.papers), None)
            return compose.summary(first, compose.introducing(own, self._of) if own else None, question, self._score)
        told = frozenset(quote for t in turns for quote in t.quoted)
        more = (compose.unsaid(paper, told, question, self._score) for paper in papers.values())
        return next((picks for picks in more if picks), [])

    def _at(self, paper: Paper, start: int) -> list[Span]:
        return [sentence.span for sentence in self._of(paper) if sentence.span.start <= start < sentence.span.end]


def _looked_for(wanted: Shape, named: Sequence[Subject]) -> list[str]:
    """What papers are to have, in a list of those that mention something."""
    return [named[at].name for at in wanted.of] or ([wanted.literal] if wanted.literal else [])


def _line(text: str) -> Draft:
    return Draft((), (), "refused", EXTRACTIVE, lead=text)
