"""The names of a library: which papers introduce a name, which mention it, and which names a question holds.

What `namings` reads in each paper is a table of the library's file and changes with the papers, in the same
transaction. A name that no paper introduces is looked for in the full text. A word of the language is a name only
where it is written or used as one: "BRIGHT", "is bright harder?", not "bright ideas".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from sqlite3 import Connection
from typing import NamedTuple

from rag.library.database import Database
from rag.library.digests import digest
from rag.library.spellings import HOWS, LONGEST, How, clean, is_word, name_key, named, pieces, spelling, strong
from rag.records import Paper
from rag.text import STOPWORDS, Span, readable

VERSION = 2  # of what `namings` finds and of the table; another one is filled anew
MANY = 4  # papers that introduce a name; where more do, it is nobody's
RARE = 0.02  # share of the papers that may hold a word of the language which is also a name
FEW = 4  # papers that always may
TOKENS = 200  # of a question that are looked at
LOOKED_AT = 3  # papers that show how a word is written
NAMED = HOWS.index("title")  # how sure a paper's naming must be to count as its introduction
DEFINED = HOWS.index("defined")

_TABLES = (
    """CREATE TABLE names (key TEXT NOT NULL, name TEXT NOT NULL, how INTEGER NOT NULL, word INTEGER NOT NULL,
    paper INTEGER NOT NULL, start INTEGER, "end" INTEGER, long TEXT NOT NULL, long_key TEXT NOT NULL)""",
    "CREATE INDEX names_key ON names (key, how)",
    "CREATE INDEX names_paper ON names (paper)",
    "CREATE INDEX names_long ON names (long_key) WHERE long_key != ''",
)


class Introduction(NamedTuple):
    """What one paper says of a name: the name as it spells it, how, and where in its abstract; None: only its title.

    `long` is the long form that it gives, or "".
    """

    paper: str
    name: str
    how: How
    span: Span | None
    long: str


@dataclass(frozen=True, slots=True)
class Named:
    """A name in a text at `span`, as the library spells it, and the ids of the papers that introduce it, surest first.

    `how` says how sure the surest is; "mentioned": no paper introduces or defines it, some have it.
    """

    name: str
    span: Span
    papers: tuple[str, ...]
    how: How | None = None

    @property
    def introduced(self) -> bool:
        """Does a paper of the library introduce it?"""
        return bool(self.papers)


class Names:
    """The names of one library's papers. Usable from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def names_in(self, text: str) -> tuple[Named, ...]:
        """The names in a text as typed, in order; of two that overlap the longer one."""
        tokens = _tokens(text)[:TOKENS]
        spans = _spans(text, tokens)
        known = self._known({key for _, keys in spans for key in keys})
        found: list[Named] = []
        taken: list[Span] = []  # by names, and by words that could be one and are not meant so
        for span, keys in spans:
            key = next((key for key in keys if key in known), None)
            typed = text[span.start : span.end].lower().split()
            if key is None or any(_overlap(one, span) for one in taken) or (typed[1:] and STOPWORDS.issuperset(typed)):
                continue
            rows = self._rows(key)
            if self._meant(text, span, rows):
                found.append(_named(rows, span))
            taken.append(span)
        found += self._mentioned(text, [t for t in tokens if not any(_overlap(Span(t.start, t.end), s) for s in taken)])
        return tuple(sorted(found, key=lambda one: one.span))

    def introductions(self, name: str) -> tuple[Introduction, ...]:
        """What the papers that introduce, define or spell out a name say of it, surest first."""
        query = (
            'SELECT papers.id, names.name, how, start, "end", long FROM names JOIN papers ON papers.number = names.paper '
            "WHERE key = ? ORDER BY how, papers.number"
        )
        return tuple(
            Introduction(id, spelt, HOWS[how], None if start is None else Span(start, end), long)
            for id, spelt, how, start, end, long in self._db.rows(query, name_key(name))
        )

    def mentioning(self, name: str) -> tuple[str, ...]:
        """Ids of the papers whose title or abstract has a name in any spelling: those that introduce it, then by how often."""
        spellings = self.spellings(name)
        wanted = [spelling(one) for one in spellings]
        match = " OR ".join(dict.fromkeys(phrase for one in spellings for phrase in _phrases(one)))
        if not match:
            return ()
        exact = spellings if all(one != one.lower() and is_word(one) for one in spellings) else []
        written = " OR ".join(["instr(passages.title || ' ' || abstract, ?)"] * len(exact)) or "1"
        query = (
            "SELECT papers.id, passages.title, abstract FROM passages JOIN papers ON papers.number = passages.rowid "
            f"WHERE passages MATCH ? AND ({written}) ORDER BY papers.number"  # "SCALE", not 50,000 times "scale"
        )
        counted = {}
        for id, title, abstract in self._db.rows(query, match, *exact):
            places = {m.start() for one in wanted for m in one.finditer(f"{title}\n{abstract}")}
            if places:
                counted[id] = (-any(one.search(title) for one in wanted), -len(places))
        first = [i.paper for i in self.introductions(name) if HOWS.index(i.how) <= NAMED and i.paper in counted]
        return tuple(dict.fromkeys([*first, *sorted(counted, key=lambda id: counted[id])]))

    def forms(self, name: str) -> tuple[str, ...]:
        """Other names of the same: the long forms of a short one, the short forms of a long one, commonest first."""
        key = name_key(name)
        longs = self._db.rows("SELECT long FROM names WHERE key = ? AND long != ''", key)
        shorts = self._db.rows("SELECT name FROM names WHERE long_key = ?", key)
        counted = Counter(name_key(form) for (form,) in [*longs, *shorts])
        spelt = {name_key(form): form for (form,) in reversed([*longs, *shorts])}
        return tuple(spelt[one] for one, _ in counted.most_common())

    def of(self, paper: str) -> tuple[str, ...]:
        """The names that a paper (its id) introduces, surest first."""
        query = (
            "SELECT names.name FROM names JOIN papers ON papers.number = names.paper "
            "WHERE papers.id = ? AND how <= ? ORDER BY how, names.rowid"
        )
        return tuple(dict.fromkeys(name for (name,) in self._db.rows(query, paper, NAMED)))

    def __iter__(self) -> Iterator[Introduction]:
        """All that papers introduce, by name and abstract or title, surest first."""
        query = (
            'SELECT papers.id, names.name, how, start, "end", long FROM names JOIN papers ON papers.number = names.paper '
            "WHERE how <= ? ORDER BY how, papers.number, names.rowid"
        )
        for id, name, how, start, end, long in self._db.rows(query, NAMED):
            yield Introduction(id, name, HOWS[how], None if start is None else Span(start, end), long)

    # --- the table ------------------------------------------------------------------------------

    def _known(self, keys: Iterable[str]) -> set[str]:
        query = "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM names WHERE key = value)"
        return {key for (key,) in self._db.rows(query, json.dumps(list(keys)))}

    def _rows(self, key: str) -> list[tuple[str, str, int, bool]]:
        """(paper id, name, how, is a word) of a key, surest first."""
        query = (
            "SELECT papers.id, names.name, how, word FROM names JOIN papers ON papers.number = names.paper "
            "WHERE key = ? ORDER BY how, papers.number LIMIT 20"
        )
        return self._db.rows(query, key)

    def spellings(self, name: str) -> list[str]:
        """How the papers spell a name; as it is given, too, unless that is a word of the language."""
        rows = self._db.rows("SELECT DISTINCT name, word FROM names WHERE key = ? LIMIT 20", name_key(name))
        typed = [] if any(word for _, word in rows) else [name]
        return list(dict.fromkeys([*(spelt for spelt, _ in rows), *typed]))

    # --- what is meant --------------------------------------------------------------------------

    def _meant(self, text: str, span: Span, rows: Sequence[tuple[str, str, int, bool]]) -> bool:
        """Is what could be a name meant as one? What is a word of the language must be written or used as a name."""
        if not any(word for *_, word in rows):
            return True
        typed = text[span.start : span.end]
        plain = typed == typed.capitalize() and not text[: span.start].strip()  # any word begins a question so
        if any(typed == name for _, name, *_ in rows) and typed != typed.lower() and text != text.upper() and not plain:
            return HOWS[rows[0][2]] in ("both", "title") or self._rare(typed, typed)  # "DNA" is nobody's
        return _framed(text, span) and (named(typed) or self._rare(typed))

    def _rare(self, word: str, written: str = "") -> bool:
        """Is a word in few papers, `written` like that? Counted no further than it takes to know."""
        newest = int(self._db.rows("SELECT coalesce(max(number), 0) FROM papers")[0][0])  # some more than there are
        few = max(FEW, int(RARE * newest))
        query = (
            "SELECT count(*) FROM (SELECT 1 FROM passages WHERE passages MATCH ? "
            "AND (? = '' OR instr(title || ' ' || abstract, ?)) LIMIT ?)"
        )
        return int(self._db.rows(query, " OR ".join(_phrases(word)), written, written, few + 1)[0][0]) <= few

    def _mentioned(self, text: str, tokens: Sequence[Token]) -> Iterator[Named]:
        """Tokens of a question that the papers write as a name which none of them introduces ("gpt 4" is one)."""
        at = 0
        while at < len(tokens):
            token = tokens[at]
            pair = tokens[at : at + 2]
            span = Span(token.start, pair[-1].end)
            versioned = len(pair) == 2 and _VERSION.fullmatch(pair[1].text) and text[token.end : pair[1].start] == " "
            if versioned and (written := self._written(text[span.start : span.end])):
                yield Named(written, span, ())
                at += 1
            elif _could_be(text, token) and (written := self._written(token.text)):
                yield Named(written, Span(token.start, token.end), ())
            at += 1

    def _written(self, typed: str) -> str | None:
        """How papers write a word, if they write it as a name: never small, and oddly or inside a sentence."""
        if typed.split()[0].lower() in STOPWORDS or len(name_key(typed)) < 2 or _AMOUNT.fullmatch(typed):
            return None
        query = "SELECT title || '. ' || abstract FROM passages WHERE passages MATCH ? LIMIT ?"
        match = " OR ".join(_phrases(typed))
        forms: Counter[str] = Counter()
        for (text,) in self._db.rows(query, match, LOOKED_AT) if match else []:
            for place in spelling(typed, cased=False).finditer(text):
                if (
                    strong(place[0])
                    or not named(place[0])
                    or re.search(r"[\w,] $", text[max(0, place.start() - 2) : place.start()])
                ):
                    forms[place[0]] += 1
        if not forms or not all(map(named, forms)):
            return None
        best = clean(forms.most_common(1)[0][0])
        return best if any(map(strong, best.split())) or not is_word(best) else None


def _named(rows: Sequence[tuple[str, str, int, bool]], span: Span) -> Named:
    """The name that some rows are of; papers introduce it if they are few, or those whose title has it."""
    papers = dict.fromkeys(id for id, _, how, _ in rows if how <= NAMED)
    if len(papers) > MANY:
        papers = dict.fromkeys(id for id, _, how, _ in rows if how == 0)
    return Named(rows[0][1], span, tuple(papers), HOWS[rows[0][2]])


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


# --- a question ---------------------------------------------------------------------------------


class Token(NamedTuple):
    """A word of a question, without the marks around it and without "'s"."""

    text: str
    start: int
    end: int


_WORD = re.compile(r"[^\s,;:?!()\[\]{}\"“”‘`<>|/…]+")
_TAIL = re.compile(r"(?:['’]s?|[.*_'’]+|-)+$")
_INITIALS = re.compile(r"(?:[^\W\d_]\.){2,}$")
_VERSION = re.compile(r"\d+(?:\.\d+)*[a-z]?")
_AMOUNT = re.compile(r"[a-z]*-?[\d.,]+-?(?:[a-zA-Z%+]{0,2}|[a-z]+)")  # "7B", "top-1", "204-task"
_GAP = re.compile(r"\s?[-/.]?\s?")
_BEFORE = frozenset(
    """is are was were what what's whats who who's define explain describe compare vs vs. versus than between and or
    mention mentions mentioning cite cites citing use uses using called named of about behind does did do has have with on
    introduce introduces propose proposes like against by from for in beats outperforms""".split()
)
_AFTER = frozenset(
    """vs vs. versus or and than is are was were do does did has have had work works use uses better worse larger smaller
    bigger harder faster slower newer older cheaper compare compares differ differs different score scores evaluate
    evaluates cover covers contain contains include includes perform performs outperform outperforms beat beats introduce
    introduces propose proposes mean means get gets made built created released test tests measure measures support
    supports rely relies trained tested evaluated published licensed need needs cost costs take takes run runs reach reaches
    achieve achieves come open free available from under about benchmark dataset corpus model paper method library tool simulator suite leaderboard
    framework system network algorithm trial study""".split()
)
_KINDS = frozenset(
    "dataset benchmark corpus model paper method library tool simulator suite leaderboard framework".split()
)
_COMPARED = frozenset("with to against".split())  # what may follow a name after "compare"
_OPENS = frozenset("vs vs. versus or and is".split())  # what may follow a name that begins a question


def _tokens(text: str) -> list[Token]:
    found = []
    for match in _WORD.finditer(text):
        plain = match[0] if _INITIALS.search(match[0]) else _TAIL.sub("", match[0])
        start = match.start() + len(plain) - len(plain.lstrip(".*_'’-"))
        if plain := plain.lstrip(".*_'’-"):
            found.append(Token(plain, start, start + len(plain)))
    return found


def _spans(text: str, tokens: Sequence[Token]) -> list[tuple[Span, tuple[str, ...]]]:
    """(span, keys that it could have) of all runs of tokens, longest first."""
    found = []
    for first in range(len(tokens)):
        for last in range(first, min(first + LONGEST, len(tokens))):
            if last > first and not _GAP.fullmatch(text[tokens[last - 1].end : tokens[last].start]):
                break
            span = Span(tokens[first].start, tokens[last].end)
            found.append((last - first, span, _keys(text[span.start : span.end])))
        head = re.match(r"(.*[^\W_])-[a-z]+$", tokens[first].text)  # "LongVQ-based"
        if head:
            found.append((-1, Span(tokens[first].start, tokens[first].start + head.end(1)), _keys(head[1])))
    found.sort(key=lambda one: -one[0])
    return [(span, keys) for _, span, keys in found if keys]


def _keys(typed: str) -> tuple[str, ...]:
    """The keys of what was typed: its own, then those of its singular or plural; none for a word that joins others."""
    key = name_key(typed)
    if len(key) < 2 or (typed.lower() in STOPWORDS and typed == typed.lower()):
        return ()
    return (key, key[:-1]) if len(key) > 3 and key.endswith("s") else (key, f"{key}s")


def _could_be(text: str, token: Token) -> bool:
    """Is a word worth looking up as a name that no paper introduces: written like one, or used like one?"""
    raised = named(token.text) and bool(text[: token.start].strip())
    return strong(token.text) or raised or _framed(text, Span(token.start, token.end))


def _framed(text: str, span: Span) -> bool:
    """Do the words around a word use it as a name ("is bright harder than", "compare helmet and")?"""
    before = re.findall(r"[\w.']+|[,;:()]", text[: span.start].lower())[-1:]
    after = re.findall(r"[\w.']+|[^\w\s]", text[span.end :].lower())[:1]
    if not before:
        return not after or after[0] in _OPENS or not after[0].isalpha()
    if before[0] == "the" and after and after[0] in _KINDS:
        return True
    if before[0] == "compare" and after and after[0] in _COMPARED:
        return True
    ended = not after or not after[0].isalpha() or after[0].strip("'.") in _AFTER | {"s"}
    return (before[0] in _BEFORE or not before[0][0].isalpha()) and ended


def _phrases(name: str) -> list[str]:
    """The phrases of the full text under which the spellings of a name stand: "flash attention", "flashattention"."""
    parts = [part for part in pieces(name) if part[0].isalnum()][:LONGEST]
    joins = product(*[("", " ")] * (len(parts) - 1)) if parts else ()
    joined = ("".join(a + b for a, b in zip(parts, (*join, ""), strict=True)) for join in joins)
    return [f'"{phrase}"' for phrase in dict.fromkeys(joined)]


# --- rows ---------------------------------------------------------------------------------------


def current(db: Connection) -> bool:
    """Has a library the names of its papers, as this version finds them?"""
    return bool(db.execute("SELECT 1 FROM meta WHERE key = 'names' AND value = ?", (str(VERSION),)).fetchall())


def ensure(db: Connection) -> None:
    """Fill the table of a library that has none, or an older one: once for libraries made before."""
    if not db.in_transaction:
        db.execute("BEGIN IMMEDIATE")  # a statement that makes a table begins none by itself
    if not current(db):
        refill(db)


def create(db: Connection) -> None:
    """Make the table, empty; one that is there is dropped first."""
    db.execute("DROP TABLE IF EXISTS names")
    for statement in _TABLES:
        db.execute(statement)
    db.execute("INSERT OR REPLACE INTO meta VALUES ('names', ?, ?)", (str(VERSION), digest("names", str(VERSION))))


def refill(db: Connection) -> None:
    """Make the table from the papers."""
    create(db)
    for number, record in db.execute("SELECT number, record FROM papers ORDER BY number").fetchall():
        insert(db, number, Paper.from_dict(json.loads(record)))


def insert(db: Connection, number: int | None, paper: Paper) -> None:
    """Keep the names of a paper under the number of its row."""
    from rag.library.namings import namings  # its patterns take time to make; a question needs none of them

    text = f"{readable(paper.title)} {readable(paper.abstract)}"
    rows = [
        (
            name_key(n.name),
            n.name,
            HOWS.index(n.how),
            _ordinary(n.name, text),
            number,
            *(n.span or (None, None)),
            n.long,
            name_key(n.long),
        )
        for n in namings(paper.title, paper.abstract)
    ]
    db.executemany("INSERT INTO names VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def delete(db: Connection, number: int) -> None:
    """Take the names of the paper with that number out."""
    db.execute("DELETE FROM names WHERE paper = ?", (number,))


def _ordinary(name: str, text: str) -> bool:
    """Is a name a word of the language, or one that its own paper writes small as well ("Datasets", "datasets")?"""
    small = not strong(name) and " " not in name and name != name.lower()
    return is_word(name) or (small and bool(re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", text)))
