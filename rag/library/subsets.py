"""The papers of a library that a filter admits."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator

from rag.filters import Facts, Filter, Selected, nothing
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
            admitted = [(facts.id, where.admits(facts)) for facts in self._facts(where.fields)]
            ids = frozenset(id for id, admits in admitted if admits)
            silent = sum(admits is None for _, admits in admitted)
            found = Selected(ids, Where(str(where), len(ids), len(admitted), silent))
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


def _like(name: str, names: Iterable[str]) -> str | None:
    """The name that a mistyped one was probably meant to be."""
    from rapidfuzz import fuzz, process, utils

    whole = " " in name
    scorer = fuzz.token_sort_ratio if whole else fuzz.partial_ratio
    known = [one for one in names if whole or len(one) >= len(name)]  # a few letters are a part of any
    found = process.extractOne(name, known, scorer=scorer, processor=utils.default_process, score_cutoff=ALIKE)
    return found[0] if found else None
