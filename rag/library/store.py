"""One SQLite file, the source of truth of a library.

It holds the papers, the spans of their chunks and sentences (offsets, never copies), a full-text
index (FTS5, Porter stems), every vector under the hash of the text it was made from, a journal of
changes, and a generation number that grows by one with each change. What can be computed again
from here lives elsewhere: the Chroma collection next to it is rebuilt from the vectors.

A change is one transaction, under a lock of the operating system that only one process can hold.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import LibraryBusy, LibraryDamaged, LibraryError, LibraryMissing, LibraryNewer, PaperNotFound
from rag.library import names, words
from rag.library.database import FILE, PIECE, Database
from rag.library.names import Names
from rag.library.subsets import Subsets
from rag.library.words import Words
from rag.records import Chunk, Paper, Sentence
from rag.remedies import Remedy
from rag.text import Span, printable, readable, title_key

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 2
PAGE = 8192  # bytes; of the usual 4,096 a vector of 1,536 takes one and a half, which doubles the file

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE papers (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, title TEXT NOT NULL,
    title_key TEXT NOT NULL, record TEXT NOT NULL)""",
    "CREATE INDEX papers_title ON papers (title_key)",
    """CREATE TABLE chunks (id TEXT PRIMARY KEY, paper TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    tokens INTEGER NOT NULL, key BLOB NOT NULL)""",
    "CREATE INDEX chunks_paper ON chunks (paper)",
    """CREATE TABLE sentences (paper TEXT NOT NULL, number INTEGER NOT NULL, start INTEGER NOT NULL,
    "end" INTEGER NOT NULL, key BLOB NOT NULL, terms TEXT NOT NULL, PRIMARY KEY (paper, number)) WITHOUT ROWID""",
    "CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE journal (generation INTEGER NOT NULL, at TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL)",
)


class Library:
    """A folder with one SQLite file; `open` and `create` make one. Usable from several threads."""

    def __init__(self, database: Database) -> None:
        self.path = database.folder
        self.database = database
        self.words = Words(database)
        self.names = Names(database, self.words)
        self.subsets = Subsets(database)

    # --- opening --------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path | str) -> Library:
        """The library in that folder. Raises LibraryMissing, LibraryDamaged or LibraryNewer."""
        folder = Path(path)
        if os.path.isfile(folder):  # unlike Path's own, never raises
            raise LibraryMissing(f"{folder} is a file; a library is a folder", Remedy.SEE_LIBRARIES)
        if not os.path.isfile(folder / FILE):
            raise LibraryMissing(f"no library at {folder}", Remedy.MAKE_OR_LEAVE_OUT)
        library = cls(Database(folder))
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
        meta = {"schema": SCHEMA, "generation": 0, "content": 0, "collection": -1,
                "embedder": embedder, "dimensions": dimensions}  # fmt: skip
        with closing(Database(folder, f"{FILE}.new")) as new, new.transaction() as db:
            db.execute(f"PRAGMA page_size = {PAGE}")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:
                db.execute(statement)
            words.create(db)
            names.create(db)
            db.executemany("INSERT INTO meta VALUES (?, ?)", [(k, str(v)) for k, v in meta.items()])
        os.replace(folder / f"{FILE}.new", folder / FILE)
        return cls.open(folder)

    def _check(self) -> None:
        try:
            schema = int(self.meta("schema"))
        except (LibraryDamaged, ValueError) as error:
            raise LibraryDamaged(
                f"{self.path / FILE} is not a library of this package", Remedy.EXAMINE, library=self.path
            ) from error
        if schema > SCHEMA:
            raise LibraryNewer(
                f"{self.path} was written by a later version (schema {schema}, this reads {SCHEMA})", Remedy.UPGRADE
            )
        if schema < SCHEMA:
            raise LibraryError(
                f"{self.path} was written by an earlier version (schema {schema}, this reads {SCHEMA}); "
                "delete it and add its files again"
            )

    def close(self) -> None:
        """Give the file back; the object is of no use afterwards."""
        self.database.close()

    # --- reading --------------------------------------------------------------------------------

    def meta(self, key: str) -> str:
        """A value that the library keeps about itself. Raises LibraryDamaged when it is not there."""
        return self.database.meta(key)

    @property
    def generation(self) -> int:
        """How often the library has changed; 0 while it was never filled."""
        return self.database.generation

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
        return int(self.database.rows("SELECT count(*) FROM papers")[0][0])

    def __iter__(self) -> Iterator[Paper]:
        """The papers in the order they were added."""
        for (record,) in self.database.rows("SELECT record FROM papers ORDER BY number"):
            yield self._paper(record)

    def sources(self) -> list[tuple[str, tuple[str, ...]]]:
        """(id, sources) of each paper: a tenth of the work of reading the papers."""
        rows = self.database.rows("SELECT id, json_extract(record, '$.sources') FROM papers ORDER BY number")
        return [(id, tuple(json.loads(held or "[]"))) for id, held in rows]

    def counts(self) -> dict[str, int]:
        """Rows of each kind: papers, chunks, sentences, vectors."""
        tables = ("papers", "chunks", "sentences", "vectors")
        return {table: int(self.database.rows(f"SELECT count(*) FROM {table}")[0][0]) for table in tables}

    def journal(self) -> list[dict[str, Any]]:
        """The changes, oldest first: generation, at (ISO 8601, UTC), action, and its details."""
        rows = self.database.rows("SELECT generation, at, action, detail FROM journal ORDER BY rowid")
        try:
            return [
                {"generation": g, "at": at, "action": action} | json.loads(detail) for g, at, action, detail in rows
            ]
        except (ValueError, TypeError) as error:
            raise self.database.damaged(f"its journal: {error}") from error

    def paper(self, name: str) -> Paper:
        """The paper with that id, the beginning of an id (4 or more digits), or that title.

        Raises PaperNotFound, with the nearest titles or the ids it could be.
        """
        wanted = printable(name.strip())
        rows = self.database.rows(
            "SELECT record FROM papers WHERE id = ? OR title_key = ?", wanted.lower(), title_key(wanted)
        )
        if not rows and len(wanted) >= 4 and wanted.isalnum():
            rows = self.database.rows("SELECT record FROM papers WHERE id GLOB ? LIMIT 5", wanted.lower() + "*")
        papers = [self._paper(record) for (record,) in rows]
        if len(papers) == 1:
            return papers[0]
        if papers:
            raise PaperNotFound(
                f"{wanted!r} fits several papers: {', '.join(p.id for p in papers)}; give more of the id"
            )
        problem, near = f"no paper {_short(wanted)!r} in this library", self._nearest(wanted)
        if near is None:
            raise PaperNotFound(problem, Remedy.LIST_PAPERS)
        title = _short(readable(near.title))
        raise PaperNotFound(f"{problem}; the nearest title is {title!r}", Remedy.SHOW_PAPER, id=near.id)

    def _paper(self, record: str) -> Paper:
        try:
            return Paper.from_dict(json.loads(record))
        except (ValueError, KeyError, TypeError) as error:
            raise self.database.damaged(f"a record: {error}") from error

    def _nearest(self, name: str) -> Paper | None:
        found = self.words.lexical(name, 1)
        return self.papers([found[0][0]])[found[0][0]] if found else None

    def papers(self, ids: Iterable[str]) -> dict[str, Paper]:
        """The papers with those ids; an unknown id is left out."""
        wanted = list(dict.fromkeys(ids))
        known = self.database.memory().papers
        missing = [id for id in wanted if id not in known]
        for (record,) in self.database.many("SELECT record FROM papers WHERE id IN ({})", missing):
            paper = self._paper(record)
            known[paper.id] = paper
        return {id: known[id] for id in wanted if id in known}

    def chunks(self, papers: Iterable[str]) -> dict[str, tuple[Chunk, ...]]:
        """The chunks of each of those papers, in order."""
        found = self.papers(papers)
        chunks: dict[str, list[Chunk]] = {id: [] for id in found}
        query = 'SELECT id, paper, start, "end", tokens FROM chunks WHERE paper IN ({}) ORDER BY paper, start'
        for id, paper, start, end, tokens in self.database.many(query, list(found)):
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
        for paper, start, end, vector, held in self.database.many(query, list(dict.fromkeys(papers))):
            one = Sentence(Span(start, end), np.frombuffer(vector, np.float32), frozenset(held.split()))
            found.setdefault(paper, []).append(one)
        return {paper: tuple(sentences) for paper, sentences in found.items()}

    def vectors(self) -> Iterator[tuple[list[str], np.ndarray, list[str]]]:
        """Batches of (chunk ids, their vectors, their papers): what the Chroma collection holds."""
        query = "SELECT id, vector, paper FROM chunks JOIN vectors USING (key) ORDER BY id"
        for rows in self.database.batches(query, 1000):
            yield _batch(rows)

    def vectors_of(self, papers: Sequence[str]) -> Iterator[tuple[list[str], np.ndarray, list[str]]]:
        """The same of some papers."""
        query = "SELECT id, vector, paper FROM chunks JOIN vectors USING (key) WHERE paper IN ({})"
        for at in range(0, len(papers), PIECE):
            if rows := self.database.many(query, papers[at : at + PIECE]):
                yield _batch(rows)

    def filled(self) -> bool:
        """Does the Chroma collection next to the file hold what the file does?"""
        return int(self.meta("collection")) == self.generation


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


def _short(text: str) -> str:
    return text if len(text) <= 70 else text[:67] + "..."
