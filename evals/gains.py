"""How much better than the plain pipeline? Both baselines scored by today's metrics, paired per question.

For each kind of question the figures that matter there: plain's mean, ours, and ours less plain's
with a 95 % interval, whole groups of questions resampled (`evals.statistics`). Where a figure does
not apply to both answers (a precision on a refusal) the question is left out, and n says so.

The plain pipeline never refuses, so its refusals are read off its evidence: the top score of every
answer is a confidence, the threshold the one at which at most one in twenty answerable questions
(of those compared) would be refused, chosen for each side by itself. What we refuse as shipped
stands beside it. AUROC is the probability that an answerable question has the higher top score.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from . import metrics
from .gold import Question
from .metrics import Abstracts, Value
from .records import Run
from .report.terminal import Line, interval, number
from .statistics import RESAMPLES, SEED, Estimate, auroc, estimate

ALL = "all"
OVER_REFUSAL = 0.05  # share of the answerable questions that the threshold may refuse
TRAPS = ("off-topic", "near-miss")

Score = Callable[[Question, metrics.Answer, Abstracts], Value]
Measured = Mapping[str, float]  # question id -> value, where it applies


@dataclass(frozen=True, slots=True)
class Gain:
    """One figure on the questions of one kind: plain's, ours, and the difference (n: questions compared)."""

    kind: str
    figure: str
    plain: float | None
    ours: float | None
    change: Estimate


def all_facts(question: Question, answer: metrics.Answer, abstracts: Abstracts) -> Value:
    """1 when every vital fact is stated; None where none is required."""
    share = metrics.facts(question, answer, abstracts)
    return None if share is None else float(share == 1.0)


FIGURES: tuple[tuple[str, str, Score], ...] = (
    ("single", "right paper cited first", metrics.first_cited),
    ("single", "all required facts", all_facts),
    ("multi", "essential papers cited", metrics.gold_recall),
    ("multi", "required facts", metrics.facts),
    ("multi", "all required facts", all_facts),
    ("list", "papers found", metrics.gold_recall),
    ("list", "cited papers that belong", metrics.gold_precision),
    ("definition", "right paper cited first", metrics.first_cited),
    ("definition", "all required facts", all_facts),
    ("comparison", "essential papers cited", metrics.gold_recall),
    ("comparison", "all required facts", all_facts),
    ("mention", "papers found", metrics.gold_recall),
    ("mention", "cited papers that belong", metrics.gold_precision),
    ("detail", "all required facts", all_facts),
    ("followup", "all required facts", all_facts),
    ("robustness", "all required facts", all_facts),
    (ALL, "answerable ones answered", metrics.answered_when_answerable),
    (ALL, "quotes verbatim", metrics.quote_verbatim),
    *((trap, "refused as shipped", metrics.refused_when_not(trap)) for trap in TRAPS),
)


def gains(plain: Run, ours: Run, questions: Sequence[Question], abstracts: Abstracts) -> list[Gain]:
    """Every figure on the questions that both runs answered, as written."""
    both = _answered(plain, questions) & _answered(ours, questions)
    known = {question.id: question for question in questions if question.id in both}
    sides = [_answers(run, known) for run in (plain, ours)]
    made = [*_means(sides, known, abstracts), *_lengths(sides, known), *_refusals(sides, known), *_aurocs(sides, known)]
    return [gain for gain in made if gain.change.n]


Answers = Mapping[str, Sequence[metrics.Answer]]  # question id -> one answer a sample


def _answered(run: Run, questions: Sequence[Question]) -> set[str]:
    revisions = {question.id: question.rev for question in questions}
    rows = [record for record in run.records if record.variant == 0 and record.answer is not None]
    return {record.id for record in rows if revisions.get(record.id) == record.rev}


def _answers(run: Run, known: Mapping[str, Question]) -> Answers:
    found: dict[str, list[metrics.Answer]] = {id: [] for id in known}
    for record in run.records:
        if record.id in known and record.variant == 0 and record.answer is not None:
            found[record.id].append(record.answer)
    return found


# --- means --------------------------------------------------------------------------------------


def _means(sides: Sequence[Answers], known: Mapping[str, Question], abstracts: Abstracts) -> Iterator[Gain]:
    for kind, figure, score in FIGURES:
        of_kind = {id: question for id, question in known.items() if kind in (ALL, *TRAPS, question.kind)}
        plain, ours = (_measured(side, of_kind, score, abstracts) for side in sides)
        yield _gain(kind, figure, plain, ours, known)


def _measured(answers: Answers, known: Mapping[str, Question], score: Score, abstracts: Abstracts) -> Measured:
    """The mean over samples of each question to which the figure applies."""
    rows = {id: [score(question, answer, abstracts) for answer in answers[id]] for id, question in known.items()}
    values = {id: [value for value in row if value is not None] for id, row in rows.items()}
    return {id: _mean(row) for id, row in values.items() if row}


def _gain(kind: str, figure: str, plain: Measured, ours: Measured, known: Mapping[str, Question]) -> Gain:
    ids = sorted(plain.keys() & ours.keys())
    change = estimate([ours[id] - plain[id] for id in ids], [known[id].group for id in ids])
    return Gain(kind, figure, _mean([plain[id] for id in ids]), _mean([ours[id] for id in ids]), change)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _lengths(sides: Sequence[Answers], known: Mapping[str, Question]) -> Iterator[Gain]:
    """Sentences of answers to single-paper questions, refusals left out; no interval."""
    singles = [id for id, question in known.items() if question.kind == "single"]
    said = [[metrics.sentences_said(a) for id in singles for a in side[id] if a["claims"]] for side in sides]
    for figure, summary in (("sentences, median", statistics.median), ("sentences, most", max)):
        plain, ours = (float(summary(lengths)) if lengths else math.nan for lengths in said)
        yield Gain("single", figure, plain, ours, Estimate(ours - plain, None, None, min(map(len, said))))


# --- refusal, by the top score ------------------------------------------------------------------


def confidence(answer: metrics.Answer) -> float:
    """The best score of any evidence, which a refusal is decided by; 0 without any."""
    return max((float(score) for _, score in answer["evidence"]), default=0.0)


def threshold(answerable: Sequence[float], share: float = OVER_REFUSAL) -> float:
    """The highest score under which at most that share of the answerable questions lies; 0 without any."""
    return sorted(answerable)[math.floor(share * len(answerable))] if answerable else 0.0


def _sure(answers: Answers) -> dict[str, float]:
    return {id: _mean([confidence(answer) for answer in row]) for id, row in answers.items()}


def _refusals(sides: Sequence[Answers], known: Mapping[str, Question]) -> Iterator[Gain]:
    refused = []
    for sure in map(_sure, sides):
        least = threshold([value for id, value in sure.items() if known[id].answerable])
        refused.append({id: float(value < least) for id, value in sure.items() if not known[id].answerable})
    for trap in TRAPS:
        plain, ours = ({id: value for id, value in side.items() if trap in known[id].tags} for side in refused)
        yield _gain(trap, f"refused at {OVER_REFUSAL:.0%} over-refusal", plain, ours, known)


def _aurocs(sides: Sequence[Answers], known: Mapping[str, Question]) -> Iterator[Gain]:
    plain, ours = map(_sure, sides)
    positive = [id for id in known if known[id].answerable]
    for kind in ("unanswerable", *TRAPS):
        negative = [id for id, q in known.items() if not q.answerable and (kind == q.kind or kind in q.tags)]
        theirs, mine = (auroc([side[id] for id in positive], [side[id] for id in negative]) for side in (plain, ours))
        if theirs is not None and mine is not None:
            yield Gain(
                kind, "AUROC of the top score", theirs, mine, _auroc_change(plain, ours, positive, negative, known)
            )


def _auroc_change(
    plain: Measured, ours: Measured, positive: Sequence[str], negative: Sequence[str], known: Mapping[str, Question]
) -> Estimate:
    """Ours less plain's with the percentile interval over resampled groups; n is that of the unanswerable ones."""
    above = _above(ours, positive, negative) - _above(plain, positive, negative)
    groups = sorted({known[id].group for id in (*positive, *negative)})
    at = {group: i for i, group in enumerate(groups)}
    drawn = np.random.default_rng(SEED).multinomial(len(groups), [1 / len(groups)] * len(groups), RESAMPLES) * 1.0
    p, n = (drawn[:, [at[known[id].group] for id in ids]] for ids in (positive, negative))
    pairs = p.sum(1) * n.sum(1)
    changes = ((p @ above) * n).sum(1)[pairs > 0] / pairs[pairs > 0]
    low, high = (float(np.quantile(changes, q)) for q in (0.025, 0.975))
    return Estimate(float(above.mean()), low, high, len(negative))


def _above(sure: Measured, positive: Sequence[str], negative: Sequence[str]) -> np.ndarray:
    """For each pair, 1 where the answerable question scores higher, one half for a tie."""
    p, n = (np.array([sure[id] for id in ids]) for ids in (positive, negative))
    above: np.ndarray = (p[:, None] > n) + 0.5 * (p[:, None] == n)
    return above


# --- shown --------------------------------------------------------------------------------------


def lines(found: Sequence[Gain], split: str) -> Iterator[Line]:
    """The table, kind by kind."""
    yield f"ours against the plain pipeline, split {split}; 95 % intervals, whole groups resampled", "dim"
    yield "", ""
    yield _line("kind", "figure", "plain", "ours", "gain", "95 % interval", "n"), "bold"
    for kind in dict.fromkeys(gain.kind for gain in found):
        for gain in (gain for gain in found if gain.kind == kind):
            change = number(gain.change.mean, sign=True), interval(gain.change, sign=True)
            yield _line(kind, gain.figure, number(gain.plain), number(gain.ours), *change, str(gain.change.n)), ""


def _line(kind: str, figure: str, *cells: str) -> str:
    widths = (8, 8, 9, 18, 5)
    return f"{kind:<13} {figure:<27}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def to_dict(found: Sequence[Gain], split: str) -> dict[str, Any]:
    """Plain JSON, for scripts."""
    return {"split": split, "gains": [asdict(gain) for gain in found]}
