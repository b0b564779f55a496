"""Each finding of the lint fires on the fault it is meant for, and on a sound set there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from judged import ABSTRACTS, EXACT, FAST, fact, row, unanswerable

import rag
from evals import gold, lint
from evals.gold import Question
from evals.lint import Finding
from rag import Paper

PAPERS = {id: Paper(id, f"Title of {id}", abstract) for id, abstract in ABSTRACTS.items()}
PAPERS["pa"] = Paper("pa", "Structured state spaces for long sequences", ABSTRACTS["pa"])


@pytest.fixture
def found(tmp_path: Path) -> Any:
    """Findings on some rows whose revisions are accepted, with one prompt."""
    (tmp_path / "answer.md").write_text("Answer from the passages alone, and cite what you use.\n", "utf-8")

    def lint_of(*rows: Question, **options: Any) -> list[Finding]:
        lock = tmp_path / "gold.lock"
        if not options.pop("fresh", False):
            lint.accept(rows, lock)
        return lint.lint(rows, PAPERS, lock=lock, prompts=tmp_path, **options)

    return lint_of


def test_a_sound_set_has_no_finding(found):
    assert (
        found(row(), row("bb001", question="And now for something different?"), unanswerable(question="Rain tomorrow?"))
        == []
    )


FIRST = fact("f1", "pa", FAST, "60 times")
ROWS = {
    "no paper p9 in the library": {"papers": {"pa": 2, "pb": 2, "p9": 0}},
    "'missing' goes with kinds unanswerable and act": {"missing": "all of it"},
    "fewer than two papers have grade 2": {"kind": "comparison", "papers": {"pa": 2, "pb": 1}},
    "no paper has grade 2": {"papers": {"pa": 1, "pb": 1}},
    "states no fact to look for": {"facts": []},
    "a follow-up without a first turn": {"kind": "followup"},
    "no reference answer": {"reference": ""},
    "the matcher does not fire on the reference": {"reference": "It is exact, that is all."},
    "the matcher fires on a refusal": {"facts": [FIRST, fact("f2", "pb", EXACT, "exact", "abstracts")],
                                       "reference": "60 times; exact, say the abstracts"},
    "not verbatim in pa": {"facts": [fact("f1", "pa", "S4 is 60 times quicker.", "60 times")]},
    "not verbatim in p9": {"facts": [fact("f1", "p9", FAST, "60 times")], "papers": {"pa": 2, "p9": 1}},
    "the matcher does not fire on its quote": {"facts": [fact("f1", "pa", "Long sequences are hard.", "60 times")]},
    "its paper pd has no grade": {"facts": [FIRST, fact("f2", "pd", "Weather is what it is.", "exact", "weather")]},
    "forbidden 'x' fires on the reference": {
        "forbidden": [{"text": "x", "why": "y", "match": {"type": "phrase", "any": ["is exact"]}}]},
}  # fmt: skip


@pytest.mark.parametrize("text", ROWS)
def test_a_fault_of_a_row(found, text):
    findings = [finding for finding in found(row(**ROWS[text])) if text in finding.text]
    assert [(finding.id, finding.stops) for finding in findings] == [("aa001", True)]


@pytest.mark.parametrize(
    "fields", [{"papers": {"pa": 1}}, {"facts": [FIRST], "papers": {"pa": 0}}, {"papers": {"pa": 2}}]
)
def test_an_unanswerable_row_with_an_answer(found, fields):
    assert "unanswerable, but has facts or papers that answer" in {f.text for f in found(unanswerable(**fields))}


def test_an_unanswerable_row_must_say_what_is_missing(found):
    for kind in ("unanswerable", "act"):
        texts = {finding.text for finding in found(unanswerable(kind=kind, missing=None))}
        assert any("'missing' goes with kinds unanswerable and act" in text for text in texts)


def test_a_list_needs_no_fact(found):
    assert found(row(kind="list", facts=[]), row("bb001", kind="mention", facts=[], question="Who mentions it?")) == []


def test_a_detail_is_there_or_is_missing_and_the_named_paper_may_be_cited(found):
    there = row(kind="detail", papers={"pa": 2}, facts=[FIRST])
    missing = unanswerable(kind="detail", papers={"pa": 1}, question="Its licence?")
    assert found(there, missing) == []
    answered = unanswerable(kind="detail", papers={"pa": 2}), unanswerable("un002", kind="detail", facts=[FIRST])
    for bad in answered:
        assert "unanswerable, but has facts or papers that answer" in {finding.text for finding in found(bad)}


def test_an_act_asks_for_nothing(found):
    assert found(unanswerable(kind="act", question="thanks")) == []
    assert "unanswerable, but has facts or papers that answer" in {
        finding.text for finding in found(unanswerable(kind="act", papers={"pa": 1}))
    }


def test_a_question_in_the_words_of_its_title(found):
    asked = row(kind="single", question="What are structured state spaces for sequences?", papers={"pa": 2, "pb": 1})
    (finding,) = found(asked)
    assert "shares sequences, spaces, state, structured with its paper's title" in finding.text
    assert not finding.stops
    assert found(row(kind="multi", question="What are structured state spaces for sequences?")) == []


def test_an_id_that_stands_twice(found):
    assert Finding("aa001", "stands 2 times") in found(row(), row())


def test_a_group_in_both_splits(found):
    rows = row(group="g"), row("bb001", group="g", split="gate", question="Something else altogether?")
    assert Finding("set", "group 'g' is in both splits") in found(*rows)


def test_nearly_the_same_question(found):
    one, other = (
        row(question="How fast is S4 at generating text?"),
        row("bb001", question="how fast is S4 at generating texts?"),
    )
    assert [str(f) for f in found(one, other)] == ["problem: aa001: nearly the same question as bb001"]
    assert found(one, row("bb001", question=other.question, group="aa001")) == []  # meant to be alike


def test_the_turns_before_tell_follow_ups_apart(found):
    one, other = (
        row(f"fo00{n}", kind="followup", history=[first], question="And how exact is it?")
        for n, first in enumerate(["What is S4 good for, in a word?", "Which paper treats the game of poker?"])
    )
    assert found(one, other) == []


@pytest.mark.parametrize("field", ["question", "reference"])
def test_a_text_that_stands_in_a_prompt(found, tmp_path, field):
    words = "how exact is the second one 60 times over, if it is exact at all"
    (tmp_path / "few.md").write_text(f"Example: {words.upper()}", "utf-8")
    findings = found(row(**{field: f"Say: {words}"}))
    assert findings
    assert all(finding.id == "aa001" and "stands in prompt few.md" in finding.text for finding in findings)
    assert found(row(**{field: " ".join(["60 times is exact", *words.split()[:5]])})) == []


def test_a_set_that_a_word_search_solves(found):
    rows = [row(f"bb{n:03}", kind="single", group="g", papers={"pa": 2, "pb": 1}, question=f"Q{n}?") for n in range(50)]
    (finding,) = found(*rows, lexical=lambda text: ["pa"])
    assert (finding.id, finding.stops) == ("set", False)
    assert "100% of the single-paper questions" in finding.text
    assert found(*rows, lexical=lambda text: ["pd", "pa"]) == []
    assert found(*rows[:49], lexical=lambda text: ["pa"]) == []  # in a small library words alone do well
    assert found(row(), lexical=lambda text: ["pa"]) == []  # no single-paper question in it


# --- the lock -----------------------------------------------------------------------------------


def test_a_row_that_is_new(found):
    (finding,) = found(row(), fresh=True)
    assert finding.stops
    assert "1 rows are new or edited" in finding.text


def test_a_row_that_changed_without_a_new_rev(found):
    found(row())
    (finding,) = found(row(notes="changed my mind"), fresh=True)
    assert finding.stops
    assert "changed, but its rev is still 1" in finding.text


def test_a_row_that_changed_with_a_new_rev(found):
    found(row())
    (finding,) = found(row(rev=2, notes="changed my mind"), fresh=True)
    assert finding.stops
    assert "not accepted (aa001)" in finding.text


def test_a_row_that_is_gone(found):
    found(row(), row("bb001", question="And now for something different?"))
    (finding,) = found(row(), fresh=True)
    assert finding.stops
    assert "1 rows are gone (bb001)" in finding.text
    assert found(row(), fresh=True, whole=[row(), row("bb001", question="And now for something different?")]) == []


def test_a_matcher_that_fires_on_the_answers_to_other_questions(found):
    many = [
        unanswerable(f"un{n:03}", question=f"{n} of what, in {n * 7}?", reference=f"It is {n} of them.")
        for n in range(60)
    ]
    loose = row(facts=[fact("f1", "pa", FAST, "60 times", "it is"), fact("f2", "pb", EXACT, "is exact")])
    texts = [finding.text for finding in found(loose, *many) if finding.id == "aa001"]
    assert texts == ["fact f1: the matcher fires on 60 answers to other questions: too loose"]


def test_a_rev_that_goes_back(found):
    found(row(rev=3))
    assert Finding("aa001", "rev 2 is lower than the 3 it had") in found(row(rev=2), fresh=True)


def test_an_id_is_never_used_again(found, tmp_path):
    found(row())
    lint.accept([row("bb001")], tmp_path / "gold.lock")  # aa001 is gone from the set
    findings = found(row("bb001"), row(question="Something new altogether?"), fresh=True)
    assert any("this id was a deleted row's" in finding.text for finding in findings)


def test_the_lock_is_stable_and_one_row_a_line(tmp_path):
    lock = tmp_path / "gold.lock"
    lint.accept([row("bb001"), row()], lock)
    first = lock.read_text("utf-8")
    lint.accept([row(), row("bb001")], lock)
    assert lock.read_text("utf-8") == first
    assert [line.split('"')[1] for line in first.splitlines()[1:-1]] == ["aa001", "bb001"]
    assert lint.read_lock(lock) == {id: tuple(entry) for id, entry in json.loads(first).items()}
    assert lint.read_lock(tmp_path / "none.lock") == {}


# --- the gold set itself ------------------------------------------------------------------------


def problems(papers: tuple[Paper, ...], **options: Any) -> list[str]:
    return [str(f) for f in lint.lint(gold.load(), {paper.id: paper for paper in papers}, **options) if f.stops]


def test_the_gold_set_has_no_problem(papers):
    assert problems(papers) == []


@pytest.mark.slow
def test_the_gold_set_is_not_solved_by_a_word_search(papers):
    library, known = rag.open_library().store, {paper.id: paper for paper in papers}
    found = lint.lint(gold.load(), known, lexical=lambda text: [id for id, _ in library.words.lexical(text, 5)])
    assert [finding.text for finding in found if "too easy" in finding.text] == []
