"""A library embedded with a model behind a server: made so, asked so, moved there and back, whole or not at all.

The server embeds with the shipped model, tilted: all its vectors share a direction, as those of many models do.
"""

from __future__ import annotations

import json
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from running import called, finish, start
from werkzeug import Response

import rag
from rag.answering.opening import open_assistant
from rag.errors import LibraryError, TextLeaves
from rag.library import changes
from rag.library.build import named_folder
from rag.library.embed import MiniLM
from rag.library.served import BACKGROUND, REFERENCE, aligned, chosen
from rag.library.store import Library
from rag.settings import load

PAPERS = {
    "Widgets that fold": "Folding widgets save space. A widget folds 12 times faster with a brass hinge.",
    "Lanterns under the sea": "Deep sea lanterns attract squid. Our lantern runs for 40 days on one battery.",
    "Moss on roofs": "Moss on roofs holds water. We measure 61 roofs in one town, and slate holds least.",
}
HERE, ELSEWHERE = "How long does the lantern run?", "Who won the football world cup in 2014?"
SHIPPED = MiniLM()


def tilted(texts):
    vectors = SHIPPED.encode(texts)
    vectors = vectors + 2 * np.eye(1, vectors.shape[1], dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Embeddings:
    """A server with OpenAI's /embeddings; `fails` may answer a request by its number instead."""

    def __init__(self, server) -> None:
        self.url = server.url_for("/v1")
        self.texts: list[str] = []
        self.keys: set[str] = set()
        self.requests = 0
        self.numbers = 384
        self.fails = lambda number: None
        server.expect_request("/v1/embeddings", method="POST").respond_with_handler(self._handle)

    def _handle(self, request):
        self.requests += 1
        if failed := self.fails(self.requests):
            return failed
        body = json.loads(request.get_data())
        self.keys.add(request.headers["Authorization"])
        self.texts += body["input"]
        data = [
            {"object": "embedding", "index": n, "embedding": row[: self.numbers].tolist()}
            for n, row in enumerate(tilted(body["input"]))
        ]
        return Response(
            json.dumps({"object": "list", "model": body["model"], "data": data}), content_type="application/json"
        )


@pytest.fixture
def served(httpserver, tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAG_API_KEY", "sesame")
    monkeypatch.setenv("OPENAI_API_KEY", "for OpenAI alone")
    return Embeddings(httpserver)


@pytest.fixture
def file(tmp_path) -> str:
    return written(tmp_path / "papers.jsonl", PAPERS)


def written(path: Path, papers) -> str:
    path.write_text("".join(json.dumps({"title": t, "abstract": a}) + "\n" for t, a in papers.items()), "utf-8")
    return str(path)


def state(name="mine"):
    with closing(Library.open(named_folder(name))) as library:
        return library.embedder, [paper.id for paper in library], library.counts()["vectors"]


# --- its scale ----------------------------------------------------------------------------------


def test_what_all_texts_share_is_taken_away_and_what_is_left_is_as_the_shipped_model_has_it():
    texts = [*PAPERS, *PAPERS.values(), HERE, ELSEWHERE]
    plain, there = SHIPPED.encode(texts), tilted(texts)
    found = aligned(there, tilted(REFERENCE).mean(axis=0))
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    cosines = [(rows @ rows.T)[np.triu_indices(len(texts), 1)] for rows in (plain, there, found)]
    assert cosines[1].min() > 0.7, "all are near each other there"
    assert np.abs(cosines[2] - cosines[0]).max() < 0.2
    assert np.corrcoef(cosines[0], cosines[2])[0, 1] > 0.95


def test_the_background_is_the_shipped_models():
    vectors = SHIPPED.encode(REFERENCE)
    cosines = (vectors @ vectors.T)[np.triu_indices(len(REFERENCE), 1)]
    assert abs(cosines.mean() - BACKGROUND) < 0.01


def test_a_text_that_is_the_mean_has_a_vector_all_the_same():
    found = aligned(np.ones((1, 3), np.float32), np.ones(3, np.float32))
    assert np.allclose(found, [[0, 0, 0, 1]])


# --- made, asked, changed -----------------------------------------------------------------------


def test_a_library_keeps_its_embedder_and_every_command_finds_it(served, file, tmp_path):
    code, _, err = called("add", file, "--library", "mine", "--embedder", "tilted", "--embed-url", served.url)
    assert (code, err) == (0, "")
    assert state()[0] == "tilted"
    assert served.keys == {"Bearer sesame"}
    before = served.requests
    code, out, _ = called("ask", "--library", "mine", HERE)
    assert (code, "40 days" in out) == (0, True)
    assert served.requests > before
    assert called("ask", "--library", "mine", ELSEWHERE)[0] == 3, "though all is near all there"
    assert rag.answer(HERE, library="mine").status == "answered"
    more = dict(PAPERS) | {"Kites in the rain": "Kites fly badly in the rain. We dry 5 kites with 3 towels."}
    written(Path(file), more)
    asked = len(served.texts)
    assert "1 added" in called("sync", "--library", "mine")[1]
    assert served.texts[asked:]
    assert all("ites" in text for text in served.texts[asked:]), "only what is new is embedded"
    assert called("remove", "--library", "mine", "Moss on roofs")[0] == 0
    assert called("undo", "--library", "mine")[0] == 0
    assert called("doctor", "--library", "mine")[0] == 0
    assert len(state()[1]) == 4
    assert "embedder     tilted" in called("status", "--library", "mine")[1]


def test_python_names_one_too(served, file):
    rag.add(file, library="mine", embedder="tilted", embed_url=served.url)
    assert state()[0] == "tilted"
    with pytest.raises(rag.UsageError, match="mine was embedded with 'tilted'; at a terminal, rag library embed moves"):
        rag.add(file, library="mine", embedder="another")


def test_a_damaged_file_is_mended_with_its_own_embedder(served, file):
    called("add", file, "--library", "mine", "--embedder", "tilted", "--embed-url", served.url)
    with closing(Library.open(named_folder("mine"))) as library, library.database.transaction() as db:
        db.execute("UPDATE papers SET title = 'x' WHERE title = 'Moss on roofs'")
    assert called("doctor", "--library", "mine", "--repair")[0] == 0
    assert (state()[0], len(state()[1])) == ("tilted", 3)
    assert called("ask", "--library", "mine", HERE)[0] == 0


# --- moved --------------------------------------------------------------------------------------


def test_a_library_moves_there_and_back(served, file):
    called("add", file, "--library", "mine")
    first = state()
    code, out, err = called("library", "embed", "mine", "--embedder", "tilted", "--embed-url", served.url)
    assert (code, err) == (0, "")
    assert out == "mine is embedded with tilted now, was with all-MiniLM-L6-v2-int8; 9 texts embedded\n"
    assert state() == ("tilted", *first[1:])
    assert called("ask", "--library", "mine", HERE)[0] == 0
    assert called("doctor", "--library", "mine")[0] == 0
    assert called("library", "embed", "mine", "--embedder", "shipped")[0] == 0
    assert state() == first
    served.fails = lambda number: Response("", 500)
    assert called("ask", "--library", "mine", HERE)[0] == 0, "nobody is asked any more"
    assert called("undo", "--library", "mine")[0] == 0
    assert state()[1] == []


def test_a_move_that_is_killed_leaves_the_library_as_it_was_and_goes_on(served, tmp_path):
    papers = {f"Paper number {n}": f"Paper {n} is about {n} things. It has {n} roofs." for n in range(20)}
    called("add", written(tmp_path / "many.jsonl", papers), "--library", "mine")
    first, reached, release = state(), threading.Event(), threading.Event()

    def hang(number):
        if number >= 3:  # the reference texts, the first 16 papers; then the rest
            reached.set()
            release.wait(60)
            return Response("", 500)
        return None

    served.fails = hang
    process = start("library", "embed", "mine", "--embedder", "tilted", "--embed-url", served.url)
    assert reached.wait(100)
    process.kill()
    finish(process)
    release.set()
    assert state()[:2] == first[:2]
    assert called("ask", "--library", "mine", "How many roofs has paper 7?")[0] == 0
    assert called("doctor", "--library", "mine")[0] == 0
    served.fails, served.texts = lambda number: None, []
    assert called("library", "embed", "mine", "--embedder", "tilted", "--embed-url", served.url)[0] == 0
    assert state() == ("tilted", *first[1:])
    assert len(served.texts) < len(REFERENCE) + 40, "what had its vector is not embedded again"
    assert called("doctor", "--library", "mine")[0] == 0


def test_whoever_has_it_open_is_told_to_start_again(served, file):
    called("add", file, "--library", "mine")
    with closing(open_assistant(load(library="mine", model="extractive"))) as assistant:
        assert assistant.answer(HERE).status == "answered"
        changes.embed("mine", chosen("tilted", served.url))
        with pytest.raises(LibraryError, match="was embedded anew with 'tilted'; start again"):
            assistant.answer(HERE)


# --- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (
            ("--embedder", "another"),
            2,
            "mine was embedded with 'all-MiniLM-L6-v2-int8'; to move it to another type: rag library embed",
        ),
        (("--embed-url", "URL"), 2, "mine was embedded with"),
    ],
)
def test_an_embedder_that_a_library_does_not_have(served, file, argv, code, said):
    called("add", file, "--library", "mine")
    ran = called("add", file, "--library", "mine", *(served.url if one == "URL" else one for one in argv))
    assert (ran[0], ran[2].count("\n")) == (code, 1)
    assert said in ran[2]


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("--embed-url", "URL"), 2, "which embedding model? Name one that this server offers"),
        (
            ("--embedder", "all-MiniLM-L6-v2-int8", "--embed-url", "URL"),
            2,
            "is the shipped embedder, which needs no server",
        ),
        (("--embedder", "m", "--embed-url", "nonsense"), 2, "base URL 'nonsense' is none"),
        (("--embedder", "m", "--embed-url", "http://127.0.0.1:9/v1"), 1, "http://127.0.0.1:9/v1 cannot be reached"),
    ],
)
def test_a_new_library_with_what_is_no_embedder(served, file, argv, code, said):
    ran = called("add", file, "--library", "mine", *(served.url if one == "URL" else one for one in argv))
    assert (ran[0], ran[2].count("\n")) == (code, 1)
    assert said in ran[2]
    assert not (named_folder("mine") / "library.sqlite").exists()


def test_a_server_that_fails_or_serves_another_model(served, file):
    called("add", file, "--library", "mine")
    first = state()
    served.fails = lambda number: Response("", 404)
    err = called("library", "embed", "mine", "--embedder", "tilted", "--embed-url", served.url)[2]
    assert "has no embedding model 'tilted' (HTTP 404)" in err
    assert state() == first
    served.fails = lambda number: None
    assert called("library", "embed", "mine", "--embedder", "tilted", "--embed-url", served.url)[0] == 0
    served.numbers = 200
    code, _, err = called("ask", "--library", "mine", HERE)
    assert (code, err.count("\n")) == (1, 1)
    assert "answers with vectors of 200 numbers as 'tilted', which gave 384 before" in err
    assert called("library", "embed", "none", "--embedder", "shipped")[0] == 1


@pytest.fixture
def elsewhere(monkeypatch):
    """Every server is elsewhere; what is said once a process was not said yet."""
    from rag.cli import common
    from rag.library import served

    for place in ("rag.models.servers.is_remote", "rag.library.served.is_remote"):
        monkeypatch.setattr(place, lambda url: True)
    common._say_where_texts_go.cache_clear()
    served._warn.cache_clear()
    return common._say_where_texts_go.cache_clear


def test_what_leaves_the_machine_is_said(served, file, elsewhere):
    _, _, err = called("add", file, "--library", "mine", "--embedder", "tilted", "--embed-url", served.url)
    assert err == f"rag: texts to embed (of papers added, and your questions) go to {served.url} (tilted)\n"
    elsewhere()
    assert f"go to {served.url} (tilted)" in called("ask", "--library", "mine", HERE)[2]


def test_python_is_warned_once(served, file, elsewhere):
    with pytest.warns(TextLeaves, match=f"go to {served.url} .tilted."):
        rag.add(file, library="mine", embedder="tilted", embed_url=served.url)
    rag.answer(HERE, library="mine")


def test_a_library_of_somebody_else_tells_nobody_what_it_is_asked(served, file, elsewhere, tmp_path, monkeypatch):
    called("add", file, "--library", "mine", "--embedder", "tilted", "--embed-url", served.url)
    theirs, before = str(named_folder("mine")), served.requests
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "another home"))
    for argv in (("ask", HERE), ("add", file), ("sync",)):
        code, _, err = called(*argv, "--library", theirs)
        assert (code, err.count("\n")) == (2, 1)
        assert f"sends what it is asked to {served.url} (tilted), which was not named here before" in err
    assert served.requests == before
    assert called("library", "embed", theirs, "--embedder", "tilted", "--embed-url", served.url)[0] == 0
    assert called("ask", HERE, "--library", theirs)[0] == 0
