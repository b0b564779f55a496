"""Several searches for one question -> one order, and which papers come in sight.

Each search ranks papers by its own words, and each may be the one that finds what others miss. Ranks are added as
reciprocals (Cormack, Clarke and Buettcher, 2009), with a constant small enough that a paper which one search puts
first is not lost behind papers that all searches find half fitting; and the best of each search are always in sight.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from rag.records import Hit, Paper

RANK = 10  # added to each rank; 60 is usual for long lists


def fused(rankings: Sequence[Sequence[Hit]], first: Collection[Paper] = ()) -> tuple[Hit, ...]:
    """All hits of some searches, a paper once, best first; papers in `first` come before all others.

    A paper keeps the hit of the first search that found it, with its new rank. Ties keep the order of the searches.
    """
    hits: dict[Paper, Hit] = {}
    score: dict[Paper, float] = {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, 1):
            hits.setdefault(hit.paper, hit)
            score[hit.paper] = score.get(hit.paper, 0.0) + 1 / (RANK + rank)
    ordered = sorted(hits, key=lambda paper: (paper not in first, -score[paper]))
    return tuple(replace(hits[paper], rank=rank) for rank, paper in enumerate(ordered, 1))


def in_sight(
    order: Sequence[Hit], rankings: Sequence[Sequence[Hit]], most: int, named: Sequence[Paper] = ()
) -> tuple[Hit, ...]:
    """The `most` hits to be read, in their order: the best, among them those of papers that are `named` and the best few
    of each search.
    """
    few = max(1, most // (2 * max(1, len(rankings))))
    kept = [ranking[at].paper for at in range(few) for ranking in rankings if at < len(ranking)]
    sure = set(list(dict.fromkeys([*named, *kept]))[:most])
    others = [hit.paper for hit in order if hit.paper not in sure][: most - len(sure)]
    chosen = sure | set(others)
    return tuple(hit for hit in order if hit.paper in chosen)
