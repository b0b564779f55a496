"""What in a claim is turned round: said of the same things in its quotes, but the other way.

Four kinds, each told by words alone, and only where the quotes speak plainly: a word whose opposite stands there in its place
("higher latency", "lower latency"), a denial that one side has and the other has not, a wider or narrower scope
("all", "most"), and figures that changed places. What is told is surely odd; what is not told may still be wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from rag.numbers import Quantity, placed_quantities
from rag.text import STOPWORDS, Span, folded, readable, stem

NEAR = 7  # words on each side of an opposite in which both sides must share one
DENIED = 3  # words after a denial that it denies
ALIKE = 4  # words that a claim shares with a sentence, besides denials, that may deny the same as it does
BESIDE = 6  # words beside a figure that may say what it is of
LONGEST = 400  # words of a sentence that are compared: each is held against each of the other side
FIGURES = 30  # of a claim, at most, that are compared with each other

Tokens = list[str | float]  # words and figures of a text, in order

_OPPOSITES = tuple(  # a dimension a line; with a star the beginning of words
    (tuple(one.split()), tuple(other.split()))
    for one, other in (
        (
            "increas* rais* rise rises rising rose grow grows grew higher larger bigger greater more gain gains gained adds boost* "
            "expand* longer wider amplif*",
            "decreas* reduc* declin* diminish* lower smaller fewer less drop drops dropped fall falls fell shrink* loses lost "
            "cut cuts shorter narrower",
        ),
        (
            "better best outperform* surpass* exceed* superior beat beats improv* enhanc* ahead above",
            "worse worst underperform* inferior below behind degrad* deteriorat* losses",
        ),
        ("harder hard difficult challenging", "easier easy easily simple simpler trivial"),
        ("faster fast accelerat* quicker quick", "slower slow"),
        ("maximi*", "minimi*"),
        ("scarcity scarce lack lacks insufficien*", "abundan* plenty plentiful sufficien*"),
        ("creat* add adds introduc*", "remov* eliminat*"),
        ("offline", "online"),
        ("closer", "apart"),
        ("effective useful successful", "ineffective useless unsuccessful"),
        ("retain* preserv* keeps", "lose loses discard* destroy*"),
        ("dynamic* dynamically", "static statically"),
        ("earlier before", "later after"),
        ("cheap cheaper inexpensive", "expensive costly"),
        ("internal", "external"),
        ("labeled supervised", "unlabeled unsupervised"),
        ("homogeneous", "heterogeneous"),
        ("positive* positively", "negative* negatively"),
        ("over-* overestimat* overstat*", "underestimat* understat*"),
    )
)
_CHANGES = tuple(e[:-1] for sides in _OPPOSITES for entries in sides for e in entries if e.endswith("*"))
_DENIALS = frozenset(
    "no not non none nor never neither without cannot fail fails failed unable hardly unlike nobody nothing rather instead".split()
)
_ENDS = frozenset("because since but although though while whereas".split())  # of what a denial denies
_ASIDE = frozenset("without unlike rather instead".split())  # deny what comes after them alone
_SCOPES: Mapping[str, int] = {
    **dict.fromkeys("all every always each entire whole any everything everywhere".split(), 3),
    **dict.fromkeys(
        "most mostly majority generally usually typically largely almost nearly often primarily mainly".split(), 2
    ),
    **dict.fromkeys("some few several sometimes partly occasionally".split(), 1),
}
_SOFT = frozenset(
    "just alone limited purely simply however although though but".split()
)  # limit or turn what they stand beside
_SMALL = frozenset("small few little tens part half".split())  # "only a small part" limits nothing more
_ONLY = frozenset("only solely exclusively merely".split())
_EVERYBODY = frozenset("anyone anybody everyone everybody".split())


_MOVED = ("no", frozenset("not never cannot".split()))  # "no N is V" says what "N is not V" says
_REPLACES = re.compile(r"replac|substitut|supersed")
_REPLACED_BY = frozenset("with by".split())
_IDLE = re.compile(  # deny nothing: "it instead selects", "including but not limited to"
    r"\b(?:with (?:and|or) without|instead(?! of\b)|rather(?! than\b)|not (?:only|just|merely|solely|simply|limited to)\b)"
)
_IN_PLACE = re.compile(r"\bin (?:place|lieu) of\b|\bas opposed to\b")


class _Word(NamedTuple):
    text: str
    stem: str
    denied: bool
    replaced: bool = False  # something else came in its place


def contrary(claim: str, quotes: Sequence[str]) -> str:
    """What quotes turn round in a claim, in a few words for a reader; "" if nothing can be told."""
    said, heard = _words(claim), [_words(quote) for quote in quotes]
    nearest = _nearest(said, heard)
    everything = [word for words in heard for word in words]
    for told in (
        *_turned(said, nearest, everything),
        *_denied(said, nearest, heard),
        *_widened(said, nearest, everything),
    ):
        return told
    return next(_swapped(claim, quotes), "") or _miscounted(claim)


def denied(text: str) -> frozenset[str]:
    """The stems of the words with meaning that a text denies."""
    return frozenset(word.stem for word in _words(text) if word.denied and word.text not in STOPWORDS)


def _words(text: str) -> list[_Word]:
    plain = _IDLE.sub("", _IN_PLACE.sub("instead of", folded(readable(text)).replace("n't", " not")))
    words, left, gone = list[_Word](), 0, 0
    for word in re.findall(r"[^\W_]+(?:[.,-][^\W_]+)*|[^\w\s]", plain)[:LONGEST]:
        if not word[0].isalnum():
            left, gone = (0, 0) if word in ",;:.()" else (left, gone)
            continue
        left = 0 if word in _ENDS else left
        gone = 0 if word in _ENDS | _REPLACED_BY else gone
        words.append(_Word(word, stem(word), left > 0, gone > 0))
        meaning = word not in STOPWORDS
        left = DENIED + 1 if word in _DENIALS else max(0, left - meaning)
        gone = DENIED + 1 if _REPLACES.match(word) else max(0, gone - meaning)
    return words


def _content(words: Sequence[_Word]) -> set[str]:
    return {word.stem for word in words if word.text not in STOPWORDS and word.text not in _DENIALS}


def _nearest(said: Sequence[_Word], heard: Sequence[Sequence[_Word]]) -> Sequence[_Word]:
    """The sentence that shares most words with a claim."""
    wanted = _content(said)
    return max(heard, key=lambda words: len(wanted & _content(words)), default=[])


# --- opposites ----------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _sides(word: str) -> frozenset[tuple[int, int]]:
    """(dimension, side) for each dimension in which a word has opposites."""
    return frozenset(
        (dimension, side)
        for dimension, sides in enumerate(_OPPOSITES)
        for side, entries in enumerate(sides)
        if any(word.startswith(one[:-1]) if one.endswith("*") else word == one for one in entries)
    )


def _turned(said: Sequence[_Word], nearest: Sequence[_Word], everything: Sequence[_Word]) -> Iterator[str]:
    """A word of the claim in whose place its opposite stands in the quotes. Two such words turn each other round."""
    if any(word.text in _DENIALS and word.text not in _ASIDE for word in (*said, *nearest)):
        return  # which words are turned, words do not tell
    plain = [word for word in nearest if not word.denied]
    places = [at for at, word in enumerate(said) if not word.denied]
    told = [found for at in places if (found := _opposite(said, at, plain, everything))]
    if len(told) % 2:
        yield told[0]


def _opposite(said: Sequence[_Word], at: int, nearest: Sequence[_Word], everything: Sequence[_Word]) -> str:
    """What is said of a word of the claim: its opposite stands there before the same word, or its side nowhere."""
    word = said[at]
    for dimension, side in sorted(_sides(word.text)):
        turned = dimension, 1 - side
        before = [_before(nearest, spot) for spot in range(len(nearest)) if nearest[spot].stem == _after(said, at)]
        if {one for sides in before for one in sides if one[0] == dimension} == {turned}:
            return f'the quotes do not say "{word.text} {next(w.text for w in nearest if w.stem == _after(said, at))}"'
        if any((dimension, side) in _sides(one.text) or word.stem == one.stem for one in everything):
            continue
        around = _content(said[max(0, at - NEAR) : at + NEAR + 1]) - {word.stem}
        for spot, one in enumerate(nearest):
            if turned in _sides(one.text) and around & _content(nearest[max(0, spot - NEAR) : spot + NEAR + 1]):
                return f'the quotes say "{one.text}", not "{word.text}"'
    return ""


def _after(words: Sequence[_Word], at: int) -> str:
    """The stem of the next word that carries meaning."""
    return next((word.stem for word in words[at + 1 : at + 3] if word.text not in STOPWORDS), "")


def _before(words: Sequence[_Word], at: int) -> frozenset[tuple[int, int]]:
    """The sides of the nearest word that has one, of the two before a place."""
    return next((sides for word in reversed(words[max(0, at - 2) : at]) if (sides := _sides(word.text))), frozenset())


# --- denials and scopes -------------------------------------------------------------------------


def _denied(said: Sequence[_Word], nearest: Sequence[_Word], heard: Sequence[Sequence[_Word]]) -> Iterator[str]:
    """A word that one side denies each time it stands there, where the other has it without any denial at all."""
    alike = [words for words in heard if len(_content(said) & _content(words)) >= ALIKE]
    for denying, plain in ((said, nearest), (nearest, said)):
        words = {word.text for word in denying if word.text in _DENIALS}
        turned, straight = (
            {w.stem for w in denying if w.denied is one and w.text not in STOPWORDS} for one in (True, False)
        )
        denied = turned - straight
        others = (nearest, *alike) if denying is said else (said,)
        if denied & {word.stem for words in others for word in words if word.denied or word.replaced}:
            continue  # both deny the same
        if _moved(denying, plain):
            continue
        if plain is said and any(word.text in _DENIALS for word in said):
            continue
        soft = any(_sides(word.text) or word.text in _SOFT for word in plain) and words != {"without"}
        for word in plain:  # "not good" may be said of what "does worse", but not "does not improve" of what "improves"
            if word.stem in denied & _content(plain) and (not soft or word.text.startswith(_CHANGES)):
                yield f'the quotes {"do not deny" if denying is said else "deny"} "{word.text}"'


def _moved(one: Sequence[_Word], other: Sequence[_Word]) -> bool:
    """Does one side say "no N ... V" where the other says "N ... not V"?"""
    for noun, verb in ((one, other), (other, one)):
        denials = {word.text for word in noun if word.text in _DENIALS}
        if denials != {_MOVED[0]} or not {word.text for word in verb if word.text in _DENIALS} <= _MOVED[1]:
            continue
        begin = next(at for at, word in enumerate(noun) if word.text == _MOVED[0])
        none, after = noun[begin + 1].stem if begin + 1 < len(noun) else "", {word.stem for word in noun[begin + 2 :]}
        place = next((at for at, word in enumerate(verb) if word.stem == none and not word.denied), len(verb))
        if any(word.denied and word.text not in STOPWORDS and word.stem in after for word in verb[place:]):
            return True
    return False


def _widened(said: Sequence[_Word], nearest: Sequence[_Word], everything: Sequence[_Word]) -> Iterator[str]:
    """A scope that is wider than all that the quotes name, or a limit that they do not name."""
    widest = max((_SCOPES[word.text] for word in nearest if word.text in _SCOPES), default=0)
    for word in said:
        if _SCOPES.get(word.text) == 3 and 0 < widest < 3:
            yield f'the quotes do not say "{word.text}"'
    before = ["", *(word.text for word in everything)]
    if any(w.text in _ONLY | _SOFT and last != "not" for last, w in zip(before, everything, strict=False)):
        return
    for at, word in enumerate(said):
        limited = said[at + 1 : at + 4]
        counted = any(char.isdigit() for one in limited for char in one.text)
        small = any(one.text in _SMALL for one in limited)
        told = _content(limited) & _content(nearest) or any(one.text in _EVERYBODY for one in nearest)
        if word.text in _ONLY and not counted and not small and told:
            yield f'the quotes do not say "{word.text}"'


# --- figures that changed places ----------------------------------------------------------------


_IN_NAME = re.compile(r"[a-z]\w*[-/@]$")


def _swapped(claim: str, quotes: Sequence[str]) -> Iterator[str]:
    """Two figures of which each is given for what the other is said to be of."""
    given = [{number for number, _ in _numbers(folded(quote))} for quote in quotes]
    both = {quantity for one in given for quantity in one}
    said, heard = _figured(claim), [_figured(quote) for quote in quotes]
    numbers = list(dict.fromkeys(number for number, _ in _numbers(folded(claim))))
    for one, other in combinations(numbers[:FIGURES], 2):
        crossed = {one._replace(unit=other.unit), other._replace(unit=one.unit)}
        told = f"the quotes give {one.value:g} and {other.value:g} the other way round"
        if one.unit and other.unit and one.unit != other.unit and not {one, other} & both and crossed <= both:
            yield told
        for tokens, held in zip(heard, given, strict=True):
            sure = one.unit != other.unit and any(_alone(number, held) for number in (one, other))
            if one.value != other.value and not sure and _crossed(said, tokens, one.value, other.value):
                yield told


def _alone(number: Quantity, held: Set[Quantity]) -> bool:
    """Is a number given with its unit, and no other number with that unit?"""
    return bool(number.unit) and {one for one in held if one.unit == number.unit} == {number}


def _numbers(plain: str) -> list[tuple[Quantity, Span]]:
    """The numbers of a folded text that are no part of a name, such as "CIFAR-100"."""
    return [
        one for one in placed_quantities(plain) if not _IN_NAME.search(plain[max(0, one[1].start - 40) : one[1].start])
    ]


def _crossed(said: Tokens, heard: Tokens, one: float, other: float) -> bool:
    """Do two figures stand in another order than in a quote, and what stands beside them does not, or the reverse?

    Beside them is what comes after each ("5 % of A and 7 % of B"), or before each ("A 5 %, B 7 %").
    """
    spoken, given = _places(said), _places(heard)
    shared = spoken.keys() & given.keys()
    if not {one, other} <= shared:
        return False
    if _stays(said, heard, one, other) and _stays(said, heard, other, one):
        return False
    first, second = sorted((one, other), key=spoken.__getitem__)
    begin, end = spoken[first], spoken[second]
    inverted = given[first] > given[second]
    before, between, after = (
        said[max(0, begin - BESIDE) : begin],
        said[begin + 1 : end],
        said[end + 1 : end + 1 + BESIDE],
    )
    votes = [
        (given[x] > given[y]) == inverted
        for xs, ys in ((between, after), (before, between))
        for x in shared.intersection(xs)
        for y in shared.intersection(ys)
    ]
    return bool(votes) and not any(votes)


def _places(tokens: Tokens) -> dict[str | float, int]:
    """Where each token stands that stands there once."""
    counts = Counter(tokens)
    return {token: at for at, token in enumerate(tokens) if counts[token] == 1}


def _stays(said: Tokens, heard: Tokens, one: float, other: float) -> bool:
    """Has a figure a word right before or after it, in a claim as in its quote, that the other figure has not there?"""
    return bool(_beside(said, one) & _beside(heard, one) - _beside(heard, other))


def _beside(tokens: Tokens, value: float) -> set[tuple[int, str | float]]:
    at = tokens.index(value)
    return {(step, tokens[at + step]) for step in (-1, 1) if 0 <= at + step < len(tokens)}


def _figured(text: str) -> Tokens:
    """The words of a text that carry meaning, as they are written, and its figures as numbers, in order."""
    plain = folded(text)
    placed = _numbers(plain)
    tokens: list[tuple[int, str | float]] = [(span.start, quantity.value) for quantity, span in placed]
    inside = {at for _, span in placed for at in range(span.start, span.end)}
    for found in re.finditer(r"[^\W_]+(?:[.,'-][^\W_]+)*\+*", plain):
        if found[0] not in STOPWORDS and inside.isdisjoint(range(*found.span())):
            tokens.append((found.start(), found[0]))
    return [token for _, token in sorted(tokens, key=lambda one: one[0])][:LONGEST]


_COMPARED = re.compile(
    r"\b(?:is|are|was|were)\s+(?:\w+ly\s+|much\s+|far\s+)?"
    r"(?:(?P<less>lower|less|fewer|smaller|worse)|higher|more|greater|larger|better)\s+than\b"
)


def _miscounted(claim: str) -> str:
    """A figure that is said to be lower than a lower one, or higher than a higher one."""
    plain = folded(claim)
    if len(compared := list(_COMPARED.finditer(plain))) != 1:
        return ""
    begin, end = compared[0].span()
    before = [number for number, span in _numbers(plain) if span.end <= begin]
    after = [number for number, span in _numbers(plain) if span.start >= end]
    if not before or not after or before[-1].value == after[0].value:
        return ""
    if before[-1].unit != after[0].unit and before[-1].unit and after[0].unit:
        return ""
    if (before[-1].value < after[0].value) == bool(compared[0]["less"]):
        return ""
    return f"{before[-1].value:g} is not {compared[0][0].split()[-2]} than {after[0].value:g}"
