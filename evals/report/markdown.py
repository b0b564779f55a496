"""The report as a comment on a pull request: at most 60 KB of GitHub's Markdown.

The first line is a hidden marker, by which a bot finds and replaces its own earlier comment. Answers
stand in fenced blocks, where nothing is parsed, linked or mentioned; shorter texts (questions,
titles, reasons) are escaped character by character. When room runs out, the questions that changed
most stay and the rest is named.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rag.text import printable, sentences

from ..statistics import Estimate
from .questions import HOW, Item, Reply
from .summary import Side, Summary, plain
from .terminal import interval, listed, number
from .verdict import ALL, Words

MOST = 60_000  # bytes; GitHub takes 65,536 characters
WIDTH = 100
LINES = 60  # of one question's diff
ICONS = {"pass": "✅", "regression": "❌", "inconclusive": "⚠️", "invalid": "🚫", "not comparable": "🚫"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:/$&=^'\"])")


def comment(summary: Summary) -> str:
    """The whole comment."""
    head = "\n".join([*_verdict(summary), *_headline(summary)])
    tail = "\n".join(_tables(summary))
    room = MOST - len(head.encode()) - len(tail.encode()) - 500
    return f"{head}\n{_changes(summary, room)}\n{tail}\n"


def _verdict(summary: Summary) -> Iterator[str]:
    words, model = summary.words, re.sub(r"[^A-Za-z0-9.]+", "-", summary.manifest.model)
    yield f"<!-- rag-eval-report {model} -->"
    yield f"## {ICONS.get(words.verdict, 'ℹ️')} rag eval: {words.headline}, {words.level}"
    yield from ("", f"**{safe(words.why)}**", "")
    if words.more:
        yield from _folded(f"and {len(words.more)} more", [f"- {safe(reason)}" for reason in words.more])
    yield f"{_exit(words)}Next: {_code(words.command)} ({safe(words.says)}). {safe(_asked(summary))}"
    yield ""


def _exit(words: Words) -> str:
    return "" if words.exit_code is None else f"Verdict: {words.verdict}, exit code {words.exit_code}. "


def _asked(summary: Summary) -> str:
    side, manifest = summary.candidate, summary.manifest
    text = (
        f"{side.questions} questions, {side.rows} rows, {side.errors} errors; {manifest.model}, split {manifest.split}"
    )
    return text + (f", {summary.result.pairs} compared." if summary.result else ".")


# --- tables -------------------------------------------------------------------------------------


def _headline(summary: Summary) -> Iterator[str]:
    deltas = summary.result.deltas if summary.result else ()
    if not deltas:
        yield from _table(("metric", "mean", "95 % interval", "n", "errors as 0"), _means(summary.candidate))
        return
    heads = ("metric", "baseline", "candidate", "change", "95 % interval", "n", "worse / better")
    rows = []
    for delta in deltas:
        if delta.slice == ALL or delta.fell:
            name = delta.metric if delta.slice == ALL else f"{delta.metric} ({delta.slice})"
            change = number(delta.change.mean, sign=True)
            rows.append(
                (
                    f"**{name}** ⬇" if delta.fell else name,
                    number(delta.baseline.mean),
                    number(delta.candidate.mean),
                    f"**{change}**" if delta.fell else change,
                    interval(delta.change, sign=True),
                    str(delta.change.n),
                    f"{delta.worse} / {delta.better}",
                )
            )
    yield from _table(heads, rows)


def _means(side: Side) -> Iterator[tuple[str, ...]]:
    for name, parts in side.metrics.items():
        if parts[ALL].n:
            yield name, number(parts[ALL].mean), interval(parts[ALL]), str(parts[ALL].n), number(side.worst[name])


def _tables(summary: Summary) -> Iterator[str]:
    sides = [(name, side) for name, side in (("baseline", summary.baseline), ("candidate", summary.candidate)) if side]
    heads = ("", *(name for name, _ in sides))
    stages = summary.candidate.lost
    yield from _folded("Where required facts are lost", _table(heads, [
        *((stage, *(f"{side.lost[stage]}" for _, side in sides)) for stage in stages),
        ("n", *(str(side.facts) for _, side in sides)),
    ]))  # fmt: skip
    shares = summary.candidate.refusal.shares
    yield from _folded("Answered or refused", _table(heads, [
        *((name, *(_estimate(side.refusal.shares[name]) for _, side in sides)) for name in shares),
        *((f"AUROC, {curve.tag}", *(_auroc(side, at) for _, side in sides))
          for at, curve in enumerate(summary.candidate.curves)),
    ]))  # fmt: skip
    yield from _folded("By kind of question", _table(("correct", *heads[1:]), [
        (kind, *(_estimate(side.metrics["correct"].get(kind)) for _, side in sides))
        for kind in summary.candidate.metrics["correct"]
    ]))  # fmt: skip
    yield from _folded("Seconds an answer, tokens", _table(heads, [
        *((f"{name}, median / p95", *(_timing(side, name) for _, side in sides)) for name in summary.candidate.seconds),
        ("calls / tokens", *(f"{s.usage.calls} / {s.usage.prompt + s.usage.reply} (n {s.usage.n})" for _, s in sides)),
    ]))  # fmt: skip
    yield from _folded("What ran", _provenance(summary))


def _provenance(summary: Summary) -> Iterator[str]:
    new, old = summary.manifest.to_dict(), summary.accepted.to_dict() if summary.accepted else None
    heads = ("", "baseline", "candidate") if old else ("", "candidate")
    yield from _table(
        heads,
        [(name, *([_code(plain(old[name]))] if old else []), _code(plain(value))) for name, value in new.items()],
    )


def _estimate(found: Estimate | None) -> str:
    return "–" if found is None or not found.n else f"{number(found.mean)} (n {found.n})"


def _auroc(side: Side, at: int) -> str:
    curve = side.curves[at]
    return "–" if curve.auroc is None else f"{curve.auroc:.3f} (n {curve.answerable} and {curve.unanswerable})"


def _timing(side: Side, name: str) -> str:
    found = side.seconds.get(name)
    return f"{found.median:.3f} / {found.p95:.3f} (n {found.n})" if found else "–"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "|".join(["---", *["---:"] * (len(heads) - 1)]) + "|"
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""


def _folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield from (f"<details><summary>{title}</summary>", "", *lines, "", "</details>", "")


# --- questions ----------------------------------------------------------------------------------


def _changes(summary: Summary, room: int) -> str:
    """As many changed questions as there is room for; the others by id."""
    if not summary.changed:
        return ""
    counts = ", ".join(f"{n} {how}" for how in HOW if (n := sum(item.how == how for item in summary.changed)))
    text, left = f"\n### {len(summary.changed)} questions changed: {counts}\n\n", list[str]()
    for item in summary.changed:
        entry = "\n".join(_question(item)) + "\n"
        if left or len((text + entry).encode()) > room:
            left.append(item.question.id)
        else:
            text += entry
    return text + (f"Not shown here: {listed(left)} (all of them in `report.html`).\n" if left else "")


def _question(item: Item) -> Iterator[str]:
    title = f"<code>{item.question.id}</code> <b>{item.how}</b>: {_html(item.question.question)}"
    yield from (f"<details><summary>{title}</summary>", "")
    words = [side.outcome if side else "not asked" for side in (item.before, item.after)]
    yield f"{item.question.kind}; {words[0]} → {words[1]}. Right: {safe(item.question.reference or 'a refusal')}"
    yield ""
    yield from _diff(item.before, item.after)
    yield from ("", "</details>", "")


def _diff(before: Reply | None, after: Reply | None) -> Iterator[str]:
    """Sentence by sentence in a fence that no run of backticks inside can close."""
    old, new = (_sentences(side) for side in (before, after))
    body: list[str] = []
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            body += _wrapped(" ", old[a0:a1])
        else:
            body += [*_wrapped("-", old[a0:a1]), *_wrapped("+", new[b0:b1])]
    if len(body) > LINES:
        body = [*body[:LINES], "  ..."]
    longest = max((len(run) for run in re.findall(r"`+", "\n".join(body))), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (f"{fence}diff", *body, fence)


def _wrapped(mark: str, lines: Sequence[str]) -> list[str]:
    return [f"{mark} {part}" for line in lines for part in textwrap.wrap(line, WIDTH) or [""]]


def _sentences(side: Reply | None) -> list[str]:
    """Sentences on one line each, with the marks that follow them."""
    found: list[str] = []
    for span in sentences(side.text) if side else ():
        line = " ".join(side.text[span.start : span.end].split()) if side else ""
        marks = re.match(r"(?:\[\d+\]\s*)*", line)
        if found and marks and marks[0]:
            found[-1] += f" {marks[0].strip()}"
            line = line[marks.end() :]
        if line:
            found.append(line)
    return found


# --- escaping -----------------------------------------------------------------------------------


def safe(text: str) -> str:
    """`text` on one line, with nothing left for Markdown, HTML, links, mentions or references."""
    line = " ".join(printable(text).split())
    return re.sub(r"(\\?[@#])(?=\S)", "\\1\u200b", _SPECIAL.sub(r"\\\1", line))


def _html(text: str) -> str:
    """For inside a line of HTML, where backslashes do not escape."""
    line = " ".join(printable(text).split())
    return re.sub(r"[^\w\s,;?%]", lambda found: f"&#{ord(found[0])};", line).replace("&#64;", "&#64;\u200b")


def _code(text: str) -> str:
    """A code span; backticks and bars would end it, or the table's cell."""
    line = " ".join(printable(text).split()).replace("`", "'").replace("|", "¦")
    return f"`{line}`"
