"""`rag eval show`: one question in plain text, the baseline's answer beside that of the latest run.

Both sides are judged by today's metrics. Where the candidate is wrong, the first stage that lost it is named, with the
command that looks deeper at that stage.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from rag.records import EXTRACTIVE, Paper
from rag.text import printable

from .. import metrics
from ..gold import Question
from ..records import Run
from .questions import (
    ERROR,
    FALSE_ANSWER,
    GOOD,
    OVER_REFUSED,
    Rank,
    Reply,
    as_written,
    reply,
    shown,
    title_of,
    verbatim,
)

OK = metrics.WATERFALL[-1]
SEARCHED = metrics.WATERFALL[:2]  # stages at which a search is to be looked at; later ones at an answer
REFUSAL = "refusal"
MEANS = {
    "not retrieved": "the search did not find a paper that says it",
    "cut before the answer": "its paper was found, and ranked too low to be drawn on",
    "not used": "its paper was drawn on, and the answer does not say it",
    "stated, not cited": "the answer says it, and cites another paper",
    "citations": "the facts are said; papers are cited that should not be, or one is not that should",
    REFUSAL: "whether to answer was decided wrongly",
    ERROR: "no answer came",
}
GRADES = {2: "wanted", 1: "welcome", 0: "trap", None: "not judged"}


def question_view(
    question: Question,
    accepted: Run | None,
    papers: Mapping[str, Paper],
    candidate: Run | None = None,
    library: str | None = None,
) -> str:
    """The text. A run is None where there is none, or none that holds the question; `library` is as it is typed."""
    before, after = (_side(question, run) for run in (accepted, candidate))
    lines = [f"{question.id} rev {question.rev}  {question.kind}, split {question.split}, group {question.group}", ""]
    lines += [f"before    {earlier}" for earlier in question.history]
    lines += [f"asked     {question.question}", *(f"or as     {other}" for other in question.variants)]
    lines += [f"right     {question.reference}" if question.answerable else f"missing   {question.missing}"]
    lines += [f"not       {wrong.text} ({wrong.why})" for wrong in question.forbidden]
    sides = [side for side in (before, after) if side]
    lines += ["", *_facts(question, sides), *_papers(question, sides, papers), ""]
    lines += ["baseline", *_answer(before, papers), ""]
    same = before and after and (before.text, before.citations) == (after.text, after.citations)
    lines += ["candidate", *(["the same answer"] if same else _answer(after, papers)), ""]
    lines += _next(question, before, after, candidate, library)
    return printable("\n".join(lines))


def _side(question: Question, run: Run | None) -> Reply | None:
    return reply(question, as_written(run.records, {question.id: question}).get(question.id, [])) if run else None


def _turn(words: Sequence[str]) -> str:
    """What it was and what it is, once where both are the same."""
    return " -> ".join(dict.fromkeys(words)) if len(words) > 1 else words[0]


def _facts(question: Question, sides: Sequence[Reply]) -> Iterator[str]:
    lost = [{fact.id: where for fact, where in side.facts} for side in sides if side.outcome != ERROR]
    for fact in question.facts:
        words = [stages[fact.id] for stages in lost]
        yield (
            f"fact {fact.id:<4} {fact.text}{'' if fact.vital else ' (not required)'}{f': {_turn(words)}' if words else ''}"
        )


def _papers(question: Question, sides: Sequence[Reply], papers: Mapping[str, Paper]) -> Iterator[str]:
    cited = [{c["paper"] for c in side.citations} for side in sides]
    graded = sorted(question.papers, key=lambda paper: -question.papers[paper])
    for paper in dict.fromkeys([*graded, *sorted(set().union(*cited))]):
        words = [_place(side, paper) for side in sides]
        where = _turn(words) if words else "not asked"
        yield f"{GRADES[question.papers.get(paper)]:<10}{paper}  {title_of(paper, papers)}  ({where})"


def _place(side: Reply, paper: str) -> str:
    rank = side.ranks.get(paper, Rank(None, None))
    mark = ", cited" if paper in {c["paper"] for c in side.citations} else ""
    return f"found at {rank.found or '-'}, evidence {rank.evidence or '-'}{mark}"


def _answer(side: Reply | None, papers: Mapping[str, Paper]) -> list[str]:
    if side is None:
        return ["no answer to this revision in the run; make one with: rag eval run"]
    sure = "" if side.confidence is None else f", confidence {side.confidence:.3f}"
    lines = [f"{side.outcome} ({side.right} of {side.samples} samples right{sure})", "", side.text, ""]
    for c in side.citations:
        flaw = "" if verbatim(c, papers) else "  NOT IN THE ABSTRACT"
        lines.append(f'[{c["number"]}] {c["paper"]} {c["start"]}:{c["end"]} "{shown(c["quote"])}"{flaw}')
    return lines


# --- what to look at next -----------------------------------------------------------------------


def lost(question: Question, side: Reply) -> str | None:
    """The first stage that made an answer wrong; None where it is right."""
    if side.outcome in GOOD:
        return None
    if side.outcome in (ERROR, FALSE_ANSWER):
        return ERROR if side.outcome == ERROR else REFUSAL
    stages = [where for fact, where in side.facts if fact.vital and where != OK]
    stages += [_paper_lost(side, paper) for paper in question.essential if not side.facts]
    first = min((stage for stage in stages if stage != OK), key=metrics.WATERFALL.index, default=None)
    if side.outcome == OVER_REFUSED and first not in SEARCHED:
        return REFUSAL
    return first or "citations"


def _paper_lost(side: Reply, paper: str) -> str:
    """Where a paper that must be cited was lost."""
    rank = side.ranks.get(paper, Rank(None, None))
    used = "not used" if paper not in {c["paper"] for c in side.citations} else OK
    return "not retrieved" if rank.found is None else "cut before the answer" if rank.evidence is None else used


def _next(
    question: Question, before: Reply | None, after: Reply | None, candidate: Run | None, library: str | None
) -> Iterator[str]:
    side = after or before
    stage = lost(question, side) if side else None
    if side is None or stage is None:
        return
    yield f"lost at   {stage}: {MEANS[stage]}"
    yield f"next      {_deeper(stage, side.query or question.question, candidate, library)}"


def _deeper(stage: str, query: str, candidate: Run | None, library: str | None) -> str:
    place = f" --library {shlex.quote(library)}" if library else ""
    if stage in SEARCHED:
        return f"rag search --explain -k 20{place} {shlex.quote(query)}"
    model = candidate.manifest.model if candidate else EXTRACTIVE
    settings = candidate.manifest.settings if candidate else {}
    with_model = f" --model {shlex.quote(model)} --keep-unverified" if model != EXTRACTIVE else ""
    server = f" --base-url {shlex.quote(settings['base_url'])}" if settings.get("base_url") else ""
    papers = f" -k {settings['k']}" if settings.get("k") else ""
    return f"rag ask --abstracts{with_model}{server}{papers}{place} {shlex.quote(query)}"
