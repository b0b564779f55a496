"""A text -> the papers nearest to it; the only module beside `assistant` that knows an order.

    text -retrieve-> hits -rerank-> Ranked

A text is compared with the papers of one library, or with those that a filter leaves of it. The vectors of
texts that are known beforehand can be made together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

from rag import filters
from rag.answering import followup
from rag.answering.question import LONGEST_QUESTION, accepted
from rag.answering.reading import Reads
from rag.answering.relevance import Part, Question, Ranked, Sentences, question_of
from rag.answering.rerank import covered, explain, gather, rerank
from rag.answering.retrieve import retrieve
from rag.filters import Filter, Selected
from rag.library.dense import DenseSearch
from rag.library.embed import Embedder
from rag.library.spellings import is_word
from rag.library.store import Library
from rag.records import Evidence, Explained, Hit, Paper, Sentence
from rag.text import printable, readable

if TYPE_CHECKING:
    import numpy as np

CONSIDERED = 20  # papers whose sentences are looked at
FIRST = 5  # papers that say how well the library fits a follow-up taken by itself
LONGEST_WIDENED = 400  # characters of a text that is searched with other forms of its names
OWN_SHARE = 0.6  # of a follow-up's own vector in that of what it asks

Within = Selected | None  # the papers that may be looked at; None is all


class Search:
    """Search in one library. Thread-safe. `pool` and `dense_weight` as in `rag.settings`."""

    def __init__(
        self,
        library: Library,
        embedder: Embedder,
        *,
        pool: int,
        dense_weight: float,
        reading: Reads | None = None,
    ) -> None:
        """`reading` reads papers word by word; None reads none."""
        self.library = library
        self.embedder = embedder
        self.reading = reading
        self._pool, self._dense_weight = pool, dense_weight
        self._dense = DenseSearch(library)
        self._known: dict[str, np.ndarray] = {}

    def over(self, library: Library) -> Search:
        """The same search in a snapshot of its library."""
        found = copy(self)
        found.library = library
        return found

    def close(self) -> None:
        """Let go of the collection's files."""
        self._dense.close()

    # --- what a reader asks for -----------------------------------------------------------------

    def search(self, query: str, k: int, where: Filter) -> tuple[Hit, ...]:
        """The best `k` papers for a query, best first. Raises UsageError for a query that is none."""
        return self._searched(query, k, where).hits[:k]

    def explain(self, query: str, k: int, where: Filter) -> tuple[Explained, ...]:
        """`search`, each hit with why it ranks where it does."""
        found = self._searched(query, k, where)
        return tuple(explain(hit, found.question, found.near(hit.paper)) for hit in found.hits[:k])

    def like(self, paper: Paper, k: int, where: Filter) -> tuple[Hit, ...]:
        """The `k` papers nearest to a paper of this or another library, without itself."""
        text = printable(f"{readable(paper.title)}. {readable(paper.abstract)}")[:LONGEST_QUESTION]
        found = self.ranked(text, self.selected(where), at_least=k + 1)
        return tuple(hit for hit in found.hits if hit.paper.id != paper.id)[:k]

    def _searched(self, query: str, k: int, where: Filter) -> Ranked:
        text, within = self.parted(accepted(query), where)
        return self.ranked(self.respelled(text), within, at_least=k)

    # --- a text before it is searched -----------------------------------------------------------

    def parted(self, question: str, where: Filter) -> tuple[str, Within]:
        """A question without its filter, and the papers that this and `where` admit."""
        text, own = filters.split(question)
        return text, self.selected(where & own)

    def selected(self, where: Filter) -> Within:
        """The papers that a filter admits."""
        return self.library.subsets.selected(where) if where else None

    def respelled(self, text: str) -> str:
        """The text with slips of typing mended, in words of the library; a word of the language is no slip."""

        def meant(word: str) -> str | None:
            found = self.library.words.spelled(word)
            return None if found is None or is_word(word) else found

        return followup.respelled(text, meant)

    def vector(self, text: str) -> np.ndarray:
        """The vector of a text, of unit length."""
        known = self._known.get(text)
        vector: np.ndarray = self.embedder.encode([text])[0] if known is None else known
        return vector

    def vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The vectors of texts, made together."""
        return list(self.embedder.encode(texts)) if texts else []

    def encode(self, texts: Iterable[str]) -> None:
        """Make the vectors of texts together, for `vector` to find; those of before are forgotten."""
        wanted = list(dict.fromkeys(texts))
        self._known = dict(zip(wanted, self.embedder.encode(wanted), strict=True)) if wanted else {}

    def compared(self, text: str, vector: np.ndarray, context: str = "") -> Question:
        """The text as it is compared; words of the `context` count less."""
        return question_of(text, vector, self.library.words.document_frequency, len(self.library), context=context)

    def focus(self, own: str, text: str, vector: np.ndarray) -> Question:
        """What a follow-up itself asks (`own`), with the stand-alone `text` as its context."""
        blend = OWN_SHARE * self.vector(own) + (1 - OWN_SHARE) * vector
        return self.compared(own, blend / float((blend @ blend) ** 0.5), text)

    # --- the two stages -------------------------------------------------------------------------

    def retrieved(self, text: str, vector: np.ndarray, within: Within, pool: int = 0) -> tuple[Hit, ...]:
        """The hits for a text, in the order of their fused scores; each search gives `pool` chunks or more."""
        return retrieve(
            text,
            dense=lambda n: self._dense.nearest(vector, n, within and within.ids, self.library),
            lexical=lambda n: self.library.words.lexical(self._widened(text), n, within and within.ids),
            chunks=self.library.chunks,
            pool=max(pool, self._pool),
            dense_weight=self._dense_weight,
        )

    def _widened(self, text: str) -> str:
        """The text with the long form of each short name in it, or the short one of a long: "LRA" is "Long Range Arena"."""
        if len(text) > LONGEST_WIDENED:
            return text
        names, forms = self.library.names, []
        for named in names.names_in(text):
            forms += [form for form in names.forms(named.name)[:1] if form.lower() not in text.lower()]
        return " ".join([text, *forms])

    def joined(self, hits: Sequence[Hit], papers: Sequence[Paper]) -> tuple[Hit, ...]:
        """The hits, with those papers among them that the searches did not find."""
        found = {hit.paper.id for hit in hits}
        chunks = self.library.chunks([paper.id for paper in papers if paper.id not in found])
        added = (Hit(pieces[0], 0.0, len(hits) + n, ()) for n, pieces in enumerate(chunks.values(), 1))
        return (*hits, *added)

    def reranked(
        self,
        hits: Sequence[Hit],
        question: Question,
        *,
        depth: int = CONSIDERED,
        at_hand: int = 0,
        also: Iterable[Paper] = (),
        first: Collection[Paper] = (),
        quoted: frozenset[tuple[str, int]] = frozenset(),
    ) -> Ranked:
        """The hits in their final order, of which the first `depth` are looked at sentence by sentence.

        The sentences of so many papers, of at least `at_hand` and of those in `also`, are at hand afterwards;
        those `quoted` before count less. Papers in `first` come before all others.
        """
        papers = [*(hit.paper for hit in hits[: max(depth, at_hand)]), *also]
        sentences = Sentences(self.library.sentences([paper.id for paper in papers]), quoted)
        near = partial(sentences.matched, question)
        return Ranked(question, sentences, rerank(hits, question, near, depth=depth, first=first))

    def ranked(self, text: str, within: Within, *, at_least: int = 0, also: Sequence[Paper] = ()) -> Ranked:
        """The hits for a text in their final order, as many as `at_least` if there are."""
        vector = self.vector(text)
        hits = self.retrieved(text, vector, within, at_least)
        return self.reranked(hits, self.compared(text, vector), at_hand=at_least, also=also)

    def each(self, texts: Sequence[str], within: Within, without: Collection[str] = ()) -> list[Ranked]:
        """`ranked` for each of several texts, which are embedded together; without the papers of those ids."""
        found = []
        for text, vector in zip(texts, self.vectors(texts), strict=True):
            hits = self.retrieved(text, vector, within)
            kept = [hit for hit in hits if hit.paper.id not in without]
            found.append(self.reranked(kept, self.compared(text, vector)))
        return found

    # --- what other stages want to know ---------------------------------------------------------

    def fits(self, within: Within, text: str, papers: Sequence[Paper]) -> tuple[list[followup.Fit], followup.Fit]:
        """How well each of the papers fits a text, and how well the best that may be looked at."""
        found = self.ranked(text, within, also=papers)

        def fit(paper: Paper) -> followup.Fit:
            near = found.near(paper)
            return followup.Fit(max((s.cosine for s in near), default=0.0), covered(paper, found.question, near))

        first = [fit(hit.paper) for hit in found.hits[:FIRST]]
        best = followup.Fit(max((f.cosine for f in first), default=0.0), first[0].words if first else 0.0)
        return [fit(paper) for paper in papers], best

    def part(self, text: str, within: Within) -> Part:
        """A part of a question, searched by itself."""
        vector = self.vector(text)
        hits = self.retrieved(text, vector, within)
        return Part(self.compared(text, vector), {hit.paper.id: hit.score for hit in hits})

    def evidence(self, text: str, within: Within, k: int) -> tuple[Evidence, ...]:
        """The best `k` papers for a text, as evidence."""
        found = self.ranked(text, within)
        return gather(found.hits, found.question, found.near, k)

    def sentences_of(self, paper: Paper) -> Sequence[Sentence]:
        """The sentences of a paper, with their vectors; none of a paper that the library does not hold."""
        return self.library.sentences([paper.id]).get(paper.id, ())
