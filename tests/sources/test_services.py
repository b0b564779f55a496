"""`rag add doi:... arxiv:... pmid:...` against services on loopback that answer as the real ones do, and as they fail."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import pytest
from running import called
from werkzeug import Response

import rag
from rag.addresses import Address, BadAddress, address_at, address_of
from rag.library.store import Library
from rag.sources import services, web

DOI = "10.1000/tidal.7"
WORK = {
    "DOI": DOI,
    "type": "journal-article",
    "title": ["Tidal pools as adding machines"],
    "abstract": "<jats:title>Abstract</jats:title><jats:p>A tidal pool adds two numbers in 6 hours. "
    "We count limpets with 97% accuracy.</jats:p>",
    "author": [{"given": "Ada", "family": "Reef", "sequence": "first"}, {"given": "Bo", "family": "Kelp"}],
    "issued": {"date-parts": [[2021, 3, 4]]},
    "container-title": ["Journal of Wet Computing"],
    "URL": f"https://doi.org/{DOI}",
    "volume": "4",
    "reference": [{"key": "ref1", "unstructured": "x" * 500}],
}
FEED = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <title>arXiv Query</title>
  {entries}
</feed>
"""
ENTRY = """<entry>
    <id>http://arxiv.org/abs/{id}</id>
    <title>{title}</title>
    <summary>  {abstract}
</summary>
    <published>2021-05-02T17:59:59Z</published>
    <author><name>Cy Moss</name></author>
    <arxiv:doi xmlns:arxiv="http://arxiv.org/schemas/atom">10.1000/x</arxiv:doi>
  </entry>
  """
ARTICLE = """<PubmedArticle><MedlineCitation><PMID Version="1">{id}</PMID><Article>
<Journal><JournalIssue><PubDate><Year>2019</Year></PubDate></JournalIssue><Title>Kites</Title></Journal>
<ArticleTitle>{title}</ArticleTitle><Abstract><AbstractText>{abstract}</AbstractText></Abstract>
<AuthorList><Author><LastName>Gale</LastName><ForeName>Di</ForeName></Author></AuthorList>
</Article></MedlineCitation></PubmedArticle>
"""
SET = '<?xml version="1.0" ?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "x.dtd">\n<PubmedArticleSet>\n{articles}</PubmedArticleSet>\n'


@pytest.fixture
def at(httpserver, monkeypatch, tmp_path):
    """The services, all on one server, and a fresh home."""
    for name in ("CROSSREF", "OPENALEX", "ARXIV", "PUBMED"):
        monkeypatch.setenv(f"RAG_{name}", httpserver.url_for(f"/{name.lower()}"))
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OPENALEX_API_KEY", raising=False)
    return httpserver


def crossref(server, doi=DOI, **changes):
    work = {name: part for name, part in (WORK | changes).items() if part is not None}
    body = {"status": "ok", "message-type": "work", "message": work}
    server.expect_request(f"/crossref/works/{doi}").respond_with_json(body)


def paper(library="mine"):
    with closing(Library.open(Path(library) if "/" in library else _folder(library))) as opened:
        return list(opened)


def _folder(name):
    from rag.library.build import named_folder

    return named_folder(name)


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("doi:10.1000/XYZ", "doi:10.1000/xyz"),
        ("DOI: 10.1000/xyz", "doi:10.1000/xyz"),
        ("https://doi.org/10.1000/xyz", "doi:10.1000/xyz"),
        ("http://dx.doi.org/10.1002%2F(SICI)1097(199806)49:8%3C693::AID%3E3.0.CO;2-O", "doi:10.1002/(sici)1097(199806)49:8<693::aid>3.0.co;2-o"),
        ("https://doi.org/10.48550/arXiv.2205.14135", "arxiv:2205.14135"),
        ("arXiv:2205.14135v2", "arxiv:2205.14135v2"),
        ("arxiv:math/0703001", "arxiv:math/0703001"),
        ("https://arxiv.org/abs/2205.14135v1", "arxiv:2205.14135v1"),
        ("https://arxiv.org/pdf/2205.14135.pdf", "arxiv:2205.14135"),
        ("pmid:12345", "pmid:12345"),
        ("https://pubmed.ncbi.nlm.nih.gov/12345/?from=x", "pmid:12345"),
        ("https://www.ncbi.nlm.nih.gov/pubmed/12345", "pmid:12345"),
        ("my.bib", None),
        ("https://example.org/10.1000/xyz", None),
        ("https://arxiv.org/list/cs.CL/new", None),
        ("C:\\papers\\doi.bib", None),
    ],
)  # fmt: skip
def test_an_address_has_one_form_and_a_file_that_leads_back_to_it(text, address, at):
    found = address_of(text)
    assert (str(found) if found else None) == address
    if found:
        assert address_at(found.file) == address
        assert address_at(found.file.parent / "other" / found.file.name) == ""


@pytest.mark.parametrize(
    "text", ["doi:", "doi:10.1000", "doi:10.1000/a b", "doi:10.1000/" + "x" * 300, "arxiv:2205", "pmid:0", "pmid:12a", "https://doi.org/"]
)  # fmt: skip
def test_a_number_that_cannot_be_is_told_and_nobody_is_asked(text, at):
    with pytest.raises(BadAddress):
        address_of(text)
    code, _out, err = called("add", text, "--library", "mine")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"rag: {text}: is ") if len(text) < 100 else err.startswith("rag: doi:10.1000/xxx")
    assert at.log == []


# --- what is fetched ----------------------------------------------------------------------------


def test_a_doi_is_a_paper_whose_source_it_is(at):
    crossref(at)
    code, _out, err = called("add", f"doi:{DOI}", "--library", "mine")
    assert (code, err) == (0, f"rag: asking {at.host}:{at.port} (or {at.host}:{at.port})\n")
    (one,) = paper()
    assert (one.title, one.year, one.venue, one.doi) == (WORK["title"][0], 2021, "Journal of Wet Computing", DOI)
    assert (one.authors, one.sources) == (("Reef, Ada", "Kelp, Bo"), (f"doi:{DOI}:2",))
    assert "in 6 hours" in one.abstract
    assert "x" * 500 not in Address("doi", DOI).file.read_text("utf-8")
    assert Address("doi", DOI).file.stat().st_mode & 0o77 == 0
    asked = len(at.log)
    assert "1 unchanged" in called("sync", "--library", "mine")[1]
    assert len(at.log) == asked, "a sync asks nobody"
    crossref_again = {**WORK, "title": ["Tidal pools as adding machines"], "volume": "5"}
    at.clear()
    crossref(at, **crossref_again)
    assert "1 changed" in called("add", f"https://doi.org/{DOI}", "--library", "mine")[1]
    assert called("undo", "--library", "mine")[0] == 0
    assert paper() == [one]
    assert called("undo", "--library", "mine")[0] == 0
    assert paper() == []


def test_python_takes_them_too(at, tmp_path):
    crossref(at)
    report = rag.add(f"doi:{DOI}", library=str(tmp_path / "mine"), format="ris")
    assert len(report.added) == 1
    assert rag.answer("How long does a tidal pool take?", library=str(tmp_path / "mine")).status == "answered"


def test_an_abstract_that_crossref_lacks_is_openalexs(at, monkeypatch):
    monkeypatch.setenv("OPENALEX_API_KEY", "secret")
    crossref(at, abstract=None)
    work = {
        "doi": f"https://doi.org/{DOI}",
        "title": WORK["title"][0],
        "publication_year": 2021,
        "abstract_inverted_index": {"A": [0], "pool": [1], "adds": [2], "in": [3], "6": [4], "hours.": [5]},
    }
    at.expect_request(f"/openalex/works/doi:{DOI}", query_string="api_key=secret").respond_with_json(work)
    assert called("add", f"doi:{DOI}", "--library", "mine")[0] == 0
    (one,) = paper()
    assert (one.abstract, one.venue, one.authors[0]) == (
        "A pool adds in 6 hours.",
        "Journal of Wet Computing",
        "Reef, Ada",
    )


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Response(json.dumps({"title": "x", "abstract_inverted_index": None})), "neither {} nor {} has an abstract of it; export"),
        (Response("", 404), "{} has no abstract of it, and of {}: it is not there (HTTP 404); export"),
        (Response("", 403), "{} has no abstract of it, and of {}: {} refuses the request (HTTP 403)"),
    ],
)  # fmt: skip
def test_a_doi_without_an_abstract_says_what_to_try(at, reply, said):
    crossref(at, abstract=None)
    at.expect_request(f"/openalex/works/doi:{DOI}").respond_with_response(reply)
    code, _, err = called("add", f"doi:{DOI}", "--library", "mine")
    assert code == 1
    host = f"{at.host}:{at.port}"
    assert said.replace("{}", host) in err
    assert "pmid:" in err.splitlines()[-1]


def test_several_preprints_are_one_request_and_each_keeps_its_own(at):
    entries = [ENTRY.format(id="2105.00001v2", title="Moss &amp; roofs", abstract="Moss holds 9 litres."),
               ENTRY.format(id="math/0703001v1", title="Kites", abstract="Kites fly for 3 days.")]  # fmt: skip
    at.expect_request("/arxiv/api/query").respond_with_data(FEED.format(entries="".join(entries)))
    named = ["arxiv:2105.00001", "https://arxiv.org/abs/math/0703001", "arxiv:2105.99999"]
    code, out, _err = called("add", *named, "--library", "mine")
    assert code == 1, "one is not there"
    assert "arxiv:2105.99999: " in out
    assert "knows no such preprint; check the number" in out
    assert [(p.title, p.sources, p.extra["arxiv"]) for p in paper()] == [
        ("Moss & roofs", ("arxiv:2105.00001:4",), "2105.00001"),
        ("Kites", ("arxiv:math/0703001:4",), "math/0703001"),
    ]
    ((request, _),) = at.log
    assert request.args["id_list"] == "2105.00001,math/0703001,2105.99999"
    for one in ("arxiv:2105.00001", "arxiv:math/0703001"):
        assert address_of(one).file.read_text("utf-8").count("<entry>") == 1


def test_pubmed(at):
    articles = [ARTICLE.format(id=7, title="Kites in rain", abstract="Di dries 5 kites."),
                ARTICLE.format(id=70, title="Kites in snow", abstract="Snow is dry.")]  # fmt: skip
    at.expect_request("/pubmed/efetch.fcgi").respond_with_data(SET.format(articles="".join(articles)))
    assert called("add", "pmid:7", "pmid:70", "--library", "mine")[0] == 0
    assert [(p.title, p.extra["pmid"], p.authors, p.year) for p in paper()] == [
        ("Kites in rain", "7", ("Gale, Di",), 2019),
        ("Kites in snow", "70", ("Gale, Di",), 2019),
    ]
    assert len(at.log) == 1


def test_a_file_and_an_address_of_one_paper_are_one(at, tmp_path):
    crossref(at)
    (tmp_path / "my.bib").write_text(f"@article{{reef, title={{Tidal pools as adding machines}}, doi={{{DOI}}}}}\n")
    assert called("add", str(tmp_path / "my.bib"), f"doi:{DOI}", "--library", "mine")[0] == 0
    (one,) = paper()
    assert one.sources == ("my.bib:1", f"doi:{DOI}:2")
    (tmp_path / "my.bib").write_text(f"@article{{reef2, title={{Tidal pools as adding machines}}, doi={{{DOI}}}}}\n")
    at.clear()
    assert "1 changed" in called("sync", "--library", "mine")[1], "the kept file is read beside the changed one"
    assert (paper()[0].abstract, paper()[0].extra["key"]) == (one.abstract, "reef2")


def test_a_kept_file_that_is_lost_takes_no_paper_with_it(at):
    crossref(at)
    called("add", f"doi:{DOI}", "--library", "mine")
    entries = ENTRY.format(id="2105.00001v2", title="Moss", abstract="Moss holds 9 litres.")
    at.expect_request("/arxiv/api/query").respond_with_data(FEED.format(entries=entries))
    called("add", "arxiv:2105.00001", "--library", "mine")
    Address("doi", DOI).file.unlink()
    assert f"its copy is lost; type: rag add doi:{DOI} --library mine" in called("status", "--library", "mine")[1]
    assert called("sync", "--library", "mine", "--prune", "--yes")[0] == 0
    assert len(paper()) == 2
    assert called("add", f"doi:{DOI}", "--library", "mine")[0] == 0


# --- what goes wrong ----------------------------------------------------------------------------

PAGE = Response("<!DOCTYPE html><html><title>Log in</title></html>", content_type="text/html")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Response("Resource not found.", 404), "knows no such DOI (HTTP 404); check it"),
        (Response("", 429, {"Retry-After": "120"}), "says too many requests (HTTP 429); try again in 120 s"),
        (Response("", 500), "is out of order (HTTP 500); try again later"),
        (Response("", 403), "refuses the request (HTTP 403)"),
        (PAGE, "answers with a web page (of a proxy, or a login?)"),
        (Response("[1, 2]", content_type="application/json"), "answers with something that is no record"),
        (Response('{"message": {}}', content_type="application/json"), "not with a record that has a title"),
        (Response("[" * 100_000), "answers with something that is no record"),
        (Response("", 302, {"Location": "http://127.0.0.2:9/"}), "sends its callers on to http://127.0.0.2:9/"),
    ],
)  # fmt: skip
def test_what_fails_is_one_line(at, reply, said):
    at.expect_request(f"/crossref/works/{DOI}").respond_with_response(reply)
    code, _out, err = called("add", f"doi:{DOI}", "--library", "mine")
    assert (code, err.count("\n")) == (1, 2)
    assert err.splitlines()[1].startswith(f"rag: doi:{DOI}: {at.host}:{at.port} ")
    assert said in err
    assert not _folder("mine").exists(), "nothing was made"


@pytest.mark.parametrize("address", ["arxiv:2105.00001", "pmid:7"])
@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (PAGE, "answers with a web page"),
        (Response("", 400), "knows no such"),
        (Response("{}"), "answers with something that is no record"),
        (Response("<feed></feed><PubmedArticleSet></PubmedArticleSet>"), "knows no such"),
    ],
)
def test_what_fails_in_xml_is_one_line(at, address, reply, said):
    for path in ("/arxiv/api/query", "/pubmed/efetch.fcgi"):
        at.expect_request(path).respond_with_response(reply)
    code, _, err = called("add", address, "--library", "mine")
    assert (code, err.count("\n")) == (1, 2)
    assert said in err


def test_a_pause_that_is_short_is_kept(at):
    at.expect_ordered_request(f"/crossref/works/{DOI}").respond_with_data("", 429, {"Retry-After": "0"})
    at.expect_ordered_request(f"/crossref/works/{DOI}").respond_with_json({"message": WORK})
    assert called("add", f"doi:{DOI}", "--library", "mine")[0] == 0


def test_one_that_fails_does_not_keep_the_others_out(at):
    crossref(at)
    code, out, _ = called("add", f"doi:{DOI}", "doi:10.1000/none", "doi:nonsense", "--library", "mine")
    assert code == 1
    assert "2 refused" in out
    assert len(paper()) == 1


def test_a_server_that_is_silent_or_not_there(at, monkeypatch, listening):
    monkeypatch.setattr(web, "_left", lambda end: 0.2)
    monkeypatch.setenv("RAG_CROSSREF", listening.url)
    assert "did not answer in time; try again, or check the network" in called("add", f"doi:{DOI}", "--library", "m")[2]
    monkeypatch.setenv("RAG_CROSSREF", "http://127.0.0.1:9")
    assert "127.0.0.1:9 cannot be reached; check the network" in called("add", f"doi:{DOI}", "--library", "m")[2]
    monkeypatch.setenv("RAG_CROSSREF", "nowhere")
    assert "RAG_CROSSREF=nowhere is no address" in called("add", f"doi:{DOI}", "--library", "m")[2]
    monkeypatch.setenv("RAG_CROSSREF", "http://crossref.example.org")
    assert "which anybody on the way can read" in called("add", f"doi:{DOI}", "--library", "m")[2]


def test_an_answer_without_an_end_is_given_up(at, monkeypatch):
    monkeypatch.setattr(web, "BYTES", 1000)
    at.expect_request(f"/crossref/works/{DOI}").respond_with_data("x" * 2000)
    assert "answers with more than" in called("add", f"doi:{DOI}", "--library", "m")[2]


def test_arxiv_is_given_its_pause_between_requests(at, monkeypatch):
    slept = []
    monkeypatch.setattr(services, "AT_ONCE", 1)
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(services, "ARXIV", services.Service("RAG_ARXIV", services_url(at)))
    at.expect_request("/arxiv/api/query").respond_with_data(FEED.format(entries=""))
    services.fetched([Address("arxiv", "2105.00001"), Address("arxiv", "2105.00002")])
    assert slept == [3.0]


def services_url(at):
    return at.url_for("/arxiv")
