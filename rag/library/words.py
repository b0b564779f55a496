"""The words of a library: full text (FTS5, Porter stems), in how many papers a word stands, spelling.

The index is a table of the library's file and changes with the papers, in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from sqlite3 import Connection

from rag.library import pieces, rows
from rag.library.database import Database
from rag.library.rows import PAPER
from rag.records import Paper
from rag.text import STOPWORDS, compounds, porter, readable, words

COMMON = 0.3  # a word in more than this share of the papers is left out of a lexical query
COMMON_FROM = 5000  # papers from which such words cost time
FEW = 2000  # papers up to which the index is told which may be found; of more, what it finds is looked through
SLIPS = (5, 9)  # letters from which one and two slips are forgiven
_AMONG = "AND +rowid IN (SELECT number FROM papers WHERE id IN (SELECT value FROM json_each(?)))"  # +: after MATCH
TABLES = (
    "CREATE VIRTUAL TABLE passages USING fts5 (title, abstract, tokenize = 'porter unicode61 remove_diacritics 2')",
    "CREATE VIRTUAL TABLE vocabulary USING fts5vocab (passages, row)",
)


class Words:
    """Search by words in one library's papers. Usable from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def lexical(self, query: str, limit: int, within: Collection[str] | None = None) -> list[tuple[str, float]]:
        """(paper id, BM25 score) of the papers that share a word with the query, best first; of those `within`.

        FTS5's BM25 (k1 1.2, b 0.75) over title and abstract, any word sufficing; sign turned so
        that more is better. How rare a word is, the whole library says.
        """
        wanted = self._query_words(query)
        if not wanted or limit < 1:
            return []
        self._check()
        match = " OR ".join(f'"{word}"' for word in wanted)
        if within is None or len(within) <= FEW:
            return self._best(match, limit, within)
        taken = limit * (2 * self._db.count() // len(within) + 1)
        while True:
            best = self._best(match, taken)
            found = [one for one in best if one[0] in within]
            if len(found) >= limit or len(best) < taken:
                return found[:limit]
            taken *= 4

    def _best(self, match: str, limit: int, within: Collection[str] | None = None) -> list[tuple[str, float]]:
        """(paper id, score) of the papers that match best; of equal ones those whose ids come first."""
        rows = self._ranked(match, limit, within)
        ids = dict(self._db.many("SELECT number, id FROM papers WHERE number IN ({})", [number for number, _ in rows]))
        found = [(ids[number], float(score)) for number, score in rows if number in ids]
        return sorted(found, key=lambda one: (-one[1], one[0]))[:limit]

    def _ranked(self, match: str, limit: int, within: Collection[str] | None) -> list[tuple[int, float]]:
        """(number of a paper, score), best first: so many, and all others that have the score of the last.

        Papers are joined afterwards: to join each that matches would cost half as much again.
        """
        among = [] if within is None else [json.dumps(list(within))]
        query = (
            "SELECT rowid, -bm25(passages, 1.0, 1.0) AS score FROM passages WHERE passages MATCH ? "
            f"{_AMONG * len(among)} ORDER BY score DESC LIMIT ?"
        )
        taken = limit + 1
        while True:
            rows = self._db.rows(query, match, *among, taken)
            if len(rows) < taken or rows[-1][1] < rows[limit - 1][1]:
                return rows
            taken *= 4

    def _query_words(self, query: str) -> list[str]:
        plain = [word for word in words(query) if word not in STOPWORDS]
        found = list(dict.fromkeys([*plain, *compounds(query)]))[:200]  # "path-x" in quotes is a phrase to FTS5
        total = self._db.count()
        if total < COMMON_FROM:
            return found
        rare = [word for word in found if self.document_frequency(word) <= COMMON * total]
        return rare or found

    def document_frequency(self, word: str) -> int:
        """In how many papers a word stands, whatever its ending."""
        frequencies = self._db.memory().frequencies
        count = frequencies.get(word, 0 if not word else None)
        if count is None:  # a question asks for each of its words several times
            self._check()
            quoted = '"' + word.replace('"', '""') + '"'
            count = int(self._db.rows("SELECT count(*) FROM passages WHERE passages MATCH ?", quoted)[0][0])
            frequencies[word] = count
        return count

    def _check(self) -> None:
        """Raises LibraryDamaged when the index is not as it was written; what a change left alone is looked at once."""
        memory = self._db.memory()
        if not memory.is_full_text_sound:
            kept = pieces.parsed(self._db.meta("full_text"))
            if not self._db.run(lambda db: pieces.are_sound(db, kept, memory.sound)):
                raise self._db.damaged("its full text")
            memory.sound.update(kept)
            memory.is_full_text_sound = True

    def spelled(self, word: str) -> str | None:
        """The library's word that a folded `word` it lacks was probably meant to be; None if none is near.

        At most one slip (a letter wrong, missing, too many, or two swapped: Damerau, 1964) in a word of
        5 letters, two from 9 on, never the first letter; of equally near words the one in more papers.
        """
        if len(word) < SLIPS[0] or not word.isalpha() or self.document_frequency(word):
            return None
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        typed = porter(word)
        slips = sum(len(word) >= least for least in SLIPS)
        near = "SELECT term, doc FROM vocabulary WHERE term >= ? AND term < ? AND abs(length(term) - ?) <= ?"
        known = dict(self._db.rows(near, word[0], word[0] + "\U0010ffff", len(typed), slips))
        found = process.extract(typed, list(known), scorer=OSA.distance, score_cutoff=slips, limit=None)
        if not found:
            return None
        term = min(found, key=lambda item: (item[1], -known[item[0]], item[0]))[0]
        spelt = self._surface(term, word)
        return spelt if OSA.distance(spelt, word) <= slips else None

    def _surface(self, term: str, word: str) -> str:
        """The word behind a term of the index, as a paper spells it: the one most like `word`."""
        from rapidfuzz.distance import OSA

        places = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.places USING fts5vocab (main, passages, instance)"
        self._db.run(lambda db: db.execute(places))  # MATCH would stem the term again
        (number,) = self._db.rows("SELECT doc FROM temp.places WHERE term = ? LIMIT 1", term)[0]
        paper = rows.paper(self._db, self._db.rows(f"SELECT {PAPER} FROM papers WHERE number = ?", number)[0])
        text = f"{readable(paper.title)} {readable(paper.abstract)}"
        spelt = {found for found in words(text) if porter(found) == term}
        return min(sorted(spelt), key=lambda found: OSA.distance(found, word), default=term)


def create(db: Connection) -> None:
    """Make the index, empty; one that is there is dropped first."""
    for table in ("vocabulary", "passages"):
        db.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in TABLES:
        db.execute(statement)


def insert(db: Connection, number: int | None, paper: Paper) -> None:
    """Index a paper under the number of its row."""
    row = (number, readable(paper.title), readable(paper.abstract))
    db.execute("INSERT INTO passages (rowid, title, abstract) VALUES (?, ?, ?)", row)


def delete(db: Connection, number: int) -> None:
    """Take the paper with that number out of the index."""
    db.execute("DELETE FROM passages WHERE rowid = ?", (number,))
