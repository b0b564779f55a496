"""A second opinion on claims: a model is shown them with their quotes, and says which the quotes state.

    claims -prompted-> prompt, whose reply -opinions-> one for each claim

An opinion that is missing or malformed is none, never a no; "supported" counts only when the words that
the model copies as its evidence stand in the claim's own quotes. Claims and quotes are data: they are put
on one line each, with nothing in them that could be taken for the fence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rag.prompting import Ask, fence
from rag.records import Prompt
from rag.text import folded, printable, readable

EVIDENCE_WORDS = 3  # fewer stand in any quote
VERDICTS = {"supported": True, "not supported": False}


class Asserted(NamedTuple):
    """What is judged: a text, and the quotes that should state it."""

    text: str
    quotes: tuple[str, ...]


class Opinion(NamedTuple):
    """`supported` is None when there is no usable one; `why` says what was wrong with it."""

    supported: bool | None
    evidence: str = ""
    why: str = ""


def prompted(prompt: Prompt, claims: Sequence[Asserted]) -> tuple[str, str]:
    """(system, user): the prompt that asks for opinions on all the claims."""
    shown = "\n\n".join(_shown(n, claim) for n, claim in enumerate(claims, 1))
    return prompt.system, prompt.fill(fence=fence(shown), claims=shown, count=str(len(claims)))


def _shown(number: int, claim: Asserted) -> str:
    quotes = [f"Quote {number}.{at}: {on_one_line(quote)}" for at, quote in enumerate(claim.quotes, 1)]
    return "\n".join([f"Claim {number}: {on_one_line(claim.text) or '(empty)'}", *quotes])


def on_one_line(text: str) -> str:
    """On one line, and with nothing in it that could be taken for the fence."""
    return re.sub(r"={3,}", "=", " ".join(printable(readable(text)).split()))


def opinion(claim: Asserted, prompt: Prompt, ask: Ask) -> Opinion:
    """The opinion of a model on one claim. Raises whatever `ask` raises."""
    (said,) = opinions(ask(*prompted(prompt, [claim])).text, [claim])
    return said


def opinions(reply: str, claims: Sequence[Asserted]) -> tuple[Opinion, ...]:
    """The opinions that a reply holds, one for each claim whatever it says."""
    rows = _rows(reply)
    if rows is None:
        return tuple(Opinion(None, why="the reply holds no JSON with verdicts") for _ in claims)
    return tuple(_opinion([row for row in rows if _number(row) == n], claim) for n, claim in enumerate(claims, 1))


def _opinion(rows: Sequence[Mapping[str, Any]], claim: Asserted) -> Opinion:
    said = {VERDICTS.get(" ".join(re.findall("[a-z]+", str(row.get("verdict")).lower()))) for row in rows}
    if len(said) != 1 or None in said:
        return Opinion(None, why="no verdict" if not rows else "a verdict that is neither of the two, or both")
    supported = said.pop()
    evidence = str(rows[-1].get("evidence") or "")
    if supported and not _stands(evidence, claim.quotes):
        return Opinion(False, evidence, "supported, but its evidence does not stand in the quotes")
    return Opinion(supported, evidence)


def _stands(evidence: str, quotes: Sequence[str]) -> bool:
    words = folded(evidence).strip(" .\"'")
    sources = [folded(on_one_line(quote)) for quote in quotes]
    return len(words.split()) >= EVIDENCE_WORDS and any(words in source for source in sources)


def _rows(reply: str) -> list[Mapping[str, Any]] | None:
    """The entries of the last JSON object with "verdicts" in a reply, whatever is written around it."""
    text = re.sub(r"\\(.)", _escape, reply, flags=re.DOTALL)
    decoder, at = json.JSONDecoder(strict=False), text.find("{")
    found: list[Mapping[str, Any]] | None = None
    while at >= 0:
        end = at + 1
        try:
            value, end = decoder.raw_decode(text, at)
            if isinstance(value, dict) and isinstance(value.get("verdicts"), list):
                found = [row for row in value["verdicts"] if isinstance(row, dict)]
        except (ValueError, RecursionError):
            pass
        at = text.find("{", end)
    return found


def _escape(found: re.Match[str]) -> str:
    """LaTeX copied from a quote, such as a per cent sign with its backslash, is no escape of JSON's."""
    return found[0] if found[1] in '"\\/bfnrtu' else "\\" + found[0]


def _number(row: Mapping[str, Any]) -> int | None:
    digits = re.fullmatch(r"(?:claim )?(\d{1,4})", str(row.get("claim")).strip().lower())
    return int(digits[1]) if digits else None
