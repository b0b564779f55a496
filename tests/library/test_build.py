"""The offline half: embeds a text once, goes on where it was stopped, and mends what is broken."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import made
import pytest
from running import LONGEST_WAIT

import rag
from rag.answering.opening import open_assistant
from rag.errors import EmbedError
from rag.library import write
from rag.library.build import behind, fill, named_folder, open_shipped, store
from rag.library.database import FILE
from rag.library.embed import MiniLM, open_embedder
from rag.library.store import Library, writer
from rag.readers import Reading
from rag.settings import load

ROOT = Path(__file__).parents[2]
QUESTION = "How much faster does FlashAttention train GPT-2?"
ANSWER = f"import json, rag; print(json.dumps(rag.answer({QUESTION!r}).to_dict()))"


class Counting(MiniLM):
    """The shipped embedder; `texts` are those it embedded."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def encode(self, texts, **options):
        self.texts += texts
        return super().encode(texts, **options)


def reading(*papers):
    return Reading(papers, len(papers), ())


@pytest.fixture
def library(tmp_path):
    embedder = open_embedder()
    with writer(tmp_path / "own"):
        yield Library.create(tmp_path / "own", embedder.name, embedder.dimensions)


# --- storing ------------------------------------------------------------------------------------


def test_storing_twice_embeds_nothing_the_second_time(library):
    embedder = Counting()
    first = store(library, reading(made.S4, made.FLASH), embedder)
    counts = library.counts()
    assert first.embedded == len(embedder.texts) == counts["vectors"] > first.papers == 2
    second = store(library, reading(made.S4, made.FLASH), embedder)
    assert (second.embedded, len(embedder.texts)) == (0, first.embedded)
    assert library.counts() == counts
    assert second.generation == first.generation + 1


def test_a_report_counts_what_was_done(library):
    report = store(library, replace(reading(made.S4, made.FLASH), records=5), open_embedder())
    assert (report.records, report.papers, report.chunks, report.generation) == (5, 2, 2, 1)
    assert library.counts()["chunks"] == report.chunks
    assert library.journal()[-1]["papers"] == 2


def test_adding_and_changing_embed_only_what_is_new(library):
    embedder = Counting()
    store(library, reading(made.S4), embedder)
    del embedder.texts[:]
    store(library, reading(made.FLASH), embedder)
    assert all("S4" not in text for text in embedder.texts)
    del embedder.texts[:]
    changed = replace(made.S4, abstract=made.S4.abstract + " It is new.")
    store(library, reading(changed), embedder)
    assert len(embedder.texts) == 2  # the new sentence, and the chunk that it is in
    assert library.paper(made.S4.id) == changed
    assert len(library) == 2


def test_what_fails_while_embedding_stores_no_paper_and_what_was_embedded_is_kept(library):
    class Failing(Counting):
        def encode(self, texts, **options):
            if self.texts:
                raise EmbedError("no more")
            return super().encode(texts, **options)

    papers = [made.paper(f"Paper {n}", " ".join(f"Fact {n} {m}." for m in range(9))) for n in range(30)]
    with pytest.raises(EmbedError):
        store(library, reading(*papers), Failing())
    assert len(library) == 0
    kept = library.counts()["vectors"]
    embedder = Counting()
    report = store(library, reading(*papers), embedder)
    assert kept > 0
    assert report.embedded == len(embedder.texts) == library.counts()["vectors"] - kept


def test_progress_goes_from_nothing_to_all(library):
    told = []
    store(library, reading(made.S4, made.FLASH), open_embedder(), lambda *step: told.append(step))
    fill(library, lambda *step: told.append(step))
    stages = dict.fromkeys(stage for stage, _, _ in told)
    assert list(stages) == ["embedding", "storing", "indexing"]
    assert told[0] == ("embedding", 0, 2)
    assert [next(step for step in reversed(told) if step[0] == stage)[1:] for stage in stages] == [(2, 2)] * 3


def test_the_collection_holds_what_the_library_does(library):
    store(library, reading(made.S4, made.FLASH), open_embedder())
    assert behind(library) == "there is none"
    fill(library)
    assert not behind(library)
    assert len(made.collection(library.path).ids()) == library.counts()["chunks"]


@pytest.mark.parametrize("name", ["./here", "/tmp/somewhere", "a/b", "~/lib"])
def test_what_looks_like_a_path_is_one(name):
    assert named_folder(name) == Path(name).expanduser()


def test_a_name_is_a_folder_among_the_users_own(home):
    assert named_folder("mine").is_relative_to(home)
    assert named_folder("mine").name == "mine"


# --- the shipped library ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    """The folder of the shipped library, built."""
    library = open_shipped(open_embedder())
    library.close()
    return library.path


def begun(shipped, home, missing):
    """A first run in another RAG_HOME that was stopped when `missing` vectors were still to be made; its folder."""
    embedder = open_embedder()
    folder = home / "cache" / shipped.name
    with writer(folder):
        Library.create(folder, embedder.name, embedder.dimensions).close()
    with closing(sqlite3.connect(folder / FILE)) as db:
        db.execute("ATTACH ? AS built", (str(shipped / FILE),))
        total = db.execute("SELECT count(*) FROM built.vectors").fetchone()[0]
        db.execute("INSERT INTO vectors SELECT * FROM built.vectors ORDER BY key LIMIT ?", (total - missing,))
        db.commit()
    return folder


def rows(folder, table="vectors"):
    with closing(sqlite3.connect(folder / FILE, timeout=30)) as db:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def asking(**changes):
    """A process that asks a question in that environment."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | {name: str(value) for name, value in changes.items()}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", ANSWER], env=environment, stdout=pipe, stderr=pipe, text=True)


def whole(folder, shipped):
    """Is it the shipped library, to the last vector?"""
    with closing(Library.open(folder)) as copy, closing(Library.open(shipped)) as original:
        same = copy.counts() == original.counts() and copy.fingerprint == original.fingerprint
        return same and not behind(copy) and made.collection(folder).rows == original.counts()["chunks"]


def test_it_holds_every_shipped_paper(shipped, papers):
    with closing(Library.open(shipped)) as library:
        assert {paper.id for paper in library} == {paper.id for paper in papers}
        assert library.counts()["sentences"] > 5 * len(papers)
        assert not behind(library)


def test_opening_it_again_builds_nothing(shipped):
    embedder = Counting()
    with closing(open_shipped(embedder)) as library:
        assert library.generation == 1
    assert embedder.texts == []


MISSING = 120  # vectors, of nearly as many papers: stored every few papers, so that there is time to kill


@pytest.mark.slow
def test_a_build_that_is_killed_goes_on_where_it_stopped(shipped, tmp_path, monkeypatch):
    folder = begun(shipped, tmp_path, missing=MISSING)
    before = rows(folder)
    process = asking(RAG_HOME=tmp_path)
    try:
        while rows(folder) == before:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    made_before = rows(folder)
    assert before < made_before < before + MISSING
    assert rows(folder, "papers") == 0
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    embedder = Counting()
    open_shipped(embedder).close()
    assert len(embedder.texts) == before + MISSING - made_before
    assert whole(folder, shipped)


@pytest.mark.slow
def test_two_first_runs_at_once_both_answer_and_the_library_is_whole(shipped, tmp_path):
    folder = begun(shipped, tmp_path, missing=40)
    answers = []
    for process in [asking(RAG_HOME=tmp_path), asking(RAG_HOME=tmp_path)]:
        out, err = process.communicate(timeout=LONGEST_WAIT)
        assert process.returncode == 0, err
        answers.append({name: value for name, value in json.loads(out).items() if name != "seconds"})
    assert answers[0] == answers[1]
    assert answers[0]["status"] == "answered"
    assert whole(folder, shipped)
    with closing(Library.open(folder)) as library:
        assert len(library.journal()) == 1


# --- a collection that broke --------------------------------------------------------------------


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return made.library(tmp_path_factory.mktemp("original") / "small", made.S4, made.FLASH, made.POKER)


@pytest.fixture
def small(original, tmp_path, monkeypatch):
    """The folder of a small library, which is the one that is asked."""
    folder = shutil.copytree(original, tmp_path / "small")
    monkeypatch.setenv("RAG_LIBRARY", str(folder))
    return folder


def gone(folder):
    shutil.rmtree(folder)


def without_index(folder):
    for index in folder.iterdir():
        if index.is_dir():
            shutil.rmtree(index)


def garbled_database(folder):
    (folder / "chroma.sqlite3").write_bytes(os.urandom(5000))


def emptied_database(folder):
    (folder / "chroma.sqlite3").write_bytes(b"")


def cut_short(folder):
    database = folder / "chroma.sqlite3"
    database.write_bytes(database.read_bytes()[:9000])


def garbled_everything(folder):
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(os.urandom(200))


HARMS = [gone, without_index, garbled_database, emptied_database, cut_short, garbled_everything]


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "opened afterwards"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_broken_collection_heals_between_two_questions_without_embedding(small, harm, is_open):
    before = open_assistant(load())
    said = before.answer(QUESTION)
    if not is_open:
        before.close()
    (place,) = (small / "chroma").iterdir()
    harm(place)
    after = before if is_open else open_assistant(load())
    embedder = after._search.embedder = Counting()
    again = after.answer(QUESTION)
    assert (again.text, again.citations, again.trace) == (said.text, said.citations, said.trace)
    assert embedder.texts == [QUESTION]
    after.close()
    if not is_open:  # else it is in memory, and goes on
        assert len(made.collection(small).ids()) == rows(small, "chunks")


def test_two_assistants_on_one_folder_heal_together(small):
    said, found = rag.answer(QUESTION, k=4), rag.search("Path-X", k=9)
    gone(small / "chroma")
    assert rag.answer(QUESTION, k=4).trace == said.trace
    assert rag.search("Path-X", k=9) == found
    assert rag.answer(QUESTION, k=4).trace == said.trace


@pytest.mark.slow
def test_processes_that_find_it_broken_at_once_all_answer(small):
    gone(small / "chroma")
    for process in [asking(), asking()]:
        out, err = process.communicate(timeout=LONGEST_WAIT)
        assert process.returncode == 0, err
        assert json.loads(out)["status"] == "answered"
    assert len(made.collection(small).ids()) == rows(small, "chunks")


def test_a_library_stored_but_not_filled_is_filled_by_the_first_question(small):
    gone(small / "chroma")
    with closing(sqlite3.connect(small / FILE)) as db:
        write.set_meta(db, collection="")
        db.commit()
    assert rag.answer(QUESTION).status == "answered"
    assert rag.answer(QUESTION).trace["dense"]
