"""Hits -> Evidence: the papers worth answering from, with a score that means the same everywhere.

The fused score orders papers within one question; a paper's nearest sentence sharpens it, since an
abstract speaks of many things and a question asks for one (weights tuned on SciFact's training
claims, `evals/bench/retrieval.py`). How sure one may be that a paper answers at all is another
matter: the cosines of its chunk and of its nearest sentence, through a logistic fitted on the dev
split of the gold set, give the evidence its score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp

from rag.records import Evidence, Hit, Paper
from rag.relevance import Scored

SENTENCE_SHARE = 0.3
SLOPE, OFFSET = 17.4, -5.95  # of the logistic; one half at a mean cosine of .34

Sentences = Callable[[Paper], Sequence[Scored]]


def rerank(hits: Sequence[Hit], sentences: Sentences, k: int) -> tuple[Evidence, ...]:
    """The best `k` papers of the hits as evidence, best first; `sentences` scores those of a paper."""
    worth = merits(hits, sentences)
    ordered = sorted(hits, key=lambda hit: (-worth[hit.paper.id], hit.rank))
    return tuple(
        Evidence(hit.chunk, rank, confidence(hit, sentences(hit.paper))) for rank, hit in enumerate(ordered[:k], 1)
    )


def merits(hits: Sequence[Hit], sentences: Sentences) -> Mapping[str, float]:
    """How well each paper fits, 0..1 within the question, by paper id."""
    nearest = {hit.paper.id: _nearest(sentences(hit.paper)) for hit in hits}
    low, high = min(nearest.values(), default=0.0), max(nearest.values(), default=0.0)
    spread = (high - low) or 1.0
    return {
        hit.paper.id: (1 - SENTENCE_SHARE) * hit.score + SENTENCE_SHARE * (nearest[hit.paper.id] - low) / spread
        for hit in hits
    }


def confidence(hit: Hit, sentences: Sequence[Scored]) -> float:
    """0..1: how sure one may be that the paper speaks of what is asked."""
    nearest = _nearest(sentences)
    dense = next((found.score for found in hit.found if found.search == "dense"), nearest)
    return 1 / (1 + exp(-(SLOPE * (nearest + dense) / 2 + OFFSET)))


def _nearest(sentences: Sequence[Scored]) -> float:
    return max((sentence.cosine for sentence in sentences), default=0.0)
