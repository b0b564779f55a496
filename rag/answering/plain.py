"""The answer to a question without a chat model: by its shape, from the sentences of the abstracts.

What is named is answered from the papers that introduce it, a list of those that have a name is complete, what a
conversation asks of itself is answered from what is on screen; all else by the best papers (`synthesize.extract`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rag.answering import acts, compose, details
from rag.answering.acts import Act
from rag.answering.alone import Pick, drafted
from rag.answering.asked import Subject, Turn, called, leading, sets_scene, subjects
from rag.answering.case import Case
from rag.answering.metadata import Wanted
from rag.answering.relevance import Scored, score_sentences
from rag.answering.search import Search, Within
from rag.answering.shape import sides, strangers, template
from rag.answering.synthesize import extract
from rag.answering.wording import counted, lacking, markless, none_mentions, not_given, not_mentioned
from rag.errors import UsageError
from rag.filters import Filter, parse
from rag.library.spellings import spelling
from rag.library.store import Library
from rag.records import EXTRACTIVE, Draft, Evidence, Paper, Sentence
from rag.settings import Settings
from rag.text import Span, readable

MET = 12  # papers that have a name, which may say what it is
LISTED = 8  # papers of a library that are shown where it is asked which there are
MENTIONS = 40  # papers that have a name, of which a list shows so many unless it is told how many


class Plain:
    """Drafts of one library without a chat model. Thread-safe."""

    def __init__(self, settings: Settings, library: Library, search: Search) -> None:
        self._settings, self._library, self._search = settings, library, search

    # --- names ----------------------------------------------------------------------------------

    def subjects(self, text: str, within: Within = None) -> tuple[Subject, ...]:
        """The names in a text, with their papers that may be looked at."""
        return subjects(text, self._library.names, self._library.papers, within and within.ids)

    def called(self, paper: Paper) -> str:
        """What a paper is called."""
        return called(paper, self._library.names)

    # --- a question -----------------------------------------------------------------------------

    def draft(self, case: Case) -> Draft:
        """The sentences that answer."""
        named = leading(case.query, case.subjects)
        draft = self._by_shape(case, named)
        return draft if draft else self._extracted(case, named)

    def _by_shape(self, case: Case, named: Sequence[Subject]) -> Draft | None:
        """The draft for a shape that is about what is named; None where that gives none."""
        wanted = case.wanted
        if wanted.kind == "mention":
            return self._mentioning(case)
        if named and (stranger := strangers(case.query, [one.span for one in case.subjects])):
            picks = compose.definition(named[0], self._of)
            return self._drafted(case, picks, none_mentions(markless(stranger)), partial_=True)
        if wanted.kind == "comparison":
            return self._comparing(case)
        if not named and wanted.kind == "definition" and case.subjects:
            return self._met_only(case, case.subjects[0])
        if not named or wanted.kind not in ("definition", "reason"):
            return self._detailed(case, named) if wanted.kind == "point" else None
        if wanted.kind == "definition":
            return self._drafted(case, compose.definition(named[0], self._of))
        return self._drafted(case, compose.reason(named[0], self._of, self._score))

    def _met_only(self, case: Case, one: Subject) -> Draft | None:
        """What papers say of a name that none of them introduces."""
        ids = [id for id in self._library.names.mentioning(one.name) if case.within is None or id in case.within.ids]
        papers = self._library.papers(ids[:MET])
        return self._drafted(case, compose.telling(one, list(papers.values()), self._of, self._score))

    def _comparing(self, case: Case) -> Draft | None:
        wanted = case.wanted
        named = [one for one in case.subjects if one.papers]
        plain = [one for one in named if not sets_scene(case.query, one)]
        named = (plain if len({one.paper for one in plain}) > 1 else named) or [
            self._about(side) for side in sides(case.query)
        ]
        if len(named) < 2:
            if detailed := self._detailed(case, named):
                return detailed
            met = [self._met(one, named) for one in case.subjects if not one.papers]
            named += [one for one in met if one.papers]
        if len(named) < 2:
            return None
        picks = compose.comparison(named, wanted.aspect, wanted.figures, self._of, self._score)
        return self._drafted(case, picks)

    def _about(self, side: str) -> Subject:
        """The paper that is told by what it is about, under its name."""
        hits = self._search.ranked(side, None).hits
        paper = hits[0].paper
        return Subject(self.called(paper), Span(0, 0), (paper,))

    def _met(self, one: Subject, named: Sequence[Subject]) -> Subject:
        """A name that no paper introduces, with a paper that has it: one of those compared, if there is one."""
        ids = self._library.names.mentioning(one.name)
        own = [other.paper.id for other in named if other.paper and other.paper.id in ids]
        papers = self._library.papers([*own, *ids][:1])
        return replace(one, papers=tuple(papers.values()))

    def _mentioning(self, case: Case) -> Draft | None:
        wanted, names = case.wanted, self._library.names
        looked_for = [case.subjects[at].name for at in wanted.of] or [wanted.literal]
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

    # --- details --------------------------------------------------------------------------------

    def _detailed(self, case: Case, named: Sequence[Subject]) -> Draft | None:
        """Where a detail of one paper is asked: the sentences that give it, or that the abstract does not."""
        paper = case.only or (named[0].paper if len({one.paper for one in named}) == 1 else None)
        if paper is None:
            return None
        named = [one for one in named if one.paper == paper]
        if stranger := self._unspoken(case, paper):
            lead = not_mentioned(markless(self.called(paper)), markless(stranger))
            return self._drafted(
                case, compose.nearest(case.query, self.called(paper), paper, self._score), lead, partial_=True
            )
        name = named[0].name if named else self.called(paper)
        asked = template(case.own if case.only and not named else case.query, [one.span for one in named])
        detail = details.wanted(asked)
        if detail is None or self._elsewhere(detail, paper):
            return None
        data, label = self._data(detail, case, named)
        among = compose.giving(detail, data, paper, self._of)
        if among:  # a figure of no other paper
            return self._drafted(case, compose.nearest(case.query, name, paper, self._score, among, most=2))
        lead = not_given(markless(name), label)
        return self._drafted(case, compose.nearest(case.query, name, paper, self._score), lead, partial_=True)

    def _unspoken(self, case: Case, paper: Paper) -> str:
        """What a yes-or-no question about a paper on screen names and its abstract does not; "" is nothing."""
        others = [one for one in case.subjects if one.papers and paper not in one.papers]
        if not case.only or not case.meant.subjects or not others:
            return ""
        text = f"{readable(paper.title)} {readable(paper.abstract)}"
        return "" if any(one.stands_in(text) for one in others) else others[0].name

    def _elsewhere(self, detail: details.Detail, paper: Paper) -> bool:
        """Is a detail given outside the abstract: in the title, or in what is known of the paper?"""
        known = {"a date": paper.year, "a link": paper.url or paper.doi}
        return bool(known.get(detail.label)) or (
            detail.label != "a score" and detail.label != "a number" and details.gives(detail, readable(paper.title))
        )

    def _data(self, detail: details.Detail, case: Case, named: Sequence[Subject]) -> tuple[list[re.Pattern[str]], str]:
        """On what data a score is asked, and what it is called."""
        if not detail.of_data:
            return [], detail.label
        own = {one.name for one in named}
        others = [one for one in case.subjects if one.name not in own and not details.METRIC.fullmatch(one.name)]
        name = others[-1].name if others else details.data_set(case.query)
        forms = (others[-1].name, *others[-1].long) if others else (name,)
        return [
            spelling(form) for form in forms if form
        ], f"{detail.label} on {markless(name)}" if name else detail.label

    # --- points and lists -----------------------------------------------------------------------

    def _extracted(self, case: Case, named: Sequence[Subject]) -> Draft:
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

    # --- what the stages need -------------------------------------------------------------------

    def _drafted(self, case: Case, picks: Sequence[Pick], lead: str = "", *, partial_: bool = False) -> Draft | None:
        if not picks:
            return None
        passages = self._evidence((pick.paper for pick in picks), case.evidence)
        return replace(drafted(picks, passages, "partial" if partial_ else "answered"), lead=lead)

    def _evidence(self, papers: Iterable[Paper], found: Sequence[Evidence] = ()) -> tuple[Evidence, ...]:
        """The papers as evidence, those of a search after them."""
        known = {evidence.paper.id: evidence for evidence in found}
        wanted = dict.fromkeys(paper.id for paper in papers)
        chunks = self._library.chunks([id for id in wanted if id not in known])
        first = [known.get(id) or Evidence(chunks[id][0], 0, 1.0) for id in wanted if id in known or id in chunks]
        rest = [evidence for id, evidence in known.items() if id not in wanted]
        return tuple(replace(evidence, rank=rank) for rank, evidence in enumerate([*first, *rest], 1))

    def _of(self, paper: Paper) -> Sequence[Sentence]:
        return self._search.sentences_of(paper)

    def _score(self, text: str, paper: Paper) -> Sequence[Scored]:
        question = self._search.compared(text, self._search.vector(text))
        return score_sentences(question, paper, self._of(paper))


def _line(text: str) -> Draft:
    return Draft((), (), "refused", EXTRACTIVE, lead=text)
