"""What a paper is called: the names that its title and its abstract introduce, each with the sentence that does so.

The title names what stands before its colon ("PoNet: Pooling Network ..."); the sentences of the abstract are read
by `introductions`. What both name is surest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rag.library.introductions import KINDS, NO_NAMES, Context, defined, introduced, makes
from rag.library.spellings import (
    HOWS,
    JOINING,
    TOKEN,
    WORD,
    How,
    camel,
    clean,
    initials,
    is_word,
    name_key,
    named,
    pairs,
    spelling,
    strong,
    usable,
)
from rag.text import Span, readable, sentences

SENTENCE = 2000  # characters that are read of one
TITLE_WORDS = 5  # of a name before a colon


class Naming(NamedTuple):
    """A name in a paper. `span` is the sentence of the abstract that introduces it; None: the title alone does.

    `how`: "both" the title and the abstract introduce it, "introduced" the abstract does, "title" the title,
    "defined" a sentence says what it is, "spelt" it stands beside its long form. `long` is the long form, or "".
    """

    name: str
    how: How
    span: Span | None
    long: str = ""


def namings(title: str, abstract: str) -> tuple[Naming, ...]:
    """The names that a paper introduces, defines or spells out, surest first, each once; both texts as stored."""
    shown = readable(title)
    parts = [(span, readable(abstract[span.start : span.end])[:SENTENCE]) for span in sentences(abstract)]
    found: dict[str, Naming] = {}
    for naming in _told(shown, parts):
        _keep(found, naming)
    for name, short in _titled(shown, [text for _, text in parts]):
        before = found.pop(name_key(name), None)
        how: How = "both" if before and before.how == "introduced" else "title"
        brief = found.get(name_key(short)) if short else None
        span = (before or brief or Naming(name, how, _first_saying(short or name, parts))).span
        found[name_key(name)] = Naming(name, how, span, before.long if before else "")
        if brief:
            found[name_key(short)] = brief._replace(long=brief.long or name)
    return tuple(sorted(found.values(), key=lambda naming: HOWS.index(naming.how)))


def _told(title: str, parts: Sequence[tuple[Span, str]]) -> Iterator[Naming]:
    """What the sentences of an abstract say, in order."""
    titled = frozenset(name_key(token) for token in TOKEN.findall(title) if named(token))
    known: set[str] = set()
    for span, text in parts:
        spelt = pairs(text)
        longs = {name_key(pair.short): pair.long for pair in spelt}
        shorts = {name_key(pair.long): pair.short for pair in spelt}
        for name in introduced(text, Context(titled, frozenset(known), longs)):
            cut = any(name != pair.long and pair.long.startswith(name) for pair in spelt)
            for form in (name, shorts.get(name_key(name), "")):  # not "Structured State" of "... Space model (S4)"
                if form and not cut:
                    yield Naming(form, "introduced", span, longs.get(name_key(form), ""))
        if subject := defined(text):
            yield Naming(clean(subject), "defined", span, longs.get(name_key(subject), ""))
        for short, long in spelt:
            yield Naming(clean(short), "spelt", span, long)
        known.update(name_key(token) for token in TOKEN.findall(text) if named(token))


def _keep(found: dict[str, Naming], naming: Naming) -> None:
    """Of two namings of one name the surer one stays, with the long form of either."""
    key = name_key(naming.name)
    before = found.get(key)
    if before is None:
        if usable(naming.name):
            found[key] = naming
        return
    surer = naming if HOWS.index(naming.how) < HOWS.index(before.how) else before
    found[key] = surer._replace(long=surer.long or naming.long or before.long)


def _first_saying(name: str, parts: Sequence[tuple[Span, str]]) -> Span | None:
    """The first sentence that has a name, else the first that says what was made."""
    spelt = spelling(name)
    said = (span for span, text in parts if spelt.search(text))
    made = (span for span, text in parts if makes(text))
    return next(said, None) or next(made, None)


# --- the title ----------------------------------------------------------------------------------

_COLON = re.compile(r"\s?:\s|\s(?:--?|–|—)\s|\s?—\s?")
_ARTICLE = re.compile(r"^(?:The|A|An) ")
_TEAM = re.compile(r"(?:Team )?(\S+(?: [A-Z]\S*){0,2}) (?:at|@|in) [A-Z]\w+[- ]?\d{4}\b")
_FIRST = re.compile(rf"(?:The )?({WORD})(?: (?:{KINDS}))?s? (?:for|to)\b", re.IGNORECASE)
_COLLECTION = re.compile(
    r"(?:benchmark|challenge|corpus|database|dataset|library|platform|suite|toolkit|treebank)$", re.I
)
_CAPITALS = re.compile(r"(?:The |An? )?((?:[A-Z]|\d)[\w.-]*(?: (?:[A-Z]|\d)[\w.-]*){0,4})")
_LAST_KIND = re.compile(rf"(?:{KINDS})s?$", re.IGNORECASE)
_INSIDE = re.compile(r"[\w,][ ][(“\"'‘`]?$|[(“\"'‘`]$")  # what stands before a word that begins no sentence


def _titled(title: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The names in a title: before its colon, after it, in a bracket, or the whole of it; each with its short form or ""."""
    title = title.strip(' "“”')
    head, *tail = _COLON.split(title, maxsplit=1)
    head = _ARTICLE.sub("", clean(head))
    if tail and (short := _short_for(head, texts)):
        yield head, short
    elif tail and _heads(head, texts):
        yield head, ""
    if tail and strong(tail[0].strip()) and " " not in tail[0].strip():
        yield tail[0].strip(), ""
    team, first = _TEAM.match(title), _FIRST.match(title)
    if team and named(team[1].split()[0]):
        yield team[1], ""
    if first and camel(first[1]):
        yield first[1], ""
    yield from ((short, "") for short, long in pairs(title) if title.startswith(long))
    if not tail and (whole := _whole(title, texts)):
        yield whole, ""


def _short_for(head: str, texts: Sequence[str]) -> str:
    """The short form under which an abstract goes on about what its title spells out ("Long Range Arena": LRA)."""
    words = head.split()
    if not 1 < len(words) <= TITLE_WORDS or not all(named(word) or word in JOINING for word in words):
        return ""
    odd = dict.fromkeys(token for text in texts for token in TOKEN.findall(text) if strong(token))
    return next((clean(token) for token in odd if initials(clean(token), head)), "")


def _heads(head: str, texts: Sequence[str]) -> bool:
    """Is what stands before a title's colon a name? An odd shape tells, else the abstract must write it as one."""
    words = head.split()
    if not words or len(words) > TITLE_WORDS or words[0].lower() in NO_NAMES or head.endswith("?"):
        return False
    if not all(named(word) or word in JOINING or word.isdigit() for word in words):
        return False
    text = " ".join(texts)
    places = list(spelling(head).finditer(text))
    if any(strong(word) for word in words):
        return len(words) == 1 or bool(places)
    raised = [place.start() for place in places if place[0][:1].isupper()]
    inside = any(_INSIDE.search(text[max(0, at - 3) : at]) for at in raised)
    if len(words) == 1:
        return inside or len(raised) == len(places) > 0 or not is_word(head)
    return inside or len(raised) > 1 or bool(_COLLECTION.search(head))


def _whole(title: str, texts: Sequence[str]) -> str | None:
    """A short title that is a name itself: "Oktoberfest Food Dataset", "Layer Normalization"."""
    words = title.split()
    capitals = _CAPITALS.fullmatch(title)
    if not 1 < len(words) <= TITLE_WORDS or words[0].endswith("ing"):
        return None
    if capitals and _LAST_KIND.search(title):
        return capitals[1]
    if len(words) < TITLE_WORDS and all(named(word) for word in words if word not in JOINING):
        raised = any(re.search(rf"\w,? [“\"‘']?{re.escape(title)}(?!\w)", text) for text in texts)
        if raised or " ".join(texts).lower().count(title.lower()) > 1:
            return title
    return None
