"""Papers that lie in no file of one's own are named by an address; what was brought from there is kept as a file.

    doi:10.1000/xyz   arxiv:2205.14135   pmid:12345   zotero:   zotero:Collection/Subcollection

The pages that show a DOI, a preprint or a PubMed record are addresses too. A kept file is read, compared and
forgotten as any other; only its name, which sources of papers use, is the address.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from rag.places import home

ZOTERO = "zotero"
ENDINGS = {"doi": ".json", "arxiv": ".atom", "pmid": ".xml", ZOTERO: ".json"}  # scheme -> what is kept
LONGEST = 240  # bytes of a file's name, which most file systems take
_SCHEME = re.compile(r"(doi|arxiv|pmid|zotero):", re.IGNORECASE)
_ARXIV_DOI = re.compile(r"10\.48550/arxiv\.(.+)", re.IGNORECASE)
_FORMS = {
    "doi": (re.compile(r"10\.\d{4,9}(?:\.\d+)*/[^\s\x00-\x20\x7f]+"), "is no DOI, which looks like doi:10.1000/xyz"),
    "arxiv": (
        re.compile(r"(?:\d{4}\.\d{4,5}|[a-z-]{2,20}(?:\.[A-Z]{2})?/\d{7})(?:v\d{1,3})?"),
        "is no number of arXiv, which looks like arxiv:2205.14135 or arxiv:math/0703001",
    ),
    "pmid": (re.compile(r"[1-9]\d{0,8}"), "is no number of PubMed, which looks like pmid:12345"),
    ZOTERO: (re.compile(r"[^\x00-\x1f\x7f]*"), "is no name of a collection"),
}


class BadAddress(ValueError):
    """Why a text that begins as an address is none."""


class Address(NamedTuple):
    """A scheme (a key of ENDINGS) and what it names there; `str` is how it is typed."""

    scheme: str
    id: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.id}"

    @property
    def file(self) -> Path:
        """Where what is brought from there is kept."""
        return kept_folder() / f"{_quoted(str(self))}{ENDINGS[self.scheme]}"


def kept_folder() -> Path:
    """The folder of kept files. They belong to the libraries that name them, not to a cache that may be cleared."""
    return home("data") / "fetched"


def address_of(text: str) -> Address | None:
    """The address that a text is; None for a path, also for an address on the web that is none of these.

    Raises BadAddress for one whose number cannot be.
    """
    text = text.strip()
    if address := _on_the_web(text):
        return _checked(*address)
    scheme, _, rest = text.partition(":")
    return _checked(scheme.lower(), rest.strip()) if _SCHEME.match(text) else None


def address_at(path: Path) -> str:
    """The address whose kept file that is, as it is typed; "" for any other file."""
    is_kept = path.suffix in ENDINGS.values() and path.parent.name == "fetched" and path.parent == kept_folder()
    return unquote(path.stem) if is_kept else ""


def _on_the_web(text: str) -> tuple[str, str] | None:
    """Scheme and number of the pages that show them."""
    if not re.match(r"https?://", text, re.IGNORECASE):
        return None
    try:
        parts = urlsplit(text)
        host, path = (parts.hostname or "").removeprefix("www."), unquote(parts.path).strip("/")
    except ValueError:
        return None
    if host in ("doi.org", "dx.doi.org"):
        return "doi", path
    if host in ("arxiv.org", "export.arxiv.org") and (found := re.fullmatch(r"(?:abs|pdf|html)/(.+?)(?:\.pdf)?", path)):
        return "arxiv", found[1]
    if host in ("pubmed.ncbi.nlm.nih.gov", "ncbi.nlm.nih.gov") and (
        found := re.fullmatch(r"(?:pubmed/)?(\d+)(?:/.*)?", path)
    ):
        return "pmid", found[1]
    return None


def _checked(scheme: str, id: str) -> Address:
    """The address, in the one form of all that name the same."""
    if scheme == "doi" and (preprint := _ARXIV_DOI.fullmatch(id)):
        scheme, id = "arxiv", preprint[1]
    id = id.strip("/ ") if scheme == ZOTERO else id.lower() if scheme == "doi" else id
    form, wrong = _FORMS[scheme]
    if not form.fullmatch(id):
        raise BadAddress(wrong)
    if len(_quoted(f"{scheme}:{id}")) > LONGEST:
        raise BadAddress("is too long")
    return Address(scheme, id)


def _quoted(text: str) -> str:
    return quote(text, safe="")
