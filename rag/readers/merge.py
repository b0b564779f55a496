"""Records -> Papers: which records are one paper, and what it is called.

A DOI, an arXiv number or a PubMed number says who a record is; else its title and first author do.
Two records of one title stay two papers where these contradict each other, or where nothing else is
known and their abstracts are unlike; two with one DOI where titles and abstracts are both unlike (an
export that gives a book's DOI to its chapters). Nearly the same title over the same abstract is one.
A paper remembers every record it came from, and keeps the fullest abstract and what others lacked.

An id is the hash of the normalised title, as libraries have always had it, or what an export of a library
says it is. Where two papers share a title one of them keeps that id (a stored one, else the one that says
least of itself) and the others hash title and DOI, or another number, or first author: so ids do not
depend on the order of files.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, count

from rag import bibliography
from rag.readers.record import Record, Skipped
from rag.records import FrozenMap, Paper, unmarked
from rag.text import paper_id, readable, title_key, without_login

ALIKE = 90  # rapidfuzz's ratio of two abstracts, or two titles, that say the same
LIBRARY = "the library"  # stands for the source of a stored paper that names none
UNLIKE = 55  # ... and of two that have nothing to do with each other
LOOKED = 50  # papers of one title, or one beginning, that a record is compared with
_PREPRINT_DOI = re.compile(
    r"10\.48550/|10\.1101/(?:\d{4}\.\d\d\.\d\d\.)?\d{6,}|10\.(?:21203|20944|31234|31219|26434|2139|36227|22541|31223|"
    r"35542|32942|14293)/"
)  # arXiv, bioRxiv and medRxiv, Research Square, Preprints, PsyArXiv, OSF, ChemRxiv, SSRN, TechRxiv, Authorea, EarthArXiv ...
_PUBLISHED = 2  # see _standing
_PREPRINT_VENUE = re.compile(r"arxiv|\bcorr\b|biorxiv|medrxiv|\bssrn\b|research square|preprint", re.IGNORECASE)
_MARKS = 20  # of "!" in a name that are looked at
_OPENING = 60  # letters of an abstract by which near duplicates find each other


@dataclass(frozen=True, slots=True)
class Merged:
    """A record that was found to be a paper already read: where it stands, the paper, and what showed it."""

    source: str
    title: str
    into: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: {self.title!r}: the paper of {self.into} ({self.reason})"


@dataclass(slots=True, eq=False)
class _Group:
    """The records of one paper so far. `stored` is the paper as a library has it, if it does."""

    first: Record
    title: str  # normalised
    numbers: dict[str, set[str]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    abstract: str = ""
    stored: Paper | None = None
    known: Record | None = None  # that paper as a record
    again: bool = False  # was every file that the stored paper came from read again?
    surname: str = ""  # of the first author, "" if no record names one

    def add(self, record: Record) -> None:
        self.records.append(record)
        self.surname = self.surname or (surname(record.authors[0]) if record.authors else "")
        self.abstract = fullest((self.abstract, record.abstract))
        for kind, number in _numbers(record):
            self.numbers.setdefault(kind, set()).add(number)


def merged(
    records: Iterable[Record],
    known: Iterable[Paper] = (),
    again: Collection[str] = (),
    is_taken: Callable[[str], bool] = lambda id: False,
) -> tuple[list[Paper], list[Merged], list[Skipped]]:
    """The papers in order of first appearance, the records that were one already, and those without an abstract.

    `known` are papers of a library: a record of one becomes that paper, with its id and sources, and more. They are
    those that have something of `keys_of` in common with a record; `is_taken` knows the ids of the others.
    Only papers with a record among `records` are given. What a stored paper had from the files named in
    `again`, and from no other, gives way to what they say now.
    """
    index = _Index()
    for paper in known:
        index.start_known(paper, again)
    shown: list[Merged] = []
    for record in records:
        group, reason = index.find(record)
        if group is None:
            index.start(record)
            continue
        shown += index.join(group, record)
        if not group.stored or len(group.records) > 2 or not _is_known(record, group.stored, again):
            shown.append(Merged(record.source, record.title, group.first.source, reason))
    groups = [group for group in index.groups if not group.stored or len(group.records) > 1]
    papers = [_paper(group, again) for group in groups]
    empty = [_without(group) for group, paper in zip(groups, papers, strict=True) if not paper.abstract]
    return _named(groups, papers, index, is_taken), shown, empty


def record_of(paper: Paper) -> Record:
    """A stored paper as a record."""
    source = paper.sources[0] if paper.sources else LIBRARY
    return Record(paper.title, paper.abstract, source, paper.authors, paper.year, paper.venue, paper.doi, paper.url,
                  paper.extra)  # fmt: skip


def file_of(source: str, names: Container[str] = ()) -> str:
    """The file of a source, "file:line" or "archive!member:line". Of a name that holds a "!" itself `names` must tell."""
    return file_named(source.rpartition(":")[0], names)


def file_named(name: str, names: Container[str] = ()) -> str:
    """The file of "file" or "archive!member": the longest that is one of `names`, else what stands before the first "!"."""
    if "!" not in name:
        return name
    ends = [len(name), *(at for at in range(len(name) - 1, -1, -1) if name[at] == "!")][:_MARKS]
    return next((name[:end] for end in ends if name[:end] in names), name.partition("!")[0])


def _is_known(record: Record, stored: Paper, again: Collection[str]) -> bool:
    """Was the stored paper made of this record, which may stand at another line by now?"""
    file = file_of(record.source, again)
    held = (file_of(source, again) for source in stored.sources)
    return record.source in stored.sources or (file in again and file in held)


def _without(group: _Group) -> Skipped:
    more = f" (nor have {', '.join(r.source for r in group.records[1:4])})" if len(group.records) > 1 else ""
    return Skipped(group.first.source, group.first.title, f"without an abstract{more}", "no abstract")


# --- finding ------------------------------------------------------------------------------------


class _Index:
    """Groups by everything a record may be found by."""

    def __init__(self) -> None:
        self.groups: dict[_Group, None] = {}
        self._by: dict[tuple[str, str], list[_Group]] = {}

    def start(self, record: Record, stored: Paper | None = None) -> _Group:
        group = _Group(record, _key(record.title), stored=stored)
        self.groups[group] = None
        self.join(group, record)
        return group

    def start_known(self, paper: Paper, again: Collection[str]) -> None:
        known = record_of(paper)
        group = self.start(known, paper)
        group.known = known
        group.again = bool(paper.sources) and all(file_of(source, again) in again for source in paper.sources)

    def join(self, group: _Group, record: Record) -> list[Merged]:
        """Add a record to a group; other groups that it shows to be the same paper become part of it, and are given."""
        group.add(record)
        united: list[Merged] = []
        for kind, number in _numbers(record):
            held = self._by.get((kind, number), ())[:LOOKED]
            for other in [other for other in held if other is not group and _are_one(group, other)]:
                self._absorb(group, other)
                united.append(
                    Merged(other.first.source, other.first.title, group.first.source, f"the same {_SPELLED[kind]}")
                )
        for key in keys_of(record):
            held = self._by.setdefault(key, [])
            if group not in held:
                held.append(group)
        return united

    def _absorb(self, group: _Group, other: _Group) -> None:
        if not group.stored:
            group.stored, group.known, group.again = other.stored, other.known, other.again
        for record in other.records:
            group.add(record)
            for key in keys_of(record):
                held = self._by[key]
                held[:] = [group if one is other else one for one in held if one is not group]
        self.groups.pop(other, None)

    def find(self, record: Record) -> tuple[_Group | None, str]:
        """The group that a record belongs to, and what shows it."""
        for kind, number in _numbers(record):
            for group in self._by.get((kind, number), ())[:LOOKED]:
                if _is_one(group, record):
                    return group, f"the same {_SPELLED[kind]}"
        key = _key(record.title)
        for group in self._by.get(("title", key), ())[:LOOKED]:
            if not _contradicts(group, record):
                return group, "the same title"
        for group in self._by.get(("abstract", _opening(record.abstract)), ())[:LOOKED] if record.abstract else ():
            if _is_near(group, record, key):
                return group, "nearly the same title, the same abstract"
        return None, ""


_SPELLED = {"doi": "DOI", "preprint": "DOI", "arxiv": "arXiv number", "pmid": "PubMed number"}


def _numbers(record: Record) -> Iterator[tuple[str, str]]:
    """What a record is surely known by; a DOI that only repeats the arXiv number says nothing of its own."""
    doi = (record.doi or "").lower()
    if doi and not doi.startswith("10.48550/arxiv"):
        yield ("preprint" if _PREPRINT_DOI.match(doi) else "doi"), doi
    for kind in ("arxiv", "pmid", "preprint"):
        if number := record.extra.get(kind):
            yield kind, number


def keys_of(record: Record) -> Iterator[tuple[str, str]]:
    """What other records of its paper may have in common with a record: numbers, the title, how the abstract begins."""
    yield from _numbers(record)
    yield "title", _key(record.title)
    if record.abstract:
        yield "abstract", _opening(record.abstract)


@lru_cache(maxsize=4096)
def _key(title: str) -> str:
    """The normalised title, also of a paper that was retracted since; of one without any letters the title itself."""
    return title_key(unmarked(title)) or title


@lru_cache(maxsize=4096)
def _opening(abstract: str) -> str:
    return "".join(re.findall(r"[^\W_]", abstract[: 3 * _OPENING]))[:_OPENING].casefold()


# --- the same paper? ----------------------------------------------------------------------------


def _is_one(group: _Group, record: Record) -> bool:
    """Of a record with a number of the group's: is it the paper, or does an export give one number to many?"""
    return _fits(group, _key(record.title), record.abstract)


def _are_one(group: _Group, other: _Group) -> bool:
    """Of two groups that a record shows to have one number; two papers of the library are not a reader's to unite."""
    return not (group.stored and other.stored) and _fits(group, other.title, other.abstract)


def _fits(group: _Group, title: str, abstract: str) -> bool:
    from rapidfuzz import fuzz

    if not group.abstract or not abstract or fuzz.token_set_ratio(group.title, title) > UNLIKE:
        return True
    return likeness(group.abstract, abstract) > UNLIKE


def _contradicts(group: _Group, record: Record) -> bool:
    """Of a record with the group's title: does anything show that it is another paper?"""
    author = surname(record.authors[0]) if record.authors else ""
    if _numbers_differ(group, record) or (group.surname and author and group.surname != author):
        return not _says_the_same(group.abstract, record.abstract)  # one paper in two journals, a misspelt name
    if group.surname and author:
        return False
    return bool(group.abstract and record.abstract) and likeness(group.abstract, record.abstract) < UNLIKE


def _numbers_differ(group: _Group, record: Record) -> bool:
    return any(kind in group.numbers and number not in group.numbers[kind] for kind, number in _numbers(record))


def _says_the_same(one: str, two: str) -> bool:
    return bool(one and two) and _opening(one) == _opening(two) and likeness(one, two) > ALIKE


def _is_near(group: _Group, record: Record, key: str) -> bool:
    """Are title and abstract the same but for a slip? Part 1 and part 2 are not."""
    from rapidfuzz import fuzz

    if _numbers_differ(group, record):
        return False
    if fuzz.ratio(group.title, key) < ALIKE or _counted(group.title) != _counted(key):
        return False
    return likeness(group.abstract, record.abstract) > ALIKE


def _counted(title: str) -> list[str]:
    """The numbers and single letters of a normalised title, Roman numerals too."""
    return re.findall(r"\b(?:\w*\d\w*|[b-z]|[ivx]+)\b", title)


def likeness(one: str, two: str) -> float:
    """0..100: how alike the beginnings of two abstracts are; 100 for one that is the other cut short."""
    from rapidfuzz import fuzz

    short, long = sorted((_plain(one), _plain(two)), key=len)
    return max(fuzz.ratio(short, long[: len(short)]), fuzz.partial_ratio(short[:300], long[:1500]))


@lru_cache(maxsize=4096)
def _plain(abstract: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", readable(abstract[:2500]).casefold()))[:1500]


@lru_cache(maxsize=4096)
def surname(author: str) -> str:
    """The last word of the family name in "Gray, Ada", "Ada Gray", "Gray A." and "Gray AB", without accents."""
    family, comma, _ = author.partition(",")
    words = [word for word in re.split(r"[\s.]+", readable(family)) if word]
    if not comma and len(words) > 1:
        initials = [len(word) <= 3 and word.isupper() and word.isalpha() for word in words]
        words = [word for word, initial in zip(words, initials, strict=True) if not initial] or words
    plain = unicodedata.normalize("NFKD", words[-1] if words else "")
    return "".join(char for char in plain if not unicodedata.combining(char)).casefold()


# --- one paper ----------------------------------------------------------------------------------


def _paper(group: _Group, again: Collection[str]) -> Paper:
    """The first record's paper, with the fullest abstract and what the others add."""
    new = [record for record in group.records if record is not group.known]
    records = new if group.again and new else group.records
    main, published = _published(records)
    first = group.known if group.known and records is not new else records[0]
    lead = first if _standing(first) else main  # whose title it has
    extra = _extra((lead, *records), published)
    for record in (lead, *records):
        if main.doi and record.doi and record.doi != main.doi and _PREPRINT_DOI.match(record.doi):
            extra.setdefault("preprint", record.doi)
    title = group.stored.title if group.stored and lead is group.known else lead.title
    given = next((record.id for record in records if record.id), "")
    return Paper(
        id=group.stored.id if group.stored else given or paper_id(title),
        title=title,
        abstract=fullest(record.abstract for record in records) or group.abstract,
        authors=next((record.authors for record in (lead, *records) if record.authors), ()),
        year=next((record.year for record in published if record.year), None),
        venue=next((record.venue for record in published if record.venue), None),
        doi=next((record.doi for record in published if record.doi), None),
        url=next((without_login(record.url) for record in (lead, *records) if record.url), None),
        sources=_sources(group, [record.source for record in new], again),
        extra=FrozenMap({name: without_login(value) for name, value in extra.items()}),
    )


def _extra(records: Sequence[Record], published: list[Record]) -> dict[str, str]:
    """What else is known, the first record first; how a paper was published, from those that say what it is."""
    extra: dict[str, str] = {}
    for record in records:
        extra = {name: value for name, value in record.extra.items() if not bibliography.describes(name)} | extra
    for record in published:
        extra = {name: value for name, value in record.extra.items() if bibliography.describes(name)} | extra
    return extra | bibliography.united_keys(record.extra for record in records[1:])


def _published(records: list[Record]) -> tuple[Record, list[Record]]:
    """The record that says what the paper is, and those that may add to its year, venue and DOI, that one first.

    Where a journal's record is among them, a preprint's year, venue and DOI say nothing of the paper.
    """
    ranks = {id(record): _standing(record) for record in records}
    main = max(records, key=lambda record: ranks[id(record)])  # the first of several
    if ranks[id(main)] < _PUBLISHED:
        return main, [main, *records]
    same = [
        one for one in records if ranks[id(one)] >= _PUBLISHED and not (one.doi and main.doi and one.doi != main.doi)
    ]
    return main, [main, *same]


def _standing(record: Record) -> int:
    """0 a preprint, 1 one that does not say, 2 a preprint that names its journal, 3 a journal's."""
    is_preprint = bool(record.extra.get("arxiv"))
    has_doi = bool(record.doi) and not _PREPRINT_DOI.match(record.doi or "")
    has_venue = bool(record.venue) and not _PREPRINT_VENUE.search(record.venue or "")
    if has_doi or has_venue:
        return _PUBLISHED if is_preprint else _PUBLISHED + 1
    return 0 if is_preprint or record.doi or record.venue else 1


def fullest(abstracts: Iterable[str]) -> str:
    """The longest as it is shown (LaTeX says no more with more characters), the first of several."""
    found = list(dict.fromkeys(abstracts))
    return max(found, key=_length if found[1:] and all(found) else len)


@lru_cache(maxsize=256)
def _length(text: str) -> int:
    return len(readable(text))


def _sources(group: _Group, new: list[str], again: Collection[str]) -> tuple[str, ...]:
    """Those stored, in their order, less what is no longer in a file read again; then the new ones."""
    before = group.stored.sources if group.stored else ()
    kept = [source for source in before if source in new or file_of(source, again) not in again]
    return tuple(dict.fromkeys([*kept, *new]))


def _named(groups: list[_Group], papers: list[Paper], index: _Index, is_taken: Callable[[str], bool]) -> list[Paper]:
    """The papers that have an abstract, each with an id of its own."""
    taken = {group.stored.id for group in index.groups if group.stored}
    order = sorted(range(len(papers)), key=lambda n: (papers[n].id, bool(_said(papers[n])), _said(papers[n])))
    ids: dict[int, str] = {}
    for n in order:
        paper = papers[n]
        if groups[n].stored or not paper.abstract:
            ids[n] = paper.id
            continue
        ids[n] = next(id for id in _ids(paper) if id not in taken and not is_taken(id))
        taken.add(ids[n])
    return [replace(paper, id=ids[n]) for n, paper in enumerate(papers) if paper.abstract]


def _said(paper: Paper) -> str:
    """What tells a paper from another of its title."""
    author = surname(paper.authors[0]) if paper.authors else ""
    return paper.doi or paper.extra.get("arxiv") or paper.extra.get("pmid") or author


def _ids(paper: Paper) -> Iterator[str]:
    """The title's hash; title and what tells it apart; at last, where nothing else does, the abstract too."""
    yield paper.id
    key = title_key(paper.title)
    for more in chain((_said(paper), paper.abstract), (f"{paper.abstract}\0{n}" for n in count(2))):
        if more:
            yield hashlib.sha256(f"{key}\0{more}".encode()).hexdigest()[:12]
