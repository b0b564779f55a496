"""The offline half, in order: read, chunk, embed, store.

Embedding comes first and is kept as it is made; then one transaction stores papers, chunks,
sentences and full text together; then the Chroma collection follows. Whatever is cut short goes on
from there: texts that have a vector are not embedded again, and a collection that is behind the
library is filled from it.

The shipped library is built on first use in the user's cache, in a folder named after what it is
made of (abstracts, embedder, schema, and the code that cuts them): a new version builds beside the old one. Two
first runs at once are safe: the second waits for the first.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import LibraryMissing, RagError
from rag.library import write
from rag.library.chunks import chunk, passage
from rag.library.database import FILE
from rag.library.embed import Embedder
from rag.library.store import SCHEMA, Library, writer
from rag.library.vectors import Manifest, collections_folder, make_collection, sweep
from rag.library.write import Embedded, Entry, vector_key
from rag.places import home, libraries, resource
from rag.readers import Reading, Skipped, read
from rag.records import Paper
from rag.remedies import Remedy
from rag.text import readable, sentences

CHUNK_TOKENS = 254  # the embedder reads 256, two of them its own marks
BATCH = 256  # texts embedded between two stores, at most
PAPERS = 16  # ... and papers
DIFFERING = (1000, 5000)  # chunks, at least and at most, that may differ from a collection
DIFFERING_SHARE = 20  # ... between them, one in so many
NAMED = 5  # libraries that a message names

_log = logging.getLogger(__name__)
T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # (what is going on, done, of how many)


@dataclass(frozen=True, slots=True)
class Report:
    """What storing papers did. `embedded` counts texts (chunks and sentences), not papers."""

    records: int
    papers: int
    chunks: int
    embedded: int
    generation: int
    skipped: tuple[Skipped, ...]


def shipped_folder(embedder: Embedder) -> Path:
    """Where the library of the shipped abstracts lies, or will."""
    digest = hashlib.sha256(f"{embedder.name}\0{SCHEMA}\0{CHUNK_TOKENS}".encode())
    package = Path(__file__).parents[1]
    shapers = [
        package / "text.py",
        package / "markup.py",
        package / "library" / "chunks.py",
        *sorted((package / "readers").glob("*.py")),
    ]
    for file in (*_shipped_files(), *shapers):
        digest.update(file.name.encode() + file.read_bytes())
    return home("cache") / f"shipped-{digest.hexdigest()[:12]}"


def named_folder(name: str) -> Path:
    """The folder of a library named on the command line: a path if it looks like one or a library is there, else by name."""
    path = Path(os.path.expanduser(name))  # the functions of os.path never raise
    if path.is_absolute() or os.sep in name or name.startswith(".") or os.path.isfile(path / FILE):
        return path
    return libraries() / name


def own_libraries() -> tuple[str, ...]:
    """The names of the libraries that were made by name, sorted."""
    return tuple(sorted(file.parent.name for file in libraries().glob(f"*/{FILE}")))


def open_named(name: str) -> Library:
    """The library of that name or path. Raises LibraryMissing, which names those there are, or another LibraryError."""
    folder = named_folder(name)
    try:
        return Library.open(folder)
    except LibraryMissing:
        known = own_libraries()
        if os.path.isfile(folder) or not known:
            raise
        near = get_close_matches(name, known, 1)
        more = f" and {len(known) - NAMED:,} more" if len(known) > NAMED else ""
        there = f"did you mean {near[0]}?" if near else f"there is {', '.join(known[:NAMED])}{more}"
        raise LibraryMissing(f"no library at {folder}; {there}", Remedy.MAKE_LIBRARY) from None


def open_shipped(embedder: Embedder, progress: Progress | None = None) -> Library:
    """The shipped library, built if it is not there. Raises LibraryError."""
    folder = shipped_folder(embedder)
    try:
        library = Library.open(folder)
        if library.generation:
            return library
        library.close()
    except LibraryMissing:
        if folder.is_file():
            raise
    waiting = (lambda: progress("waiting for another process to build the library", 0, 0)) if progress else None
    with writer(folder, wait=True, waiting=waiting):
        library = Library.create(folder, embedder.name, embedder.dimensions)
        if not library.generation:
            store(library, read(_shipped_files()), embedder, progress)
            fill(library, progress)
    return library


def store(library: Library, reading: Reading, embedder: Embedder, progress: Progress | None = None) -> Report:
    """Chunk, embed and store the papers that were read. Call it under the writer's lock.

    Papers stored before stay; one with the same id is replaced. Raises EmbedError or LibraryError,
    with nothing stored but vectors, which the next run uses.
    """
    detail = {
        "records": reading.records,
        "papers": len(reading.papers),
        "skipped": [str(s) for s in reading.skipped[:200]],
    }
    changed = change(library, reading.papers, (), embedder, "store", detail, progress)
    return Report(reading.records, len(reading.papers), *changed, reading.skipped)


def change(
    library: Library,
    papers: Iterable[Paper],
    gone: Iterable[str],
    embedder: Embedder,
    action: str,
    detail: Mapping[str, Any],
    progress: Progress | None = None,
    records: Iterable[Paper] = (),
    meta: Mapping[str, object] | None = None,
) -> tuple[int, int, int]:
    """Embed papers, then store them and delete those in `gone`; (chunks, texts embedded, generation).

    `records` are papers whose title and abstract are as stored, so that nothing of them is embedded or
    indexed; `meta` as in `write.replace`. Call it under the writer's lock. All happens or, but for vectors, nothing.
    """
    entries, embedded = _embedded(library, list(papers), embedder, progress)
    stored = _told(entries, len(entries), "storing", progress)
    generation = write.replace(library.database, stored, gone, action, {**detail, "embedded": embedded}, records, meta)
    return sum(len(entry.chunks) for entry in entries), embedded, generation


def fill(library: Library, progress: Progress | None = None) -> Manifest:
    """Make a new collection of the library's vectors, and switch to it; nothing is embedded. Under the writer's lock."""
    total = library.vectors.count()
    batches = _told(library.vectors.batches(), total, "indexing", progress, lambda batch: len(batch[0]))
    manifest = make_collection(library.path, library.generation, total, batches)
    write.set_collection(library.database, manifest.to_json())
    sweep(library.path, manifest)
    _log.info("%s: its collection is filled anew, %d chunks", library.path, total)
    return manifest


def follow(library: Library, progress: Progress | None = None) -> None:
    """Make a new collection if there is none, or if too many chunks differ from it. Under the writer's lock."""
    if behind(library):
        fill(library, progress)


def behind(library: Library) -> str:
    """Why the library needs a new collection, "" if it does not."""
    manifest = Manifest.from_json(library.meta("collection"))
    if manifest is None:
        return "there is none"
    if problem := manifest.problem(collections_folder(library.path) / manifest.folder, thorough=False):
        return problem
    kept = library.vectors.count_until(manifest.generation)
    differing = manifest.rows - kept + library.vectors.count() - kept
    return f"{differing:,} chunks differ from it" if differing > allowed(manifest.rows) else ""


def allowed(rows: int) -> int:
    """How many chunks may differ from a collection of so many: what the file answers for, exactly, at each question."""
    return min(DIFFERING[1], max(DIFFERING[0], rows // DIFFERING_SHARE))


def shipped_papers() -> tuple[Paper, ...]:
    """The papers that the shipped library is made of."""
    return read(_shipped_files()).papers


def _shipped_files() -> list[Path]:
    files = sorted(resource("data").glob("*.txt"))
    if not files:
        raise RagError(f"no abstracts in {resource('data')}; reinstall abstracts-rag")
    return files


def _told(
    things: Iterable[T], total: int, stage: str, progress: Progress | None, size: Callable[[T], int] = lambda _: 1
) -> Iterator[T]:
    """The same things; progress is told as they are taken, about a hundred times."""
    done = shown = 0
    for thing in things:
        yield thing
        done += size(thing)
        if progress and (done - shown) * 100 >= total:
            shown = done
            progress(stage, done, total)


def _embedded(
    library: Library, papers: Sequence[Paper], embedder: Embedder, progress: Progress | None
) -> tuple[list[Entry], int]:
    """The papers as they are stored, with every vector they name in the library; how many texts had none."""
    entries: list[Entry] = []
    embedded = 0
    for at in range(0, len(papers), PAPERS):
        if progress:
            progress("embedding", at, len(papers))
        some, texts = _prepared(papers[at : at + PAPERS], embedder)
        embedded += _embed(library, texts, embedder)
        entries += some
    if progress and papers:
        progress("embedding", len(papers), len(papers))
    return entries, embedded


def _prepared(papers: Iterable[Paper], embedder: Embedder) -> tuple[list[Entry], dict[bytes, str]]:
    """Entries to store, and the text behind every vector key they name."""
    texts: dict[bytes, str] = {}

    def key(text: str) -> bytes:
        found = vector_key(embedder.name, text)
        texts.setdefault(found, text)
        return found

    entries = []
    for paper in papers:
        chunks = chunk(paper, embedder.count, min(CHUNK_TOKENS, embedder.max_tokens - 2))
        keyed = tuple((c, key(passage(paper, c.start, c.end))) for c in chunks)
        spans = sentences(paper.abstract)
        parts = tuple(Embedded(s.start, s.end, key(readable(paper.abstract[s.start : s.end]))) for s in spans)
        entries.append(Entry(paper, keyed, parts))
    return entries, texts


def _embed(library: Library, texts: Mapping[bytes, str], embedder: Embedder) -> int:
    """Embed what has no vector yet; how many texts that were."""
    wanted = sorted(write.missing(library.database, texts), key=lambda key: (len(texts[key]), key))
    for at in range(0, len(wanted), BATCH):
        keys = wanted[at : at + BATCH]
        write.store_vectors(library.database, keys, embedder.encode([texts[key] for key in keys]))
    return len(wanted)
