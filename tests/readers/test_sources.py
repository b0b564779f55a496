"""JSON of known sources: each field by what that source means by it; what is an error or says too little is refused."""

from __future__ import annotations

import json

import pytest

from rag.readers.jsons import read

A = "Terns were ringed on three piers for nine years. Nests rose by 12 percent once the gulls had left."
DATACITE = {"data": [{"type": "dois", "attributes": {
    "doi": "10.5555/T.1", "titles": [{"title": "Part two", "titleType": "Subtitle"}, {"title": "Terns of the pier"}],
    "creators": [{"name": "Gull, Ada", "givenName": "Ada", "familyName": "Gull"}], "publisher": "Pier Archive",
    "publicationYear": 2017, "dates": [{"date": "2019", "dateType": "Updated"}],
    "descriptions": [{"description": "Volume 3", "descriptionType": "SeriesInformation"},
                     {"description": A, "descriptionType": "Abstract"}]}}]}  # fmt: skip
INSPIRE = {"hits": {"hits": [{"created": "2021-01-01", "updated": "2022-01-01", "metadata": {
    "control_number": 1, "titles": [{"title": "Terns of the pier"}], "abstracts": [{"value": A}],
    "authors": [{"full_name": "Gull, Ada"}], "dois": [{"value": "10.5555/t.1"}], "preprint_date": "2015-01-02",
    "publication_info": [{"journal_title": "Pier Archive", "year": 2017}]}}]}}  # fmt: skip
LENS = {"data": [{"lens_id": "000-1", "title": "Terns of the pier", "abstract": A, "created": "2021-01-01",
                  "authors": [{"first_name": "Ada", "last_name": "Gull"}], "year_published": 2017,
                  "external_ids": [{"type": "doi", "value": "10.5555/t.1"}], "source": {"title": "Pier Archive"}}]}  # fmt: skip
PAPERPILE = [{"_id": "x", "title": "Terns of the pier", "abstract": A, "author": [{"first": "Ada", "last": "Gull"}],
              "published": {"year": "2017"}, "journal": "Pier Archive", "doi": "10.5555/t.1", "created": 1.6e9}]  # fmt: skip
HAL = {"response": {"docs": [{"title_s": ["Terns of the pier"], "abstract_s": [A], "authFullName_s": ["Gull, Ada"],
                              "producedDateY_i": 2017, "doiId_s": "10.5555/t.1", "journalTitle_s": "Pier Archive"}]}}  # fmt: skip


@pytest.mark.parametrize("value", [DATACITE, INSPIRE, LENS, PAPERPILE, HAL])
def test_a_paper_of_a_known_source(value):
    records, skipped = read(json.dumps(value, indent=1), "a.json", {})
    (paper,) = records
    assert skipped == []
    assert (paper.title, paper.abstract, paper.authors) == ("Terns of the pier", A, ("Gull, Ada",))
    assert (paper.year, paper.venue, paper.doi) == (2017, "Pier Archive", "10.5555/t.1")


@pytest.mark.parametrize(
    ("fields", "year"),
    [
        ({"id": "1203.04567", "versions": [{"version": "v1", "created": "Tue, 20 Mar 2012 10:00:00 GMT"},
                                           {"version": "v2", "created": "Mon, 3 Jun 2013 10:00:00 GMT"}]}, 2012),
        ({"id": "1203.04567"}, 2012),
        ({"id": "hep-th/9711200"}, 1997),
    ],
)  # fmt: skip
def test_the_year_of_arxivs_dump_is_that_of_the_first_version(fields, year):
    value = {"title": "Terns", "abstract": A, "categories": "q-bio.PE", "update_date": "2020-02-02", "authors": "A. Gull (Pier), U. Rook",
             "authors_parsed": [["Gull", "A.", ""], ["Rook", "U.", ""]]} | fields  # fmt: skip
    ((paper,), _) = read(json.dumps(value), "a.json", {})
    assert (paper.year, paper.extra["arxiv"], paper.authors) == (year, fields["id"], ("Gull, A.", "Rook, U."))


def test_an_update_is_no_publication():
    ((paper,), _) = read(json.dumps({"title": "Terns", "abstract": A, "update_date": "2020-02-02"}), "a.json", {})
    assert paper.year is None


def test_a_list_of_papers_of_a_day():
    entry = {"paper": {"id": "2305.00007", "title": "Terns", "summary": A, "authors": [{"name": "Ada Gull"}],
                       "publishedAt": "2023-05-01T00:00:00Z"}, "title": "Terns", "publishedAt": "2024-01-01", "thumbnail": "x"}  # fmt: skip
    ((paper,), _) = read(json.dumps([entry]), "a.json", {})
    assert (paper.year, paper.extra["arxiv"], paper.abstract, paper.authors) == (2023, "2305.00007", A, ("Ada Gull",))


def test_published_of_a_preprint_server_is_a_doi():
    value = {"collection": [{"doi": "10.1101/2018.05.05.123456", "title": "Terns", "abstract": A, "date": "2018-05-06",
                             "authors": "Gull, A.; Rook, U.", "published": "10.5555/s2021", "server": "biorxiv"}]}  # fmt: skip
    ((paper,), _) = read(json.dumps(value), "a.json", {})
    assert (paper.year, paper.doi) == (2018, "10.1101/2018.05.05.123456")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (
            {"errors": [{"status": "404", "title": "Not found", "detail": "no such work"}]},
            "a server's error, no paper: no such work",
        ),
        ({"title": "Forbidden", "status": 403, "description": "You may not."}, "a server's error"),
        ({"error": "Too many requests", "message": "slow down"}, "Too many requests"),
        (
            {"response": {"docs": [{"label_s": "A. Gull. Terns. 2017", "uri_s": "https://x.example"}]}},
            "HAL's short form",
        ),
    ],
)
def test_what_is_no_paper_is_refused_by_name(value, why):
    records, ((piece),) = read(json.dumps(value), "a.json", {})
    assert records == []
    assert why in piece.reason
    assert piece.kind == "refused"


@pytest.mark.parametrize(
    "more",
    [{"is_retracted": True}, {"updated-by": [{"type": "retraction"}]}, {"pubTypeList": {"pubType": ["Retracted Publication"]}},
     {"note": "Retracted"}],
)  # fmt: skip
def test_a_retracted_paper_says_so(more):
    ((paper,), _) = read(json.dumps({"title": "Terns", "abstract": A, **more}), "a.json", {})
    assert paper.extra["retracted"] == "yes"
    ((notice,), _) = read(
        json.dumps({"title": "On retracted papers", "abstract": A, "is_retracted": False}), "a.json", {}
    )
    assert "retracted" not in notice.extra
