"""The gate: every verdict with its exit code, what the reasons name and in which order, and who is asked again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from judged import ABSTRACTS, EXACT, FAST, POKER, RAIN, cite, claim, right, row, run, stored, unanswerable, wrong

from evals import compare as gate
from evals.compare import CONFIRM, FLUKES, LEAST_PAIRS, PLAIN, STEADY, Comparison, compare
from evals.gold import Question
from evals.records import EXIT, Record, Run

ROWS = tuple(row(f"aa{n:03}") for n in range(60))
Change = Callable[[dict[str, Any]], dict[str, Any]]


def judged(baseline: Run, candidate: Run, rows: Sequence[Question] = ROWS, **options: Any) -> Comparison:
    return compare(baseline, candidate, rows, ABSTRACTS, **options)


def sound(samples: int = 1, **fields: Any) -> Run:
    return run(((question, right()) for question in ROWS), samples, **fields)


def changed(change: Change, at: slice = slice(None), **fields: Any) -> Run:
    """The sound run with another code, and the answers in `at` changed."""
    hit = {question.id for question in ROWS[at]}
    answers = ((q, change(copy.deepcopy(right())) if q.id in hit else right()) for q in ROWS)
    return run(answers, **({"code": "2"} | fields))


def half(answer: dict[str, Any]) -> dict[str, Any]:
    return stored([claim(FAST, cite("pa", FAST))])


# --- verdicts -----------------------------------------------------------------------------------


def test_the_same_again_passes():
    result = judged(sound(), sound())
    assert (result.verdict, result.exit_code, result.reasons, result.changed) == ("pass", 0, (), ())
    assert result.pairs == 60
    assert {delta.change.mean for delta in result.deltas} == {0}


def test_better_answers_pass():
    result = judged(changed(half, code="1"), sound(code="2"))
    assert result.verdict == "pass"
    assert {c.how for c in result.changed} == {"fixed"}


def test_half_of_the_facts_gone_is_a_regression():
    result = judged(sound(), changed(half))
    assert (result.verdict, result.exit_code) == ("regression", 4)
    assert result.named[0] == "gold recall"
    assert {"cited f1", "facts", "correct", "utility"} <= set(result.named)


def test_another_library_is_not_comparable():
    result = judged(sound(), sound(corpus="2"))
    assert (result.verdict, result.exit_code, result.named) == ("not comparable", 7, ("corpus",))


def test_another_answerer_is_not_comparable():
    result = judged(sound(), sound(model="gpt-5-mini"))
    assert (result.verdict, result.named) == ("not comparable", ("model",))
    assert "--baseline" in result.reasons[0]


def test_too_many_errors_make_a_run_invalid():
    answers = [(question, None if n < 2 else right()) for n, question in enumerate(ROWS)]
    result = judged(sound(), run(answers))
    assert (result.verdict, result.exit_code, result.named) == ("invalid", 6, ("coverage",))
    assert "58 of 60" in result.reasons[0]


def few(answers: dict[int, dict[str, Any]], n: int = 15, **fields: Any) -> Run:
    """A run of the first `n` rows, right but for the answers given."""
    return run(((question, answers.get(at, right())) for at, question in enumerate(ROWS[:n])), **fields)


def test_a_small_set_passes_and_says_what_it_would_have_noticed():
    result = judged(few({}), few({}), ROWS[:15])
    assert (result.verdict, result.small) == ("pass", True)
    assert result.detectable == pytest.approx(1 - 0.2 ** (1 / 15))  # one break of 15, four times in five
    assert judged(few({}, 3), few({}, 3), ROWS[:3]).detectable == pytest.approx(1 - 0.2 ** (1 / 3))
    assert not judged(sound(), sound()).small


def test_of_a_small_set_a_break_is_a_regression_and_a_fall_alone_a_doubt():
    result = judged(few({}), few({2: half(right())}, code="2"), ROWS[:15])
    assert (result.verdict, result.exit_code, result.named) == ("regression", 4, ("correct",))
    assert "aa002" in result.reasons[0]
    seen = {name: [[p, 0.5] for p in ("pa", "pb", "pc", "pd")] for name in ("retrieved", "evidence")}
    beside = {n: stored([*right()["claims"], claim(RAIN, cite("pd", RAIN, 4))]) | seen for n in range(8)}
    result = judged(few({}), few(beside, code="2"), ROWS[:15])
    assert (result.verdict, result.exit_code, result.named) == ("inconclusive", 5, ("cited f1",))
    assert "8 worse and 0 better of 15" in result.reasons[0]


def test_where_answers_vary_a_small_set_notices_only_a_large_fall():
    result = judged(few({}), few({}), ROWS[:15], confirm=lambda ids, samples: [])
    assert 0.3 < (result.detectable or 0) < 0.5
    assert judged(few({}, 4), few({}, 4), ROWS[:4], confirm=lambda ids, samples: []).detectable is None


def test_of_some_questions_picked_out_the_verdict_is_withheld():
    same = judged(sound(), sound(), whole=False)
    assert (same.verdict, same.exit_code, same.named) == ("inconclusive", 5, ("withheld",))
    worse = judged(sound(), changed(half), whole=False)
    assert (worse.verdict, worse.named[0], "correct" in worse.named) == ("inconclusive", "withheld", True)
    broken = judged(sound(), changed(misquoted, slice(3)), whole=False)
    assert (broken.verdict, broken.named[0]) == ("regression", "quote verbatim")  # true of any answer


def test_too_few_questions_in_both_make_a_run_invalid():
    paired = run((question, right()) for question in ROWS[: LEAST_PAIRS - 1])
    result = judged(paired, sound())
    assert (result.verdict, result.named) == ("invalid", ("pairs",))
    assert judged(run((question, right()) for question in ROWS[:LEAST_PAIRS]), sound()).verdict == "pass"


def test_a_run_without_rows_is_invalid():
    assert judged(sound(), run([])).verdict == "invalid"


def test_rows_of_another_revision_are_not_paired():
    rows = tuple(row(question.id, rev=2) for question in ROWS[:40])
    result = judged(sound(), run((question, right()) for question in (*rows, *ROWS[40:])), (*rows, *ROWS[40:]))
    assert (result.verdict, result.pairs) == ("invalid", 20)


def test_a_fall_that_could_be_chance_is_inconclusive():
    """Enough for a single look at a primary metric, not for the level that is shared; and no hard break."""
    rows = [row(f"ab{n:03}", papers={"pa": 2, "pb": 2}) for n in range(60)]
    seen = {"retrieved": [[p, 0.5] for p in ("pa", "pb", "pc", "pd")], "evidence": [[p, 0.5] for p in ABSTRACTS]}
    beside = [claim(POKER, cite("pc", POKER, 3)), claim(RAIN, cite("pd", RAIN, 4))]
    old = run((q, right() | seen) for q in rows)
    new = run(
        ((q, (stored([*right()["claims"], *beside]) if n < 4 else right()) | seen) for n, q in enumerate(rows)),
        code="2",
    )
    result = judged(old, new, rows)
    assert (result.verdict, result.exit_code, result.named) == ("inconclusive", 5, ("cited f1",))
    assert "4 worse and 0 better of 60" in result.reasons[0]
    assert not any(delta.fell for delta in result.deltas)


def test_every_verdict_has_its_exit_code():
    assert EXIT == {"pass": 0, "regression": 4, "inconclusive": 5, "invalid": 6, "not comparable": 7}


# --- promises -----------------------------------------------------------------------------------


def misquoted(answer: dict[str, Any]) -> dict[str, Any]:
    answer["claims"][0]["citations"][0]["start"] += 1
    return answer


def unmarked(answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"text": answer["text"].replace(" [2]", "")}


def unseen(answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"evidence": [["pa", 1.0]]}


@pytest.mark.parametrize(
    ("damage", "name"), [(misquoted, "quote verbatim"), (unmarked, "claim cited"), (unseen, "id valid")]
)
def test_one_broken_promise_is_a_regression(damage, name):
    result = judged(sound(), changed(damage, slice(7, 8)))
    assert result.verdict == "regression"
    assert result.named[0] == name
    assert "aa007" in result.reasons[0]


def test_a_promise_counts_in_every_wording():
    broken = misquoted(copy.deepcopy(right()))
    candidate = sound()
    extra = Record("aa003", 1, 1, 0, answer=broken)
    result = judged(sound(), Run(candidate.manifest, (*candidate.records, extra)))
    assert (result.verdict, result.named) == ("regression", ("quote verbatim",))


def test_many_are_named_by_a_few_and_a_number():
    (reason,) = [r for r in judged(sound(), changed(misquoted)).reasons if r.startswith("quote verbatim")]
    assert "aa005 and 54 more" in reason
    assert "\n" not in reason


# --- nothing that goes in has changed -----------------------------------------------------------


def reordered(answer: dict[str, Any]) -> dict[str, Any]:
    """What a stage could do to the tail, which no metric sees."""
    return answer | {"retrieved": [*answer["retrieved"], ["px", 0.0]]}


def test_retrieval_that_differs_with_nothing_changed_is_a_regression():
    result = judged(sound(), changed(reordered, slice(3, 5), code="1"))
    assert (result.verdict, result.named) == ("regression", ("retrieval identical",))
    assert "aa003, aa004" in result.reasons[0]


@pytest.mark.parametrize("what", ["code", "run", "gold"])
def test_with_other_code_settings_or_questions_it_may_differ(what):
    assert judged(sound(), changed(reordered, slice(3, 5), **({"code": "1"} | {what: "2"}))).verdict == "pass"


def test_a_follow_up_that_searches_for_something_else_may_find_something_else():
    assert judged(sound(), changed(lambda a: reordered(a) | {"query": "other"}, slice(1), code="1")).verdict == "pass"


def test_scores_of_retrieval_may_differ():
    lower = changed(lambda a: a | {"retrieved": [[p, s / 2] for p, s in a["retrieved"]]}, code="1")
    assert judged(sound(), lower).verdict == "pass"


# --- errors -------------------------------------------------------------------------------------


def test_a_crash_where_answers_do_not_vary_is_a_regression():
    rows = tuple(row(f"ac{n:03}") for n in range(100))
    answers = [(question, None if n == 4 else right()) for n, question in enumerate(rows)]
    result = judged(run((q, right()) for q in rows), run(answers, code="2"), rows)
    assert (result.verdict, result.named) == ("regression", ("errors",))
    assert "ac004" in result.reasons[0]
    assert "by zero" in result.reasons[0]
    assert [(c.id, c.how) for c in result.changed] == [("ac004", "error")]


def test_where_answers_vary_an_error_is_the_servers():
    rows = tuple(row(f"ac{n:03}") for n in range(100))
    answers = [(question, None if n == 4 else right()) for n, question in enumerate(rows)]
    result = judged(run(((q, right()) for q in rows), 5), run(answers, code="2"), rows, confirm=lambda ids, n: [])
    assert (result.verdict, result.pairs) == ("pass", 99)


# --- questions that turned ----------------------------------------------------------------------


def test_one_question_that_is_wrong_now_is_a_regression():
    result = judged(sound(), changed(half, slice(5, 6)))
    assert result.verdict == "regression"
    assert result.named[-1] == "correct"
    assert "aa005" in result.reasons[-1]


def test_as_many_fixed_as_broken_pass():
    old, new = changed(half, slice(0, 1), code="1"), changed(half, slice(1, 2))
    result = judged(old, new)
    assert result.verdict == "pass"
    assert sorted((c.id, c.how) for c in result.changed) == [("aa000", "fixed"), ("aa001", "broken")]


def test_an_unanswerable_question_that_is_answered_now_turned():
    rows = (*ROWS[:-1], unanswerable())
    old = run((q, right() if q.answerable else stored()) for q in rows)
    new = run(((q, right() if q.answerable else wrong()) for q in rows), code="2")
    result = judged(old, new, rows)
    assert result.verdict == "regression"
    assert "un001" in result.reasons[-1]


class Fresh:
    """Fresh samples as they are asked for: `right` of them right."""

    def __init__(self, right: int, errors: int = 0) -> None:
        self.right, self.errors, self.asked = right, errors, []

    def __call__(self, ids: Sequence[str], samples: int) -> list[Record]:
        self.asked.append((tuple(ids), samples))
        answers = [right() if n < self.right else half(right()) for n in range(samples - self.errors)]
        return [Record(id, 1, 0, n, answer=answer) for id in ids for n, answer in enumerate(answers)]


def test_where_answers_vary_what_looks_broken_is_asked_again():
    fresh = Fresh(right=0)
    result = judged(sound(5), changed(half, slice(5, 6)), confirm=fresh)
    assert fresh.asked == [(("aa005",), CONFIRM)]
    assert result.verdict == "regression"
    assert len(result.confirmations) == CONFIRM


@pytest.mark.parametrize(
    ("right", "how"), [(0, "broken"), (FLUKES, "broken"), (FLUKES + 1, "newly flaky"), (CONFIRM, "newly flaky")]
)
def test_a_break_stands_only_if_nearly_all_fresh_samples_agree(right, how):
    result = judged(sound(5), changed(half, slice(5, 6)), confirm=Fresh(right))
    assert [(c.id, c.how) for c in result.changed] == [("aa005", how)]
    assert result.verdict == ("regression" if how == "broken" else "pass")


@pytest.mark.parametrize(("wrong", "asked"), [(1, 0), (2, 1), (3, 1)])
def test_most_samples_of_the_candidate_must_be_wrong(wrong, asked):
    new = sound(3, code="2")
    records = [replace(r, answer=half({})) if r.id == "aa005" and r.sample < wrong else r for r in new.records]
    fresh = Fresh(0)
    judged(sound(5), Run(new.manifest, tuple(records)), confirm=fresh)
    assert len(fresh.asked) == asked


def test_a_fix_is_confirmed_as_well():
    old = run(((q, half({}) if q.id == "aa000" else right()) for q in ROWS), 5)
    assert judged(old, sound(), confirm=Fresh(CONFIRM)).changed[0].how == "fixed"
    assert judged(old, sound(), confirm=Fresh(0)).changed == ()


def test_fresh_samples_that_fail_confirm_nothing():
    result = judged(sound(5), changed(half, slice(5, 6)), confirm=Fresh(0, errors=CONFIRM))
    assert [c.how for c in result.changed] == ["newly flaky"]


def test_a_baseline_of_few_samples_says_little_where_answers_vary():
    fresh = Fresh(0)
    assert judged(sound(STEADY - 1), changed(half, slice(5, 6)), confirm=fresh).verdict == "pass"
    assert fresh.asked == []


def test_a_question_that_was_not_always_right_is_not_asked_again():
    old = sound(5)
    once = replace(old.records[5 * 5], answer=half({}))
    fresh = Fresh(0)
    shaky = Run(old.manifest, (*old.records[:25], once, *old.records[26:]))
    assert judged(shaky, changed(half, slice(5, 6)), confirm=fresh).verdict == "pass"
    assert fresh.asked == []


def test_nobody_is_asked_again_when_nothing_turned():
    assert judged(sound(5), sound(), confirm=lambda ids, n: pytest.fail("asked")).verdict == "pass"


# --- reasons ------------------------------------------------------------------------------------


def blind(answer: dict[str, Any]) -> dict[str, Any]:
    """pb is not found, and everything that follows."""
    kept = [["pa", 1.0], ["pc", 0.5]]
    return half(answer) | {"retrieved": kept, "evidence": kept}


def unread(answer: dict[str, Any]) -> dict[str, Any]:
    return half(answer) | {"evidence": [["pa", 1.0], ["pc", 0.5]]}


STAGE = {
    "retrieval": (blind, "recall@5"),
    "rerank": (unread, "evidence recall"),
    "refusal": (lambda a: stored(), "coverage"),
    "quotes": (
        lambda a: stored([claim(FAST, cite("pb", EXACT, 2)), claim(EXACT, cite("pa", FAST))]),
        "claim supported",
    ),
    "citations": (half, "gold recall"),
    "answer": (
        lambda a: stored([claim(c["text"].replace("60", "9"), *c["citations"]) for c in a["claims"]]),
        "claim supported",
    ),
}


@pytest.mark.parametrize("stage", STAGE)
def test_the_first_reason_points_at_the_stage(stage):
    damage, metric = STAGE[stage]
    result = judged(sound(), changed(damage, slice(0, None, 2)))
    assert result.verdict == "regression"
    assert result.named[0] == metric
    order = [name for names in gate.STAGES.values() for name in names]
    falls = [name for name in result.named if name in order]
    assert falls == sorted(falls, key=order.index)


def test_a_fall_names_both_means_and_its_slice():
    rows = (*ROWS, *(row(f"ad{n:03}", kind="single") for n in range(30)))
    new = run(((q, half({}) if q.kind == "single" else right()) for q in rows), code="2")
    result = judged(run((q, right()) for q in rows), new, rows)
    (reason,) = [r for r in result.reasons if r.startswith("gold recall (single)")]
    assert "1.000 -> 0.500 on 30 questions, 30 worse and 0 better" in reason


def test_a_fall_seen_at_a_single_look_stands_beside_other_reasons_and_says_so():
    result = judged(sound(), changed(half, slice(0, 5)))
    low = [delta for delta in result.deltas if delta.low and not delta.fell]
    assert low
    assert result.verdict == "regression"
    assert any(f"plain level of {PLAIN:.0%}" in reason for reason in result.reasons)


def test_what_only_follow_ups_show_comes_last():
    follow_ups = tuple(row(f"fo{n:03}", kind="followup", history=["What of it?"]) for n in range(20))
    rows = (*ROWS, *follow_ups)
    worse = (*ROWS[:20], *follow_ups)

    def answer(question: Question) -> dict[str, Any]:
        return right() if question not in worse else blind({}) if question.history else half({})

    old = run((q, right()) for q in rows)
    result = judged(old, run(((q, answer(q)) for q in rows), code="2"), rows)
    assert result.named[0] == "gold recall"
    assert "recall@5" in result.named
    alone = judged(old, run(((q, blind({}) if q.history else right()) for q in rows), code="2"), rows)
    assert alone.named[0] == "recall@5"


def test_a_fall_within_the_margin_is_none():
    rows = tuple(row(f"ae{n:03}") for n in range(300))
    new = run(((q, stored(right()["claims"][::-1]) if n < 5 else right()) for n, q in enumerate(rows)), code="2")
    one_less = judged(run((q, right()) for q in rows), new, rows)
    assert one_less.verdict == "pass"


def test_unknown_questions_are_left_out():
    candidate = sound()
    stray = Record("zz999", 1, 0, 0, answer=wrong())
    assert judged(sound(), Run(candidate.manifest, (*candidate.records, stray))).verdict == "pass"
