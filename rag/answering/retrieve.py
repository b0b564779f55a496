"""Dense and lexical search -> one fused list of hits, a paper once.

The two searches fail differently: vectors miss names and numbers, words miss paraphrase. Their
scores are brought to 0..1 within the question and added with a fixed weight (convex combination,
Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023), which keeps
how much better the first is than the second; rank fusion throws that away. A paper stands for its
best chunk: the one nearest in the dense search, else the one that shares most words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rag.records import Chunk, Found, Hit, paper_of

Ranked = Sequence[tuple[str, float]]  # (id, score), best first


def retrieve(
    query: str,
    *,
    dense: Callable[[int], Ranked],
    lexical: Callable[[int], Ranked],
    chunks: Callable[[Iterable[str]], Mapping[str, Sequence[Chunk]]],
    pool: int,
    dense_weight: float,
) -> tuple[Hit, ...]:
    """Hits for a query, best first, one a paper.

    `dense(n)` gives chunk ids with cosines, `lexical(n)` paper ids with BM25 scores; `chunks` the
    chunks of papers. `pool` is how many are taken from each; an empty search is left out of the sum.
    """
    by_chunk, by_paper = dense(pool), lexical(pool)
    nearest = _best_chunks(by_chunk)
    dense_papers = [(paper, score) for paper, (_, score) in nearest.items()]
    found = {"dense": dense_papers, "lexical": by_paper}
    fused = fuse(found, {"dense": dense_weight, "lexical": 1.0 - dense_weight})
    known = chunks(fused)
    wanted = frozenset(query.lower().split())
    kept = [
        (paper, by) for paper, by in fused.items() if paper in known
    ]  # else removed since the collection was filled
    return tuple(
        Hit(_chunk(known[paper], nearest.get(paper), wanted), sum(f.part for f in by), rank, by)
        for rank, (paper, by) in enumerate(kept, 1)
    )


def fuse(rankings: Mapping[str, Ranked], weights: Mapping[str, float]) -> dict[str, tuple[Found, ...]]:
    """What each ranking found of an id and adds to its score; the best id first, scores are 0..1.

    Min-max within each ranking, weights scaled to those that found anything; an id that a ranking
    lacks gets 0 from it. Ties go by id, so that the order never depends on the order of input.
    """
    total = sum(weights[name] for name, ranking in rankings.items() if ranking) or 1.0
    by: dict[str, tuple[Found, ...]] = {}
    for name, ranking in rankings.items():
        for rank, ((id, score), share) in enumerate(zip(ranking, min_max([s for _, s in ranking]), strict=True), 1):
            by[id] = (*by.get(id, ()), Found(name, rank, score, weights[name] / total * share))
    return dict(sorted(by.items(), key=lambda item: (-sum(found.part for found in item[1]), item[0])))


def min_max(scores: Sequence[float]) -> list[float]:
    """The scores brought to 0..1, the lowest 0, the highest 1; equal ones are all 1."""
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]


def _best_chunks(ranking: Ranked) -> dict[str, tuple[str, float]]:
    """For each paper of a ranking of chunks, its first chunk with the score."""
    best: dict[str, tuple[str, float]] = {}
    for chunk, score in ranking:
        best.setdefault(paper_of(chunk), (chunk, score))
    return best


def _chunk(candidates: Sequence[Chunk], nearest: tuple[str, float] | None, wanted: frozenset[str]) -> Chunk:
    for candidate in candidates:
        if nearest and candidate.id == nearest[0]:
            return candidate
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda chunk: len(wanted & set(chunk.text.lower().split())))
