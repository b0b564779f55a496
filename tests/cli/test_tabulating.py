"""`rag table` as CSV, Markdown, a workbook and JSON; formulas are text in all of them."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from xml.etree import ElementTree

import pytest
from made import FLASH, POKER, S4, library

from rag.cli.main import main
from rag.records import FrozenMap, Paper
from rag.show.table import neutral
from rag.text import paper_id

EVIL = Paper(
    paper_id("evil"), '=HYPERLINK("http://evil.test","click")', "@SUM(1) and more is what we propose.\nIt | reaches 99% accuracy \x1b[31m on <b>GLUE</b>.",
    ("-2+3",), 2020, extra=FrozenMap({"key": "+key"}),
)  # fmt: skip
NAMES = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> str:
    return str(library(tmp_path_factory.mktemp("table") / "own", EVIL, S4, FLASH, POKER))


@pytest.fixture
def rag(place, tmp_path, capsysbinary, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*argv):
        capsysbinary.readouterr()
        code = main(["table", *argv, "--library", place])
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return call


def test_csv_is_what_is_written_and_no_cell_is_a_formula(rag):
    code, out, err = rag("method; best result; authors; year")
    assert code == 0
    rows = list(csv.reader(io.StringIO(out.decode())))
    assert rows[0] == ["paper", "key", "method", "best result", "authors", "year"]
    assert [row[0] for row in rows[1:]] == [f"'{EVIL.title}", "Structured State Spaces", "FlashAttention", "PokerBench"]
    assert rows[1][1:3] == ["'+key", "'@SUM(1) and more is what we propose."]
    assert rows[1][4:] == ["'-2+3", "2020"]
    assert rows[2][2] == "We propose S4, a state space model."
    assert not any(re.match(r"[=+@-]", cell) for row in rows for cell in row)
    assert b"\x1b" not in out
    assert re.fullmatch(r"rag: 4 papers, \d+ of 16 cells filled\n", err)


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@a", "\t=1", " =1", "\r=1", "\n=1", "＝1", "|cmd"])
def test_what_a_spreadsheet_obeys_is_made_text(cell):
    assert neutral(cell) == f"'{cell}"
    assert neutral(f"a{cell}") == f"a{cell}"


def test_markdown_has_a_row_a_paper_and_nothing_that_commands(rag):
    lines = rag("best result", "--markdown")[1].decode().splitlines()
    assert lines[:2] == ["| paper | key | best result |", "| --- | --- | --- |"]
    assert len(lines) == 6
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in lines)
    assert "<b>" not in lines[2]


def test_a_workbook_holds_the_same_as_text(rag, tmp_path):
    assert rag("method; year", "-o", "t.xlsx")[:2] == (0, b"")
    with zipfile.ZipFile(tmp_path / "t.xlsx") as made:
        for name in made.namelist():
            ElementTree.fromstring(made.read(name))
        sheet = ElementTree.fromstring(made.read("xl/worksheets/sheet1.xml"))
    cells = [[cell.find(f"{NAMES}is/{NAMES}t").text or "" for cell in row] for row in sheet.iter(f"{NAMES}row")]
    assert cells[0] == ["paper", "key", "method", "year"]
    assert cells[1] == [EVIL.title, "+key", "@SUM(1) and more is what we propose.", "2020"]
    assert {cell.get("t") for cell in sheet.iter(f"{NAMES}c")} == {"inlineStr"}
    assert not list(sheet.iter(f"{NAMES}f"))
    assert rag("method; year", "--xlsx")[1] == (tmp_path / "t.xlsx").read_bytes()


def test_json_says_where_each_quote_stands(rag):
    told = json.loads(rag("method; year", "--json", "-n", "2")[1])
    assert told["columns"] == ["method", "year"]
    assert [row["id"] for row in told["rows"]] == [EVIL.id, S4.id]
    quote = told["rows"][1]["cells"]["method"]["quote"]
    assert S4.abstract[quote["start"] : quote["end"]] == quote["quote"] == "We propose S4, a state space model."
    assert told["rows"][0]["cells"]["year"] == {"text": "2020", "quote": None}


def test_only_some_papers(rag):
    code, out, err = rag("method", "--where", "year>=2020")
    assert (code, out.decode().count("\n")) == (0, 2)
    assert "(1 of 4" in err
    assert rag("method", "--year", "1999")[1].decode() == "paper,key,method\n"


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        ([], 2, "required: COLUMNS"),
        ([" ; "], 2, "no column is named"),
        (["task", "-o", "t.doc"], 2, "t.doc: the ending says no form; use one of .csv, .md"),
        (["task", "-o", "there.csv"], 1, "is there already; add --force to replace it"),
        (["task", "-o", "nowhere/t.csv"], 1, "cannot be written"),
        (["task", "-n", "0"], 2, "-n 0 is no number of papers"),
        (["task", "--csv", "--xlsx"], 2, "not allowed with"),
        (["task", "--where", "pages>3"], 2, "pages"),
        (["task", "--base-url", "ollama"], 2, "--base-url names a server but no model"),
    ],
)
def test_mistakes_are_one_line(rag, tmp_path, argv, code, said):
    (tmp_path / "there.csv").write_text("mine")
    got, out, err = rag(*argv)
    assert (got, out, said in err.splitlines()[-1]) == (code, b"", True), err
    assert (tmp_path / "there.csv").read_text() == "mine"
