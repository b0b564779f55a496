"""Hits become evidence: the best papers, once each, with a score that means the same everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import FLASH, POKER, S4, hits, paper

from rag.relevance import Scored, asked
from rag.rerank import rerank
from rag.text import Span

ASKED = asked("Which model?", None, lambda word: 1, 30)
PAPERS = tuple(paper(f"Paper number {n}", f"Sentence of paper {n}.") for n in range(30))


def sentences(scores):
    """A scorer that gives each paper sentences with these scores, by title."""
    return lambda one: [Scored(one, Span(0, 1), score, score, score, frozenset()) for score in scores[one.title]]


def test_a_paper_is_scored_by_its_nearest_sentence():
    def best(*scores):
        return rerank(hits(S4), ASKED, sentences({S4.title: list(scores)}), 8)[0].score

    assert best(0.2, 0.7, 0.1) == pytest.approx(best(0.7))
    assert best(0.1) < best(0.4) < best(0.9)


def test_a_paper_with_no_sentence_is_kept():
    (only,) = rerank(hits(S4), ASKED, sentences({S4.title: []}), 8)
    assert 0 <= only.score < 0.5


def test_of_equal_hits_the_better_sentence_comes_first():
    scores = {S4.title: [0.1], FLASH.title: [0.9], POKER.title: [0.5]}
    assert [e.paper for e in rerank(hits(S4, FLASH, POKER), ASKED, sentences(scores), 8)] == [FLASH, POKER, S4]


def test_of_equal_sentences_the_better_hit_comes_first():
    scores = {one.title: [0.5] for one in (S4, FLASH, POKER)}
    found = hits(S4, FLASH, POKER, scores=(0.2, 0.9, 0.5))
    assert [e.paper for e in rerank(found, ASKED, sentences(scores), 8)] == [FLASH, POKER, S4]


def test_a_tie_keeps_the_order_of_the_hits():
    scores = {one.title: [0.5] for one in PAPERS}
    assert [e.paper for e in rerank(hits(*PAPERS), ASKED, sentences(scores), 5)] == list(PAPERS[:5])


@given(st.lists(st.tuples(st.floats(0, 1), st.lists(st.floats(0, 1), max_size=3)), max_size=30), st.integers(1, 12))
def test_evidence_is_among_the_hits_a_paper_once_and_ranked(drawn, k):
    papers = PAPERS[: len(drawn)]
    found = hits(*papers, scores=tuple(sorted((score for score, _ in drawn), reverse=True)))
    scores = {one.title: given for one, (_, given) in zip(papers, drawn, strict=True)}
    evidence = rerank(found, ASKED, sentences(scores), k)
    assert len(evidence) == min(k, len(papers))
    assert [e.rank for e in evidence] == list(range(1, len(evidence) + 1))
    assert len({e.paper.id for e in evidence}) == len(evidence)
    assert {e.chunk for e in evidence} <= {hit.chunk for hit in found}
    assert all(0 <= e.score <= 1 for e in evidence)


def test_nothing_found_is_no_evidence():
    assert rerank((), ASKED, sentences({}), 8) == ()
