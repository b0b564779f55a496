"""Dense and lexical search -> one fused list of hits, a paper once.

The two searches fail differently: vectors miss names and numbers, words miss paraphrase. Their
scores are brought to 0..1 within the question and added with a fixed weight (convex combination,
Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023), which keeps
how much better the first is than the second; rank fusion throws that away. A paper stands for its
best chunk: the one nearest in the dense search, else the one that shares most words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rag.records import Chunk, Found, Hit

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
    known = chunks([paper for paper, _ in fused])
    ranks = {name: {id: (rank, score) for rank, (id, score) in enumerate(r, 1)} for name, r in found.items()}
    hits: list[Hit] = []
    wanted = frozenset(query.lower().split())
    for paper, score in fused:
        if paper not in known:  # removed since the collection was filled
            continue
        chosen = _chunk(known[paper], nearest.get(paper), wanted)
        by = tuple(Found(name, *ranks[name][paper]) for name in found if paper in ranks[name])
        hits.append(Hit(chosen, score, len(hits) + 1, by))
    return tuple(hits)


def fuse(rankings: Mapping[str, Ranked], weights: Mapping[str, float]) -> list[tuple[str, float]]:
    """(id, fused score) best first; every id comes from a ranking, scores are 0..1.

    Min-max within each ranking, weights scaled to those that found anything; an id that a ranking
    lacks gets 0 from it. Ties go by id, so that the order never depends on the order of input.
    """
    present = {name: ranking for name, ranking in rankings.items() if ranking}
    total = sum(weights[name] for name in present) or 1.0
    fused: dict[str, float] = {}
    for name, ranking in present.items():
        for id, score in _min_max(ranking).items():
            fused[id] = fused.get(id, 0.0) + weights[name] / total * score
    return sorted(fused.items(), key=lambda item: (-item[1], item[0]))


def _min_max(ranking: Ranked) -> dict[str, float]:
    scores = [score for _, score in ranking]
    low, high = min(scores), max(scores)
    return {id: (score - low) / (high - low) if high > low else 1.0 for id, score in ranking}


def _best_chunks(ranking: Ranked) -> dict[str, tuple[str, float]]:
    """For each paper of a ranking of chunks, its first chunk with the score."""
    best: dict[str, tuple[str, float]] = {}
    for chunk, score in ranking:
        best.setdefault(chunk.rpartition(".")[0], (chunk, score))
    return best


def _chunk(candidates: Sequence[Chunk], nearest: tuple[str, float] | None, wanted: frozenset[str]) -> Chunk:
    for candidate in candidates:
        if nearest and candidate.id == nearest[0]:
            return candidate
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda chunk: len(wanted & set(chunk.text.lower().split())))
