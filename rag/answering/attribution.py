"""A claim and the sentences of a paper -> does the paper bear the claim out?

First, does it speak of what is claimed: a logistic of how near its nearest sentence is in meaning, how much of the
claim's wording its title and one sentence hold, how likely its quotes support the claim (`rag.answering.support`) and
whether a name is missing; fitted on every other claim of `evals/claims.jsonl`. Then, does it say the same: a figure that its quotes give
otherwise, or a word that they turn round, makes the paper differ; a figure or name that it lacks leaves it unclear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import exp
from typing import NamedTuple

from rag.answering.contrary import contrary
from rag.answering.relevance import Matched, Question
from rag.answering.support import Encode, Quote, compare, likelihood, missing_names, signals, stated
from rag.attributed import Bearing, Bears
from rag.numbers import asked_numbers, gives_number, missing_numbers, other_numbers
from rag.records import Citation, Paper, Sentence
from rag.text import readable, terms

RANKED: tuple[Bears, ...] = ("supports", "differs", "unclear")  # the order in which they are shown
NEAR = "only near"  # begins the reason of a paper against which nothing speaks
QUOTES = 3  # sentences that a paper is judged by; those that give a figure come on top
DOUBTED = 0.6  # share of the claim's words that a quote must hold behind what doubts them
GAIN = 0.15  # share of the claim's weight that another sentence must add
WORDS_SHARE = 0.7  # of the words held next to the cosine, when the first sentence is chosen
WEIGHTS = (1.61, 3.33, 1.69, -3.23)  # of nearest, held, supported, name missing
OFFSET = -2.12
SURE = 0.85  # least score of a paper that supports a claim
SPEAKS = 0.72  # ... and of one that gives another figure
TURNS = 0.85  # ... and of one that turns a word round, which is less easily told


class About(NamedTuple):
    """How a paper fits a claim. Shares and cosines are 0..1."""

    nearest: float  # cosine of the claim and the paper's nearest sentence
    held: float  # share of the claim's weight in the title and one sentence
    supported: float  # likelihood that the quotes support it, figures aside
    unnamed: float  # 1 if a name of the claim stands nowhere in the paper

    @property
    def score(self) -> float:
        """How surely the paper speaks of what is claimed, 0..1."""
        return 1 / (1 + exp(-sum(w * s for w, s in zip(WEIGHTS, self, strict=True)) - OFFSET))


def bearing(
    question: Question,
    paper: Paper,
    near: Sequence[Matched],
    sentences: Sequence[Sentence],
    rank: int,
    *,
    encode: Encode,
    frequency: Callable[[str], int],
    papers: int,
) -> Bearing:
    """What a paper says on a claim, which `question` holds as it is compared.

    `near` are its `sentences` matched with the claim, in order; `encode`, `frequency` and `papers` as in `judged`.
    """
    claim = question.text
    chosen = quoted(question, near)
    texts = [readable(one.text) for one in chosen]
    about = fit(question, paper, near, chosen, sentences, encode=encode, frequency=frequency, papers=papers)
    verdict, reason = verdict_on(claim, about, texts, [readable(paper.title), readable(paper.abstract)])
    quotes = tuple(Citation(rank, paper, one.text, one.span.start, one.span.end) for one in chosen)
    return Bearing(paper, verdict, quotes, about.score, reason)


def is_only_near(one: Bearing) -> bool:
    """Is nothing known against its support of the claim but that their words are few?"""
    return one.verdict == "unclear" and one.reason.startswith(NEAR)


def numbered(one: Bearing, rank: int) -> Bearing:
    """The same at another rank, which its quotes bear."""
    return replace(one, quotes=tuple(replace(quote, number=rank) for quote in one.quotes))


def fit(
    question: Question,
    paper: Paper,
    near: Sequence[Matched],
    chosen: Sequence[Matched],
    sentences: Sequence[Sentence],
    *,
    encode: Encode,
    frequency: Callable[[str], int],
    papers: int,
) -> About:
    """How a paper fits a claim, judged by the sentences chosen of it."""
    claim, vectors = stated(question.text), {one.span: one.vector for one in sentences}
    quotes = [Quote(readable(one.text), vectors[one.span]) for one in chosen]
    seen = signals(compare(claim, quotes, vector=question.vector, encode=encode, frequency=frequency, papers=papers))
    titled = frozenset(terms(readable(paper.title)))
    weigh = dict(question.weights)
    held = max(sum(weigh[term] for term in weigh.keys() & (titled | one.covered)) for one in near)
    names = missing_names(claim, [readable(paper.title), readable(paper.abstract)])
    nearest = max(one.cosine for one in near)
    return About(nearest, held / (question.total or 1.0), likelihood(seen, with_vectors=True), float(bool(names)))


def verdict_on(claim: str, about: About, quotes: Sequence[str], paper: Sequence[str]) -> tuple[Bears, str]:
    """What quotes of a paper say on a claim, and why; `paper` are its title and abstract."""
    missing = missing_numbers(claim, quotes)
    plain = stated(claim)
    turned = _of_one(contrary(plain, quotes)) or _doubted(plain, quotes) or _exchanged(plain, quotes)
    if about.score >= SPEAKS and (others := other_numbers(claim, quotes)):
        return "differs", f"the abstract says {' and '.join(others)}, not {', '.join(missing)}"
    if about.score >= TURNS and turned:
        return "differs", turned
    if missing:
        return "unclear", f"the abstract does not give {', '.join(missing)}"
    if turned:
        return "unclear", turned
    if names := missing_names(plain, paper):
        return "unclear", f"the abstract does not name {', '.join(names)}"
    if about.score < SURE:
        return "unclear", f"{NEAR}: {about.held:.0%} of the claim's words are there"
    return "supports", f"holds {about.held:.0%} of the claim's words" + (
        " and every figure" if asked_numbers(claim) else ""
    )


_DOUBTS = re.compile(  # what a paper says of a statement that it does not make
    r"\b(?:no|little|insufficient|lack of|without) (?:\w+ )?(?:evidence|indication|sign|proof|support) (?:that|of|for|to)\b|"
    r"\b(?:not|never|cannot|neither|nor|unable to|fail(?:s|ed)? to) (?:\w+ly )?(?:find|show|support|confirm|observe|detect|demonstrate|imply|mean)\b|"
    r"\bcontrary to\b|\b(?:myth|misconception|untrue|false|incorrect) that\b|\b(?:refut|disprov|contradict|challeng|reject)\w* (?:the |a )?(?:\w+ )?"
    r"(?:hypothesis|claim|notion|belief|idea|assumption|view)\b",
    re.IGNORECASE,
)
_THAN = re.compile(r"\b(?P<how>\w+) (?:than|instead of)\b", re.IGNORECASE)
BESIDE = 3  # words after "than" that say what is compared


def _doubted(claim: str, quotes: Sequence[str]) -> str:
    """What a quote calls unproven or untrue and the claim says plainly, in words; "" for nothing."""
    if _DOUBTS.search(claim):
        return ""
    wanted = set(terms(claim))
    for quote in quotes:
        found = _DOUBTS.search(quote)
        if found and wanted and len(wanted & set(terms(quote[found.end() :]))) >= DOUBTED * len(wanted):
            return f'the abstract says "{quote[found.start() : found.end()].strip()}" of it'
    return ""


def _exchanged(claim: str, quotes: Sequence[str]) -> str:
    """Two things that a quote compares the other way round ("A more than B", "B more than A"), in words; "" for none."""
    said = _compared(claim)
    for heard in filter(None, map(_compared, quotes)):
        if not said or said[0] != heard[0]:
            continue
        _, left, right = said
        _, other_left, other_right = heard
        mine, theirs = right - left, other_right - other_left
        if mine and theirs and not mine & theirs and mine <= other_left and theirs & left:
            return f'the abstract compares the other way round: "{said[0]} than"'
    return ""


def _compared(text: str) -> tuple[str, frozenset[str], frozenset[str]] | None:
    """How a sentence compares, the terms before that, and the first ones after it; None where it does not, or twice."""
    found = list(_THAN.finditer(text))
    if len(found) != 1:
        return None
    after = list(dict.fromkeys(terms(text[found[0].end() :])))[:BESIDE]
    return found[0]["how"].lower(), frozenset(terms(text[: found[0].start()])), frozenset(after)


_VERBS = {
    "do not deny": "does not deny",
    "do not say": "does not say",
    "deny": "denies",
    "say": "says",
    "give": "gives",
}


def _of_one(reason: str) -> str:
    """What is said of "the quotes", said of the abstract."""
    found = re.match(rf"the quotes ({'|'.join(_VERBS)})\b", reason)
    return f"the abstract {_VERBS[found[1]]}{reason[found.end() :]}" if found else reason


def quoted(question: Question, near: Sequence[Matched]) -> list[Matched]:
    """The sentences that a claim may rest on, in order: the nearest, those that add to it, and those with its figures."""
    weigh, total = dict(question.weights), question.total or 1.0

    def share(terms: frozenset[str]) -> float:
        return sum(weigh[term] for term in terms) / total

    rest = list(near)
    chosen = [max(rest, key=lambda one: one.cosine + WORDS_SHARE * share(one.covered))]
    rest.remove(chosen[0])
    covered = chosen[0].covered
    while rest and len(chosen) < QUOTES:
        best = max(rest, key=lambda one: (share(one.covered - covered), one.cosine))
        if share(best.covered - covered) < GAIN:
            break
        chosen.append(best)
        rest.remove(best)
        covered |= best.covered
    for number in asked_numbers(question.text):
        if not any(gives_number(readable(one.text), number) for one in chosen):
            giving = [one for one in rest if gives_number(readable(one.text), number)]
            chosen += [max(giving, key=lambda one: one.cosine)] if giving else []
            rest = [one for one in rest if one not in chosen]
    chosen += _giving_another(question.text, chosen, rest)
    return sorted(chosen, key=lambda one: one.span)


def _giving_another(claim: str, chosen: Sequence[Matched], rest: Sequence[Matched]) -> list[Matched]:
    """The nearest sentence that gives another figure in the place of one that those chosen lack, if none of them does."""
    texts = [readable(one.text) for one in chosen]
    if not missing_numbers(claim, texts) or other_numbers(claim, texts):
        return []
    counting = sorted((one for one in rest if any(map(str.isdigit, one.text))), key=lambda one: -one.cosine)
    return [one for one in counting[:QUOTES] if other_numbers(claim, [readable(one.text)])][:1]
