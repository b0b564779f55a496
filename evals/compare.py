"""The gate: is this run worse than the baseline, and can that be said with confidence?

Measure, then judge. The baseline stores answers, so both sides are scored here by today's metrics
and paired per question, never as two averages. The verdict is the first that holds:

    not comparable  another corpus, or another answerer
    invalid         too many rows are errors, or too few of the questions are in both at the same revision
    regression      (a) answers do not vary, and a question that was answered raises now; (b) a promise
                    is broken in any answer: citations name papers of the evidence, quotes are verbatim,
                    every claim carries one with its mark; (c) all that went in is the same, yet
                    retrieval differs; (d) a guarded metric fell by more than a margin that matters, and
                    the one-sided upper bound of its paired cluster bootstrap is below zero; (e) hard
                    breaks: more questions turned from always right to wrong than the other way round
    inconclusive    a primary metric fell by more than the margin, and a single look at it (one in
                    twenty by chance) says so, but not at the level of (d)
    pass

Two things are not judged. A set with fewer than LEAST_PAIRS questions is too small for a test of its means: (d) is left
out, a fall without a break is inconclusive at most, and a pass says which fall would have been noticed. Some of the
questions alone (`whole` is false) are compared, and the verdict is withheld: inconclusive, unless (a) to (c) hold.

Where answers vary (`confirm` is given), one sample says little: a question has turned only if all
samples of the baseline (STEADY at least) agree, most of the candidate's say otherwise, and so do all
but FLUKES of CONFIRM fresh ones. The level of (d) is shared among all metrics and slices
(Bonferroni), the primary ones having most of it. Reasons stand in the order of the pipeline, with
the falls of a single look among them, so that the first points at the stage to look at.
`evals/bench/gate.py` measures both error rates, `evals/bench/mutations.py` plants faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import metrics
from .gold import Question
from .records import EXIT, Record, Run, Verdict
from .statistics import Estimate, detectable, estimate, noticeable, upper_bound

ALPHA = 0.02  # over all guarded metrics together ...
HEADLINE = 2 / 3  # ... of which the primary ones, which move together, share this much
PLAIN = 0.05  # level of a single look: enough to doubt a run, or to say where a regression shows
MARGIN = 0.02  # a smaller fall of a mean does not matter
LEAST_COVERAGE = 0.98
LEAST_PAIRS = 30  # fewer are too few for a test of a mean
DOUBTED = 5  # questions that must get worse, and none better, before chance is doubted at PLAIN (sign test)
CONFIRM = 12  # fresh samples for a question whose outcome looks turned ...
FLUKES = 2  # ... of which at most this many may still come out as before
STEADY = 4  # where answers vary, fewer samples of the baseline do not say that a question was always right
PRIMARY = ("correct", "cited f1", "utility")
STAGES: Mapping[str, tuple[str, ...]] = {
    "retrieval": ("recall@5", "recall@10", "mrr@10", "ndcg@10"),
    "rerank": ("evidence recall", "evidence mrr"),
    "refusal": ("coverage", "refused"),
    "quotes": ("quote whole", "claim supported", "text claimed"),
    "citations": ("first cited", "gold recall", "gold precision", "cited f1"),
    "answer": ("facts", "correct", "utility"),
}
SLICED = ("recall@5", "coverage", "gold recall", "facts", "correct")  # these also by kind of question

Confirm = Callable[[Sequence[str], int], Sequence[Record]]  # (question ids, samples) -> fresh records


@dataclass(frozen=True, slots=True)
class Delta:
    """One metric on the pairs (`slice` "all" or a kind): both means, their difference, and its test."""

    metric: str
    slice: str
    baseline: Estimate
    candidate: Estimate
    change: Estimate
    bound: float
    worse: int
    better: int
    fell: bool
    low: bool = False  # fell by the margin at the plain level: a doubt, or a pointer beside other reasons


@dataclass(frozen=True, slots=True)
class Changed:
    """A question whose outcome changed: "broken", "newly flaky", "fixed" or "error"."""

    id: str
    how: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdict with everything that led to it; `reasons` in pipeline order, one line each.

    `detectable` is the smallest fall of "correct" that would be found four times in five; None where that is not
    known, or where none would be. `small`: too few pairs for a test of a mean. `withheld`: not all questions were asked.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    deltas: tuple[Delta, ...] = ()
    changed: tuple[Changed, ...] = ()
    pairs: int = 0
    detectable: float | None = None
    confirmations: tuple[Record, ...] = ()
    small: bool = False
    withheld: bool = False

    @property
    def exit_code(self) -> int:
        """What the process ends with."""
        return EXIT[self.verdict]

    @property
    def named(self) -> tuple[str, ...]:
        """The metrics the reasons name, in order, once each."""
        return tuple(dict.fromkeys(reason.split(":")[0].split(" (")[0] for reason in self.reasons))


Scores = dict[str, dict[str, float | None]]  # question id -> metric -> mean over samples and variants


def compare(
    baseline: Run,
    candidate: Run,
    questions: Sequence[Question],
    abstracts: Mapping[str, str],
    confirm: Confirm | None = None,
    *,
    whole: bool = True,
) -> Comparison:
    """Judge a run. `confirm` draws fresh samples where answers vary; None when they do not.

    `whole` is false where questions were picked out: they are compared, and the verdict is withheld.
    """
    if reason := _not_comparable(baseline, candidate):
        return Comparison("not comparable", (reason,))
    known = {question.id: question for question in questions}
    both = paired(baseline.records, candidate.records, known)
    if reason := _invalid(candidate.records, both):
        return Comparison("invalid", (reason,), pairs=len(both))
    old = scored(baseline.records, known, abstracts, both)
    new = scored(candidate.records, known, abstracts, both)
    measured = deltas(old, new, known)
    changed, fresh = _changed(baseline, candidate, known, abstracts, both, confirm)
    broken = [
        *(_crashes(baseline, candidate) if confirm is None else ()),
        *_broken_promises(candidate.records, known, abstracts),
        *_not_identical(baseline, candidate),
    ]
    small = len(both) < LEAST_PAIRS
    turned, found = _hard_breaks(changed), [d for d in measured if not small and (d.fell or d.low)]
    least = _noticed(old, known, confirm is not None) if small else _detectable(old, new, known)
    fallen = [_fall(d) for d in _in_order(found, old, new, known)]
    verdict: Verdict = "pass"
    reasons: list[str] = []
    if broken or (whole and (turned or any(d.fell for d in found))):
        verdict, reasons = "regression", [*broken, *fallen, *turned]
    elif not whole:
        verdict, reasons = "inconclusive", [_withheld(len(both)), *fallen, *turned]
    elif doubts := _doubted(measured, small, confirm is None):
        verdict, reasons = "inconclusive", [_doubt(d, least) for d in doubts]
    return Comparison(verdict, tuple(reasons), measured, changed, len(both), least, fresh, small, not whole)


def scored(
    records: Iterable[Record],
    known: Mapping[str, Question],
    abstracts: Mapping[str, str],
    ids: Iterable[str] | None = None,
) -> Scores:
    """Metrics per question, averaged over its samples; errors and unknown questions are left out.

    Only the question as written counts here; other wordings have their own figures in the report.
    """
    wanted = set(known) if ids is None else set(ids)
    rows: dict[str, list[dict[str, float | None]]] = {}
    for record in records:
        question = known.get(record.id)
        if question and record.id in wanted and record.answer is not None and record.variant == 0:
            rows.setdefault(record.id, []).append(metrics.score(question, record.answer, abstracts))
    return {id: _averaged(samples) for id, samples in sorted(rows.items())}


def _averaged(samples: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    averaged: dict[str, float | None] = {}
    for name in samples[0]:
        values = [value for sample in samples if (value := sample[name]) is not None]
        averaged[name] = sum(values) / len(values) if values else None
    return averaged


# --- can they be compared at all? ----------------------------------------------------------------


def _not_comparable(baseline: Run, candidate: Run) -> str | None:
    old, new = baseline.manifest, candidate.manifest
    if old.corpus != new.corpus:
        return f"corpus: the library is not the one of the baseline ({new.corpus}, baseline {old.corpus}); bless a new baseline"
    if old.model != new.model:
        return (
            f"model: answers are by {new.model!r}, the baseline's by {old.model!r}; name its baseline with --baseline"
        )
    return None


def paired(old: Iterable[Record], new: Iterable[Record], known: Mapping[str, Question]) -> list[str]:
    """Ids answered on both sides, as written, at the revision that the gold set now has."""

    def answered(records: Iterable[Record]) -> set[str]:
        mine = (r for r in records if r.answer is not None and r.variant == 0 and r.id in known)
        return {r.id for r in mine if r.rev == known[r.id].rev}

    return sorted(answered(old) & answered(new))


def too_few(records: Sequence[Record]) -> str | None:
    """Why a run is invalid for its errors alone; None when enough of its rows are answers."""
    answered = sum(record.answer is not None for record in records)
    if answered < LEAST_COVERAGE * len(records):
        return f"coverage: only {answered} of {len(records)} rows were answered, {LEAST_COVERAGE:.0%} are needed; repeat the run"
    return None


def _invalid(records: Sequence[Record], paired: Sequence[str]) -> str | None:
    if reason := too_few(records):
        return reason
    asked = len({record.id for record in records})
    if not paired or len(paired) < LEAST_PAIRS <= asked:
        return f"pairs: of {asked} questions {len(paired)} are in both runs as they now are; bless a baseline of the others"
    return None


# --- reasons ------------------------------------------------------------------------------------


def _crashes(baseline: Run, candidate: Run) -> list[str]:
    """Without a model nothing fails by chance: an error where there was an answer is the code's."""
    answered = {record.key for record in baseline.records if record.answer is not None}
    crashed = [record for record in candidate.records if record.answer is None and record.key in answered]
    return [f"errors: {_listed([r.id for r in crashed])} answered before, now {crashed[0].error}"] if crashed else []


def _broken_promises(
    records: Iterable[Record], known: Mapping[str, Question], abstracts: Mapping[str, str]
) -> list[str]:
    broken: dict[str, list[str]] = {}
    for record in records:
        if record.answer is None or record.id not in known:
            continue
        for name in metrics.PROMISED:
            value = metrics.BY_NAME[name].score(known[record.id], record.answer, abstracts)
            if value is not None and value < 1:
                broken.setdefault(name, []).append(record.id)
    return [f"{name}: promised of every answer, broken in {_listed(ids)}" for name, ids in broken.items()]


def _not_identical(baseline: Run, candidate: Run) -> list[str]:
    """Same code, settings, library and questions must find the same papers."""
    old, new = baseline.manifest, candidate.manifest
    if (old.run, old.code, old.gold) != (new.run, new.code, new.gold):
        return []
    before = {_searched(record): _found(record) for record in baseline.records if record.answer}
    now = [record for record in candidate.records if record.answer]
    differ = [r.id for r in now if _found(r) != before.get(_searched(r), _found(r))]
    return (
        [f"retrieval identical: nothing that goes in has changed, yet it differs for {_listed(differ)}"]
        if differ
        else []
    )


def _searched(record: Record) -> tuple[object, ...]:
    """The record with its query: a follow-up searches for what a chat model said before, which may vary."""
    return *record.key, (record.answer or {}).get("query")


def _found(record: Record) -> list[str]:
    return [paper for paper, _ in (record.answer or {})["retrieved"]]


def _in_order(fallen: Sequence[Delta], old: Scores, new: Scores, known: Mapping[str, Question]) -> list[Delta]:
    """As they are, but last what only follow-ups show: they build on answers, so that any stage shows there."""
    first = {id: scores for id, scores in new.items() if not known[id].history}

    def late(delta: Delta) -> bool:
        again = _delta(delta.metric, delta.slice, old, first, known, PLAIN)
        return again is None or not again.low

    return sorted(fallen, key=late)


def _fall(delta: Delta) -> str:
    where = "" if delta.slice == "all" else f" ({delta.slice})"
    return (
        f"{delta.metric}{where}: {delta.baseline.mean:.3f} -> {delta.candidate.mean:.3f} on {delta.change.n} questions, "
        f"{delta.worse} worse and {delta.better} better; "
        + (
            f"upper bound of the change {delta.bound:+.3f}"
            if delta.fell
            else f"seen at the plain level of {PLAIN:.0%} only"
        )
    )


def _hard_breaks(changed: Sequence[Changed]) -> list[str]:
    broken = [c.id for c in changed if c.how == "broken"]
    fixed = [c.id for c in changed if c.how == "fixed"]
    if len(broken) <= len(fixed):
        return []
    return [f"correct: {len(broken)} right before and wrong now ({_listed(broken)}), {len(fixed)} fixed"]


def _doubted(deltas: Sequence[Delta], small: bool, steady: bool) -> list[Delta]:
    """Falls of a primary metric that may be chance. On a small set of answers that do not vary, any that matters."""
    primary = [d for d in deltas if d.slice == "all" and d.metric in PRIMARY]
    if small and steady:
        return [d for d in primary if (d.change.mean or 0.0) < -MARGIN]
    return [d for d in primary if d.low]


def _withheld(pairs: int) -> str:
    return f"withheld: {pairs} questions were picked out and compared; a verdict needs the whole set"


def _doubt(delta: Delta, least: float | None) -> str:
    found = f"; a fall of {least:.3f} would have been found" if least else ""
    moved = f"{delta.worse} worse and {delta.better} better of {delta.change.n}"
    return f"{delta.metric}: fell by {-(delta.change.mean or 0):.3f} ({moved}), which could be chance{found}"


def _listed(ids: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(ids[:most])
    return shown if len(ids) <= most else f"{shown} and {len(ids) - most} more"


# --- numbers ------------------------------------------------------------------------------------


def deltas(old: Scores, new: Scores, known: Mapping[str, Question]) -> tuple[Delta, ...]:
    """Every guarded metric on the pairs, over all questions and, for SLICED, by kind. Of too few pairs none `fell`."""
    kinds = sorted({known[id].kind for id in new})
    wanted = [(name, "all") for names in STAGES.values() for name in names]
    wanted = [(name, part) for name, all_ in wanted for part in ((all_, *kinds) if name in SLICED else (all_,))]
    made = (_delta(name, part, old, new, known, _level(name, part, len(wanted))) for name, part in wanted)
    tested = len(old.keys() & new.keys()) >= LEAST_PAIRS
    return tuple(delta if tested else replace(delta, fell=False) for delta in made if delta)


def _level(name: str, part: str, looks: int) -> float:
    """The share of ALPHA that one look may use up."""
    if part == "all" and name in PRIMARY:
        return ALPHA * HEADLINE / len(PRIMARY)
    return ALPHA * (1 - HEADLINE) / (looks - len(PRIMARY))


def _delta(name: str, part: str, old: Scores, new: Scores, known: Mapping[str, Question], alpha: float) -> Delta | None:
    ids = [id for id in new if id in old and (part in ("all", known[id].kind))]
    both = [(id, a, b) for id in ids if (a := old[id][name]) is not None and (b := new[id][name]) is not None]
    if not both:
        return None
    groups = [known[id].group for id, _, _ in both]
    changes = [b - a for _, a, b in both]
    binary = metrics.BY_NAME[name].binary
    change = estimate(changes, groups)
    bound = upper_bound(changes, groups, alpha)
    matters = (change.mean or 0.0) < -MARGIN
    return Delta(
        name,
        part,
        estimate([a for _, a, _ in both], groups, binary=binary and _whole(a for _, a, _ in both)),
        estimate([b for _, _, b in both], groups, binary=binary and _whole(b for _, _, b in both)),
        change,
        bound,
        worse=sum(c < 0 for c in changes),
        better=sum(c > 0 for c in changes),
        fell=matters and bound < 0,
        low=matters and upper_bound(changes, groups, PLAIN) < 0,
    )


def _whole(values: Iterable[float]) -> bool:
    return all(value in (0.0, 1.0) for value in values)


def _detectable(old: Scores, new: Scores, known: Mapping[str, Question]) -> float | None:
    ids = [id for id in new if id in old]
    changes = [(new[id]["correct"] or 0.0) - (old[id]["correct"] or 0.0) for id in ids]
    return detectable(changes, [known[id].group for id in ids], ALPHA)


def _noticed(old: Scores, known: Mapping[str, Question], varies: bool) -> float | None:
    """The smallest fall of "correct" that a small set notices: one break where answers do not vary, else DOUBTED."""
    right = {known[id].group for id, scores in old.items() if scores["correct"] == 1}
    groups = {known[id].group for id in old}
    share = noticeable(len(right), DOUBTED if varies else 1)
    return None if share is None else share * len(right) / len(groups)


# --- questions that changed ---------------------------------------------------------------------


def _changed(
    baseline: Run,
    candidate: Run,
    known: Mapping[str, Question],
    abstracts: Mapping[str, str],
    paired: Sequence[str],
    confirm: Confirm | None,
) -> tuple[tuple[Changed, ...], tuple[Record, ...]]:
    """What became of each question; where answers vary, those that turned are asked again."""
    before = _right(baseline.records, known, abstracts)
    now = _right(candidate.records, known, abstracts)
    steady = [id for id in paired if not confirm or len(before[id]) >= STEADY]
    worse = [id for id in steady if all(before[id]) and 2 * sum(now[id]) < len(now[id])]
    better = [id for id in steady if not any(before[id]) and 2 * sum(now[id]) > len(now[id])]
    fresh = tuple(confirm([*worse, *better], CONFIRM)) if confirm and (worse or better) else ()
    again = _right(fresh, known, abstracts)

    def stands(id: str, right: bool) -> bool:
        """Do the fresh samples come out like that? Too many errors among them, and nobody knows."""
        return not confirm or again.get(id, []).count(right) >= CONFIRM - FLUKES

    changed = [Changed(id, "broken" if stands(id, right=False) else "newly flaky") for id in worse]
    changed += [Changed(id, "fixed") for id in better if stands(id, right=True)]
    changed += [Changed(id, "error") for id in sorted({r.id for r in candidate.records if r.error is not None})]
    return tuple(changed), fresh


def _right(
    records: Iterable[Record], known: Mapping[str, Question], abstracts: Mapping[str, str]
) -> dict[str, list[bool]]:
    """Per question, was each sample handled right? An error is none."""
    right: dict[str, list[bool]] = {}
    for record in records:
        if record.answer is not None and record.variant == 0 and record.id in known:
            question = known[record.id]
            right.setdefault(record.id, []).append(metrics.correct(question, record.answer, abstracts) == 1)
    return right
