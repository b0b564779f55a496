"""Hits -> Evidence: the papers worth answering from, with a score that means the same everywhere.

The fused score orders papers within one question; it says nothing of whether the best one answers.
Evidence is scored by its best sentence (`relevance`), which is comparable between questions, and
ordered by both: the fused score knows the whole abstract, the sentence score the point asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rag.records import Evidence, Hit, Paper
from rag.relevance import Scored

FUSED_WEIGHT = 0.5


def rerank(hits: Sequence[Hit], sentences: Callable[[Paper], Sequence[Scored]], k: int) -> tuple[Evidence, ...]:
    """The best `k` papers of the hits as evidence, best first; `sentences` scores those of a paper."""
    considered = hits[: max(2 * k, 10)]
    best = {hit.paper.id: max((s.score for s in sentences(hit.paper)), default=0.0) for hit in considered}
    ordered = sorted(considered, key=lambda hit: (-_merit(hit, best[hit.paper.id]), hit.rank))
    return tuple(Evidence(hit.chunk, rank, best[hit.paper.id]) for rank, hit in enumerate(ordered[:k], 1))


def _merit(hit: Hit, sentence: float) -> float:
    return FUSED_WEIGHT * hit.score + (1 - FUSED_WEIGHT) * sentence
