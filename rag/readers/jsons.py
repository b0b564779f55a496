"""JSON and JSON lines: CSL-JSON, Crossref, Zotero, Semantic Scholar, arXiv's dump, and one's own.

A record is an object with a title under one of its usual names, wherever it stands: alone, in a
list, or in lists within objects ("message", "items", "papers", a DOI ...). The text is walked value
by value, so that every record knows its line and a list of any length is never built twice. In a
broken list the reader goes on with the next value that begins a line as the first one did.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from rag import bibliography
from rag.readers.fields import (
    TITLE_LENGTH,
    Columns,
    arxiv_id,
    described,
    flat,
    gathered,
    is_id,
    names,
    person,
    pmid_in,
    roles,
    stored,
)
from rag.readers.record import Found, Record, Skipped
from rag.readers.sources import failed, kinds, plainly, too_little
from rag.records import FrozenMap
from rag.remedies import Remedy

BROKEN = 500  # places in one list after which it is read no further
DEPTH = 5  # how deep in objects and lists records are looked for
_DECODER = json.JSONDecoder(strict=False)  # raw line breaks in strings are forgiven
_OWN = {  # the fields of a Paper, as `Paper.to_dict` writes them
    "id": str, "title": str, "abstract": str, "authors": list, "year": int | None, "venue": str | None, "doi": str | None,
    "url": str | None, "sources": list, "extra": dict,
}  # fmt: skip
_WITHIN = (  # where OpenAlex and Europe PMC keep what others call by its name, and whose role it has
    ("primary_location", "source", "display_name", "venue"),
    ("journalInfo", "journal", "title", "venue"),
    ("authorList", "author", "authors"),
)
_NO_AUTHORS = ("editor", "seriesEditor", "translator", "reviewedAuthor")
_SPACE = re.compile(r"\s*")
_HEADING = re.compile(r"^\s*<jats:title>\s*(?:abstract|summary)\s*</jats:title>\s*", re.IGNORECASE)
_NOTED_KEY = re.compile(r"^\s*citation key:\s*(\S+)\s*$", re.IGNORECASE | re.MULTILINE)
_CSL_KEY = re.compile(r"(?=.*[A-Za-z])[^\s,{}\"#%=~\\/]{2,200}")
_BROKEN = (ValueError, RecursionError)


class Lost(Exception):
    """An error after which a list cannot be read on."""


class _Lines:
    """Offsets to line numbers, cheap as long as they grow."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.line = text, 0, 1

    def of(self, at: int) -> int:
        if at < self.at:
            self.at, self.line = 0, 1
        self.line += self.text.count("\n", self.at, at)
        self.at = at
        return self.line


def read(text: str, name: str, columns: Columns) -> Found:
    """The records of a JSON text, and what of it is broken or no paper."""
    text, lines = text.lstrip("\ufeff"), _Lines(text)
    records: list[Record] = []
    skipped: list[Skipped] = []
    for at, value in _whole(text, columns):
        source = f"{name}:{lines.of(at)}"
        made = _broken(value, source, lines) if isinstance(value, Exception) else _record(value, source, columns)
        (records if isinstance(made, Record) else skipped).append(made)  # type: ignore[arg-type]
    return records, skipped


def read_lines(text: str, name: str, columns: Columns) -> Found:
    """The records of JSON lines: one value a line, each for itself."""
    records: list[Record] = []
    skipped: list[Skipped] = []
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, strict=False)
        except _BROKEN as error:
            reason = f"broken JSON ({_said(error)})"
            skipped.append(Skipped(f"{name}:{number}", line[:200], reason, "refused"))
            continue
        made = _record(value, f"{name}:{number}", columns)
        (records if isinstance(made, Record) else skipped).append(made)  # type: ignore[arg-type]
    return records, skipped


def _said(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg[0].lower() + error.msg[1:]
    return "nested too deeply" if isinstance(error, RecursionError) else "a number too long"


def _broken(error: Exception, source: str, lines: _Lines) -> Skipped:
    lost = "nothing after it is read" if isinstance(error, Lost) else "what belongs to it is lost"
    error = error.args[0] if isinstance(error, Lost) else error
    if isinstance(error, json.JSONDecodeError):
        source = f"{source.rsplit(':', 1)[0]}:{lines.of(min(error.pos, len(lines.text)))}"
    return Skipped(source, "", f"broken JSON ({_said(error)}); {lost}", "refused")


# --- walking ------------------------------------------------------------------------------------


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _whole(text: str, columns: Columns) -> Iterator[tuple[int, Any]]:
    """The records of a text, which holds one value, or several one after another."""
    at = _skip(text, 0)
    try:
        while at < len(text):
            end = yield from _walk(text, at, columns, 0)
            at = _skip(text, end)
    except _BROKEN as error:
        yield at, error


Walk = Generator[tuple[int, Any], None, int]  # (offset, record or what went wrong) ...; returns where the value ends


def _walk(text: str, at: int, columns: Columns, depth: int) -> Walk:
    """The records in the value at `at`; an object without a title or anything in it that has one is given as it is.

    An exception among them is what went wrong there; raises what is wrong with the value as a whole.
    """
    if text[at : at + 1] == "[" and depth < DEPTH:
        return (yield from _list(text, at, columns, depth))
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError:
        if depth < 2 and text[at : at + 1] == "{":
            return (yield from _members(text, at, columns, depth))
        raise
    inside = isinstance(value, dict) and depth < DEPTH and any(isinstance(part, dict | list) for part in value.values())
    found = list(_members(text, at, columns, depth)) if inside and not _titled(value, columns) else []
    yield from found or [(at, value)]
    return end


def _members(text: str, at: int, columns: Columns, depth: int) -> Walk:
    """The records in the values of the object at `at`."""
    at = _skip(text, at + 1)
    while text[at : at + 1] not in ("}", ""):
        _, at = _DECODER.raw_decode(text, at)
        at = _expect(text, _skip(text, at), ":")
        if text[at : at + 1] in ("[", "{"):
            walk = _walk(text, at, columns, depth + 1)
            at = yield from _only(walk, columns)
        else:
            _, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at : at + 1] not in ("}", ""):
            at = _expect(text, at, ",")
    return at + 1


def _only(walk: Walk, columns: Columns) -> Walk:
    """Of a walk the records, and what went wrong."""
    while True:
        try:
            at, value = next(walk)
        except StopIteration as stop:
            return int(stop.value)
        if isinstance(value, Exception) or _titled(value, columns):
            yield at, value


def _expect(text: str, at: int, what: str) -> int:
    if text[at : at + 1] != what:
        raise json.JSONDecodeError(f"expected {what!r}", text, at)
    return _skip(text, at + 1)


def _titled(value: Any, columns: Columns) -> bool:
    """Is it an object with a title? A name alone is anything's."""
    held = roles(plainly(value), columns) if isinstance(value, dict) else {}
    is_titled = "title" in held and (len(held) > 1 or held["title"] != "name")
    return is_titled or (isinstance(value, dict) and bool(too_little(value)))


def _list(text: str, at: int, columns: Columns, depth: int) -> Walk:
    """The records of the list at `at`; after a broken one the next that begins a line as the first did."""
    opened = at
    at = _skip(text, at + 1)
    broken = 0
    indent = text[text.rfind("\n", opened, at) : at] if "\n" in text[opened:at] else ""
    while text[at : at + 1] not in ("]", ""):
        try:
            end = yield from _walk(text, at, columns, depth + 1)
            at = _skip(text, end)
            if text[at : at + 1] not in ("]", ""):
                at = _expect(text, at, ",")
        except _BROKEN as error:
            failed = error.pos if isinstance(error, json.JSONDecodeError) else at
            following = text.find(f"{indent}{{", max(failed, at + 1) - len(indent)) if indent else -1
            broken += 1
            rest_is_lost = following < 0 or broken > BROKEN
            yield at, (Lost(error) if rest_is_lost else error)
            if rest_is_lost:
                return len(text) + 1  # given up
            at = following + len(indent)
    if at == len(text):
        yield at, json.JSONDecodeError("the list is not closed", text, at)
    return at + 1


# --- one record ---------------------------------------------------------------------------------


def _record(value: Any, source: str, columns: Columns) -> Record | Skipped:
    if not isinstance(value, dict):
        return Skipped(source, flat(value)[:200], "a value that is no record", "refused")
    if isinstance(value.get("data"), dict) and ("itemType" in value["data"] or _titled(value["data"], columns)):
        value = value["data"]  # Zotero's own format
    if value.get("itemType") in ("note", "attachment", "annotation"):
        return Skipped(source, flat(value.get("title"))[:200], "a note or a file of Zotero's, no paper")
    if own := _own(value, source):
        return own
    if wrong := failed(value):
        reason = f"a server's error, no paper: {' '.join(wrong.split())[:200]}"
        return Skipped(source, flat(value.get("title"))[:200], reason, "refused")
    whole, value = value, plainly(value)
    held = roles(value, columns) | roles([key for key, part in value.items() if part], columns)
    if "title" not in held:
        keys = ", ".join(list(value)[:8])[:100]
        reason = too_little(value) or f"no key for the title among: {keys}" if keys else "an empty record"
        return Skipped(source, json.dumps(value)[:200], reason, "refused", Remedy.NAME_TITLE.name if keys else "")
    got: dict[str, Any] = {role: _bare(value[key]) for role, key in held.items()}
    if _is_column(got["title"]) and _is_column(got.get("abstract")):
        reason = 'a table by columns, not by papers; from pandas: to_json(FILE, orient="records")'
        return Skipped(source, "", reason, "refused")
    got |= {role: part for *path, role in _WITHIN if (part := _at(value, path))}
    ids = _ids(value)
    custom = value["custom"] if isinstance(value.get("custom"), dict) else {}
    return gathered(
        source,
        _title(got["title"], value.get("subtitle")),
        _HEADING.sub("", _abstract(got.get("abstract"), value)),
        authors=_people(got.get("authors")),
        year=_date(got.get("year"), value),
        venue=_named(got.get("venue")),
        doi=flat(got.get("doi")) or ids.get("doi"),
        url=flat(got.get("url")).split("; ")[0],
        extra={
            "pmid": pmid_in(flat(got.get("pmid")) or ids.get("pubmed") or ids.get("pmid")),
            "arxiv": arxiv_id(flat(got.get("arxiv")) or ids.get("arxiv") or _own_id(value)),
            "keywords": flat(got.get("keywords")),
            "language": flat(got.get("language")),
            **_details(value, custom),
        },
        id=flat(custom.get("ragid")),
        kinds=[*kinds(whole), "retracted" if value.get("is_retracted") is True else None],
    )


def _details(value: Mapping[str, Any], custom: Mapping[str, Any]) -> dict[str, str]:
    """The rest of `Paper.extra`; where an export of a library says it, as it was there, if it still says the same."""
    inside = [part for name in ("biblio", "journal", "journalInfo") if isinstance(part := value.get(name), dict)]
    texts = {
        name: _first(part) for held in (*inside, value) for name, part in held.items() if not isinstance(part, dict)
    }
    found = described(texts)
    if editors := _editors(value):
        found[f"{bibliography.FIELD}editor"] = bibliography.in_names(editors)
    said = flat(value.get("itemType")) or flat(value.get("type"))
    found |= {
        bibliography.TYPE: bibliography.entry_type(said),
        bibliography.KEY: found.get(bibliography.KEY) or _key(value),
    }
    return bibliography.restored(found, custom.get("extra") if is_id(flat(custom.get("ragid"))) else None)


def _first(part: Any) -> str:
    """A text, or the first of several."""
    return flat(part[0]) if isinstance(part, list) and part and not isinstance(part[0], dict) else flat(part)


def _editors(value: Mapping[str, Any]) -> list[str]:
    people = [
        one for one in value.get("creators") or () if isinstance(one, dict) and one.get("creatorType") == "editor"
    ]
    held = people or value.get("editor") or value.get("editors")
    return [name for one in held if (name := person(one))] if isinstance(held, list) else []


def _key(value: Mapping[str, Any]) -> str:
    """The citation key that Zotero notes, or the id of an item of CSL, unless that is an address or a number."""
    noted = _NOTED_KEY.search(flat(value.get("extra")) or flat(value.get("note")))
    id = flat(value.get("id")) if isinstance(value.get("issued"), dict) or "citation-label" in value else ""
    return noted[1] if noted else id if _CSL_KEY.fullmatch(id) else ""


def _own(value: dict[str, Any], source: str) -> Record | None:
    """The record of a paper as a library exports it, exactly; None for any other object, or one made unfit by hand."""
    if value.keys() != _OWN.keys() or not all(isinstance(value[name], kind) for name, kind in _OWN.items()):
        return None
    texts = [*(v for v in value.values() if isinstance(v, str)), *value["authors"], *value["extra"].values()]
    is_whole = value["title"].strip() and value["abstract"].strip() and len(value["title"]) <= TITLE_LENGTH
    if not is_whole or not all(isinstance(text, str) and stored(text) == text for text in texts):
        return None
    rest = {name: value[name] for name in ("title", "abstract", "year", "venue", "doi", "url")}
    id = value["id"] if is_id(value["id"]) else ""
    return Record(**rest, source=source, authors=tuple(value["authors"]), extra=FrozenMap(value["extra"]), id=id)


def _bare(part: Any) -> Any:
    """OpenReview's {"value": ...} without its wrapping."""
    return part["value"] if isinstance(part, dict) and part.keys() == {"value"} else part


def _is_column(part: Any) -> bool:
    return isinstance(part, list | dict) and len(part) > 1


def _at(value: Any, path: list[str]) -> Any:
    """What lies there within objects; None if nothing does."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _title(title: Any, subtitle: Any) -> str:
    """The first of several titles; Crossref's subtitle, which is no part of it, behind a colon."""
    named = flat(title[0]) if isinstance(title, list) and title else flat(title)
    below = flat(subtitle[0]) if isinstance(subtitle, list) and subtitle else ""
    return f"{named}: {below}" if named and below and below.lower() not in named.lower() else named


def _abstract(value: Any, record: Mapping[str, Any]) -> str:
    """As text; of several the longest; or put together from OpenAlex's index of words to places."""
    if isinstance(value, list):
        return max((flat(part) for part in value), key=len, default="")
    index = record.get("abstract_inverted_index")
    if not value and isinstance(index, dict):
        places = [
            (at, word) for word, ats in index.items() if isinstance(ats, list) for at in ats if isinstance(at, int)
        ]
        return " ".join(word for _, word in sorted(places))
    return flat(value)


def _people(value: Any) -> list[str]:
    """Authors as texts, as objects with a name or its parts, or all in one text; no editors, as Zotero lists them too."""
    if isinstance(value, str):
        return list(names(value))
    if isinstance(value, list):
        authors = [one for one in value if not (isinstance(one, dict) and one.get("creatorType") in _NO_AUTHORS)]
        value = authors or value
    return [name for one in (value if isinstance(value, list) else []) if (name := person(one))]


def _date(value: Any, record: Mapping[str, Any]) -> str:
    """CSL's date-parts, or a date as text."""
    for date in (value, record.get("issued"), record.get("published-print"), record.get("created")):
        if isinstance(date, dict):
            date = flat(date.get("date-parts")) or flat(date.get("raw")) or flat(date.get("literal"))
        if text := flat(date):
            return text
    return ""


def _named(value: Any) -> str:
    """A venue: a text, the first of several, or an object that has a name."""
    value = value[0] if isinstance(value, list) and value else value
    return flat(value.get("name") or value.get("title")) if isinstance(value, dict) else flat(value)


def _ids(record: Mapping[str, Any]) -> dict[str, str]:
    """Semantic Scholar's externalIds and OpenAlex's ids, names in lower case."""
    found: dict[str, str] = {}
    for key in ("externalIds", "ids"):
        if isinstance(record.get(key), dict):
            found |= {name.lower(): flat(value) for name, value in record[key].items()}
    return found


def _own_id(record: Mapping[str, Any]) -> str:
    """An id that is an arXiv number: of arXiv's dump, an address there, or a preprint's number as Zotero writes it."""
    if (number := flat(record.get("number"))).lower().startswith("arxiv:"):
        return number
    own = flat(record.get("id"))
    return own if "arxiv" in (own + flat(record.get("url"))).lower() or "categories" in record else ""
