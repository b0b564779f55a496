"""`rag add zotero:` and `rag sync`, from a database as Zotero lays it out, and from its local address."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from running import called
from sources.zoteros import GROUP, Zotero

from rag.library.build import named_folder
from rag.library.store import Library
from rag.sources import zotero_file, zotero_server

TIDES = {
    "title": "Tides as clocks",
    "abstractNote": "A tide tells 12 hours with 4% error.",
    "date": "2021-03-04 March 4, 2021",
}
MOSS = {"title": "Moss on roofs", "abstractNote": "Moss on roofs holds 9 litres of water."}
KITES = {"title": "Kites in the rain", "abstractNote": "Kites in the rain fly for 3 minutes."}
SNOW = {"title": "Snow and sound", "abstractNote": "Snow dampens 6 decibels of sound."}


@pytest.fixture
def zotero(tmp_path, monkeypatch):
    """A database with four papers in collections and a group, and a fresh home that knows nothing else."""
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAG_ZOTERO", str(tmp_path / "Zotero"))
    made = Zotero(tmp_path / "Zotero")
    made.theory = made.collection("Theory")
    made.water = made.collection("Water", made.theory)
    made.tides = made.item(
        "journalArticle", people=(("author", "Ada", "Reef"), ("editor", "Ed", "Itor"), ("author", "The Tide Group")),
        within=(made.water,), publicationTitle="Journal of Tides", DOI="10.1000/tides", url="https://example.org/t",
        pages="1-9", volume="4", extra="Citation Key: reef2021tides\nPMID: 77", **TIDES,
    )  # fmt: skip
    made.moss = made.item(
        "conferencePaper", within=(made.theory,), proceedingsTitle="Proceedings of Moss", citationKey="mossy", **MOSS
    )
    made.kites = made.item("preprint", archiveID="arXiv:2105.00001", date="2021", **KITES)
    made.item("note", title="A note")
    made.item("attachment", title="Full text")
    made.item("book", title="A book without an abstract")
    made.trash(made.item("journalArticle", title="Thrown away", abstractNote="Nobody wants this."))
    assert made.group("The Lab") == GROUP
    made.item("thesis", GROUP, within=(made.collection("Winter", None, GROUP),), university="Snow College", **SNOW)
    return made


def papers(library="mine"):
    with closing(Library.open(named_folder(library))) as opened:
        return {paper.title: paper for paper in opened}


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_whole_library_with_what_zotero_knows_of_its_items(zotero):
    before = digest(zotero.file)
    code, out, err = called("add", "zotero:", "--library", "mine")
    assert (code, err) == (0, ""), "nobody outside is asked, and nothing is said of it"
    assert "4 read, 3 added" in out
    assert "'A book without an abstract': without an abstract" in out
    found = papers()
    assert set(found) == {TIDES["title"], MOSS["title"], KITES["title"]}
    tides = found[TIDES["title"]]
    assert (tides.abstract, tides.year, tides.venue) == (TIDES["abstractNote"], 2021, "Journal of Tides")
    assert tides.authors == ("Reef, Ada", "The Tide Group")
    assert (tides.doi, tides.url, tides.sources) == ("10.1000/tides", "https://example.org/t", ("zotero::2",))
    kept = {name: tides.extra[name] for name in ("key", "type", "pmid", "bib.pages", "bib.volume", "bib.editor")}
    assert kept == {
        "key": "reef2021tides",
        "type": "article",
        "pmid": "77",
        "bib.pages": "1--9",
        "bib.volume": "4",
        "bib.editor": "Itor, Ed",
    }
    moss = found[MOSS["title"]]
    assert (moss.venue, moss.extra["key"], moss.extra["type"]) == ("Proceedings of Moss", "mossy", "inproceedings")
    assert found[KITES["title"]].extra["arxiv"] == "2105.00001"
    assert digest(zotero.file) == before
    assert [path.name for path in zotero.file.parent.iterdir()] == ["zotero.sqlite"], "nothing is left beside it"


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("Theory", {TIDES["title"], MOSS["title"]}),
        ("theory/water", {TIDES["title"]}),
        ("Water", {TIDES["title"]}),
        ("The Lab", {SNOW["title"]}),
        ("the lab/winter", {SNOW["title"]}),
    ],
)
def test_a_collection_stands_for_those_in_it(zotero, name, titles):
    assert called("add", f"zotero:{name}", "--library", "mine")[0] == 0
    assert set(papers()) == titles


def test_a_thesis_has_its_university(zotero):
    called("add", "zotero:The Lab", "--library", "mine")
    assert papers()[SNOW["title"]].venue == "Snow College"


def test_a_sync_follows_it(zotero):
    called("add", "zotero:", "--library", "mine")
    first = papers()
    assert "all as before, not read again" in called("sync", "--library", "mine")[1]
    zotero.change(zotero.tides, "abstractNote", "A tide tells 13 hours.")
    zotero.trash(zotero.moss)
    zotero.item("journalArticle", **SNOW)
    dry = called("sync", "--library", "mine", "--dry-run")[1]
    out = called("sync", "--library", "mine")[1]
    for said in (dry, out):
        assert "1 added, 1 changed" in said
        assert "no longer in their files, but kept: " in said
    now = papers()
    assert now[TIDES["title"]].abstract == "A tide tells 13 hours."
    assert set(now) == {*first, SNOW["title"]}
    assert "1 removed" in called("sync", "--library", "mine", "--prune", "--yes")[1]
    assert MOSS["title"] not in papers()
    assert called("undo", "--library", "mine")[0] == 0
    assert called("undo", "--library", "mine")[0] == 0
    assert papers() == first


def test_without_zotero_a_sync_says_so_and_takes_nothing(zotero, monkeypatch):
    called("add", "zotero:", "--library", "mine")
    monkeypatch.setenv("RAG_ZOTERO", str(zotero.file.parent / "nowhere"))
    code, out, _ = called("sync", "--library", "mine", "--prune", "--yes")
    assert code == 0
    assert "zotero:: RAG_ZOTERO=" in out
    assert "no zotero.sqlite there; correct it or unset it" in out
    assert len(papers()) == 3
    assert called("sync", "--library", "mine", "--strict")[0] == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Theroy", "no collection 'Theroy'; did you mean Theory?"),
        ("watr", "no collection 'watr'; did you mean Theory/Water"),
        ("xyz", "no collection 'xyz'; there is The Lab, Theory, Theory/Water, The Lab/Winter"),
    ],
)
def test_a_collection_that_is_not_there(zotero, name, said):
    code, _, err = called("add", f"zotero:{name}", "--library", "mine")
    assert (code, err.count("\n")) == (1, 1)
    assert said in err


def test_names_that_several_have(zotero):
    other = zotero.collection("Practice")
    zotero.collection("Water", other)
    err = called("add", "zotero:Water", "--library", "mine")[2]
    assert "'Water' is the name of several collections; give the path: Theory/Water, Practice/Water" in err
    zotero.do("INSERT INTO deletedCollections (collectionID) VALUES (?)", other)
    assert called("add", "zotero:Water", "--library", "mine")[0] == 0, "what lies in the trash has no name"


def test_a_circle_of_collections_ends(zotero):
    zotero.do("UPDATE collections SET parentCollectionID = ? WHERE collectionID = ?", zotero.water, zotero.theory)
    assert "has no collection" in called("add", "zotero:Theory", "--library", "mine")[2]
    assert called("add", "zotero:", "--library", "mine")[0] == 0


LOCKED = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(f"PRAGMA journal_mode = {sys.argv[2]}")
db.execute("PRAGMA locking_mode = EXCLUSIVE")
db.execute("BEGIN EXCLUSIVE")
db.execute("UPDATE itemDataValues SET value = 'Tides, as now' WHERE value = 'Tides as clocks'")
db.execute("COMMIT")
db.execute("PRAGMA cache_size = 1")
db.execute("BEGIN EXCLUSIVE")
db.execute("UPDATE itemDataValues SET value = value || ' (half done)'")
db.execute("INSERT INTO itemDataValues (value) SELECT hex(randomblob(4000)) FROM itemData, itemData AS b")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_running_zotero_is_read_as_it_was_before_what_it_is_writing(zotero, mode):
    """Another process holds the lock, in the middle of a change that has reached the disk in part."""
    with subprocess.Popen([sys.executable, "-c", LOCKED, zotero.file, mode], stdin=-1, stdout=-1) as running:
        try:
            assert running.stdout.readline() == b"locked\n"
            with (
                closing(sqlite3.connect(zotero.file, timeout=0)) as other,
                pytest.raises(sqlite3.OperationalError, match="locked"),
            ):
                other.execute("SELECT * FROM items").fetchall()
            before = {path.name: digest(path) for path in zotero.file.parent.iterdir()}
            assert called("add", "zotero:", "--library", "mine")[0] == 0
            assert {path.name: digest(path) for path in zotero.file.parent.iterdir()} == before
        finally:
            running.stdin.close()
    assert set(papers()) == {"Tides, as now", MOSS["title"], KITES["title"]}


def test_one_that_is_written_all_the_time(zotero, monkeypatch):
    states = iter(range(1000))
    monkeypatch.setattr(zotero_file, "_state", lambda file: [(next(states), 0)])
    monkeypatch.setattr(zotero_file, "PAUSE", 0.0)
    assert "Zotero is writing to it all the time; try again" in called("add", "zotero:", "--library", "mine")[2]


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"x" * 5000, b"no database"])
def test_a_file_that_is_no_database_of_zotero(zotero, content):
    zotero.file.write_bytes(content)
    code, _, err = called("add", "zotero:", "--library", "mine")
    assert (code, err.count("\n")) == (1, 1)
    assert "is no database of Zotero that can be read" in err


# --- where it lies ------------------------------------------------------------------------------


@pytest.mark.parametrize("profiles", zotero_file._PROFILES)
def test_a_profile_names_the_data_folder(zotero, tmp_path, monkeypatch, profiles):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    assert zotero_file.found("") is None
    profile = tmp_path / "user" / profiles / "ab12.default"
    profile.mkdir(parents=True)
    data = tmp_path / 'a "place"'
    said = f'user_pref("extensions.zotero.dataDir", {json.dumps(str(data))});\nuser_pref("extensions.zotero.useDataDir", true);\n'
    (profile / "prefs.js").write_text(f"// Mozilla\n{said}", "utf-8")
    assert zotero_file.found("") is None, "the folder is not there"
    shutil.copytree(zotero.file.parent, data)
    assert zotero_file.found("") == data / "zotero.sqlite"
    (profile / "prefs.js").write_text(said.replace("true", "false"), "utf-8")
    assert zotero_file.found("") is None
    shutil.copytree(data, tmp_path / "user" / "Zotero")
    assert zotero_file.found("") == tmp_path / "user" / "Zotero" / "zotero.sqlite"
    assert zotero_file.found(str(zotero.file)) == zotero.file


# --- its local address --------------------------------------------------------------------------


def thing(key, **data):
    return {"key": key, "data": {"key": key, **data}}


@pytest.fixture
def serving(httpserver, zotero, monkeypatch):
    """A Zotero that serves one library and one group, 130 items in pages of 100."""
    monkeypatch.setenv("RAG_ZOTERO", httpserver.url_for("/"))
    lists = {
        "/api/users/0/groups": [{"id": 7, "data": {"id": 7, "name": "The Lab"}}],
        "/api/users/0/collections": [thing("AA", name="Theory", parentCollection=False), thing("BB", name="Water", parentCollection="AA")],
        "/api/groups/7/collections": [],
        "/api/users/0/items/top": [
            thing("I0", itemType="journalArticle", collections=["BB"], tags=[{"tag": "sea"}], creators=[
                {"creatorType": "author", "firstName": "Ada", "lastName": "Reef"}], proceedingsTitle="", publicationTitle="Tides", **TIDES),
            *(thing(f"I{n}", itemType="book", collections=[], title=f"Book number {n}", abstractNote=f"Of {n} pages.") for n in range(1, 130)),
        ],
        "/api/groups/7/items/top": [thing("G1", itemType="thesis", university="Snow College", **SNOW)],
    }  # fmt: skip

    def page(request):
        from werkzeug import Response

        start, limit = int(request.args["start"]), int(request.args["limit"])
        return Response(json.dumps(lists[request.path][start : start + limit]), content_type="application/json")

    for path in lists:
        httpserver.expect_request(path).respond_with_handler(page)
    return httpserver


def test_a_running_zotero_is_asked_page_by_page(serving):
    assert "130 added" in called("add", "zotero:", "--library", "mine")[1]
    assert papers()[TIDES["title"]].authors == ("Reef, Ada",)
    assert papers()[TIDES["title"]].extra["keywords"] == "sea"
    assert called("add", "zotero:Theory", "zotero:the lab", "--library", "two")[0] == 0
    assert set(papers("two")) == {TIDES["title"], SNOW["title"]}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            403,
            "Local API is not enabled",
            "Zotero does not let other programs ask it (HTTP 403); allow it in its settings",
        ),
        (200, "Zotero is running", "answers, but not as Zotero does; check RAG_ZOTERO"),
        (200, '[{"key": 1}]', "answers, but not as Zotero does; check RAG_ZOTERO"),
        (404, "", "did not take the request (HTTP 404)"),
    ],
)
def test_an_address_where_no_zotero_answers(httpserver, zotero, monkeypatch, status, body, said):
    monkeypatch.setenv("RAG_ZOTERO", httpserver.url_for("/"))
    httpserver.expect_request("/api/users/0/groups").respond_with_data(body, status)
    code, _, err = called("add", "zotero:", "--library", "mine")
    assert (code, err.count("\n")) == (1, 1)
    assert said in err


def test_no_zotero_at_all(zotero, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("RAG_ZOTERO", "")
    monkeypatch.setattr(zotero_server, "HERE", "http://127.0.0.1:9")
    code, _, err = called("add", "zotero:", "--library", "mine")
    assert (code, err.count("\n")) == (1, 1)
    assert "no zotero.sqlite in the usual places; set RAG_ZOTERO to Zotero's data folder" in err
