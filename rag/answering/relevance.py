"""How well does a sentence answer a question? One number for rerank and synthesize alike.

A sentence is described by some signals that a person can check: how near its meaning is, how
much of the question's wording it covers (rare words counting more), where it stands, whether it
reports a finding or announces a contribution, whether it has what is asked for (a number, a cause).
A linear model adds them up; its weights are plain numbers, learned by `evals/bench/relevance.py`
from the rationale sentences of SciFact's training claims, `evals/train.jsonl` and the dev split of the gold set, with a
softmax over the sentences of one abstract (ListNet's top-one loss, Cao et al., 2007). What they say
in words: prefer a finding that covers the question's words, late in the abstract and with something
new in it, to an opening sentence that merely repeats the topic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log, log1p
from typing import TYPE_CHECKING, NamedTuple

from rag.numbers import quantities
from rag.records import Hit, Paper, Sentence
from rag.text import STOPWORDS, Span, compound_stem, compounds, readable, stem, terms, words

if TYPE_CHECKING:
    import numpy as np

_ASKS = re.compile(r"\b(?:how|why|which|who|when|where|what(?! about\b))\b", re.IGNORECASE)
_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|large|big|long|fast|often|few|far|small|high|low|old|well|good|bad\w*|close|strong\w*|accurate\w*)\b|"
    r"\bby how\b|\b(?:times|percent(?:age)?|fraction|share|number|factor|speed-?up|size|ratio|accuracy|score|count|gain|"
    r"saving|improvement|rate|range|average|total|correlation|BLEU|F1|mAP|MRR)s?\b",
    re.IGNORECASE,
)
_UNITS = tuple(
    (re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), units.split())
    for pattern, units in (
        (
            r"how long|how soon|time|latency|hours?|minutes?|days?",
            "second minut hour day week month year ms millisecond s",
        ),
        (r"how much (?:\w+ )?(?:faster|larger|bigger|smaller|more)|times|factor|speed-?ups?|fold|faster", "x"),
        (r"percent(?:age)?|fraction|share|accuracy|scores?|rate|how (?:often|accurate|much)|by how much", "%"),
    )
)
_COUNTED = re.compile(r"\bhow many ((?:[\w-]+ ?){1,3})", re.IGNORECASE)
_ASKS_CAUSE = re.compile(r"\b(?:why|reasons?|causes?|what (?:makes|explains)|how come)\b", re.IGNORECASE)
_ASKS_YES_OR_NO = re.compile(
    r"^\W*(?:(?:and|so|but|ok),?\s+)?(?:is|are|was|were|do|does|did|can|could|has|have|will|would|should)\b",
    re.IGNORECASE,
)
_ASKS_RANK = re.compile(
    r"\b(?:best|most|highest|lowest|worst|least|wins?|top|ahead|strongest|better|worse|than|beat|compare\w*|versus|vs)\b",
    re.IGNORECASE,
)
_FINDING = re.compile(
    r"\b(?:achiev|outperform|improv|reduc|increas|show|demonstrat|find|found|reveal|result|yield|lead|surpass|superior|"
    r"faster|better|best|highest|lowest|significant|compar|conclude|suggest|observe|indicat|attain|reach|up to)\w*",
    re.IGNORECASE,
)
_ANNOUNCING = re.compile(
    r"\b(?:we (?:propose|introduce|present|develop|design|describe)|"
    r"this (?:paper|work) (?:proposes|introduces|presents))\b",
    re.IGNORECASE,
)
_HERE = re.compile(
    r"\b(?:in this (?:paper|work|study|report)|this (?:paper|work|study|survey) \w+s|here,? we)\b", re.IGNORECASE
)
_CAUSE = re.compile(
    r"\b(?:because|due to|since|caus\w+|reason\w*|owing|attribut\w+|stem\w*|thereby|therefore|driven|arise\w*|"
    r"result(?:s|ing)? (?:from|in|of)|explain\w*|as a consequence|leads? to|bottleneck\w*|limit\w*|suffer\w*|fail\w*)\b",
    re.IGNORECASE,
)
_DIFFICULTY = re.compile(
    r"\b(?:however|but|although|despite|challeng\w+|difficult\w*|lack\w*|problem\w*|remain\w*|suffer\w*|limit\w*)\b",
    re.IGNORECASE,
)
_RANKED = re.compile(
    r"\b(?:best|most|highest|lowest|worst|least|top|leading|outperform\w*|surpass\w*|only|superior|better|worse|than)\b",
    re.IGNORECASE,
)


_GOODS = (
    r"(?:code|source|implementation|data|models?|data ?sets?|benchmark|resources?|demo|videos?|checkpoints?|weights|materials?|scripts?|"
    r"package|toolkit|page|website|leaderboard|annotations|prompts|everything)"
)
_TELLS_WHERE = re.compile(
    rf"https?:|\b{_GOODS}\b[^.]{{0,50}}\b(?:is|are|be|been|made) (?:\w+ly |also |now |all )*(?:available|released|accessible|hosted|open-?sourced|found)\b|"
    rf"^(?:… )?(?:finally, |lastly, )?we (?:will |also |\w+ly )*(?:release|open-?source|publish|make)\b[^.]*\b{_GOODS}\b",
    re.IGNORECASE,
)
MOST_WORDS = 30  # of a sentence that says nothing but where something is
_ASKS_WHERE = re.compile(
    r"\b(?:code|link|url|github|repo\w*|website|download\w*|available|availab\w+|releas\w+|open|public\w*|where|access\w*|page|published?)\b",
    re.IGNORECASE,
)


class Signals(NamedTuple):
    """What is known of a sentence as an answer. Shares are 0..1, flags 0 or 1."""

    cosine: float  # of the embeddings of question and sentence
    coverage: float  # share of the question's weight whose words stand in the sentence
    specific: float  # share of the weight of the words that are not in the title: any sentence is about the others
    ahead: float  # share of the weight whose words only the sentence after it holds: this one leads up to it
    behind: float  # share of the weight whose words stand in the sentence before it
    position: float  # 0 the first sentence of the abstract, 1 the last
    first: float
    last: float
    finding: float  # words of a result
    announcing: float  # "we propose"
    number: float  # a number is asked for, and it has one
    unit: float  # it has a number in the unit asked for: a time, a factor, a share, the things counted
    cause: float  # a cause is asked for, and it has words of one
    ranked: float  # a best, a worst or a comparison is asked for, and it has words of one
    verdict: float  # yes or no is asked for, and it has words of a result
    difficulty: float  # words of a difficulty, though no cause is asked for
    length: float  # log of its words
    novelty: float  # log of 1 + its words that the question does not have


WEIGHTS = Signals(
    cosine=2.876,
    coverage=1.677,
    specific=2.187,
    ahead=-0.889,
    behind=0.498,
    position=1.385,
    first=-0.378,
    last=-0.403,
    finding=0.299,
    announcing=0.830,
    number=1.341,
    unit=1.645,
    cause=1.827,
    ranked=0.865,
    verdict=1.096,
    difficulty=-0.186,
    length=0.571,
    novelty=-0.217,
)
BIAS = -6.213
QUOTED_SHARE = 0.8  # of the score of a sentence quoted before
CONTEXT_SHARE = 0.2  # of the weight of a word that was only asked before


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it is compared: its vector, its words with their weights, and what it asks for."""

    text: str
    vector: np.ndarray
    weights: tuple[tuple[str, float], ...]
    number: bool
    units: frozenset[str]
    cause: bool
    ranked: bool
    verdict: bool

    @property
    def total(self) -> float:
        """Sum of the weights of its words."""
        return sum(weight for _, weight in self.weights)


@dataclass(frozen=True, slots=True)
class Matched:
    """A sentence of a paper next to a question: the cosine of the two, and the question's terms it holds itself."""

    paper: Paper
    span: Span
    cosine: float
    covered: frozenset[str]

    @property
    def text(self) -> str:
        """The sentence, verbatim."""
        return self.paper.abstract[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class Scored(Matched):
    """A sentence matched, and how well it answers, 0..1."""

    score: float


class Part(NamedTuple):
    """A question, or a part of one, with how well papers fit it (0..1, by paper id)."""

    question: Question
    merits: Mapping[str, float]


def question_of(
    question: str, vector: np.ndarray, frequency: Callable[[str], int], papers: int, *, context: str = ""
) -> Question:
    """A question made comparable. `frequency(word)` is in how many of the `papers` a word stands.

    A word weighs its inverse document frequency, log(1 + papers / (1 + frequency)) (Robertson and
    Spärck Jones); a word that no paper has weighs most: that it is missing tells most. Words of the
    `context` (what was asked before) weigh a share of that.
    """
    own, around = _wanted(question), _wanted(context)
    shares = [(own, 1.0), ({term: word for term, word in around.items() if term not in own}, CONTEXT_SHARE)]
    weights = tuple(
        (term, share * log(1 + papers / (1 + frequency(word))))
        for found, share in shares
        for term, word in found.items()
    )
    asking = question if _ASKS.search(question) else f"{question} {context}"  # "and for French?" asks what was asked
    number, cause, ranked = (bool(asks.search(asking)) for asks in (_ASKS_NUMBER, _ASKS_CAUSE, _ASKS_RANK))
    return Question(
        question, vector, weights, number, _units(asking), cause, ranked, bool(_ASKS_YES_OR_NO.search(question))
    )


def _wanted(text: str) -> dict[str, str]:
    """The terms of a text, each with the word it came from."""
    wanted = {stem(word): word for word in words(text) if word not in STOPWORDS}
    return wanted | {compound_stem(word): word for word in compounds(text)}


def _units(question: str) -> frozenset[str]:
    """The units in which the number asked for may stand, as `quantities` names them."""
    found = {unit for pattern, units in _UNITS if pattern.search(question) for unit in units}
    counted = _COUNTED.search(question)
    return frozenset(found | set(terms(counted[1])) if counted else found)


def sentence(abstract: str, span: Span, vector: np.ndarray) -> Sentence:
    """A sentence of an abstract, ready to be compared."""
    return Sentence(span, vector, frozenset(terms(readable(abstract[span.start : span.end]))))


def match_sentences(question: Question, paper: Paper, sentences: Sequence[Sentence]) -> tuple[Matched, ...]:
    """Every sentence of a paper, in order, matched; cheap next to `score_sentences`."""
    wanted = [term for term, _ in question.weights]
    return tuple(
        Matched(paper, s.span, float(s.vector @ question.vector), frozenset(term for term in wanted if term in s.terms))
        for s in sentences
    )


def score_sentences(question: Question, paper: Paper, sentences: Sequence[Sentence]) -> tuple[Scored, ...]:
    """Every sentence of a paper, in order, scored."""
    matched = match_sentences(question, paper, sentences)
    seen = signals(question, paper.title, paper.abstract, sentences)
    return tuple(
        Scored(paper, m.span, m.cosine, m.covered, likelihood(signal)) for m, signal in zip(matched, seen, strict=True)
    )


def signals(question: Question, title: str, abstract: str, sentences: Sequence[Sentence]) -> list[Signals]:
    """The signals of every sentence of an abstract, in order."""
    texts = [readable(abstract[s.span.start : s.span.end]) for s in sentences]
    titled = frozenset(terms(readable(title)))
    return [_signals(question, titled, at, texts[at], sentences) for at in range(len(texts))]


Blend = Callable[[Question, tuple[Scored, ...]], tuple[Scored, ...]]  # the sentences of a paper -> with other scores


class Sentences:
    """The sentences of some papers next to questions, each compared once.

    `kept` has those of a paper by its id. Those `quoted` earlier in a conversation, (paper id, start), are less
    likely to be asked for.
    """

    def __init__(
        self,
        kept: Mapping[str, Sequence[Sentence]],
        quoted: frozenset[tuple[str, int]],
        blend: Blend | None = None,
    ) -> None:
        """`blend` changes the scores of a paper's sentences by what is known beside the signals."""
        self._kept, self._quoted, self._blend = kept, quoted, blend
        self._matched: dict[tuple[str, str], Sequence[Matched]] = {}
        self._scored: dict[tuple[str, str], Sequence[Scored]] = {}

    def matched(self, question: Question, paper: Paper) -> Sequence[Matched]:
        """How near each sentence of the paper is to the question, in meaning and words."""
        key = question.text, paper.id
        if key not in self._matched:
            self._matched[key] = match_sentences(question, paper, self._kept.get(paper.id, ()))
        return self._matched[key]

    def scored(self, question: Question, paper: Paper) -> Sequence[Scored]:
        """How well each sentence of the paper answers the question."""
        key = question.text, paper.id
        if key not in self._scored:
            scored = score_sentences(question, paper, self._kept.get(paper.id, ()))
            scored = self._blend(question, scored) if self._blend else scored
            self._scored[key] = tuple(
                replace(s, score=QUOTED_SHARE * s.score) if (paper.id, s.span.start) in self._quoted else s
                for s in scored
            )
        return self._scored[key]

    def of(self, paper: Paper) -> Sequence[Sentence]:
        """The sentences of a paper, with their vectors."""
        return self._kept.get(paper.id, ())

    def blended(self, blend: Blend) -> Sentences:
        """The same sentences, their scores changed by `blend`."""
        return Sentences(self._kept, self._quoted, blend)


class Ranked(NamedTuple):
    """A text as it is compared, the sentences of papers next to it, and its hits, best first."""

    question: Question
    sentences: Sentences
    hits: tuple[Hit, ...]

    def near(self, paper: Paper) -> Sequence[Matched]:
        """The sentences of a paper, compared with the text."""
        return self.sentences.matched(self.question, paper)


def announces(text: str) -> bool:
    """Does a sentence say what its paper contributes ("we propose")?"""
    return bool(_ANNOUNCING.search(text) or _HERE.search(text))


def tells_where(text: str) -> bool:
    """Does a sentence only say where code or data can be had?"""
    return len(text.split()) <= MOST_WORDS and bool(_TELLS_WHERE.search(text)) and not announces(text)


def asks_where(question: str) -> bool:
    """May a sentence that says where code is answer the question?"""
    return bool(_ASKS_WHERE.search(question))


def likelihood(signal: Signals) -> float:
    """0..1, comparable between questions: the logistic of the weighted signals."""
    return 1 / (1 + exp(-sum(w * s for w, s in zip(WEIGHTS, signal, strict=True)) - BIAS))


def _signals(question: Question, titled: frozenset[str], at: int, text: str, sentences: Sequence[Sentence]) -> Signals:
    own, last = sentences[at].terms, len(sentences) - 1
    before = sentences[at - 1].terms if at else frozenset()
    after = sentences[at + 1].terms if at < last else frozenset()
    covered = frozenset(term for term, _ in question.weights if term in own)
    total = question.total or 1.0
    special = [(term, weight) for term, weight in question.weights if term not in titled]
    numbers = quantities(text) if question.number else ()
    return Signals(
        cosine=float(sentences[at].vector @ question.vector),
        coverage=sum(weight for term, weight in question.weights if term in own) / total,
        specific=sum(weight for term, weight in special if term in own) / (sum(w for _, w in special) or 1.0),
        ahead=sum(weight for term, weight in question.weights if term in after and term not in own) / total,
        behind=sum(weight for term, weight in question.weights if term in before) / total,
        position=at / last if last else 0.0,
        first=float(at == 0),
        last=float(at == last),
        finding=float(bool(_FINDING.search(text))),
        announcing=float(bool(_ANNOUNCING.search(text))),
        number=float(bool(numbers)),
        unit=float(any(number.unit in question.units for number in numbers)),
        cause=float(question.cause and bool(_CAUSE.search(text))),
        ranked=float(question.ranked and bool(_RANKED.search(text))),
        verdict=float(question.verdict and bool(_FINDING.search(text))),
        difficulty=float(not question.cause and bool(_DIFFICULTY.search(text))),
        length=log(1 + len(text.split())),
        novelty=log1p(len(own - covered)),
    )
