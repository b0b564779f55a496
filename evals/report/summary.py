"""The figures every report shows, computed once; the formats only lay them out.

A Side holds what one run came to: every metric overall and by kind with its interval and n, the
refusal table, how well confidence tells questions apart, where required facts were lost, other
wordings, time and cost. Errors are left out of the means and stand beside them (`worst` counts each
as 0). A Summary is both sides, the verdict in words, and what changed question by question.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rag.errors import RagError
from rag.models.prices import Price, price_of
from rag.models.servers import url_of
from rag.records import Paper
from rag.settings import load

from .. import metrics
from ..compare import Comparison, Scores, scored
from ..gold import Question
from ..metrics import METRICS, Abstracts
from ..records import Manifest, Record, Run
from ..statistics import Estimate, auroc, estimate, risk_coverage, wilson
from .questions import (
    ERROR,
    FALSE_ANSWER,
    HOW,
    OVER_REFUSED,
    REFUSED,
    RIGHT,
    WRONG,
    Item,
    as_written,
    confidence,
    items,
    outcome,
)
from .verdict import ALL, Words, words_of

SCHEMA = 1
TRAPS = ("off-topic", "near-miss", "false-premise")  # tags of unanswerable questions, from easy to hard
NOTHING: metrics.Answer = {"status": "answered", "text": "", "claims": [], "retrieved": [], "evidence": []}

Known = Mapping[str, Question]
Asked = Mapping[str, Sequence[Record]]  # question id -> its records, as written


@dataclass(frozen=True, slots=True)
class Refusal:
    """The 2x2 table, answered split in right and wrong, as question ids (one per sample); acts are left out."""

    right: tuple[str, ...]
    wrong: tuple[str, ...]
    over_refused: tuple[str, ...]
    false_answers: tuple[str, ...]
    refused: tuple[str, ...]

    @property
    def shares(self) -> dict[str, Estimate]:
        """The table in four shares, each with n and Wilson's interval."""
        a, b, c = len(self.right), len(self.wrong), len(self.over_refused)
        e, f = len(self.false_answers), len(self.refused)
        return {
            "coverage": share(a + b, a + b + c),
            "selective accuracy": share(a, a + b),
            "over-refusal": share(c, a + b + c),
            "false answers": share(e, e + f),
        }


@dataclass(frozen=True, slots=True)
class Curve:
    """How well confidence tells answerable questions from one kind of unanswerable ones.

    `points` are (coverage, risk) over both together as the threshold falls; a question is a risk when
    it is unanswerable or its answer was not right. `auroc` is about answerable or not alone.
    """

    tag: str
    points: tuple[tuple[float, float], ...]
    auroc: float | None
    answerable: int
    unanswerable: int


@dataclass(frozen=True, slots=True)
class Wordings:
    """Questions asked in several wordings: `mean` right over wordings, `every` right in all of them."""

    questions: int
    asked: int
    mean: Estimate
    every: Estimate
    split: Mapping[str, str]  # question id -> "2 of 3", where some wordings are right and others not


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one stage over n answers."""

    median: float
    p95: float
    n: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a chat model was asked for, over n answers; `usd` None when no price is known."""

    calls: int
    prompt: int
    reply: int
    usd: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Side:
    """What one run came to on the questions asked."""

    questions: int
    rows: int
    errors: int
    metrics: Mapping[str, Mapping[str, Estimate]]  # metric -> "all" or a kind -> estimate
    worst: Mapping[str, float | None]
    refusal: Refusal
    curves: tuple[Curve, ...]
    lost: Mapping[str, int]  # stage of metrics.WATERFALL -> required facts
    wordings: Wordings
    seconds: Mapping[str, Timing]
    usage: Usage

    @property
    def facts(self) -> int:
        """How many required facts `lost` is about."""
        return sum(self.lost.values())


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything a report shows."""

    words: Words
    result: Comparison | None
    candidate: Side
    baseline: Side | None
    manifest: Manifest
    accepted: Manifest | None
    items: tuple[Item, ...]
    questions: Known
    papers: Mapping[str, Paper]
    history: tuple[Mapping[str, Any], ...]

    @property
    def changed(self) -> tuple[Item, ...]:
        """The questions whose outcome, text or citations changed."""
        return tuple(item for item in self.items if item.how in HOW)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, for scripts; the answers themselves are in the run's records."""
        result = self.result
        return {
            "schema": SCHEMA,
            **asdict(self.words),
            "pairs": result.pairs if result else 0,
            "detectable": result.detectable if result else None,
            "deltas": [asdict(delta) for delta in result.deltas] if result else [],
            "changed": [_brief(item) for item in self.changed],
            "candidate": _side_dict(self.candidate),
            "baseline": _side_dict(self.baseline) if self.baseline else None,
            "manifest": self.manifest.to_dict(),
            "accepted": self.accepted.to_dict() if self.accepted else None,
            "differs": differences(self.accepted, self.manifest),
        }


def summarize(
    accepted: Run | None,
    candidate: Run,
    result: Comparison | None,
    questions: Sequence[Question],
    papers: Mapping[str, Paper],
    history: Sequence[Mapping[str, Any]] = (),
    typed: str = "",
) -> Summary:
    """All figures of a run, beside those of the baseline where the two can be compared.

    `typed` are the options that name gold set and library, for the command that is told.
    """
    known = {question.id: question for question in questions}
    abstracts = {id: paper.abstract for id, paper in papers.items()}
    comparable = accepted if result and result.verdict != "not comparable" else None
    listed = items(comparable, candidate, result, questions)
    return Summary(
        words=words_of(result, candidate, listed, typed),
        result=result,
        candidate=_side(candidate, known, abstracts),
        baseline=_side(comparable, known, abstracts) if comparable else None,
        manifest=candidate.manifest,
        accepted=accepted.manifest if accepted else None,
        items=listed,
        questions=known,
        papers=papers,
        history=tuple(history),
    )


def headline(run: Run, questions: Sequence[Question], abstracts: Abstracts) -> dict[str, float | None]:
    """The mean of every metric over the questions it applies to; None where it applies to none."""
    scores = scored(run.records, {question.id: question for question in questions}, abstracts)
    return {metric.name: _mean(_values(scores, metric.name)) for metric in METRICS}


# --- one side -----------------------------------------------------------------------------------


def _side(run: Run, known: Known, abstracts: Abstracts) -> Side:
    mine = [record for record in run.records if record.id in known and record.rev == known[record.id].rev]
    asked = as_written(mine, known)
    scores = scored(mine, known, abstracts)
    return Side(
        questions=len({record.id for record in mine}),
        rows=len(mine),
        errors=sum(record.answer is None for record in mine),
        metrics=_estimates(scores, known),
        worst={metric.name: _worst(metric, asked, known, abstracts) for metric in METRICS},
        refusal=_refusal(asked, known),
        curves=tuple(_curve(tag, asked, known) for tag in TRAPS),
        lost=_lost(asked, known),
        wordings=_wordings(mine, known),
        seconds=_seconds(mine),
        usage=_usage(mine, run.manifest),
    )


def _estimates(scores: Scores, known: Known) -> dict[str, dict[str, Estimate]]:
    """Kinds are the outer loop: the resamples of a number of groups are drawn once."""
    kinds = sorted({known[id].kind for id in scores})
    found: dict[str, dict[str, Estimate]] = {metric.name: {} for metric in METRICS}
    for part in (ALL, *kinds):
        ids = [id for id in scores if part in (ALL, known[id].kind)]
        for metric in METRICS:
            pairs = [(value, known[id].group) for id in ids if (value := scores[id][metric.name]) is not None]
            if pairs or part == ALL:
                found[metric.name][part] = _estimate([value for value, _ in pairs], [group for _, group in pairs])
    return found


def _estimate(values: Sequence[float], groups: Sequence[str]) -> Estimate:
    """Shares get Wilson's interval: a bootstrap of values that are all equal has no width."""
    return estimate(values, groups, binary=all(value in (0.0, 1.0) for value in values))


def _worst(metric: metrics.Metric, asked: Asked, known: Known, abstracts: Abstracts) -> float | None:
    """The mean if every error had scored 0 where the metric could apply."""
    per_question = []
    for id, records in sorted(asked.items()):
        values = [_value(metric, known[id], record, abstracts) for record in records]
        if applying := [value for value in values if value is not None]:
            per_question.append(math.fsum(applying) / len(applying))
    return _mean(per_question)


def _value(metric: metrics.Metric, question: Question, record: Record, abstracts: Abstracts) -> float | None:
    if record.answer is not None:
        return metric.score(question, record.answer, abstracts)
    applies = metric.score(question, NOTHING, abstracts) is not None
    return 0.0 if applies or (metric.family == "citations" and question.answerable) else None


def _refusal(asked: Asked, known: Known) -> Refusal:
    cells: dict[str, list[str]] = {}
    for id, records in sorted(asked.items()):
        for record in records if known[id].kind != "act" else ():
            cells.setdefault(outcome(known[id], record), []).append(id)
    return Refusal(*(tuple(cells.get(name, ())) for name in (RIGHT, WRONG, OVER_REFUSED, FALSE_ANSWER, REFUSED)))


def _curve(tag: str, asked: Asked, known: Known) -> Curve:
    rows = [
        (known[id].answerable, confidence(record.answer), float(outcome(known[id], record) == RIGHT))
        for id, records in sorted(asked.items())
        for record in records
        if record.answer is not None and (known[id].answerable or tag in known[id].tags)
    ]
    positive = [sure for answerable, sure, _ in rows if answerable]
    negative = [sure for answerable, sure, _ in rows if not answerable]
    points = risk_coverage([sure for _, sure, _ in rows], [right for _, _, right in rows]) if negative else []
    return Curve(tag, tuple(points), auroc(positive, negative), len(positive), len(negative))


def _lost(asked: Asked, known: Known) -> dict[str, int]:
    """Required facts by the first stage at which they are lost, in the order of the pipeline."""
    counted = Counter(
        metrics.lost_at(known[id], fact, record.answer)
        for id, records in asked.items()
        for record in records
        if record.answer is not None and known[id].answerable
        for fact in known[id].facts
        if fact.vital
    )
    return {stage: counted[stage] for stage in metrics.WATERFALL}


def _wordings(records: Iterable[Record], known: Known) -> Wordings:
    """Only questions of which every wording was answered: an error is no wrong answer."""
    rows: dict[str, list[Record]] = {}
    for record in records:
        if known[record.id].variants:
            rows.setdefault(record.id, []).append(record)
    right: dict[str, list[bool]] = {}
    for id, mine in sorted(rows.items()):
        words = [outcome(known[id], record) for record in mine]
        if ERROR not in words and {record.variant for record in mine} == set(range(1 + len(known[id].variants))):
            right[id] = [word in (RIGHT, REFUSED) for word in words]
    groups = [known[id].group for id in right]
    return Wordings(
        questions=len(right),
        asked=sum(map(len, right.values())),
        mean=_estimate([sum(each) / len(each) for each in right.values()], groups),
        every=_estimate([float(all(each)) for each in right.values()], groups),
        split={id: f"{sum(each)} of {len(each)}" for id, each in right.items() if any(each) and not all(each)},
    )


def _seconds(records: Iterable[Record]) -> dict[str, Timing]:
    """Per stage in the order of the pipeline, then their sum, then the processor's; none in a baseline."""
    seen: dict[str, list[float]] = {}
    for record in records:
        if record.answer is not None and (stages := record.answer.get("seconds")):
            cpu = record.answer.get("cpu")
            for name, value in {**stages, "total": sum(stages.values()), "cpu": cpu}.items():
                if value is not None:
                    seen.setdefault(name, []).append(value)
    order = sorted(seen, key=lambda name: ("total", "cpu").index(name) + 1 if name in ("total", "cpu") else 0)
    return {name: Timing(_quantile(seen[name], 0.5), _quantile(seen[name], 0.95), len(seen[name])) for name in order}


def _usage(records: Iterable[Record], manifest: Manifest) -> Usage:
    """USD as if no call had been replayed from the cache; what was spent is said by the run itself."""
    used = [record.answer.get("usage") or {} for record in records if record.answer is not None]
    calls, prompt, reply = (sum(int(row.get(name, 0)) for row in used) for name in ("calls", "prompt", "reply"))
    price = _price(manifest) if calls else None
    usd = price.of(prompt, reply) if price else None if calls else 0.0
    return Usage(calls, prompt, reply, usd, len(used))


def _price(manifest: Manifest) -> Price | None:
    try:
        return price_of(url_of(manifest.settings.get("base_url")), manifest.model, load().prices)
    except (RagError, ValueError):  # broken settings cost a figure, not the report
        return None


# --- small things -------------------------------------------------------------------------------


def share(part: int, whole: int) -> Estimate:
    """A share with Wilson's interval; nothing when there is no whole."""
    return Estimate(part / whole, *wilson(part, whole), whole) if whole else Estimate(None, None, None, 0)


def differences(accepted: Manifest | None, candidate: Manifest) -> list[str]:
    """The fields of the manifest that are not as in the baseline; `created` always differs, so it is not named."""
    if accepted is None:
        return []
    old, new = accepted.to_dict(), candidate.to_dict()
    return [name for name in new if name != "created" and old[name] != new[name]]


def plain(value: Any) -> str:
    """A value of the manifest as a person reads it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {'none' if part is None else part}" for name, part in value.items()) or "none"
    return re.sub(r"T(?=\d\d:)", " ", str(value))


def _side_dict(side: Side) -> dict[str, Any]:
    data = asdict(side)
    return data | {
        "refusal": data["refusal"] | {"shares": {name: asdict(part) for name, part in side.refusal.shares.items()}},
        "facts": side.facts,
    }


def _brief(item: Item) -> dict[str, Any]:
    before, after = (side.outcome if side else None for side in (item.before, item.after))
    return {"id": item.question.id, "kind": item.question.kind, "how": item.how, "before": before, "after": after}


def _values(scores: Scores, name: str) -> list[float]:
    return [value for row in scores.values() if (value := row[name]) is not None]


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _quantile(values: Sequence[float], at: float) -> float:
    """Linear between the two nearest, as numpy's default."""
    ordered = sorted(values)
    place = at * (len(ordered) - 1)
    low = math.floor(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])
