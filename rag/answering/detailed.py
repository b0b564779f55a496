"""The answer to a question for a detail of what is named: the sentence that gives it, or that no abstract does.

A figure of one thing is never given under the name of another. What papers only mention is looked for beside its name;
what is known of a paper beside its abstract (year, authors, venue, link) is told as that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.answering import compose, details
from rag.answering.asked import Subject, sets_scene, words_without
from rag.answering.case import Case
from rag.answering.drafting import Drafting
from rag.answering.shape import asks_verdict, template
from rag.answering.wording import known_of, markless, nobody_gives, not_given, not_mentioned
from rag.library.spellings import TOKEN, clean, spelling, strong
from rag.records import Draft, Paper
from rag.text import Span, readable, terms

BRIEF = 4  # words of meaning in a question for a detail, besides names and what is asked
PARTED = 12  # words of a question from which its parts are asked for one by one
PAPERS = 12  # papers that mention a name, of which the nearest sentence is shown
_UNIT = re.compile(
    r"(?:[gtc]pu|(?:tera|peta|t|p|g)?flop|[kmgt]i?b|usd|ram|vram)s?(?:-\w+)?", re.IGNORECASE
)  # no system
_OPPOSES = re.compile(r"\b(?:vs\.?|versus|compared? (?:to|with)|than)\b", re.IGNORECASE)


class Detailed(Drafting):
    """Drafts of what is asked in detail. Thread-safe."""

    def draft(self, case: Case, named: Sequence[Subject], *, sure: bool = False) -> Draft | None:
        """Where a detail of what is named is asked: the sentences that give it, or that no abstract does.

        A question that looks like one for a list is taken for one for a detail only where that is `sure`: of one name.
        """
        asked = case.own if case.only and not named else case.query
        detail = details.wanted(template(asked, [one.span for one in named])) if self.is_brief(case, asked) else None
        if sure and (detail is None or len(named) != 1 or sets_scene(case.query, named[0])):
            return None
        met = self._system_met(case, named, detail) if detail else None
        if met and detail:
            return self._detail_met(case, met, named, detail)
        paper = case.only or (named[0].paper if len({one.paper for one in named}) == 1 else None)
        if paper is None:
            return None
        named = [one for one in named if one.paper == paper]
        if stranger := self._unspoken(case, paper, named, detail):
            lead = not_mentioned(markless(self.called(paper)), markless(stranger))
            return self._drafted(
                case, compose.nearest(case.query, self.called(paper), paper, self._score), lead, partial_=True
            )
        return self._detail_of(case, paper, named, detail) if detail else None

    def is_brief(self, case: Case, asked: str) -> bool:
        """Does a question say little besides names and what it asks of them? A longer one may tell what it means in words."""
        rest = words_without(asked, [one.span for one in case.subjects] if asked == case.query else [])
        brief = len(set(terms(details.without(rest)))) <= BRIEF
        parted = case.wanted.parts and len(asked.split()) > PARTED
        return brief and not parted and not _OPPOSES.search(asked)

    def _detail_of(self, case: Case, paper: Paper, named: Sequence[Subject], detail: details.Detail) -> Draft | None:
        """The sentences that give a detail of one paper, or that its abstract does not."""
        name = named[0].name if named else self.called(paper)
        if value := known(detail, paper):
            lead = known_of(markless(name), label_of(detail), markless(value))
            return self._drafted(case, compose.nearest(case.query, name, paper, self._score), lead)
        data, label = self._data(detail, case, named)
        own = [spelling(one.name) for one in named] or [spelling(name)]
        among = compose.giving(detail, self._on(detail, data, case), own, paper, self._of)
        if among:  # a figure of no other paper
            return self._drafted(case, compose.nearest(case.query, name, paper, self._score, among, most=2))
        if titled(detail, paper):
            return None
        lead = not_given(markless(name), label)
        return self._drafted(case, compose.nearest(case.query, name, paper, self._score), lead, partial_=True)

    def _system_met(self, case: Case, named: Sequence[Subject], detail: details.Detail) -> Subject | None:
        """What a detail is asked of, where no paper introduces it: "Mamba" in "Mamba's accuracy on ImageNet"."""
        plain = named and not (detail.of_data and all(sets_scene(case.query, one) for one in named))
        if case.only or case.meant.papers or plain:
            return None
        met = [one for one in case.subjects if not one.papers and not _UNIT.fullmatch(one.name)]
        if detail.of_data:
            return next((one for one in met if not _measures(case.query, one)), None)
        rest = details.without(case.query)  # "Sample Size" is what is asked
        return next((one for one in met if spelling(one.name).search(rest)), None)

    def _detail_met(self, case: Case, one: Subject, named: Sequence[Subject], detail: details.Detail) -> Draft | None:
        """A detail of what papers only mention: a sentence that has it beside its name, or that none does."""
        ids = self._library.names.mentioning(one.name)
        ids = tuple(id for id in ids if case.within is None or id in case.within.ids)
        papers = list(self._library.papers(ids).values())
        data, label = self._data(detail, case, [one])
        wanted = [*self._on(detail, data, case), [spelling(form) for form in (one.name, *one.long)]]
        own = {other.paper for other in named}
        found = [
            (paper, span)
            for paper in papers
            for span in compose.giving(detail, wanted if paper not in own else wanted[-1:], wanted[-1], paper, self._of)
        ]
        if found:
            spans = [span for paper, span in found if paper == found[0][0]]
            return self._drafted(case, compose.nearest(case.query, "", found[0][0], self._score, spans, most=1))
        papers = [paper for paper in papers if paper in own] or papers
        lead = nobody_gives(markless(one.name), label)
        return self._drafted(
            case, compose.telling(one, papers[:PAPERS], self._of, self._score, case.query), lead, partial_=True
        )

    def _unspoken(self, case: Case, paper: Paper, named: Sequence[Subject], detail: details.Detail | None) -> str:
        """What a question about one paper names and its abstract does not; "" is nothing.

        Asked is yes or no, or a score of something on what the paper introduces.
        """
        text = f"{readable(paper.title)} {readable(paper.abstract)}"
        if detail and detail.of_data and named and all(sets_scene(case.query, one) for one in named):
            system = details.system(case.query[: named[0].span.start])
            return system if system and not spelling(system).search(text) else ""
        if not asks_verdict(case.query):
            return ""
        others = [one for one in case.subjects if paper not in one.papers]
        strange = next((one.name for one in others if not one.stands_in(text)), "")
        taken = [one.span for one in case.subjects]
        return strange or next((word for word in _odd(case.query, taken) if not spelling(word).search(text)), "")

    def _on(
        self, detail: details.Detail, data: Sequence[re.Pattern[str]], case: Case
    ) -> list[Sequence[re.Pattern[str]]]:
        """What a sentence must have, of each of these one: the data, and the measure that is asked for."""
        measure = details.metric(template(case.query, ())) if detail.of_data else None
        return [one for one in (data, [measure[1]] if measure else []) if one]

    def _data(self, detail: details.Detail, case: Case, named: Sequence[Subject]) -> tuple[list[re.Pattern[str]], str]:
        """On what data a score is asked, and what it is called."""
        if not detail.of_data:
            return [], detail.label
        own = {one.name for one in named}
        others = [one for one in case.subjects if one.name not in own and not details.METRIC.fullmatch(one.name)]
        typed = case.own if case.only and not named else case.query
        name = others[-1].name if others else details.data_set(typed)
        forms = (others[-1].name, *others[-1].long) if others else (name,)
        measure = details.metric(template(case.query, ()))
        label = measure[0] if measure else detail.label
        return [spelling(form) for form in forms if form], f"{label} on {markless(name)}" if name else label


def known(detail: details.Detail, paper: Paper) -> str:
    """A detail that is known of a paper beside its abstract; "" is none."""
    known = {
        "a date": str(paper.year or ""),
        "a link": paper.url or (f"https://doi.org/{paper.doi}" if paper.doi else ""),
        "a place to get it from": paper.url or "",
        "its authors": "; ".join(paper.authors),
        "a venue": paper.venue or "",
    }
    return readable(known.get(detail.label, ""))


def label_of(detail: details.Detail) -> str:
    """What a detail is called without its article."""
    return re.sub(r"^(?:an?|its) ", "", detail.label)


def titled(detail: details.Detail, paper: Paper) -> bool:
    """Is a detail given in the title?"""
    return not detail.of_data and bool(detail.asks) and details.gives(detail, readable(paper.title))


def _measures(query: str, one: Subject) -> bool:
    """Is a name a measure, or does it stand where something is measured?"""
    return sets_scene(query, one) or bool(details.METRIC.fullmatch(one.name))


def _odd(query: str, taken: Sequence[Span]) -> list[str]:
    """The words of a question that are spelt as no word of a language is, besides the names in it."""
    return [
        clean(found[0])
        for found in TOKEN.finditer(query)
        if strong(found[0]) and not any(one.start < found.end() and found.start() < one.end for one in taken)
    ]
