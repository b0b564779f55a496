"""Sentences with one planted error, and true ones: the files, and what the check does to a part of them."""

from __future__ import annotations

from collections import Counter

import pytest

from evals.bench.planted import Check, half, planted, true
from rag.places import resource
from rag.readers import read

EVERY = 4


@pytest.fixture(scope="module")
def check():
    return Check()


def test_there_are_enough_of_each_kind_and_half_keep_numbers_and_names():
    rows = planted()
    assert len(rows) >= 150
    assert len(rows) == len({row.text for row in rows})
    assert all(row.text != row.source for row in rows)
    assert min(Counter(row.form for row in rows)[kind] for kind in ("number", "direction", "entity", "scope")) >= 15
    assert sum(row.keeps for row in rows) >= len(rows) / 2
    assert sum(row.form != "pair" for row in true()) >= 150
    papers = {paper.id for paper in read([resource("data")]).papers}
    assert {id for row in (*rows, *true()) for id in row.papers} <= papers
    assert {half(row) for row in rows} == {"tune", "final"}


def test_most_planted_errors_are_caught_whatever_sentence_an_appeal_copies(check):
    rows = planted()[::EVERY]
    shown = [row for row in rows if check.judged(row).supported or check.appealed(row, each=True)]
    assert len(shown) <= 0.25 * len(rows)


def test_true_sentences_are_kept_by_themselves_or_by_their_words(check):
    rows = true()[::EVERY]
    kept = [row for row in rows if check.judged(row).supported or check.appealed(row, each=False)]
    assert len(kept) >= 0.95 * len(rows)
