"""The reader's logits beside the signals: which paper comes first, which sentence answers, does any.

Blended, never alone: the signals know where words agree, the reader where they do not. The weights are fitted by
`evals/bench/reading.py`. Few papers are read: the first alone where it leads, else as many as the settings say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import exp, log

from rag.answering.relevance import Ranked
from rag.library.reader import Passage, Reader, Reading
from rag.records import Evidence, Found, Hit, Paper
from rag.text import Span, looks_english, readable

LEAD = 0.12  # of the first paper's score over the second's, from which it is read alone
ORDER = 0.35  # share in a paper's score of how likely it answers
SENTENCE = (0.70, 0.45, 1.05)  # of a sentence's log odds and of the reader's logit, and the offset
SPEAKS, AT_MOST = 0.5, 3.0  # share of the log odds that a paper speaks of what is asked, and up to where they count
SURE = (0.4, 1.0)  # of the sum of both and of the logit that it answers: slope, and offset at the usual threshold

Read = Callable[[Sequence[Paper]], Mapping[str, Reading]]  # papers -> what the reader says of each, by id


class Reads:
    """Reads the first papers of a question, and claims beside their quotes."""

    def __init__(self, reader: Reader, most: int) -> None:
        """`most` papers are read for a question, at least 1."""
        self._reader, self._most = reader, most

    def readings(self, text: str, ranked: Ranked) -> Mapping[str, Reading]:
        """What the reader says of the first papers, by id; nothing of a text in another language, which it cannot read."""
        if not ranked.hits or not looks_english(text):
            return {}

        def read(papers: Sequence[Paper]) -> Mapping[str, Reading]:
            held = [paper for paper in papers if ranked.sentences.of(paper)]
            passages = [passage_of(paper, [s.span for s in ranked.sentences.of(paper)]) for paper in held]
            return {paper.id: one for paper, one in zip(held, self._reader.read(text, passages), strict=True)}

        return first_read(ranked.hits, read, most=self._most)

    def supporting(self, claim: str, title: str, quotes: Sequence[str]) -> float:
        """The log odds that quotes under a title support a claim: of supported over contradicted or not said."""
        (read,) = self._reader.read(claim, [Passage(title, tuple(quotes))])
        yes, *others = read.support
        return yes - log(sum(exp(other) for other in others))


def passage_of(paper: Paper, spans: Sequence[Span]) -> Passage:
    """A paper as the reader is shown it."""
    return Passage(readable(paper.title), tuple(readable(paper.abstract[span.start : span.end]) for span in spans))


def first_read(hits: Sequence[Hit], read: Read, *, most: int) -> Mapping[str, Reading]:
    """What the reader says of the first of the hits: of one where it leads, of `most` where it does not."""
    leads = len(hits) > 1 and hits[0].score - hits[1].score >= LEAD
    return read([hit.paper for hit in hits[: 1 if leads else most]])


def reordered(hits: Sequence[Hit], readings: Mapping[str, Reading], first: Collection[Paper] = ()) -> tuple[Hit, ...]:
    """The hits by their scores blended with how likely each answers; those unread gain nothing.

    Papers in `first` come before all others. Ties keep the order.
    """
    if not readings:
        return tuple(hits)
    likely = {id: chance(reading.answered) for id, reading in readings.items()}
    ranks = {id: rank for rank, id in enumerate(sorted(likely, key=lambda id: -likely[id]), 1)}
    weighed = [_weighed(hit, ranks.get(hit.paper.id), likely.get(hit.paper.id, 0.0)) for hit in hits]
    ordered = sorted(weighed, key=lambda hit: (hit.paper not in first, -hit.score, hit.rank))
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(ordered, 1))


def _weighed(hit: Hit, rank: int | None, likely: float) -> Hit:
    found = tuple(replace(one, part=(1 - ORDER) * one.part) for one in hit.found)
    read = (Found("reader", rank, likely, ORDER * likely),) if rank else ()
    return replace(hit, score=(1 - ORDER) * hit.score + ORDER * likely, found=(*found, *read))


def surer(evidence: Sequence[Evidence], readings: Mapping[str, Reading]) -> tuple[Evidence, ...]:
    """The evidence, each no surer than that its paper answers; one that was not read, no surer than the surest read."""
    if not readings:
        return tuple(evidence)
    most = max(reading.answered for reading in readings.values())

    def sure(one: Evidence) -> float:
        read = readings.get(one.paper.id)
        both = (read.answered if read else most) + SPEAKS * (min(odds(one.score), AT_MOST) - AT_MOST)
        return min(one.score, chance(SURE[0] * both + SURE[1]))

    return tuple(replace(one, score=sure(one)) for one in evidence)


def blended(score: float, logit: float) -> float:
    """0..1: how well a sentence answers, from its score by the signals and the reader's logit."""
    return chance(SENTENCE[0] * odds(score) + SENTENCE[1] * logit + SENTENCE[2])


def chance(logit: float) -> float:
    """The logistic: 0..1."""
    return 1 / (1 + exp(-max(-30.0, min(30.0, logit))))


def odds(p: float) -> float:
    """The log odds of 0..1, kept within 8."""
    p = min(max(p, 0.0003), 0.9997)
    return log(p / (1 - p))
