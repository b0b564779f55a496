"""What a paper says on a claim, over the shipped abstracts: the claims that were written by hand for choosing thresholds."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

import rag

ROWS = [
    json.loads(line) for line in (Path(__file__).parents[2] / "evals" / "claims.jsonl").read_text("utf-8").splitlines()
]


@cache
def found(kind: str) -> list[tuple[dict, rag.Attribution]]:
    rows = [row for row in ROWS[::2] if row["kind"] == kind][:8]
    return list(zip(rows, rag.cite([row["claim"] for row in rows], k=5), strict=True))


def test_there_are_enough_claims_of_each_kind():
    kinds = [row["kind"] for row in ROWS]
    assert len(ROWS) >= 80
    assert min(kinds.count("far"), kinds.count("none") + kinds.count("wrong")) >= 0.3 * len(ROWS)
    assert len({row["claim"] for row in ROWS}) == len(ROWS)


def test_a_claim_near_to_the_words_of_a_paper_is_supported_by_it():
    assert [
        row["claim"]
        for row, one in found("near")
        if one.bearings[0].paper.id not in row["papers"] or not one.supporting
    ] == []


def test_a_claim_that_a_paper_says_otherwise_is_told_with_its_figure():
    told = [
        row["told"] in next((b.reason for b in one.differing if b.paper.id in row["papers"]), "nothing")
        for row, one in found("wrong")
    ]
    assert told.count(True) >= 5
    assert not any(one.supporting for _, one in found("wrong"))


@pytest.mark.parametrize("kind", ["none", "far"])
def test_what_nothing_surely_supports_is_refused(kind):
    assert [row["claim"] for row, one in found(kind) if one.supporting] == []


def test_quotes_are_verbatim_and_bear_the_rank():
    for _, one in found("near")[:4]:
        for rank, bearing in enumerate(one.bearings, 1):
            assert {quote.number for quote in bearing.quotes} == {rank}
            assert 0 <= bearing.score <= 1
            assert bearing.key.endswith(bearing.paper.id)
