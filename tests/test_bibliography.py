"""Entry type, citation key, pages, editors and fields that nobody knows: what came in is what is written."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag import bibliography
from rag.bibliography import in_one_pair, is_harmless, key, keys, known_keys
from rag.formats import CITED, PAPERS
from rag.readers import gather, read
from rag.readers.bibtex_entries import entries
from rag.records import FrozenMap, Paper
from rag.show.export import write_citations, write_papers
from rag.text import paper_id

OURS = {"title", "abstract", "ragid"}


def taken(text: str, folder: Path, name: str = "in.bib") -> tuple[Paper, ...]:
    (folder / name).write_text(text, "utf-8", newline="\n")
    reading = gather([folder / name])
    assert [piece.reason for piece in reading.skipped if piece.kind == "refused"] == []
    return reading.papers


def said(bibtex: str) -> list[tuple[str, str, dict[str, str]]]:
    """Type, key and fields of each entry of a file as it stands, but for title, abstract and our id."""
    return [
        (entry.kind, entry.key, {name: value(parts[0]) for name, parts in entry.fields if name not in OURS})
        for entry in entries(bibtex)
    ]


def value(part: str) -> str:
    return part[1:-1] if part[:1] in ('"', "{") else part


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


ENTRY = r"""@inproceedings{gull2017piers,
  title = {Piers},
  author = {Gull, Ada and {Salt and Sons} and others},
  booktitle = {Proceedings of the {PIER} Days},
  year = {2017},
  volume = {30},
  number = {2-3},
  pages = {5998--6008},
  editor = {Tern, I. and {Dock \& Co} and others},
  publisher = {Dock Press, Inc.},
  month = jun,
  note = {Best paper, see \url{https://example.org/a_b}},
  doi = {10.5555/PIER.1},
  eprint = {1706.00001v5},
  archiveprefix = {arXiv},
  primaryclass = {cs.CL},
  file = {:C$\backslash$:/x/a_b.pdf:pdf},
  mendeley-groups = {A/B_c},
  x-unknown = {50% {of} it & more},
  abstract = {Wood lasts.},
}
"""


@pytest.mark.parametrize("form", PAPERS)
def test_an_entry_leaves_as_it_came_by_any_format(form, folder):
    between = taken(write_papers(PAPERS[form], taken(ENTRY, folder)), folder, f"between.{form}")
    assert said(write_papers(PAPERS["bibtex"], between)) == said(ENTRY)


TITLES = [
    "Attention Is All You Need", "{BERT}: Pre-training of Deep {T}ransformers", r"On {\"O}l and $x_{i}$ in {DNA}", "{{All} of It}", "{All} of {It}",
    r"50\% of \emph{it}", "A: B", r"What \input{x} does", r"Only one \{ of them",
]  # fmt: skip


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("form", ["bibtex", "jsonl"])
def test_a_title_leaves_as_it_came_or_in_braces_and_is_read_as_the_same(title, form, folder):
    (first,) = taken(ENTRY.replace("{Piers}", f"{{{title}}}"), folder)
    (again,) = taken(write_papers(PAPERS[form], [first]), folder, f"title.{form}")
    assert (again.id, again.authors) == (first.id, first.authors)
    ((_, _, fields),) = said(write_papers(PAPERS["bibtex"], [again]).replace("title = ", "titled = "))
    came = is_harmless(title) and not in_one_pair(title)
    assert fields["titled"] == title if came else fields["titled"].startswith("{")
    assert "\\input" not in fields["titled"]


def test_authors_leave_with_their_accents_as_they_were_written(folder):
    names = r"G{\"o}del, K. and {\"O}zg{\"u}l, A. and {Salt and Sons} and Moli{\`e}re and others"
    (paper,) = taken(ENTRY.replace("Gull, Ada and {Salt and Sons} and others", names), folder)
    assert paper.authors == ("Gödel, K.", "Özgül, A.", "Salt and Sons", "Molière")
    for form in ("bibtex", "csl", "ris", "jsonl"):
        (again,) = taken(write_papers(PAPERS[form], [paper]), folder, f"names.{form}")
        assert again.authors == paper.authors
        assert said(write_papers(PAPERS["bibtex"], [again]))[0][2]["author"] == names


def test_what_is_pasted_lacks_what_is_ones_own_files(folder):
    ((kind, name, fields),) = said(write_citations(CITED["bibtex"], taken(ENTRY, folder)))
    assert (kind, name) == ("inproceedings", "gull2017piers")
    assert fields.keys() == said(ENTRY)[0][2].keys() - {"file", "mendeley-groups"}


# --- by property --------------------------------------------------------------------------------

KINDS = sorted({row.bibtex for row in bibliography.TYPES} | {"inbook", "manual", "booklet", "electronic"})
NAMES = ["volume", "number", "pages", "publisher", "series", "address", "edition", "isbn", "issn", "booktitle", "journal",
         "school", "institution", "howpublished", "note", "month", "key", "type", "organization", "date", "location",
         "eventtitle", "journaltitle", "chapter", "file", "x_y", "cited-references", "eprint", "lccn", "doi"]  # fmt: skip
PIECES = ["1", "12", "{Dock}", "and", "&", r"\&", r"\url{x_y}", r"G{\"o}teborg", "--", "Press", "$x_1$", "%", "#", "é", ":",
          "2017", r"\emph{so}", "a@b", "~", r"\'e", "`", "''", ",", "=", '"', "(", "שלום", "Proc.", "10.5555/A"]  # fmt: skip
VALUES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map(" ".join).filter(str.isascii)
PEOPLE = st.lists(
    st.sampled_from(
        ["Gull, Ada", "Tern, I.", "{Salt and Sons}", "de la Dock, M.", r"{\"O}zg{\"u}l, A.", r"{\'E}t{\'e}"]
    ),
    min_size=1,
    max_size=3,
)
EDITORS = st.builds(lambda names, more: " and ".join([*names, *more]), PEOPLE, st.sampled_from([[], ["others"]]))
FIELDS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)


def entry(kind: str, name: str, fields: dict[str, str]) -> str:
    lines = [f"  {field} = {{{text}}}," for field, text in fields.items()]
    return "\n".join([f"@{kind}{{{name},", "  title = {Piers},", *lines, "  abstract = {Wood lasts.},", "}", ""])


@pytest.mark.parametrize("form", PAPERS)
@settings(max_examples=25)
@given(
    kind=st.sampled_from(KINDS), name=st.from_regex(r"\A[A-Za-z0-9:_./+-]{1,12}\Z"), fields=FIELDS,
    people=st.fixed_dictionaries({}, optional={"author": EDITORS, "editor": EDITORS}),
)  # fmt: skip
def test_what_came_in_is_what_is_written(folder, form, kind, name, fields, people):
    text = entry(kind, name, fields | people)
    written = write_papers(
        PAPERS["bibtex"], taken(write_papers(PAPERS[form], taken(text, folder)), folder, f"by.{form}")
    )
    ((was_kind, was_name, was),), ((is_kind, is_name, now),) = said(text), said(written)
    assert (is_kind, is_name) == (was_kind, was_name)
    kept = {field: text for field, text in was.items() if field != "doi" or text.startswith("10.")}
    changed = {field for field in kept if kept[field] != now.get(field)}
    assert {field for field in changed if is_harmless(kept[field]) and field not in ("doi", "month")} == set()


# --- other programs -----------------------------------------------------------------------------

BODY = {"title": "Piers", "abstract": "Wood lasts."}
ZOTERO = BODY | {
    "itemType": "bookSection", "abstractNote": "Wood lasts.", "bookTitle": "Pier Days", "volume": "3", "pages": "5-9", "citationKey": "gull17",
    "publisher": "Dock & Co", "place": "Hull", "ISBN": "978-3-16-148410-0", "date": "2017-05",
    "creators": [{"creatorType": "author", "firstName": "Ada", "lastName": "Gull"},
                 {"creatorType": "editor", "firstName": "I.", "lastName": "Tern"}],
}  # fmt: skip
CSL = BODY | {
    "id": "gull17", "type": "chapter", "container-title": "Pier Days", "volume": "3", "page": "5–9", "publisher": "Dock & Co",
    "publisher-place": "Hull", "ISBN": "978-3-16-148410-0", "issued": {"date-parts": [[2017]]},
    "author": [{"family": "Gull", "given": "Ada"}], "editor": [{"family": "Tern", "given": "I."}],
}  # fmt: skip
RIS = """TY  - CHAP
LB  - gull17
AU  - Gull, Ada
ED  - Tern, I.
TI  - Piers
T2  - Pier Days
VL  - 3
SP  - 5
EP  - 9
PB  - Dock & Co
CY  - Hull
SN  - 978-3-16-148410-0
PY  - 2017
AB  - Wood lasts.
ER  -
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("zotero.json", json.dumps([{"key": "ABCD1234", "data": ZOTERO}])),
        ("noted.json", json.dumps([{k: v for k, v in ZOTERO.items() if k != "citationKey"} | {"extra": "PMID: 7\nCitation Key: gull17"}])),
        ("csl.json", json.dumps([CSL])),
        ("key.json", json.dumps([CSL | {"id": "http://example.org/items/AB", "citation-key": "gull17"}])),
        ("a.ris", RIS),
    ],
)  # fmt: skip
def test_what_other_programs_say_becomes_an_entry(name, text, folder):
    ((kind, called, fields),) = said(write_citations(CITED["bibtex"], taken(text, folder, name)))
    assert (kind, called) == ("incollection", "gull17")
    assert fields["author"] == "Gull, Ada"
    assert {field: fields[field] for field in ("editor", "volume", "pages", "publisher", "address", "isbn", "year")} == {
        "editor": "Tern, I.", "volume": "3", "pages": "5--9", "publisher": r"Dock \& Co", "address": "Hull",
        "isbn": "978-3-16-148410-0", "year": "2017",
    }  # fmt: skip
    assert fields.get("booktitle", "Pier Days") == "Pier Days"


@pytest.mark.parametrize("id", ["http://zotero.org/users/1/items/AB", "1234/ABCD", "17", "10.5555/x"])
def test_a_number_or_an_address_is_no_key(id, folder):
    (paper,) = taken(json.dumps([CSL | {"id": id}]), folder, "csl.json")
    assert key(paper).startswith("gull2017piers-")


def test_a_table_says_volume_and_pages_and_its_key(folder):
    out = io.StringIO()
    row = BODY | {
        "Citation Key": "gull17",
        "Volume": "3",
        "Issue": "",
        "Page start": "5",
        "Page end": "9",
        "Publisher": "nan",
    }
    csv.writer(out).writerows([list(row), list(row.values())])
    (paper,) = taken(out.getvalue(), folder, "a.csv")
    assert dict(paper.extra) == {"key": "gull17", "bib.volume": "3", "bib.pages": "5--9"}


def test_medline_says_volume_and_pages(folder):
    text = "PMID- 77\nTI  - Piers\nAB  - Wood lasts.\nVI  - 3\nIP  - 2\nPG  - 5-9\nIS  - 1234-5678 (Print)\n"
    (paper,) = taken(text, folder, "a.nbib")
    assert bibliography.fields(paper.extra) == {
        "volume": "3",
        "number": "2",
        "pages": "5--9",
        "issn": "1234-5678 (Print)",
    }


# --- keys ---------------------------------------------------------------------------------------


def made(title: str, **extra: str) -> Paper:
    return Paper(paper_id(title), title, "Wood lasts.", ("Gull, Ada",), 2017, extra=FrozenMap(extra))


def test_two_papers_with_one_key_are_told_apart_and_get_it_back(folder):
    one, two = made("Piers", key="gull17"), replace(made("Docks", key="Gull17"), abstract="Nets rust in salt.")
    assert keys([one, two]) == {one.id: "gull17", two.id: f"Gull17-{two.id}"}
    for form in PAPERS:
        got = taken(write_papers(PAPERS[form], [one, two]), folder, f"two.{form}")
        assert [paper.extra["key"] for paper in got] == ["gull17", "Gull17"], form


def test_a_key_that_was_made_stays_made(folder):
    (paper,) = (made("Piers"),)
    (again,) = taken(write_papers(PAPERS["bibtex"], [paper]), folder)
    assert "key" not in again.extra
    assert key(replace(again, year=2018)) == f"gull2018piers-{paper.id}"


@pytest.mark.parametrize("given", ["Gull et al. 2017", "a,b", "a{b", 'a"b', "a%b", "a\\b", "x" * 201, ""])
def test_what_bibtex_takes_for_no_key_is_not_written(given):
    assert key(made("Piers", key=given)) == key(made("Piers"))


def test_one_paper_from_two_files_is_known_by_both_keys(folder):
    first = taken("@article{gull17, title={Piers}, abstract={Wood lasts.}, year=2017, pages={1--2}}", folder)
    (folder / "two.bib").write_text("@misc{Gull:2017, title={Piers}, abstract={Wood lasts.}, file={x}}", "utf-8")
    (paper,) = read([folder / "two.bib"], known=first).papers
    assert known_keys(paper)[:3] == ["gull17", "Gull:2017", f"gull17-{paper.id}"]
    assert said(write_papers(PAPERS["bibtex"], [paper]))[0][:2] == ("article", "gull17")
    assert bibliography.fields(paper.extra) == {"title": "Piers", "pages": "1--2", "ids": "Gull:2017", "file": "x"}


def test_a_preprints_pages_are_not_those_of_the_journal(folder):
    preprint = "@misc{p, title={Piers}, abstract={Wood lasts.}, eprint={1706.00001}, archiveprefix={arXiv}, pages={12}, note={n}}"
    journal = (
        "@article{j, title={Piers}, abstract={Wood lasts.}, journal={Dock Letters}, doi={10.5555/p.1}, volume={3}}"
    )
    (paper,) = taken(preprint + "\n" + journal, folder)
    ((kind, name, fields),) = said(write_papers(PAPERS["bibtex"], [paper]))
    assert (kind, name, fields["volume"], fields["journal"], fields["note"]) == (
        "article",
        "p",
        "3",
        "Dock Letters",
        "n",
    )
    assert "pages" not in fields


# --- what LaTeX would obey ----------------------------------------------------------------------


@pytest.mark.parametrize("text", [r"\input{x}", r"\write18{rm}", r"a^^5cinput x", r"x\\", r"\{", "}{", "{", r"\def\a{b}", "\\", "a\x1bb"])  # fmt: skip
def test_a_field_that_commands_is_written_as_text(text, folder):
    paper = made("Piers", **{"bib.note": text, "bib.x": text, "bib.editor": text})
    written = write_papers(PAPERS["bibtex"], [paper])
    assert not any(command in written for command in ("\\input", "\\write", "\\def", "^^", "\x1b"))
    assert len(list(entries(written))) == 1
    assert not next(entries(written)).broken


@given(st.text(st.sampled_from("{}\\$%&#_^~@\"'=,abc \n"), max_size=12))
def test_any_field_is_read_back_whole(text):
    text = " ".join(text.split())
    written = write_papers(PAPERS["bibtex"], [made("Piers", **{"bib.note": text, "bib.zz": text})])
    (found,) = entries(written)
    assert (found.lost, found.broken, found.kind) == ([], "", "misc")
    assert dict(found.fields)["abstract"] == ("{Wood lasts.}",)
