"""In the text of an answer [n] is a mark, and nothing else is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import paper

from rag.answering.wording import in_words_of, markless, marks, refusal, unanswered
from rag.records import Where


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("As in [38].", "As in (38)."),
        ("As in [ 3, 5-7 ].", "As in ( 3, 5-7 )."),
        ("As in [^2] and [1 2].", "As in (^2) and (1 2)."),
        ("In [2024] and [a].", "In [2024] and [a]."),
        ("On\ntwo   lines", "On two lines"),
    ],
)
def test_a_number_of_others_in_brackets_is_no_mark(text, shown):
    assert markless(text) == shown


@given(st.text(alphabet="ab 19[](),;–-^", max_size=30))
def test_whatever_a_text_holds_it_holds_no_mark(text):
    shown = markless(text)
    assert not re.search(r"\[\s*\^?\d{1,3}(\s*[,;–-]\s*\d{1,3})*\s*\]", shown)
    assert markless(shown) == shown


def test_the_marks_of_a_claim_stand_once_each_in_order():
    assert marks([3, 1, 3]) == "[3][1]"
    assert marks([]) == ""


@pytest.mark.parametrize(
    ("missing", "told"),
    [("its cost", "its cost"), ("the cost [3]", "the cost (3)"), ("its colour", ""), ("", "")],
)
def test_a_missing_part_is_told_in_words_of_the_question_alone(missing, told):
    assert in_words_of("How fast is it, and what is the cost of [3]?", missing) == told


def test_what_is_said_of_a_missing_part():
    assert unanswered("its cost") == "This library does not say: its cost."
    assert unanswered("", filtered=True) == "The papers with that filter do not answer all of the question."


def test_a_refusal_names_the_nearest_papers_and_what_was_asked():
    papers = [paper(f"Paper {n} [7]", "") for n in range(5)]
    assert refusal(papers, "What is it?") == (
        "This library does not say. The nearest papers are “Paper 0 (7)”; “Paper 1 (7)”; “Paper 2 (7)”."
    )
    one = refusal([], "What is it?", Where("year:2020", 1, 30))
    assert one == ("The one paper with year:2020 does not say. None is near it. Without the filter all 30 are asked.")
