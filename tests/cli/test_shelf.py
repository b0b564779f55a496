"""`rag library list|rename|remove`, and the authors and years of `rag list`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from made import FLASH, POKER, library
from running import ROOT, called, environment, typed

from rag.bibliography import byline
from rag.library.build import named_folder
from rag.records import Paper


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Libraries "mine" and "other"."""
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    library(named_folder("mine"), FLASH, POKER)
    library(named_folder("other"), POKER)


def test_they_are_listed_renamed_and_removed(two):
    code, out, _ = called("library", "list")
    assert (code, out.count("\n")) == (0, 2)
    assert out.startswith("mine  2 papers, ")
    assert called("library", "rename", "mine", "thesis 2")[:2] == (0, "mine is called thesis 2 now\n")
    assert called("list", "--library", "thesis 2")[1].count("\n") == 2
    said = json.loads(called("library", "list", "--json")[1])
    assert [(one["name"], one["papers"], one["problem"]) for one in said] == [("other", 1, ""), ("thesis 2", 2, "")]
    code, out, err = called("library", "remove", "thesis 2")
    assert (code, out) == (2, "")
    assert "this would delete thesis 2 (2 papers, " in err
    assert "type: rag library remove 'thesis 2' --yes" in err
    assert called("library", "remove", "thesis 2", "--yes")[0] == 0
    assert [one["name"] for one in json.loads(called("library", "list", "--json")[1])] == ["other"]
    assert not [path.name for path in named_folder("other").parent.iterdir() if path.name != "other"]


def test_a_person_is_asked(two):
    code, shown = typed("library", "remove", "mine", keys="n\r")
    assert code == 1
    assert "Delete mine (2 papers, " in shown
    assert typed("library", "remove", "mine", keys="y\r")[0] == 0
    assert called("library", "list")[1].startswith("other ")


OPEN = "import sys, rag\nopened = rag.open_library('mine')\nlen(opened)\nprint('open', flush=True)\nsys.stdin.read()"


@pytest.mark.parametrize("argv", [("rename", "mine", "new"), ("remove", "mine", "--yes")])
def test_one_that_another_process_has_open_is_left_alone(two, argv):
    command = [sys.executable, "-c", OPEN]
    with subprocess.Popen(command, stdin=-1, stdout=-1, env=environment(PYTHONPATH=ROOT)) as other:
        assert other.stdout.readline() == b"open\n"
        code, _, err = called("library", *argv)
        other.stdin.close()
    assert (code, err.count("\n")) == (1, 1)
    assert "is open in another process (a chat?); close that first" in err
    assert called("list", "--library", "mine")[1].count("\n") == 2
    assert called("library", *argv)[0] == 0


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("rename", "none", "new"), 1, "no library is called 'none'; see: rag status"),
        (("rename", "mine", "other"), 2, "there is a library 'other' already"),
        (("rename", "mine", "../x"), 2, "'../x' is no name for a library"),
        (("rename", "mine", "a/b"), 2, "'a/b' is a path"),
        (("rename", "mine", " "), 2, "' ' is no name for a library"),
        (("rename", "mine", "a\nb"), 2, "is no name for a library"),
        (("remove", "none", "--yes"), 1, "no library at "),
        (("move", "mine"), 2, "invalid choice: 'move'"),
        ((), 2, "required: list|rename|remove"),
    ],
)
def test_what_cannot_be_done_is_one_line(two, argv, code, said):
    ran = called("library", *argv)
    assert (ran[0], ran[2].count("\n")) == (code, 1)
    assert said in ran[2]
    assert called("library", "list")[1].count("\n") == 2


def test_a_folder_with_other_files_is_not_deleted(two):
    (named_folder("mine") / "thesis.tex").write_text("years of work")
    assert "holds files that are no library's (thesis.tex)" in called("library", "remove", "mine", "--yes")[2]
    assert (named_folder("mine") / "thesis.tex").exists()


def test_a_damaged_one_is_listed_and_can_be_removed(two):
    (named_folder("mine") / "library.sqlite").write_bytes(b"x" * 5000)
    assert "library.sqlite is damaged (file is not a database), " in called("library", "list")[1]
    assert called("library", "remove", "mine", "--yes")[0] == 0


@pytest.mark.parametrize(
    ("authors", "year", "said"),
    [
        ((), None, ""),
        ((), 2021, "2021"),
        (("Reef, Ada",), 2021, "Reef 2021"),
        (("Ada Reef", "Bo Kelp"), None, "Reef and Kelp"),
        (("Reef, Ada", "Kelp, Bo", "Cy Moss"), 2021, "Reef et al. 2021"),
    ],
)
def test_a_byline(authors, year, said):
    assert byline(Paper("1", "T", "A", authors=authors, year=year)) == said


def test_a_list_shows_first_authors_and_years(tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    (tmp_path / "a.bib").write_text(
        "@article{x, title={Tidal clocks}, abstract={Tides tell hours well.}, author={Reef, Ada and Kelp, Bo and Moss, Cy}, year=2021}"
    )
    called("add", str(tmp_path / "a.bib"), "--library", "mine")
    assert called("list", "--library", "mine")[1].endswith("  Reef et al. 2021  Tidal clocks\n")
    (one,) = json.loads(called("list", "--library", "mine", "--json")[1])
    assert (one["year"], one["authors"][0]) == (2021, "Reef, Ada")
