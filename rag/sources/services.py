"""DOIs from Crossref (abstracts that it lacks from OpenAlex), preprints from arXiv, PubMed's records from NCBI.

Each answer is kept as it came, but for Crossref's lists of references. Several numbers of arXiv or PubMed are one
request, as both ask for; between requests to arXiv lie the three seconds that it wants.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from rag.addresses import Address
from rag.sources.keeping import Missed, keep
from rag.sources.web import get

ARXIV_PAUSE = 3.0  # seconds between two requests
AT_ONCE = 100  # numbers in one request
_NO_ABSTRACT = (
    "export the record with its abstract from the publisher's page and add that file, or try its pmid: or arxiv: number"
)


class Service(NamedTuple):
    """A public service: the variable that names another address for it, and its own."""

    variable: str
    url: str

    @property
    def base(self) -> str:
        """Where it is asked. Raises Missed for a variable that holds no address."""
        url = (os.environ.get(self.variable) or self.url).rstrip("/")
        if not re.match(r"https?://[^/]", url):
            raise Missed(f"{self.variable}={url} is no address; correct it or unset it")
        return url

    @property
    def host(self) -> str:
        """The name of its host."""
        return urlsplit(os.environ.get(self.variable) or self.url).netloc.rpartition("@")[2]


CROSSREF = Service("RAG_CROSSREF", "https://api.crossref.org")
OPENALEX = Service("RAG_OPENALEX", "https://api.openalex.org")
ARXIV = Service("RAG_ARXIV", "https://export.arxiv.org")
PUBMED = Service("RAG_PUBMED", "https://eutils.ncbi.nlm.nih.gov/entrez/eutils")
_OF = {"doi": CROSSREF, "arxiv": ARXIV, "pmid": PUBMED}

Had = dict[Address, Missed | None]  # None: it is kept


def told(addresses: Sequence[Address]) -> str:
    """Which hosts are asked for these; "" for none."""
    schemes = dict.fromkeys(one.scheme for one in addresses if one.scheme in _OF)
    hosts = [_OF[scheme].host + f" (or {OPENALEX.host})" * (scheme == "doi") for scheme in schemes]
    return " and ".join(hosts)


def fetched(addresses: Sequence[Address]) -> Had:
    """Fetch each and keep it; None for one that was, else why it was not."""
    found: Had = {}
    for scheme, several in (("doi", _crossref), ("arxiv", _arxiv), ("pmid", _pubmed)):
        found |= several([one for one in addresses if one.scheme == scheme])
    return found


# --- DOIs ---------------------------------------------------------------------------------------


def _crossref(addresses: Sequence[Address]) -> Had:
    return {one: _tried(lambda one=one: keep(one.file, _work(one.id))) for one in addresses}  # type: ignore[misc]


def _tried(work: Callable[[], None]) -> Missed | None:
    try:
        work()
    except Missed as missed:
        return missed
    return None


def _work(doi: str) -> bytes:
    """A list of Crossref's record and, where that has no abstract, OpenAlex's: two records of one paper."""
    try:
        reply = _json(get(f"{CROSSREF.base}/works/{quote(doi, safe='')}"), CROSSREF)
    except Missed as missed:
        if missed.status == 404:
            why = "knows no such DOI (HTTP 404); check it (those of DataCite, such as Zenodo's, are not there)"
            raise Missed(f"{CROSSREF.host} {why}") from missed
        raise
    work = reply.get("message")
    if not isinstance(work, dict) or not work.get("title"):
        raise Missed(f"{CROSSREF.host} answers, but not with a record that has a title; check the DOI")
    records = [{name: part for name, part in work.items() if name != "reference"}]
    if not work.get("abstract"):
        records.append(_with_abstract(doi))
    return ("[\n" + ",\n".join(json.dumps(one, ensure_ascii=False) for one in records) + "\n]\n").encode()


def _with_abstract(doi: str) -> dict[str, Any]:
    """OpenAlex's record of a DOI. Raises Missed when it has no abstract either."""
    key = os.environ.get("OPENALEX_API_KEY")
    url = f"{OPENALEX.base}/works/doi:{quote(doi, safe='')}"
    try:
        work = _json(get(url, **({"api_key": key} if key else {})), OPENALEX)
    except Missed as missed:
        why = "it is not there (HTTP 404)" if missed.status == 404 else missed.reason
        raise Missed(
            f"{CROSSREF.host} has no abstract of it, and of {OPENALEX.host}: {why}; {_NO_ABSTRACT}"
        ) from missed
    if not work.get("abstract_inverted_index"):
        raise Missed(f"neither {CROSSREF.host} nor {OPENALEX.host} has an abstract of it; {_NO_ABSTRACT}")
    return work


def _json(body: bytes, service: Service) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _strange(body, service)
    return found


def _strange(body: bytes, service: Service) -> Missed:
    is_page = re.match(rb"\s*<(?:!doctype html|html|head|body)\b", body[:500], re.IGNORECASE)
    what = "a web page (of a proxy, or a login?)" if is_page else "something that is no record"
    return Missed(f"{service.host} answers with {what}; try again, or open it in a browser")


# --- arXiv and PubMed ---------------------------------------------------------------------------


def _arxiv(addresses: Sequence[Address]) -> Had:
    def ask(ids: str, count: int) -> bytes:
        return get(f"{ARXIV.base}/api/query", id_list=ids, max_results=str(count))

    def number(entry: str) -> str:
        found = re.search(r"<id>\s*https?://[^<]*/abs/([^<\s]+)", entry)
        return found[1] if found else ""

    shape = _Shape(ARXIV, "feed", "entry", number, ask, "knows no such preprint; check the number")
    return _several(addresses, shape, ARXIV_PAUSE)


def _pubmed(addresses: Sequence[Address]) -> Had:
    def ask(ids: str, count: int) -> bytes:
        return get(f"{PUBMED.base}/efetch.fcgi", db="pubmed", id=ids, retmode="xml", tool="abstracts-rag")

    def number(entry: str) -> str:
        found = re.search(r"<PMID\b[^>]*>\s*(\d+)", entry)
        return found[1] if found else ""

    shape = _Shape(PUBMED, "PubmedArticleSet", "Pubmed(?:Book)?Article", number, ask, "knows no such PMID; check it")
    return _several(addresses, shape)


class _Shape(NamedTuple):
    """How a service's XML holds several records: its root, the element of one, and the number in that."""

    service: Service
    root: str
    record: str
    number: Callable[[str], str]
    ask: Callable[[str, int], bytes]
    unknown: str


def _several(addresses: Sequence[Address], shape: _Shape, pause: float = 0.0) -> Had:
    found: Had = {}
    for at in range(0, len(addresses), AT_ONCE):
        some = addresses[at : at + AT_ONCE]
        if found and urlsplit(shape.service.url).netloc == shape.service.host:
            time.sleep(pause)
        found |= _some(some, shape)
    return found


def _some(addresses: Sequence[Address], shape: _Shape) -> Had:
    try:
        body = shape.ask(",".join(one.id for one in addresses), len(addresses))
        pieces = dict(_pieces(body, shape))
    except Missed as missed:
        is_unknown = missed.status in (400, 404) and len(addresses) == 1
        return dict.fromkeys(addresses, Missed(f"{shape.service.host} {shape.unknown}") if is_unknown else missed)
    had: Had = {}
    for one in addresses:
        piece = pieces.get(one.id) or pieces.get(_unversioned(one.id))
        had[one] = None if piece else Missed(f"{shape.service.host} {shape.unknown}")
        if piece:
            keep(one.file, piece)
    return had


def _pieces(body: bytes, shape: _Shape) -> Iterator[tuple[str, bytes]]:
    """(number, document of this record alone) of each record, with and without its version. Raises Missed."""
    text = body.decode("utf-8", "replace")
    if not re.search(rf"<{shape.root}[\s>/]", text[:5000]):
        raise _strange(body, shape.service)
    records = list(re.finditer(rf"<({shape.record})(?=[\s>]).*?</\1\s*>", text, re.DOTALL))
    head = text[: records[0].start()] if records else ""
    for record in records:
        document = f"{head}{record[0]}\n</{shape.root}>\n".encode()
        for number in {shape.number(record[0]), _unversioned(shape.number(record[0]))}:
            yield number, document


def _unversioned(number: str) -> str:
    return re.sub(r"v\d+$", "", number)
