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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.bibliography import known_keys
from rag.errors import LibraryBusy, LibraryError, LibraryMissing, LibraryNewer, PaperNotFound
from rag.library import facts, names, rows, words, write
from rag.library.database import FILE, Database, Snapshot
from rag.library.digests import digest
from rag.library.migrate import OLDEST, migrate
from rag.library.names import Names
from rag.library.rows import PAPER, Row
from rag.library.stored import StoredVectors
from rag.library.subsets import Subsets
from rag.library.words import Words
from rag.places import private_folder
from rag.records import Chunk, Paper, Sentence
from rag.remedies import Remedy
from rag.text import Span, printable, title_key

if TYPE_CHECKING:
    pass

SCHEMA = 3
PAGE = 8192  # bytes; of the usual 4,096 a vector of 1,536 takes one and a half, which doubles the file

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest BLOB NOT NULL)",
    """CREATE TABLE papers (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, title TEXT NOT NULL,
    title_key TEXT NOT NULL, since INTEGER NOT NULL, record TEXT NOT NULL, digest BLOB NOT NULL,
    chunks BLOB NOT NULL, sentences BLOB NOT NULL)""",
    "CREATE INDEX papers_title ON papers (title_key)",
    "CREATE INDEX papers_since ON papers (since)",
    """CREATE TABLE chunks (id TEXT PRIMARY KEY, paper TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    tokens INTEGER NOT NULL, key BLOB NOT NULL)""",
    "CREATE INDEX chunks_paper ON chunks (paper)",
    """CREATE TABLE sentences (paper TEXT NOT NULL, number INTEGER NOT NULL, start INTEGER NOT NULL,
    "end" INTEGER NOT NULL, key BLOB NOT NULL, terms TEXT NOT NULL, PRIMARY KEY (paper, number)) WITHOUT ROWID""",
    "CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE journal (generation INTEGER NOT NULL, at TEXT NOT NULL, action TEXT NOT NULL,
    detail TEXT NOT NULL, digest BLOB NOT NULL)""",
    write.ASIDE,
)


class Library:
    """A folder with one SQLite file; `open` and `create` make one. Usable from several threads."""

    def __init__(self, database: Database) -> None:
        self.path = database.folder
        self.database = database
        self.words = Words(database)
        self.names = Names(database)
        self.subsets = Subsets(database)
        self.vectors = StoredVectors(database)

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
    def create(cls, path: Path | str, embedder: str, dimensions: int, more: Mapping[str, str] | None = None) -> Library:
        """A new, empty library in that folder, or the one already there. Call it under `writer`.

        It is made under another name: whoever opens it meanwhile, or after a kill, sees all or nothing.
        """
        folder = Path(path)
        if (folder / FILE).is_file() and (folder / FILE).stat().st_size:
            return cls.open(folder)
        cls.make(folder, f"{FILE}.new", embedder, dimensions, more).close()
        os.replace(folder / f"{FILE}.new", folder / FILE)
        return cls.open(folder)

    @classmethod
    def make(
        cls, folder: Path, name: str, embedder: str, dimensions: int, more: Mapping[str, str] | None = None
    ) -> Library:
        """An empty library in a file of that name; what lies there is deleted. `more` is what it keeps of its embedder."""
        from rag.library import known  # with the readers, which no question needs

        for left in folder.glob(f"{name}*"):
            left.unlink()
        (folder / name).touch(0o600)  # what SQLite puts beside it gets the same mode
        meta = {"schema": SCHEMA, "generation": 0, "content": 0, "collection": "", "full_text": "",
                "embedder": embedder, "dimensions": dimensions}  # fmt: skip
        database = Database(folder, name)
        with database.transaction() as db:
            db.execute(f"PRAGMA page_size = {PAGE}")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:
                db.execute(statement)
            words.create(db)
            names.create(db)
            facts.create(db)
            known.create(db)
            write.set_meta(db, **meta, **(more or {}))
            write.set_meta(db, full_text=write.state(db))
        return cls(database)

    @contextmanager
    def snapshot(self) -> Iterator[Library]:
        """The library as it is now, for as long as the block lasts, whatever is written meanwhile. For reading."""
        with self.database.snapshot() as still:
            yield Library(still)

    def _check(self) -> None:
        schema = self.database.schema()
        if schema > SCHEMA:
            raise LibraryNewer(
                f"{self.path} was written by a later version (schema {schema}, this reads {SCHEMA})", Remedy.UPGRADE
            )
        if schema < OLDEST:
            raise LibraryError(
                f"{self.path} was written by an earlier version (schema {schema}, this reads {SCHEMA}); "
                "delete it and add its files again"
            )
        if schema < SCHEMA:
            migrate(self.database, SCHEMA)
        if not self.database.run(write.is_current):  # another version kept other things of the papers
            write.refill(self.database)

    def close(self) -> None:
        """Give the file back; the object is of no use afterwards."""
        self.database.close()

    # --- reading --------------------------------------------------------------------------------

    def meta(self, key: str) -> str:
        """A value that the library keeps about itself. Raises LibraryDamaged when it is not there."""
        return self.database.meta(key)

    def told(self, key: str) -> str:
        """The same, "" for what this library was never told."""
        known = self.database.rows("SELECT 1 FROM meta WHERE key = ?", key)
        return self.meta(key) if known else ""

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
        return self.database.count()

    def __iter__(self) -> Iterator[Paper]:
        """The papers in the order they were added."""
        for row in self.database.rows(f"SELECT {PAPER} FROM papers ORDER BY number"):
            yield rows.paper(self.database, row)

    def sources(self) -> list[tuple[str, tuple[str, ...]]]:
        """(id, sources) of each paper: a tenth of the work of reading the papers."""
        query = f"SELECT {PAPER}, json_extract(record, '$.sources') FROM papers ORDER BY number"
        found = self.database.rows(query)
        for row in found:
            if not rows.is_sound(row):
                raise rows.damaged_paper(self.database, row[1])
        return [(row[0], tuple(json.loads(row[6] or "[]"))) for row in found]

    def counts(self) -> dict[str, int]:
        """Rows of each kind: papers, chunks, sentences, vectors."""
        tables = ("papers", "chunks", "sentences", "vectors")
        return {table: int(self.database.rows(f"SELECT count(*) FROM {table}")[0][0]) for table in tables}

    def journal(self) -> list[dict[str, Any]]:
        """The changes, oldest first: generation, at (ISO 8601, UTC), action, and its details."""
        entries = self.database.rows("SELECT generation, at, action, detail, digest FROM journal ORDER BY rowid")
        for at, entry in enumerate(entries, 1):
            if digest(*entry[:4]) != entry[4]:
                raise self.database.damaged(f"line {at} of its journal")
        return [
            {"generation": g, "at": at, "action": action} | json.loads(detail) for g, at, action, detail, _ in entries
        ]

    def paper(self, name: str) -> Paper:
        """The paper with that id, the beginning of an id (4 or more digits), that title or that citation key.

        Raises PaperNotFound, with the nearest titles or the ids it could be.
        """
        wanted = printable(name.strip())
        named = f"SELECT {PAPER} FROM papers WHERE"
        found = self.database.rows(f"{named} id = ? OR title_key = ?", wanted.lower(), title_key(wanted))
        if not found and len(wanted) >= 4 and wanted.isalnum():
            found = self.database.rows(f"{named} id GLOB ? LIMIT 5", wanted.lower() + "*")
        papers = [rows.paper(self.database, row) for row in found] or self._keyed(wanted)
        if len(papers) == 1:
            return papers[0]
        if papers:
            raise PaperNotFound(
                f"{wanted!r} fits several papers: {', '.join(p.id for p in papers)}; give more of the id"
            )
        problem, near = f"no paper {_short(wanted)!r} in this library", self._nearest(wanted)
        if near is None:
            raise PaperNotFound(problem, Remedy.LIST_PAPERS)
        title = _short(near.headline)
        raise PaperNotFound(f"{problem}; the nearest title is {title!r}", Remedy.SHOW_PAPER, id=near.id)

    def _keyed(self, key: str) -> list[Paper]:
        """The papers that are known by a citation key, in any case."""
        if not key or any(map(str.isspace, key)):
            return []
        made = f"SELECT {PAPER} FROM papers WHERE id = ?", key.rpartition("-")[2].lower()
        own = f"SELECT {PAPER} FROM papers WHERE instr(lower(record), ?)", json.dumps(key)[1:-1].lower()
        found = [rows.paper(self.database, row) for row in self.database.rows(*made) or self.database.rows(*own)]
        return [paper for paper in found if key.lower() in map(str.lower, known_keys(paper))]

    def _nearest(self, name: str) -> Paper | None:
        found = self.words.lexical(name, 1)
        return self.papers([found[0][0]])[found[0][0]] if found else None

    def papers(self, ids: Iterable[str]) -> dict[str, Paper]:
        """The papers with those ids; an unknown id is left out."""
        wanted = list(dict.fromkeys(ids))
        known = self.database.memory().papers
        missing = [id for id in wanted if id not in known]
        for row in self.database.many(f"SELECT {PAPER} FROM papers WHERE id IN ({{}})", missing):
            known[row[0]] = rows.paper(self.database, row)
        return {id: known[id] for id in wanted if id in known}

    def chunks(self, papers: Iterable[str]) -> dict[str, tuple[Chunk, ...]]:
        """The chunks of each of those papers, in order. Raises LibraryDamaged."""
        wanted = list(dict.fromkeys(papers))
        found = self.papers(wanted)
        if isinstance(self.database, Snapshot) and len(found) < len(wanted):
            raise self.database.damaged("papers that it names are not in it")
        query = 'SELECT paper, id, start, "end", tokens, key FROM chunks WHERE paper IN ({}) ORDER BY paper, start, id'
        cut = self._sound("chunks", query, list(found))
        return {id: tuple(Chunk(one[1], found[id], *one[2:5]) for one in cut[id]) for id in found}

    def sentences(self, papers: Iterable[str]) -> dict[str, tuple[Sentence, ...]]:
        """The sentences of each of those papers in order, ready to be compared. Raises LibraryDamaged."""
        query = (
            'SELECT paper, number, start, "end", key, terms FROM sentences WHERE paper IN ({}) ORDER BY paper, number'
        )
        found = self._sound("sentences", query, list(dict.fromkeys(papers)))
        vectors = self.vectors.under({row[4] for said in found.values() for row in said})
        return {
            paper: tuple(Sentence(Span(row[2], row[3]), vectors[row[4]], frozenset(row[5].split())) for row in said)
            for paper, said in found.items()
            if said
        }

    def _sound(self, table: str, query: str, papers: Sequence[str]) -> dict[str, list[Row]]:
        """Rows of some papers, that of the paper's id first; none of them damaged or missing."""
        found: dict[str, list[Row]] = {id: [] for id in papers}
        for row in self.database.many(query, papers):
            found[row[0]].append(row)
        for id, title, known in self.database.many(f"SELECT id, title, {table} FROM papers WHERE id IN ({{}})", papers):
            if rows.digest_of(row[1:] for row in found[id]) != known:
                raise rows.damaged_paper(self.database, title, f"the {table}")
        return found


@contextmanager
def writer(folder: Path, *, wait: bool = False, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the writer's lock of a library's folder (made if need be).

    Raises LibraryBusy at once when another process holds it; with `wait`, calls `waiting` and
    stays until it is free. The lock is the operating system's: it ends with its process.
    """
    import filelock

    try:
        private_folder(folder)
        lock = filelock.FileLock(folder / "writer.lock", mode=0o600)
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


def _short(text: str) -> str:
    return text if len(text) <= 70 else text[:67] + "..."
