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

from rag.errors import LibraryBusy, LibraryDamaged, LibraryMissing
from rag.library import changes, doctor
from rag.library.build import open_shipped
from rag.library.database import FILE
from rag.library.digests import digest
from rag.library.embed import MiniLM, open_embedder
from rag.library.store import Library, writer

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
    return place / "library"


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy to be harmed."""
    return shutil.copytree(original, tmp_path / "library")


def sql(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / FILE)) as db, db:
        for statement in statements:
            db.execute(statement)


def said(folder: Path, statement: str, key: str, value: str) -> None:
    with closing(sqlite3.connect(folder / FILE)) as db, db:
        db.execute(statement, (value, digest(key, value)))


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
    held["collection"] = made.reached(folder)
    return held


# --- harms --------------------------------------------------------------------------------------


def stale_full_text(folder: Path) -> None:
    sql(folder, "UPDATE passages SET abstract = 'something else' WHERE rowid = 1")


def less_full_text(folder: Path) -> None:
    sql(folder, "DELETE FROM passages WHERE rowid = 2")


def damaged_full_text(folder: Path) -> None:
    sql(folder, "DELETE FROM passages_data WHERE id > 10")


def no_facts(folder: Path) -> None:
    sql(folder, "DELETE FROM facts WHERE field = 'year'")


def flipped_facts(folder: Path) -> None:
    sql(folder, "UPDATE facts SET value = value || x'20' WHERE field = 'author'")


def no_keys(folder: Path) -> None:
    sql(folder, "DELETE FROM keys WHERE paper = 2")


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
    said(folder, "UPDATE meta SET value = ?, digest = ? WHERE key = 'content'", "content", "12345")


def no_collection(folder: Path) -> None:
    shutil.rmtree(folder / "chroma")


def place(folder: Path) -> Path:
    """Where the collection lies."""
    (found,) = (folder / "chroma").iterdir()
    return found


def less_in_collection(folder: Path) -> None:
    with closing(sqlite3.connect(place(folder) / "chroma.sqlite3")) as db, db:
        db.execute("DELETE FROM embeddings WHERE id = 1")


def flipped_in_collection(folder: Path) -> None:
    file = next(place(folder).glob("*/data_level0.bin"))
    raw = bytearray(file.read_bytes())
    raw[500] ^= 4
    file.write_bytes(raw)


def other_collection(folder: Path) -> None:
    """That of another library, under the name of this one's."""
    other = made.library(folder.parent / "other", made.POKER)
    shutil.rmtree(place(folder) / "x", ignore_errors=True)
    name = place(folder).name
    shutil.rmtree(folder / "chroma")
    (folder / "chroma").mkdir()
    shutil.copytree(next((other / "chroma").iterdir()), folder / "chroma" / name)


def behind(folder: Path) -> None:
    said(folder, "UPDATE meta SET value = ?, digest = ? WHERE key = 'collection'", "collection", "")


def left_behind(folder: Path) -> None:
    (folder / "chroma" / "9-1234").mkdir()
    (folder / "chroma" / "9-1234" / "data.bin").write_bytes(b"0" * 100)


def broken_journal(folder: Path) -> None:
    sql(folder, "INSERT INTO journal VALUES (1, 'now', 'add', '{broken', x'00')")


HARMS = {
    stale_full_text: {"full text"},
    less_full_text: {"full text"},
    damaged_full_text: {"full text"},
    no_facts: {"filters"},
    flipped_facts: {"filters"},
    no_keys: {"merging"},
    no_vector: {"vectors"},
    short_vector: {"vectors"},
    no_numbers: {"vectors"},
    orphans: {"spans"},
    no_chunks: {"spans"},
    moved_sentence: {"spans"},
    other_content: {"fingerprint"},
    no_collection: {"collection"},
    less_in_collection: {"collection"},
    flipped_in_collection: {"collection"},
    other_collection: {"collection"},
    behind: {"collection", "leftovers"},
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
    assert names & {"collection", "leftovers"} or (folder / f"{FILE}.damaged").is_file()
    assert health.embedded == len(embedder.texts) == (harm in EMBEDDED)
    assert rows(folder) == sound


def test_what_is_sound_is_left_as_it_is(folder):
    before = (folder / FILE).read_bytes()
    health = doctor.repair(folder, "mine", open_embedder())
    assert (health.problems, health.repaired) == (0, ())
    assert (folder / FILE).read_bytes() == before


def test_a_record_that_cannot_be_read_is_had_back_from_its_file(original, folder):
    sound = rows(folder)  # the journal names the file of the original, which is still there
    sql(folder, f"UPDATE papers SET record = '{{' WHERE id = '{made.POKER.id}'")
    assert "PokerBench" in next(check.problem for check in examine(folder).checks if check.name == "papers")
    embedder = Counting()
    health = doctor.repair(folder, str(folder), embedder)
    assert (failed(health), embedder.texts) == (set(), [])  # its vectors were kept
    assert rows(folder) == sound


def test_chunks_that_no_query_reaches_are_seen_and_had_back(tmp_path):
    class Random(MiniLM):
        def encode(self, texts, **options):
            matrix = np.random.default_rng(len(texts)).standard_normal((len(texts), 384)).astype(np.float32)
            return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)

    file, folder = tmp_path / "many.jsonl", tmp_path / "many"
    file.write_text("".join(json.dumps({"title": f"Paper {n}", "abstract": f"Fact {n}."}) + "\n" for n in range(2200)))
    changes.add([file], str(folder), Random())
    for index in place(folder).iterdir():
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


@pytest.mark.parametrize("harm", [garbage, empty, one_page, no_papers])
def test_what_cannot_be_repaired_says_what_to_type(folder, harm):
    harm(folder)
    for health in (examine(folder), doctor.repair(folder, "mine", open_embedder())):
        assert failed(health)
        assert f"type: mv {folder} {folder}.damaged && rag add " in health.advice
        assert health.advice.endswith(" --library mine")


def first_page(folder: Path) -> None:
    raw = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(bytes(8192) + raw[8192:])


@pytest.mark.parametrize("harm", [no_meta, no_generation, first_page])
def test_a_library_that_forgot_itself_is_read_out_into_a_new_file(folder, harm):
    sound = rows(folder)
    harm(folder)
    assert examine(folder).advice == "to repair it type: rag doctor --library mine --repair"
    health = doctor.repair(folder, "mine", open_embedder())
    assert (failed(health), health.embedded) == (set(), 0)
    assert rows(folder) == sound


def test_what_a_file_that_was_cut_still_holds_is_read_out(folder):
    half(folder)
    assert examine(folder).advice == "to repair it type: rag doctor --library mine --repair"
    health = doctor.repair(folder, str(folder), open_embedder())
    assert failed(health) == set()
    with closing(Library.open(folder)) as library:
        assert {paper.title: paper.abstract for paper in library}.items() <= {
            one.title: one.abstract for one in PAPERS
        }.items()
        assert len(library)


def test_a_flipped_byte_in_a_record_is_never_made_official(original, folder):
    """It is told when it is asked for, and had back from the file that it came from."""
    sound = rows(folder)
    sql(folder, f"UPDATE papers SET record = replace(record, 'state', 'stats') WHERE id = '{made.S4.id}'")
    with closing(Library.open(folder)) as library, pytest.raises(LibraryDamaged, match="the record of") as caught:
        library.paper(made.S4.id)
    assert "\n" not in str(caught.value)
    assert failed(examine(folder)) >= {"papers"}
    health = doctor.repair(folder, str(folder), open_embedder())
    assert any("read again from their files" in line for line in health.repaired)
    assert (failed(health), rows(folder)) == (set(), sound)


def test_a_damaged_record_whose_file_is_gone_is_set_aside_and_named(folder):
    sql(folder, f"UPDATE papers SET record = replace(record, 'state', 'stats') WHERE id = '{made.S4.id}'",
        "DELETE FROM journal")  # fmt: skip
    health = doctor.repair(folder, str(folder), open_embedder())
    assert any(line.startswith("set aside") and made.S4.title[:20] in line for line in health.repaired)
    assert failed(health) == set()
    assert (folder / f"{FILE}.damaged").is_file()
    with closing(Library.open(folder)) as library:
        assert made.S4.id not in {paper.id for paper in library}
        assert len(library) == 2
        assert [row[0] for row in library.database.rows("SELECT id FROM aside")] == [made.S4.id]


def test_bytes_that_are_no_text_harm_the_row_they_are_in_alone(folder):
    sql(folder, f"UPDATE papers SET record = CAST(x'7bff22' AS TEXT) WHERE id = '{made.S4.id}'")
    with closing(Library.open(folder)) as library:
        assert library.paper(made.FLASH.id) == library.papers([made.FLASH.id])[made.FLASH.id]
        with pytest.raises(LibraryDamaged):
            library.paper(made.S4.id)
    assert failed(doctor.repair(folder, str(folder), open_embedder())) == set()


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
