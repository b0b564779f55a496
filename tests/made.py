"""Papers, evidence and libraries made by hand."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

from rag.library.build import fill, store
from rag.library.dense import DenseSearch
from rag.library.embed import open_embedder
from rag.library.store import Library, writer
from rag.library.vectors import Collection, Manifest, open_collection
from rag.readers import Reading
from rag.records import Chunk, Evidence, Hit, Marked, Paper
from rag.text import paper_id


def paper(title: str, abstract: str) -> Paper:
    """A paper with the id its title gives it."""
    return Paper(id=paper_id(title), title=title, abstract=abstract)


def whole(one: Paper) -> Chunk:
    """The chunk that holds all of an abstract."""
    return Chunk(f"{one.id}.0", one, 0, len(one.abstract), 100)


def evidence(*papers: Paper, score: float = 0.8) -> tuple[Evidence, ...]:
    """Each paper as evidence, best first, all with one score."""
    return tuple(Evidence(whole(one), rank, score) for rank, one in enumerate(papers, 1))


def drafted(line: str) -> Marked:
    """A sentence of a draft from one with its marks: "S4 does [1][3]." """
    numbers = dict.fromkeys(int(n) for n in re.findall(r"\[(\d+)\]", line))
    return Marked(" ".join(re.sub(r"\s*\[\d+\]", "", line).split()), tuple(numbers))


def hits(*papers: Paper, scores: tuple[float, ...] = ()) -> tuple[Hit, ...]:
    """Each paper as a hit, best first; fused scores 1.0 if not given."""
    given = scores or (1.0,) * len(papers)
    return tuple(
        Hit(whole(one), score, rank, ()) for rank, (one, score) in enumerate(zip(papers, given, strict=True), 1)
    )


S4 = paper(
    "Structured State Spaces",
    "Long sequences are hard. We propose S4, a state space model. "
    r"S4 reaches 91\% accuracy on sequential CIFAR-10, and generates text 60$\times$ faster. "
    "It solves Path-X, which all prior work fails on.",
)
FLASH = paper(
    "FlashAttention",
    "Transformers are slow on long sequences. FlashAttention is exact and IO-aware. "
    "It trains GPT-2 3 times faster and reaches 61.4% accuracy on Path-X.",
)
POKER = paper(
    "PokerBench",
    "PokerBench is a benchmark of 11,000 poker scenarios. All state-of-the-art models play poorly before fine-tuning.",
)


def library(folder: Path, *papers: Paper) -> Path:
    """A library of these papers, or with them added if it is there; its collection is filled."""
    embedder = open_embedder()
    with writer(folder):
        made = Library.create(folder, embedder.name, embedder.dimensions)
        store(made, Reading(papers, len(papers), ()), embedder)
        fill(made)
        made.close()
    return folder


def collection(folder: Path) -> Collection:
    """The collection that the library in that folder names."""
    with closing(Library.open(folder)) as library:
        manifest = Manifest.from_json(library.meta("collection"))
    assert manifest
    return open_collection(folder, manifest)


def reached(folder: Path) -> set[str]:
    """The chunks that a dense search of the library in that folder finds, if it wants them all."""
    with closing(Library.open(folder)) as library, closing(DenseSearch(library)) as search:
        vector = next((rows[0] for _, rows, _ in library.vectors.batches()), None)
        if vector is None:
            return set()
        return {id for id, _ in search.nearest(vector, 10**6)}
