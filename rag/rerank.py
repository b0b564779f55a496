"""Hits -> Evidence: the papers worth answering from, with a score that means the same everywhere.

The fused score orders papers within one question; a paper's nearest sentence sharpens it, since an
abstract speaks of many things and a question asks for one (tuned on SciFact's training claims), and
so do the question's words that its title and one sentence hold together, for names that vectors blur. How sure one may be that a paper answers at all is another
matter: near in meaning (the cosines of its chunk and nearest sentence) or, for a name that embeddings
do not know, in words (the share of the question that title and best sentence hold, squared, so that
common words alone do not count), through a logistic fitted by `evals/bench/refusal.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp

from rag.records import Evidence, Hit, Paper
from rag.relevance import Asked, Scored
from rag.text import readable, terms

SENTENCE_SHARE, COVERED_SHARE = 0.23, 0.23  # of the nearest sentence and of the words held; the rest is the fused score
COSINE, COVERED, OFFSET = 18.6, 6.1, -6.9  # of the logistic

Sentences = Callable[[Paper], Sequence[Scored]]


def rerank(hits: Sequence[Hit], question: Asked, sentences: Sentences, k: int) -> tuple[Evidence, ...]:
    """The best `k` papers of the hits as evidence, best first; `sentences` scores those of a paper."""
    worth = merits(hits, question, sentences)
    ordered = sorted(hits, key=lambda hit: (-worth[hit.paper.id], hit.rank))[:k]
    scores = [confidence(hit, question, sentences(hit.paper)) for hit in ordered]
    return tuple(Evidence(hit.chunk, at, score) for at, (hit, score) in enumerate(zip(ordered, scores, strict=True), 1))


def merits(hits: Sequence[Hit], question: Asked, sentences: Sentences) -> Mapping[str, float]:
    """How well each paper fits, 0..1 within the question, by paper id."""
    nearest = {hit.paper.id: _nearest(sentences(hit.paper)) for hit in hits}
    low, high = min(nearest.values(), default=0.0), max(nearest.values(), default=0.0)
    spread, rest = (high - low) or 1.0, 1 - SENTENCE_SHARE - COVERED_SHARE
    return {
        hit.paper.id: rest * hit.score
        + SENTENCE_SHARE * (nearest[hit.paper.id] - low) / spread
        + COVERED_SHARE * covered(hit.paper, question, sentences(hit.paper))
        for hit in hits
    }


def confidence(hit: Hit, question: Asked, sentences: Sequence[Scored]) -> float:
    """0..1: how sure one may be that the paper speaks of what is asked."""
    nearest = _nearest(sentences)
    dense = next((found.score for found in hit.found if found.search == "dense"), nearest)
    held = covered(hit.paper, question, sentences)
    return 1 / (1 + exp(-(COSINE * (nearest + dense) / 2 + COVERED * held**2 + OFFSET)))


def covered(paper: Paper, question: Asked, sentences: Sequence[Scored]) -> float:
    """Share of the question's weight whose words stand in the title or the sentence that holds most, 0..1."""
    titled = set(terms(readable(paper.title)))
    held = [titled | sentence.covered for sentence in sentences] or [titled]
    best = max(sum(weight for term, weight in question.weights if term in words) for words in held)
    return best / (question.total or 1.0)


def _nearest(sentences: Sequence[Scored]) -> float:
    return max((sentence.cosine for sentence in sentences), default=0.0)
