"""Hits -> Evidence: the papers worth answering from, with a score that means the same everywhere.

The fused score orders papers within one question; a paper's nearest sentence sharpens it, since an
abstract speaks of many things and a question asks for one (tuned on SciFact's training claims), and
so do the question's words that its title and one sentence hold together, for names that vectors blur.
Each of these adds a part to a hit's score and is noted in `Hit.found`, so that an order can be
explained. How sure one may be that a paper answers at all is another matter: near in meaning (the
cosines of its chunk and nearest sentence) or, for a name that embeddings do not know, in words (the
share of the question that title and best sentence hold, squared, so that common words alone do not
count), through a logistic fitted by `evals/bench/refusal.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from math import exp

from rag.answering.relevance import Matched, Question
from rag.records import Evidence, Explained, Found, Hit, Paper
from rag.text import compound_stem, compounds, readable, stem, terms, words

SENTENCE_SHARE, COVERED_SHARE = 0.23, 0.23  # of the nearest sentence and of the words held; the rest is the fused score
COSINE, COVERED, OFFSET = 18.6, 6.1, -6.9  # of the logistic

Near = Callable[[Paper], Sequence[Matched]]


def rerank(
    hits: Sequence[Hit], question: Question, sentences: Near, *, depth: int, first: Collection[Paper] = ()
) -> tuple[Hit, ...]:
    """The hits in the order of how well their papers fit; scores are 0..1 within the question.

    `sentences` gives those of a paper; only the first `depth` hits are looked at, the others follow as they
    were found. Papers in `first`, which the question names, come before all others. Ties keep the order.
    """
    looked_at = [hit.paper for hit in hits[:depth]]
    near = _found("sentence", [_nearest(sentences(paper)) for paper in looked_at], SENTENCE_SHARE, spread=True)
    held = _found("words", [covered(paper, question, sentences(paper)) for paper in looked_at], COVERED_SHARE)
    signals = [*zip(near, held, strict=True), *([()] * (len(hits) - len(looked_at)))]
    weighed = [_weighed(hit, *more) for hit, more in zip(hits, signals, strict=True)]
    ordered = sorted(weighed, key=lambda hit: (hit.paper not in first, -hit.score, hit.rank))
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(ordered, 1))


def _weighed(hit: Hit, *signals: Found) -> Hit:
    """The hit with its fused score scaled and what the signals add."""
    rest = 1 - SENTENCE_SHARE - COVERED_SHARE
    found = (*(replace(f, part=rest * f.part) for f in hit.found), *signals)
    return replace(hit, score=rest * hit.score + sum(signal.part for signal in signals), found=found)


def gather(hits: Sequence[Hit], question: Question, sentences: Near, k: int) -> tuple[Evidence, ...]:
    """The first `k` hits as evidence, each with how sure one may be that it speaks of what is asked."""
    return tuple(
        Evidence(hit.chunk, rank, confidence(hit, question, sentences(hit.paper)))
        for rank, hit in enumerate(hits[:k], 1)
    )


def confidence(hit: Hit, question: Question, sentences: Sequence[Matched]) -> float:
    """0..1: how sure one may be that the paper speaks of what is asked."""
    nearest = _nearest(sentences)
    dense = next((found.score for found in hit.found if found.search == "dense"), nearest)
    held = covered(hit.paper, question, sentences)
    return 1 / (1 + exp(-(COSINE * (nearest + dense) / 2 + COVERED * held**2 + OFFSET)))


def covered(paper: Paper, question: Question, sentences: Sequence[Matched]) -> float:
    """Share of the question's weight whose words stand in the title or the sentence that holds most, 0..1."""
    held = _held(paper, question, sentences)
    return sum(weight for term, weight in question.weights if term in held) / (question.total or 1.0)


def explain(hit: Hit, question: Question, sentences: Sequence[Matched]) -> Explained:
    """What a person wants to see of a hit: the sentence nearest in meaning, and which words are held."""
    typed = {stem(word): word for word in words(question.text)}
    typed |= {compound_stem(word): word for word in compounds(question.text)}
    held = _held(hit.paper, question, sentences)
    of = {
        there: tuple(typed[term] for term, _ in question.weights if (term in held) is there) for there in (True, False)
    }
    nearest = max(sentences, key=lambda sentence: sentence.cosine, default=None)
    return Explained(hit, nearest.text if nearest else "", of[True], of[False])


def _held(paper: Paper, question: Question, sentences: Sequence[Matched]) -> frozenset[str]:
    """The terms of the title and of the one sentence that together weigh most."""
    titled = frozenset(terms(readable(paper.title)))
    held = [titled | sentence.covered for sentence in sentences] or [titled]
    return max(held, key=lambda terms: sum(weight for term, weight in question.weights if term in terms))


def _found(signal: str, scores: Sequence[float], share: float, *, spread: bool = False) -> list[Found]:
    """What a signal says of each hit; `spread` stretches its scores to 0..1 within the question."""
    low, high = (min(scores, default=0.0), max(scores, default=0.0)) if spread else (0.0, 1.0)
    ranks = {at: rank for rank, at in enumerate(sorted(range(len(scores)), key=lambda at: -scores[at]), 1)}
    return [Found(signal, ranks[at], s, share * (s - low) / ((high - low) or 1.0)) for at, s in enumerate(scores)]


def _nearest(sentences: Sequence[Matched]) -> float:
    return max((sentence.cosine for sentence in sentences), default=0.0)
