"""What a chat shows besides its answers, as lines of styled pieces: the screen decides how they look.

A line is a mark at the left and pieces (text, style) to its right. Sources are shown compactly, since a
chat comes back to the same papers: the abstract with its quotes is one command away. Every text of a
file, a model or a store passes `shown` here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from rag.bibliography import family_name
from rag.filters import split
from rag.records import EXTRACTIVE, Answer, Citation, Explained, Hit, Paper
from rag.show.render import QUOTED, by_number, details, quoting, reasons, shown

_SPACED = re.compile(r"\s+(?=[,;:?!])")  # where a mark was taken out
LONGEST_QUERY = 300  # characters of what was searched, as it is shown
MANY = 5  # sources from which on a title keeps to one row


class Line(NamedTuple):
    """Pieces of text, each with its style, to the right of a mark.

    Of a line that `fits`, the first piece is cut where it takes that to keep the line on one row.
    """

    mark: str
    pieces: tuple[tuple[str, str], ...]
    fits: bool = False


def line(text: str = "", style: str = "", mark: str = "") -> Line:
    """A line of one piece."""
    return Line(mark, ((text, style),))


# --- answers ------------------------------------------------------------------------------------


def searched(answer: Answer) -> list[Line]:
    """What a follow-up was taken to mean, and what was searched beside the question."""
    query = _SPACED.sub("", _line(answer.query))
    said = [] if query == _line(split(answer.question).text) else [query]
    texts = [shortened(text, LONGEST_QUERY) for text in (*said, *(_line(text) for text in answer.searched))]
    return [line(f"searched: {' · '.join(texts)}", "dim")] if texts else []


def shortened(text: str, longest: int | None) -> str:
    """The text, cut between two words if it has more than `longest` characters; None cuts nothing."""
    if longest is None or len(text) <= longest:
        return text
    return text[: longest + 1].rpartition(" ")[0].rstrip(" ,;:") + " ..."


def told(answer: Answer, *, apart: bool = True, longest: int | None = None) -> str:
    """The text; a list of papers, one sentence from each, has a line for each if they stand `apart`.

    The sentences of a list are cut at `longest` characters; None cuts none.
    """
    text, papers = answer.text, [{c.paper.id for c in claim.citations} for claim in answer.claims]
    if len(papers) < 3 or not all(a.isdisjoint(b) for a, b in pairwise(papers)):
        return text
    for claim in reversed(answer.claims):
        before, said = text[: claim.start], shortened(text[claim.start : claim.end], longest)
        if apart and claim is not answer.claims[0]:
            before = before.rstrip() + "\n"
        text = before + said + text[claim.end :]
    return text


def sources(answer: Answer, *, longest: int | None = None, abstracts: bool = False) -> list[Line]:
    """The papers of an answer with their quotes, or with their whole `abstracts` in which the quotes stand out.

    A quote that is itself a sentence of the answer is not repeated, unless its paper has no title to show. One
    of more than `longest` characters is cut; None cuts none.
    """
    text, lines, grouped = _line(answer.text), [], by_number(answer)
    for number, citations in grouped.items():
        head = titled(number, citations[0].paper)
        lines.append(head._replace(fits=len(grouped) >= MANY and not abstracts))
        if abstracts:
            lines += [Line("", tuple(quoting(citations[0].paper, citations))), line()]
            continue
        quotes = dict.fromkeys(_line(citation.quote) for citation in citations)
        unseen = [quote for quote in quotes if quote not in text or not head.pieces[0][0]]
        lines += [line(f"“{shortened(quote, longest)}”", QUOTED) for quote in unseen]
    return lines


def all_sources(answers: Sequence[Answer]) -> list[Line]:
    """Every paper cited so far, and by which questions."""
    cited: dict[int, tuple[Paper, list[int]]] = {}
    for at, answer in enumerate(answers, 1):
        for number, paper in answer.numbers.items():
            cited.setdefault(number, (paper, []))[1].append(at)
    lines = []
    for number, (paper, places) in sorted(cited.items()):
        lines.append(titled(number, paper))
        lines.append(line(f"cited by question{'s' if len(places) > 1 else ''} {', '.join(map(str, places))}", "dim"))
    return lines


def opened(paper: Paper, number: int | None, citations: Iterable[Citation]) -> list[Line]:
    """A paper: its abstract, in which what was quoted stands out, and what else is known of it."""
    facts = [line(f"{name}: {value}", "dim") for name, value in details(paper)]
    return [
        line(shown(paper.headline), "bold", f"[{number}]" if number else ""),
        line(),
        Line("", tuple(quoting(paper, citations))),
        line(),
        *facts,
    ]


def _line(text: str) -> str:
    return " ".join(shown(text).split())


def titled(number: int, paper: Paper) -> Line:
    """A paper under its number: title, year, first author, id."""
    known = ", ".join(shown(str(fact)) for fact in (paper.year, *map(family_name, paper.authors[:1])) if fact)
    facts = f" ({known})" if known else ""
    return Line(f"[{number}]", ((shown(paper.headline), "bold"), (facts, ""), (f"  {paper.id}", "dim")))


# --- why ----------------------------------------------------------------------------------------


def why(answer: Answer, least_support: float) -> list[Line]:
    """How an answer came about: what was searched, each sentence's verdict, what was removed, what it took."""
    lines = [line(f"searched: {' · '.join(_line(text) for text in (answer.query, *answer.searched))}", "dim")]
    lines.append(line(f"status: {answer.status}"))
    if answer.where:
        lines.insert(1, line(shown(answer.where.said), "dim"))
    if answer.status == "refused" and answer.model == EXTRACTIVE:
        best = answer.evidence[0].score if answer.evidence else 0.0
        lines.append(line(f"the best passage scores {best:.2f}; under {least_support:.2f} the answer is a refusal"))
    lines += [_verdict(claim.verdict, claim.text, claim.reason) for claim in answer.claims]
    if answer.removed:
        lines += [line(), line("taken out:", "bold")]
        lines += [_verdict(claim.verdict, claim.text, claim.reason) for claim in answer.removed]
    refused = answer.status == "refused"
    lines += [line(), line("nearest passages:" if refused else "passages it was written from:", "bold")]
    marks = {paper.id: number for number, paper in answer.numbers.items()}
    for evidence in answer.evidence:
        mark = f"[{marks[evidence.paper.id]}]" if evidence.paper.id in marks else f"{evidence.rank}"
        lines.append(Line(mark, ((shown(evidence.paper.headline), ""), (f"  {evidence.score:.2f}", "dim"))))
    taken = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in answer.seconds.items())
    lines += [line(), line(f"model: {shown(answer.model)}; seconds: {taken}; fingerprint: {answer.run}", "dim")]
    return lines


def why_paper(answer: Answer, number: int, paper: Paper) -> list[Line]:
    """How a paper came into an answer: what found it, its rank at each stage, the sentences that cite it."""
    chunks = {evidence.chunk.id for evidence in answer.evidence if evidence.paper.id == paper.id}
    lines = [titled(number, paper)]
    for stage, traced in answer.trace.items():
        found = [t for t in traced if t.id in chunks]
        if found:
            words = STAGES.get(stage, stage)
            lines.append(line(f"#{found[0].rank} of {len(traced)}, score {found[0].score:.3f}: {words}"))
    for claim in answer.claims:
        if any(citation.number == number for citation in claim.citations):
            lines.append(_verdict(claim.verdict, claim.text, claim.reason))
    return lines


STAGES = {
    "dense": "nearness of meaning",
    "lexical": "words in common",
    "retrieve": "both fused",
    "rerank": "as evidence, sentence by sentence",
}


def _verdict(verdict: str, text: str, reason: str) -> Line:
    return Line("-", ((f"{verdict}: ", "bold"), (shown(text), ""), (f"  ({shown(reason)})" if reason else "", "dim")))


# --- lists --------------------------------------------------------------------------------------


def hits(found: Sequence[Hit], numbers: Mapping[str, int]) -> list[Line]:
    """Papers that a search found; one that has a number in this chat bears it."""
    return [
        Line(
            f"[{numbers[hit.paper.id]}]" if hit.paper.id in numbers else "-",
            ((shown(hit.paper.headline), "bold"), (f"  {hit.paper.id}  {hit.score:.2f}", "dim")),
        )
        for hit in found
    ]


def explained(one: Explained) -> list[Line]:
    """What each search and signal adds to a paper's score."""
    split = (reason.partition("  ") for reason in reasons(one))
    return [line(text, "dim", part) for part, _, text in split]


def pairs(rows: Iterable[tuple[str, str]]) -> list[Line]:
    """Names and their texts."""
    return [line(text, "", name) for name, text in rows]


# --- what changed -------------------------------------------------------------------------------


def changes(old: Answer, new: Answer) -> list[Line]:
    """What differs between an answer that was kept and the same question asked today."""
    said = _sentences(old), _sentences(new)
    lines = [line(f"{name}: {before} -> {now}") for name, before, now in _facts(old, new) if before != now]
    lines += [line(text, "strike dim", "-") for text in said[0] if text not in said[1]]
    lines += [line(text, "green", "+") for text in said[1] if text not in said[0]]
    same = "the same sentences" if said[0] == said[1] else ""
    if same:
        lines.append(line(f"{same}, and nothing else changed" if not lines else same, "dim"))
    return lines


def _facts(old: Answer, new: Answer) -> list[tuple[str, str, str]]:
    return [
        ("fingerprint", old.run, new.run),
        ("status", old.status, new.status),
        ("model", shown(old.model), shown(new.model)),
        ("searched", shown(old.query), shown(new.query)),
        ("cites", _ids(old.numbers.values()), _ids(new.numbers.values())),
    ]


def _ids(papers: Collection[Paper]) -> str:
    return ", ".join(paper.id for paper in papers) or "nothing"


def _sentences(answer: Answer) -> list[str]:
    return [shown(claim.text) for claim in answer.claims] or [shown(answer.text)]
