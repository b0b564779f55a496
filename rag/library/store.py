"""One SQLite file, the source of truth of a library.

It holds the papers, the spans of their chunks and sentences (offsets, never copies), a full-text
index (FTS5, Porter stems), every vector under the hash of the text it was made from, a journal of
changes, and a generation number that grows by one with each change. What can be computed again
from here lives elsewhere: the Chroma collection next to it is rebuilt from the vectors.

A change is one transaction, under a lock of the operating system that only one process can hold.
Vectors are stored as they are made, before that transaction: a build that is killed goes on where
it stopped, and a text that was embedded once is never embedded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from rag.errors import LibraryBusy, LibraryDamaged, LibraryError, LibraryMissing, LibraryNewer, PaperNotFound
from rag.filters import Facts, Filter, nothing
from rag.records import Chunk, Paper, Sentence, Where
from rag.text import STOPWORDS, Span, compounds, porter, printable, readable, terms, title_key, words

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
SCHEMA = 2
FILE = "library.sqlite"
PAGE = 8192  # bytes; of the usual 4,096 a vector of 1,536 takes one and a half, which doubles the file
COMMON = 0.3  # a word in more than this share of the papers is left out of a lexical query
SLIPS = (5, 9)  # letters from which one and two slips are forgiven
COMMON_FROM = 5000  # ... in libraries of at least this many papers, where such words cost time
PIECE = 500  # values that SQLite is given at once
FILTERS = 8  # whose papers are remembered
ALIKE = 85  # of 100: how alike a name is that was probably meant

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE papers (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, title TEXT NOT NULL,
    title_key TEXT NOT NULL, record TEXT NOT NULL);
CREATE INDEX papers_title ON papers (title_key);
CREATE TABLE chunks (id TEXT PRIMARY KEY, paper TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    tokens INTEGER NOT NULL, key BLOB NOT NULL);
CREATE INDEX chunks_paper ON chunks (paper);
CREATE TABLE sentences (paper TEXT NOT NULL, number INTEGER NOT NULL, start INTEGER NOT NULL,
    "end" INTEGER NOT NULL, key BLOB NOT NULL, terms TEXT NOT NULL, PRIMARY KEY (paper, number)) WITHOUT ROWID;
CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE journal (generation INTEGER NOT NULL, at TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL);
"""
_FULL_TEXT = (
    "CREATE VIRTUAL TABLE passages USING fts5 (title, abstract, tokenize = 'porter unicode61 remove_diacritics 2')",
    "CREATE VIRTUAL TABLE vocabulary USING fts5vocab (passages, row)",
)


class Embedded(NamedTuple):
    """A span of a paper with the key of its vector."""

    start: int
    end: int
    key: bytes


class Entry(NamedTuple):
    """A paper as it is stored: with its chunks and sentences, each naming its vector."""

    paper: Paper
    chunks: tuple[tuple[Chunk, bytes], ...]
    sentences: tuple[Embedded, ...]


class Selected(NamedTuple):
    """The papers that a filter admits, and how many that is of how many."""

    ids: frozenset[str]
    where: Where


def vector_key(embedder: str, text: str) -> bytes:
    """Under which a vector is stored: it depends on the embedder and the text embedded."""
    return hashlib.sha256(f"{embedder}\0{text}".encode("utf-8", "surrogatepass")).digest()[:16]


class Library:
    """A folder with one SQLite file; `open` and `create` make one. Usable from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._guard = threading.RLock()
        self._papers: dict[str, Paper] = {}
        self._frequencies: dict[str, int] = {}
        self._selected: dict[Filter, Selected] = {}
        self._seen = -1

    # --- opening --------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path | str) -> Library:
        """The library in that folder. Raises LibraryMissing, LibraryDamaged or LibraryNewer."""
        folder = Path(path)
        if os.path.isfile(folder):  # unlike Path's own, never raises
            raise LibraryMissing(f"{folder} is a file; a library is a folder, see: rag status")
        if not os.path.isfile(folder / FILE):
            raise LibraryMissing(
                f"no library at {folder}; make one with: rag add FILE --library NAME, or leave --library out"
            )
        library = cls(folder, _connect(folder / FILE))
        try:
            library._check()
        except LibraryError:
            library.close()
            raise
        return library

    @classmethod
    def create(cls, path: Path | str, embedder: str, dimensions: int) -> Library:
        """A new, empty library in that folder, or the one already there. Call it under `writer`.

        It is made under another name: whoever opens it meanwhile, or after a kill, sees all or nothing.
        """
        folder = Path(path)
        if (folder / FILE).is_file() and (folder / FILE).stat().st_size:
            return cls.open(folder)
        for left in folder.glob(f"{FILE}.new*"):
            left.unlink()
        connection = _connect(folder / f"{FILE}.new")
        with _translated(folder), closing(connection), connection:
            connection.execute(f"PRAGMA page_size = {PAGE}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {_TABLES}{';'.join(_FULL_TEXT)};")
            meta = {
                "schema": SCHEMA,
                "generation": 0,
                "content": 0,
                "collection": -1,
                "embedder": embedder,
                "dimensions": dimensions,
            }
            connection.executemany("INSERT INTO meta VALUES (?, ?)", [(k, str(v)) for k, v in meta.items()])
        os.replace(folder / f"{FILE}.new", folder / FILE)
        return cls.open(folder)

    def _check(self) -> None:
        try:
            schema = int(self.meta("schema"))
        except (LibraryDamaged, ValueError) as error:
            raise LibraryDamaged(
                f"{self.path / FILE} is not a library of this package; {_remedy(self.path)}"
            ) from error
        if schema > SCHEMA:
            raise LibraryNewer(
                f"{self.path} was written by a later version (schema {schema}, this reads {SCHEMA}); "
                "type: pip install --upgrade abstracts-rag"
            )
        if schema < SCHEMA:
            raise LibraryError(
                f"{self.path} was written by an earlier version (schema {schema}, this reads {SCHEMA}); "
                "delete it and add its files again"
            )

    def close(self) -> None:
        """Give the file back; the object is of no use afterwards."""
        with self._guard:
            self._db.close()

    # --- reading --------------------------------------------------------------------------------

    def meta(self, key: str) -> str:
        """A value of the library's own records. Raises LibraryDamaged when it is not there."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        if not rows:
            raise LibraryDamaged(f"{self.path / FILE}: no {key!r} in it; {_remedy(self.path)}")
        return str(rows[0][0])

    @property
    def generation(self) -> int:
        """How often the library has changed; 0 while it was never filled."""
        return int(self.meta("generation"))

    @property
    def embedder(self) -> str:
        """The name of the embedder that made the vectors."""
        return self.meta("embedder")

    @property
    def fingerprint(self) -> str:
        """12 hex digits of what the library holds: the same papers give the same one anywhere.

        From a sum of hashes kept with every change (AdHash, Bellare and Micciancio, 1997), so that it
        depends on neither order nor history and costs nothing to read.
        """
        return hashlib.sha256(f"{self.embedder}\0{self.meta('content')}".encode()).hexdigest()[:12]

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM papers")[0][0])

    def __iter__(self) -> Iterator[Paper]:
        """The papers in the order they were added."""
        for (record,) in self._rows("SELECT record FROM papers ORDER BY number"):
            yield self._paper(record)

    def sources(self) -> list[tuple[str, tuple[str, ...]]]:
        """(id, sources) of each paper: a tenth of the work of reading the papers."""
        rows = self._rows("SELECT id, json_extract(record, '$.sources') FROM papers ORDER BY number")
        return [(id, tuple(json.loads(held or "[]"))) for id, held in rows]

    def counts(self) -> dict[str, int]:
        """Rows of each kind: papers, chunks, sentences, vectors."""
        tables = ("papers", "chunks", "sentences", "vectors")
        return {table: int(self._rows(f"SELECT count(*) FROM {table}")[0][0]) for table in tables}

    def journal(self) -> list[dict[str, Any]]:
        """The changes, oldest first: generation, at (ISO 8601, UTC), action, and its details."""
        rows = self._rows("SELECT generation, at, action, detail FROM journal ORDER BY rowid")
        try:
            return [
                {"generation": g, "at": at, "action": action} | json.loads(detail) for g, at, action, detail in rows
            ]
        except (ValueError, TypeError) as error:
            raise LibraryDamaged(
                f"{self.path / FILE} is damaged (its journal: {error}); {_remedy(self.path)}"
            ) from error

    def paper(self, name: str) -> Paper:
        """The paper with that id, the beginning of an id (4 or more digits), or that title.

        Raises PaperNotFound, with the nearest titles or the ids it could be.
        """
        wanted = printable(name.strip())
        rows = self._rows("SELECT record FROM papers WHERE id = ? OR title_key = ?", wanted.lower(), title_key(wanted))
        if not rows and len(wanted) >= 4 and wanted.isalnum():
            rows = self._rows("SELECT record FROM papers WHERE id GLOB ? LIMIT 5", wanted.lower() + "*")
        papers = [self._paper(record) for (record,) in rows]
        if len(papers) == 1:
            return papers[0]
        if papers:
            raise PaperNotFound(
                f"{wanted!r} fits several papers: {', '.join(p.id for p in papers)}; type more of the id"
            )
        raise PaperNotFound(f"no paper {_short(wanted)!r} in this library{self._nearest(wanted)}")

    def _paper(self, record: str) -> Paper:
        try:
            return Paper.from_dict(json.loads(record))
        except (ValueError, KeyError, TypeError) as error:
            raise LibraryDamaged(f"{self.path / FILE} is damaged (a record: {error}); {_remedy(self.path)}") from error

    def _nearest(self, name: str) -> str:
        found = self.lexical(name, 1)
        if not found:
            return "; type: rag list"
        near = self.papers([found[0][0]])[found[0][0]]
        return f"; the nearest title is {_short(readable(near.title))!r}, type: rag show {near.id}"

    def papers(self, ids: Iterable[str]) -> dict[str, Paper]:
        """The papers with those ids; an unknown id is left out."""
        wanted = list(dict.fromkeys(ids))
        self._forget_if_changed()
        missing = [id for id in wanted if id not in self._papers]
        for (record,) in self._many("SELECT record FROM papers WHERE id IN ({})", missing):
            paper = self._paper(record)
            self._papers[paper.id] = paper
        return {id: self._papers[id] for id in wanted if id in self._papers}

    def selected(self, where: Filter) -> Selected:
        """The papers that a filter admits."""
        self._forget_if_changed()
        found = self._selected.get(where)
        if found is None:
            admitted = [(facts.id, where.admits(facts)) for facts in self._facts(where.fields)]
            ids = frozenset(id for id, admits in admitted if admits)
            silent = sum(admits is None for _, admits in admitted)
            found = Selected(ids, Where(str(where), len(ids), len(admitted), silent))
            if len(self._selected) >= FILTERS:
                self._selected.clear()
            self._selected[where] = found
        return found

    def nothing(self, where: Filter) -> str:
        """Why a filter admits no paper, and what there is instead: a line without its full stop."""
        return nothing(where, list(self._facts(where.fields)), _like)

    def _facts(self, wanted: Collection[str]) -> Iterator[Facts]:
        """Of every paper what the fields that are wanted say."""
        columns = {"year": "year", "author": "authors", "venue": "venue"}
        paths = (f"json_extract(record, '$.{c}')" if name in wanted else "NULL" for name, c in columns.items())
        for id, year, authors, venue in self._rows(f"SELECT id, {', '.join(paths)} FROM papers"):
            yield Facts(id, year, tuple(json.loads(authors)) if authors else (), venue)

    def chunks(self, papers: Iterable[str]) -> dict[str, tuple[Chunk, ...]]:
        """The chunks of each of those papers, in order."""
        found = self.papers(papers)
        chunks: dict[str, list[Chunk]] = {id: [] for id in found}
        query = 'SELECT id, paper, start, "end", tokens FROM chunks WHERE paper IN ({}) ORDER BY paper, start'
        for id, paper, start, end, tokens in self._many(query, list(found)):
            chunks[paper].append(Chunk(id, found[paper], start, end, tokens))
        return {id: tuple(chunks[id]) for id in found}

    def sentences(self, papers: Iterable[str]) -> dict[str, tuple[Sentence, ...]]:
        """The sentences of each of those papers in order, ready to be compared."""
        import numpy as np

        found: dict[str, list[Sentence]] = {}
        query = (
            'SELECT paper, start, "end", vector, terms FROM sentences JOIN vectors USING (key) '
            "WHERE paper IN ({}) ORDER BY paper, number"
        )
        for paper, start, end, vector, held in self._many(query, list(dict.fromkeys(papers))):
            one = Sentence(Span(start, end), np.frombuffer(vector, np.float32), frozenset(held.split()))
            found.setdefault(paper, []).append(one)
        return {paper: tuple(sentences) for paper, sentences in found.items()}

    def lexical(self, query: str, limit: int, within: Collection[str] | None = None) -> list[tuple[str, float]]:
        """(paper id, BM25 score) of the papers that share a word with the query, best first; of those `within`.

        FTS5's BM25 (k1 1.2, b 0.75) over title and abstract, any word sufficing; sign turned so
        that more is better. How rare a word is, the whole library says.
        """
        wanted = self._query_words(query)
        if not wanted:
            return []
        match = " OR ".join(f'"{word}"' for word in wanted)
        among = [] if within is None else [json.dumps(list(within))]
        rows = self._rows(
            "SELECT papers.id, -bm25(passages, 1.0, 1.0) AS score FROM passages JOIN papers "
            "ON papers.number = passages.rowid WHERE passages MATCH ? "
            f"{'AND +papers.id IN (SELECT value FROM json_each(?)) ' * len(among)}"  # +: after MATCH, never before
            "ORDER BY score DESC, papers.id LIMIT ?",
            match,
            *among,
            limit,
        )
        return [(id, float(score)) for id, score in rows]

    def nearest(self, vector: np.ndarray, papers: Collection[str], limit: int) -> list[tuple[str, float]]:
        """(chunk id, cosine) of the chunks of some papers that are nearest to a vector of unit length, best first.

        Each is looked at: exact, and slow for many.
        """
        found: list[tuple[str, float]] = []
        for ids, vectors, _ in self.vectors_of(list(papers)):
            found += zip(ids, (vectors @ vector).tolist(), strict=True)
        return sorted(found, key=lambda item: (-item[1], item[0]))[:limit]

    def _query_words(self, query: str) -> list[str]:
        plain = [word for word in words(query) if word not in STOPWORDS]
        found = list(dict.fromkeys([*plain, *compounds(query)]))[:200]  # "path-x" in quotes is a phrase to FTS5
        total = len(self)
        if total < COMMON_FROM:
            return found
        rare = [word for word in found if self.document_frequency(word) <= COMMON * total]
        return rare or found

    def document_frequency(self, word: str) -> int:
        """In how many papers a word stands, whatever its ending."""
        self._forget_if_changed()
        count = self._frequencies.get(word, 0 if not word else None)
        if count is None:  # a question asks for each of its words several times
            quoted = '"' + word.replace('"', '""') + '"'
            count = int(self._rows("SELECT count(*) FROM passages WHERE passages MATCH ?", quoted)[0][0])
            self._frequencies[word] = count
        return count

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
        known = dict(self._rows(near, word[0], word[0] + "\U0010ffff", len(typed), slips))
        found = process.extract(typed, list(known), scorer=OSA.distance, score_cutoff=slips, limit=None)
        if not found:
            return None
        term = min(found, key=lambda item: (item[1], -known[item[0]], item[0]))[0]
        spelt = self._surface(term, word)
        return spelt if OSA.distance(spelt, word) <= slips else None

    def _surface(self, term: str, word: str) -> str:
        """The word behind a term of the index, as a paper spells it: the one most like `word`."""
        from rapidfuzz.distance import OSA

        with self._guard, _translated(self.path):  # MATCH would stem the term again
            self._db.execute(
                "CREATE VIRTUAL TABLE IF NOT EXISTS temp.places USING fts5vocab (main, passages, instance)"
            )
        (number,) = self._rows("SELECT doc FROM temp.places WHERE term = ? LIMIT 1", term)[0]
        (text,) = self._rows("SELECT title || ' ' || abstract FROM passages WHERE rowid = ?", number)[0]
        spelt = {found for found in words(text) if porter(found) == term}
        return min(sorted(spelt), key=lambda found: OSA.distance(found, word), default=term)

    def vectors(self) -> Iterator[tuple[list[str], np.ndarray, list[str]]]:
        """Batches of (chunk ids, their vectors, their papers): what the Chroma collection holds."""
        with self._guard, _translated(self.path):
            cursor = self._db.execute("SELECT id, vector, paper FROM chunks JOIN vectors USING (key) ORDER BY id")
            while rows := cursor.fetchmany(1000):
                yield _batch(rows)

    def vectors_of(self, papers: Sequence[str]) -> Iterator[tuple[list[str], np.ndarray, list[str]]]:
        """The same of some papers."""
        query = "SELECT id, vector, paper FROM chunks JOIN vectors USING (key) WHERE paper IN ({})"
        for at in range(0, len(papers), PIECE):
            if rows := self._many(query, papers[at : at + PIECE]):
                yield _batch(rows)

    # --- writing --------------------------------------------------------------------------------

    def missing(self, keys: Iterable[bytes]) -> set[bytes]:
        """Those keys under which no vector is stored."""
        wanted = list(dict.fromkeys(keys))
        stored = {row[0] for row in self._many("SELECT key FROM vectors WHERE key IN ({})", wanted)}
        return set(wanted) - stored

    def store_vectors(self, keys: Sequence[bytes], vectors: np.ndarray) -> None:
        """Keep vectors, float32 of shape (len(keys), dimensions). Safe to repeat."""
        rows = [(key, vector.astype("float32").tobytes()) for key, vector in zip(keys, vectors, strict=True)]
        with self._guard, _translated(self.path), self._db:
            self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    def replace(
        self,
        entries: Iterable[Entry],
        gone: Iterable[str],
        action: str,
        detail: Mapping[str, Any],
        records: Iterable[Paper] = (),
    ) -> int:
        """Store entries, delete the papers in `gone`, note it in the journal; returns the generation.

        `records` are papers of the library whose title and abstract are as stored: all else of them is replaced.
        One transaction: all of it happens or nothing.
        """
        with self._guard, _translated(self.path), self._db:
            content = int(self.meta("content"))
            content -= sum(self._delete(id) for id in dict.fromkeys(gone))
            content += sum(self._insert(entry) - before for entry, before in self._cleared(entries))
            content += sum(self._restate(paper) for paper in records)
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'content'", (str(content % 2**128),))
            generation = self.generation + 1
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'generation'", (str(generation),))
            self._note(generation, action, detail)
        return generation

    def note(self, action: str, detail: Mapping[str, Any]) -> None:
        """Write in the journal what changed no paper; the same note once more only moves its time."""
        with self._guard, _translated(self.path), self._db:
            moved = self._db.execute(
                "UPDATE journal SET at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE rowid = (SELECT max(rowid) "
                "FROM journal) AND generation = ? AND action = ? AND detail = ?",
                (self.generation, action, json.dumps(dict(detail))),
            )
            if not moved.rowcount:
                self._note(self.generation, action, detail)

    def _note(self, generation: int, action: str, detail: Mapping[str, Any]) -> None:
        self._db.execute(
            "INSERT INTO journal VALUES (?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?, ?)",
            (generation, action, json.dumps(dict(detail))),
        )

    def inspect(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """What a function of `integrity` finds in the file."""
        with self._guard, _translated(self.path):
            return question(self._db)

    def mend(self, mending: Callable[[sqlite3.Connection], None], detail: Mapping[str, Any]) -> None:
        """Have the file mended, build the full text and what is kept of the content anew, note it: one transaction."""
        with self._guard, _translated(self.path), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            mending(self._db)
            for table in ("vocabulary", "passages"):
                self._db.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _FULL_TEXT:
                self._db.execute(statement)
            for number, record in self._rows("SELECT number, record FROM papers ORDER BY number"):
                self._index(number, self._paper(record))
            generation = self.generation + 1
            meta = {"content": str(self.content()), "generation": str(generation)}
            self._db.executemany("UPDATE meta SET value = ? WHERE key = ?", [(v, k) for k, v in meta.items()])
            self._note(generation, "repair", detail)

    def content(self) -> int:
        """The sum behind `fingerprint`, computed from the papers; `meta("content")` is the one that was kept."""
        return sum(_digest(record) for (record,) in self._rows("SELECT record FROM papers")) % 2**128

    def filled(self) -> bool:
        """Does the Chroma collection next to the file hold what the file does?"""
        return int(self.meta("collection")) == self.generation

    def set_filled(self) -> None:
        """Note that the collection now holds what the file does."""
        with self._guard, _translated(self.path), self._db:
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'collection'", (str(self.generation),))

    def _delete(self, id: str) -> int:
        """Delete a paper if it is there; the hash of its record, 0 if there was none."""
        digest = 0
        for number, record in self._rows("SELECT number, record FROM papers WHERE id = ?", id):
            self._db.execute("DELETE FROM passages WHERE rowid = ?", (number,))
            digest += _digest(record)
        self._db.execute("DELETE FROM papers WHERE id = ?", (id,))
        for table in ("chunks", "sentences"):
            self._db.execute(f"DELETE FROM {table} WHERE paper = ?", (id,))
        return digest

    def _cleared(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, int]]:
        """Entries, each once what was stored under its id is deleted, with the hash of that."""
        for entry in entries:
            yield entry, self._delete(entry.paper.id)

    def _restate(self, paper: Paper) -> int:
        """Replace the record of a paper; how the hash changes."""
        ((before,),) = self._rows("SELECT record FROM papers WHERE id = ?", paper.id)
        record = _recorded(paper)
        self._db.execute("UPDATE papers SET record = ? WHERE id = ?", (record, paper.id))
        return _digest(record) - _digest(before)

    def _insert(self, entry: Entry) -> int:
        paper, db = entry.paper, self._db
        record = _recorded(paper)
        number = db.execute(
            "INSERT INTO papers (id, title, title_key, record) VALUES (?, ?, ?, ?)",
            (paper.id, paper.title, title_key(paper.title), record),
        ).lastrowid
        self._index(number, paper)
        chunks = [(c.id, paper.id, c.start, c.end, c.tokens, key) for c, key in entry.chunks]
        db.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)", chunks)
        sentences = [
            (
                paper.id,
                n,
                s.start,
                s.end,
                s.key,
                " ".join(dict.fromkeys(terms(readable(paper.abstract[s.start : s.end])))),
            )
            for n, s in enumerate(entry.sentences)
        ]
        db.executemany("INSERT INTO sentences VALUES (?, ?, ?, ?, ?, ?)", sentences)
        return _digest(record)

    def _index(self, number: int | None, paper: Paper) -> None:
        row = (number, readable(paper.title), readable(paper.abstract))
        self._db.execute("INSERT INTO passages (rowid, title, abstract) VALUES (?, ?, ?)", row)

    # --- the database ---------------------------------------------------------------------------

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._guard, _translated(self.path):
            return self._db.execute(query, values).fetchall()

    def _many(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Rows of a query with `IN ({})`, asked in pieces that SQLite takes."""
        rows: list[tuple[Any, ...]] = []
        for at in range(0, len(values), PIECE):
            piece = values[at : at + PIECE]
            rows += self._rows(query.format(",".join("?" * len(piece))), *piece)
        return rows

    def _forget_if_changed(self) -> None:
        generation = self.generation
        if generation != self._seen or len(self._papers) > 50_000:
            self._papers.clear()
            self._frequencies.clear()
            self._selected.clear()
            self._seen = generation


@contextmanager
def writer(folder: Path, *, wait: bool = False, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the writer's lock of a library's folder (made if need be).

    Raises LibraryBusy at once when another process holds it; with `wait`, calls `waiting` and
    stays until it is free. The lock is the operating system's: it ends with its process.
    """
    import filelock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / "writer.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if not wait:
                raise LibraryBusy(f"another process is writing to {folder}; try again when it is done") from None
            if waiting:
                waiting()
            lock.acquire()
    except OSError as error:
        raise LibraryError(
            f"{folder}: cannot be written ({error.strerror}); set RAG_HOME to a folder of yours"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _batch(rows: Sequence[tuple[Any, ...]]) -> tuple[list[str], np.ndarray, list[str]]:
    import numpy as np

    matrix = np.frombuffer(b"".join(vector for _, vector, _ in rows), np.float32).reshape(len(rows), -1)
    return [id for id, _, _ in rows], matrix, [paper for _, _, paper in rows]


def _like(name: str, names: Iterable[str]) -> str | None:
    """The name that a mistyped one was probably meant to be."""
    from rapidfuzz import fuzz, process, utils

    whole = " " in name
    scorer = fuzz.token_sort_ratio if whole else fuzz.partial_ratio
    known = [one for one in names if whole or len(one) >= len(name)]  # a few letters are a part of any
    found = process.extractOne(name, known, scorer=scorer, processor=utils.default_process, score_cutoff=ALIKE)
    return found[0] if found else None


def _recorded(paper: Paper) -> str:
    return json.dumps(paper.to_dict(), ensure_ascii=True)


def _digest(record: str) -> int:
    return int.from_bytes(hashlib.sha256(record.encode()).digest()[:16])


def _connect(file: Path) -> sqlite3.Connection:
    with _translated(file.parent):
        connection = sqlite3.connect(file, timeout=30, check_same_thread=False, isolation_level="IMMEDIATE")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours, each with what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text:
            raise LibraryBusy(f"another process is writing to {path}; try again when it is done") from error
        if "no such" in text or "malformed" in text:
            raise LibraryDamaged(f"{path / FILE} is damaged ({text}); {_remedy(path)}") from error
        raise LibraryError(f"{path / FILE}: {text}; check the disk's space and permissions") from error
    except sqlite3.DatabaseError as error:
        raise LibraryDamaged(f"{path / FILE} is damaged ({error}); {_remedy(path)}") from error


def _remedy(folder: Path) -> str:
    return f"type: rag doctor --library {shlex.quote(str(folder))}"


def _short(text: str) -> str:
    return text if len(text) <= 70 else text[:67] + "..."
