"""Draft -> Claims: no sentence is passed on as fact unless its support was found.

Each sentence of a draft is read for its marks. A mark that names no passage is dropped and
counted. A sentence that stands in a cited abstract word for word is "quoted". Otherwise the
sentences of the cited abstracts that share most of its words are its quotes, and it is "supported"
when they hold enough of its words and every number in it; else it is "unsupported", or "uncited"
when it had no valid mark, and is taken out. Quotes are located with offsets in the abstract as
stored: a Citation that does not quote verbatim cannot be made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rag.records import Citation, Claim, Draft, Paper, Verdict
from rag.text import Span, folded, folded_view, quantities, readable, sentences, terms

WORDS = 3  # of a quote that is no whole sentence: "No" stands in many an abstract
QUOTES = 2  # sentences of one abstract that a claim may rest on
GAIN = 0.15  # share of the claim's words that a second quote must add

_MARK = re.compile(r"\s*\[\s*(\d{1,3}(?:\s*[,;\-–]\s*\d{1,3})*)\s*\]")


class Verified(NamedTuple):
    """The outcome: the text with its claims in it, what was taken out, and marks that named nothing."""

    text: str
    claims: tuple[Claim, ...]
    removed: tuple[Claim, ...]
    unknown_marks: int


def verify(draft: Draft, *, least_support: float, numbers: Mapping[str, int]) -> Verified:
    """Check a draft. `numbers` are those that papers of earlier turns already have, by paper id."""
    claims: list[Claim] = []
    removed: list[Claim] = []
    given = dict(numbers)
    text, unknown = "", 0
    for sentence in draft.sentences:
        bare, marks = _marks(sentence)
        papers = [draft.passages[n - 1].paper for n in marks if 1 <= n <= len(draft.passages)]
        unknown += len(marks) - len(papers)
        if not re.search(r"\w", bare):
            continue
        verdict, reason, located = _judged(bare, papers, least_support)
        if verdict in ("unsupported", "uncited"):
            removed.append(Claim(bare, 0, 0, (), verdict, reason))
            continue
        citations = tuple(_citation(paper, span, given) for paper, span in located)
        start = len(text) + (1 if text else 0)
        text += (" " if text else "") + bare + " " + _marked(citations)
        claims.append(Claim(bare, start, start + len(bare), citations, verdict, reason))
    return Verified(text, tuple(claims), tuple(removed), unknown)


def _marks(sentence: str) -> tuple[str, list[int]]:
    """The sentence without its marks, and the numbers they name, in order, once each."""
    found: list[int] = []
    for match in _MARK.finditer(sentence):
        for part in re.split(r"\s*[,;]\s*", match[1]):
            ends = [int(n) for n in re.findall(r"\d+", part)]
            found += range(ends[0], min(ends[-1], ends[0] + 20) + 1) if len(ends) == 2 else ends
    return " ".join(_MARK.sub("", sentence).split()), list(dict.fromkeys(found))


def _judged(bare: str, papers: Sequence[Paper], least: float) -> tuple[Verdict, str, list[tuple[Paper, Span]]]:
    if not papers:
        return "uncited", "no passage is named for it", []
    exact = [(paper, span) for paper in papers if (span := _exact(bare, paper.abstract))]
    if exact:
        return "quoted", "stands in the abstract word for word", exact
    located = [(paper, span) for paper in papers for span in supporting(bare, paper.abstract)]
    held = " ".join(readable(paper.abstract[span.start : span.end]) for paper, span in located)
    missing = {q.value for q in quantities(bare)} - {q.value for q in quantities(held)}
    if missing:
        return "unsupported", f"the cited sentences do not give {', '.join(f'{v:g}' for v in sorted(missing))}", []
    share = _share(set(terms(bare)), set(terms(held)))
    if share < least:
        return "unsupported", f"the cited abstracts hold {share:.0%} of its words, less than {least:.0%}", []
    return "supported", f"the quotes hold {share:.0%} of its words and every number", located


def locate(quote: str, source: str) -> Span | None:
    """Where a quote stands in a source, whatever the case, white space, typography or LaTeX; or None.

    Whole words and numbers only: "novel" does not hold "no", nor "4.5" a "4". Markup and stops at the
    edge of a sentence belong to it.
    """
    wanted = folded(quote).rstrip(".")
    view = folded_view(source)
    whole_words = rf"(?<!\w)(?:(?<!\d[.,])|(?!\d)){re.escape(wanted)}(?!\w|(?<=\d)[.,]\d)"
    found = re.search(whole_words, view.text) if wanted else None
    if not found:
        return None
    start, end = view.source(*found.span())
    for whole in sentences(source):
        if whole.start < end < whole.end and not folded(source[end : whole.end]).strip(".!?}"):
            end = whole.end
    return Span(start, end)


def _exact(bare: str, abstract: str) -> Span | None:
    span = locate(bare, abstract)
    return span if span and (len(bare.split()) >= WORDS or span in sentences(abstract)) else None


def supporting(claim: str, abstract: str) -> list[Span]:
    """The sentences of an abstract that hold most of a claim's words, at most two, in order."""
    wanted = set(terms(claim))
    held = [(span, wanted & set(terms(readable(abstract[span.start : span.end])))) for span in sentences(abstract)]
    chosen: list[Span] = []
    covered: set[str] = set()
    while len(chosen) < QUOTES and held:
        span, words = max(held, key=lambda item: (len(item[1] - covered), -item[0].start))
        if not words - covered or (chosen and len(words - covered) < GAIN * len(wanted)):
            break
        chosen.append(span)
        covered |= words
    return sorted(chosen)


def _share(wanted: set[str], held: set[str]) -> float:
    return len(wanted & held) / len(wanted) if wanted else 0.0


def _citation(paper: Paper, span: Span, given: dict[str, int]) -> Citation:
    number = given.setdefault(paper.id, max(given.values(), default=0) + 1)
    return Citation(number, paper, paper.abstract[span.start : span.end], span.start, span.end)


def _marked(citations: Sequence[Citation]) -> str:
    return "".join(f"[{number}]" for number in dict.fromkeys(c.number for c in citations))
