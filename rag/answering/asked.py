"""What is asked, as it goes from stage to stage: earlier turns, names, the query that a question stands for, a plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Literal

from rag.library.names import Named, Names
from rag.library.spellings import name_key, spelling
from rag.records import Paper
from rag.text import Span, readable

Kind = Literal["fact", "several", "list", "comparison"]


_SETTING = re.compile(r"\b(?:on|in|for|over|against|from|using|with|via|under|within)(?: the)? $", re.IGNORECASE)
_MEASURED = re.compile(r" (?:scores?|accurac\w+|results?|performance|top-?1|f1|average)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Subject:
    """A name that stands at `span` of a question, as the library spells it.

    `papers` introduce it, the surest first; without one, some only mention it. `introduced` is the sentence of the
    first of them that introduces it (None: only its title does). `long` are its long or short forms.
    """

    name: str
    span: Span
    papers: tuple[Paper, ...] = ()
    introduced: Span | None = None
    long: tuple[str, ...] = ()

    @property
    def paper(self) -> Paper | None:
        """The paper that introduces it."""
        return self.papers[0] if self.papers else None

    def stands_in(self, text: str) -> bool:
        """Has a text that name, or another form of it?"""
        return any(spelling(form).search(text) for form in (self.name, *self.long))


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier question with its answer.

    `papers` are those cited, by number, `quoted` the quotes' starts, `query` the question as it was searched, and
    `verbatim` says whether every sentence was a quote.
    """

    question: str
    text: str
    papers: tuple[tuple[int, Paper], ...] = ()
    quoted: tuple[tuple[str, int], ...] = ()
    query: str = ""
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched, and what the question itself asks.

    `text` is the stand-alone form, `own` the question as asked. The answer is expected in `papers`, the
    likeliest first (none: anywhere; two: both, they are compared) and not in those whose ids are in `without`.
    `shown` is one readable question that says what is searched; `subjects` are the names in it, where they are known;
    `listing` says that a list is wanted, whatever the words say; `leans`, that it was made with the help of earlier turns.
    """

    text: str
    own: str
    papers: tuple[Paper, ...] = ()
    without: frozenset[str] = frozenset()
    shown: str = ""
    subjects: tuple[Subject, ...] = ()
    listing: bool = False
    leans: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`question` stands alone, in its own language; `queries` are searched beside it, in English; `kind` of answer."""

    question: str
    queries: tuple[str, ...] = ()
    kind: Kind = "fact"


def subjects(
    question: str,
    names: Names,
    papers: Callable[[Sequence[str]], dict[str, Paper]],
    within: Container[str] | None = None,
) -> tuple[Subject, ...]:
    """The names in a question, in order, with those of their papers that are `within`."""
    return tuple(_subject(named, names, papers, within) for named in names.names_in(question))


def _subject(
    named: Named,
    names: Names,
    papers: Callable[[Sequence[str]], dict[str, Paper]],
    within: Container[str] | None,
) -> Subject:
    told = {one.paper: one for one in reversed(names.introductions(named.name))}
    ids = [id for id in named.papers if within is None or id in within]
    found = papers(ids)
    first = told.get(ids[0]) if ids else None
    known = tuple(found[id] for id in ids if id in found)
    return Subject(named.name, named.span, known, first.span if first else None, names.forms(named.name)[:2])


def leading(question: str, found: Sequence[Subject]) -> tuple[Subject, ...]:
    """Those that a question is about: introduced here, and not only where something is measured ("on LRA")."""
    introduced = [one for one in found if one.papers]
    plain = [one for one in introduced if not sets_scene(question, one)]
    return tuple(_once(plain or introduced))


def sets_scene(question: str, one: Subject) -> bool:
    """Does a name stand where something is measured: "on LRA", "its LRA score"?"""
    return bool(_SETTING.search(question[: one.span.start]) or _MEASURED.match(question[one.span.end :]))


def _once(found: Sequence[Subject]) -> list[Subject]:
    """Each name once; a name within another's paper stays if it is spelt otherwise."""
    return list({name_key(one.name): one for one in reversed(found)}.values())[::-1]


def called(paper: Paper, names: Names) -> str:
    """What a paper is called: the surest name that it gives itself, else its title without its subtitle."""
    own = names.of(paper.id)
    return own[0] if own else re.split(r"[:?]", readable(paper.title))[0].strip()


def words_without(text: str, spans: Sequence[Span]) -> str:
    """A text without what stands at those places."""
    rest, at = "", 0
    for start, end in spans:
        rest += text[at:start] + " "
        at = end
    return rest + text[at:]
