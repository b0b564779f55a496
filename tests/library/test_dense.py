"""The dense search: what the collection says, and what a full comparison says of the papers of a filter."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import made
import pytest

from evals.bench.hashed import Hashed
from rag.library import build, dense, migrate, write
from rag.library.build import open_shipped
from rag.library.dense import DenseSearch, exact
from rag.library.embed import open_embedder
from rag.library.store import Library, writer
from rag.library.stored import StoredVectors
from rag.library.vectors import Manifest, collections_folder
from rag.readers import Reading
from rag.records import paper_of

MEMORY = "Which methods reduce the memory of attention?"


def test_of_many_papers_it_finds_what_a_full_comparison_finds(monkeypatch):
    embedder = open_embedder()
    vector = embedder.encode([MEMORY])[0]
    monkeypatch.setattr(dense, "EXACT", 5)
    with closing(open_shipped(embedder)) as library, closing(DenseSearch(library)) as search:
        ids = [paper.id for paper in library]
        ranked = [paper_of(chunk) for chunk, _ in exact(library, vector, ids, len(ids))]
        for chosen in (ids[::2], ranked[-8:], ids):  # some, the farthest of all, all
            found, compared = search.nearest(vector, 6, frozenset(chosen)), exact(library, vector, chosen, 6)
            assert [chunk for chunk, _ in found] == [chunk for chunk, _ in compared]
            assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in compared], abs=1e-5)


# --- a library that changes ---------------------------------------------------------------------

PAPERS = [made.paper(f"Study {n}", f"Fact {n} of the reed bunting. It is {n * 7}.") for n in range(40)]
VECTOR = Hashed().encode(["a question"])[0]


def changed(library: Library, *papers: made.Paper, gone: tuple[str, ...] = ()) -> None:
    build.change(library, papers, gone, Hashed(), "add", {})


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Forty papers and their collection."""
    with writer(tmp_path / "lib"):
        found = Library.create(tmp_path / "lib", "hashed", 384)
        build.store(found, Reading(tuple(PAPERS), len(PAPERS), ()), Hashed())
        build.fill(found)
    yield found
    found.close()


def compared(library: Library) -> list[tuple[str, float]]:
    return exact(library, VECTOR, [paper.id for paper in library], 100)


def assert_exact(search: DenseSearch, library: Library) -> None:
    wanted = compared(library)
    for limit in (1, 7, 100):
        found = search.nearest(VECTOR, limit)
        assert [id for id, _ in found] == [id for id, _ in wanted][:limit]
        assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in wanted][:limit], abs=1e-5)


def test_what_changed_since_the_collection_was_made_is_answered_from_the_file(library: Library) -> None:
    manifest = library.meta("collection")
    with closing(DenseSearch(library)) as search:
        assert_exact(search, library)
        changed(library, made.paper("New", "A new fact."), replace(PAPERS[3], abstract="Other facts."))
        assert_exact(search, library)
        changed(library, gone=tuple(id.partition(".")[0] for id, _ in compared(library)[:5]))
        assert_exact(search, library)
        changed(library, *PAPERS[:9])
        assert_exact(search, library)
        assert library.meta("collection") == manifest


def test_a_new_collection_is_made_once_enough_changed(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "DIFFERING", (20, 5000))
    build.follow(library)
    first = library.meta("collection")
    changed(library, *(made.paper(f"More {n}", "A fact.") for n in range(build.allowed(40))))
    build.follow(library)
    assert library.meta("collection") == first
    changed(library, made.paper("One too many", "A fact."))
    build.follow(library)
    second = Manifest.from_json(library.meta("collection"))
    assert second
    assert second.rows == library.counts()["chunks"]
    assert [path.name for path in collections_folder(library.path).iterdir()] == [second.folder]


def test_a_snapshot_is_searched_as_it_was(library: Library) -> None:
    wanted = compared(library)
    with closing(DenseSearch(library)) as search, library.snapshot() as still:
        changed(library, made.paper("New", "A new fact."), gone=(PAPERS[0].id,))
        build.fill(library)
        found = search.nearest(VECTOR, 100, None, still)
        assert [id for id, _ in found] == [id for id, _ in wanted]
        assert len(still) == 40
        assert_exact(search, library)


def test_nobody_waits_for_a_writer_when_the_collection_is_lost(library: Library) -> None:
    shutil.rmtree(collections_folder(library.path))
    with closing(DenseSearch(library)) as search, writer(library.path):
        assert_exact(search, library)
        assert not collections_folder(library.path).exists()
    with closing(DenseSearch(library)) as search:
        assert_exact(search, library)
        assert not build.behind(library)  # the lock was free


def test_the_collection_of_another_library_is_not_taken(library: Library, tmp_path: Path) -> None:
    with writer(tmp_path / "other"), closing(Library.create(tmp_path / "other", "hashed", 384)) as other:
        changed(other, *(made.paper(f"Other {n}", "A fact.") for n in range(40)))
        foreign = build.fill(other)
    manifest = Manifest.from_json(library.meta("collection"))
    assert manifest
    place = collections_folder(library.path) / manifest.folder
    shutil.rmtree(place)
    shutil.copytree(collections_folder(tmp_path / "other") / foreign.folder, place)
    with closing(DenseSearch(library)) as search:
        assert_exact(search, library)


def test_a_library_that_was_replaced_is_noticed(library: Library, tmp_path: Path) -> None:
    with writer(tmp_path / "other"), closing(Library.create(tmp_path / "other", "hashed", 384)) as other:
        changed(other, *PAPERS[5:20])
        build.fill(other)
    with closing(DenseSearch(library)) as search:
        assert_exact(search, library)
        for name in ("-wal", "-shm"):
            (library.path / f"library.sqlite{name}").unlink(missing_ok=True)
        os.replace(tmp_path / "other" / "library.sqlite", library.path / "library.sqlite")
        assert len(library) == 15
        assert_exact(search, library)


def test_a_library_of_an_earlier_schema_is_brought_up_to_date(library: Library) -> None:
    wanted, before = compared(library), list(library)
    with library.database.transaction() as db:
        for statement in (
            "DROP INDEX papers_since", "DROP TABLE aside",
            "ALTER TABLE papers DROP COLUMN since", "ALTER TABLE papers DROP COLUMN digest",
            "ALTER TABLE papers DROP COLUMN chunks", "ALTER TABLE papers DROP COLUMN sentences",
            "ALTER TABLE vectors DROP COLUMN digest", "ALTER TABLE journal DROP COLUMN digest",
            "UPDATE meta SET value = '2' WHERE key = 'schema'", "UPDATE meta SET value = '1' WHERE key = 'collection'",
            "ALTER TABLE meta DROP COLUMN digest",
        ):  # fmt: skip
            db.execute(statement)
    library.close()
    was = library.path / migrate.BEFORE
    with closing(Library.open(library.path)) as now, closing(DenseSearch(now)) as search:
        with closing(sqlite3.connect(was)) as kept:  # the file as it was
            assert kept.execute("SELECT value FROM meta WHERE key = 'schema'").fetchall() == [("2",)]
            assert kept.execute("SELECT count(*) FROM papers").fetchall() == [(40,)]
        assert list(now) == before
        assert compared(now) == wanted
        assert_exact(search, now)
        assert now.words.lexical("bunting", 3)
        assert write.content(now.database) == int(now.meta("content"))


def test_libraries_that_are_let_go_give_their_files_back(library: Library) -> None:
    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc here")
    search = DenseSearch(library)
    search.nearest(VECTOR, 3)
    del search
    gc.collect()
    before = handles()
    for _ in range(5):
        opened = Library.open(library.path)
        search = DenseSearch(opened)
        search.nearest(VECTOR, 3)
        del search, opened
    assert handles() <= before + 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_fork_searches_for_itself(
    library: Library, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = python(
        "import os, sys, signal, numpy as np\n"
        "from rag.library.dense import DenseSearch\n"
        "from rag.library.store import Library\n"
        "library = Library.open(sys.argv[1])\n"
        "search, vector = DenseSearch(library), np.eye(1, 384, dtype='float32')[0]\n"
        "whole = search.nearest(vector, 5)\n"
        "if not (child := os.fork()):\n"
        "    signal.alarm(30)\n"
        "    print('child', search.nearest(vector, 5) == whole, len(library), flush=True)\n"
        "    sys.exit()\n"
        "_, left = os.waitpid(child, 0)  # 0: it left by itself, and did not wait without end for the parent's threads\n"
        "print('parent', left, search.nearest(vector, 5) == whole, len(library))\n",
        library.path,
    )
    assert done.stdout.splitlines() == ["child True 40", "parent 0 True 40"], done.stderr


def test_its_files_are_for_its_owner_alone(library: Library) -> None:
    assert library.path.stat().st_mode & 0o777 == 0o700
    files = [path for path in library.path.iterdir() if path.is_file()]
    assert {path.name: oct(path.stat().st_mode & 0o077) for path in files} == {path.name: "0o0" for path in files}


def test_too_few_file_handles_for_chroma_are_no_trouble(
    library: Library, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    resource = pytest.importorskip("resource")
    done = python(
        "import resource, sys, numpy as np\n"
        "from rag.library.dense import DenseSearch\n"
        "from rag.library.store import Library\n"
        "import chromadb\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (14, 14))\n"
        "library = Library.open(sys.argv[1])\n"
        "print(len(DenseSearch(library).nearest(np.eye(1, 384, dtype='float32')[0], 5)))\n",
        library.path,
    )
    assert resource
    assert done.stdout == "5\n", done.stderr


def test_what_a_change_did_not_touch_is_not_read_again(library: Library, monkeypatch) -> None:
    read: list[str] = []
    named = StoredVectors.named
    monkeypatch.setattr(StoredVectors, "named", lambda self, chunks: read.extend(chunks) or named(self, chunks))
    with closing(DenseSearch(library)) as search:
        for n in range(3):
            changed(library, *(made.paper(f"New {n} {m}", f"A new fact, {n} {m}.") for m in range(4)))
            search.nearest(VECTOR, 3)
            assert len(read) == 4 * (n + 1)
        changed(library, made.paper("New 1 2", "Another fact."), gone=(made.paper("New 0 1", "").id, PAPERS[5].id))
        assert_exact(search, library)
        assert len(read) == 13


def test_papers_that_are_gone_never_crowd_out_those_that_are_there(library: Library) -> None:
    nearest = [paper_of(chunk) for chunk, _ in compared(library)]
    with closing(DenseSearch(library)) as search:
        for at in (2, 10, 30, 40):
            changed(library, gone=tuple(nearest[:at]))
            assert_exact(search, library)
