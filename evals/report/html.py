"""The report as one page that needs nothing else: no network, no fonts, no files beside it.

The template does the layout and escapes everything (jinja2's autoescape is on, and no text is ever
marked as safe); this module prepares what is drawn. Drawings are stretched SVG with strokes that do
not scale, and their labels are HTML, so that they stay legible on a phone. A content security policy
lets the page run its own script, by hash, and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rag.records import Paper
from rag.text import printable

from .. import metrics
from ..compare import MARGIN, PRIMARY, SLICED, STAGES, Delta
from ..statistics import Estimate
from .questions import (
    FALSE_ANSWER,
    GOOD,
    HOW,
    OVER_REFUSED,
    WRONG,
    Item,
    Piece,
    Reply,
    highlighted,
    rank_changes,
    title_of,
    verbatim,
    word_diff,
)
from .summary import Side, Summary, differences, plain
from .terminal import interval, number
from .verdict import ALL

FOLDER = Path(__file__).parent
TEMPLATE = "page.html.j2"
JUDGED = ("answer", "citations", "refusal")  # families of the headline; the others are about what was found
OPENED = 3  # changed questions that stand open at first
TREND = ("correct", "cited f1", "utility", "facts", "refused", "ndcg@10")
TRENDED = 20  # blessings shown


def page(summary: Summary) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval, "clean": lambda text: printable(str(text))}
    script = environment.get_template("page.js").render()
    return environment.get_template(TEMPLATE).render(
        summary=summary,
        words=summary.words,
        sides=_sides(summary),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        headline=_headline(summary),
        level=100 * sum(item.good for item in summary.items) / max(1, len(summary.items)),
        margin=MARGIN,
        changed=[_card(item, summary, full=True) for item in summary.changed],
        others=[_card(item, summary, full=not item.good) for item in summary.items if item.how not in HOW],
        opened=OPENED,
        counts=[(how, n) for how in HOW if (n := sum(item.how == how for item in summary.changed))],
        waterfall=_waterfall(summary),
        tables=_tables(summary),
        curves=_curves(summary),
        slices=_slices(summary),
        sliced=SLICED[::-1],
        retrieval=_retrieval(summary),
        timings=_timings(summary),
        trend=_trend(summary),
        provenance=_provenance(summary),
    )


def _sides(summary: Summary) -> list[tuple[str, Side]]:
    """The sides there are, baseline first."""
    both = (("baseline", summary.baseline), ("candidate", summary.candidate))
    return [(name, side) for name, side in both if side]


# --- headline -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the headline table; `low`, `mid`, `high` and `zero` are places from 0 to 100."""

    metric: str
    says: str
    delta: Delta | None
    found: Estimate | None
    worst: float | None
    low: float = 0.0
    mid: float = 0.0
    high: float = 0.0


def _headline(summary: Summary) -> list[tuple[str, list[Row]]]:
    """Rows by stage, answers first; one scale for all changes, so that lengths compare."""
    deltas = summary.result.deltas if summary.result and summary.baseline else ()
    if not deltas:
        return list(_means(summary.candidate))
    shown = [delta for delta in deltas if delta.slice == ALL or delta.fell]
    ends = [abs(end) for delta in shown for end in (delta.change.low, delta.change.high) if end is not None]
    scale = max([0.05, *ends])
    stages: list[tuple[str, list[Row]]] = []
    for stage in reversed(list(STAGES)):
        mine = sorted((d for d in shown if d.metric in STAGES[stage]), key=lambda d: d.metric not in PRIMARY)
        rows = [_row(delta, scale, summary.candidate) for delta in mine]
        if rows:
            stages.append((stage, rows))
    return stages


def _row(delta: Delta, scale: float, side: Side) -> Row:
    change = delta.change
    low, mid, high = (50 + 48 * (value or 0.0) / scale for value in (change.low, change.mean, change.high))
    says = metrics.BY_NAME[delta.metric].says
    name = delta.metric if delta.slice == ALL else f"{delta.metric} ({delta.slice})"
    return Row(name, says, delta, None, side.worst[delta.metric] if delta.slice == ALL else None, low, mid, high)


def _means(side: Side) -> Iterator[tuple[str, list[Row]]]:
    for family in JUDGED:
        named = [metric for metric in metrics.METRICS if metric.family == family and side.metrics[metric.name][ALL].n]
        rows = []
        for metric in named:
            found = side.metrics[metric.name][ALL]
            least = -1.0 if metric.name == "utility" else 0.0
            places = (100 * ((value or 0.0) - least) / (1 - least) for value in (found.low, found.mean, found.high))
            rows.append(Row(metric.name, metric.says, None, found, side.worst[metric.name], *places))
        if rows:
            yield family, rows


# --- questions ----------------------------------------------------------------------------------


def _card(item: Item, summary: Summary, *, full: bool) -> dict[str, Any]:
    """What is shown of a question; with `full`, abstracts and ranks too."""
    before, after = item.before, item.after
    old, new = ([Piece(side.text, False)] if side else [] for side in (before, after))
    if before and after and item.how in HOW:
        old, new = word_diff(before.text, after.text)
    sides = [("candidate", after, new)]
    if before and item.how in HOW:
        sides.insert(0, ("baseline", before, old))
    return {
        "item": item,
        "question": item.question,
        "outcome": after.outcome if after else "",
        "good": item.good,
        "search": f"{item.question.id} {item.question.kind} {item.question.question} {' '.join(item.question.tags)}".lower(),
        "sides": [_shown(name, side, pieces, summary.papers, full) for name, side, pieces in sides if side],
        "facts": _facts(before if item.how in HOW else None, after),
        "ranks": _ranks(item, summary) if full else [],
        "fresh": _fresh(item, summary),
    }


def _shown(name: str, side: Reply, pieces: Sequence[Piece], papers: Mapping[str, Paper], full: bool) -> dict[str, Any]:
    return {
        "name": name,
        "reply": side,
        "pieces": pieces,
        "good": side.outcome in GOOD,
        "sources": list(_sources(side, papers, full)),
    }


def _sources(side: Reply, papers: Mapping[str, Paper], full: bool) -> Iterator[dict[str, Any]]:
    """The papers cited: each once, with its quotes marked inside its abstract."""
    for paper in dict.fromkeys(c["paper"] for c in side.citations):
        mine = [c for c in side.citations if c["paper"] == paper]
        sound = [(c["start"], c["end"]) for c in mine if verbatim(c, papers)]
        yield {
            "number": mine[0]["number"],
            "id": paper,
            "title": title_of(paper, papers),
            "abstract": highlighted(papers[paper], sound) if full and paper in papers else [],
            "broken": [c["quote"] for c in mine if not verbatim(c, papers)],
        }


def _facts(before: Reply | None, after: Reply | None) -> list[dict[str, Any]]:
    """Each fact with where it was lost on either side."""
    old = {fact.id: stage for fact, stage in before.facts} if before else {}
    new = {fact.id: stage for fact, stage in after.facts} if after else {}
    facts = {fact.id: fact for side in (before, after) if side for fact, _ in side.facts}
    return [{"fact": fact, "before": old.get(id), "after": new.get(id)} for id, fact in facts.items()]


def _ranks(item: Item, summary: Summary) -> list[dict[str, Any]]:
    words = {2: "wanted", 1: "welcome", 0: "trap", None: "not judged"}
    return [
        {"title": title_of(paper, summary.papers), "grade": words[grade], "before": before, "after": after}
        for paper, grade, before, after in rank_changes(item)
    ]


def _fresh(item: Item, summary: Summary) -> str:
    """What became of the fresh samples that confirm a break."""
    mine = [
        record for record in (summary.result.confirmations if summary.result else ()) if record.id == item.question.id
    ]
    if not mine:
        return ""
    right = sum(r.answer is not None and metrics.correct(item.question, r.answer, {}) == 1 for r in mine)
    return f"{right} of {len(mine)} fresh samples right"


# --- drawings -----------------------------------------------------------------------------------


def _waterfall(summary: Summary) -> list[dict[str, Any]]:
    """Stages in order; each bar begins where what is left after the stages before it ends."""
    stages: list[dict[str, Any]] = [{"stage": stage, "bars": []} for stage in metrics.WATERFALL]
    for name, side in _sides(summary):
        left = 100.0
        for row in stages if side.facts else ():
            count = side.lost[row["stage"]]
            part = 100 * count / side.facts
            end = left if row["stage"] != "ok" else part
            row["bars"].append(
                {"name": name, "count": count, "share": part, "from": max(0.0, end - part), "left": left}
            )
            left -= part
    return stages


def _tables(summary: Summary) -> list[dict[str, Any]]:
    """The refusal tables with the questions that stand in the wrong cells."""
    return [
        {
            "name": name,
            "table": side.refusal,
            "shares": side.refusal.shares,
            "offending": [
                (word, list(dict.fromkeys(ids)))
                for word, ids in (
                    (WRONG, side.refusal.wrong),
                    (OVER_REFUSED, side.refusal.over_refused),
                    (FALSE_ANSWER, side.refusal.false_answers),
                )
                if ids and name == "candidate"
            ],
        }
        for name, side in _sides(summary)
    ]


def _curves(summary: Summary) -> list[dict[str, Any]]:
    """One plot a kind of trap: x coverage, y risk, both as places from 0 to 100 (y downwards)."""
    plots = []
    for at, curve in enumerate(summary.candidate.curves):
        lines = [
            {"name": name, "curve": side.curves[at], "points": _polyline(side.curves[at].points)}
            for name, side in _sides(summary)
            if side.curves[at].points
        ]
        if lines:
            plots.append({"tag": curve.tag, "lines": lines})
    return plots


def _polyline(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{100 * x:.2f},{100 - 100 * y:.2f}" for x, y in points)


def _slices(summary: Summary) -> list[dict[str, Any]]:
    """Kinds down, metrics across; the change where there is one."""
    deltas = {(d.slice, d.metric): d for d in (summary.result.deltas if summary.result and summary.baseline else ())}
    kinds = [kind for kind in summary.candidate.metrics["correct"] if kind != ALL]
    return [
        {
            "kind": kind,
            "cells": [
                {"found": summary.candidate.metrics[name].get(kind), "delta": deltas.get((kind, name))}
                for name in SLICED[::-1]
            ],
        }
        for kind in kinds
    ]


def _retrieval(summary: Summary) -> list[dict[str, Any]]:
    return [
        {
            "metric": metric,
            "sides": [(name, side.metrics[metric.name][ALL]) for name, side in _sides(summary)],
        }
        for metric in metrics.METRICS
        if metric.family not in JUDGED
    ]


def _timings(summary: Summary) -> list[dict[str, Any]]:
    """Stages with their share of the slowest p95, for the bars."""
    side = summary.candidate
    most = max((timing.p95 for timing in side.seconds.values()), default=0.0) or 1.0
    return [
        {"stage": name, "timing": timing, "median": 100 * timing.median / most, "p95": 100 * timing.p95 / most}
        for name, timing in side.seconds.items()
    ]


def _trend(summary: Summary) -> list[dict[str, Any]]:
    """A line a metric over the last blessings; this run, if it asked as many questions, at the end."""
    rows: list[dict[str, Any]] = []
    blessed = list(summary.history)[-TRENDED:]
    for name in TREND if blessed else ():
        now = summary.candidate.metrics[name][ALL].mean
        values = [entry.get("headline", {}).get(name) for entry in blessed]
        whole = blessed[-1].get("questions") == summary.candidate.questions
        shown = [*values, now] if whole else values
        known = [value for value in shown if value is not None]
        if not known:
            continue
        low, high = min(known), max(known)
        room = max(high - low, 0.05)
        places = [
            (100 * i / max(1, len(shown) - 1), 92 - 84 * (value - (low + high - room) / 2) / room)
            for i, value in enumerate(shown)
            if value is not None
        ]
        rows.append({"metric": name, "first": known[0], "last": known[-1], "low": low, "high": high, "whole": whole,
                     "points": " ".join(f"{x:.2f},{y:.2f}" for x, y in places), "end": places[-1]})  # fmt: skip
    return rows


def _provenance(summary: Summary) -> list[dict[str, Any]]:
    """Both manifests, line by line; settings one line each."""
    differ = differences(summary.accepted, summary.manifest)
    old = summary.accepted.to_dict() if summary.accepted else None
    return [
        {"name": name, "new": plain(value), "old": plain(old[name]) if old else None, "differs": name in differ}
        for name, value in summary.manifest.to_dict().items()
    ]
