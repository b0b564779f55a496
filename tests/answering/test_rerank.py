"""Hits become evidence: the best papers, once each, with a score that means the same everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import FLASH, POKER, S4, hits, paper

from rag.answering.relevance import Matched, question_of
from rag.answering.rerank import explain, gather, rerank
from rag.records import Found
from rag.text import Span

ASKED = question_of("Which model?", None, lambda word: 1, 30)
PAPERS = tuple(paper(f"Paper number {n}", f"Sentence of paper {n}.") for n in range(30))


def sentences(scores):
    """A scorer that gives each paper sentences with these scores, by title."""
    return lambda one: [Matched(one, Span(0, 1), score, frozenset()) for score in scores[one.title]]


def evidence_of(found, scorer, k):
    return gather(rerank(found, ASKED, scorer, depth=99), ASKED, scorer, k)


def test_a_paper_is_scored_by_its_nearest_sentence():
    def best(*scores):
        return evidence_of(hits(S4), sentences({S4.title: list(scores)}), 8)[0].score

    assert best(0.2, 0.7, 0.1) == pytest.approx(best(0.7))
    assert best(0.1) < best(0.4) < best(0.9)


def test_a_paper_with_no_sentence_is_kept():
    (only,) = evidence_of(hits(S4), sentences({S4.title: []}), 8)
    assert 0 <= only.score < 0.5


def test_of_equal_hits_the_better_sentence_comes_first():
    scores = {S4.title: [0.1], FLASH.title: [0.9], POKER.title: [0.5]}
    assert [e.paper for e in evidence_of(hits(S4, FLASH, POKER), sentences(scores), 8)] == [FLASH, POKER, S4]


def test_of_equal_sentences_the_better_hit_comes_first():
    scores = {one.title: [0.5] for one in (S4, FLASH, POKER)}
    found = hits(S4, FLASH, POKER, scores=(0.2, 0.9, 0.5))
    assert [e.paper for e in evidence_of(found, sentences(scores), 8)] == [FLASH, POKER, S4]


def test_a_tie_keeps_the_order_of_the_hits():
    scores = {one.title: [0.5] for one in PAPERS}
    assert [e.paper for e in evidence_of(hits(*PAPERS), sentences(scores), 5)] == list(PAPERS[:5])


@given(st.lists(st.tuples(st.floats(0, 1), st.lists(st.floats(0, 1), max_size=3)), max_size=30), st.integers(1, 12))
def test_evidence_is_among_the_hits_a_paper_once_and_ranked(drawn, k):
    papers = PAPERS[: len(drawn)]
    found = hits(*papers, scores=tuple(sorted((score for score, _ in drawn), reverse=True)))
    scores = {one.title: given for one, (_, given) in zip(papers, drawn, strict=True)}
    evidence = evidence_of(found, sentences(scores), k)
    assert len(evidence) == min(k, len(papers))
    assert [e.rank for e in evidence] == list(range(1, len(evidence) + 1))
    assert len({e.paper.id for e in evidence}) == len(evidence)
    assert {e.chunk for e in evidence} <= {hit.chunk for hit in found}
    assert all(0 <= e.score <= 1 for e in evidence)


def test_nothing_found_is_no_evidence():
    assert evidence_of((), sentences({}), 8) == ()


def test_the_parts_of_a_hit_add_up_to_its_score():
    scores = {S4.title: [0.1], FLASH.title: [0.9], POKER.title: [0.5]}
    found = tuple(replace(hit, found=(Found("dense", 1, 0.5, hit.score),)) for hit in hits(S4, FLASH, POKER))
    for hit in rerank(found, ASKED, sentences(scores), depth=3):
        assert [f.search for f in hit.found] == ["dense", "sentence", "words"]
        assert hit.score == pytest.approx(sum(f.part for f in hit.found))


def test_an_explanation_names_the_nearest_sentence_and_the_words_held():
    question = question_of("Which model solves Path-X on a toaster?", None, lambda word: 1, 30)
    spans = [Span(0, 24), Span(25, 60)]
    scored = [
        Matched(S4, span, cosine, held)
        for span, cosine, held in zip(spans, (0.2, 0.6), (frozenset(), frozenset({"path-x", "path", "x"})), strict=True)
    ]
    told = explain(hits(S4)[0], question, scored)
    assert told.sentence == "We propose S4, a state space model."
    assert "path-x" in told.held
    assert "toaster" in told.lacking
    assert not set(told.held) & set(told.lacking)


def test_a_paper_without_a_sentence_is_explained_too():
    assert explain(hits(S4)[0], ASKED, []).sentence == ""


def test_hits_beyond_the_depth_follow_as_they_were_found():
    found = hits(*PAPERS, scores=tuple(1 - n / 50 for n in range(30)))
    scores = {one.title: [n / 30] for n, one in enumerate(PAPERS)}
    ordered = rerank(found, ASKED, sentences(scores), depth=5)
    assert [hit.paper for hit in ordered[5:]] == list(PAPERS[5:])
    assert [hit.score for hit in ordered] == sorted((hit.score for hit in ordered), reverse=True)


def test_papers_that_the_question_names_come_first():
    scores = {one.title: [0.5] for one in PAPERS}
    ordered = rerank(hits(*PAPERS), ASKED, sentences(scores), depth=20, first=(PAPERS[7],))
    assert [hit.paper for hit in ordered[:2]] == [PAPERS[7], PAPERS[0]]
