"""`rag doctor`: every kind of damage is seen, told in a line, and mended from what is sound; or it is said what to type."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import made
import numpy as np
import pytest
from running import called

from rag.errors import LibraryBusy, LibraryMissing
from rag.library import changes, doctor
from rag.library.build import open_shipped
from rag.library.database import FILE
from rag.library.embed import MiniLM, open_embedder
from rag.library.store import Library, writer
from rag.library.vectors import open_collection

PAPERS = [made.S4, made.FLASH, made.POKER]


class Counting(MiniLM):
    """The shipped embedder; `texts` are those it embedded."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode(self, texts, **options):
        self.texts += texts
        return super().encode(texts, **options)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A library that was added from a file beside it, its collection in step."""
    place = tmp_path_factory.mktemp("original")
    (place / "papers.jsonl").write_text(
        "".join(json.dumps({"title": one.title, "abstract": one.abstract}) + "\n" for one in PAPERS), "utf-8"
    )
    changes.add([place / "papers.jsonl"], str(place / "library"), open_embedder())
    open_collection(place / "library").close()
    return place / "library"


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy to be harmed."""
    return shutil.copytree(original, tmp_path / "library")


def sql(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / FILE)) as db, db:
        for statement in statements:
            db.execute(statement)


def failed(health: doctor.Health) -> set[str]:
    return {check.name for check in health.checks if check.problem}


def examine(folder: Path) -> doctor.Health:
    return doctor.examine(folder, "mine", open_embedder())


def rows(folder: Path) -> dict[str, object]:
    """What a library holds, but for its journal."""
    tables = {
        "papers": "SELECT id, record FROM papers",
        "chunks": "SELECT * FROM chunks",
        "sentences": "SELECT * FROM sentences",
        "vectors": "SELECT * FROM vectors",
        "full text": "SELECT title, abstract FROM passages",
        "content": "SELECT value FROM meta WHERE key = 'content'",
    }
    with closing(sqlite3.connect(folder / FILE)) as db:
        held: dict[str, object] = {name: sorted(db.execute(query)) for name, query in tables.items()}
    vectors = open_collection(folder)
    held["collection"] = vectors.ids()
    vectors.close()
    return held


# --- harms --------------------------------------------------------------------------------------


def stale_full_text(folder: Path) -> None:
    sql(folder, "UPDATE passages SET abstract = 'something else' WHERE rowid = 1")


def less_full_text(folder: Path) -> None:
    sql(folder, "DELETE FROM passages WHERE rowid = 2")


def damaged_full_text(folder: Path) -> None:
    sql(folder, "DELETE FROM passages_data WHERE id > 10")


def no_vector(folder: Path) -> None:
    sql(folder, "DELETE FROM vectors WHERE key = (SELECT key FROM sentences LIMIT 1)")


def short_vector(folder: Path) -> None:
    sql(folder, "UPDATE vectors SET vector = x'00' WHERE key = (SELECT key FROM chunks LIMIT 1)")


def no_numbers(folder: Path) -> None:
    nan = np.full(384, np.nan, np.float32).tobytes().hex()
    sql(folder, f"UPDATE vectors SET vector = x'{nan}' WHERE key = (SELECT key FROM sentences LIMIT 1)")


def orphans(folder: Path) -> None:
    sql(folder, "INSERT INTO chunks SELECT 'x.0', 'nobody', 0, 5, 5, key FROM chunks LIMIT 1")


def no_chunks(folder: Path) -> None:
    sql(folder, f"DELETE FROM chunks WHERE paper = '{made.FLASH.id}'")


def moved_sentence(folder: Path) -> None:
    sql(folder, f'UPDATE sentences SET "end" = "end" - 3 WHERE paper = \'{made.S4.id}\' AND number = 1')


def other_content(folder: Path) -> None:
    sql(folder, "UPDATE meta SET value = '12345' WHERE key = 'content'")


def no_collection(folder: Path) -> None:
    shutil.rmtree(folder / "chroma")


def less_in_collection(folder: Path) -> None:
    vectors = open_collection(folder)
    vectors.update([], [f"{made.S4.id}.0"])
    vectors.close()


def more_in_collection(folder: Path) -> None:
    vectors = open_collection(folder)
    vectors.update([(["x.0"], np.eye(1, 384, dtype=np.float32), ["x"])], [])
    vectors.close()


def other_vectors(folder: Path) -> None:
    vectors = open_collection(folder)
    vectors.update([([f"{made.S4.id}.0"], np.eye(1, 384, dtype=np.float32), [made.S4.id])], [])
    vectors.close()


def behind(folder: Path) -> None:
    sql(folder, "UPDATE meta SET value = '0' WHERE key = 'collection'")


def left_behind(folder: Path) -> None:
    (folder / "chroma.new").mkdir()
    (folder / "chroma.new" / "data.bin").write_bytes(b"0" * 100)


def broken_journal(folder: Path) -> None:
    sql(folder, "INSERT INTO journal VALUES (1, 'now', 'add', '{broken')")


HARMS = {
    stale_full_text: {"full text"},
    less_full_text: {"full text"},
    damaged_full_text: {"full text"},
    no_vector: {"vectors"},
    short_vector: {"vectors"},
    no_numbers: {"vectors"},
    orphans: {"spans"},
    no_chunks: {"spans", "collection"},
    moved_sentence: {"spans"},
    other_content: {"fingerprint"},
    no_collection: {"collection"},
    less_in_collection: {"collection"},
    more_in_collection: {"collection"},
    other_vectors: {"collection"},
    behind: {"collection"},
    left_behind: {"leftovers"},
    broken_journal: {"journal"},
}
EMBEDDED = {no_vector, short_vector, no_numbers}  # one text each


@pytest.mark.parametrize(("harm", "names"), HARMS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_harm_is_seen_where_it_is_and_mended_without_embedding_what_is_there(original, folder, harm, names):
    assert not failed(examine(folder))
    sound = rows(folder)
    harm(folder)
    seen = examine(folder)
    assert names <= failed(seen) <= names | {"collection"}  # what has no vector is not expected there
    assert seen.advice == "to repair it type: rag doctor --library mine --repair"
    embedder = Counting()
    health = doctor.repair(folder, "mine", embedder)
    assert (failed(health), health.advice) == (set(), "")
    assert health.repaired
    assert health.embedded == len(embedder.texts) == (harm in EMBEDDED)
    assert rows(folder) == sound


def test_what_is_sound_is_left_as_it_is(folder):
    before = (folder / FILE).read_bytes()
    health = doctor.repair(folder, "mine", open_embedder())
    assert (health.problems, health.repaired) == (0, ())
    assert (folder / FILE).read_bytes() == before


def test_a_record_that_cannot_be_read_is_dropped_and_had_back_from_its_file(original, folder):
    # the journal names the file of the original, which is still there
    sql(folder, f"UPDATE papers SET record = '{{' WHERE id = '{made.POKER.id}'")
    assert "PokerBench" in next(check.problem for check in examine(folder).checks if check.name == "papers")
    health = doctor.repair(folder, str(folder), open_embedder())
    assert failed(health) == set()
    assert any(f"type: rag sync --library {folder}" in line for line in health.repaired)
    with closing(Library.open(folder)) as library:
        assert len(library) == 2
    embedder = Counting()
    assert len(changes.sync(str(folder), embedder).added) == 1
    assert embedder.texts == []  # its vectors were kept
    assert not failed(examine(folder))


def test_chunks_that_no_query_reaches_are_seen_and_had_back(tmp_path):
    class Random(MiniLM):
        def encode(self, texts, **options):
            matrix = np.random.default_rng(len(texts)).standard_normal((len(texts), 384)).astype(np.float32)
            return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)

    file, folder = tmp_path / "many.jsonl", tmp_path / "many"
    file.write_text("".join(json.dumps({"title": f"Paper {n}", "abstract": f"Fact {n}."}) + "\n" for n in range(2200)))
    changes.add([file], str(folder), Random())
    open_collection(folder).close()
    for index in (folder / "chroma").iterdir():
        if index.is_dir():
            shutil.rmtree(index)
    seen = doctor.examine(folder, "mine", Random())
    assert failed(seen) == {"collection"}
    health = doctor.repair(folder, "mine", Random())
    assert (failed(health), health.embedded) == (set(), 0)


def garbage(folder: Path) -> None:
    (folder / FILE).write_bytes(b"no database" * 1000)


def empty(folder: Path) -> None:
    (folder / FILE).write_bytes(b"")


def half(folder: Path) -> None:
    raw = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(raw[: len(raw) // 2])


def one_page(folder: Path) -> None:
    raw = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(raw[: 3 * 8192] + b"\xff" * 8192 + raw[4 * 8192 :])


def no_papers(folder: Path) -> None:
    sql(folder, "DROP TABLE papers")


def no_meta(folder: Path) -> None:
    sql(folder, "DROP TABLE meta")


def no_generation(folder: Path) -> None:
    sql(folder, "DELETE FROM meta WHERE key = 'generation'")


@pytest.mark.parametrize("harm", [garbage, empty, half, one_page, no_papers, no_meta, no_generation])
def test_what_cannot_be_repaired_says_what_to_type(folder, harm):
    harm(folder)
    for health in (examine(folder), doctor.repair(folder, "mine", open_embedder())):
        assert failed(health)
        assert f"type: mv {folder} {folder}.damaged && rag add " in health.advice
        assert health.advice.endswith(" --library mine")


def test_the_advice_names_the_files_as_long_as_the_journal_can_be_read(original, folder):
    no_papers(folder)
    assert f"rag add {original.parent / 'papers.jsonl'} --library mine" in examine(folder).advice


def test_a_library_that_is_not_there_or_busy_says_so(folder, tmp_path):
    with pytest.raises(LibraryMissing):
        examine(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    with writer(folder), pytest.raises(LibraryBusy):
        examine(folder)


def test_the_command_is_a_line_a_check_and_exit_1_while_problems_are_left(folder):
    code, out, err = called("doctor", "--library", str(folder))
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "all is well"
    assert [line.partition(":")[0] for line in out.splitlines()[:-1]] == list(doctor._LOOKS)
    less_full_text(folder)
    code, out, err = called("doctor", "--library", str(folder))
    assert (code, err) == (1, "")
    assert "full text: problem: 1 papers missing" in out.splitlines()
    code, out, _ = called("doctor", "--library", str(folder), "--repair", "--json")
    facts = json.loads(out)
    assert (code, facts["problems"], facts["embedded"]) == (0, 0, 0)
    assert all(check["ok"] for check in facts["checks"])


def test_the_shipped_library_is_looked_at_too():
    open_shipped(open_embedder()).close()
    code, out, _ = called("doctor")
    assert (code, out.splitlines()[-1]) == (0, "all is well")
