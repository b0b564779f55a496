"""The plain pipeline that answers are held against: what an afternoon would build.

    question -> BM25 and MiniLM, fused half and half -> the best paper -> its three nearest sentences

It searches the question as typed, follow-up or not, quotes the sentences of one paper whose cosine
is best, in the paper's order, and never refuses. The evidence score is the cosine of a paper's
nearest chunk, so that a refusal by the best cosine can be scored beside it. `--model plain` asks it
in every command of `rag eval`, and `rag eval gains` says how much better the answers are. It shares
the library, its full-text search and its vectors with the product, and no step after them: what is
tuned there does not move it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag.library.embed import open_embedder
from rag.library.store import Library
from rag.records import Answer, Chunk, Citation, Claim, Evidence, FrozenMap, Paper, Traced, Usage

MODEL = "plain"  # as `--model` and `Answer.model` name it
WEIGHT = 0.5  # of the dense score
POOL = 50  # papers taken from each search before fusion
PAPERS = 8  # ... kept as evidence, as many as an answer may draw on by default
SENTENCES = 3

Ranked = list[tuple[str, float]]  # (paper id, score), best first


class Plain:
    """A library asked plainly; its chunk vectors are held in memory (float32, one row a chunk)."""

    def __init__(self, library: Library) -> None:
        """Raises ValueError for a library without papers."""
        self.library = library
        self.embedder = open_embedder()
        batches = list(library.vectors.batches())
        self.papers = [paper for _, _, papers in batches for paper in papers]
        self.rows = {id: row for row, id in enumerate(id for ids, _, _ in batches for id in ids)}
        self.matrix = np.vstack([vectors for _, vectors, _ in batches])

    # --- searches -------------------------------------------------------------------------------

    def vector(self, query: str) -> np.ndarray:
        """The query embedded, of unit length."""
        vector: np.ndarray = self.embedder.encode([query])[0]
        return vector

    def lexical(self, query: str, limit: int) -> Ranked:
        """The library's full-text search (FTS5's BM25)."""
        return self.library.words.lexical(query, limit)

    def dense(self, query: str, limit: int) -> Ranked:
        """Papers by the cosine of their nearest chunk, compared with every chunk."""
        return self._nearest(self.matrix @ self.vector(query), limit)

    def search(self, query: str, limit: int) -> Ranked:
        """Both fused; scores are 0..1 within the query."""
        return fuse(self.dense(query, POOL), self.lexical(query, POOL))[:limit]

    def _nearest(self, cosines: np.ndarray, limit: int) -> Ranked:
        best: dict[str, float] = {}
        for row in np.argsort(-cosines, kind="stable"):
            best.setdefault(self.papers[row], float(cosines[row]))
            if len(best) == limit:
                break
        return list(best.items())

    # --- an answer ------------------------------------------------------------------------------

    def ask(self, question: str, history: Sequence[Answer] = (), sample: int = 0) -> Answer:
        """An answer as `evals.run` wants it; earlier turns are not looked at."""
        vector = self.vector(question)
        cosines = self.matrix @ vector
        dense, lexical = self._nearest(cosines, POOL), self.lexical(question, POOL)
        fused = fuse(dense, lexical)
        chunks = self._chunks([paper for paper, _ in fused], cosines)
        evidence = tuple(
            Evidence(chunk, rank, max(0.0, float(cosines[self.rows[chunk.id]])))
            for rank, chunk in enumerate((chunks[paper] for paper, _ in fused[:PAPERS]), 1)
        )
        text, claims = said(self._quotes(evidence[0].paper, vector))
        stages = {"dense": dense, "lexical": lexical, "retrieve": fused}
        return Answer(
            question=question,
            query=question,
            text=text,
            status="answered",
            claims=claims,
            removed=(),
            citations=tuple(citation for claim in claims for citation in claim.citations),
            evidence=evidence,
            model=MODEL,
            usage=Usage(),
            seconds=FrozenMap({}),
            trace=FrozenMap({name: _traced(ranked, chunks) for name, ranked in stages.items()}),
            run=fingerprint(),
        )

    def _chunks(self, papers: Sequence[str], cosines: np.ndarray) -> dict[str, Chunk]:
        """The nearest chunk of each of those papers."""
        found = self.library.chunks(papers)
        return {id: max(chunks, key=lambda chunk: cosines[self.rows[chunk.id]]) for id, chunks in found.items()}

    def _quotes(self, paper: Paper, vector: np.ndarray) -> list[Citation]:
        """The sentences of the paper nearest to the vector, in its own order."""
        sentences = self.library.sentences([paper.id]).get(paper.id, ())
        nearest = sorted(sentences, key=lambda sentence: -float(sentence.vector @ vector))[:SENTENCES]
        spans = sorted(sentence.span for sentence in nearest)
        return [Citation(1, paper, paper.abstract[start:end], start, end) for start, end in spans]


def fuse(dense: Sequence[tuple[str, float]], lexical: Sequence[tuple[str, float]], weight: float = WEIGHT) -> Ranked:
    """Min-max within each ranking, then a convex combination; a paper that a ranking lacks gets 0 from it.

    A ranking without any paper is left out of the sum (Bruch, Gai and Ingber, 2023). Ties go by id.
    """
    if not dense or not lexical:
        weight = 1.0 if dense else 0.0
    near, worded = _min_max(dense), _min_max(lexical)
    fused = {
        id: weight * near.get(id, 0.0) + (1 - weight) * worded.get(id, 0.0) for id in dict.fromkeys([*near, *worded])
    }
    return sorted(fused.items(), key=lambda item: (-item[1], item[0]))


def said(quotes: Sequence[Citation]) -> tuple[str, tuple[Claim, ...]]:
    """(text, claims) of an answer that says these quotes, each with its mark."""
    text, claims = "", []
    for citation in quotes:
        start = len(text) + (1 if text else 0)
        text += f"{' ' if text else ''}{citation.quote} [{citation.number}]"
        claims.append(Claim(citation.quote, start, start + len(citation.quote), (citation,), "quoted", "verbatim"))
    return text, tuple(claims)


def fingerprint() -> str:
    """12 hex digits that change with this file: what else could change an answer is in the manifest."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def _min_max(ranking: Sequence[tuple[str, float]]) -> dict[str, float]:
    scores = [score for _, score in ranking]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return {id: (score - low) / (high - low) if high > low else 1.0 for id, score in ranking}


def _traced(ranked: Sequence[tuple[str, float]], chunks: dict[str, Chunk]) -> tuple[Traced, ...]:
    return tuple(Traced(chunks[paper].id, rank, score) for rank, (paper, score) in enumerate(ranked, 1))
