"""What programs write when they export, with a paper that was made up: the habits of each, not only its format."""

from __future__ import annotations

import json

TITLE = "Tidal pools as slow computers"
TEXT = "We let a tidal pool add two numbers. It takes nine hours, and 97 % of the sums are right."
LATEX = TEXT.replace("%", r"\%")
DOI = "10.5555/pool.1"
AUTHORS = "Quillmark, Ada; Brandtsen, Oli"


def table(*columns: tuple[str, str], separator: str = ",", first: str = "") -> str:
    """A table of one paper, from (name, value) of each column."""
    lines = [separator.join(f'"{cell}"' for cell in row) for row in zip(*columns, strict=True)]
    return first + "\n".join(lines) + "\n"


ZOTERO_CSV = "\ufeff" + table(
    ("Key", "ABCD1234"), ("Item Type", "journalArticle"), ("Publication Year", "2019"), ("Author", AUTHORS),
    ("Title", TITLE), ("Publication Title", "Journal of Puddles"), ("ISSN", "1234-5678"), ("DOI", DOI),
    ("Url", "https://example.org/p"), ("Abstract Note", TEXT), ("Date", "2019-01"), ("Date Added", "2024-01-01 10:00:00"),
    ("Short Title", "Tidal pools"), ("Language", "en"), ("Extra", ""), ("Manual Tags", "pools; slow"), ("Editor", ""),
)  # fmt: skip
SCOPUS_CSV = "\ufeff" + table(
    ("Authors", "Quillmark A.; Brandtsen O."), ("Author full names", "Quillmark, Ada (570001); Brandtsen, Oli (570002)"),
    ("Author(s) ID", "570001; 570002"), ("Title", TITLE), ("Year", "2019"), ("Source title", "Journal of Puddles"),
    ("Cited by", "3"), ("DOI", DOI), ("Link", "https://scopus.example/1"), ("Abstract", TEXT), ("Author Keywords", "pools"),
    ("Document Type", "Article"), ("Source", "Scopus"), ("EID", "2-s2.0-1"),
) + '"Vellorin M.","Vellorin, Mika (570003)","570003","Lanterns","2021","Fog","","","","[No abstract available]","","","",""\n'  # fmt: skip
WOS_TABS = "\ufeff" + table(
    ("PT", "J"), ("AU", "Quillmark, A; Brandtsen, O"), ("AF", AUTHORS), ("TI", TITLE), ("SO", "Journal of Puddles"),
    ("LA", "English"), ("DE", "pools; slow"), ("ID", ""), ("AB", TEXT), ("PY", "2019"), ("VL", "2"), ("DI", DOI),
    ("UT", "WOS:000000001"), separator="\t",
).replace('"', "")  # fmt: skip
DIMENSIONS_CSV = table(
    ("Rank", "500"), ("Publication ID", "pub.100000001"), ("DOI", DOI), ("PMID", "900001"), ("Title", TITLE),
    ("Abstract", TEXT), ("Source title", "Journal of Puddles"), ("Publication date", "2019-01-01"), ("PubYear", "2019"),
    ("Publication date (online)", ""), ("Authors", AUTHORS), ("Times cited", "3"), ("Dimensions URL", "https://d.example/1"),
    first='"About the data: Exported on Jan 01, 2024. Criteria: ""pools"" in title and abstract."\n',
)  # fmt: skip
IEEE_CSV = "\ufeff" + table(
    ("Document Title", TITLE), ("Authors", "A. Quillmark; O. Brandtsen"), ("Author Affiliations", "Univ; Univ"),
    ("Publication Title", "Journal of Puddles"), ("Publication Year", "2019"), ("Abstract", TEXT), ("DOI", DOI),
    ("PDF Link", "https://ieee.example/1"), ("Author Keywords", "pools;slow"),
)  # fmt: skip
MENDELEY_BIB = rf"""@article{{Quillmark2019,
abstract = {{{LATEX}}},
author = {{Quillmark, Ada and Brandtsen, Oli}},
doi = {{{DOI}}},
file = {{:C$\backslash$:/Users/x/a.pdf:pdf}},
journal = {{Journal of Puddles}},
mendeley-groups = {{A/B}},
month = {{jan}},
pmid = {{900001}},
title = {{{{{TITLE}}}}},
year = {{2019}}
}}
"""
ZOTERO_BIB = f"""
@article{{quillmark_tidal_2019,
\ttitle = {{{TITLE}}},
\turl = {{https://example.org/p}},
\tdoi = {{{DOI}}},
\tabstract = {{{LATEX}}},
\tlanguage = {{en}},
\turldate = {{2024-01-01}},
\tjournal = {{Journal of Puddles}},
\tauthor = {{Quillmark, Ada and Brandtsen, Oli}},
\tmonth = jan,
\tyear = {{2019}},
\tnote = {{PMID: 900001}},
\tfile = {{Full Text:/home/x/a.pdf:application/pdf}},
}}
"""
JABREF_BIB = f"""% Encoding: UTF-8

@String{{jp = {{Journal of Puddles}}}}

@InProceedings{{Quillmark2019,
  author   = {{Quillmark, Ada and Brandtsen, Oli}},
  title    = {{{TITLE}}},
  crossref = {{book}},
  month    = mar # "~4",
  journal  = jp,
  abstract = {{{TEXT}}},
  doi      = {{{DOI}}},
  file     = {{a.pdf:files/a.pdf:PDF}},
}}

@Proceedings{{book,
  title = {{All pools}},
  year  = {{2019}},
}}

@Comment{{jabref-meta: databaseType:biblatex;}}

@Comment{{jabref-meta: grouping:
0 AllEntriesGroup:;
1 StaticGroup:x\\;0\\;1\\;\\;\\;\\;;
}}
"""
ADS_BIB = f"""@ARTICLE{{2019JPud...2....1Q,
       author = {{{{Quillmark}}, Ada and {{Brandtsen}}, Oli}},
        title = "{{{TITLE}}}",
      journal = {{Journal of Puddles}},
         year = 2019,
        month = jan,
     abstract = "{{{LATEX}}}",
          doi = {{{DOI}}},
archivePrefix = {{arXiv}},
       eprint = {{1901.00001}},
 primaryClass = {{astro-ph.GA}},
}}
"""
OVID_RIS = f"""TY  - JOUR
DB  - Embase
AN  - 600000001
T1  - {TITLE}
A1  - Quillmark A.
A1  - Brandtsen O.
Y1  - 2019//
N2  - {TEXT}
JF  - Journal of Puddles
LA  - English
DO  - https://dx.doi.org/{DOI}
UR  - https://ovid.example/?T=JS
ER  -\x20

""".replace("\n", "\r\n")
REFWORKS = f"""RT Journal Article
SR Electronic
ID 1
A1 Quillmark, Ada
A1 Brandtsen, Oli
T1 {TITLE}
JF Journal of Puddles
YR 2019
AB {TEXT}
DO {DOI}
ER\x20
"""
INDEX: dict[str, list[int]] = {}
for _at, _word in enumerate(TEXT.split()):
    INDEX.setdefault(_word, []).append(_at)
OPENALEX = json.dumps({"meta": {"count": 1, "page": 1}, "group_by": [], "results": [
    {"id": "https://openalex.example/W1", "doi": f"https://doi.org/{DOI}", "title": TITLE, "display_name": TITLE,
     "publication_year": 2019, "ids": {"pmid": "https://pubmed.ncbi.nlm.nih.gov/900001"},
     "primary_location": {"source": {"display_name": "Journal of Puddles"}},
     "authorships": [{"author_position": "first", "author": {"display_name": "Ada Quillmark"}},
                     {"author": {"display_name": "Oli Brandtsen"}}],
     "abstract_inverted_index": INDEX, "concepts": [{"display_name": "Pool"}]}]})  # fmt: skip
SEMANTIC_SCHOLAR = json.dumps({"total": 1, "offset": 0, "data": [
    {"paperId": "a" * 40, "externalIds": {"DOI": DOI, "ArXiv": "1901.00001", "CorpusId": 5}, "title": TITLE,
     "abstract": TEXT, "venue": "", "journal": {"name": "Journal of Puddles"}, "year": 2019,
     "authors": [{"authorId": "1", "name": "Ada Quillmark"}, {"authorId": "2", "name": "Oli Brandtsen"}],
     "tldr": {"model": "x", "text": "short"}}]})  # fmt: skip
EUROPE_PMC = json.dumps({"version": "6.9", "hitCount": 1, "request": {"queryString": "pools"}, "resultList": {"result": [
    {"id": "900001", "source": "MED", "pmid": "900001", "doi": DOI, "title": f"{TITLE}.", "authorString": "Quillmark A.",
     "authorList": {"author": [{"fullName": "Quillmark A", "firstName": "Ada", "lastName": "Quillmark"},
                               {"fullName": "Brandtsen O", "firstName": "Oli", "lastName": "Brandtsen"}]},
     "journalInfo": {"yearOfPublication": 2019, "journal": {"title": "Journal of Puddles"}}, "pubYear": "2019",
     "abstractText": f"<h4>Background</h4>{TEXT}", "language": "eng"}]}})  # fmt: skip
ZOTERO_JSON = json.dumps([
    {"key": "AB", "version": 1, "library": {"type": "user", "id": 1, "name": "x"}, "data": {
        "itemType": "journalArticle", "title": TITLE, "abstractNote": TEXT, "publicationTitle": "Journal of Puddles",
        "creators": [{"creatorType": "author", "firstName": "Ada", "lastName": "Quillmark"},
                     {"creatorType": "author", "firstName": "Oli", "lastName": "Brandtsen"}],
        "date": "2019-01", "DOI": DOI, "url": ""}},
    {"key": "AC", "data": {"itemType": "attachment", "title": "Full Text PDF"}},
    {"key": "AD", "library": {"name": "x"}, "data": {"itemType": "note", "note": "<p>hi</p>"}}])  # fmt: skip
OPENREVIEW = json.dumps([{"id": "x1", "content": {
    "title": {"value": TITLE}, "abstract": {"value": TEXT}, "authors": {"value": ["Ada Quillmark", "Oli Brandtsen"]},
    "venue": {"value": "Journal of Puddles"}}}])  # fmt: skip

PROGRAMS = {  # name: what it writes
    "Zotero CSV": ZOTERO_CSV, "Scopus CSV": SCOPUS_CSV, "Web of Science tabs": WOS_TABS, "Dimensions CSV": DIMENSIONS_CSV,
    "IEEE CSV": IEEE_CSV, "Mendeley BibTeX": MENDELEY_BIB, "Zotero BibTeX": ZOTERO_BIB, "JabRef BibTeX": JABREF_BIB,
    "ADS BibTeX": ADS_BIB, "Ovid RIS": OVID_RIS, "RefWorks": REFWORKS, "OpenAlex": OPENALEX,
    "Semantic Scholar": SEMANTIC_SCHOLAR, "Europe PMC": EUROPE_PMC, "Zotero JSON": ZOTERO_JSON, "OpenReview": OPENREVIEW,
}  # fmt: skip

PUBMED_CSV = table(("PMID", "900001"), ("Title", TITLE), ("Authors", "Quillmark A, Brandtsen O."), ("DOI", DOI))
SCHOLAR_BIB = (
    f"@article{{quillmark2019tidal,\n  title={{{TITLE}}},\n  author={{Quillmark, Ada}},\n  year={{2019}}\n}}\n"
)
PUBMED_TEXT = f"""1. J Pud. 2019 Jan;2(1):1-9. doi: {DOI}.

{TITLE}.

Quillmark A(1), Brandtsen O(2).

Author information:
(1)University of Puddles, Example Town.

{TEXT}

DOI: {DOI}
PMID: 900001 [Indexed for MEDLINE]
"""
NOTHING_IN_THEM = {  # a file without a paper to ask: what the one line says
    PUBMED_CSV: "PubMed: format PubMed, not CSV",
    SCHOLAR_BIB: "Google Scholar and DBLP give none",
    PUBMED_TEXT: "is PubMed's text for people; save it from PubMed once more, with format PubMed",
    json.dumps({"title": [TITLE, "x"], "abstract": [TEXT, "y"]}): "a table by columns, not by papers",
    json.dumps({"title": {"0": TITLE, "1": "x"}, "abstract": {"0": TEXT, "1": "y"}}): "a table by columns",
    "PAR1\x15\x04\x15": "is a Parquet table (save it as CSV or JSON lines)",
    "<modsCollection><mods/></modsCollection>": "(<modsCollection>, MODS); export it as RIS, BibTeX or CSV instead",
}
