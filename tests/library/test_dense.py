"""The dense search: what the collection says, and what a full comparison says of the papers of a filter."""

from __future__ import annotations

from contextlib import closing

import pytest

from rag.library import dense
from rag.library.build import open_shipped
from rag.library.dense import DenseSearch, exact
from rag.library.embed import open_embedder
from rag.records import paper_of

MEMORY = "Which methods reduce the memory of attention?"


def test_of_many_papers_it_finds_what_a_full_comparison_finds(monkeypatch):
    embedder = open_embedder()
    vector = embedder.encode([MEMORY])[0]
    monkeypatch.setattr(dense, "EXACT", 5)
    with closing(open_shipped(embedder)) as library, closing(DenseSearch(library)) as search:
        ids = [paper.id for paper in library]
        ranked = [paper_of(chunk) for chunk, _ in exact(library, vector, ids, len(ids))]
        for chosen in (ids[::2], ranked[-8:], ids):  # some, the farthest of all, all
            found, compared = search.nearest(vector, 6, frozenset(chosen)), exact(library, vector, chosen, 6)
            assert [chunk for chunk, _ in found] == [chunk for chunk, _ in compared]
            assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in compared], abs=1e-5)
