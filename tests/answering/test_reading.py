"""The reader's logits are blended with the signals: order, how sure a paper is, which sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import FLASH, POKER, S4, hits

from rag.answering import reading
from rag.answering.reading import Reads, blended, chance, first_read, odds, passage_of, reordered, surer
from rag.library.reader import Passage, Reading
from rag.records import Evidence, Found
from rag.text import Span


def said(answered: float, *sentences: float) -> Reading:
    return Reading(sentences or (0.0,), answered, (0.0, 0.0, 0.0))


def reads(logits):
    """A reader that answers by title, and the papers that it was shown."""
    seen = []

    def read(papers):
        seen.extend(paper.title for paper in papers)
        return {paper.id: said(logits[paper.title]) for paper in papers}

    return read, seen


def test_one_paper_is_read_where_it_leads():
    read, seen = reads({S4.title: 9.0, FLASH.title: 9.0, POKER.title: 0.0})
    assert set(first_read(hits(S4, FLASH, POKER, scores=(0.9, 0.3, 0.2)), read, most=3)) == {S4.id}
    assert seen == [S4.title]


def test_more_are_read_where_the_first_does_not_lead():
    read, seen = reads({S4.title: 9.0, FLASH.title: 0.0, POKER.title: 0.0})
    assert set(first_read(hits(S4, FLASH, POKER, scores=(0.9, 0.89, 0.2)), read, most=2)) == {S4.id, FLASH.id}
    assert seen == [S4.title, FLASH.title], "no paper is read twice"


def test_what_answers_comes_before_what_does_not():
    found = hits(S4, FLASH, POKER, scores=(0.5, 0.45, 0.1))
    order = reordered(found, {S4.id: said(-6.0), FLASH.id: said(6.0)})
    assert [hit.paper for hit in order] == [FLASH, S4, POKER]
    assert [hit.rank for hit in order] == [1, 2, 3]


def test_a_paper_that_the_question_names_stays_first():
    found = hits(S4, FLASH, scores=(0.5, 0.45))
    order = reordered(found, {S4.id: said(-6.0), FLASH.id: said(6.0)}, first=(S4,))
    assert [hit.paper for hit in order] == [S4, FLASH]


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.lists(st.floats(-30, 30), min_size=1, max_size=3))
def test_the_parts_of_a_score_add_up_to_it(scores, logits):
    ranked = hits(S4, FLASH, POKER, scores=sorted(scores, reverse=True))
    found = [replace(hit, found=(Found("dense", hit.rank, hit.score, hit.score),)) for hit in ranked]
    read = {paper.id: said(logit) for paper, logit in zip((S4, FLASH, POKER), logits, strict=False)}
    for hit in reordered(found, read):
        assert 0 <= hit.score <= 1
        assert hit.score == pytest.approx(sum(one.part for one in hit.found))


def test_nothing_read_changes_nothing():
    found = tuple(hits(S4, FLASH))
    evidence = tuple(Evidence(hit.chunk, hit.rank, 0.7) for hit in found)
    assert reordered(found, {}) == found
    assert surer(evidence, {}) == evidence


def test_a_paper_that_does_not_answer_is_less_sure():
    evidence = [Evidence(hit.chunk, hit.rank, 0.8) for hit in hits(S4, FLASH, POKER)]
    sure = surer(evidence, {S4.id: said(5.0), FLASH.id: said(-5.0)})
    assert sure[0].score == sure[2].score == 0.8, "reading makes no paper surer than the signals do"
    assert sure[1].score < 0.45


@given(st.floats(0, 1), st.floats(-20, 20), st.floats(0.1, 5))
def test_a_sentence_gains_by_either(score, logit, more):
    assert 0 <= blended(score, logit) <= blended(score, logit + more) <= 1
    assert blended(score, logit) <= blended(min(1.0, score + 0.2), logit)


@given(st.floats(0.001, 0.999))
def test_odds_and_chance_undo_each_other(p):
    assert chance(odds(p)) == pytest.approx(p)


def test_a_passage_is_what_a_person_reads():
    marked = replace(S4, title="<b>S4</b> &amp; more", abstract="One <i>thing</i>. Two things.")
    spans = [Span(0, 17), Span(18, 29)]
    assert passage_of(marked, spans) == Passage("S4 & more", ("One thing.", "Two things."))


def test_support_is_read_against_both_other_kinds():
    class Says:
        def __init__(self, *support):
            self.support = support

        def read(self, text, passages):
            assert (text, passages) == ("It works.", [Passage("A title", ("A quote.",))])
            return [Reading((0.0,), 0.0, self.support)]

    assert Reads(Says(5.0, 0.0, 0.0), 1).supporting("It works.", "A title", ["A quote."]) > 2
    assert Reads(Says(0.0, 5.0, 0.0), 1).supporting("It works.", "A title", ["A quote."]) < -2
    assert Reads(Says(0.0, 0.0, 5.0), 1).supporting("It works.", "A title", ["A quote."]) < -2


def test_the_shares_are_shares():
    assert 0 < reading.ORDER < 1
    assert all(weight > 0 for weight in (*reading.SENTENCE[:2], reading.SPEAKS, reading.SURE[0]))
