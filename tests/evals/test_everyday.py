"""Everyday questions: made from any library's names, and scored by what its papers say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import made
import pytest
from made import paper

from evals.bench import everyday
from evals.bench.everyday import Asked, questions, run, score, subjects, summary
from rag.library import write
from rag.library.store import Library
from rag.library.write import Entry
from rag.records import Answer, Citation, Claim, FrozenMap, Paper
from rag.text import Span

TEA = paper(
    "TeaNet: A Network that Brews",
    "Tea is old. We propose TeaNet, a network that brews green tea. TeaNet has 40 tasks and beats the PourOver-2 kettle.",
)
CUP = paper(
    "CupBench: A Benchmark of Green Tea",
    "We introduce CupBench, a benchmark of green tea. CupBench shows that a network and PourOver-2 spill.",
)
WATER = paper("On water", "Water is wet. However, it is warm.")
INTRODUCED = Span(12, 62)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder: Path = tmp_path_factory.mktemp("everyday")
    built = Library.create(folder, "fake", 8)
    write.replace(built.database, [Entry(one, (), ()) for one in (TEA, CUP, WATER)], (), "add", {})
    yield built
    built.close()


def answered(*cited: tuple[Paper, str], status: str = "answered", text: str = "") -> Answer:
    """An answer of one claim for each (paper, quote)."""
    claims = []
    for number, (one, quote) in enumerate(cited, 1):
        start = one.abstract.index(quote)
        claims.append(Claim(quote, 0, 1, (Citation(number, one, quote, start, start + len(quote)),), "quoted", ""))
    return Answer(
        question="?", query="?", text=text or " ".join(quote for _, quote in cited), status=status, claims=tuple(claims), removed=(),
        citations=tuple(c for claim in claims for c in claim.citations), evidence=(), model="extractive",
        usage=everyday.rag.Usage(), seconds=FrozenMap({}), trace=FrozenMap({}), run="",
    )  # fmt: skip


def test_the_subjects_are_what_one_paper_introduces(library):
    assert [one.name for one in subjects(library)] == ["TeaNet", "CupBench"]
    assert TEA.abstract[slice(*INTRODUCED)] == "We propose TeaNet, a network that brews green tea."


def test_every_shape_is_asked_in_several_wordings(library):
    asked = list(questions(library))
    shapes = {one.shape for one in asked}
    assert shapes == {
        "compare", "follow", "follow-compare", "define", "reason", "mention", "more", "small talk", "detail given", "detail missing",
    }  # fmt: skip
    assert len({one.question for one in asked if one.shape == "compare"}) == 7
    assert all(one.before for one in asked if one.shape.startswith("follow"))
    assert not any("{" in one.question for one in asked)


def test_what_is_right_follows_from_the_papers(library):
    asked = list(questions(library))
    assert {one.wanted for one in asked if one.shape == "compare"} == {(TEA.id, CUP.id)}
    assert {one.shown for one in asked if one.shape == "define"} >= {(TEA.id, INTRODUCED)}
    (listed,) = [one for one in asked if one.shape == "mention" and "pourover" in one.question.lower()]
    assert listed.listed == {TEA.id, CUP.id}
    (given,) = [one for one in asked if one.shape == "detail given"]
    assert "tasks" in given.question
    assert given.shown
    assert "40 tasks" in TEA.abstract[slice(*given.shown[1])]
    missing = [one.question.lower() for one in asked if one.shape == "detail missing"]
    assert any("licen" in one for one in missing)


def test_a_detail_that_may_be_there_is_not_called_missing(tmp_path):
    built = Library.create(tmp_path, "fake", 8)
    licensed = paper("PourNet: A Pourer", "We propose PourNet, a pourer. PourNet has a free license.")
    write.replace(built.database, [Entry(licensed, (), ())], (), "add", {})
    missing = [one.question.lower() for one in questions(built) if one.shape == "detail missing"]
    assert missing
    assert not any("licen" in one for one in missing)
    built.close()


def test_the_same_library_gives_the_same_questions(library):
    assert list(questions(library)) == list(questions(library))


def test_an_empty_library_gives_none(tmp_path):
    built = Library.create(tmp_path, "fake", 8)
    assert list(questions(built)) == []
    built.close()


BOTH = answered((TEA, "We propose TeaNet, a network that brews green tea."), (CUP, "We introduce CupBench"))
FIRST = answered((TEA, "We propose TeaNet, a network that brews green tea."))
OTHER = answered((WATER, "However, it is warm."))
LATE = answered((CUP, "We introduce CupBench"), (TEA, "We propose TeaNet, a network that brews green tea."))
REFUSED = replace(answered(text="This library does not say."), status="refused")


@pytest.mark.parametrize(
    ("asked", "answer", "measures"),
    [
        (Asked("compare", "?", (), (TEA.id, CUP.id)), BOTH, {"all named cited": 1, "opens with a connective": 0}),
        (Asked("compare", "?", (), (TEA.id, CUP.id)), FIRST, {"all named cited": 0, "opens with a connective": 0}),
        (Asked("compare", "?", (), (TEA.id, CUP.id)), OTHER, {"all named cited": 0, "opens with a connective": 1}),
        (Asked("compare", "?", (), (TEA.id, CUP.id)), REFUSED, {"all named cited": 0}),
        (
            Asked("define", "?", (), (TEA.id,), (TEA.id, INTRODUCED)), FIRST,
            {"right paper first": 1, "sentence shown": 1, "sentence first": 1, "words": 9, "opens with a connective": 0},
        ),
        (
            Asked("define", "?", (), (TEA.id,), (TEA.id, INTRODUCED)), LATE,
            {"right paper first": 0, "sentence shown": 1, "sentence first": 0, "words": 12, "opens with a connective": 0},
        ),
        (
            Asked("mention", "?", listed=frozenset({TEA.id, CUP.id})), answered((TEA, "Tea is old."), (WATER, "Water is wet.")),
            {"precision": 0.5, "recall": 0.5, "opens with a connective": 0},
        ),
        (Asked("mention", "?", listed=frozenset({TEA.id})), REFUSED, {"precision": 0, "recall": 0}),
        (Asked("detail missing", "?", (), (TEA.id,)), REFUSED, {"said to be missing": 1, "no other system": 1}),
        (
            Asked("detail missing", "?", (), (TEA.id,)), OTHER,
            {"said to be missing": 0, "no other system": 0, "opens with a connective": 1},
        ),
        (
            Asked("detail given", "?", (), (TEA.id,), (TEA.id, INTRODUCED)), FIRST,
            {"not said to be missing": 1, "sentence shown": 1, "opens with a connective": 0},
        ),
        (
            Asked("detail given", "?", (), (TEA.id,), (TEA.id, INTRODUCED)), replace(FIRST, status="partial"),
            {"not said to be missing": 0, "sentence shown": 1, "opens with a connective": 0},
        ),
        (Asked("small talk", "thanks", ("?",)), REFUSED, {"only what is on screen": 1}),
        (Asked("small talk", "thanks", ("?",)), OTHER, {"only what is on screen": 0}),
        (Asked("more", "any others?", ("?",)), REFUSED, {"only what is on screen": 1, "answered": 1}),
        (Asked("more", "any others?", ("?",), listed=frozenset({WATER.id})), REFUSED, {"only what is on screen": 1, "answered": 0}),
        (Asked("more", "any others?", ("?",), listed=frozenset({WATER.id})), OTHER, {"only what is on screen": 1, "answered": 1, "opens with a connective": 1}),
        (Asked("more", "go on", ("?",)), REFUSED, {"only what is on screen": 1, "answered": 0}),
    ],
)  # fmt: skip
def test_what_is_scored(asked, answer, measures):
    assert score(asked, answer, [FIRST] if asked.before else []) == measures


def test_half_a_sentence_shows_it_and_less_does_not():
    asked = Asked("define", "?", (), (TEA.id,), (TEA.id, INTRODUCED))
    assert score(asked, answered((TEA, "We propose TeaNet, a network")))["sentence shown"] == 1
    assert score(asked, answered((TEA, "We propose TeaNet")))["sentence shown"] == 0


def test_what_was_asked_before_is_asked_before():
    heard: list[tuple[str, int]] = []

    def ask(question: str, history: Sequence[Answer]) -> Answer:
        heard.append((question, len(history)))
        return FIRST

    ((_, _, found),) = run([Asked("more", "go on", ("What is TeaNet?",), (TEA.id,))], ask)
    assert heard == [("What is TeaNet?", 0), ("go on", 1)]
    assert found["only what is on screen"] == 1


def test_a_summary_has_means_and_the_median_of_words():
    asked = Asked("define", "?")
    scored = [
        (asked, {"words": 10.0, "sentence shown": 1.0}),
        (asked, {"words": 90.0}),
        (asked, {"words": 20.0, "sentence shown": 0.0}),
    ]
    assert summary(scored) == {"define": {"words": (20.0, 3), "sentence shown": (0.5, 2)}}


def test_it_runs_from_the_command_line(monkeypatch, capsys, tmp_path):
    place = ["--library", str(made.library(tmp_path / "tea", TEA, CUP, WATER))]
    monkeypatch.setattr("sys.argv", ["everyday.py", *place, "--limit", "1"])
    everyday.main()
    assert "right paper first" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["everyday.py", *place, "--shape", "small talk", "--limit", "2", "--questions"])
    everyday.main()
    assert capsys.readouterr().out.count("\n") == 2
    monkeypatch.setattr("sys.argv", ["everyday.py", *place, "--shape", "define", "--limit", "1", "--json"])
    everyday.main()
    assert json.loads(capsys.readouterr().out)["scores"]["words"] > 3


def test_a_library_that_is_not_there_is_said_in_a_line(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["everyday.py", "--library", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match="nowhere"):
        everyday.main()
