"""The summary on standard output: colour at a terminal, plain aligned text in a pipe.

Both forms are one list of lines with a style each, so that they cannot come to differ. Text from
answers or models passes through `printable`, and nothing is parsed as rich markup.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rag.text import printable

from ..statistics import Estimate
from .questions import HOW
from .summary import Side, Summary
from .verdict import ALL

COLOURS = {"pass": "green", "regression": "red", "inconclusive": "yellow"}
MOST = 10  # ids named in a line
Line = tuple[str, str]  # (text, rich style)


def show(summary: Summary, page: Path) -> None:
    """Print the summary and where the page lies."""
    tell((*lines(summary), ("", ""), (f"report {page}", "dim")))


def tell(found: Iterable[Line]) -> None:
    """Print lines, in their styles at a terminal."""
    made = [(printable(text), style) for text, style in found]
    if not sys.stdout.isatty():
        print("\n".join(text for text, _ in made))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for text, style in made:
        console.print(Text(text, style), soft_wrap=True)


def lines(summary: Summary) -> Iterator[Line]:
    """The summary from top to bottom."""
    words = summary.words
    code = "" if words.exit_code is None else f"; {words.verdict}, exit code {words.exit_code}"
    yield f"{words.headline}: {words.level}{code}", f"bold {COLOURS.get(words.verdict, 'magenta')}"
    yield words.why, ""
    yield from ((f"  {reason}", "") for reason in words.more)
    yield f"next: {words.command}   {words.says}", "bold"
    yield "", ""
    yield _asked(summary), "dim"
    yield "", ""
    yield from _table(summary)
    yield "", ""
    yield from _changed(summary)
    yield from ((line, "") for line in _figures(summary.candidate))


def _asked(summary: Summary) -> str:
    side, manifest = summary.candidate, summary.manifest
    text = f"{side.questions} questions in {side.rows} rows, {side.errors} errors; {manifest.model}, split {manifest.split}"
    if summary.accepted and summary.result:
        text += f"; {summary.result.pairs} compared with the baseline of {summary.accepted.created}"
    return text


def _table(summary: Summary) -> Iterator[Line]:
    result = summary.result
    if result and result.deltas:
        yield _row("metric", "baseline", "candidate", "change", "95 % interval", "n", "worse", "better"), "bold"
        for delta in result.deltas:
            if delta.slice == ALL or delta.fell:
                name = delta.metric if delta.slice == ALL else f"{delta.metric} ({delta.slice})"
                yield (
                    _row(
                        name,
                        number(delta.baseline.mean),
                        number(delta.candidate.mean),
                        number(delta.change.mean, sign=True),
                        interval(delta.change, sign=True),
                        str(delta.change.n),
                        str(delta.worse),
                        str(delta.better),
                    ),
                    "red" if delta.fell else "",
                )
        return
    yield _row("metric", "mean", "errors as 0", "", "95 % interval", "n"), "bold"
    for name, parts in summary.candidate.metrics.items():
        found = parts[ALL]
        if found.n:
            worst = number(summary.candidate.worst[name])
            yield _row(name, number(found.mean), worst, "", interval(found), str(found.n)), ""


def _row(name: str, *cells: str) -> str:
    widths = (10, 12, 9, 18, 5, 7, 8)
    return (f"{name:<22}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))).rstrip()


def _changed(summary: Summary) -> Iterator[Line]:
    for how in HOW:
        ids = [item.question.id for item in summary.changed if item.how == how]
        if ids:
            yield f"{how + ':':<12} {len(ids)}  {listed(ids)}", "red" if how in ("broken", "error") else ""
    if summary.changed:
        yield "", ""


def _figures(side: Side) -> Iterator[str]:
    table = side.refusal
    yield (
        f"answerable   {len(table.right)} right, {len(table.wrong)} wrong, {len(table.over_refused)} wrongly refused; "
        f"unanswerable {len(table.refused)} refused, {len(table.false_answers)} answered"
    )
    if side.facts:
        yield (
            "facts        " + ", ".join(f"{count} {stage}" for stage, count in side.lost.items()) + f" (n {side.facts})"
        )
    for curve in side.curves:
        if curve.auroc is not None:
            yield f"AUROC        {curve.auroc:.3f} {curve.tag} (n {curve.answerable} and {curve.unanswerable})"
    words = side.wordings
    if words.questions:
        yield f"wordings     {number(words.every.mean)} right in all, {number(words.mean.mean)} on average (n {words.questions})"
    if "total" in side.seconds:
        total = side.seconds["total"]
        yield f"seconds      {total.median:.2f} median, {total.p95:.2f} p95 an answer (n {total.n})"
    used = side.usage
    if used.calls:
        price = "price unknown" if used.usd is None else f"{used.usd:.4f} USD"
        yield f"model        {used.calls} calls, {used.prompt} + {used.reply} tokens, {price} (n {used.n})"


# --- numbers, for every format ------------------------------------------------------------------


def number(value: float | None, *, sign: bool = False) -> str:
    """Three decimals, or a dash where there is nothing to say."""
    if value is None:
        return "–"
    return f"{value:+.3f}".replace("-", "−") if sign else f"{value:.3f}".replace("-", "−")


def interval(found: Estimate, *, sign: bool = False) -> str:
    """Low to high."""
    if found.low is None or found.high is None:
        return "–"
    return f"{number(found.low, sign=sign)} … {number(found.high, sign=sign)}"


def listed(ids: Sequence[str]) -> str:
    """The first few."""
    return ", ".join(ids[:MOST]) + (f" and {len(ids) - MOST} more" if len(ids) > MOST else "")
