"""BibTeX and BibLaTeX: what the fields of an entry mean.

What BibTeX itself means is resolved here: quotation marks and braces around a value, @string names,
fields inherited by crossref, braces that only protect capitals. What LaTeX
means (accents, commands) stays as given in titles and abstracts; `rag.text.readable` shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rag import bibliography
from rag.readers.bibtex_entries import Entry, entries
from rag.readers.fields import arxiv_id, doi_in, gathered, is_id, pmid_in, unfolded, year_in
from rag.readers.record import Found, Record, Skipped

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # what the names jan, feb ... stand for
_INHERITED = set(
    "year date publisher editor booktitle eventtitle series volume address location isbn issn month".split()
)
_OWN = set(  # what a Paper says itself, or an entry says by its place
    "subtitle abstract url keywords language pmid ragid".split()
)
VENUE_FIELDS = (
    "journal",
    "journaltitle",
    "booktitle",
    "eventtitle",
    "howpublished",
    "school",
    "institution",
    "publisher",
)
_BREAK = re.compile(r"(?<!\\)((?:\\\\)+)(?=\{)")  # LaTeX's line break: the brace is not its argument
_KNOWN_MACROS = re.compile(r"\\(?:noopsort|printfirst|switchargs|singleletter|nocase)\b", re.IGNORECASE)


def read(text: str, name: str) -> Found:
    """The records of a BibTeX file, and what of it is broken or no paper."""
    records: list[Record] = []
    skipped: list[Skipped] = []
    strings, read = {month.lower(): month for month in MONTHS}, list[tuple[Entry, dict[str, str]]]()
    for entry in entries(text):
        skipped += _lost(entry, name)
        if entry.kind == "string":
            strings |= {field: _joined(parts, strings) for field, parts in entry.fields}
        elif not entry.broken:
            read.append((entry, _fields(entry, strings)))
    by_key = {entry.key.lower(): fields for entry, fields in read if entry.key}
    for entry, fields in read:
        made = _record(entry, _whole(fields, by_key), f"{name}:{entry.line}")
        (records if isinstance(made, Record) else skipped).append(made)  # type: ignore[arg-type]
    return records, skipped


def _lost(entry: Entry, name: str) -> list[Skipped]:
    """What of an entry could not be read: all of it, or what stands at some of its lines."""
    if entry.broken:
        return [Skipped(f"{name}:{entry.line}", entry.key, f"broken BibTeX: {entry.broken}", "refused")]
    return [Skipped(f"{name}:{line}", entry.key, f"broken BibTeX: {why}", "refused") for line, why in entry.lost]


def _fields(entry: Entry, strings: Mapping[str, str]) -> dict[str, str]:
    """Field names in lower case; of a field given twice the first that says something."""
    found: dict[str, str] = {}
    for field, parts in entry.fields:
        value = unfolded(_joined(parts, strings))
        if value and not found.get(field):
            found[field] = value
    return found


def _joined(parts: Iterable[str], strings: Mapping[str, str]) -> str:
    """The text of a value: "..." or {...}, the name of a @string, or several of these joined."""
    out = []
    for part in parts:
        quoted = len(part) > 1 and part[0] + part[-1] in ('""', "{}")
        out.append(part[1:-1] if quoted else strings.get(part.lower(), part))
    return "".join(out)


def _whole(fields: Mapping[str, str], by_key: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The fields of an entry, with those of the one it refers to that it lacks; the title of a book becomes a booktitle."""
    parent = by_key.get(fields["crossref"].lower()) if fields.get("crossref") else None
    if parent is None:
        return dict(fields)
    found = {name: value for name, value in parent.items() if name in _INHERITED and name not in fields}
    if parent.get("title") and "booktitle" not in fields:
        found.setdefault("booktitle", parent["title"])
    return {name: value for name, value in fields.items() if name != "crossref"} | found


def _record(entry: Entry, fields: Mapping[str, str], source: str) -> Record | Skipped:
    eprint = fields.get("eprint", "") + " " + fields.get("archiveprefix", fields.get("eprinttype", ""))
    preprint = "arxiv" in eprint.lower() or "arxiv" in (fields.get("url", "") + fields.get("journal", "")).lower()
    note = fields.get("note", "")
    noted = pmid_in(note) if note.lower().startswith("pmid") else None  # Zotero
    extra = {
        "pmid": pmid_in(fields.get("pmid"))
        or noted
        or (pmid_in(fields.get("eprint")) if "pubmed" in eprint.lower() else None),
        "arxiv": arxiv_id(" ".join((eprint, fields.get("url", ""), fields.get("journal", "")))) if preprint else None,
        "keywords": fields.get("keywords") or fields.get("author_keywords"),
        "language": fields.get("language") or fields.get("langid"),
        bibliography.TYPE: entry.kind,
        bibliography.OTHERS: "yes" if bibliography.ends_in_others(fields.get("author", "")) else None,
    }
    id = fields.get("ragid", "")
    plain = bibliography.unescaped if is_id(id) else unbraced
    title, subtitle = (given(fields.get(name, ""), is_id(id)) for name in ("title", "subtitle"))
    return gathered(
        source,
        f"{title}: {subtitle}" if title and subtitle else title,
        plain(fields.get("abstract", "")),
        authors=[given(name, is_id(id)) for name in bibliography.people(fields.get("author", ""))],
        year=fields.get("year") or fields.get("date"),
        venue=unbraced(_venue(fields)),
        doi=fields.get("doi") or _said(fields),
        url=fields.get("url") or fields.get("link"),
        extra=(extra if plain is unbraced else {name: plain(text or "") for name, text in extra.items()})
        | {bibliography.KEY: entry.key}
        | {f"{bibliography.FIELD}{name}": value for name, value in fields.items() if _is_kept(name, value, fields)},
        id=id,
        kinds=[note, *(fields.get(name) for name in ("type", "pubstate", "keywords"))],
    )


def _said(fields: Mapping[str, str]) -> str | None:
    return next((value for name in ("url", "note", "ee") if "doi" in (value := fields.get(name, "")).lower()), None)


def _venue(fields: Mapping[str, str]) -> str:
    return next((fields[name] for name in VENUE_FIELDS if fields.get(name)), "")


def _is_kept(name: str, value: str, fields: Mapping[str, str]) -> bool:
    """Is a field kept as it stands? One that a Paper says in the same words is not."""
    if name == "year":
        return value != str(year_in(value))
    if name == "doi":
        return (
            value != doi_in(value) and re.fullmatch(r"10\.\d{4,9}/\S+", value) is not None
        )  # in capitals, or with "<"
    if name == "author":
        return any(mark in value for mark in "\\{~")
    if name == "author_keywords":
        return "keywords" in fields
    return name not in _OWN and not (name == "link" and "url" not in fields)


def given(text: str, own: bool) -> str:
    """A title or a name; what an export of ours escaped stands in a second pair of braces."""
    return bibliography.unescaped(text) if own and bibliography.in_one_pair(text) else unbraced(text)


def unbraced(text: str) -> str:
    """Without the braces that BibTeX reads itself: not those of a formula, a command or an accent."""
    if "{" not in text:
        return text
    text = _KNOWN_MACROS.sub("", _BREAK.sub(r"\1 ", text))
    out: list[str] = []
    kept: list[bool] = []  # of each open brace: does it stay?
    math = False
    for at, char in enumerate(text):
        before = text[max(0, at - 8) : at]
        escaped = (len(before) - len(before.rstrip("\\"))) % 2 == 1
        if char == "$" and not escaped:
            math = not math
        if char == "{" and not escaped:
            kept.append(math or bool(kept and kept[-1]) or _is_argument(text, at))
            if not kept[-1]:
                continue
        elif char == "}" and not escaped and kept and not kept.pop():
            continue
        out.append(char)
    return "".join(out)


def _is_argument(text: str, at: int) -> bool:
    """Does the brace at `at` belong to a command, an accent, an index or a switch?"""
    before = text[max(0, at - 40) : at]
    return (
        bool(re.search(r"(?:\\[A-Za-z]+|(?<!\\)\\[^A-Za-z\s{}\\]|[\^_]|\\[A-Za-z]+\{[^{}]*\})\s*$", before))
        or text[at + 1 : at + 2] == "\\"
    )
