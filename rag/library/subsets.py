"""The papers of a library that a filter admits."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from sqlite3 import Connection

from rag.filters import Facts, Filter, Selected, admitted, nothing
from rag.library import facts
from rag.library.database import Database
from rag.library.rows import PAPER, damaged_paper, is_sound
from rag.records import Where

FILTERS = 8  # whose papers are remembered
ALIKE = 85  # of 100: how alike a name is that was probably meant


class Subsets:
    """Filters over one library's papers. Usable from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def selected(self, where: Filter) -> Selected:
        """The papers that a filter admits."""
        remembered = self._db.memory().selected
        found = remembered.get(where)
        if found is None:
            try:
                found = self._db.run(partial(_selected, where))
            except facts.Unsound:
                raise self._db.damaged("what its filters look at") from None
            if found.where.of != self._db.count():
                raise self._db.damaged("what its filters look at")
            if len(remembered) >= FILTERS:
                remembered.clear()
            remembered[where] = found
        return found

    def nothing(self, where: Filter) -> str:
        """Why a filter admits no paper, and what there is instead: a line without its full stop."""
        return nothing(where, list(self._facts(where.fields)), _like)

    def _facts(self, wanted: Collection[str]) -> Iterator[Facts]:
        """Of every paper what the fields that are wanted say."""
        columns = {"year": "year", "author": "authors", "venue": "venue"}
        paths = (f"json_extract(record, '$.{c}')" if name in wanted else "NULL" for name, c in columns.items())
        for row in self._db.rows(f"SELECT {PAPER}, {', '.join(paths)} FROM papers"):
            if not is_sound(row):
                raise damaged_paper(self._db, row[1])
            id, (year, authors, venue) = row[0], row[6:]
            yield Facts(id, year, tuple(json.loads(authors)) if authors else (), venue)


def _selected(where: Filter, db: Connection) -> Selected:
    """The papers that a filter admits, found by what is kept of all papers for it."""
    ids: list[str] = []
    every = silent = 0
    for page in facts.pages(db, where.fields):
        every += sum(map(bool, page.ids))
        known, unsaid = admitted(where, page.lines) if where else (set(range(len(page.ids))), set[int]())
        ids += [id for id in map(page.ids.__getitem__, known) if id]
        silent += sum(bool(page.ids[n]) for n in unsaid)
    return Selected(frozenset(ids), Where(str(where), len(ids), every, silent))


def _like(name: str, names: Iterable[str]) -> str | None:
    """The name that a mistyped one was probably meant to be."""
    from rapidfuzz import fuzz, process, utils

    whole = " " in name
    scorer = fuzz.token_sort_ratio if whole else fuzz.partial_ratio
    known = [one for one in names if whole or len(one) >= len(name)]  # a few letters are a part of any
    found = process.extractOne(name, known, scorer=scorer, processor=utils.default_process, score_cutoff=ALIKE)
    return found[0] if found else None
