"""Exports -> Papers: the same two papers in every format, one record of many files, and nothing lost in silence."""

from __future__ import annotations

import gzip
import io
import json
import time
import zipfile
from pathlib import Path

import pytest
from exports import DOI, NOTHING_IN_THEM, PROGRAMS, TEXT, TITLE
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import ReadError, UsageError
from rag.formats import BY_NAME
from rag.readers import Reading, files, read
from rag.readers.merge import surname
from rag.records import FrozenMap, Paper
from rag.text import paper_id, readable

ONE = "Tidal pools as slow computers"
ONE_TEXT = "We let a tidal pool add two numbers. It takes nine hours, and 97 % of the sums are right."
TWO = "Counting lanterns at night: a field study"
TWO_TEXT = "Lanterns are hard to count in fog. Our method counts 412 of them with an error of 3 %."
DOI_ONE, DOI_TWO = "10.5555/pool.1", "10.5555/lantern.2"

RIS = f"""\
TY  - JOUR
TI  - {ONE}
AU  - Quillmark, Ada
AU  - Brandtsen, Oli
PY  - 2019
T2  - Journal of Puddles
DO  - {DOI_ONE}
AB  - {ONE_TEXT}
ER  -

TY  - JOUR
T1  - {TWO}
A1  - Vellorin, Mika
Y1  - 2021/03/04
JF  - Annals of Fog
UR  - https://doi.org/{DOI_TWO}
N2  - Lanterns are hard to count in fog.
      Our method counts 412 of them with an error of 3 %.
ER  -
"""
BIBTEX = f"""\
@string{{fog = "Annals of " # "Fog"}}
@article{{quillmark2019,
  title = {{{{T}}idal pools as slow computers}},
  author = "Quillmark, Ada and Brandtsen, Oli",
  year = 2019, journal = {{Journal of Puddles}}, doi = {{https://doi.org/{DOI_ONE.upper()}}},
  abstract = {{We let a tidal pool add two numbers.
     It takes nine hours, and 97 % of the sums are right.}}
}}

@Article(vellorin, TITLE = "Counting lanterns at night: a field study", author = {{Vellorin, Mika}},
  date = {{2021-03}}, journaltitle = fog, doi = {{{DOI_TWO}}}, abstract = {{{TWO_TEXT}}})
"""
PUBMED = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://dtd.example/pubmed.dtd">
<PubmedArticleSet>
<PubmedArticle><MedlineCitation><PMID>900001</PMID><Article>
  <Journal><JournalIssue><PubDate><Year>2019</Year></PubDate></JournalIssue><Title>Journal of Puddles</Title></Journal>
  <ArticleTitle>Tidal <i>pools</i> as slow
    computers</ArticleTitle>
  <Abstract><AbstractText>{ONE_TEXT}</AbstractText></Abstract>
  <AuthorList><Author><LastName>Quillmark</LastName><ForeName>Ada</ForeName></Author>
  <Author><LastName>Brandtsen</LastName><ForeName>Oli</ForeName></Author></AuthorList>
</Article></MedlineCitation>
<PubmedData><ArticleIdList><ArticleId IdType="doi">{DOI_ONE}</ArticleId></ArticleIdList>
<ReferenceList><Reference><ArticleIdList><ArticleId IdType="doi">10.5555/cited</ArticleId></ArticleIdList></Reference>
</ReferenceList></PubmedData></PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>900002</PMID><Article>
  <Journal><JournalIssue><PubDate><MedlineDate>2021 Mar-Apr</MedlineDate></PubDate></JournalIssue>
  <Title>Annals of Fog</Title></Journal>
  <ArticleTitle>{TWO}</ArticleTitle><ELocationID EIdType="doi">{DOI_TWO}</ELocationID>
  <Abstract><AbstractText>{TWO_TEXT}</AbstractText></Abstract>
  <AuthorList><Author><LastName>Vellorin</LastName><ForeName>Mika</ForeName></Author></AuthorList>
</Article></MedlineCitation></PubmedArticle>
</PubmedArticleSet>
"""
MEDLINE = f"""\
PMID- 900001
TI  - Tidal pools as slow
      computers
AB  - We let a tidal pool add two numbers. It takes nine hours, and 97 % of the
      sums are right.
FAU - Quillmark, Ada
AU  - Quillmark A
FAU - Brandtsen, Oli
DP  - 2019 Jan
JT  - Journal of Puddles
AID - {DOI_ONE} [doi]

PMID- 900002
TI  - {TWO}
LID - S1234 [pii]
LID - {DOI_TWO} [doi]
AB  - {TWO_TEXT}
FAU - Vellorin, Mika
DP  - 2021 Mar
JT  - Annals of Fog
"""
WOS = f"""\
FN Clarivate Analytics Web of Science
VR 1.0
PT J
AU Quillmark, A
   Brandtsen, O
AF Quillmark, Ada
   Brandtsen, Oli
TI Tidal pools as
   slow computers
SO Journal of Puddles
AB {ONE_TEXT}
PY 2019
DI {DOI_ONE}
ER

PT J
AF Vellorin, Mika
TI {TWO}
SO Annals of Fog
AB {TWO_TEXT}
PY 2021
DI {DOI_TWO}
ER

EF
"""
ENW = f"""\
%0 Journal Article
%T {ONE}
%A Quillmark, Ada
%A Brandtsen, Oli
%J Journal of Puddles
%D 2019
%R {DOI_ONE}
%X {ONE_TEXT}

%0 Journal Article
%T {TWO}
%A Vellorin, Mika
%J Annals of Fog
%D 2021
%R {DOI_TWO}
%X {TWO_TEXT}
"""
ENDNOTE = f"""\
<?xml version="1.0"?><xml><records>
<record><contributors><authors><author><style face="normal">Quillmark, Ada</style></author><author>Brandtsen, Oli</author>
</authors></contributors><titles><title><style>Tidal pools</style><style> as slow computers</style></title>
<secondary-title>Journal of Puddles</secondary-title></titles><dates><year>2019</year></dates>
<electronic-resource-num>{DOI_ONE}</electronic-resource-num><abstract><style>{ONE_TEXT}</style></abstract></record>
<record><contributors><authors><author>Vellorin, Mika</author></authors></contributors><titles><title>{TWO}</title></titles>
<periodical><full-title>Annals of Fog</full-title></periodical><dates><year>2021</year></dates>
<electronic-resource-num>{DOI_TWO}</electronic-resource-num><abstract>{TWO_TEXT}</abstract></record>
</records></xml>
"""
ATOM = f"""\
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom"><title>Query</title>
<entry><id>http://arxiv.org/abs/1901.00001v2</id><published>2019-01-01T00:00:00Z</published>
<title>Tidal pools as
  slow computers</title><summary>  {ONE_TEXT}
</summary><author><name>Quillmark, Ada</name></author><author><name>Brandtsen, Oli</name></author>
<arxiv:doi>{DOI_ONE}</arxiv:doi><arxiv:journal_ref>Journal of Puddles</arxiv:journal_ref></entry>
<entry><id>http://arxiv.org/abs/2103.00002v1</id><published>2021-03-01T00:00:00Z</published>
<title>{TWO}</title><summary>{TWO_TEXT}</summary><author><name>Vellorin, Mika</name></author>
<arxiv:doi>{DOI_TWO}</arxiv:doi><arxiv:journal_ref>Annals of Fog</arxiv:journal_ref></entry></feed>
"""
OAI = f"""\
<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><ListRecords>
<record><header><identifier>oai:x:1</identifier></header><metadata><arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>1901.00001</id>
<created>2019-01-01</created><authors><author><keyname>Quillmark</keyname><forenames>Ada</forenames></author>
<author><keyname>Brandtsen</keyname><forenames>Oli</forenames></author></authors><title>{ONE}</title>
<journal-ref>Journal of Puddles</journal-ref><doi>{DOI_ONE}</doi><abstract>{ONE_TEXT}</abstract></arXiv></metadata></record>
<record><header status="deleted"><identifier>oai:x:9</identifier></header></record>
<record><header/><metadata><oai_dc:dc xmlns:oai_dc="x" xmlns:dc="y"><dc:title>{TWO}</dc:title>
<dc:creator>Vellorin, Mika</dc:creator><dc:description>{TWO_TEXT}</dc:description><dc:description>Comment: 3 pages, and a
very long comment on lanterns, fog and all that was found in it, which is longer than the abstract is.</dc:description>
<dc:date>2021-03-01</dc:date><dc:source>Annals of Fog</dc:source><dc:identifier>doi:{DOI_TWO}</dc:identifier></oai_dc:dc>
</metadata></record></ListRecords></OAI-PMH>
"""
ACL = f"""\
<?xml version='1.0' encoding='UTF-8'?>
<collection id="2019.puddle"><volume id="main"><meta><booktitle>Journal of Puddles</booktitle><year>2019</year></meta>
<frontmatter><url>2019.puddle-main.0</url></frontmatter>
<paper id="1"><title><fixed-case>T</fixed-case>idal pools as slow computers</title>
<author><first>Ada</first><last>Quillmark</last></author><author><first>Oli</first><last>Brandtsen</last></author>
<abstract>{ONE_TEXT}</abstract><url>2019.puddle-main.1</url><doi>{DOI_ONE}</doi></paper></volume>
<volume id="fog"><meta><booktitle>Annals of Fog</booktitle><year>2021</year></meta>
<paper id="1"><title>{TWO}</title><author><first>Mika</first><last>Vellorin</last></author>
<abstract>{TWO_TEXT}</abstract><doi>{DOI_TWO}</doi></paper></volume></collection>
"""
CSL = json.dumps(
    [
        {"title": ONE, "abstract": ONE_TEXT, "DOI": DOI_ONE, "container-title": "Journal of Puddles",
         "author": [{"family": "Quillmark", "given": "Ada"}, {"family": "Brandtsen", "given": "Oli"}],
         "issued": {"date-parts": [[2019, 1]]}},
        {"title": TWO, "abstract": TWO_TEXT, "DOI": DOI_TWO, "container-title": "Annals of Fog",
         "author": [{"literal": "Vellorin, Mika"}], "issued": {"raw": "2021"}},
    ],
    indent=1,
)  # fmt: skip
CROSSREF = json.dumps({"status": "ok", "message": {"total-results": 2, "items": [
    {"DOI": DOI_ONE, "title": [ONE], "abstract": ONE_TEXT, "container-title": ["Journal of Puddles"],
     "author": [{"family": "Quillmark", "given": "Ada"}, {"family": "Brandtsen", "given": "Oli"}],
     "issued": {"date-parts": [[2019]]}, "reference": [{"title": "Cited", "key": "1"}]},
    {"DOI": DOI_TWO, "title": ["Counting lanterns at night"], "subtitle": ["a field study"], "abstract": TWO_TEXT,
     "container-title": ["Annals of Fog"], "author": [{"family": "Vellorin", "given": "Mika"}],
     "issued": {"date-parts": [[2021, 3, 4]]}}]}})  # fmt: skip
JSONL = (
    json.dumps({"title": ONE, "abstract": ONE_TEXT, "authors": ["Quillmark, Ada", "Brandtsen, Oli"], "year": 2019,
                "venue": "Journal of Puddles", "doi": DOI_ONE}) + "\n\n"
    + json.dumps({"title": TWO, "abstract": TWO_TEXT, "authors": [{"name": "Vellorin, Mika"}], "year": "2021",
                  "journal": {"name": "Annals of Fog"}, "externalIds": {"DOI": DOI_TWO}}) + "\n"
)  # fmt: skip
ROWS = [
    ["Authors", "Title", "Year", "Source title", "DOI", "Abstract"],
    ["Quillmark, Ada; Brandtsen, Oli", ONE, "2019", "Journal of Puddles", DOI_ONE, ONE_TEXT],
    ["Vellorin, Mika", TWO, "2021.0", "Annals of Fog", f"https://doi.org/{DOI_TWO}", TWO_TEXT],
]


def table(separator: str) -> str:
    return "".join(separator.join(f'"{cell}"' for cell in row) + "\n" for row in ROWS)


EXPORTS = {  # name: (text, format found, lines on which the two records begin)
    "ris": (RIS, "RIS", (1, 11)),
    "bibtex": (BIBTEX, "BibTeX", (2, 10)),
    "pubmed": (PUBMED, "PubMed XML", (4, 15)),
    "medline": (MEDLINE, "MEDLINE", (1, 13)),
    "wos": (WOS, "Web of Science", (3, 16)),
    "enw": (ENW, "EndNote tags", (1, 10)),
    "endnote": (ENDNOTE, "EndNote XML", (2, 6)),
    "atom": (ATOM, "Atom", (2, 7)),
    "oai": (OAI, "OAI-PMH", (2, 7)),
    "acl": (ACL, "ACL Anthology XML", (4, 8)),
    "csl": (CSL, "JSON", (2, 26)),
    "crossref": (CROSSREF, "JSON", (1, 1)),
    "jsonl": (JSONL, "JSON lines", (1, 3)),
    "csv": (table(","), "table", (2, 3)),
    "semicolons": (table(";"), "table", (2, 3)),
    "tsv": (table("\t"), "table", (2, 3)),
}


def put(folder: Path, content: str | bytes, name: str = "a.export") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def said(reading: Reading, kind: str) -> list[tuple[str, str]]:
    return [(piece.source, piece.reason) for piece in reading.skipped if piece.kind == kind]


# --- every format -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_is_found_by_its_content_and_gives_the_same_papers(tmp_path: Path, name: str) -> None:
    text, format, lines = EXPORTS[name]
    reading = read([put(tmp_path, text)])
    assert [file.format for file in reading.files] == [format]
    got = [(p.title, p.abstract, p.authors, p.year, p.venue, p.doi, p.sources) for p in reading.papers]
    assert got == [
        (ONE, ONE_TEXT, ("Quillmark, Ada", "Brandtsen, Oli"), 2019, "Journal of Puddles", DOI_ONE, (f"a.export:{lines[0]}",)),
        (TWO, TWO_TEXT, ("Vellorin, Mika",), 2021, "Annals of Fog", DOI_TWO, (f"a.export:{lines[1]}",)),
    ]  # fmt: skip
    assert [p.id for p in reading.papers] == [paper_id(ONE), paper_id(TWO)]
    assert not said(reading, "refused") + said(reading, "no abstract")


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("variant", ["mark", "CRLF", "UTF-16", "gzip", "zip"])
def test_marks_line_ends_encodings_and_archives_change_nothing(tmp_path: Path, name: str, variant: str) -> None:
    text, format, lines = EXPORTS[name]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/side.export", text)
    raw = {
        "mark": b"\xef\xbb\xbf" + text.encode(), "CRLF": text.replace("\n", "\r\n").encode(),
        "UTF-16": text.encode("utf-16"), "gzip": gzip.compress(text.encode()), "zip": packed.getvalue(),
    }[variant]  # fmt: skip
    reading = read([put(tmp_path, raw)])
    shown = "a.export!in/side.export" if variant == "zip" else "a.export"
    assert [(p.title, p.abstract) for p in reading.papers] == [(ONE, ONE_TEXT), (TWO, TWO_TEXT)]
    assert [p.sources for p in reading.papers] == [(f"{shown}:{line}",) for line in lines]
    assert [file.format for file in reading.files] == [format]


def test_all_formats_together_are_two_papers_that_remember_every_source(tmp_path: Path) -> None:
    for name, (text, _, _) in EXPORTS.items():
        put(tmp_path, text, f"{name}.txt")
    reading = read([tmp_path])
    assert sorted(p.id for p in reading.papers) == sorted([paper_id(ONE), paper_id(TWO)])
    assert [len(p.sources) for p in reading.papers] == [len(EXPORTS)] * 2
    assert reading.records == 2 * len(EXPORTS)
    assert len(reading.merged) == reading.records - 2
    assert {m.reason for m in reading.merged} == {"the same DOI"}
    assert reading.papers[0].extra["pmid"] == "900001"
    assert reading.papers[0].extra["arxiv"] == "1901.00001"
    assert f"{len(EXPORTS)} files: 2 papers, {len(reading.merged)} merged" in reading.summary()


@pytest.mark.parametrize(
    ("text", "format"),
    [
        (f"# {ONE}\n\n## Abstract\n\n{ONE_TEXT}\n\n## Methods\n\nNone of it.\n", "Markdown"),
        (f'---\ntitle: "{ONE}"\nauthors:\n  - Quillmark, Ada\n  - Brandtsen, Oli\n---\n\n{ONE_TEXT}\n', "Markdown"),
        (f"{ONE}\n\nWe let a tidal pool add two numbers. It takes nine\nhours, and 97 % of the sums\nare right.\n", "pages"),
        (f"Title: {ONE}\n\nAbstract: We let a tidal pool add two numbers. It takes a long time of nine\n"
         "hours, and of all the sums which it was set in these hours most are quite\nright.\n", "plain text"),
    ],
)  # fmt: skip
def test_one_abstract_a_file(tmp_path: Path, text: str, format: str) -> None:
    if format == "pages":  # too short to show that its lines are broken: the caller says so
        (paper,) = read([put(tmp_path, text)], format="text").papers
    else:
        reading = read([put(tmp_path, text, "a.md")])
        (paper,) = reading.papers
        assert reading.files[0].format == format
    assert paper.title == ONE
    assert paper.abstract.startswith("We let a tidal pool add two numbers.")
    assert "\n" not in paper.abstract
    assert "None of it" not in paper.abstract


def test_wrapped_abstracts_under_titles_are_told_apart(tmp_path: Path) -> None:
    long = ("Of the many things that were counted here the lanterns are the ones that shine, and as they shine\n"
            "they are seen from far away by those who count them. They are counted twice, once by each of the\n"
            "two who went out, and where they differ a third is sent. All of it took nine nights in the fog.")  # fmt: skip
    reading = read([put(tmp_path, f"{ONE}\n\n{long}\n\n{TWO}\n\n{long.replace('nine', 'ten')}\n", "a.txt")])
    assert [(p.title, p.sources) for p in reading.papers] == [(ONE, ("a.txt:1",)), (TWO, ("a.txt:7",))]
    assert reading.papers[1].abstract == " ".join(long.replace("nine", "ten").split())


def test_a_format_may_be_named_and_columns_too(tmp_path: Path) -> None:
    file = put(tmp_path, f"Kopf|Inhalt\n{ONE}|{ONE_TEXT}\n")
    with pytest.raises(ReadError, match="no column for the title among: Kopf, Inhalt; say which with columns="):
        read([file], format="csv")
    (paper,) = read([file], columns={"title": "kopf", "abstract": "Inhalt"}).papers
    assert (paper.title, paper.abstract) == (ONE, ONE_TEXT)
    (paper,) = read(
        [put(tmp_path, json.dumps({"h": ONE, "t": ONE_TEXT}))], columns={"title": "h", "abstract": "t"}
    ).papers
    assert (paper.title, paper.abstract) == (ONE, ONE_TEXT)
    with pytest.raises(UsageError, match="no format is called 'word'"):
        read([file], format="word")
    with pytest.raises(UsageError, match="no field is called 'heading'"):
        read([file], columns={"heading": "Headline"})


# --- what formats hide --------------------------------------------------------------------------


def test_labels_of_a_structured_abstract_and_other_languages_are_kept(tmp_path: Path) -> None:
    text = PUBMED.replace(
        f"<AbstractText>{ONE_TEXT}</AbstractText></Abstract>",
        '<AbstractText Label="BACKGROUND">Pools are slow.</AbstractText><AbstractText Label="RESULTS" NlmCategory="X">It'
        " takes <b>nine</b> hours.</AbstractText></Abstract>",
    ).replace(
        "<PMID>900001</PMID>",
        '<PMID>900001</PMID><OtherAbstract Language="fre"><AbstractText>Lente.</AbstractText></OtherAbstract>',
    )
    paper = read([put(tmp_path, text)]).papers[0]
    assert paper.abstract == "BACKGROUND: Pools are slow.\nRESULTS: It takes nine hours."
    assert paper.extra["abstract (fre)"] == "Lente."


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("AB  - First part.\nAB  - Second one.", "First part.\nSecond one."),
        ("AB  - First part.\nN2  - First part.", "First part."),
        ("N2  - First part.\nAB  - First part. And more of it.", "First part. And more of it."),
        ("AB  - First\nline.\n\nA new paragraph.", "First line.\n\nA new paragraph."),
    ],
)
def test_an_abstract_split_over_lines_of_ris_is_whole(tmp_path: Path, lines: str, wanted: str) -> None:
    (paper,) = read([put(tmp_path, f"TY  - JOUR\nTI  - {ONE}\n{lines}\nKW  - pools\nER  - \n")]).papers
    assert paper.abstract == wanted


def test_latex_and_html_stay_as_given_and_are_shown_readable(tmp_path: Path) -> None:
    text = (r"@article{a, title={On {G{\"o}delian} puddles and {\c{c}a}}, author={Gr{\"u}nspan, {\'E}lo and {The Pool Group}},"
            r" abstract={A Poincar\'e map \& a r{\'e}sum{\'e} of $x_{i}$ in {DNA}, 5\% <sup>2</sup>.}}")  # fmt: skip
    (paper,) = read([put(tmp_path, text)]).papers
    assert paper.title == r"On G{\"o}delian puddles and {\c{c}a}"
    assert paper.abstract == r"A Poincar\'e map \& a r{\'e}sum{\'e} of $x_{i}$ in DNA, 5\% <sup>2</sup>."
    assert readable(paper.title) == "On Gödelian puddles and ça"
    assert readable(paper.abstract) == "A Poincaré map & a résumé of x_i in DNA, 5% 2."
    assert paper.authors == ("Grünspan, Élo", "The Pool Group")
    assert readable("<jats:title>Abstract</jats:title><jats:p>Fog is.</jats:p>") == "Abstract Fog is."
    assert readable(r"it\'s \"A\" \'i") == r"it\'s \"A\" \'i"  # escaped quotation marks are no accents


@pytest.mark.parametrize("nothing", ["", "[No abstract available]", "N/A", "No abstract provided.", "-"])
def test_what_stands_for_no_abstract_is_none(tmp_path: Path, nothing: str) -> None:
    reading = read([put(tmp_path, f"title,abstract\n{ONE},{nothing}\n{TWO},{TWO_TEXT}\n")])
    assert [p.title for p in reading.papers] == [TWO]
    assert said(reading, "no abstract") == [("a.export:2", "without an abstract")]


@pytest.mark.parametrize("encoding", ["latin-1", "gb18030", "cp1251", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    title = {"gb18030": "中文摘要的自动检索方法研究", "cp1251": "Измерение туманных фонарей ночью"}.get(
        encoding, "Größe der Pfützen im Café"
    )
    text = f"TY  - JOUR\nTI  - {title}\nAB  - {title} {title}. {TWO_TEXT}\nER  - \n"
    reading = read([put(tmp_path, text.encode(encoding))])
    assert reading.papers[0].title == title
    assert bool(said(reading, "passed over")) == (not encoding.startswith("utf"))  # a guess is reported


def test_a_foreign_line_in_utf8_costs_no_other(tmp_path: Path) -> None:
    one, two = RIS.replace("Ada", "Ådä").split("\n\n")
    reading = read(
        [put(tmp_path, one.encode() + b"\n\n" + two.replace("Mika", "Müka").encode("latin-1") + "é".encode())]
    )
    assert [p.authors[0] for p in reading.papers] == ["Quillmark, Ådä", "Vellorin, Müka"]


def test_control_characters_do_not_stop_a_reader(tmp_path: Path) -> None:
    for text in (PUBMED, RIS, CSL.replace("nine", "nine\\u0001\\ud800")):
        reading = read([put(tmp_path, text.replace("nine", "ni\x01\x0bne").replace("97 %", "97&#x1;%"))])
        assert len(reading.papers) == 2
        for paper in reading.papers:
            paper.abstract.encode()


# --- identity -----------------------------------------------------------------------------------


def rows(*cells: tuple[str, str, str, str]) -> str:
    return "title\tabstract\tauthors\tdoi\n" + "".join("\t".join(row) + "\n" for row in cells)


A, B = ("We measured the flow of cold honey through forty straws of glass.",
        "Seven owls were taught to sort letters by the colour of their stamps.")  # fmt: skip


@pytest.mark.parametrize(
    ("one", "two", "count"),
    [
        (("Honey", A, "", "10.5555/a"), ("Cold honey in straws", A + " More.", "", "https://doi.org/10.5555/A"), 1),
        (("Honey", A, "", ""), ("HONEY.", A + " More.", "", ""), 1),
        (("Honey", A, "", ""), ("Honey", "", "Gray A.", "10.5555/a"), 1),
        (("Honey", A, "Gray, Ada", ""), ("Honey", B, "A. Gray", ""), 1),
        (("Honey", A, "Gray, Ada", ""), ("Honey", B, "Reed, Bo", ""), 2),
        (("Honey", A, "", "10.5555/a"), ("Honey", B, "", "10.5555/b"), 2),
        (("Honey", A, "", ""), ("Honey", B, "", ""), 2),
        (("Honey", A, "", "10.5555/a"), ("Owls", B, "", "10.5555/a"), 2),  # a book's DOI for its chapters
        (("The flow of honey in straws", A, "", ""), ("The flow of honey in straw", A, "", "10.5555/a"), 1),
        (("The flow of honey, part 1", A, "", ""), ("The flow of honey, part 2", A, "", ""), 2),
        (("Honey", A, "", "10.48550/arXiv.2101.00001"), ("Honey", A, "", "10.5555/a"), 1),
    ],
)
def test_one_paper_or_two(tmp_path: Path, one: tuple[str, ...], two: tuple[str, ...], count: int) -> None:
    for n, pair in enumerate([(one, two), (two, one)]):
        reading = read([put(tmp_path, rows(*pair), f"{n}.tsv")])  # type: ignore[arg-type]
        assert len(reading.papers) == count
        assert len({paper.id for paper in reading.papers}) == count
        assert len(reading.merged) == 2 - count
        assert sorted(s for p in reading.papers for s in p.sources) == [f"{n}.tsv:2", f"{n}.tsv:3"]
        if count == 1:
            assert reading.papers[0].abstract == max(one[1], two[1], key=len)


def test_ids_do_not_depend_on_the_order_of_files(tmp_path: Path) -> None:
    cells = [("Honey", A, "Gray, Ada", "10.5555/a"), ("Honey", B, "Reed, Bo", "10.5555/b"), ("Owls", B, "", "")]
    found = [read([put(tmp_path, rows(*order))]).papers for order in (cells, cells[::-1])]
    assert {(p.id, p.abstract) for p in found[0]} == {(p.id, p.abstract) for p in found[1]}
    assert paper_id("Honey") in {p.id for p in found[0]}


def test_a_record_that_names_two_numbers_unites_what_each_of_them_names(tmp_path: Path) -> None:
    text = "title,abstract,doi,pmid\n" + f"Honey,{A},10.5555/a,\nCold honey,{A},,77\nHoney!,,10.5555/a,77\n"
    text = text.replace(f"Cold honey,{A}", f"Cold honey in long straws,{A[:40]} else.")
    (paper,) = read([put(tmp_path, text)]).papers
    assert (paper.doi, paper.extra["pmid"], len(paper.sources)) == ("10.5555/a", "77", 3)


def test_a_record_without_abstract_does_not_unite_the_chapters_of_a_book(tmp_path: Path) -> None:
    text = rows(("Honey", A, "", "10.5555/book"), ("Owls", B, "", "10.5555/book"), ("The book", "", "", "10.5555/book"))
    reading = read([put(tmp_path, text)])
    assert [p.title for p in reading.papers] == ["Honey", "Owls"]
    assert reading.records == len(reading.papers) + len(reading.merged)


def test_a_paper_of_the_library_keeps_its_id_and_gains_sources(tmp_path: Path) -> None:
    known = Paper(
        "0123456789ab", "Old name of honey", A, doi="10.5555/a", sources=("old.bib:1",), extra=FrozenMap({"k": "v"})
    )
    other = Paper("ba9876543210", "Owls", B, sources=("old.bib:9",))
    text = rows(("Honey", A + " More.", "Gray, Ada", "10.5555/a"), ("Fog", TWO_TEXT, "", ""))
    honey, fog = read([put(tmp_path, text)], known=[known, other]).papers
    assert (honey.id, honey.title, honey.sources) == (known.id, known.title, ("old.bib:1", "a.export:2"))
    assert honey.abstract == A + " More."
    assert honey.extra["k"] == "v"
    assert fog.sources == ("a.export:3",)
    assert read([put(tmp_path, text)], known=[honey, fog]).papers == (honey, fog)  # adding again changes nothing


def test_a_record_that_shows_a_new_paper_to_be_a_stored_one_loses_no_source(tmp_path: Path) -> None:
    known = Paper("0123456789ab", "Honey", A, sources=("old.nbib:1",), extra=FrozenMap({"pmid": "77"}))
    text = f"title,abstract,doi,pmid\nCold honey in straws,{A},10.5555/a,\nHoney,,10.5555/a,77\n"
    (paper,) = read([put(tmp_path, text)], known=[known]).papers
    assert (paper.id, paper.title, paper.doi) == ("0123456789ab", "Honey", "10.5555/a")
    assert sorted(paper.sources) == ["a.export:2", "a.export:3", "old.nbib:1"]


# --- broken files -------------------------------------------------------------------------------

BROKEN = {  # (text, line of what is refused, part of the reason): the second paper is read all the same
    "ris without end": (RIS.replace("ER  -\n\n", "\n"), None, ""),
    "ris without title": (RIS.replace(f"TI  - {ONE}\n", ""), 1, "an abstract without a title"),
    "bibtex unclosed": (BIBTEX.replace("sums are right.}", "sums are right."), 2, "broken BibTeX"),
    "bibtex key twice": (BIBTEX.replace("vellorin,", "quillmark2019,"), None, ""),
    "xml mismatched": (PUBMED.replace("</Abstract>\n  <AuthorList>", "</Abtract><AuthorList>", 1), 8, "mismatched tag"),
    "xml unclosed record": (PUBMED.replace("</PubmedData></PubmedArticle>", "</PubmedData>"), 15, "begins at line 4"),
    "xml on one line": (ATOM.replace("\n", " ").replace("</author>", "", 1), 1, "mismatched tag"),
    "json broken": (CSL.replace('"DOI"', 'DOI"', 1), 5, "broken JSON"),
    "json line broken": ('{"title": "x\n' + JSONL.split("\n\n")[1], 1, "broken JSON"),
    "csv unclosed": (f'title,abstract\n{ONE},"We let a pool\n{TWO},"{TWO_TEXT}"\n', 2, "never closed"),
    "csv ragged": (
        f"title,abstract\n{ONE}\n{TWO},{TWO_TEXT}\n{ONE},{ONE_TEXT},more,and more\n",
        4,
        "cells where the header names 2",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_is_refused_with_its_line_and_ends_no_file(tmp_path: Path, name: str) -> None:
    text, line, reason = BROKEN[name]
    reading = read([put(tmp_path, text)])
    assert reading.papers[-1].title == TWO
    assert reading.papers[-1].abstract == TWO_TEXT
    if line is None:
        assert not said(reading, "refused")
    else:
        assert any(source == f"a.export:{line}" and reason in why for source, why in said(reading, "refused"))


def test_a_bad_file_ends_no_run(tmp_path: Path) -> None:
    put(tmp_path, RIS, "good.ris")
    put(tmp_path, b"\x00\x01\x02" * 99, "bad.bib")
    put(tmp_path, "a,b,c\n1,2,3\n4,5,6\n", "numbers.csv")
    put(tmp_path, "<html><body>Hello</body></html>", "page.xml")
    put(tmp_path, b"%PDF-1.7", "paper.pdf")
    (tmp_path / "locked.ris").symlink_to(tmp_path / "nowhere.ris")
    reading = read([tmp_path, tmp_path / "missing.ris"])
    assert len(reading.papers) == 2
    assert dict(said(reading, "refused")) == {
        str(tmp_path / "missing.ris"): "no such file or folder; check the spelling",
        "bad.bib": "is a binary file, not text",
        "locked.ris": "cannot be read (No such file or directory); check its permissions",
        "numbers.csv:1": "is a table without a column for the title among: a, b, c",
        "page.xml:1": "is a web page; save it as text",
    }
    assert said(reading, "passed over") == [
        (
            "paper.pdf",
            "is a PDF (papers are not read, records are: export them from a reference manager), a binary file, not text",
        )
    ]


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        put(tmp_path / name, rows((name, A if name == "one" else B, "", "")), "a.tsv")
    together = read([tmp_path])
    assert [p.sources for p in together.papers] == [("one/a.tsv:2",), ("two/a.tsv:2",)]
    apart = read([tmp_path / "one", tmp_path / "two"])
    assert [p.sources for p in apart.papers] == [(f"{tmp_path.as_posix()}/{n}/a.tsv:2",) for n in ("one", "two")]


# --- hostile files ------------------------------------------------------------------------------

BILLION = '<!DOCTYPE feed [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        f"{BILLION}]><feed><entry><title>&i;</title></entry></feed>",
        '<!DOCTYPE feed [<!ENTITY x SYSTEM "file:///etc/passwd">]><feed><entry><title>&x;</title></entry></feed>',
        '<!DOCTYPE feed [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]><feed><entry><title>x</title></entry></feed>',
        "<feed><entry>" + "<a>" * 100_000,
        '<!DOCTYPE feed [<!ENTITY a "' + "x" * 50_000 + '">]><feed><entry><title>' + "&a;" * 50_000,  # quadratic
        "<!DOCTYPE feed [<!ENTITY % a \"<!ENTITY b 'x'>\"> %a;]><feed><entry><title>&b;</title></entry></feed>",
    ],
)
def test_xml_bombs_are_refused_and_nothing_is_fetched(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReadError, match=r"a\.export:1: (declares entities|nests elements)"):
        read([put(tmp_path, text)])


def test_an_entity_of_a_dtd_that_is_not_read_is_its_character(tmp_path: Path) -> None:
    text = PUBMED.replace("Tidal <i>", "Tidal caf&eacute; <i>")
    assert read([put(tmp_path, text)]).papers[0].title == "Tidal café pools as slow computers"


def test_a_file_that_shrinks_too_well_is_refused(tmp_path: Path) -> None:
    zeros = b"title,abstract\n" + b"a" * 40_000_000
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.csv", zeros)
        archive.writestr("good.ris", RIS)
    with pytest.raises(ReadError, match="100 times its size"):
        read([put(tmp_path, gzip.compress(zeros))])
    reading = read([put(tmp_path, packed.getvalue(), "a.zip")])
    assert len(reading.papers) == 2
    assert said(reading, "refused")[0][0] == "a.zip!bomb.csv"


def test_limits_on_bytes_and_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("one.ris", "two.ris", "three.ris"):
            archive.writestr(name, RIS)
    file = put(tmp_path, packed.getvalue(), "a.zip")
    monkeypatch.setattr(files, "ARCHIVE_BYTES", len(RIS) * 2)
    assert [source for source, _ in said(read([file]), "refused")] == ["a.zip!three.ris"]
    monkeypatch.setattr(files, "MEMBERS", 2)
    with pytest.raises(ReadError, match="more than 2 members"):
        read([file])
    monkeypatch.setattr(files, "FILE_BYTES", 20)
    with pytest.raises(ReadError, match="is larger than"):
        read([file])
    monkeypatch.setattr(files, "FILE_BYTES", 400)
    packed_one = put(tmp_path, gzip.compress(RIS.encode()))
    with pytest.raises(ReadError, match="unpacks to more than"):
        read([packed_one])


@pytest.mark.parametrize("name", ["../up.ris", "/abs.ris", "a/../../b.ris", "C:\\x.ris", "..\\y.ris"])
def test_path_tricks_are_refused_and_write_nothing(tmp_path: Path, name: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, RIS)
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(ReadError, match="has a path that leaves its folder"):
        read([put(inside, packed.getvalue())])
    assert [p.name for p in tmp_path.rglob("*")] == ["inside", "a.export"]


def test_archives_in_archives_links_and_documents_are_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    link = zipfile.ZipInfo("link.ris")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in.gz", gzip.compress(b"x"))
        archive.writestr(link, "/etc/passwd")
        archive.writestr("small.ris", RIS, compress_type=zipfile.ZIP_LZMA)
        archive.writestr("good.ris", RIS)
        archive.writestr("__MACOSX/._good.ris", b"\x00\x05")
    reading = read([put(tmp_path, packed.getvalue())])
    assert said(reading, "refused") == [
        ("a.export!in.gz", "is an archive in an archive; unpack it first"),
        ("a.export!link.ris", "is a link, not a file"),
        ("a.export!small.ris", "is packed in a way not read here; unpack it first"),
    ]
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
    with pytest.raises(ReadError, match="an Office document"):
        read([put(tmp_path, packed.getvalue())])


@pytest.mark.parametrize("raw", [gzip.compress(RIS.encode())[:-20], b"\x1f\x8b\x08garbage", b"PK\x03\x04garbage"])
def test_damaged_archives_are_refused_in_one_line(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(ReadError, match=r"a\.export: is a (damaged )?(gzip|zip) file") as caught:
        read([put(tmp_path, raw)])
    assert "\n" not in str(caught.value)


# --- anything at all ----------------------------------------------------------------------------

CRUMBS = ["{", "}", '"', "\n", "\r", "@a{", "<", ">", "&", "&#1;", "\0", "TY  - ", "ER  - ", "[", "]", ",", "\\", "#", "]]>",
          "<!--", "<![CDATA[", "\ufeff", "1e999", "$", "%0 ", "PT J", "PMID- 3", "---\n", "é", "\\ud800", "\t", "<record>",
          "</entry>", "\u2028", "<!ENTITY a 'b'>", "title", "10.5555/", "\x0b"]  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """One of the exports, cut, doubled and sprinkled with what readers stumble over."""
    text = draw(st.sampled_from([text for text, _, _ in EXPORTS.values()]))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 10, 300])))
        between = draw(st.sampled_from(CRUMBS) | st.text(max_size=5) | st.just(text[end : end + 200]))
        text = text[:start] + between + text[end:]
    raw = text.encode("utf-8", "replace")
    at = draw(st.integers(0, len(raw)))
    return raw[:at] + draw(st.binary(max_size=3)) + raw[at:]


def attempt(file: Path, format: str | None = None) -> Reading | str:
    """What reading a file gives: papers, or the one line that says why there are none."""
    try:
        return read([file], format=format)
    except ReadError as error:
        return str(error)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed")


@settings(max_examples=300)
@given(raw=mangled() | st.binary(max_size=300), format=st.none() | st.sampled_from(sorted(BY_NAME)))
def test_whatever_a_file_holds_it_gives_papers_or_one_clear_line(fuzzed: Path, raw: bytes, format: str | None) -> None:
    file, began = put(fuzzed, raw, "any.export"), time.process_time()
    reading = attempt(file, format)
    if isinstance(reading, str):
        assert "any.export" in reading
        assert "\n" not in reading
    else:
        lines = raw.count(b"\n") + raw.count(b"\r") + 1
        for paper in reading.papers:
            assert paper.title.strip()
            assert paper.abstract.strip()
            (paper.title + paper.abstract + "".join(paper.authors)).encode()  # can be stored
        sources = [*(s for p in reading.papers for s in p.sources), *(s.source for s in reading.skipped)]
        assert all(1 <= int(source.rsplit(":", 1)[1]) <= lines for source in sources)
        assert len({paper.id for paper in reading.papers}) == len(reading.papers)
        empty = len(said(reading, "no abstract"))
        assert reading.records == len(reading.papers) + len(reading.merged) + empty  # each accounted for
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "text",
    [
        "@article{a, title={" + "{" * 100_000,
        "@article{a, title={x\n" * 5_000,
        "[" * 100_000,
        '{"a":' * 50_000,
        '[\n {"title": "x" "y": 1},' + '\n {"title": "x" "y": 1},' * 20_000,
        "<feed>" + "<entry><b></entry>" * 20_000,
        "<feed>" + "<entry>" * 20_000,
        "title,abstract\n" + 'a,"b\n' * 20_000,
        "TY  - JOUR\nTI  - x\nAB  - a\n" + "more text\n" * 50_000,
        "TY  - JOUR\nTI  - x\n" + "".join(f"AB  - abc {n} def\n" for n in range(10_000)),
        "# " + " " * 200_000 + "x",
        "@a{" + " " * 200_000,
        "title,abstract,authors\nx,y," + " " * 200_000 + "z",
        "A title\n" + "." * 100_000 + "x",
        "TY  - JOUR\nTI  - x\nAU  - " + "{" * 200_000 + "\nAB  - y\n",
        "title,abstract\n" + f"x,{'a' * 100_000}\n" + "x,b\n" * 5_000,
    ],
    ids=lambda text: repr(text[:25]),
)
def test_no_text_takes_longer_than_its_length_asks(tmp_path: Path, text: str) -> None:
    began = time.process_time()
    reading = attempt(put(tmp_path, text))
    assert reading
    assert not isinstance(reading, str) or "\n" not in reading
    assert time.process_time() - began < 20  # the smallest square of these lengths would take minutes


def test_many_papers_of_one_title_stay_apart_in_time(tmp_path: Path) -> None:
    rows_ = ((f"Editorial\tThis is {n * 7919} of {n}.\tAuthor{n}, B\t10.5555/{n}\n") for n in range(2_000))
    reading = read([put(tmp_path, "title\tabstract\tauthors\tdoi\n" + "".join(rows_))])
    assert len(reading.papers) == len({p.id for p in reading.papers}) == 2_000


# --- as programs write them ---------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_programs_export_is_the_paper(tmp_path: Path, program: str) -> None:
    (paper,) = read([put(tmp_path, PROGRAMS[program])]).papers
    assert paper.title.rstrip(".") == TITLE
    assert readable(paper.abstract).removeprefix("Background ") == TEXT
    assert [surname(name) for name in paper.authors] == ["quillmark", "brandtsen"]
    assert (paper.venue, paper.doi) == ("Journal of Puddles", None if program == "OpenReview" else DOI)
    assert paper.year == (None if program == "OpenReview" else 2019)
    assert paper.extra.get("pmid", "900001") == "900001"
    assert not said(read([put(tmp_path, PROGRAMS[program])]), "refused")


def test_the_exports_of_one_paper_are_one_paper(tmp_path: Path) -> None:
    for name, text in PROGRAMS.items():
        put(tmp_path, text, f"{name}.txt")
    papers = [paper for paper in read([tmp_path]).papers if paper.title.startswith("Tidal")]
    assert [len(paper.sources) for paper in papers] == [len(PROGRAMS)]


@pytest.mark.parametrize(("text", "why"), NOTHING_IN_THEM.items(), ids=lambda text: repr(text[:20]))
def test_what_holds_no_paper_says_what_to_do(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ReadError) as caught:
        read([put(tmp_path, text)])
    assert why in str(caught.value)
