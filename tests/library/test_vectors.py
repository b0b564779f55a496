"""The collection of vectors: finds what brute force finds, is never changed, and never passes for whole when it is not."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.errors import LibraryError
from rag.library.vectors import (
    DATABASE,
    Batch,
    Collection,
    Manifest,
    Stale,
    collections_folder,
    leftovers,
    make_collection,
    open_collection,
    sweep,
)

DIMENSIONS = 16


def unit_rows(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def batches(rows: np.ndarray, size: int = 10_000) -> Iterator[Batch]:
    """Row n is chunk "pN.0" of paper "pN"."""
    for at in range(0, len(rows), size):
        papers = [f"p{number}" for number in range(at, min(at + size, len(rows)))]
        yield [f"{paper}.0" for paper in papers], rows[at : at + size], papers


def nearest(rows: np.ndarray, query: np.ndarray, limit: int) -> list[tuple[str, float]]:
    """The oracle: brute force."""
    cosines = rows @ query
    best = np.argsort(-cosines)[:limit]
    return [(f"p{row}.0", float(cosines[row])) for row in best]


def assert_finds_the_nearest(collection: Collection, rows: np.ndarray, limit: int = 10) -> None:
    for query in unit_rows(10, seed=99):
        expected = nearest(rows, query, limit)
        found = collection.query(query, limit)
        assert [id for id, _ in found] == [id for id, _ in expected]
        assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in expected], abs=1e-5)


def made(library: Path, rows: np.ndarray, size: int = 10_000) -> Manifest:
    return make_collection(library, 1, len(rows), batches(rows, size))


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What each file below a folder holds, and when it was last written."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


ROWS = unit_rows(300, seed=1)


# --- finding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 10, 300])
def test_chroma_finds_what_brute_force_finds(limit: int, tmp_path: Path) -> None:
    collection = open_collection(tmp_path, made(tmp_path, ROWS, 70))
    assert (collection.rows, len(collection.ids())) == (300, 300)
    assert_finds_the_nearest(collection, ROWS, limit)


@pytest.mark.parametrize("count", [1, 2, 3, 999, 1001, 2300, 5500])  # Chroma takes 5,461 at once
def test_all_rows_are_found_whatever_their_number(count: int, tmp_path: Path) -> None:
    rows = unit_rows(count, seed=2)
    collection = open_collection(tmp_path, made(tmp_path, rows, 1000))
    assert_finds_the_nearest(collection, rows, min(10, count))
    collection.close()
    assert_finds_the_nearest(collection, rows, min(10, count))


def test_asking_for_more_than_there_is_gives_all_of_it(tmp_path: Path) -> None:
    collection = open_collection(tmp_path, made(tmp_path, ROWS[:3]))
    assert sorted(id for id, _ in collection.query(ROWS[0], 50)) == ["p0.0", "p1.0", "p2.0"]


def test_an_empty_collection_finds_nothing(tmp_path: Path) -> None:
    collection = open_collection(tmp_path, made(tmp_path, ROWS[:0]))
    assert (collection.query(ROWS[0], 5), collection.ids()) == ([], set())


# --- never changed ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 300, 1500])
def test_reading_leaves_every_file_as_it_was(count: int, tmp_path: Path) -> None:
    rows = unit_rows(count, seed=3)
    manifest = made(tmp_path, rows)
    before = files(tmp_path)
    for _ in range(2):
        collection = open_collection(tmp_path, manifest)
        collection.query(rows[0], 5)
        collection.ids()
        collection.close()
    assert files(tmp_path) == before
    assert manifest.problem(collections_folder(tmp_path) / manifest.folder) == ""


def test_a_new_collection_takes_nothing_from_those_who_have_the_old_one_open(tmp_path: Path) -> None:
    old = open_collection(tmp_path, made(tmp_path, ROWS))
    assert_finds_the_nearest(old, ROWS)
    newer = made(tmp_path, ROWS[:40])
    assert len(leftovers(tmp_path, newer)) == 1
    sweep(tmp_path, newer)
    assert [path.name for path in collections_folder(tmp_path).iterdir()] == [newer.folder]
    assert_finds_the_nearest(old, ROWS)
    assert_finds_the_nearest(open_collection(tmp_path, newer), ROWS[:40])
    old.close()
    with pytest.raises(Stale):
        old.query(ROWS[0], 1)


def test_all_who_open_one_collection_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = made(tmp_path, ROWS)
    first = open_collection(tmp_path, manifest)
    monkeypatch.chdir(tmp_path)
    assert open_collection(Path("."), manifest) is first


def test_only_its_owner_may_look_into_it(tmp_path: Path) -> None:
    manifest = made(tmp_path / "lib", ROWS)
    place = collections_folder(tmp_path / "lib") / manifest.folder
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "lib", place.parent, place)} == {"0o700"}
    assert {oct(file.stat().st_mode & 0o777) for file in place.rglob("*") if file.is_file()} == {"0o600"}


def test_one_that_fails_while_it_is_made_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[Batch]:
        yield from batches(ROWS[:5])
        raise OSError("no space left")

    manifest = made(tmp_path, ROWS)
    with pytest.raises(LibraryError, match="no space left"):
        make_collection(tmp_path, 2, 300, failing())
    with pytest.raises(LibraryError, match="300 of 301 rows"):
        make_collection(tmp_path, 2, 301, batches(ROWS))
    assert leftovers(tmp_path, manifest) == []
    assert_finds_the_nearest(open_collection(tmp_path, manifest), ROWS)


def test_a_folder_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="Chroma cannot write there") as caught:
        made(tmp_path / "file", ROWS)
    assert "\n" not in str(caught.value)


def test_a_manifest_goes_to_text_and_back(tmp_path: Path) -> None:
    manifest = made(tmp_path, ROWS[:3])
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert Manifest.from_json("") is Manifest.from_json("17") is None


# --- what is not whole --------------------------------------------------------------------------


def index_file_gone(folder: Path) -> None:
    next(folder.glob("*/data_level0.bin")).unlink()


def index_folder_gone(folder: Path) -> None:
    shutil.rmtree(next(path for path in folder.iterdir() if path.is_dir()))


def database_gone(folder: Path) -> None:
    (folder / DATABASE).unlink()


def database_garbage(folder: Path) -> None:
    (folder / DATABASE).write_bytes(b"garbage" * 1000)


def everything_gone(folder: Path) -> None:
    shutil.rmtree(folder)


def index_cut(folder: Path) -> None:
    file = next(folder.glob("*/data_level0.bin"))
    os.truncate(file, file.stat().st_size // 2)


def a_flipped_bit(folder: Path) -> None:
    file = next(folder.glob("*/data_level0.bin"))
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


def index_of_another(folder: Path) -> None:
    other = make_collection(folder.parents[1] / "other", 1, 300, batches(unit_rows(300, seed=8)))
    source = next((collections_folder(folder.parents[1] / "other") / other.folder).glob("*/data_level0.bin"))
    shutil.copy(source, next(folder.glob("*/data_level0.bin")))


HARMS = [index_file_gone, index_folder_gone, database_gone, database_garbage, everything_gone, index_cut, a_flipped_bit,
         index_of_another]  # fmt: skip


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_not_as_it_was_written_is_not_opened(harm: Callable[[Path], None], tmp_path: Path) -> None:
    manifest = made(tmp_path, ROWS)
    harm(collections_folder(tmp_path) / manifest.folder)
    for _ in range(2):
        with pytest.raises(Stale):
            open_collection(tmp_path, manifest).query(ROWS[0], 5)
        with pytest.raises(Stale):
            open_collection(tmp_path, manifest).ids()
    assert manifest.problem(collections_folder(tmp_path) / manifest.folder)


def test_one_of_other_rows_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(Stale, match="300 of 301 rows"):
        open_collection(tmp_path, replace(made(tmp_path, ROWS), rows=301)).open()


# --- processes ----------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_fork_opens_it_for_itself(
    tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    manifest = made(tmp_path, ROWS)
    done = python(
        "import os, sys, signal, numpy as np\n"
        "from pathlib import Path\n"
        "from rag.library.vectors import Manifest, open_collection\n"
        "place, manifest = Path(sys.argv[1]), Manifest.from_json(sys.argv[2])\n"
        "kept = open_collection(place, manifest)\n"
        "vector = np.eye(1, 16, dtype='float32')[0]\n"
        "whole = kept.query(vector, 5)\n"
        "if not (child := os.fork()):\n"
        "    signal.alarm(30)\n"
        "    print('child', open_collection(place, manifest).query(vector, 5) == whole, flush=True)\n"
        "    sys.exit()\n"
        "_, left = os.waitpid(child, 0)  # 0: it left by itself, and did not wait without end for the parent's threads\n"
        "print('parent', left, kept.query(vector, 5) == whole)\n",
        tmp_path,
        manifest.to_json(),
    )
    assert done.stdout.splitlines() == ["child True", "parent 0 True"], done.stderr


def test_an_env_file_of_garbage_in_the_current_folder_does_no_harm(
    tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00garbage\n=\nCHROMA_SERVER_HTTP_PORT=many\n")
    done = python(
        "import sys, os, numpy as np\n"
        "from pathlib import Path\n"
        "from rag.library.vectors import make_collection, open_collection\n"
        "rows = np.eye(1, 8, dtype='float32')\n"
        "manifest = make_collection(Path('.'), 1, 1, [(['a.0'], rows, ['a'])])\n"  # the current folder all the same
        "print(open_collection(Path('.'), manifest).query(rows[0], 5), os.getcwd())\n",
        cwd=tmp_path,
    )
    assert done.stdout == f"[('a.0', 1.0)] {tmp_path}\n", done.stderr
