"""What shape of answer does a question want: a point, several points, or a list of papers?

Read off the wording alone, by rules a person can check. "Which benchmarks ..." and "datasets for
..." want a list: one sentence from every paper that belongs. A question that asks several things
("how does X do A, and what did Y find?") is cut into its parts at conjunctions and punctuation;
each part may be answered by a paper of its own. Everything else wants a point: the sentences of one
paper. Cutting too often does little harm, since parts that lead to the same paper are one again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.text import terms

MOST_PARTS = 5
_THINGS = (
    r"papers|benchmarks|datasets|data sets|methods|models|systems|approaches|techniques|tools|testbeds|suites|works|"
    r"studies|surveys|environments|metrics|resources|libraries|frameworks|algorithms|evaluations"
)
_LIST = re.compile(
    rf"^\s*(?:please\s+)?(?:list|name|enumerate)\b|"
    rf"^\s*(?:which|what)\s+(?:[\w-]+[ /]+){{0,4}}?(?:{_THINGS})\b|"
    rf"^\s*(?:[\w-]+[ /]+){{0,4}}(?:{_THINGS})\s+(?:for|on|about|that|of|with)\b|"
    rf"\b(?:what|which) (?:[\w-]+[ /]+){{0,3}}(?:{_THINGS})\b[^.?]*\b(?:are there|exist)\b|"
    r"^\s*what can i use\b|^\s*who (?:all )?[a-z]+s,",
    re.IGNORECASE,
)
_CUT = re.compile(
    r"\s*(?:[;:?]|,?\s+\b(?:and|or|vs\.?|versus|while|whereas|but|as opposed to)\b|\s-\s|\([a-z1-9]\))\s+|"
    r",\s+(?=(?:what|how|which|who|where|when|one)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """`listing`: one sentence each from all papers that belong. `parts`: what is asked, if several things."""

    listing: bool
    parts: tuple[str, ...]


def shape(question: str) -> Shape:
    """The shape of a question; parts are cut out of it in order, each with at least two words of meaning."""
    if _LIST.search(question):
        return Shape(True, ())
    found = [part.strip() for part in _CUT.split(question) if part and len(set(terms(part))) >= 2]
    return Shape(False, tuple(found[:MOST_PARTS]) if len(found) > 1 else ())
