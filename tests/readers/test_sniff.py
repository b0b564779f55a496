"""What smells of a format is read as that format, or refused with the reason; text is text when nothing else smells."""

from __future__ import annotations

import pytest

from rag.readers import gather
from rag.readers.tables import read as read_table

A = "Terns were ringed on three piers for nine years by the same two people. Nests rose by 12 percent once the gulls had left."
B = "Gulls were counted at each ebb for nine years by the same two people. They ate 40 percent less once the bins were shut."
RIS = f"TY  - JOUR\nAU  - Gull, Ada\nTI  - Terns\nAB  - {A}\nPY  - 2011\nER  - \nTY  - JOUR\nTI  - Gulls\nAU  - Rook, Una\nAB  - {B}\nPY  - 2012\nER  - \n"
MEDLINE = f"PMID- 11\nTI  - Terns\nFAU - Gull, Ada\nAB  - {A}\nDP  - 2011 Jan\n\nPMID- 12\nTI  - Gulls\nFAU - Rook, Una\nAB  - {B}\nDP  - 2012\n"
WOS = f"PT J\nAU Gull, Ada\nTI Terns\nAB {A}\nPY 2011\nER\n\nPT J\nAU Rook, Una\nTI Gulls\nAB {B}\nPY 2012\nER\n"
ENDNOTE = f"%0 Journal Article\n%A Gull, Ada\n%T Terns\n%X {A}\n%D 2011\n\n%0 Journal Article\n%A Rook, Una\n%T Gulls\n%X {B}\n%D 2012\n"
EMBASE = f'"TITLE","Terns"\n"AUTHOR NAMES","Gull, Ada"\n"PUBLICATION YEAR","2011"\n"ABSTRACT","{A}"\n\n"TITLE","Gulls"\n"AUTHOR NAMES","Rook, Una"\n"PUBLICATION YEAR","2012"\n"ABSTRACT","{B}"\n'


def indented(text: str) -> str:
    return "".join(f"    {line}\n" if line.strip() else "\n" for line in text.splitlines())


def lower_tags(text: str) -> str:
    return "".join(f"{line[:4].lower()}{line[4:]}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "format"),
    [
        (RIS.replace("  - ", "  -"), "RIS"),
        (RIS.replace("  - ", " - "), "RIS"),
        (RIS.replace("  - ", "   - "), "RIS"),
        (RIS.replace("  - ", "- "), "RIS"),
        (RIS.replace("  - ", "\t- "), "RIS"),
        (indented(RIS), "RIS"),
        (lower_tags(RIS), "RIS"),
        (indented(lower_tags(RIS)), "RIS"),
        (RIS.replace("TY  - JOUR\n", ""), "RIS"),
        (f"Exported by the Pier Club\n\n{indented(RIS)}", "RIS"),
        (indented(MEDLINE), "MEDLINE"),
        (lower_tags(MEDLINE), "MEDLINE"),
        (indented(WOS), "Web of Science"),
        (indented(ENDNOTE), "EndNote tags"),
        (f"Exported by the Pier Club\n{ENDNOTE}", "EndNote tags"),
        (EMBASE, "Embase CSV"),
    ],
)
def test_a_bibliography_that_is_written_loosely_is_read(text, format, tmp_path):
    file = tmp_path / "a.txt"
    file.write_text(text, "utf-8")
    reading = gather([file])
    assert [one.format for one in reading.files] == [format]
    assert [(p.title, p.authors, p.year, p.abstract) for p in reading.papers] == [
        ("Terns", ("Gull, Ada",), 2011, A), ("Gulls", ("Rook, Una",), 2012, B)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"title = {{Terns}},\nabstract = {{{A}}},\nyear = 2011\n}}", "a field outside of any entry"),
        (f"[{{'title': 'Terns', 'abstract': '{A}'}}]", "as Python prints it"),
        (f"const papers = [{{title: 'Terns', abstract: '{A}'}}]", "is JavaScript"),
        (f"\\documentclass{{article}}\n\\title{{Terns}}\n\\begin{{abstract}}\n{A}\n\\end{{abstract}}", "is a LaTeX document"),
        (f"INSERT INTO papers VALUES ('Terns', '{A}');", "is SQL"),
        (f"- title: Terns\n  abstract: {A}\n  year: 2011\n", "records with labels"),
        (f"Title: Terns\nAbstract: {A}\n\nTitle: Gulls\nAbstract: {B}\n", "records with labels"),
        (f'"Terns","{A}"\n"Gulls","{B}"\n', "no line names its columns"),
        (f"<collection xmlns='http://www.loc.gov/MARC21/slim'><record><leader>x</leader>{A}</record></collection>", "MARCXML"),
        (f"<modsCollection><mods><abstract>{A}</abstract></mods></modsCollection>", "MODS"),
        (f"<TEI xmlns='http://www.tei-c.org/ns/1.0'><abstract>{A}</abstract></TEI>", "TEI"),
        ("<eFetchResult><ERROR>ID list is empty!</ERROR></eFetchResult>", "PubMed's error, no paper: ID list is empty!"),
        ("<OAI-PMH><error code='noRecordsMatch'>nothing of that day</error></OAI-PMH>", "noRecordsMatch nothing of that day"),
        ("<feed><entry><id>http://arxiv.org/api/errors#x</id><title>Error</title><summary>no such id</summary></entry></feed>",
         "a feed's error, no paper: no such id"),
    ],
)  # fmt: skip
def test_what_smells_of_another_format_is_refused_with_the_reason(text, why, tmp_path):
    file = tmp_path / "a.txt"
    file.write_text(text, "utf-8")
    reading = gather([file])
    assert reading.papers == ()
    assert any(why in piece.reason for piece in reading.skipped if piece.kind == "refused")


@pytest.mark.parametrize(
    "text",
    [
        f"Terns of the pier\n\n{A}\n",
        f"Terns of the pier\n{A}\n\nGulls of the pier\n{B}\n",
        f"Title: Terns of the pier\nAuthors: Gull, Ada\n\n{A}\n",
        f"Terns of the pier\n{A} We write p = {{0.05}} and [1, 2] - and AB - too.\n",
    ],
)
def test_text_is_text(text, tmp_path):
    file = tmp_path / "a.txt"
    file.write_text(text, "utf-8")
    assert gather([file]).papers[0].abstract.startswith("Terns were ringed")


# --- tables -------------------------------------------------------------------------------------


def table(text: str) -> tuple[list[tuple[str, str, tuple[str, ...], int | None]], list[tuple[str, str]]]:
    records, skipped = read_table(text, "a.csv", {})
    return [(r.title, r.abstract, r.authors, r.year) for r in records], [(s.source, s.reason) for s in skipped]


def test_a_row_with_more_cells_than_the_header_is_refused_with_its_line():
    read, refused = table(f'title,abstract,year\nTerns,{A}, and more,2011\n"Gulls","{B}",2012,,\n')
    assert read == [("Gulls", B, (), 2012)]
    assert [(source, why[:33]) for source, why in refused] == [("a.csv:2", "4 cells where the header names 3:")]


def test_quotation_marks_behind_backslashes():
    read, refused = table(f'title,abstract,year\n"Terns","The \\"big\\" pier, {A}",2011\n"Gulls","{B}",2012\n')
    assert refused == []
    assert read == [("Terns", f'The "big" pier, {A}', (), 2011), ("Gulls", B, (), 2012)]
    latex, _ = table(f'title,abstract\n"K\\""oln","{A}"\n')
    assert latex[0][0] == '"K\\"oln"'[1:-1]


@pytest.mark.parametrize(
    "authors",
    ["['Gull, Ada', 'Rook, Una']", '["Gull, Ada", "Rook, Una"]', "[{'name': 'Gull, Ada'}, {'name': 'Rook, Una'}]",
     "[['Gull', 'Ada', ''], ['Rook', 'Una', '']]", "['Gull, Ada' 'Rook, Una']", "Gull, Ada; Rook, Una",
     "[{'first': 'Ada', 'last': 'Gull'}, {'family': 'Rook', 'given': 'Una'}]"],
)  # fmt: skip
def test_a_list_of_names_is_names(authors):
    quoted = authors.replace('"', '""')
    read, _ = table(f'title,authors,abstract\nTerns,"{quoted}","{A}"\n')
    assert read[0][2] == ("Gull, Ada", "Rook, Una")


def test_a_name_beside_an_address_is_a_persons():
    read, _ = table(f'Name,Email,Abstract Title,Abstract\nAda Gull,a@x.example,Terns,"{A}"\n')
    assert read == [("Terns", A, (), None)]
    assert table(f'Name,Email,Abstract\nAda Gull,a@x.example,"{A}"\n')[0] == []
    assert table(f'Name,Abstract\nTerns,"{A}"\n')[0] == [("Terns", A, (), None)]


@pytest.mark.parametrize("more", [("Document Type", "Retracted"), ("is_retracted", "True")])
def test_a_retracted_paper_says_so(more):
    records, _ = read_table(f'title,abstract,{more[0]}\nTerns,"{A}",{more[1]}\nGulls,"{B}",\n', "a.csv", {})
    assert [dict(record.extra) for record in records] == [{"retracted": "yes"}, {}]


def test_a_volume_does_not_give_its_year_to_the_next(tmp_path):
    file = tmp_path / "a.xml"
    file.write_text(
        f"<collection id='2011.tern'><volume id='1'><meta><booktitle>Pier Days</booktitle><year>2011</year></meta>"
        f"<paper id='1'><title>Terns</title><abstract>{A}</abstract></paper></volume>"
        f"<volume id='2'><paper id='1'><title>Gulls</title><abstract>{B}</abstract></paper></volume></collection>", "utf-8",
    )  # fmt: skip
    papers = gather([file]).papers
    assert [(p.year, p.venue, p.url) for p in papers] == [
        (2011, "Pier Days", "https://aclanthology.org/2011.tern-1-1"), (None, None, "https://aclanthology.org/2011.tern-2-1")
    ]  # fmt: skip
