"""Objects of known sources -> the same facts under the usual names, each field by what that source means by it.

A source is known by keys that it alone has. An object of none is given back as it is.
  arXiv's dump       the year is that of the first version: `update_date` moves with every edit of the record
  DataCite, INSPIRE  lists of objects; the abstract is the description or text of that type
  bioRxiv            `published` is the DOI of the journal's version, not a date
  Hugging Face       the paper lies within its entry of the day's list
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rag.readers.fields import flat

Object = Mapping[str, Any]


def plainly(value: Object) -> Object:
    """The object with the usual names, if its source is known."""
    for knows, read in _SOURCES:
        if knows(value):
            return read(value)
    return value


def kinds(value: Object) -> list[str]:
    """What an object says of the type of its publication, and whether it was retracted."""
    said = [flat(value.get(key)) for key in ("publicationTypes", "pubtype", "docType_s", "note", "publication_type")]
    said += _each(value, "pubTypeList", "pubType")
    marks = (value.get(key) for key in ("is_retracted", "isRetracted", "retracted"))
    if any(mark is True or str(mark).lower() == "true" for mark in marks):
        said.append("retracted")
    updates = [one for one in _list(value.get("updated-by")) if isinstance(one, dict)]  # Crossref
    said += ["retracted" for one in updates if "retract" in flat(one.get("type")).lower()]
    return said


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _each(value: Object, key: str, inner: str) -> list[str]:
    """The texts under `inner` in each object of a list, or in one object."""
    return [text for one in _list(value.get(key)) if isinstance(one, dict) for text in map(flat, _list(one.get(inner)))]


def _first(value: Object, key: str, inner: str) -> str:
    return next((text for text in _each(value, key, inner) if text), "")


def _has(value: Object, key: str, inner: str) -> bool:
    """Is there a list of objects that have `inner`?"""
    held = value.get(key)
    return isinstance(held, list) and bool(held) and isinstance(held[0], dict) and inner in held[0]


def _arxiv(value: Object) -> Object:
    parsed = [one for one in _list(value.get("authors_parsed")) if isinstance(one, list) and one]
    people = [", ".join(part for part in map(flat, one[:2]) if part) for one in parsed]
    kept = {key: part for key, part in value.items() if key not in ("update_date", "versions")}
    return kept | {"authors": people or value.get("authors"), "year": _first(value, "versions", "created"),
                   "url": value.get("url"), "arxiv": value.get("id")}  # fmt: skip


def _datacite(value: Object) -> Object:
    described = [one for one in _list(value.get("descriptions")) if isinstance(one, dict)]
    abstracts = [one for one in described if flat(one.get("descriptionType")).lower() == "abstract"]
    titles = [one for one in _list(value.get("titles")) if isinstance(one, dict)]
    main = next((one for one in titles if not one.get("titleType")), titles[0])
    people = [
        {"family": one.get("familyName"), "given": one.get("givenName"), "name": one.get("name")}
        for one in _list(value.get("creators"))
        if isinstance(one, dict)
    ]
    return {
        "title": main.get("title"),
        "abstract": flat(next((one.get("description") for one in abstracts), "")),
        "authors": people,
        "year": value.get("publicationYear"),
        "venue": _first(value, "container", "title") or _first(value, "publisher", "name") or flat(value.get("publisher")),
        "doi": value.get("doi"),
        "url": value.get("url"),
        "keywords": _each(value, "subjects", "subject"),
        "language": value.get("language"),
    }  # fmt: skip


def _inspire(value: Object) -> Object:
    return {
        "title": _first(value, "titles", "title"),
        "abstract": _first(value, "abstracts", "value"),
        "authors": _each(value, "authors", "full_name"),
        "year": _first(value, "publication_info", "year") or value.get("preprint_date") or value.get("earliest_date"),
        "venue": _first(value, "publication_info", "journal_title"),
        "doi": _first(value, "dois", "value"),
        "arxiv": _first(value, "arxiv_eprints", "value"),
        "keywords": _each(value, "keywords", "value"),
        "is_retracted": "retracted" in " ".join(map(str, _list(value.get("document_type")))).lower(),
    }


def _lens(value: Object) -> Object:
    numbers = {flat(one.get("type")).lower(): flat(one.get("value")) for one in _list(value.get("external_ids"))
               if isinstance(one, dict)}  # fmt: skip
    people = [
        {"family": one.get("last_name"), "given": one.get("first_name"), "name": one.get("collective_name")}
        for one in _list(value.get("authors"))
        if isinstance(one, dict)
    ]
    return {**value, "authors": people, "year": value.get("year_published") or value.get("date_published"),
            "venue": _first(value, "source", "title"), "doi": numbers.get("doi"), "pmid": numbers.get("pmid"),
            "arxiv": numbers.get("arxiv"), "source": None}  # fmt: skip


def _paperpile(value: Object) -> Object:
    people = [
        {"family": one.get("last"), "given": one.get("first"), "name": one.get("formatted") or one.get("collective")}
        for one in _list(value.get("author"))
        if isinstance(one, dict)
    ]
    return {**value, "author": people, "year": _first(value, "published", "year") or value.get("year")}


def _hal(value: Object) -> Object:
    def of(*keys: str) -> Any:
        return next((value[key] for key in keys if value.get(key)), None)

    return {
        "title": of("en_title_s", "title_s"),
        "abstract": of("en_abstract_s", "abstract_s"),
        "authors": of("authFullName_s"),
        "year": of("publicationDateY_i", "producedDateY_i", "publicationDate_s", "producedDate_s"),
        "venue": of("journalTitle_s", "conferenceTitle_s", "bookTitle_s"),
        "doi": of("doiId_s"),
        "arxiv": of("arxivId_s"),
        "pmid": of("pubmedId_s"),
        "url": of("uri_s"),
        "keywords": of("en_keyword_s", "keyword_s"),
        "language": of("language_s"),
    }


def _hugging_face(value: Object) -> Object:
    paper = value["paper"] if isinstance(value.get("paper"), dict) else value
    whole = {**{key: value[key] for key in ("title", "summary") if value.get(key)}, **paper}
    return {
        **whole,
        "arxiv": paper.get("id"),
        "year": paper.get("publishedAt"),
        "url": None,
        "source": None,
        "tags": None,
    }


def _biorxiv(value: Object) -> Object:
    server = flat(value.get("server"))
    return {**value, "year": value.get("date"), "published": None, "venue": server, "keywords": value.get("category")}


_SOURCES: tuple[tuple[Callable[[Object], bool], Callable[[Object], Object]], ...] = (
    (lambda value: "categories" in value and ("versions" in value or "update_date" in value), _arxiv),
    (lambda value: _has(value, "titles", "title") and ("abstracts" in value or "control_number" in value), _inspire),
    (lambda value: _has(value, "titles", "title"), _datacite),
    (lambda value: "lens_id" in value, _lens),
    (lambda value: _has(value, "author", "first") or _has(value, "author", "formatted"), _paperpile),
    (lambda value: "title_s" in value or "en_title_s" in value, _hal),
    (lambda value: isinstance(value.get("paper"), dict) and "title" in value["paper"], _hugging_face),
    (lambda value: "publishedAt" in value and "summary" in value and "upvotes" in value, _hugging_face),
    (lambda value: flat(value.get("server")).lower() in ("biorxiv", "medrxiv"), _biorxiv),
)
REFUSED = {  # keys by which a source is known that says too little, and what to ask it for
    frozenset({"label_s", "uri_s"}): "HAL's short form, without title and abstract; "
    "ask it with fl=title_s,abstract_s,authFullName_s,producedDateY_i,doiId_s",
}


def too_little(value: Object) -> str:
    """Why an object of a known source is no record, "" if it is of none."""
    return next((why for keys, why in REFUSED.items() if keys <= value.keys()), "")


def failed(value: Object) -> str:
    """What a server says went wrong, where an object is its error and no record; else ""."""
    error = value.get("error") or value.get("errors") or value.get("service-error")
    status = value.get("status")
    is_problem = str(status).isdigit() and int(str(status)) >= 400 and "abstract" not in value
    if not error and not is_problem and flat(value.get("status")).lower() not in ("error", "failed"):
        return ""
    if value.get("abstract") or value.get("authors"):
        return ""
    texts = [flat(part) for part in (error, value.get("message"), value.get("detail"), value.get("title"))]
    inner = error if isinstance(error, dict) else next(iter(_list(error)), None)
    if isinstance(inner, dict):
        texts += [flat(part) for part in inner.values()]
    return next((text for text in texts if text), "an error")
