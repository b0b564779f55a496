"""The SQLite file: all or nothing, found again by any name or word, and honest about damage."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import LibraryBusy, LibraryDamaged, LibraryError, LibraryMissing, LibraryNewer, PaperNotFound
from rag.filters import parse
from rag.library import database, stored, subsets, write
from rag.library import words as module
from rag.library.chunks import chunk, passage
from rag.library.database import FILE
from rag.library.dense import exact
from rag.library.store import Library, writer
from rag.library.write import Embedded, Entry, vector_key
from rag.records import Paper, Where
from rag.text import paper_id, readable, sentences, terms, words

ROOT = Path(__file__).parents[2]
FAKE, DIMENSIONS = "fake", 8


def embed(text: str) -> np.ndarray:
    """The fake embedder: a unit vector that depends on the text alone."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    vector = np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


def key(text: str) -> bytes:
    return vector_key(FAKE, text)


def paper(title: str, abstract: str = "It works. We tried it.") -> Paper:
    return Paper(paper_id(title), title, abstract, sources=("a.txt:1",))


def store(library: Library, papers: Sequence[Paper], gone: Sequence[str] = (), **detail: object) -> int:
    """What `build` does, with the fake embedder and small chunks."""
    texts: dict[bytes, str] = {}

    def keyed(text: str) -> bytes:
        texts[key(text)] = text
        return key(text)

    def entry(one: Paper) -> Entry:
        chunks = chunk(one, lambda text: len(text.split()), 40)
        return Entry(
            one,
            tuple((c, keyed(passage(one, c.start, c.end))) for c in chunks),
            tuple(Embedded(s, e, keyed(readable(one.abstract[s:e]))) for s, e in sentences(one.abstract)),
        )

    entries = [entry(one) for one in papers]
    missing = sorted(write.missing(library.database, texts))
    write.store_vectors(library.database, missing, np.array([embed(texts[k]) for k in missing]))
    return write.replace(library.database, entries, gone, "store", detail)


def state(library: Library) -> object:
    """All that can be read, but the vectors: they are kept as they are made."""
    queries = ("works", "tried", "mamba", "stim")
    return (
        library.generation,
        library.fingerprint,
        list(library),
        [library.counts()[kind] for kind in ("papers", "chunks", "sentences")],
        library.journal(),
        [library.words.lexical(word, 99) for word in queries],
    )


MAMBA = paper("Mamba: Linear-Time Sequence Modeling", "We propose selective state spaces. Mamba is fast.")
STIM = paper("Stim: a fast stabilizer circuit simulator", "It simulates. Quantization helped. It is 60x faster.")


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = Library.create(tmp_path, FAKE, DIMENSIONS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, papers: tuple[Paper, ...]) -> Iterator[Library]:
    """The shipped papers in small chunks, some 1,500 of them: more than one batch of anything."""
    made = Library.create(tmp_path_factory.mktemp("shipped"), FAKE, DIMENSIONS)
    store(made, papers)
    yield made
    made.close()


# --- opening ------------------------------------------------------------------------------------


def test_a_new_library_is_empty_and_opens_again(tmp_path: Path) -> None:
    with contextlib.closing(Library.create(tmp_path, FAKE, DIMENSIONS)) as made:
        assert (len(made), made.generation, made.embedder, made.meta("collection")) == (0, 0, FAKE, "")
        assert made.meta("dimensions") == "8"
    with contextlib.closing(Library.open(str(tmp_path))) as opened:
        assert (list(opened), opened.journal(), opened.words.lexical("word", 5)) == ([], [], [])


def test_creating_where_a_library_is_opens_it(library: Library) -> None:
    store(library, [MAMBA])
    with contextlib.closing(Library.create(library.path, "another", 3)) as again:
        assert list(again) == [MAMBA]
        assert again.embedder == FAKE


@pytest.mark.parametrize("name", ["nowhere", "x" * 300, "nul\0", "file/below"])
def test_no_library_there_says_so_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryMissing, match="no library at") as caught:
        Library.open(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_instead_of_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(LibraryMissing, match="is a file; a library is a folder"):
        Library.open(tmp_path / "a.txt")


def test_what_a_killed_creation_left_is_swept_away(tmp_path: Path) -> None:
    for name in (f"{FILE}.new", f"{FILE}.new-wal", f"{FILE}.new-journal"):
        (tmp_path / name).write_bytes(b"half")
    with contextlib.closing(Library.create(tmp_path, FAKE, DIMENSIONS)) as made:
        store(made, [MAMBA])
    assert not list(tmp_path.glob("*.new*"))


def test_who_opens_a_library_while_it_is_made_sees_all_or_nothing(tmp_path: Path) -> None:
    def open_until_there(folder: Path) -> int:
        while True:
            try:
                with contextlib.closing(Library.open(folder)) as opened:
                    return opened.generation
            except LibraryMissing:
                continue

    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            folder = tmp_path / str(number)
            folder.mkdir()
            seen = [pool.submit(open_until_there, folder) for _ in range(2)]
            Library.create(folder, FAKE, DIMENSIONS).close()
            assert [future.result(20) for future in seen] == [0, 0]


# --- damage -------------------------------------------------------------------------------------


def edit(file: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "garbage": lambda file: file.write_bytes(random.Random(1).randbytes(50_000)),
    "garbage behind a good header": lambda file: file.write_bytes(file.read_bytes()[:100] + b"\xff" * 50_000),
    "cut in half": lambda file: os.truncate(file, file.stat().st_size // 2),
    "empty": lambda file: os.truncate(file, 0),
    "another database": lambda file: (file.unlink(), edit(file, "CREATE TABLE x (y)")),
    "no meta table": lambda file: edit(file, "DROP TABLE meta"),
    "no schema": lambda file: edit(file, "DELETE FROM meta WHERE key = 'schema'"),
    "schema is no number": lambda file: edit(file, "UPDATE meta SET value = 'x' WHERE key = 'schema'"),
    "no generation": lambda file: edit(file, "DELETE FROM meta WHERE key = 'generation'"),
    "a record is no JSON": lambda file: edit(file, "UPDATE papers SET record = 'x' WHERE number = 7"),
    "no papers": lambda file: edit(file, "DROP TABLE papers"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_recognised_and_the_message_says_what_to_do(how: str, tmp_path: Path) -> None:
    with contextlib.closing(Library.create(tmp_path, FAKE, DIMENSIONS)) as made:
        store(made, [paper(f"Title {n}", "Some words here. " * 40) for n in range(50)])
    DAMAGE[how](tmp_path / FILE)

    def use() -> None:
        with contextlib.closing(Library.open(tmp_path)) as opened:
            state(opened)

    with pytest.raises(LibraryDamaged, match="type: rag doctor --library ") as caught:
        use()
    assert str(tmp_path / FILE) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_library_of_an_earlier_version_says_what_to_do(library: Library) -> None:
    edit(library.path / FILE, "UPDATE meta SET value = '1' WHERE key = 'schema'")
    with pytest.raises(LibraryError, match=r"schema 1, this reads \d+.*add its files again"):
        Library.open(library.path)


def test_a_library_of_a_later_version_is_left_alone(library: Library) -> None:
    library.close()
    edit(library.path / FILE, "UPDATE meta SET value = '99' WHERE key = 'schema'")
    before = (library.path / FILE).read_bytes()
    with pytest.raises(LibraryNewer, match=r"schema 99, this reads \d+.*pip install --upgrade"):
        Library.open(library.path)
    assert (library.path / FILE).read_bytes() == before


# --- changes ------------------------------------------------------------------------------------


def test_papers_come_back_as_they_were_in_the_order_added(library: Library, papers: tuple[Paper, ...]) -> None:
    rich = replace(STIM, authors=("A", "B"), year=2021, doi="10.1/x", extra=type(STIM.extra)({"k": "ü"}))
    wanted = [rich, *papers[:20], MAMBA]
    store(library, wanted)
    assert list(library) == wanted
    assert len(library) == 22
    assert list(library.papers([MAMBA.id, "unknown", rich.id, MAMBA.id]).items()) == [(MAMBA.id, MAMBA), (rich.id, rich)]  # fmt: skip


def test_chunks_sentences_and_vectors_come_back_with_their_spans(shipped: Library, papers: tuple[Paper, ...]) -> None:
    ids = [one.id for one in papers]
    chunks, spans = shipped.chunks(ids), shipped.sentences(ids)
    for one in papers:
        assert chunks[one.id] == chunk(one, lambda text: len(text.split()), 40)
        assert tuple(sentence.span for sentence in spans[one.id]) == sentences(one.abstract)
        for (start, end), vector, held in spans[one.id]:
            assert np.array_equal(vector, embed(readable(one.abstract[start:end])))
            assert held == set(terms(readable(one.abstract[start:end])))


def test_all_vectors_come_in_batches_each_with_its_chunk_and_paper(shipped: Library) -> None:
    batches = list(shipped.vectors.batches())
    assert len(batches) > 1
    by_id = {c.id: c for chunks in shipped.chunks([one.id for one in shipped]).values() for c in chunks}
    seen = [(id, one, vector) for ids, matrix, of in batches for id, vector, one in zip(ids, matrix, of, strict=True)]
    assert sorted(id for id, _, _ in seen) == sorted(by_id)
    for id, of, vector in seen:
        assert of == by_id[id].paper.id
        assert np.array_equal(vector, embed(passage(by_id[id].paper, by_id[id].start, by_id[id].end)))


def test_every_change_moves_the_generation_and_is_in_the_journal(library: Library) -> None:
    assert store(library, [MAMBA], records=1) == 1
    assert store(library, [STIM], gone=[MAMBA.id], why="so") == 2
    first, second = library.journal()
    assert (first["generation"], first["action"], first["records"]) == (1, "store", 1)
    assert (second["generation"], second["why"]) == (2, "so")
    assert second["at"].endswith("Z")
    assert list(library) == [STIM]


def test_what_is_said_of_a_paper_changes_without_its_text(library: Library) -> None:
    store(library, [MAMBA, STIM])
    before = library.counts(), library.chunks([MAMBA.id]), library.fingerprint
    later = replace(MAMBA, year=2023, sources=("a.bib:7",))
    write.replace(library.database, [], [], "add", {}, [later])
    assert library.paper(MAMBA.id) == later
    assert [paper.id for paper in library] == [MAMBA.id, STIM.id]
    assert dict(library.sources())[MAMBA.id] == ("a.bib:7",)
    assert (library.counts(), library.generation) == (before[0], 2)
    assert library.chunks([MAMBA.id])[MAMBA.id][0].start == before[1][MAMBA.id][0].start
    assert int(library.meta("content")) == write.content(library.database)
    write.replace(library.database, [], [], "undo", {}, [MAMBA])
    assert library.fingerprint == before[2]


def test_the_same_note_again_only_moves_its_time(library: Library) -> None:
    store(library, [MAMBA])
    for detail in ({"read": 1}, {"read": 1}, {"read": 2}, {"read": 1}, {"read": 1}):
        write.note(library.database, "sync", detail)
    assert [entry["read"] for entry in library.journal()[1:]] == [1, 2, 1]
    assert library.generation == 1


def test_a_paper_stored_again_takes_the_place_of_the_old_one(library: Library) -> None:
    store(library, [MAMBA, STIM])
    newer = replace(MAMBA, abstract="Entirely different sentences about zebras.")
    store(library, [newer])
    assert library.papers([MAMBA.id]) == {MAMBA.id: newer}
    assert library.words.lexical("selective", 9) == []
    assert [id for id, _ in library.words.lexical("zebra", 9)] == [MAMBA.id]
    assert library.counts() == {"papers": 2, "chunks": 2, "sentences": 4, "vectors": 9}


def test_a_removed_paper_leaves_nothing_but_its_vectors(library: Library) -> None:
    store(library, [MAMBA])
    store(library, [], gone=[MAMBA.id, "unknown"])
    assert library.counts() == {"papers": 0, "chunks": 0, "sentences": 0, "vectors": 3}
    assert library.words.lexical("mamba", 9) == []
    assert library.chunks([MAMBA.id]) == library.sentences([MAMBA.id]) == {}


def test_another_opener_sees_a_change_at_once(library: Library) -> None:
    with contextlib.closing(Library.open(library.path)) as other:
        store(library, [MAMBA])
        assert other.papers([MAMBA.id]) == {MAMBA.id: MAMBA}
        newer = replace(MAMBA, abstract="New.")
        store(library, [newer])
        assert (other.generation, other.papers([MAMBA.id])) == (2, {MAMBA.id: newer})


def test_a_change_that_fails_in_the_middle_changes_nothing(library: Library) -> None:
    store(library, [MAMBA])
    before = state(library)
    with pytest.raises(TypeError):
        store(library, [replace(MAMBA, abstract="New."), STIM], detail=object())  # not JSON: fails at the very end
    assert state(library) == before
    store(library, [STIM])
    assert list(library) == [MAMBA, STIM]


def test_a_process_killed_in_the_middle_of_a_change_changes_nothing(
    library: Library, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    store(library, [MAMBA])
    before = state(library)
    killed = python(
        "import os, sys\n"
        "from collections.abc import Mapping\n"
        "from rag.library import write\n"
        "from rag.library.store import Library\n"
        "from rag.records import Paper\n"
        "class Killer(Mapping):\n"
        "    __getitem__ = __len__ = None\n"
        "    def __iter__(self): os._exit(9)\n"  # asked for when all else is written
        "library = Library.open(sys.argv[1])\n"
        "write.replace(library.database, [write.Entry(Paper('1', 'Stim', 'works'), (), ())], [next(iter(library)).id], 'x', Killer())\n",
        library.path,
    )
    assert killed.returncode == 9, killed.stderr
    assert state(library) == before
    assert store(library, [STIM]) == 2


def test_a_vector_is_stored_once_and_known_by_embedder_and_text(library: Library) -> None:
    store(library, [MAMBA])
    count = library.counts()["vectors"]
    store(library, [MAMBA, replace(MAMBA, year=2023)][1:])
    assert library.counts()["vectors"] == count
    assert write.missing(library.database, [key("Mamba is fast."), key("new"), key("new")]) == {key("new")}
    assert vector_key("a", "text") != vector_key("b", "text")
    write.store_vectors(library.database, [key("new")], np.array([embed("new")]))
    write.store_vectors(library.database, [key("new")], np.array([embed("new")]))
    assert library.counts()["vectors"] == count + 1


def test_more_keys_than_sqlite_takes_at_once_are_no_trouble(library: Library) -> None:
    library.database._connection.setlimit(
        sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999
    )  # as in builds of SQLite before 2020
    keys = [key(str(number)) for number in range(2000)]
    write.store_vectors(library.database, keys[:1500], np.array([embed("any")] * 1500))
    assert write.missing(library.database, keys) == set(keys[1500:])


# --- the fingerprint ----------------------------------------------------------------------------


def test_the_fingerprint_depends_on_the_papers_alone(tmp_path: Path, papers: tuple[Paper, ...]) -> None:
    def fingerprint(name: str, steps: Sequence[tuple[Sequence[Paper], Sequence[str]]], embedder: str = FAKE) -> str:
        (tmp_path / name).mkdir()
        with contextlib.closing(Library.create(tmp_path / name, embedder, DIMENSIONS)) as made:
            for add, gone in steps:
                store(made, add, gone)
            return made.fingerprint

    some = list(papers[:12])
    changed = replace(some[3], abstract="Changed.")
    once = fingerprint("once", [(some, ())])
    assert once == fingerprint("reversed", [(some[::-1], ())])
    assert once == fingerprint("in two steps", [(some[:5], ()), (some[5:], ())])
    assert once == fingerprint("stored twice", [(some, ()), (some[2:4], ())])
    assert once == fingerprint("removed and added", [(some, ()), ((), [some[0].id, some[7].id]), ([some[7], some[0]], ())])  # fmt: skip
    assert once == fingerprint("changed and back", [(some, ()), ([changed], ()), ([some[3]], ())])
    assert once != fingerprint("one less", [(some[1:], ())])
    assert once != fingerprint("one changed", [(some, ()), ([changed], ())])
    assert once != fingerprint("another embedder", [(some, ())], "another")


# --- finding one paper --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [MAMBA.id, f" {MAMBA.id.upper()}\n", MAMBA.id[:4], MAMBA.id[:9], MAMBA.title, "MAMBA -- linear time sequence  modeling!"],
)  # fmt: skip
def test_a_paper_is_found_by_id_beginning_of_id_or_title(name: str, library: Library) -> None:
    store(library, [STIM, MAMBA])
    assert library.paper(name) == MAMBA


def test_a_beginning_that_fits_several_ids_names_them(library: Library) -> None:
    twins = [replace(MAMBA, id="abcd11111111", title="A"), replace(STIM, id="abcd22222222", title="B")]
    store(library, twins)
    with pytest.raises(PaperNotFound, match="abcd11111111, abcd22222222; give more of the id"):
        library.paper("abcd")
    assert library.paper("abcd1") == twins[0]


def test_an_unknown_paper_is_refused_with_the_nearest_title(library: Library) -> None:
    store(library, [STIM, MAMBA])
    with pytest.raises(PaperNotFound, match=f"nearest title is 'Mamba: .*'; its id is '{MAMBA.id}'"):
        library.paper("mamba 2")


@pytest.mark.parametrize(
    "name", ["", "!", "*", "'; DROP TABLE papers --", "abc", "[a-z]*", "🙂", "\udcff", "xyz" * 500]
)
def test_a_name_that_is_none_is_refused_in_one_line(name: str, library: Library) -> None:
    store(library, [MAMBA])
    with pytest.raises(PaperNotFound, match="no paper") as caught:
        library.paper(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


# --- lexical search -----------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["quantized", "Quantization", "quantize", "QUANTIZING!", "is it quantization-aware?"])
def test_a_word_is_found_whatever_its_ending(query: str, library: Library) -> None:
    store(library, [MAMBA, STIM])
    assert [id for id, _ in library.words.lexical(query, 9)] == [STIM.id]


def test_titles_are_searched_and_the_best_comes_first(shipped: Library) -> None:
    found = shipped.words.lexical("stabilizer circuit simulator", 5)
    assert shipped.papers([found[0][0]])[found[0][0]].title == STIM.title
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert len(shipped.words.lexical("benchmark", 7)) == 7


@pytest.mark.parametrize(
    "query",
    ["", " ", "?!", "the of and", "🙂 🙃", '"', '"unclosed', "mamba AND", "NOT mamba", "NEAR(mamba, 5)", "mamba*", "^mamba", "(mamba",
     "title: mamba", "mamba -fast", "{title} : x", "a OR OR b", "'; DROP TABLE passages --", "\0", "\ud800", "x" * 5000,
     " ".join(f"word{n}" for n in range(2000)), "½ ² ٣ ߀", "C++ GPT-4's 3.5"],
)  # fmt: skip
def test_odd_queries_are_words_and_nothing_else(query: str, library: Library) -> None:
    store(library, [MAMBA, STIM])
    found = [id for id, _ in library.words.lexical(query, 9)]
    assert (MAMBA.id in found) == ("mamba" in query)
    assert len(library) == 2


@given(query=st.text(max_size=30))
def test_no_query_raises(query: str, shipped: Library) -> None:
    assert len(shipped.words.lexical(query, 3)) <= 3
    assert all(shipped.words.document_frequency(word) >= 0 for word in words(query))


def test_document_frequency_counts_papers_by_word_whatever_its_ending(library: Library) -> None:
    store(library, [MAMBA, STIM, paper("Third", "Fast things.")])
    counts = [library.words.document_frequency(word) for word in ("fast", "quantized", "zebra", "", '"')]
    assert counts == [3, 1, 0, 0, 0]


def test_in_a_big_library_common_words_are_left_out_unless_there_is_no_other(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMON_FROM", 20)
    store(library, [paper(f"Model {n}", "Rare zebra." if n == 7 else "A word.") for n in range(20)])
    assert len(library.words.lexical("zebra models", 99)) == 1
    assert len(library.words.lexical("model", 99)) == 20


# --- several at once ----------------------------------------------------------------------------


def test_two_threads_read_what_one_reads(shipped: Library) -> None:
    ids = [one.id for one in shipped]

    def read(seed: int) -> list[object]:
        order = random.Random(seed).sample(ids, 40)
        return [(shipped.papers([id]), len(shipped.sentences([id])[id]), shipped.words.lexical(id, 3)) for id in order]

    expected = [read(0), read(1)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(read, [0, 1] * 3)) == expected * 3


def test_a_thread_reads_whole_states_while_another_writes(library: Library) -> None:
    done = threading.Event()
    seen: set[tuple[str, ...]] = set()

    def read() -> None:
        with contextlib.closing(Library.open(library.path)) as other:
            while not done.is_set():
                seen.add(tuple(sorted(one.title for one in other)))

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for _ in range(10):
            store(library, [MAMBA, STIM])
            store(library, [], gone=[MAMBA.id, STIM.id])
        done.set()
        reading.result(20)
    assert seen <= {(), (MAMBA.title, STIM.title)}


HOLDER = """
import sys
from pathlib import Path
from rag.library.store import writer
with writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `tmp_path / "lib"` until its input is closed."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lib")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_at_once(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(LibraryBusy, match="another process is writing"), writer(tmp_path / "lib"):
        pytest.fail("two writers at once")


def test_a_writer_that_waits_goes_on_when_the_first_is_done(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    waited = []

    def waiting() -> None:
        waited.append(holder.poll())
        assert holder.stdin is not None
        holder.stdin.close()

    with writer(tmp_path / "lib", wait=True, waiting=waiting):
        holder.wait(60)
    assert waited == [None]


def test_the_lock_of_a_killed_process_is_free(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.kill()
    holder.wait(60)
    with writer(tmp_path / "lib"):
        pass


def test_the_lock_is_given_back_after_an_error_and_makes_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writer(tmp_path / "a" / "b"):
        _ = 1 / 0
    with writer(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_made_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="cannot be written"), writer(tmp_path / "file" / "lib"):
        pass


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("atention", "attention"),  # a letter missing
        ("langauge", "language"),  # two swapped
        ("benchmrk", "benchmark"),
        ("attention", None),  # the library has it
        ("ibuprofen", None),  # nothing is near
        ("prejudice", None),
        ("xttention", None),  # the first letter is rarely wrong
        ("modl", None),  # too short to tell
        ("", None), ("12345", None), ("路径注意力", None), ('atten"tion', None),
    ],
)  # fmt: skip
def test_a_slip_of_typing_is_known_by_the_word_that_was_meant(shipped: Library, typed: str, meant: str | None) -> None:
    assert shipped.words.spelled(typed) == meant


def test_an_empty_library_knows_no_word(library: Library) -> None:
    assert library.words.spelled("atention") is None


# --- filters ------------------------------------------------------------------------------------


def dated(number: int, **known: object) -> Paper:
    made = paper(f"Paper number {number}", f"It works on task {number}. We tried a stim of number {number}.")
    return replace(made, year=1990 + number, authors=(f"Doe {'Ann' if number % 2 else 'Bob'}",), **known)


@pytest.fixture
def thirty(tmp_path: Path) -> Iterator[Library]:
    with writer(tmp_path / "thirty"), contextlib.closing(Library.create(tmp_path / "thirty", FAKE, DIMENSIONS)) as made:
        store(made, [*(dated(n) for n in range(30)), paper("No date")])
        yield made


def test_a_filter_selects_papers_and_counts_those_that_do_not_say(thirty: Library) -> None:
    found = thirty.subsets.selected(parse("year>=2010 author:Ann"))
    assert found.ids == {dated(n).id for n in range(21, 30, 2)}
    assert found.where == Where("year>=2010 author:Ann", 5, 31, 1)
    assert thirty.subsets.selected(parse("year>=2010 author:Ann")) is found


def test_what_a_filter_selects_follows_a_change(thirty: Library) -> None:
    before = thirty.subsets.selected(parse("year>=2019"))
    store(thirty, [dated(40)], gone=[dated(29).id])
    after = thirty.subsets.selected(parse("year>=2019"))
    assert (before.ids, after.ids) == ({dated(29).id}, {dated(40).id})
    assert after.where.of == 31


def test_many_filters_are_not_all_remembered(thirty: Library) -> None:
    for year in range(1990, 2020):
        assert len(thirty.subsets.selected(parse(f"year:{year}")).ids) == 1
    assert len(thirty.database.memory().selected) <= subsets.FILTERS


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("year>=2030", "no paper of this library has year>=2030; its papers are of 1990 to 2019"),
        ("author:Anne", 'no paper of this library has author:Anne; the nearest is author:"Doe Ann"'),
        ("author:Zimmer", "no paper of this library has author:Zimmer; it has 2 authors, none like it"),
        ('author:"Anna Doe"', 'the nearest is author:"Doe Ann"'),
        ("venue:Nature", "none of its 31 papers has a venue"),
        ("year:1990 author:Ann", "year:1990 (1 alone) and author:Ann (15 alone) together"),
    ],
)
def test_a_filter_that_selects_nothing_is_told(thirty: Library, where: str, says: str) -> None:
    assert not thirty.subsets.selected(parse(where)).ids
    assert says in thirty.subsets.nothing(parse(where))


@pytest.mark.parametrize("piece", [3, 500])
def test_the_nearest_of_some_papers_are_those_of_a_full_comparison(
    thirty: Library, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(database, "PIECE", piece)
    monkeypatch.setattr(stored, "PIECE", piece)
    wanted, vector = {dated(n).id for n in range(0, 30, 3)}, embed("a question")
    every = [
        (id, float(v @ vector), p)
        for ids, vectors, ps in thirty.vectors.batches()
        for id, v, p in zip(ids, vectors, ps, strict=True)
    ]
    best = sorted((-cosine, id) for id, cosine, one in every if one in wanted)
    found = exact(thirty, vector, wanted, 7)
    assert [id for id, _ in found] == [id for _, id in best[:7]]
    assert [cosine for _, cosine in found] == pytest.approx([-cosine for cosine, _ in best[:7]], abs=1e-6)
    assert exact(thirty, vector, (), 7) == []


def test_words_are_searched_within_some_papers_with_the_scores_of_the_whole_library(thirty: Library) -> None:
    every = thirty.words.lexical("works on task number 7", 99)
    wanted = {dated(n).id for n in range(5, 10)}
    assert thirty.words.lexical("works on task number 7", 99, wanted) == [one for one in every if one[0] in wanted]
    assert thirty.words.lexical("works on task number 7", 2, wanted) == [one for one in every if one[0] in wanted][:2]
    assert thirty.words.lexical("works", 99, ()) == []
