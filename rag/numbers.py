"""Numbers as they are written: what a text counts, and which numbers of a claim no quote gives.

A number is its value and its unit, whatever its form: "60times", "60x" and "sixty times"; "7B", "~7B" and "7 billion". Other
languages than English write 1,110 as "1.110" and have words of their own for millions; those of a few are known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import NamedTuple

from rag.text import IDEOGRAMS, STOPWORDS, Span, folded, folded_view, foreign, readable, stem

# --- what a text counts -------------------------------------------------------------------------

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMERALS = {word: float(value) for value, word in enumerate(_SMALL.split())} | {
    word: 10.0 * tens for tens, word in enumerate(_TENS.split(), 2)
}
COUNTED = {word: int(value) for word, value in _NUMERALS.items()}  # "four" -> 4
_NUMERALS |= {"twice": 2.0, "thrice": 3.0}
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12} | {
    "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12, "bn": 1e9, "mio": 1e6, "mrd": 1e9, "tausend": 1e3, "millionen": 1e6, "milliarde": 1e9,
    "milliarden": 1e9, "billionen": 1e12, "milliard": 1e9, "milliards": 1e9, "millions": 1e6, "millones": 1e6,
    "mil millones": 1e9, "mil": 1e3, "milioni": 1e6, "miliardi": 1e9, "milhões": 1e6, "十亿": 1e9, "百万": 1e6,
    "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8, "千": 1e3,
}  # fmt: skip
_UNITS = {"times": "x", "x": "x", "fold": "x", "%": "%", "percent": "%", "pp": "%", "point": "%", "points": "%"} | {
    "mal": "x", "fach": "x", "fache": "x", "fachen": "x", "fois": "x", "veces": "x", "volte": "x", "vezes": "x", "倍": "x",
    "prozent": "%", "prozentpunkte": "%", "prozentpunkten": "%", "个百分点": "%", "per cent": "%", "por ciento": "%",
    "pour cent": "%", "per cento": "%", "por cento": "%",
}  # fmt: skip
_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_SPELLED = "|".join(_NUMERALS)
_NUMERAL = rf"(?:{'|'.join(_TENS.split())})[ -](?:{'|'.join(_SMALL.split()[1:10])})|{_SPELLED}"
_SCALE = "|".join(sorted((name for name in _SCALES if len(name) > 2 or not name.isascii()), key=len, reverse=True))
_PERCENT = "|".join(name for name in _UNITS if " " in name)
_QUANTITY = re.compile(
    rf"(?<![^\W{IDEOGRAMS}])(?<!\.)(?P<number>{_DIGITS}|(?:{_NUMERAL})(?=fold)|(?:{_NUMERAL})(?![a-z]))\$?"
    rf"(?:[ -]?(?P<scale>(?:{_SCALE})(?![a-z])|(?:bn|[kmb])(?![a-z])|(?<=\d)t(?![a-z])))?"  # "1T", but "1 T cell"
    rf"(?:[ -]?(?P<unit>%|倍|个百分点|times|x(?![a-z])|fold|percentage points?|percent|{_PERCENT}|pp|points?|"
    rf"(?!(?:{_NUMERAL})(?![a-z]))[a-z]+))?"  # "GPT-2 forty times" is not 2 forties
)


class Quantity(NamedTuple):
    """A number with its unit: "x" for a factor, "%" for a share, else the word after it or ""."""

    value: float
    unit: str


def quantities(text: str) -> tuple[Quantity, ...]:
    """The numbers of a text in order; "60times", "60x" and "sixty times" are all (60.0, "x")."""
    return tuple(quantity for quantity, _ in placed_quantities(folded(text)))


def placed_quantities(text: str) -> list[tuple[Quantity, Span]]:
    """The numbers of a folded text in order, each with where its figures and its scale stand ("7 billion")."""
    found = []
    for match in _QUANTITY.finditer(text):
        number = match["number"]
        if number[0].isalpha():  # "sixty-four"
            value = sum(_NUMERALS[part] for part in re.split("[ -]", number))
        else:
            value = float(number.replace(",", ""))
        unit = "x" if number in ("twice", "thrice") else match["unit"] or ""
        unit = "%" if unit.startswith("percentage") else _UNITS.get(unit, stem(unit) if unit not in STOPWORDS else "")
        end = match.end("scale") if match["scale"] else match.end("number")
        found.append((Quantity(value * _SCALES.get(match["scale"] or "", 1.0), unit), Span(match.start(), end)))
    return found


# --- which numbers a claim has to find ----------------------------------------------------------

ROUNDED = 1e-9  # share of a number by which it may differ from a sum

_APART = re.compile(  # digits that are no quantity: ordinals, list marks, part of a name
    r"\b\d+(?:st|nd|rd|th)\b|(?<!\w)\([1-9]\)|^\s*\d{1,2}[.)] |"
    r"[A-Za-z]\d*/\d+\b|\b[A-Za-z]\w*(?:-\w+)*-\d+(?:\.\d+)?(?![\d%.]\d|[\w%])|"  # "OCT3/4", "GPT-4"
    r"\b[A-Za-z]*[A-Z]\w*-\d+(?:\.\d+)?[BMKT](?!\w)|(?<![\w.])\d+[A-Z][a-z]{2,}\w*|"  # "LLaMA-7B", "360Zhinao"
    r"\b[A-Z]\w*[A-Z]\w*[ -](?:19|20)\d\d\b"  # "WMT 2014"
)
_COUNT = re.compile(  # "two recent methods": the writer counts what is listed; "one of them"
    r"(?<![\w-])(?:two|three|four|five)(?= (?:[a-z-]+ )?(?:methods?|approach(?:es)?|techniques?|ways?|kinds?|types?|"
    r"papers?|studies|works?|strategies|reasons?|examples?|ideas?|aspects?|challenges?|problems?|findings?|results?)\b)|"
    r"(?<![\w-])(?:the|these|those|its|their|both|all) (?:other |same )?(?:two|three|four|five)(?!-)(?= [a-z])"
    r"(?! (?:hundred|thousand|million|billion|trillion|percent|times|fold|points?|orders?|thirds?|quarters?|fifths?)\b)|"
    r"(?<![\w-])of the (?:two|three|four|five)(?= ?[.,;:)?]|$)|"  # "the larger of the two"
    r"(?<![\w-])one(?!\w|[ -](?:hundred|thousand|million|billion|trillion|percent|times|fold|points?|third|half|"
    r"quarter|second|minute|hour|day|week|month|year))",
    re.IGNORECASE,
)


_FEW = re.compile(r"(?<![\w.,-])(?:two|three|four|five|six|seven|eight|nine|ten|\d)((?: [a-z-]{3,}){1,3})")


def missing_numbers(claim: str, quotes: Sequence[str]) -> tuple[str, ...]:
    """The numbers of a claim that no quote gives, as a reader would write them, in order.

    "60x", "60times" and "sixty times" are one; 60x and 60 % are not, nor 0.5 and 50 %. A claim in another
    language may write 1,110 as "1.110". Ordinals, digits of names and the writer's own count of what is
    listed ("two methods", "the two") are not asked for, unless a quote counts the same things otherwise; nor is the sum or
    the difference of two numbers that the claim names and quotes give.
    """
    plain = readable(claim)
    given = _given(quotes)
    glued = {squashed(quote) for quote in quotes}
    asked = asked_numbers(plain, _counted(quotes) | {unit for units in given.units.values() for unit in units})
    stated = [readings[0] for readings in asked if given.gives(readings)]
    missing = [
        _written(*readings[0])
        for readings in asked
        if not given.gives(readings)
        and not _worked_out(readings[0], stated)
        and not any(name in g for value, _ in readings for name in _glued(plain, value) for g in glued)
    ]
    return tuple(dict.fromkeys(missing))


TOLD = 2  # other numbers that are told
_AROUND = 4  # words before a number in which its unit may stand: "a BLEU of 43.2"


def other_numbers(claim: str, quotes: Sequence[str]) -> tuple[str, ...]:
    """What quotes give where a number of a claim is missing: numbers with its unit that the claim does not have.

    As they stand there, with their unit, at most `TOLD`, those first whose sentence shares most words with the claim.
    Empty when no number is missing, or nothing in its unit is given.
    """
    if not missing_numbers(claim, quotes):
        return ()
    asked, given = asked_numbers(readable(claim)), _given(quotes)
    wanted = {r[0].unit for r in asked if not given.gives(r) and r[0].unit}
    said = {quantity.value for readings in asked for quantity in readings}
    stems = {stem(word) for word in folded(claim).split()}
    nearest = sorted(quotes, key=lambda quote: -len(stems & {stem(word) for word in folded(quote).split()}))
    found = [told for quote in nearest for told in _in_units(_APART.sub(_blank, readable(quote)), wanted, said)]
    return tuple(dict.fromkeys(found))[:TOLD]


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _in_units(quote: str, units: AbstractSet[str], without: AbstractSet[float]) -> list[str]:
    """The numbers of a quote in some units, as they stand there; a unit may stand before its number, too."""
    view, found = folded_view(quote), []
    for quantity, span in placed_quantities(view.text):
        before = {stem(word) for word in re.findall(r"[^\W\d_]+", view.text[: span.start])[-_AROUND:]}
        if quantity.value in without or not (
            quantity.unit in units or (not quantity.unit and before & units - {"x", "%"})
        ):
            continue
        start, end = view.source(*span)
        after = re.match(
            r"\$?[ -]?(?:%|×|times\b|x\b|fold\b|percentage points?|percent|points?|[A-Za-z]+)?", quote[end:]
        )
        found.append(quote[start : end + (after.end() if after and quantity.unit else 0)].strip())
    return found


def _counted(quotes: Sequence[str]) -> set[str]:
    """What quotes count a few of: "five cognitive abilities" counts both words."""
    return {stem(word) for quote in quotes for found in _FEW.findall(folded(quote)) for word in found.split()}


def worked_out(claim: str, quotes: Sequence[str]) -> frozenset[Quantity]:
    """The numbers of a claim that are the sum or the difference of two of its numbers which quotes give."""
    given, asked = _given(quotes), asked_numbers(readable(claim))
    stated = [readings[0] for readings in asked if given.gives(readings)]
    return frozenset(r[0] for r in asked if not given.gives(r) and _worked_out(r[0], stated))


def _worked_out(number: Quantity, stated: Sequence[Quantity]) -> bool:
    return any(
        _is(number.value, total)
        for one, other in combinations(stated, 2)
        if one.unit == other.unit or "" in (one.unit, other.unit)
        if number.unit in ("", one.unit, other.unit) or not {number.unit, one.unit, other.unit} & {"x", "%"}
        for total in (one.value + other.value, abs(one.value - other.value))
    )


def _is(value: float, total: float) -> bool:
    return abs(value - total) <= ROUNDED * value


def gives_number(text: str, readings: Sequence[Quantity]) -> bool:
    """Does a text give a number that may be read in these ways?"""
    return _given([text]).gives(readings)


def placed_numbers(claim: str) -> list[tuple[int, Quantity]]:
    """The numbers that a claim in English must find, each with where it stands in the claim."""
    asked = {quantity for readings in asked_numbers(claim) for quantity in readings}
    view = folded_view(claim)
    return [(view.offsets[span.start], one) for one, span in placed_quantities(view.text) if one in asked]


def asked_numbers(claim: str, counted: AbstractSet[str] = frozenset()) -> list[tuple[Quantity, ...]]:
    """The numbers that a claim must find in its quotes, each in the ways it may be read.

    `counted` are the units that quotes count: a writer's own count of such things is asked for too.
    """
    bare = _APART.sub(" ", readable(claim))
    own = _COUNT.sub(" ", bare)
    if not foreign(claim):
        asked = quantities(own)
        return [
            (q,) for q in (*asked, *(q for q in quantities(bare) if q not in asked and q.unit and q.unit in counted))
        ]
    bare = _SPACED.sub("", _DECIMAL.sub(".", _GROUPED.sub(lambda found: re.sub("[., ]", "", found[0]), bare)))
    other = _EITHER.sub(lambda found: found[1] + {".": ",", ",": "."}[found[2]] + found[3], bare)
    return list(zip(quantities(bare), quantities(other), strict=False))


_DECIMAL = re.compile(r"(?<=\d),(?=(?:\d{1,2}|\d{4,})(?!\d))")  # "36,5" of other languages
_EITHER = re.compile(r"(?<![\d.,])(\d{1,3})([.,])(\d{3})(?![\d.,]\d|\d)")  # "1.110" may be either
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:([. ])\d{3})(?:\1\d{3})+(?!\d)")  # "1.110.000"
_SPACED = re.compile(r"(?<=\d)[\u00a0\u202f](?=\d{3}(?!\d))")  # "2 400"
_DOUBLED = tuple(  # words of a quote that give a number as a figure would
    (re.compile(rf"\b(?:{pattern})", re.IGNORECASE), quantities_of)
    for pattern, quantities_of in (
        (r"doubl(?:e|es|ed|ing)\b(?! descent|[- ]blind)", (Quantity(2.0, "x"),)),
        (r"tripl(?:e|es|ed|ing)\b", (Quantity(3.0, "x"),)),
        (r"quadrupl(?:e|es|ed|ing)\b", (Quantity(4.0, "x"),)),
        (r"half\b|halv(?:e|es|ed|ing)\b", (Quantity(50.0, "%"), Quantity(2.0, "x"))),
        (r"(?:a|one) quarter\b", (Quantity(25.0, "%"), Quantity(4.0, "x"))),
        (r"(?:an|one) order of magnitude\b", (Quantity(10.0, "x"),)),
        (r"two orders of magnitude\b", (Quantity(100.0, "x"),)),
        (r"three orders of magnitude\b", (Quantity(1000.0, "x"),)),
    )
)


class _Given(NamedTuple):
    """Numbers that quotes give: the units of each value, and those that words give, which hold for that unit alone."""

    units: Mapping[float, set[str]]
    worded: frozenset[Quantity]

    def gives(self, readings: Sequence[Quantity]) -> bool:
        return any(q in self.worded or _agrees(q.unit, self.units.get(q.value, set())) for q in readings)


def _given(quotes: Sequence[str]) -> _Given:
    units: dict[float, set[str]] = {}
    for value, unit in (quantity for quote in quotes for quantity in quantities(quote)):
        units.setdefault(value, set()).add(unit)
    told = (found for pattern, found in _DOUBLED if any(pattern.search(quote) for quote in quotes))
    return _Given(units, frozenset(quantity for found in told for quantity in found))


def _agrees(unit: str, units: set[str]) -> bool:
    """Is a number given in these units one with this unit? A factor is never a share."""
    return bool(units - {"%": {"x"}, "x": {"%"}}.get(unit, set()))


def _glued(text: str, value: float) -> list[str]:
    """The names that a number is part of: "Llama 2" is "llama2" too."""
    return [
        squashed(found[0]) for found in re.finditer(rf"\b[A-Z]\w*[ -]{re.escape(f'{value:g}')}(?![\d%]|\.\d)", text)
    ]


def squashed(text: str) -> str:
    return re.sub(r"[\s-]+", "", folded(text))


def _written(value: float, unit: str) -> str:
    scale, name = next(((s, f" {n}") for n, s in (("billion", 1e9), ("million", 1e6)) if value >= s), (1.0, ""))
    number = f"{value / scale:,.10g}" if value >= 10_000 else f"{value:.10g}"  # a year has no comma
    return f"{number}{name}{unit if unit in ('x', '%') else ''}"
