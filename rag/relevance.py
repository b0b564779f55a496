"""How well does a sentence answer a question? One number for rerank and synthesize alike.

Two signals that fail differently: the cosine of the embeddings (meaning), and the share of the
question's words that the sentence covers, rare words counting more (names, terms). A sentence is
read in its place: words of the title or of the sentence before it count, less, because a sentence
says "it" or "our method" where the question says the name. A question for a number is answered
by a sentence that has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from rag.records import Paper
from rag.text import STOPWORDS, Span, quantities, readable, stem, terms, words

if TYPE_CHECKING:
    import numpy as np

COSINE_WEIGHT = 0.5
CONTEXT_SHARE = 0.5  # of a word found only in the title or the sentence before
NUMBER_BONUS = 0.05
_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|large|big|long|fast|often|few|far|small|high|low|old)\b|"
    r"\b(?:what|which) (?:percentage|percent|fraction|share|number|factor|speed-?up|size|ratio|accuracy|score)\b|"
    r"\b(?:speed-?up|number of|percent(?:age)?|times faster|factor)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is compared: its vector, its words with their weights, and what it asks for."""

    text: str
    vector: np.ndarray
    weights: tuple[tuple[str, float], ...]
    number: bool

    @property
    def total(self) -> float:
        """Sum of the weights of its words."""
        return sum(weight for _, weight in self.weights)


@dataclass(frozen=True, slots=True)
class Scored:
    """A sentence of a paper with its score (0..1) and the words of the question it covers itself."""

    paper: Paper
    span: Span
    score: float
    cosine: float
    coverage: float
    covered: frozenset[str]

    @property
    def text(self) -> str:
        """The sentence, verbatim."""
        return self.paper.abstract[self.span.start : self.span.end]


def asked(question: str, vector: np.ndarray, frequency: Callable[[str], int], papers: int) -> Asked:
    """A question made comparable. `frequency(word)` is in how many of the `papers` a word stands.

    A word weighs its inverse document frequency, log(1 + papers / (1 + frequency)) (Robertson and
    Spärck Jones); a word that no paper has weighs most: that it is missing tells most.
    """
    wanted = {stem(word): word for word in words(question) if word not in STOPWORDS}
    weights = tuple((term, log(1 + papers / (1 + frequency(word)))) for term, word in wanted.items())
    return Asked(question, vector, weights, bool(_ASKS_NUMBER.search(question)))


def score_sentences(question: Asked, paper: Paper, sentences: Sequence[tuple[Span, np.ndarray]]) -> tuple[Scored, ...]:
    """Every sentence of a paper, in order, scored. Vectors are of unit length."""
    title = set(terms(readable(paper.title)))
    before: set[str] = set()
    scored = []
    for span, vector in sentences:
        text = readable(paper.abstract[span.start : span.end])
        own = set(terms(text))
        scored.append(_scored(question, paper, span, float(vector @ question.vector), own, title | before, text))
        before = own
    return tuple(scored)


def _scored(
    question: Asked, paper: Paper, span: Span, cosine: float, own: set[str], context: set[str], text: str
) -> Scored:
    covered = [(term, weight) for term, weight in question.weights if term in own]
    near = sum(weight for term, weight in question.weights if term not in own and term in context)
    coverage = (sum(weight for _, weight in covered) + CONTEXT_SHARE * near) / (question.total or 1.0)
    score = COSINE_WEIGHT * max(0.0, cosine) + (1 - COSINE_WEIGHT) * coverage
    if question.number and quantities(text):
        score += NUMBER_BONUS
    return Scored(paper, span, min(1.0, score), cosine, coverage, frozenset(term for term, _ in covered))
