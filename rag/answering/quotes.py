"""Where words stand in an abstract, and what a judge says of a claim: values that the check and its judges share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rag.records import Paper
from rag.text import Span, folded, folded_view, sentences

WORDS = 3  # of a quote that is no whole sentence: "No" stands in many an abstract

Located = Sequence[tuple[Paper, Span]]


class Judgement(NamedTuple):
    """Do papers support a claim? How surely (0..1), the reason in words, the quotes it rests on (none if not)."""

    supported: bool
    score: float
    reason: str
    located: Located


Judge = Callable[[str, Sequence[Paper]], Judgement]
Borne = Callable[[str, Sequence[Paper], Sequence[str]], Judgement]  # claim, papers, words copied from them


def locate(quote: str, source: str) -> Span | None:
    """Where a quote stands in a source, whatever the case, white space, typography or LaTeX; or None.

    Whole words and numbers only: "novel" does not hold "no", nor "4.5" a "4". Markup and stops at the
    edge of a sentence belong to it.
    """
    return _verbatim(quote, source) or _folded(quote, source)


def _verbatim(quote: str, source: str) -> Span | None:
    """Where a sentence stands that was taken as it is, which nearly all are: nothing needs to be folded for that."""
    at = source.find(quote)
    whole = len(quote.split()) >= WORDS and quote[0].isalnum() and quote[-1] == "."
    if at < 0 or not whole or source.find(quote, at + 1) >= 0:
        return None
    span = Span(at, at + len(quote))
    return span if span in sentences(source) else None


def _folded(quote: str, source: str) -> Span | None:
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


def exact(bare: str, abstract: str) -> Span | None:
    """Where a sentence stands word for word; None also for a few words that stand anywhere."""
    span = locate(bare, abstract)
    return span if span and (len(bare.split()) >= WORDS or span in sentences(abstract)) else None
