"""What papers say on claims and on columns: the order of `rag cite` and `rag table`.

    claim   -search-> papers -attribution-> Attribution
    columns -columns-> a sentence of each abstract, or words that a chat model copied from it -> Table

Each looks at papers one by one and judges their sentences; nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from rag.answering import columns as known
from rag.answering.appeal import copied
from rag.answering.attribution import RANKED, bearing, is_only_near, numbered
from rag.answering.columns import Column
from rag.answering.judge import Asserted, Opinion
from rag.answering.quotes import locate
from rag.answering.relevance import Question, Sentences
from rag.answering.search import Search, Within
from rag.answering.support import Encode
from rag.answering.support import kept as encoding_once
from rag.attributed import Attribution, Bearing
from rag.errors import ModelError
from rag.library.store import Library
from rag.prompting import Ask, fence
from rag.records import Citation, Paper, Prompt
from rag.tabulated import Cell, Row, Table
from rag.text import STOPWORDS, harmless, printable, readable, sentences, words

ASKED = 3  # papers on which a chat model is asked for one claim
WEIGHED = 10  # papers that a claim is compared with
Progress = Callable[[str, int, int], None]


class Survey:
    """The papers of one library, next to claims and columns. Thread-safe."""

    def __init__(self, library: Library, search: Search) -> None:
        self.library, self._search = library, search

    # --- claims ---------------------------------------------------------------------------------

    def cite(
        self,
        claims: Sequence[str],
        k: int,
        within: Within,
        opinion: Callable[[Asserted], Opinion] | None = None,
        *,
        keep: bool = False,
    ) -> tuple[Attribution, ...]:
        """For each claim the best `k` papers: those that support it first, then as they were found.

        Where none surely does, an `opinion` is asked on the nearest: they may say it in other words. With `keep`, the
        reason tells of one that is not borne out.
        """
        self._search.encode(claims)
        encode = self._worded(claims)
        judged = partial(_judged, opinion=opinion, keep=keep) if opinion else None
        return tuple(self._cited(claim, k, within, encode, judged) for claim in claims)

    def check(self, claims: Sequence[tuple[str, Sequence[Paper]]]) -> tuple[Attribution, ...]:
        """What papers of the library say on claims, for each claim its own papers, in their order."""
        texts = [claim for claim, _ in claims]
        self._search.encode(texts)
        encode = self._worded(texts)
        return tuple(self._borne(claim, papers, encode) for claim, papers in claims)

    def _worded(self, claims: Sequence[str]) -> Encode:
        """An encoder that knows the words of claims: those that quotes lack are compared one by one."""
        encode = encoding_once(self._search.embedder.encode)
        encode(sorted({word for claim in claims for word in words(claim) if word not in STOPWORDS}))
        return encode

    def _cited(
        self, claim: str, k: int, within: Within, encode: Encode, judged: Callable[[str, Bearing], Bearing] | None
    ) -> Attribution:
        hits = self._search.ranked(claim, within).hits[: max(k, WEIGHED)]
        found = self._borne(claim, [hit.paper for hit in hits], encode).bearings
        if judged and not any(one.verdict == "supports" for one in found):
            asked = [one for one in found if is_only_near(one)][:ASKED]
            found = tuple(judged(claim, one) if one in asked else one for one in found)
        order = sorted(found, key=lambda one: RANKED.index(one.verdict))
        return Attribution(claim, tuple(numbered(one, rank) for rank, one in enumerate(order[:k], 1)))

    def _borne(self, claim: str, papers: Sequence[Paper], encode: Encode) -> Attribution:
        kept = self.library.sentences([paper.id for paper in papers])
        question = self._search.compared(claim, self._search.vector(claim))
        near, frequency = Sentences(kept, frozenset()), self.library.words.document_frequency
        weigh = partial(bearing, encode=encode, frequency=frequency, papers=len(self.library))
        found = [
            weigh(question, paper, near.matched(question, paper), kept[paper.id], rank)
            for rank, paper in enumerate(papers, 1)
            if kept.get(paper.id)
        ]
        return Attribution(claim, tuple(found))

    # --- columns --------------------------------------------------------------------------------

    def table(
        self,
        asked: Sequence[Column],
        papers: Sequence[Paper],
        reader: CellReader | None = None,
        progress: Progress | None = None,
    ) -> Table:
        """A row for each of the papers. With a `reader` a chat model copies the words of a cell from the abstract.

        A paper on which the model fails is read without it, unless it is the first: then ModelError is raised.
        """
        free = [column.question for column in asked if not column.fact and not column.kind]
        self._search.encode(free)
        questions = {text: self._search.compared(text, self._search.vector(text)) for text in free}
        rows: list[Row] = []
        for n, paper in enumerate(papers):
            own = [self._cell(column, paper, questions) for column in asked]
            if reader and (open := [at for at, column in enumerate(asked) if not column.fact]):
                try:
                    own = _with(own, open, reader.cells([asked[at].name for at in open], paper))
                except ModelError:
                    if not n:
                        raise
                    reader.failed += 1
            rows.append(Row(paper, tuple(own)))
            if progress:
                progress("reading", n + 1, len(papers))
        return Table(tuple(column.name for column in asked), tuple(rows))

    def _cell(self, column: Column, paper: Paper, questions: dict[str, Question]) -> Cell:
        """What is known of the paper, or the sentence of its abstract that fills the column."""
        if column.fact:
            return Cell(column.fact(paper))
        kept = self.library.sentences([paper.id])
        spans = [one.span for one in kept.get(paper.id, ())]
        if column.kind:
            at = known.known(column, [readable(paper.abstract[span.start : span.end]) for span in spans])
        else:
            question = questions[column.question]
            at = known.answered(question, Sentences(kept, frozenset()).scored(question, paper))
        return quoting(paper, *spans[at]) if at is not None else Cell()


def _judged(claim: str, one: Bearing, opinion: Callable[[Asserted], Opinion], keep: bool) -> Bearing:
    """What a chat model says of a paper that is near to a claim: it supports it if words that it copies bear it."""
    spans = sentences(one.paper.abstract)
    said = opinion(Asserted(claim, tuple(one.paper.abstract[span.start : span.end] for span in spans)))
    span = locate(said.evidence, one.paper.abstract) if said.supported else None
    if not span:
        return replace(one, reason=f"{one.reason}; of a chat model: {said.why}") if keep and said.why else one
    resting = [each for each in spans if each.start < span.end and span.start < each.end]
    quotes = tuple(Citation(1, one.paper, one.paper.abstract[s.start : s.end], s.start, s.end) for s in resting)
    return replace(one, verdict="supports", quotes=quotes, reason="a chat model finds it there, in other words")


def _with(cells: list[Cell], places: Sequence[int], read: Sequence[Cell]) -> list[Cell]:
    found = dict(zip(places, read, strict=True))
    return [found.get(at, cell) for at, cell in enumerate(cells)]


def quoting(paper: Paper, start: int, end: int) -> Cell:
    """A cell that is a piece of an abstract, word for word."""
    quote = Citation(1, paper, paper.abstract[start:end], start, end)
    return Cell(quote.quote, quote)


class CellReader:
    """A chat model that copies the words of cells from an abstract; what does not stand there leaves a cell empty.

    `room` takes the sentences of an abstract that the model is shown. A cell that `agrees` does not take for a state of
    its column is left empty. With `keep` words that do not stand in the abstract are kept, without a quote. `failed`
    counts the papers on which the model could not be asked.
    """

    def __init__(
        self,
        prompt: Prompt,
        asking: Callable[[], Ask],
        room: Callable[[Sequence[str]], Sequence[str]],
        agrees: Callable[[Asserted], bool],
        *,
        keep: bool,
    ) -> None:
        self._prompt, self._asking, self._room, self._agrees, self._keep = prompt, asking, room, agrees, keep
        self.failed = 0

    def cells(self, names: Sequence[str], paper: Paper) -> list[Cell]:
        """A cell for each column. Raises ModelError."""
        said = copied(self._asking()(*prompted(self._prompt, names, paper, self._room)).text, len(names))
        return [self._checked(name, pieces, paper) for name, pieces in zip(names, said, strict=True)]

    def _checked(self, name: str, pieces: Sequence[str], paper: Paper) -> Cell:
        """The first piece that stands in the abstract."""
        spans = (locate(piece, paper.abstract) for piece in pieces)
        span = next((span for span in spans if span), None)
        if not span:
            return Cell(printable(" ".join(pieces[0].split()))) if self._keep and pieces else Cell()
        said = sentences(paper.abstract)
        is_whole = any(span.start == one.start for one in said)  # else a stop is no part of it
        bare = paper.abstract[span.start : span.end].rstrip(" .,;:")
        found = quoting(paper, span.start, span.end if is_whole else span.start + len(bare))
        around = tuple(
            paper.abstract[one.start : one.end] for one in said if one.start < span.end and span.start < one.end
        )
        return found if self._agrees(Asserted(f"{name}: {found.text}", around)) else Cell()


def prompted(
    prompt: Prompt,
    names: Sequence[str],
    paper: Paper,
    room: Callable[[Sequence[str]], Sequence[str]] = lambda said: said,
) -> tuple[str, str]:
    """(system, user): the abstract, as much of it as there is `room` for, and the numbered columns, between fences."""
    said = [paper.abstract[start:end] for start, end in sentences(paper.abstract)]
    kept = room(said)
    shown = paper.abstract if len(kept) == len(said) else " ".join(kept)
    abstract = f"{harmless(readable(paper.title))}\n{harmless(readable(shown))}"
    columns = "\n".join(f"{n}: {' '.join(harmless(name).split())}" for n, name in enumerate(names, 1))
    return prompt.system, prompt.fill(fence=fence(abstract, columns), abstract=abstract, columns=columns)
