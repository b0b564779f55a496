"""Does a text state a required fact? Typed, deterministic, and apart from the product's own code.

    {"type": "phrase", "any": ["state space model", "SSM"]}      whole words in a row
    {"type": "regex",  "any": ["60 ?(x|times)"]}                 on the folded (lower-case) text
    {"type": "number", "value": 60, "unit": ["times", "x"]}      "60times", "60×" and "sixty times" alike
    {"type": "all" | "any", "of": [...]}

Texts are folded first: case, typographic dashes, quotes and signs of times, white space, and the LaTeX escapes that
abstracts carry. A number may have a tolerance (absolute) and, with "unit", must be followed by it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

_FOLD = (
    dict.fromkeys(map(ord, "‐‑‒–—−"), "-")
    | dict.fromkeys(map(ord, "‘’"), "'")
    | dict.fromkeys(map(ord, "“”"), '"')
    | {ord("×"): "x"}
)
_LATEX = re.compile(r"\\(?:textbf|textit|emph|em|text)\b\s*|[{}$]|\\[()]")
_SCALES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_NUMBER = re.compile(
    r"(?<![\w.])(\d[\d,]*(?:\.\d+)?|\.\d+)(?:[ -]?(k|m|b|t|thousand|million|billion|trillion)(?![a-z]))?"
)
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_SPELLED = {word: float(value) for value, word in enumerate(_SMALL.split())} | {
    "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0, "eighty": 80.0, "ninety": 90.0,
    "hundred": 100.0, "thousand": 1e3, "million": 1e6, "billion": 1e9, "twice": 2.0,
}  # fmt: skip
_OPTIONS = {
    "phrase": {"any"},
    "regex": {"any"},
    "number": {"value", "unit", "tolerance"},
    "all": {"of"},
    "any": {"of"},
}
_AFTER = 40  # characters behind a number in which its unit may begin


def fires(match: Mapping[str, Any], text: str) -> bool:
    """Does the text state what the matcher asks for? Raises ValueError for an unknown type."""
    kind = match["type"]
    if kind == "all":
        return all(fires(part, text) for part in match["of"])
    if kind == "any":
        return any(fires(part, text) for part in match["of"])
    folded = fold(text)
    if kind == "phrase":
        return any(re.search(rf"(?<!\w){re.escape(fold(phrase))}(?!\w)", folded) for phrase in match["any"])
    if kind == "regex":
        return any(re.search(pattern, folded) for pattern in match["any"])
    if kind == "number":
        return _number(match, folded)
    raise ValueError(f"unknown matcher type {kind!r}")


def check(match: Mapping[str, Any]) -> None:
    """Raises ValueError for a matcher that says nothing, or that misspells what it says."""
    kind = match.get("type")
    if kind not in _OPTIONS:
        raise ValueError(f"unknown matcher type {kind!r}")
    if odd := sorted(set(match) - {"type"} - _OPTIONS[kind]):
        raise ValueError(f"a matcher of type {kind!r} has no {odd[0]!r}")
    if kind in ("all", "any"):
        if not isinstance(match.get("of"), list) or not match["of"]:
            raise ValueError("'of' is a list of matchers, at least one")
        for part in match["of"]:
            check(part)
    elif kind == "number":
        if not _are_numbers(match.get("value"), match.get("tolerance", 0)):
            raise ValueError("'value' and 'tolerance' are numbers")
        if "unit" in match and not _are_texts(match["unit"]):
            raise ValueError("'unit' is a list of texts, at least one")
    elif not _are_texts(match.get("any")):
        raise ValueError("'any' is a list of texts, at least one")
    elif kind == "regex":
        for pattern in match["any"]:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no pattern: {error.msg}") from error


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) and text.strip() for text in value)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """The form in which texts are compared."""
    text = unicodedata.normalize("NFKC", text).translate(_FOLD).replace("\\%", "%").replace("\\&", "&")
    return re.sub(r"\s+", " ", _LATEX.sub("", text)).casefold().strip()


def _number(match: Mapping[str, Any], folded: str) -> bool:
    units = [fold(unit) for unit in match.get("unit", ())]
    tolerance = match.get("tolerance", 0)
    return any(
        abs(value - match["value"]) <= tolerance and (not units or rest.lstrip(" -").startswith(tuple(units)))
        for value, rest in _numbers(folded)
    )


def _numbers(folded: str) -> Iterator[tuple[float, str]]:
    """(value, what follows) of each number; "16k" also as 16 of a unit k."""
    for found in _NUMBER.finditer(folded):
        value = float(found[1].replace(",", ""))
        yield value * _SCALES.get(found[2] or "", 1.0), folded[found.end() : found.end() + _AFTER]
        if found[2]:
            yield value, folded[found.end() - len(found[2]) : found.end() + _AFTER]
    for found in re.finditer(r"[a-z]+", folded):
        if found[0] in _SPELLED:
            yield _SPELLED[found[0]], folded[found.end() : found.end() + _AFTER]
