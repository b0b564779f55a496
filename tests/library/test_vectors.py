"""The Chroma collection: finds what brute force finds, and never passes a broken one off as whole."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rag.errors import LibraryError
from rag.library.vectors import Batch, Chroma, Stale, open_collection

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


def assert_finds_the_nearest(vectors: Chroma, rows: np.ndarray, limit: int = 10) -> None:
    for query in unit_rows(10, seed=99):
        expected = nearest(rows, query, limit)
        found = vectors.query(query, limit)
        assert [id for id, _ in found] == [id for id, _ in expected]
        assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in expected], abs=1e-5)


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[Chroma]:
    made = open_collection(tmp_path)
    assert isinstance(made, Chroma)
    yield made
    made.close()


ROWS = unit_rows(300, seed=1)


# --- finding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 10, 300])
def test_chroma_finds_what_brute_force_finds(limit: int, vectors: Chroma) -> None:
    vectors.fill(batches(ROWS, 70))
    assert vectors.count() == 300
    assert_finds_the_nearest(vectors, ROWS, limit)


def test_a_collection_past_its_index_threshold_finds_what_brute_force_finds(vectors: Chroma) -> None:
    rows = unit_rows(2300, seed=2)
    vectors.fill(batches(rows, 1000))
    assert_finds_the_nearest(vectors, rows)
    vectors.close()
    assert_finds_the_nearest(vectors, rows)


def test_more_rows_than_chroma_takes_at_once_are_no_trouble(vectors: Chroma) -> None:
    rows = unit_rows(5500, seed=3)
    vectors.fill(batches(rows))
    assert vectors.count() == 5500
    assert vectors.query(rows[5499], 1)[0][0] == "p5499.0"


def test_asking_for_more_than_there_is_gives_all_of_it(vectors: Chroma) -> None:
    vectors.fill(batches(ROWS[:3]))
    assert sorted(id for id, _ in vectors.query(ROWS[0], 50)) == ["p0.0", "p1.0", "p2.0"]


def test_an_empty_collection_finds_nothing(vectors: Chroma) -> None:
    assert vectors.count() == 0
    vectors.fill([])
    assert (vectors.query(ROWS[0], 5), vectors.count()) == ([], 0)


# --- changing -----------------------------------------------------------------------------------


def test_an_update_adds_replaces_and_removes(vectors: Chroma) -> None:
    vectors.fill(batches(ROWS))
    rows = np.concatenate([ROWS, unit_rows(20, seed=4)])
    rows[5] = unit_rows(1, seed=5)[0]
    added = (["p5.0", *(f"p{n}.0" for n in range(300, 320))], rows[[5, *range(300, 320)]], ["p5", *(f"p{n}" for n in range(300, 320))])  # fmt: skip
    vectors.update([added], gone=["p7.0", "p8.0", "unknown"])
    assert vectors.count() == 318
    rows[[7, 8]] = -1  # cosines that brute force ranks last
    rows[[7, 8]] *= 0
    vectors.close()
    assert_finds_the_nearest(vectors, rows)


def test_filling_again_throws_the_old_rows_away(vectors: Chroma) -> None:
    vectors.fill(batches(ROWS))
    vectors.fill(batches(ROWS[:40]))
    assert vectors.count() == 40
    assert_finds_the_nearest(vectors, ROWS[:40])


def test_two_objects_on_one_folder_see_what_either_writes(vectors: Chroma) -> None:
    other = Chroma(vectors.folder)
    vectors.fill(batches(ROWS))
    assert_finds_the_nearest(other, ROWS)
    other.fill(batches(ROWS[:40]))
    assert_finds_the_nearest(vectors, ROWS[:40])


def test_one_name_in_two_folders_is_two_collections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for seed, place in enumerate(("one", "two")):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        made.append((Chroma(Path("chroma")), unit_rows(20, seed)))
        made[-1][0].fill(batches(made[-1][1]))
    monkeypatch.chdir(tmp_path)
    for vectors, rows in made:
        assert_finds_the_nearest(vectors, rows)
        vectors.close()


def test_a_fill_that_fails_leaves_the_old_rows_and_the_next_one_works(vectors: Chroma) -> None:
    def failing() -> Iterator[Batch]:
        yield from batches(ROWS[:5])
        raise OSError("no space left")

    vectors.fill(batches(ROWS))
    with pytest.raises(LibraryError, match="no space left"):
        vectors.fill(failing())
    assert_finds_the_nearest(vectors, ROWS)
    vectors.fill(batches(ROWS[:40]))
    vectors.close()
    assert_finds_the_nearest(vectors, ROWS[:40])
    assert [folder.name for folder in vectors.folder.parent.iterdir()] == ["chroma"]


def test_a_closed_collection_opens_again_by_itself_and_in_another_object(vectors: Chroma) -> None:
    vectors.fill(batches(ROWS))
    vectors.close()
    vectors.close()
    assert_finds_the_nearest(vectors, ROWS)
    vectors.close()
    other = Chroma(vectors.folder)
    assert_finds_the_nearest(other, ROWS)
    other.close()


def test_a_folder_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="Chroma cannot write there") as caught:
        open_collection(tmp_path / "file").fill(batches(ROWS))
    assert "\n" not in str(caught.value)


# --- broken -------------------------------------------------------------------------------------


def index_files_gone(folder: Path) -> None:
    for file in folder.glob("*/*"):
        file.unlink()


def index_folder_gone(folder: Path) -> None:
    for inside in folder.iterdir():
        if inside.is_dir():
            shutil.rmtree(inside)


def database_gone(folder: Path) -> None:
    (folder / "chroma.sqlite3").unlink()


def database_garbage(folder: Path) -> None:
    (folder / "chroma.sqlite3").write_bytes(b"garbage" * 1000)


def database_empty(folder: Path) -> None:
    (folder / "chroma.sqlite3").write_bytes(b"")


def everything_gone(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(  # Chroma keeps up to 1,000 rows outside its index files
    ("break_it", "rows", "limit"),
    [(index_files_gone, 1000, 1), (index_folder_gone, 1300, 50), (index_files_gone, 1999, 10)],
)
def test_lost_index_files_are_noticed_and_filling_mends_them(
    break_it: Callable[[Path], None], limit: int, rows: int, vectors: Chroma
) -> None:
    matrix = unit_rows(rows, seed=6)
    vectors.fill(batches(matrix, 1000))
    vectors.close()
    break_it(vectors.folder)
    for _ in range(2):  # the second query is no wiser than the first
        with pytest.raises(Stale, match="within reach"):
            vectors.query(matrix[0], limit)
    vectors.fill(batches(matrix, 1000))
    assert vectors.query(matrix[0], limit)[0][0] == "p0.0"


@pytest.mark.parametrize("break_it", [database_gone, database_garbage, database_empty, everything_gone])
def test_a_lost_or_damaged_database_is_noticed_and_filling_mends_it(
    break_it: Callable[[Path], None], vectors: Chroma
) -> None:
    vectors.fill(batches(ROWS))
    vectors.close()
    break_it(vectors.folder)
    for _ in range(2):
        with pytest.raises(Stale):
            vectors.query(ROWS[0], 5)
    vectors.fill(batches(ROWS))
    assert_finds_the_nearest(vectors, ROWS)


@pytest.mark.parametrize("break_it", [database_gone, everything_gone])
def test_a_collection_lost_while_it_is_open_is_noticed(break_it: Callable[[Path], None], vectors: Chroma) -> None:
    vectors.fill(batches(ROWS))
    assert vectors.query(ROWS[0], 1)
    break_it(vectors.folder)
    with pytest.raises(Stale, match="no collection"):
        vectors.query(ROWS[0], 1)


def test_counting_a_damaged_collection_is_stale_too(vectors: Chroma) -> None:
    vectors.fill(batches(ROWS))
    vectors.close()
    database_garbage(vectors.folder)
    with pytest.raises(Stale):
        vectors.count()


# --- the current folder -------------------------------------------------------------------------


def test_an_env_file_of_garbage_in_the_current_folder_does_no_harm(
    tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00garbage\n=\nCHROMA_SERVER_HTTP_PORT=many\n")
    done = python(
        "import sys, os, numpy as np\n"
        "from pathlib import Path\n"
        "from rag.library.vectors import Chroma\n"
        "vectors = Chroma(Path('chroma'))\n"  # a relative folder means the current one all the same
        "vectors.fill([(['a.0'], np.eye(1, 8, dtype='float32'), ['a'])])\n"
        "print(vectors.query(np.eye(1, 8, dtype='float32')[0], 5), os.getcwd())\n",
        cwd=tmp_path,
    )
    assert done.stdout == f"[('a.0', 1.0)] {tmp_path}\n", done.stderr
    assert (tmp_path / "chroma" / "chroma.sqlite3").is_file()
