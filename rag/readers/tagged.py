"""Tagged lines: RIS, MEDLINE (.nbib), Web of Science (.ciw), RefWorks and EndNote's "%" export.

All five are one idea: a line opens with a short tag, lines without one go on with the last, one tag
begins a record and one may end it. The formats differ in how a tag looks and what it means, so each
is a table here. Own code, since no kept package reads MEDLINE, and the one for RIS (rispy) gives no
line numbers, keeps the first of repeated lines only and drops a last record that is not closed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from rag import bibliography
from rag.readers.fields import arxiv_id, gathered, is_id, kept, pmid_in, unfolded
from rag.readers.record import Found, Record, Skipped

_COUNTER = re.compile(r"(?:\d+\.|<\d+>|#\d+|Record #?\d+ of \d+|VN .*|EF)", re.IGNORECASE)  # between records


@dataclass(frozen=True, slots=True)
class Format:
    """How lines are tagged, and the tags of each field, best first."""

    line: re.Pattern[str]  # groups: tag, value
    begins: tuple[str, ...]
    ends: str
    tags: Mapping[str, tuple[str, ...]]
    header: tuple[str, ...] = ()  # tags that stand before the first record
    details: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by their names in BibTeX
    editors: tuple[str, ...] = ()
    known: str = ""  # all tags there are, where a loose line is told by them; "" if a line may only be indented
    loose: bool = False  # is this the loose form?


@dataclass(slots=True)
class _Raw:
    """The tagged values of one record, and the line it begins on."""

    line: int
    values: dict[str, list[list[str]]] = field(default_factory=dict)  # tag -> its values, each in lines
    last: str = ""

    def texts(self, tags: tuple[str, ...]) -> list[str]:
        return [text for tag in tags for value in self.values.get(tag, ()) if (text := unfolded("\n".join(value)))]

    def first(self, tags: tuple[str, ...]) -> str:
        return next(iter(self.texts(tags)), "")


_RIS_TAGS = (
    "TY ER ID TI TT T1 T2 T3 A1 A2 A3 A4 AU AD AB N1 N2 PY Y1 Y2 DA KW JO JF JA J1 J2 VL IS SP EP SN DO UR LK L1 L2 L3 L4 "
    "M1 M2 M3 C1 C2 C3 C4 C5 C6 C7 C8 PB PP CY CN ET AN LA DB DP RN RP SE SV ST BT CT ED OP AV CA LB NV U1 U2 U3 U4 U5"
)
_MEDLINE_TAGS = (
    "PMID OWN STAT DCOM LR IS VI IP DP TI BTI TT LID PG AB OAB CI FAU AU AUID AD CN LA PT DEP PL TA JT JID SB MH OT OTO "
    "COIS EDAT MHDA CRDT PHST AID PST SO GR RN RIN ROF EIN PMC MID"
)
RIS = Format(
    re.compile(r"([A-Z][A-Z0-9]) {1,2}-(?:\s(.*)|(.*))"),
    ("TY",), "ER",
    {"title": ("TI", "T1", "CT", "BT", "ST"), "abstract": ("AB", "N2"), "authors": ("AU", "A1"), "year": ("PY", "Y1", "DA"),
     "venue": ("T2", "JF", "JO", "JA", "J2"), "doi": ("DO", "M3", "L3", "UR", "L2", "N1"), "url": ("UR", "L2"),
     "keywords": ("KW",), "language": ("LA",), "type": ("TY",), "kinds": ("M3", "N1", "KW", "C3"), "numbers": ("AN", "ID", "N1", "C7", "UR", "M1")},
    details={one.bibtex: (one.ris,) for one in bibliography.FIELDS if one.bibtex != "editor"},
    editors=("ED",),
    known=_RIS_TAGS,
)  # fmt: skip
MEDLINE = Format(
    re.compile(r"([A-Z][A-Z0-9 ]{3})-(?:\s(.*)|(.*))"),
    ("PMID",), "",
    {"title": ("TI", "BTI", "TT"), "abstract": ("AB", "OAB"), "authors": ("FAU", "AU", "CN"), "year": ("DP", "DEP"),
     "venue": ("JT", "TA"), "doi": ("LID", "AID"), "keywords": ("OT", "MH"), "language": ("LA",), "pmid": ("PMID",), "kinds": ("PT",)},
    details={"volume": ("VI",), "number": ("IP",), "pages": ("PG",), "issn": ("IS",), "publisher": ("PB",)},
    editors=("FED",),
    known=_MEDLINE_TAGS,
)  # fmt: skip
WOS = Format(
    re.compile(r"([A-Z][A-Z0-9])(?: (.*)|($))"),
    ("PT",), "ER",
    {"title": ("TI",), "abstract": ("AB",), "authors": ("AF", "AU"), "year": ("PY",), "venue": ("SO",), "doi": ("DI",),
     "keywords": ("DE", "ID"), "language": ("LA",), "pmid": ("PM",), "kinds": ("DT",)},
    ("FN", "VR", "EF"),
    details={"volume": ("VL",), "number": ("IS",), "pages": ("BP",), "publisher": ("PU",), "issn": ("SN",), "isbn": ("BN",)},
    editors=("BE",),
)  # fmt: skip
REFWORKS = Format(
    WOS.line,
    ("RT",), "ER",
    {"title": ("T1",), "abstract": ("AB",), "authors": ("A1",), "year": ("YR", "FD"), "venue": ("JF", "T2", "JO"),
     "doi": ("DO",), "url": ("UL", "LK"), "keywords": ("K1",), "language": ("LA",), "kinds": ("NO",)},
    details={"volume": ("VO",), "number": ("IS",), "pages": ("SP",), "publisher": ("PB",)},
)  # fmt: skip
ENDNOTE = Format(
    re.compile(r"(%\S)(?:\s(.*)|($))"),
    ("%0",), "",
    {"title": ("%T",), "abstract": ("%X",), "authors": ("%A",), "year": ("%D", "%8"), "venue": ("%J", "%B"),
     "doi": ("%R", "%U"), "url": ("%U",), "keywords": ("%K",), "language": ("%G",), "numbers": ("%M", "%U"), "kinds": ("%9", "%Z")},
    details={"volume": ("%V",), "number": ("%N",), "pages": ("%P",), "publisher": ("%I",), "address": ("%C",), "isbn": ("%@",)},
    editors=("%E",),
)  # fmt: skip


def _as_it_is(text: str, format: Format) -> tuple[str, Format]:
    """The text and how its lines are tagged: strictly, or where no line begins a record so, indented and in any case."""
    if any(
        (found := format.line.fullmatch(row.rstrip())) and found[1].strip() in format.begins for row in text.split("\n")
    ):
        return text, format
    dash = r"[ \t]{0,4}-(?:\s(.*)|(.*))"
    line = re.compile(rf"({format.known.replace(' ', '|')}){dash}", re.IGNORECASE) if format.known else format.line
    first = re.compile(rf"^([ \t]*)(?={line.pattern})", re.MULTILINE | line.flags).search(text)
    indent = first[1] if first else ""
    return "\n".join(row.removeprefix(indent) for row in text.split("\n")), replace(format, line=line, loose=True)


def ris(text: str, name: str) -> Found:
    """The records of a RIS file."""
    return _read(text, name, RIS)


def medline(text: str, name: str) -> Found:
    """The records of PubMed's .nbib or MEDLINE export."""
    return _read(text, name, MEDLINE)


def wos(text: str, name: str) -> Found:
    """The records of Web of Science's plain text export."""
    return _read(text, name, WOS)


def refworks(text: str, name: str) -> Found:
    """The records of RefWorks' tagged export."""
    return _read(text, name, REFWORKS)


def endnote(text: str, name: str) -> Found:
    """The records of EndNote's "%" export."""
    return _read(text, name, ENDNOTE)


def _read(text: str, name: str, format: Format) -> Found:
    records: list[Record] = []
    skipped: list[Skipped] = []
    text, format = _as_it_is(text, format)
    for raw in _raws(text, name, format, skipped):
        made = _record(raw, f"{name}:{raw.line}", format)
        if isinstance(made, Record):
            records.append(made)
        else:
            skipped.append(made)
    return records, skipped


def _raws(text: str, name: str, format: Format, skipped: list[Skipped]) -> Iterator[_Raw]:
    """The records of a file as they stand; lines outside of any are skipped."""
    raw: _Raw | None = None
    for number, line in enumerate(text.split("\n"), 1):
        found = format.line.fullmatch(line.rstrip())
        tag = found[1].strip().upper() if found else ""
        value = (found[2] or found[3] or "") if found else line
        if tag and (tag in format.begins or (raw is None and _may_begin(tag, format))):
            if raw:
                yield raw
            raw = _Raw(number)
        if raw is None:
            if line.strip() and not _COUNTER.fullmatch(line.strip()) and tag not in (*format.header, format.ends):
                skipped.append(Skipped(f"{name}:{number}", line.strip(), "outside of any record"))
        elif tag and tag == format.ends:
            yield raw
            raw = None
        else:
            _take(raw, tag, value)
    if raw:
        yield raw


def _may_begin(tag: str, format: Format) -> bool:
    """Does it begin a record whose first line is missing?"""
    return bool(format.ends) and (tag in format.tags["title"] or (format.loose and tag != format.ends))


def _take(raw: _Raw, tag: str, value: str) -> None:
    if tag:
        raw.values.setdefault(tag, []).append([value])
        raw.last = tag
    elif raw.last:
        raw.values[raw.last][-1].append(value)


def _record(raw: _Raw, source: str, format: Format) -> Record | Skipped:
    tags = {role: format.tags.get(role, ()) for role in ("doi", "url", "pmid", "numbers", "language", "type")}
    authors = next((raw.texts((tag,)) for tag in format.tags["authors"] if raw.texts((tag,))), [])
    if format.begins == WOS.begins:  # one a line, folded into one value
        held = next((raw.values[tag] for tag in format.tags["authors"] if tag in raw.values), [])
        authors = [name for value in held for name in value]
    extra: dict[str, str | None] = {
        "pmid": pmid_in(raw.first(tags["pmid"])) or _pubmed(raw, tags["numbers"]),
        "arxiv": _arxiv(raw, tags["numbers"]),
        "keywords": "; ".join(raw.texts(format.tags["keywords"])),
        "language": raw.first(tags["language"]),
        bibliography.TYPE: bibliography.entry_type(raw.first(tags["type"])) or raw.first(tags["type"]),
        **kept(_details(raw, format.details)),
        bibliography.KEY: raw.first(("LB",)) if format.begins == RIS.begins else "",
    }
    in_part = raw.first(("TY",)) in ("CHAP", "CONF", "CPAPER")  # where RIS calls an editor a second author
    if editors := raw.texts(format.editors) or (raw.texts(("A2",)) if in_part else []):
        extra[f"{bibliography.FIELD}editor"] = bibliography.in_names(editors)
    id = raw.first(("ID",)) if format.begins == RIS.begins else ""
    if is_id(id) and (private := _held(raw)):
        extra = dict(bibliography.restored({name: text for name, text in extra.items() if text}, private))
    return gathered(
        source,
        raw.first(format.tags["title"]),
        _abstract(raw, format.tags["abstract"]),
        authors=authors,
        year=raw.first(format.tags["year"]),
        venue=raw.first(format.tags["venue"]),
        doi=_doi(raw, tags["doi"]),
        url=raw.first(tags["url"]).split(" ")[0],
        extra=extra,
        id=id,
        kinds=[*raw.texts(format.tags.get("kinds", ())), *(["retracted"] if "RIN" in raw.values else [])],
    )


_LAST_PAGES = ("EP", "OP")  # of RIS and Web of Science, of RefWorks


def _details(raw: _Raw, tags: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Volume, pages and the like; a number of the SN tag is a book's or a journal's by its length."""
    found = {name: raw.first(held) for name, held in tags.items()}
    last = raw.first(_LAST_PAGES)
    if found.get("pages") and last and last != found["pages"] and "-" not in found["pages"]:
        found["pages"] += f"-{last}"
    if tags.get("isbn") and tags.get("isbn") == tags.get("issn"):
        for text in reversed(raw.texts(tags["isbn"])):
            is_journals = bibliography.is_issn(text)
            found |= {"issn" if is_journals else "isbn": text, "isbn" if is_journals else "issn": ""}
    return found


def _held(raw: _Raw) -> object:
    """What an export of a library holds that RIS has no tag for; None if it holds nothing of that."""
    try:
        return json.loads(raw.first(("U5",)))
    except (ValueError, RecursionError):
        return None


def _abstract(raw: _Raw, tags: tuple[str, ...]) -> str:
    """The abstract, however many lines it was split over; one given twice stands once."""
    kept: list[str] = []
    for part in raw.texts(tags):
        twin = next((n for n, old in enumerate(kept[:9]) if _same(old, part)), None)
        if twin is None:
            kept.append(part)
        elif len(part) > len(kept[twin]):
            kept[twin] = part
    return "\n".join(kept)


def _same(one: str, two: str) -> bool:
    from rapidfuzz import fuzz

    short, long = sorted((one, two), key=len)
    return short in long or fuzz.ratio(one[:2000], two[:2000]) > 80


def _doi(raw: _Raw, tags: tuple[str, ...]) -> str:
    """Of the field for it; of another field only where it is called a DOI."""
    own, *others = tags
    said = [text for text in raw.texts(tuple(others)) if re.search(r"\bdoi\b|^10\.\d{4}", text, re.IGNORECASE)]
    found = [*raw.texts((own,)), *said]
    if own in ("LID", "AID"):
        found = [text for text in found if "[doi]" in text]
    return next(iter(found), "")


def _pubmed(raw: _Raw, tags: tuple[str, ...]) -> str | None:
    """A PubMed number among other numbers, where it is called one."""
    for text in raw.texts(tags):
        if found := re.search(
            r"\bPMID:?\s*(\d{1,9})\b|(?:pubmed\.ncbi|ncbi\.nlm)\.nih\.gov/(?:pubmed/)?(\d{1,9})\b", text
        ):
            return found[1] or found[2]
    pubmed = any("pubmed" in text.casefold() or "medline" in text.casefold() for text in raw.texts(("DB", "DP")))
    return pmid_in(raw.first(("AN",))) if pubmed else None


def _arxiv(raw: _Raw, tags: tuple[str, ...]) -> str | None:
    said = (text for text in raw.texts(tags) if "arxiv" in text.casefold())
    return next((found for text in said if (found := arxiv_id(text))), None)
