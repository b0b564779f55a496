"""The keyword search against one query that joins every paper that matches: the same papers, equal scores by id."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from contextlib import closing

import made
import pytest

from evals.bench.hashed import Hashed
from rag.library import build, words
from rag.library.store import Library, writer


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Iterator[Library]:
    """Eighty papers of few words, so that many have one score."""
    chance, folder = random.Random(1), tmp_path_factory.mktemp("words") / "lib"
    pool = "reed bunting warbler marsh nest egg song".split()
    papers = [made.paper(f"Study {n}", f"It counts {' '.join(chance.choices(pool, k=4))}.") for n in range(80)]
    with writer(folder), closing(Library.create(folder, "hashed", 384)) as library:
        build.change(library, papers, (), Hashed(), "add", {})
        yield library


def joined(library: Library, query: str, within: Collection[str] | None) -> list[tuple[str, float]]:
    rows = library.database.rows(
        "SELECT papers.id, -bm25(passages, 1.0, 1.0) AS score FROM passages JOIN papers ON papers.number = passages.rowid "
        "WHERE passages MATCH ? ORDER BY score DESC, papers.id",
        " OR ".join(query.split()),
    )
    return [(id, score) for id, score in rows if within is None or id in within]


@pytest.mark.parametrize("few", [0, 2000])
def test_the_best_of_some_or_all_papers_are_found(library: Library, monkeypatch, few: int) -> None:
    monkeypatch.setattr(words, "FEW", few)
    ids, chance = [paper.id for paper in library], random.Random(2)
    subsets = [None, set(ids), set(chance.sample(ids, 9)), set(chance.sample(ids, 50))]
    for query in ("reed", "marsh egg", "reed bunting warbler", "song nest egg", "study"):
        for within in subsets:
            every = joined(library, query, within)
            for limit in (1, 2, 5, 20, 100):
                assert library.words.lexical(query, limit, within) == every[:limit]
