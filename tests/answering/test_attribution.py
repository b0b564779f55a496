"""What a paper says on a claim, over the shipped abstracts: the claims that were written by hand for choosing thresholds."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

import rag
from rag.answering.attribution import About, verdict_on
from rag.records import Reply, Usage

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


@pytest.mark.parametrize(
    ("claim", "quote", "differs"),
    [
        ("Gulls harm terns.", "We find no evidence that gulls harm terns.", True),
        ("Gulls harm terns.", "Our counts do not show that gulls harm the terns.", True),
        ("Gulls harm terns.", "It is a myth that gulls harm terns.", True),
        ("Larger gulls harm terns on piers.", "We find no evidence that larger gulls harm terns on piers.", True),
        ("There is no evidence that gulls harm terns.", "We find no evidence that gulls harm terns.", False),
        ("Gulls harm terns.", "We find that gulls harm terns, and no evidence of rats.", False),
        ("Gulls eat more fish than terns.", "Terns eat more fish than gulls.", True),
        ("Gulls eat more fish than terns.", "On piers gulls eat more fish than terns.", False),
        ("Weight grows with light rather than food.", "Weight grows with food rather than light.", True),
        ("Gulls are larger than rats.", "Gulls are larger than terns.", False),
    ],
)
def test_what_is_doubted_or_compared_the_other_way_round(claim, quote, differs):
    about = About(nearest=0.9, held=1.0, supported=0.9, unnamed=0.0)
    verdict, reason = verdict_on(claim, about, [quote], [quote])
    assert (verdict == "differs") is differs, reason


def test_reasons_speak_of_one_abstract():
    about = About(0.9, 1.0, 0.9, 0.0)
    _, reason = verdict_on(
        "Gulls are slower than terns on all piers.", about, ["Gulls are faster than terns on all piers."], [""]
    )
    assert reason.startswith("the abstract ")
    assert not re.search(r"abstract (?:deny|say|give|do)\b", reason)


class Judge:
    """A chat model that gives one verdict, and counts how often it is asked."""

    name = "made"

    def __init__(self, verdict, evidence):
        self.said, self.asked = json.dumps({"verdicts": [{"claim": 1, "evidence": evidence, "verdict": verdict}]}), []

    def ask(self, system, user, *, deadline=None):
        self.asked.append(user)
        return Reply(self.said, Usage(1, 1, 1))

    def stream(self, system, user, *, deadline=None):
        raise NotImplementedError


def test_a_model_is_asked_where_nothing_is_sure_and_believed_when_its_evidence_stands_there():
    claim = "There is no single model that wins everywhere; each has its own strong points."
    near = rag.cite(claim, k=3).bearings
    assert not any(one.verdict == "supports" for one in near)
    words = near[1].paper.abstract.split()
    judge = Judge("supported", " ".join(words[:8]))
    found = rag.cite(claim, model=judge)
    assert len(judge.asked) == 3
    assert [one.paper.id for one in found.supporting] == [near[1].paper.id]
    assert found.bearings[0].quotes[0].quote.startswith(" ".join(words[:8]))
    assert found.bearings[0].reason == "a chat model finds it there, in other words"
    for said in (Judge("supported", "words that stand nowhere at all"), Judge("not supported", "")):
        assert not rag.cite(claim, model=said).supporting


def test_a_model_is_not_asked_where_a_paper_surely_supports_or_says_otherwise():
    judge = Judge("supported", "anything at all")
    assert rag.cite("RepoST-Train has 7,415 functions from 832 repositories.", model=judge).supporting
    assert not judge.asked
    wrong = rag.cite("RepoST-Train has 7,415 functions from 500 repositories.", model=judge)
    assert (wrong.status, wrong.differing[0].reason) == ("differs", "the abstract says 832 repositories, not 500")
