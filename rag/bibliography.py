"""What a bibliography says of a paper beside the fields of a Paper: entry type, citation key, pages, editor and more.

All of it lies in `Paper.extra`, where readers put it and `rag.show.export` finds it:
  type      the type as the file gave it, by its name in BibTeX, or in RIS ("inproceedings", "CPAPER")
  key       the citation key of the file
  others    "yes" where the list of authors ends in "and others"
  bib.NAME  the BibTeX field of that name, its value as BibTeX writes it: "bib.pages" is "1--10"
Other formats call types and fields by other names: `TYPES` and `FIELDS` say which.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rag.records import Paper
from rag.text import IN_LATEX, TEXT_COMMANDS, printable, readable

TYPE, KEY, OTHERS, FIELD = "type", "key", "others", "bib."
OTHER_KEYS = "bib.ids"  # as BibLaTeX calls the other keys of an entry
AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_KEY = re.compile(r"[^\s,{}\"#%=~\\]{1,200}")  # what BibTeX takes for a key
_SMALL = set("a an the on in of for to and with is are how what why do does can towards toward from at by via".split())
_COMMAND = re.compile(r"\\([A-Za-z]+)|\\(?![\s`'^~=.\"&%$#_,;:!/@*+()\[\]<>|-])|\^\^")
_FREE = TEXT_COMMANDS | set(
    "url href nolinkurl backslash noopsort c v u H k r b d t cite citep citet ref bibinfo".split()
)
_ESCAPES = {escape: chr(code) for code, escape in IN_LATEX.items()}
_ESCAPED = re.compile("|".join(re.escape(escape) for escape in _ESCAPES))
_DASHES = re.compile(r"\s*(?:--+|[‐‑‒–—])\s*")


class Type(NamedTuple):
    """A type of publication by its names; "" where a format has none of its own."""

    bibtex: str
    csl: str
    ris: str
    zotero: str


class Field(NamedTuple):
    """A field by its names: in BibTeX, in CSL, in RIS, and as columns and keys of other programs are called, plain."""

    bibtex: str
    csl: str
    ris: str
    others: tuple[str, ...] = ()


TYPES = (  # the first of a name is what it is read as
    Type("article", "article-journal", "JOUR", "journalArticle"),
    Type("article", "article-magazine", "MGZN", "magazineArticle"),
    Type("article", "article-newspaper", "NEWS", "newspaperArticle"),
    Type("inproceedings", "paper-conference", "CPAPER", "conferencePaper"),
    Type("conference", "paper-conference", "CONF", ""),
    Type("proceedings", "book", "CONF", ""),
    Type("book", "book", "BOOK", "book"),
    Type("collection", "book", "EDBOOK", ""),
    Type("incollection", "chapter", "CHAP", "bookSection"),
    Type("inbook", "chapter", "CHAP", ""),
    Type("phdthesis", "thesis", "THES", "thesis"),
    Type("mastersthesis", "thesis", "THES", ""),
    Type("thesis", "thesis", "THES", ""),
    Type("techreport", "report", "RPRT", "report"),
    Type("report", "report", "RPRT", ""),
    Type("unpublished", "manuscript", "UNPB", "manuscript"),
    Type("dataset", "dataset", "DATA", "dataset"),
    Type("software", "software", "COMP", "computerProgram"),
    Type("patent", "patent", "PAT", "patent"),
    Type("online", "webpage", "ELEC", "webpage"),
    Type("misc", "article", "GEN", "preprint"),
    Type("misc", "document", "GEN", "document"),
)
FIELDS = (
    Field("volume", "volume", "VL", ("vol", "vl")),
    Field("number", "issue", "IS", ("issuenumber", "is")),
    Field("pages", "page", "SP", ("pagerange", "pages", "articlepages")),
    Field("editor", "editor", "ED", ("editors", "bookeditors")),
    Field("publisher", "publisher", "PB", ("publishername",)),
    Field("address", "publisher-place", "CY", ("place",)),
    Field("series", "collection-title", "T3", ("seriestitle",)),
    Field("edition", "edition", "ET"),
    Field("isbn", "ISBN", "SN", ("isbns",)),
    Field("issn", "ISSN", "SN", ("issns",)),
)
FIRST_PAGE = {"pagestart", "startpage", "firstpage", "bp", "beginningpage"}
LAST_PAGE = {"pageend", "endpage", "lastpage", "ep", "endingpage"}
KEYS = {"citationkey", "citekey", "bibtexkey"}  # what other programs call a citation key
# where an entry of a type says what it is part of; "howpublished" for any other type
VENUES = {
    "article": "journal", "inproceedings": "booktitle", "conference": "booktitle", "incollection": "booktitle",
    "inbook": "booktitle", "phdthesis": "school", "mastersthesis": "school", "thesis": "institution",
    "techreport": "institution", "report": "institution", "book": "publisher", "proceedings": "publisher", "collection": "publisher",
}  # fmt: skip
# of one's own files and programs, and no part of what is cited
LOCAL = re.compile(
    r"file|localfile|groups?|owner|timestamp|creationdate|modificationdate|date-?(?:added|modified)|(?:bdsk|mendeley|jabref|"
    r"zotero)\b.*|annote|annotation|abstract_.*|cited-references|comment|review|readstatus|ranking|priority|unique-id|pdf"
)
_SERIALS = (f"{FIELD}isbn", f"{FIELD}issn")
_DESCRIBED = (
    {field.bibtex for field in FIELDS} | set(VENUES.values()) | set("journaltitle eventtitle year date month".split())
)


def fields(extra: Mapping[str, str]) -> dict[str, str]:
    """The BibTeX fields that were kept, by their names."""
    return {name[len(FIELD) :]: value for name, value in extra.items() if name.startswith(FIELD)}


def is_as_given(name: str) -> bool:
    """Is an entry of `Paper.extra` written back as it came, whatever it says?"""
    return name == KEY or name.startswith(FIELD)


def describes(name: str) -> bool:
    """Does an entry of `Paper.extra` say how one version of a paper was published, so that another's says nothing of it?"""
    return name == TYPE or (name.startswith(FIELD) and name[len(FIELD) :] in _DESCRIBED)


def type_of(extra: Mapping[str, str]) -> Type | None:
    """The row of what a paper is; None if no file says, or by a name that is not known."""
    said = extra.get(TYPE, "")
    return next((row for row in TYPES if said.lower() == row.bibtex or said.upper() == row.ris), None)


def entry_type(said: str) -> str:
    """The BibTeX name of what CSL, Crossref, RIS or Zotero call a type; "" if none is known."""
    other = {"proceedings-article": "paper-conference", "journal-article": "article-journal", "book-chapter": "chapter"}
    said = other.get(said, said)
    return next((row.bibtex for row in TYPES if said and said in (row.csl, row.ris, row.zotero)), "")


# --- keys ---------------------------------------------------------------------------------------


def own_key(extra: Mapping[str, str]) -> str:
    """The citation key that a paper came with, if BibTeX would take it; "" if not."""
    given = extra.get(KEY, "")
    return given if _KEY.fullmatch(given) and printable(given) == given else ""


def known_keys(paper: Paper) -> list[str]:
    """All keys a paper is known by: those it came with, and the one it is given where it came with none."""
    made = made_key(paper.id, paper.title, paper.authors, paper.year)
    return list(dict.fromkeys([key(paper), *other_keys(paper.extra), f"{key(paper)}-{paper.id}", made]))


def other_keys(extra: Mapping[str, str]) -> list[str]:
    """The keys that a paper came with beside the first."""
    return [key for key in re.split(r"[,\s]+", extra.get(OTHER_KEYS, "")) if key]


def united_keys(extras: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What `Paper.extra` holds of the keys of several records of one paper: the first is its key, the others are known."""
    given = [key for extra in extras for key in (own_key(extra), *other_keys(extra)) if key]
    first, *others = list(dict.fromkeys(given)) or [""]
    return ({KEY: first} if first else {}) | ({OTHER_KEYS: ",".join(others)} if others else {})


def key(paper: Paper) -> str:
    """The citation key of a paper: its own, or else one made of it."""
    return own_key(paper.extra) or made_key(paper.id, paper.title, paper.authors, paper.year)


def made_key(id: str, title: str, authors: Sequence[str], year: int | None) -> str:
    """A key made of a paper: readable, the same in every export, and no other paper's, by the id at its end."""
    words = [word for word in re.findall(r"[a-z0-9]+", _ascii(readable(title)).lower()) if word not in _SMALL]
    family = re.findall(r"[a-z0-9]+", _ascii(family_name(authors[0])).lower()) if authors else []
    made = "".join([*family, str(year or ""), *words[:1]])
    return f"{made or 'paper'}-{id}"


def keys(papers: Sequence[Paper]) -> dict[str, str]:
    """id -> key for papers of one file: of several that came with one key, the first keeps it as it is."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for paper in papers:
        made = key(paper)
        if made.lower() in taken:
            made = f"{made}-{paper.id}"
        taken.add(made.lower())
        found[paper.id] = made
    return found


def family_name(author: str) -> str:
    """The family name of "Family, Given" or "Given Family"."""
    return author.split(",")[0] if "," in author else author.split()[-1] if author.split() else ""


def byline(paper: Paper) -> str:
    """Who wrote it and when, as short as one says it: "Reef et al. 2021"; "" if neither is known."""
    names = [readable(family_name(author)) for author in paper.authors]
    and_others = len(names) > 2 or paper.extra.get(OTHERS) == "yes"
    who = f"{names[0]} et al." if names and and_others else " and ".join(names)
    return " ".join(filter(None, [who, str(paper.year or "")]))


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


# --- values -------------------------------------------------------------------------------------


def in_bibtex(name: str, text: str) -> str:
    """The value of a BibTeX field for a plain text of another format."""
    value = " ".join(readable(text).split())
    if name == "pages":
        value = re.sub(r"(?<=\w)(?:-|\s*[‐‑‒–—]\s*)(?=\w)", "--", value)
    return value.translate(IN_LATEX)


def says(name: str, value: str, found: Mapping[str, str]) -> bool:
    """May an entry of `Paper.extra` stand, where a file says as well what `found` holds of it?"""
    if name == TYPE:
        row, other = type_of({TYPE: value}), type_of(found)
        return row is None or other is None or row.csl == other.csl or row.ris == other.ris
    if name not in found or name == KEY:
        return True
    field = name.removeprefix(FIELD)
    if field == "editor":
        return [in_plain("", one) for one in people(value)] == [in_plain("", one) for one in people(found[name])]
    return in_plain(field, value) == in_plain(field, found[name])


def restored(found: Mapping[str, str], held: object) -> dict[str, str]:
    """Entries of `Paper.extra` as an export of a library `held` them, where the file says nothing else by now."""
    kept = held if isinstance(held, dict) else {}
    same = {name: part for name, part in kept.items() if isinstance(part, str) and says(name, part, found)}
    numbers = {same.get(name) for name in _SERIALS}  # RIS has one tag for both
    rest = {name: part for name, part in found.items() if part and name not in same}
    return same | {name: part for name, part in rest.items() if not (name in _SERIALS and part in numbers)}


def is_issn(number: str) -> bool:
    """Is it a journal's number, by its length, and not a book's?"""
    return len(re.findall(r"[\dXx]", number)) == 8


def in_plain(name: str, value: str) -> str:
    """What the value of a BibTeX field says, as plain text on one line."""
    if name == "pages":
        value = _DASHES.sub("-", value)
    return " ".join(readable(unprotected(value)).split())


def unprotected(value: str) -> str:
    """A value without the braces that only protect its capitals."""
    before = None
    while before != value:
        before, value = value, re.sub(r"(?<![\\\w}\]^_$])\{([^{}\\$]*)\}", r"\1", value)
    return value


def unescaped(text: str) -> str:
    """The text of a field that `rag.show.export` wrote: a second pair of braces gone, each escape the character it is for."""
    inside = text[1:-1] if text.startswith("{") else text
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], inside)


def in_one_pair(value: str) -> bool:
    """Does one pair of braces hold all of a value?"""
    if not (value.startswith("{") and value.endswith("}")):
        return False
    depth = 0
    for at, char in enumerate(value):
        depth += (char == "{") - (char == "}")
        if not depth:
            return at == len(value) - 1
    return False


def is_harmless(value: str) -> bool:
    """May a value stand in a BibTeX file as it is? Its braces are in pairs, and none of its commands does more than show text."""
    depth = 0
    for brace in re.findall(r"[{}]", value):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    commands = (found[1] for found in _COMMAND.finditer(value))
    return not depth and printable(value) == value and all(command in _FREE for command in commands)


def people(value: str) -> list[str]:
    """The names in a value of BibTeX, with their braces, without "others"."""
    parts, depth, start = [], 0, 0
    for mark in re.finditer(r"[{}]|\s+and\s+", value, re.IGNORECASE):
        if mark[0] in "{}":
            depth += 1 if mark[0] == "{" else -1
        elif depth <= 0:
            parts.append(value[start : mark.start()])
            start = mark.end()
    return [name for part in (*parts, value[start:]) if (name := part.strip()) and name != "others"]


def ends_in_others(value: str) -> bool:
    """Does a list of names in BibTeX end in "and others"?"""
    return bool(re.search(r"(?:^|\s)and\s+others\s*$", value, re.IGNORECASE))


def in_names(names: Iterable[str]) -> str:
    """Plain names as BibTeX writes a list of them; one that holds an "and" keeps together."""
    return " and ".join(in_braces(" ".join(name.split()).translate(IN_LATEX)) for name in names)


def in_braces(name: str) -> str:
    """A name as one: BibTeX parts a list at "and", and takes "others" for et al."""
    return f"{{{name}}}" if re.search(r"(?:^|\s)and(?:\s|$)|^others$", name, re.IGNORECASE) else name
