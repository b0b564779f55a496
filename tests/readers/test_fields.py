"""What the fields of a record are: nothing is nothing, a copyright is no abstract, a preprint gives way to its journal."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from made import S4

from rag.readers.fields import arxiv_year, gathered, is_nothing, without_rights
from rag.readers.merge import merged
from rag.readers.record import Record, Skipped
from rag.records import FrozenMap, Paper, unmarked
from rag.show import export, lines, render

BODY = "Terns were ringed on three piers. Nests rose by 12 percent once the gulls had left."


@pytest.mark.parametrize("nothing", ["None", "nan", "NaN", "N/A", "n/a", "NA", "null", "-", "--", "—", "?", " ", "[]", "(none)", "#N/A",
                                     "undefined", float("nan"), None])  # fmt: skip
def test_nothing_is_nothing_in_every_field(nothing):
    assert is_nothing(nothing)
    text = None if nothing is None else str(nothing)
    made = gathered(
        "a.csv:2", "Terns", BODY, authors=[text or "", "Gull, Ada"], year=nothing, venue=text, doi=text, url=text,
        extra={"keywords": text, "language": text},
    )  # fmt: skip
    assert isinstance(made, Record)
    assert (made.authors, made.year, made.venue, made.doi, made.url, dict(made.extra)) == (
        ("Gull, Ada",), None, None, None, None, {},
    )  # fmt: skip
    empty = gathered("a.csv:2", "Terns", text)
    assert isinstance(empty, Record)
    assert empty.abstract == ""
    assert isinstance(gathered("a.csv:2", text, BODY), Skipped)


def test_what_only_resembles_nothing_is_something():
    made = gathered("a:1", "Nothing but terns", "None of the terns left.", authors=["Na Li"], venue="Null Results")
    assert isinstance(made, Record)
    assert (made.title, made.abstract, made.authors, made.venue) == (
        "Nothing but terns", "None of the terns left.", ("Na Li",), "Null Results",
    )  # fmt: skip


@pytest.mark.parametrize(
    "tail",
    [
        r"{\textcopyright} 2011 Pier Press B.V. All rights reserved.",
        r"\textcopyright{} 2011 Pier-Verlag Berlin",
        "© 2011 Pier Press.",
        "(c) 2011 Pier Press, all rights reserved",
        "(C) 2011 Pier Science Ltd. All rights reserved.",
        "&copy; 2011 IEEE.",
        "© The Author(s) 2011. Published by Pier University Press on behalf of the Tern Society.",
        "Copyright © 2011 The Authors. Journal of Terns published by John Wiley & Sons Ltd on behalf of the Tern Society.",
        "© 2011 by the authors. Licensee MDPI, Basel, Switzerland.",
        "Published by Elsevier Ltd.",
        "This article is protected by copyright. All rights reserved.",
        "(PsycINFO Database Record (c) 2011 APA, all rights reserved)",
        "Copyright of Terns is the property of Pier Press and its content may not be copied without permission. "
        "However, users may print articles for individual use. This abstract may be abridged.",
    ],
)
def test_a_publishers_copyright_is_no_part_of_an_abstract(tail):
    assert without_rights(f"{BODY} {tail}") == BODY
    assert without_rights(f"{BODY}\n\n{tail}") == BODY


@pytest.mark.parametrize(
    "end",
    [
        "Copyright law changed in 2011.",
        "We show what © means to readers.",
        "© 2011 Pier Press. We then show that terns fly.",
        "All rights reserved by the crown were lost in 1688, as the treaty shows.",
        "(c) 2011 levels were lower than those before.",
        "It was published by three towns.",
    ],
)
def test_words_on_copyright_are_words(end):
    assert without_rights(f"{BODY} {end}") == f"{BODY} {end}"


def test_the_year_of_an_arxiv_number():
    numbers = ["0704.0001", "1203.04567", "hep-th/9711200", "math/0703001", "cs.LG/0701001", "1399.00001", "x", None]
    assert [arxiv_year(number) for number in numbers] == [2007, 2012, 1997, 2007, 2007, None, None, None]


# --- a preprint and its journal -----------------------------------------------------------------

PREPRINT = Record("Terns of the pier", BODY, "a.bib:1", ("Ada Gull",), 2021, "arXiv", "10.48550/arxiv.2101.00001", None,
                  FrozenMap({"arxiv": "2101.00001"}))  # fmt: skip
JOURNAL = Record("Terns of the Pier", f"{BODY} More.", "b.bib:1", ("Gull, A.",), 2023, "Pier Letters", "10.5555/t.1")
OTHER = replace(JOURNAL, source="c.ris:1", year=None, venue=None)
BIORXIV = replace(PREPRINT, source="d.json:1", venue="bioRxiv", doi="10.1101/2021.01.01.123456", extra=FrozenMap())


@pytest.mark.parametrize("records", list(permutations([PREPRINT, JOURNAL, OTHER])))
def test_year_venue_and_doi_are_of_the_journals_record(records):
    (paper,), shown, _ = merged(records)
    assert (paper.title, paper.year, paper.venue, paper.doi) == (
        "Terns of the Pier",
        2023,
        "Pier Letters",
        "10.5555/t.1",
    )
    assert paper.extra["arxiv"] == "2101.00001"
    assert set(paper.sources) == {"a.bib:1", "b.bib:1", "c.ris:1"}
    assert len(shown) == 2


def test_a_journal_that_says_no_year_does_not_get_the_preprints():
    (paper,), _, _ = merged([PREPRINT, replace(JOURNAL, year=None)])
    assert (paper.year, paper.venue) == (None, "Pier Letters")


def test_a_journals_record_added_later_corrects_the_paper_of_the_library():
    (stored,), _, _ = merged([PREPRINT])
    (paper,), _, _ = merged([JOURNAL], known=[stored])
    assert (paper.id, paper.title, paper.year, paper.doi) == (stored.id, "Terns of the Pier", 2023, "10.5555/t.1")
    assert merged([PREPRINT], known=[paper])[0][0].year == 2023


def test_both_numbers_are_remembered():
    (paper,), _, _ = merged([BIORXIV, JOURNAL])
    assert (paper.doi, paper.extra["preprint"]) == ("10.5555/t.1", "10.1101/2021.01.01.123456")
    again = replace(BIORXIV, title="Quite another title", abstract="")
    assert [p.id for p in merged([again], known=[paper])[0]] == [paper.id]


def test_preprints_alone_are_as_they_were():
    (paper,), _, _ = merged([PREPRINT, replace(PREPRINT, source="x:1", year=2020, venue=None)])
    assert (paper.year, paper.venue, paper.doi) == (2021, "arXiv", "10.48550/arxiv.2101.00001")


# --- retracted ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("RETRACTED: Terns of the pier", "Terns of the pier"),
        ("Retracted Article: Terns of the pier", "Terns of the pier"),
        ("[Retracted] Terns of the pier", "Terns of the pier"),
        ("WITHDRAWN: Terns of the pier", "Terns of the pier"),
        ("Terns of the pier (Retracted article. See vol. 3, pg. 12, 2010)", "Terns of the pier"),
        ("Retracted papers and their readers", "Retracted papers and their readers"),
        ("Withdrawn terns", "Withdrawn terns"),
        ("Retraction: Terns of the pier", "Retraction: Terns of the pier"),
    ],
)
def test_a_title_that_says_so(title, plain):
    paper = Paper("0" * 12, title, BODY)
    assert paper.is_retracted == (title != plain)
    assert unmarked(title) == plain
    assert paper.headline == title


def test_a_retracted_paper_is_the_paper_it_was():
    later = replace(JOURNAL, title="RETRACTED: Terns of the Pier", source="z:1", doi=None)
    (paper,), _, _ = merged([JOURNAL, later])
    assert len(paper.sources) == 2


def test_it_is_said_wherever_a_paper_is_shown():
    paper = replace(S4, extra=FrozenMap({"retracted": "yes"}))
    mark = f"RETRACTED: {S4.title}"
    assert paper.headline == mark
    assert mark in render.plain_paper(paper)
    assert mark in str(lines.opened(paper, 1, [])[0])
    assert "RETRACTED: " in export.references([paper])
    assert "note = {Retracted}" in export.bibtex([paper])
    assert "N1  - Retracted" in export.ris([paper])
    assert '"note": "Retracted"' in export.csl([paper])
