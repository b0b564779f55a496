"""What whoever drafts an answer without a chat model needs of a library: names, sentences, evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rag.answering.alone import Pick, drafted
from rag.answering.asked import Subject, called, subjects
from rag.answering.case import Case
from rag.answering.relevance import Scored, score_sentences
from rag.answering.search import Search, Within
from rag.library.store import Library
from rag.records import Draft, Evidence, Paper, Sentence
from rag.settings import Settings


class Drafting:
    """Names, sentences and evidence of one library, for drafts. Thread-safe."""

    def __init__(self, settings: Settings, library: Library, search: Search) -> None:
        self._settings, self._library, self._search = settings, library, search

    def subjects(self, text: str, within: Within = None) -> tuple[Subject, ...]:
        """The names in a text, with their papers that may be looked at."""
        return subjects(text, self._library.names, self._library.papers, within and within.ids)

    def called(self, paper: Paper) -> str:
        """What a paper is called."""
        return called(paper, self._library.names)

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
