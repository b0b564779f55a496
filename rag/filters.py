"""Which papers are asked: `year>=2023`, `author:Smith`, `venue:"Physical Review"`, in a flag or in a question.

    year>=2023  year>2020  year<=2019  year<2020  year:2023  year:2020-2023  year:2020-  year:-2019
    author:Smith  author:"Jane Smith"  author:Smith,Jones  venue:Nature

Terms narrow each other; names of one field are alternatives (`author:Smith,Jones` or the field twice) unless
AND stands between them. Names are compared without case and accents, by whole words: those of an author in
any order, where an initial stands for any name that begins with it; those of a venue as they follow each
other. In a question only what is well formed counts, and the rest is the question.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rag.errors import UsageError
from rag.records import Where
from rag.text import readable

FIELDS = {"year": "a year", "author": "an author", "venue": "a venue"}
LONGEST_NAME = 200  # characters of a name in quotes
YEARS = 9999  # what four digits can say
NO_YEAR = -2  # stands for the year of a paper that names none

Names = tuple[tuple[str, ...], ...]  # one of each group


class Selected(NamedTuple):
    """The papers that a filter admits, and how many that is of how many."""

    ids: frozenset[str]
    where: Where


class Facts(NamedTuple):
    """What a filter looks at of a paper."""

    id: str
    year: int | None
    authors: tuple[str, ...]
    venue: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """What a paper must have; an empty filter is false, and admits all. Its text parses to itself.

    first, last       years, both included; None is open
    authors, venues   groups of names: of every group one must be there

    Raises UsageError when no year is left.
    """

    first: int | None = None
    last: int | None = None
    authors: Names = ()
    venues: Names = ()

    def __post_init__(self) -> None:
        first, last = self.first or 0, YEARS if self.last is None else self.last
        if first > min(last, YEARS):
            raise UsageError(f"no year is {first} or later and {last} or earlier; type, for example: year:2020-2023")

    def __bool__(self) -> bool:
        return bool(self.fields)

    def __str__(self) -> str:
        said = [(part.fields[0], part._term()) for part in self.parts()]
        joints = ["", *(" AND " if one[0] == other[0] else " " for one, other in pairwise(said))]
        return "".join(joint + term for joint, (_, term) in zip(joints, said, strict=False))

    def __and__(self, other: Filter) -> Filter:
        """The papers that both admit."""
        firsts = [year for year in (self.first, other.first) if year is not None]
        lasts = [year for year in (self.last, other.last) if year is not None]
        return Filter(
            max(firsts, default=None),
            min(lasts, default=None),
            tuple(dict.fromkeys(self.authors + other.authors)),
            tuple(dict.fromkeys(self.venues + other.venues)),
        )

    def besides(self, other: Filter) -> Filter:
        """What it asks of the fields that another does not speak of."""
        own = Filter() if "year" in other.fields else Filter(self.first, self.last)
        return replace(own, authors=() if other.authors else self.authors, venues=() if other.venues else self.venues)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it looks at."""
        has_year = self.first is not None or self.last is not None
        used = {"year": has_year, "author": self.authors, "venue": self.venues}
        return tuple(field for field in FIELDS if used[field])

    def parts(self) -> Iterator[Filter]:
        """What it asks, piece by piece; together they admit what it admits."""
        if "year" in self.fields:
            yield Filter(self.first, self.last)
        yield from (Filter(authors=(group,)) for group in self.authors)
        yield from (Filter(venues=(group,)) for group in self.venues)

    def admits(self, paper: Facts) -> bool | None:
        """Does it admit a paper? None: the paper lacks a field that it asks for, and meets the rest."""
        said = [self._of_year(paper.year)] if "year" in self.fields else []
        said += [_any(group, paper.authors, _is_by) for group in self.authors if False not in said]
        venues = [paper.venue] if paper.venue else []
        said += [_any(group, venues, _is_in) for group in self.venues if False not in said]
        return False if False in said else None if None in said else True

    def _of_year(self, year: int | None) -> bool | None:
        if year is None:
            return None
        return (self.first is None or self.first <= year) and (self.last is None or year <= self.last)

    def _term(self) -> str:
        """The text of one part."""
        if self.authors or self.venues:
            return f"{self.fields[0]}:{','.join(map(_quoted, *self.authors, *self.venues))}"
        if self.first is None or self.last is None:
            return f"year<={self.last:04}" if self.first is None else f"year>={self.first:04}"
        return f"year:{self.first:04}" + (f"-{self.last:04}" if self.first < self.last else "")


ALL = Filter()


class Split(NamedTuple):
    """A question without its filter, and that."""

    text: str
    where: Filter


# --- reading ------------------------------------------------------------------------------------

_QUOTED = (rf"{a}(?=[^{b}\n]*?[^\W_])[^{b}\n]{{1,{LONGEST_NAME}}}{b}" for a, b in ('""', "“”", "''"))
_NAME = rf"(?:{'|'.join(_QUOTED)}|[^\W_](?:[^\s\"“”,;()?!\]]*[^\W_])?)"
_SIGN = r">=|<=|≥|≤|>|<|==?"
_TERM = re.compile(
    r"(?<![^\s(\[,;])(?P<and>and\s+)?(?:(?:where|with|whose|by|in|from)\s+)?"
    r"(?:year(?::|\s*==?\s*)(?P<range>[0-9]{4}(?:-|–|\.\.)(?:[0-9]{4})?|(?:-|–|\.\.)[0-9]{4})"
    rf"|year(?:\s*(?P<sign>{_SIGN})\s*|:(?P<after>{_SIGN})?)(?P<year>[0-9]{{4}})"
    rf"|(?P<field>author|venue)[:=](?P<names>{_NAME}(?:,{_NAME})*+))"
    r"(?=[.,;:?!]*(?:[\s)\]]|$))",
    re.IGNORECASE,
)
_QUOTES = str.maketrans(dict.fromkeys('"“”', " "))
_LEFT = re.compile(r"[(\[]\s+(?:[,;]\s*)*[)\]]")  # brackets that held nothing but filters


def split(question: str) -> Split:
    """A question and the filter in it; one without a filter is given back as it is. Raises UsageError."""
    terms = list(_TERM.finditer(question))
    if not terms:
        return Split(question, ALL)
    rest = _LEFT.sub(" ", _TERM.sub(" ", question))
    rest = re.sub(r"[ \t]+(?=[.,;:?!)\]]|\n|$)", "", re.sub(r"[ \t]{2,}", " ", rest))
    return Split(re.sub(r"[,;](?=[.,;:?!])", "", rest).strip(" \t\n,;:"), _filter(question, terms))


_NEARLY = re.compile(r"(?<![^\s(\[,;])([A-Za-z]{4,8})(?::|\s?[=<>≤≥]{1,3}):?[^\s:/]\S*")
_MEANT = (*FIELDS, "years", "authors", "venues", "journal")


def unread(question: str) -> str:
    """What in a question looks like a filter and was read as words, and what to type; "" if nothing does."""
    for term in _NEARLY.finditer(_TERM.sub(" ", question)):
        if get_close_matches(term[1].lower(), _MEANT, 1, 0.8):
            return f"{term[0][:40]!r} was read as words of the question: {_wrong(term[0])}"
    return ""


def parse(text: str) -> Filter:
    """The filter that a text is, and nothing else. Raises UsageError, which says what to type."""
    if not isinstance(text, str):
        raise UsageError(f"the filter is {type(text).__name__}, not text; type, for example: year>=2023")
    spaced = re.sub(r"(?<![^\s(\[,;])(year|author|venue)\s*([:=])\s+", r"\1\2", text, flags=re.IGNORECASE)
    terms = list(_TERM.finditer(spaced))
    left = [word for word in _TERM.sub(" ", spaced).split() if word.strip(",;&()").lower() not in ("", "and")]
    if left or not terms:
        raise UsageError(_wrong(" ".join(left)))
    return _filter(spaced, terms)


def chosen(year: str | None = None, authors: Iterable[str] = (), venues: Iterable[str] = ()) -> Filter:
    """The filter that options say: years as after `year:`, and names, each of them whole. Raises UsageError."""
    names = Filter(authors=_group("author", authors), venues=_group("venue", venues))
    if year is None:
        return names
    term = _TERM.fullmatch("year:" + re.sub(r"^\s*year\s*:?|\s+", "", year, flags=re.IGNORECASE))
    if not term:
        raise UsageError(f"{year[:40]!r} is no year; type 2023, 2020-2023, 2020-, -2019 or '>=2023'")
    return _years(term) & names


def _filter(text: str, terms: Sequence[re.Match[str]]) -> Filter:
    found, end = ALL, 0
    for term in terms:
        narrows = bool(term["and"]) and not text[end : term.start()].strip()
        found = found & _years(term) if not term["field"] else _named(found, term, narrows)
        end = term.end()
    return found


def _named(to: Filter, term: re.Match[str], narrows: bool) -> Filter:
    """With the names of a term: alternatives to those of its field, or a group of their own."""
    by_author = term["field"].lower() == "author"
    groups = to.authors if by_author else to.venues
    names = tuple(_plain(name) for name in re.findall(_NAME, term["names"]))
    if groups and not narrows:
        groups, names = groups[:-1], groups[-1] + names
    groups = (*groups, tuple(dict.fromkeys(names)))
    return replace(to, authors=groups) if by_author else replace(to, venues=groups)


def _years(term: re.Match[str]) -> Filter:
    if term["range"]:
        first, last = re.split(r"-|–|\.\.", term["range"])
        return Filter(int(first) if first else None, int(last) if last else None)
    sign, year = term["sign"] or term["after"] or "=", int(term["year"])
    first_of = {">=": year, "≥": year, ">": year + 1}
    last_of = {"<=": year, "≤": year, "<": year - 1}
    exact = {"=": year, "==": year}
    return Filter((first_of | exact).get(sign), (last_of | exact).get(sign))


def _group(field: str, names: Iterable[str]) -> Names:
    group = tuple(dict.fromkeys(_plain(name) for name in names))
    if not all(re.fullmatch(_NAME, f'"{name}"') for name in group):
        raise UsageError(
            f"--{field} has no name of up to {LONGEST_NAME} characters; type, for example: --{field} {_EXAMPLES[field]}"
        )
    return (group,) if group else ()


_EXAMPLES = {"author": "Smith", "venue": "Nature"}


def _wrong(left: str) -> str:
    """What is wrong with what is no filter, and what to type."""
    field, sign, value = re.findall(r"([^\s:=<>≤≥]*)\s*([:=<>≤≥]*)\s*(.*)", left)[0]
    name, said = field.lower() or "year", f"{sign}{(value.split() or [''])[0]}"[:40]
    if not left:
        return "the filter is empty; type, for example: year>=2023"
    if name == "or":
        return "OR stands between names of one field only; type: author:Smith,Jones"
    if name[0] in "-!":
        return "a filter says what is wanted, not what is left out; type, for example: author:Smith"
    if name in FIELDS and not sign:
        return f"{name!r} alone is no filter; type it in quotes, since a shell takes > for itself: 'year>=2023'"
    if name == "year":
        return f"{said!r} is no year; type, for example: year>=2023 or year:2020-2023"
    if name in FIELDS:
        why = "a quote that is not closed" if value[:1] in ("'", '"', "“") else "no name after it"
        return f'{name}: has {why}; type, for example: {name}:{_EXAMPLES[name]} or {name}:"Two Words"'
    if sign:
        near = get_close_matches(name, FIELDS, 1, 0.6)
        hint = f"did you mean {near[0]}?" if near else "there are year, author and venue, as in year>=2023"
        return f"no filter is called {field[:40]!r}; {hint}"
    return (
        f'{field[:40]!r} is no filter; type, for example: year>=2023 author:"Jane Smith" (quotes around several words)'
    )


def _plain(name: str) -> str:
    bare = name[1:-1] if name[:1] == "'" == name[-1:] else name
    return " ".join(bare.translate(_QUOTES).split())


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[^\W_](?:[\w-]*[^\W_])?", name) else f'"{name}"'


# --- when nothing is left -----------------------------------------------------------------------


def nothing(where: Filter, papers: Sequence[Facts], nearest: Callable[[str, Iterable[str]], str | None]) -> str:
    """Why no paper of a library is admitted, and what it holds instead. `nearest` of some names is like a name."""
    if not papers:
        return "this library holds no paper"
    held = {part: sum(part.admits(paper) is True for paper in papers) for part in where.parts()}
    absent = [part for part, count in held.items() if not count]
    if not absent:
        each = " and ".join(f"{part} ({count:,} alone)" for part, count in held.items())
        return f"no paper of this library has {each} together"
    return f"no paper of this library has {absent[0]}; {_instead(absent[0], papers, nearest)}"


def _instead(part: Filter, papers: Sequence[Facts], nearest: Callable[[str, Iterable[str]], str | None]) -> str:
    (field,) = part.fields
    years = [paper.year for paper in papers if paper.year is not None]
    authors = dict.fromkeys(author for paper in papers for author in paper.authors)
    known: dict[str, Collection[object]] = {"year": years, "author": authors}
    names = dict.fromkeys(paper.venue for paper in papers if paper.venue) if field == "venue" else authors
    if not known.get(field, names):
        return f"none of its {len(papers):,} papers has {FIELDS[field]}"
    if field == "year":
        return f"its papers are of {min(years)} to {max(years)}"
    near = (nearest(name, names) for group in (*part.authors, *part.venues) for name in group)
    found = next((name for name in near if name), None)
    return (
        f"the nearest is {field}:{_quoted(_plain(found))}" if found else f"it has {len(names):,} {field}s, none like it"
    )


# --- comparing ----------------------------------------------------------------------------------

_LETTERS = str.maketrans("øłđðıħŧ", "olddiht") | {ord("æ"): "ae", ord("œ"): "oe", ord("þ"): "th"}


@lru_cache(maxsize=65536)
def _words(text: str) -> tuple[str, ...]:
    """The words of a name, without case, accents and apostrophes."""
    plain = re.sub("['’ʼ`]", "", text if text.isascii() and "\\" not in text else readable(text)).casefold()
    if not plain.isascii():
        parts = (char for char in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(char))
        plain = "".join(parts).translate(_LETTERS)
    return tuple(re.findall(r"[^\W_]+", plain))


def _any(wanted: Sequence[str], held: Sequence[str], fits: Callable[[str, str], bool]) -> bool | None:
    return any(fits(name, one) for one in held for name in wanted) if held else None


def _is_by(wanted: str, author: str) -> bool:
    return _is_named(_words(wanted), _words(author), _initials(author))


def _is_named(names: Sequence[str], held: Sequence[str], initials: str) -> bool:
    """Is each word in an author's name, or one of the two an initial of the other, and one of them in full?"""
    missing = [word for word in names if word not in held]
    if len(missing) == len(names):
        return False
    rest = [*(word for word in held if word not in names), *initials]
    return all(any(_abbreviates(word, other) or _abbreviates(other, word) for other in rest) for word in missing)


def _initials(author: str) -> str:
    """The letters of initials that are written together: "Gray AB"."""
    parts = author.replace(".", "").split()
    short = [part for part in parts if len(part) in (2, 3) and part.isalpha() and part.isupper()]
    return "".join(short).casefold() if len(short) < len(parts) else ""


def _abbreviates(short: str, word: str) -> bool:
    return len(short) == 1 and word.startswith(short)


def _is_in(wanted: str, venue: str) -> bool:
    """Do the words stand in the venue's name, one after the other?"""
    return f" {' '.join(_words(wanted))} " in f" {' '.join(_words(venue))} "


# --- many papers at once ------------------------------------------------------------------------


class Lines(NamedTuple):
    """Some papers: their years, NO_YEAR where there is none, and texts with a line for each, `author_line`, `venue_line`.

    What a filter does not look at may be empty.
    """

    years: Sequence[int]
    authors: str
    venues: str


def author_line(authors: Iterable[str]) -> str:
    """What is compared of the authors of a paper; "" for none."""
    return ";".join(f"{' '.join(_words(author))}|{_initials(author)}" for author in authors)


def venue_line(venue: str | None) -> str:
    """What is compared of the venue of a paper; "" for none."""
    return f" {' '.join(_words(venue))} " if venue else ""


def admitted(where: Filter, papers: Lines) -> tuple[set[int], set[int]]:
    """Of papers by their lines, those that a filter admits, and those for which `Filter.admits` is None.

    The filter is not empty.
    """
    met = [_met(part, papers) for part in where.parts()]
    known = set.intersection(*(yes for yes, _ in met))
    return known, set.intersection(*(yes | silent for yes, silent in met)) - known


def _met(part: Filter, papers: Lines) -> tuple[set[int], set[int]]:
    """The lines that meet one part of a filter, and those that do not say."""
    if part.authors or part.venues:
        text = papers.authors if part.authors else papers.venues
        find = _lines_by if part.authors else _lines_in
        found = {line for name in (*part.authors, *part.venues)[0] for line in find(text, _words(name))}
        return found, {n for n, line in enumerate(text.split("\n")) if not line}
    first, last = -1 if part.first is None else part.first, YEARS + 1 if part.last is None else part.last
    found = {n for n, year in enumerate(papers.years) if first <= year <= last}
    return found, {n for n, year in enumerate(papers.years) if year == NO_YEAR}


def _lines_by(text: str, names: Sequence[str]) -> Iterator[int]:
    """The lines on which an author has a name: at least one of its words in full."""
    seen: dict[int, bool] = {}
    for word in names:
        for line, start in _lines_with(text, word):
            if line not in seen:
                end = text.find("\n", start)
                held = (author.partition("|") for author in text[start : end if end >= 0 else len(text)].split(";"))
                seen[line] = any(_is_named(names, words.split(" "), initials) for words, _, initials in held)
    yield from (line for line, has in seen.items() if has)


def _lines_with(text: str, word: str) -> Iterator[tuple[int, int]]:
    """(line, where it starts) of authors with a word in full."""
    line = done = at = 0
    while (at := text.find(word, at)) >= 0:
        after = at + len(word)
        if text[at - 1 : at] in ("", "\n", ";", " ") and text[after : after + 1] in (" ", "|"):
            line += text.count("\n", done, at)
            yield line, text.rfind("\n", 0, at) + 1
            done = at
        at = after


def _lines_in(text: str, names: Sequence[str]) -> Iterator[int]:
    """The lines of venues in which words follow each other."""
    wanted, line, at = f" {' '.join(names)} ", 0, 0
    while (found := text.find(wanted, at)) >= 0:
        line += text.count("\n", at, found)
        yield line
        at = found + 1
