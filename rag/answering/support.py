"""Do the quotes support the claim? A probability, and what stands in its way.

A claim (a sentence a chat model wrote) is set next to the sentences it cites. What a person would
look for becomes a signal: are its words there, or words close to them; do the quotes mean the same; does
a word that both have stand among words of rise on one side and of fall or denial on the other
("decreases the risk" and "a higher risk")? A logistic regression adds them up: plain numbers, learned by
`evals/bench/support.py` from SciFact, HealthVer and AttributionBench; those with a reader from small edits of claims too. Numbers are not weighed: a number
that no quote gives is a veto. Missing names are told, for they often stand in the title alone.

With `encode` words that the quotes lack may be near in meaning to what stands there; without it, a
second row of weights judges by words alone. With `read`, a third one weighs what a model says that sees claim and
quotes together (`rag.library.reader`). It is no proof: what is said in quite other words, or
denied in words not listed here, goes wrong (the bench says how often).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, log, prod
from typing import TYPE_CHECKING, Any, NamedTuple

from rag.numbers import missing_numbers, squashed
from rag.text import STOPWORDS, apart, folded, readable, stem, words

if TYPE_CHECKING:
    import numpy as np


class Signals(NamedTuple):
    """What is known of a claim next to its quotes. Shares are 0..1; those marked * need vectors, else 0."""

    covered: float  # share of the claim's words in the quotes, rare ones weighing more; a missing one by its cosine *
    meaning: float  # * cosine of the claim and the quotes taken together
    opposed: float  # share of its words that stand among words of the other direction in the quotes
    agreed: float  # share of its words that stand among words of the same direction in the quotes
    leaning: float  # * how far claim and quotes lie apart on the axes of rise and fall, yes and no
    read: float = 0.0  # log odds that the quotes support it, by the reader; 0 where nothing was read


WEIGHTS = Signals(covered=2.130, meaning=3.493, opposed=-2.928, agreed=1.715, leaning=-5.316)
BIAS = -3.398
# where a reader reads it beside the quotes:
WEIGHTS_READ = Signals(covered=-0.193, meaning=1.856, opposed=-2.295, agreed=0.585, leaning=-3.849, read=0.347)
BIAS_READ = -0.721  # less log 1.5 than learned: so that 0.4 asks as much of a claim with a reader as without
# where there are no vectors:
WEIGHTS_BY_WORDS = Signals(covered=2.905, meaning=0.0, opposed=-3.263, agreed=2.243, leaning=0.0)
BIAS_BY_WORDS = -1.761


class Quote(NamedTuple):
    """A sentence that a claim cites; its vector (of unit length) where the library has it."""

    text: str
    vector: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Support:
    """How well quotes support a claim; 0 where a number of it is missing."""

    probability: float
    missing_numbers: tuple[str, ...]
    missing_names: tuple[str, ...]
    opposed: bool  # a quote says the contrary, as far as words of direction and denial tell
    reason: str  # one line for a reader


Encode = Callable[[list[str]], Any]  # texts -> rows of unit length
Read = Callable[[str, str, Sequence[str]], float]  # a claim, a title, which may be empty, quotes -> log odds of support
READ_QUOTES = 6  # quotes that are read, those nearest to the claim


def kept(encode: Encode) -> Encode:
    """An encoder that does nothing twice."""
    known: dict[str, Any] = {}

    def encoded(texts: list[str]) -> list[Any]:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, encode(new), strict=True) if new else ())
        return [known[text] for text in texts]

    return encoded


def judged(
    claim: str,
    quotes: Sequence[Quote | tuple[str, Any]],
    *,
    vector: Any = None,
    encode: Encode | None = None,
    frequency: Callable[[str], int] | None = None,
    papers: int = 0,
    read: Read | None = None,
    title: str = "",
) -> Support:
    """Judge a claim, without marks such as [1], by its quotes, of one paper or several.

    `vector` is the claim's, if it is known; what has none is encoded. `read` reads the claim beside the quotes, under the
    `title` of their paper; it counts together with `encode` only. `encode` should be the same
    object each time: what it gives for a few fixed phrases is kept. `frequency(word)` is in how many
    of the `papers` a word stands; without it all words weigh the same.
    """
    texts = [readable(text) for text, _ in quotes]
    numbers = missing_numbers(claim, texts)
    claim = stated(claim)
    if not texts or not words(claim):
        return Support(0.0, numbers, (), False, "there is nothing to compare")
    compared = compare(claim, quotes, vector=vector, encode=encode, frequency=frequency, papers=papers)
    seen = signals(compared)
    if read and encode and not numbers:
        seen = seen._replace(read=read(claim, title, nearest(compared)))
    names = missing_names(claim, texts)
    opposed = seen.opposed - seen.agreed >= OPPOSED
    chance = 0.0 if numbers else likelihood(seen, with_vectors=encode is not None, read=read is not None)
    return Support(chance, numbers, names, opposed, _reason(seen, numbers, names, opposed))


_ANSWER_WORD = re.compile(
    r"(?:yes|no|indeed|correct|ja|nein|oui|non|sí|si|sim|não)\s*(?:[,;:.!]|[–—-]\s)\s*", re.IGNORECASE
)


def stated(claim: str) -> str:
    """A claim without an answer word in front: "No, it has 2,400 questions" denies nothing."""
    claim = apart(claim)
    found = _ANSWER_WORD.match(claim)
    return claim[found.end() :] if found and claim[found.end() :].strip() else claim


def likelihood(seen: Signals, *, with_vectors: bool, read: bool = False) -> float:
    """0..1: the logistic of the weighted signals."""
    weights, bias = (WEIGHTS, BIAS) if with_vectors else (WEIGHTS_BY_WORDS, BIAS_BY_WORDS)
    weights, bias = (WEIGHTS_READ, BIAS_READ) if with_vectors and read else (weights, bias)
    return 1 / (1 + exp(-sum(w * s for w, s in zip(weights, seen, strict=True)) - bias))


def _reason(seen: Signals, numbers: Sequence[str], names: Sequence[str], opposed: bool) -> str:
    if numbers:
        return f"the quotes do not give {', '.join(numbers)}"
    if opposed:
        return "the quotes seem to say the contrary"
    share = f"the quotes hold {min(seen.covered, 1.0):.0%} of what it says"
    return f"{share}, but not {', '.join(names)}" if names else share


# --- the signals --------------------------------------------------------------------------------

OPPOSED = 0.25  # least share of its words that stand in the other direction, net, to call a claim opposed
SHARPNESS = 10.0  # the nearest quotes speak for all: a softmax over cosine and coverage
NEAR = 1.5  # times its largest cosine with a quote is what a missing word counts
COVERAGE_SHARE = 0.7  # of coverage next to cosine, when the nearest quote is looked for


@dataclass(frozen=True, slots=True)
class Compared:
    """A claim next to its quotes, everything counted once; without vectors the last four are empty or 0."""

    claim: str
    quotes: tuple[str, ...]
    quoted: tuple[frozenset[str], ...]  # stems of each quote
    weights: Mapping[str, float]  # of the claim's stems
    near: Mapping[str, float]  # a missing stem -> its largest cosine with a quote
    cosines: tuple[float, ...]  # of the claim and each quote
    meaning: float  # cosine of the claim and the sum of all quotes
    leaning: tuple[float, ...]  # of each quote: how far from the claim along the axes


def signals(compared: Compared) -> Signals:
    """The signals of a claim; `compare` makes what it takes."""
    shares = _shares(compared)
    opposed, agreed = zip(*(directions(compared.claim, quote) for quote in compared.quotes), strict=True)
    return Signals(
        covered=_covered(compared),
        meaning=compared.meaning,
        opposed=_mean(opposed, shares),
        agreed=_mean(agreed, shares),
        leaning=_mean(compared.leaning, shares) if compared.leaning else 0.0,
    )


def nearest(compared: Compared) -> list[str]:
    """The quotes nearest to the claim, at most `READ_QUOTES`, in their order."""
    shares = _shares(compared)
    chosen = sorted(range(len(shares)), key=lambda at: -shares[at])[:READ_QUOTES]
    return [compared.quotes[at] for at in sorted(chosen)]


def compare(
    claim: str,
    quotes: Sequence[Quote | tuple[str, Any]],
    *,
    vector: Any = None,
    encode: Encode | None = None,
    frequency: Callable[[str], int] | None = None,
    papers: int = 0,
) -> Compared:
    """All that the signals are counted from. A word weighs log(1 + papers / (1 + frequency)), as in `relevance`."""
    texts = tuple(readable(text) for text, _ in quotes)
    said = _pairs(claim)
    quoted = tuple(frozenset(s for s, _ in _pairs(text)) for text in texts)
    weights = {s: log(1 + papers / (1 + frequency(word))) if frequency else 1.0 for s, word in said}
    bare = Compared(claim, texts, quoted, weights, {}, (), 0.0, ())
    return _with_vectors(bare, dict(said), vector, [v for _, v in quotes], encode) if encode else bare


def _with_vectors(bare: Compared, said: Mapping[str, str], own: Any, given: Sequence[Any], encode: Encode) -> Compared:
    """One call of `encode` for all that has no vector yet, words that the quotes lack among it."""
    held = frozenset().union(*bare.quoted)
    lacking = {s: word for s, word in said.items() if not _holds(held, s)}
    unknown = [bare.claim] if own is None else []
    unknown += [text for text, vector in zip(bare.quotes, given, strict=True) if vector is None]
    unknown += lacking.values()
    rows = dict(zip(unknown, encode(unknown), strict=True)) if unknown else {}
    own = rows[bare.claim] if own is None else own
    vectors = [rows[text] if v is None else v for text, v in zip(bare.quotes, given, strict=True)]
    total: Any = sum(vectors)
    axes = _axes(encode)
    return replace(
        bare,
        near={s: max(float(v @ rows[word]) for v in vectors) for s, word in lacking.items()},
        cosines=tuple(float(v @ own) for v in vectors),
        meaning=float(total @ own) / (float(total @ total) ** 0.5 or 1.0),
        leaning=tuple(sum(abs(float((v - own) @ axis)) for axis in axes) / len(axes) for v in vectors),
    )


def _pairs(text: str) -> list[tuple[str, str]]:
    """(stem, word) for the words that carry meaning, in order."""
    return [(stem(word), word) for word in words(text) if word not in STOPWORDS]


def _shares(compared: Compared) -> list[float]:
    """How much each quote has to say on the claim; they sum to 1."""
    weights, total = compared.weights, sum(compared.weights.values()) or 1.0
    held = [sum(weights[s] for s in weights.keys() & quoted) / total for quoted in compared.quoted]
    cosines = compared.cosines or [0.0] * len(held)
    scores = [c + COVERAGE_SHARE * h for c, h in zip(cosines, held, strict=True)]
    parts = [exp(SHARPNESS * (score - max(scores))) for score in scores]
    return [part / sum(parts) for part in parts]


def _mean(values: Sequence[float], shares: Sequence[float]) -> float:
    return sum(value * share for value, share in zip(values, shares, strict=True))


def _covered(compared: Compared) -> float:
    held = frozenset().union(*compared.quoted)
    weights, total = compared.weights, sum(compared.weights.values())
    worth = [w * (1.0 if _holds(held, s) else NEAR * max(0.0, compared.near.get(s, 0.0))) for s, w in weights.items()]
    return sum(worth) / total if total else 1.0


def _holds(held: frozenset[str], wanted: str) -> bool:
    """Is the stem among these, or one that begins alike ("induc", "induct")?"""
    return wanted in held or any(_kin(wanted, other) for other in held if other[0] == wanted[0])


def _kin(one: str, other: str) -> bool:
    shorter, longer = sorted((len(one), len(other)))
    alike = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), shorter)
    return alike >= 6 or alike >= max(5, 0.6 * longer)


# --- direction and denial -----------------------------------------------------------------------

BEFORE, AFTER = 4, 4  # words around a word whose direction counts for it
_RISE = tuple(
    """increas enhanc improv promot elevat rais rise rising rose grow greater higher more larger upregul activat induc
    stimulat accelerat positiv facilitat gain strengthen augment expand better best longer stronger exacerbat amplif
    excess high overexpress faster boost trigger produc support sustain maintain cause caus elicit drive accumulat hyper
    outperform superior surpass exceed worsen aggravat""".split()
)
_FALL = tuple(
    """decreas reduc declin diminish lower less fewer smaller downregul inhibit suppress attenu negativ impair block slow
    loss lose lost weak prevent drop fall fell shrink worse worst shorter inactiv mitigat alleviat abolish deplet
    deficien minimi minimal limit knockdown knockout repress absence imped hinder disrupt degrad eliminat protect
    ameliorat avoid remov stop antagoni resist abrogat lacking lack shut delet silenc crush kill destroy curb hamper
    hypo""".split()
)
_NEITHER = tuple("limitation highlight hypothes moreover furthermore growth resistance".split())
_DENIAL = frozenset(
    """no not non nor never neither without cannot fail fails failed unable unlikely hardly rarely isn aren doesn didn
    wasn weren don won couldn independent rather instead insufficient false myth unaffected unchanged lack lacks lacked
    lacking absence ineffective little unrelated""".split()
)
_POLES = (  # axes in the space of meanings: phrases that differ in one thing alone
    (
        ("X increases Y", "X decreases Y"),
        ("an increase", "a decrease"),
        ("risk is increased", "risk is reduced"),
        ("higher levels", "lower levels"),
        ("more than", "less than"),
    ),
    (
        ("X is associated with Y", "X is not associated with Y"),
        ("there was a significant difference", "there was no significant difference"),
        ("X has an effect on Y", "X has no effect on Y"),
        ("evidence supports it", "there is no evidence"),
        ("X is effective", "X is not effective"),
    ),
)


def directions(claim: str, quote: str) -> tuple[float, float]:
    """Shares of the claim's words that stand in the other, and in the same direction in the quote.

    The direction of a word is the product of the signs of the words around it: in "does not reduce
    the risk" two turn "risk" round and back.
    """
    said, quoted = _directed(claim), _directed(quote)
    opposed = agreed = 0
    for word, (sign, signed) in said.items():
        other, others = quoted.get(word, (sign, 0))
        opposed += sign != other and signed + others > 0
        agreed += sign == other and signed > 0 and others > 0
    return opposed / (len(said) or 1), agreed / (len(said) or 1)


@lru_cache(maxsize=512)
def _directed(text: str) -> Mapping[str, tuple[int, int]]:
    """Stem -> (its direction, of how many words of direction), where it stands first."""
    found = re.findall(r"[a-z]+(?:-[a-z]+)*|\d+", folded(text))
    signs = [_sign(word) for word in found]
    directed: dict[str, tuple[int, int]] = {}
    for at, word in enumerate(found):
        if not signs[at] and word not in STOPWORDS:
            around = [sign for sign in signs[max(0, at - BEFORE) : at + AFTER + 1] if sign]
            directed.setdefault(stem(word), (prod(around), len(around)))
    return directed


@lru_cache(maxsize=4096)
def _sign(word: str) -> int:
    """1 for a word of rise, -1 of fall or denial, 0 for others."""
    whole = word.replace("down-", "down").replace("up-", "up")
    if whole in _DENIAL:
        return -1
    if whole.startswith(_NEITHER):
        return 0
    return -1 if whole.startswith(_FALL) else int(whole.startswith(_RISE))


@lru_cache(maxsize=4)
def _axes(encode: Encode) -> tuple[Any, ...]:
    """One unit vector an axis."""
    made = []
    for pairs in _POLES:
        rows = encode([pole for pair in pairs for pole in pair])
        axis = sum(rows[0::2]) - sum(rows[1::2])
        made.append(axis / (float(axis @ axis) ** 0.5 or 1.0))
    return tuple(made)


# --- names --------------------------------------------------------------------------------------

_NAME = re.compile(
    r"\b(?:[A-Za-z]*[A-Z][a-z]*[A-Z0-9]\w*(?:-\w+)*|[A-Za-z]+(?:-\w+)*-\d[\w.]*\b|[A-Za-z]+\d\w*|"
    r"[A-Z]\w*-[A-Z]\w*|[A-Z]+-[a-z]\w*)|"
    r"(?<=[a-z,;:] )[A-Z][a-z]\w+"
)


def names_of(text: str) -> tuple[str, ...]:
    """Acronyms, words with digits or inner capitals, and capitalised words inside a sentence, once each."""
    return tuple(dict.fromkeys(name for name in _NAME.findall(readable(text)) if name.lower() not in STOPWORDS))


def missing_names(claim: str, quotes: Sequence[str]) -> tuple[str, ...]:
    """The names of a claim that no quote has, neither so nor spelled out ("SSM": "state space model")."""
    names = names_of(claim)
    if not names:
        return ()
    held = " ".join(squashed(quote) for quote in quotes)
    stems = {s for quote in quotes for s, _ in _pairs(quote)}
    initials = " ".join("".join(word[0] for word in words(quote)) for quote in quotes)
    return tuple(
        name
        for name in names
        if (bare := squashed(name)) not in held
        and (singular := bare.removesuffix("s")) not in held
        and not (len(singular) > 2 and singular in initials)
        and not {s for s, _ in _pairs(name)} <= stems
    )
