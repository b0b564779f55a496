"""What shape of answer does a question want: a point, several points, or a list of papers?

Read off the wording alone, by rules a person can check. A long background and orders to the machine
are not what is asked: then only the sentences that ask are searched, if they stand by themselves.
"Which benchmarks ..." and "datasets for ..." want a list: one sentence from every paper that belongs.
A question that asks several things ("how does X do A, and what did Y find?") is cut into its parts
at conjunctions and punctuation; each part may be answered by a paper of its own. Everything else
wants a point: the sentences of one paper.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.text import sentences, terms

MOST_PARTS = 5
OWN_TERMS = 5  # words of meaning with which an asking sentence stands by itself
_THINGS = (
    r"(?:papers|benchmarks|data ?sets|corpora|methods|ways|models|systems|approaches|techniques|recipes|tools|testbeds|"
    r"suites|works(?! best| well| better)|studies|surveys|environments|metrics|resources|libraries|frameworks|algorithms|evaluations|collections|"
    r"proposals|attempts|projects|articles|research|literature|work)"
)
_WORDS = (
    r"(?:(?!(?:to|of|in|on|at|by|from|does|do|did|is|are|was|were|has|had|the|an?|happens?|makes?)\b)[\w-]+[ /]+){0,4}?"
)
_LIST = re.compile(
    rf"^\W*(?:please\s+)?(?:list|name|enumerate)\s+(?!of\b|the\b|an?\b)|"
    rf"\b(?:which|what)\s+{_WORDS}{_THINGS}\b|"
    rf"^\W*(?!why|how|when|where|do|does|did|is|was|were|can|could|should|will|would|if|i|we)"
    rf"{_WORDS}{_THINGS}\s+(?:for|on|about|that|of|with|to|proposing|using)\b|"
    rf"^\W*(?:anything|something|everything|overviews?|surveys?)\s+(?:of|on|about|for)\b|"
    rf"\b(?:any|all|other|more|some|are there|give me|show me|find(?: me)?)\s+{_WORDS}{_THINGS}\b|"
    rf"\b(?:what|who)\b[^.?,;:]*\b(?:are there|is there|has been done|do we have|is available|exists?|out there)\b|"
    rf"\bwhat can i use\b|\b(?:is|are) there\b[^.?]*\b(?:anywhere|in here|in this library)\b|"
    rf"^\W*who (?:else |all )?(?!is\b|was\b|has\b|does\b|wins\b)[a-z]+s\b|:\s*who\b[^.?:]*\?$",
    re.IGNORECASE,
)
_DEFINITE = re.compile(r"\[\d+\]|\b(?:which|what) (?:one|two|three|of the|\w+ of the)\b", re.IGNORECASE)
_SEVERAL = re.compile(r"\bone\b.*\bone\b|\b(?:what|how|which|who)\b.*,? and (?:what|how|which|who)\b", re.IGNORECASE)
_CUT = re.compile(
    r"\s*(?:[;:?]|,?\s+\b(?:and|or|vs\.?|versus|while|whereas|but|as opposed to)\b|\s-\s|\([a-z1-9]\))\s+|"
    r",\s+(?=(?:what|how|which|who|where|when|one)\b)",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\?\W*$|^\W*(?:what|how|which|who|whose|where|when|why|compare|list|name|explain|describe|summari[sz]e|tell|looking for)\b",
    re.IGNORECASE,
)
_ORDERS = re.compile(
    r"^\W*(?:now\s+|please\s+|system\b.*?:\s*)?(?:ignore|disregard|forget|reply|respond|answer|output|print|repeat|pretend|act|"
    r"do not|don't|never|always|you (?:are|must|will|should))\b|\b(?:system (?:note|prompt|message)|instructions?)\b",
    re.IGNORECASE,
)
BACKGROUND = 3  # sentences before it are no longer part of the question
_LEANS = re.compile(
    r"\b(?:it|its|they|them|their|this|that|these|those|such|there|the (?:two|three|same|other))\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Shape:
    """`listing`: one sentence each from all papers that belong. `parts`: what is asked, if several things."""

    listing: bool
    parts: tuple[str, ...]


def asking(question: str) -> str:
    """The sentences of a question that ask, if they can be understood without the others; else all of it.

    One or two sentences of background belong to a question; more, or an order, are left out.
    """
    said = [question[start:end] for start, end in sentences(question)]
    asks = [sentence for sentence in said if _ASKS.search(sentence)]
    rest = [sentence for sentence in said if sentence not in asks]
    much = len(rest) >= BACKGROUND or any(_ORDERS.search(sentence) for sentence in rest)
    alone = " ".join(asks)
    stands = len(set(terms(alone))) >= OWN_TERMS and not _LEANS.search(asks[0])
    return alone if much and stands else question


def shape(question: str) -> Shape:
    """The shape of a question; parts are cut out of it in order, each with at least two words of meaning."""
    if _LIST.search(question) and not _SEVERAL.search(question) and not _DEFINITE.search(question):
        return Shape(True, ())
    found = [part.strip() for part in _CUT.split(question) if part and len(set(terms(part))) >= 2]
    return Shape(False, tuple(found[:MOST_PARTS]) if len(found) > 1 else ())
