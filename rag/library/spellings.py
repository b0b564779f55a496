"""How names are written: their shapes, their spellings, their short and long forms.

"Flash Attention", "flash-attention" and "FlashAttention" are one name: they have one key. A short form belongs to
a long one when its letters stand in it in order, the first at its beginning (Schwartz and Hearst, 2003).
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from typing import Literal, NamedTuple

from rag.places import resource
from rag.text import STOPWORDS

How = Literal["both", "introduced", "title", "defined", "spelt"]  # see `namings.Naming`
HOWS: tuple[How, ...] = ("both", "introduced", "title", "defined", "spelt")  # surest first
LONGEST = 6  # words of a name
WIDEST = 60  # characters of a name
BEFORE = 150  # characters before a bracket that may hold a long form


class Pair(NamedTuple):
    """A short form and its long form, as a text has them."""

    short: str
    long: str


def name_key(name: str) -> str:
    """What all spellings of a name have in common: letters, digits and the signs that tell names apart."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in plain if c.isalnum() or c in "+#" or unicodedata.category(c) == "Sm")


_PIECE = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+|[^\w\s.'’‐-]")


def pieces(name: str) -> list[str]:
    """The parts at which a name may be taken apart: "FlashAttention-2" gives Flash, Attention and 2."""
    return _PIECE.findall(unicodedata.normalize("NFKC", name))


def spelling(name: str, cased: bool | None = None) -> re.Pattern[str]:
    """Finds a name in a text as a whole word, however its parts are joined: "GPT 4" and "GPT-4", not "GPT-4o".

    Without a word on `cased`, case counts for a name that is a word of the language in another case ("BRIGHT").
    """
    plain = unicodedata.normalize("NFKC", name)
    if cased is None:
        cased = len(plain.split()) == 1 and name != name.lower() and is_word(name)
    plural = "s?" if plain[-1:].isalnum() and not plain.endswith(("s", "S")) else ""
    joined, parted = _body(plain, "-?"), _body(plain, r"[\s-]")
    body = joined if cased else f"(?i:{joined})"
    either = body if joined == parted else f"{body}|(?<!-){parted}"  # "Batch LLM", not "batch LLM", is BatchLLM
    return re.compile(rf"(?<![\w'’])(?<!\d[.])(?:{either}){plural}(?!\w)(?![.]\d)")


def _body(name: str, inside: str) -> str:
    """A pattern of a name's parts; `inside` may stand where a capital begins a part within a word."""
    found = list(_PIECE.finditer(name))
    body = ""
    for part, after in zip(found, [*found[1:], None], strict=False):
        body += re.escape(part[0])
        if after and (part.end() < after.start() or (len(part[0]) > 1 and after[0].isdigit())):
            body += r"[\s.'’‐-]{0,2}"
        elif after:
            body += inside if len(part[0]) > 1 and len(after[0]) > 1 else "-?"
    return body


@lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    model = json.loads((resource("weights") / "tokenizer.json").read_text("utf-8"))["model"]
    return frozenset(word for word in model["vocab"] if word.isalpha())


def is_word(name: str) -> bool:
    """Is that a common word of English? The vocabulary of the shipped embedder tells, which has some 20,000."""
    plain = name.casefold()
    return plain in STOPWORDS or plain in _vocabulary() or (plain.endswith("s") and plain[:-1] in _vocabulary())


# --- shapes -------------------------------------------------------------------------------------

WORD = r"(?:[A-Z]\.){2,}|[^\W_]+(?:[-‐–.+&@*^'’_][^\W_]+)*(?:\+\+|\+|\*|∗)?"
TOKEN = re.compile(WORD)
JOINING = frozenset("of for the and in with on to from a an de la & at by via".split())
ADJECTIVE = re.compile(
    r".*-(?:based|style|like|aware|driven|level|augmented|guided|enhanced|free|shot|specific|agnostic|to|of|the|"
    r"trained|tuned|only|oriented|centric|inspired|scale|wise|related|induced|dependent|positive|negative|type|"
    r"derived|mediated|equipped|powered|generated|annotated|type|art)$|\d+(?:st|nd|rd|th|[kKMBx%]|[DdKM]?-?\w*\+?)$|"
    r"\d.*|[A-Z]$",
    re.IGNORECASE,
)


@lru_cache(maxsize=65536)
def named(token: str) -> bool:
    """Could that token be (part of) a name: has it a capital, or a digit among letters?"""
    return any(c.isupper() for c in token) or (any(c.isdigit() for c in token) and any(c.isalpha() for c in token))


@lru_cache(maxsize=65536)
def strong(token: str) -> bool:
    """Is it spelt as no word of a language is: a capital inside, or letters and digits?"""
    letters = [c for c in token if c.isalpha()]
    inner = any(c.isupper() for c in token[1:]) and not re.fullmatch(r"[A-Z][a-z]+(?:-[A-Z]?[a-z]+)*", token)
    return len(token) > 1 and bool(letters) and (inner or (any(c.isdigit() for c in token) and token[0].isalpha()))


def camel(token: str) -> bool:
    """ "PoNet", "iPad", "LongWriter-6k": a small letter before a capital or digit, or a capital run before small ones."""
    return bool(re.search(r"[a-z][A-Z]|[A-Z]{2,}[a-z]{2}|[a-z]-?\d|[A-Z]-[A-Z][A-Za-z]+", token))


def clean(name: str) -> str:
    """Without what a sentence adds: quotes, "'s", a plural's apostrophe."""
    plain = re.sub(r"['’]s?$", "", name.strip(" \"'“”‘’`*<>,;:"))
    plain = re.sub(r"(?<!\b[A-Z])\.$", "", plain)
    return plain[:-1] if re.fullmatch(r".*[A-Z]{2,}s", plain) and " " not in plain else plain


def usable(name: str) -> bool:
    """Can that be kept as a name: two letters or signs at least, no number of a version, no initials alone?"""
    key = name_key(name)
    odd = re.fullmatch(r"v?\d[\d.]*", key) or re.fullmatch(r"(?:[A-Z]\.)+", name)
    return len(key) > 1 and not odd and len(name) <= WIDEST and not key.isdigit() and name.lower() not in STOPWORDS


# --- short and long forms -----------------------------------------------------------------------

_BRACKETED = re.compile(r"[(\[]\s*([^()\[\]]{2,80}?)\s*[)\]]")
_SHORT = re.compile(r"[^\W_](?:[^\W_]|[-/.&+^'’]){0,13}[^\W_+]?")


def pairs(text: str) -> tuple[Pair, ...]:
    """Short forms with their long forms in a readable text, in order: "Long Range Arena (LRA)", "LRA (Long ...)".

    The letters of the short form begin words of the long form, or stand inside them, in order; a digit repeats
    the letter before it, as in "Hungry Hungry Hippos (H3)".
    """
    found = []
    for bracket in _BRACKETED.finditer(text):
        inside = re.split(r"[,;]|\bor\b|\bhereafter\b", bracket[1])[0].strip(" \"'“”‘’`")
        before = text[max(0, bracket.start() - BEFORE) : bracket.start()].rstrip(" ~\"'“”‘’`")
        before = re.split(r"[.;:!?](?=\s)|[()\[\]]", before)[-1]
        long = _long_form(inside, before) if is_short(inside) else ""
        if long:
            found.append(Pair(inside, long))
            continue
        short = re.search(rf"({WORD})$", before)
        if short and is_short(short[1]) and len(bracket[1].split()) > 1 and _spells(short[1], bracket[1]):
            found.append(Pair(short[1], bracket[1]))
    return tuple(dict.fromkeys(found))


def is_short(text: str) -> bool:
    return bool(_SHORT.fullmatch(text)) and named(text) and text[:1].isalnum() and not text.isdigit()


def _letters(short: str) -> str:
    """The letters that a long form must have, a plural's "s" left out and "H3" as "hhh"."""
    plain = re.sub(r"(?<=[A-Z])s$", "", short)
    plain = re.sub(r"([A-Za-z])([2-4])(?!\d)", lambda m: m[1] * int(m[2]), plain)
    return "".join(c for c in plain.lower() if c.isalpha())


def _long_form(short: str, before: str) -> str:
    """The words just before a bracket that spell the short form in it; "" if they do not."""
    letters = _letters(short)
    words = list(TOKEN.finditer(before))
    for fewest in range(1, min(len(letters) + 5, len(words), 12) + 1):
        start = words[-fewest].start()
        long = before[start:].strip()
        if long[:1].lower() == letters[:1] and _spells(short, long) and len(long) > len(short):
            return long
    return ""


def initials(short: str, long: str) -> bool:
    """Is a short form made of the first letters of a long one, those of "of" and "the" or not?"""
    parts = re.findall(r"[^\W\d_]+", long.lower())
    content = [part for part in parts if part not in JOINING]
    return len(parts) > 1 and _letters(short) in ("".join(p[0] for p in parts), "".join(p[0] for p in content))


def _spells(short: str, long: str) -> bool:
    """Do the letters of the short form stand in the long one in order, the first at a word's beginning?"""
    letters = _letters(short)
    parts = re.findall(r"[^\W\d_]+|\d+", long)
    if len(letters) < 2 or not parts or any(name_key(part) == name_key(short) for part in parts):
        return False
    if initials(short, long):
        return True
    content = "".join(part[0].lower() for part in parts if part.lower() not in JOINING)
    at = len(long) - 1
    low = long.lower()
    for n in range(len(letters) - 1, -1, -1):
        while at >= 0 and (low[at] != letters[n] or (n == 0 and at > 0 and low[at - 1].isalnum())):
            at -= 1
        if at < 0:
            return False
        at -= 1
    begun = sum(letter in content for letter in set(letters))
    used = iter(letters)
    every = all(first in used for first in content)  # each word of the long form begins a letter, in order
    return len(parts) <= len(letters) + 4 and (every or begun >= 0.5 * len(set(letters)))
