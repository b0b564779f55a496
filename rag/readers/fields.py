"""What the fields of a record are called and how they are written, for every format alike.

`gathered` is the one way from raw fields to a Record, or to a Skipped that says why there is none.
A title loses its line breaks, since they are the file's folding; an abstract stays as given but for
two characters that cannot be stored. What publishers write where there is no abstract is none.
"""

from __future__ import annotations

import json
import re
from ast import literal_eval
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from rag.bibliography import FIELD, FIELDS, FIRST_PAGE, KEY, KEYS, LAST_PAGE, in_bibtex, is_as_given, made_key
from rag.readers.record import Record, Skipped
from rag.records import RETRACTED, FrozenMap
from rag.text import readable, sentences

TITLE_LENGTH = 2000
LOOKED = 5000  # characters in which a number is looked for
_ID = re.compile("[0-9a-f]{12}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NO_ABSTRACT = re.compile(
    r"\W*(?:(?:no|without) (?:author )?abstract(?: (?:is |was )?(?:available|provided|present))?|"
    r"abstract (?:is )?(?:not|un) ?available|not available|none|null|nan|n/?a|tba|abstract)?\W*",
    re.IGNORECASE,
)
_NO_TITLE = re.compile(
    r"\W*(?:(?:no|without) title(?: available)?|title not available|untitled|null|nan|none|n/?a|undefined)?\W*", re.I
)
_NOTHING = re.compile(r"\W*(?:none|null|nan|nat|n/?a|nil|undefined|unknown|not available)?\W*", re.IGNORECASE)
_NO_AUTHOR = re.compile(r"\W*no authors?(?: name)?(?: available| listed| given)?\W*", re.IGNORECASE)
_RETRACTED = re.compile(
    r"\W*(?:retracted|withdrawn)(?:[ -](?:publication|article|paper))?\W*|is-?retracted|retraction in", re.IGNORECASE
)
_RIGHTS_LENGTH = 1500  # characters; EBSCO's note has 600
_C = r"(?:©|\([cC]\)|\{?\\textcopyright\b\s*(?:\{\}|\})?|\{?\\copyright\b\s*(?:\{\}|\})?|&copy;|&#169;)"
_RIGHTS_SIGN = re.compile(rf"{_C}|copyright|rights reserved|published by", re.IGNORECASE)
_RIGHTS = re.compile(
    rf"\W{{0,3}}(?:(?:crown )?copyright\s*(?:{_C}|\d{{4}}|of )|{_C}\s*(?:copyright\s*)?(?:the\s+authors?|(?:1[89]|20)\d\d\b(?-i:(?!\s+[a-z]{{4,}}\s+[a-z]+))"
    r"|[A-Z][^.]{0,80}?(?:1[89]|20)\d\d\b|crown|[A-Z][\w .,&-]{2,60}\Z)|"
    r"(?:this article is protected by copyright|all rights reserved\W*\Z|published by (?:elsevier|john wiley|wiley|springer|oxford|cambridge)|"
    r"\w+ database record\b))",
    re.IGNORECASE,
)
_RIGHTS_MORE = re.compile(
    r"copyright|rights? reserved|licen[sc]e|published|publish(?:er|ing)|on behalf|creative commons|\bCC[- ]BY|permission|"
    r"property of|users may|may be (?:abridged|copied)|copied|abridge|\b(?:Ltd|Inc|GmbH|LLC|B\.V|Elsevier|Wiley|Springer|Blackwell|"
    r"Taylor|IEEE|ACM|AIP|APA)\b|\bsociety\b.{0,80}$|the authors?\b.{0,60}$|©",
    re.IGNORECASE,
)
_DOI = re.compile(r"10\.\d{4,9}(?:\.\d+)*/[^\s\"<>]+")
_ARXIV = re.compile(r"(?<![\d.])(\d{4}\.\d{4,5}|[a-z-]{2,20}(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?(?!\d)")
_ARXIV_DOI = re.compile(r"10\.48550/arxiv\.(.+)", re.IGNORECASE)
_YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)")
_INITIALS = re.compile(r"([^\W\d_][^\d,.]+) ((?:[^\W\d_]\.[ -]?)+)")  # "Gray A.B." is "Gray, A.B."
_NAMES = re.compile(r"\s*;\s*|\s+\band\b\s+|\n+")


def gathered(
    source: str,
    title: str | None,
    abstract: str | None,
    *,
    authors: Iterable[str] = (),
    year: object = None,
    venue: str | None = None,
    doi: str | None = None,
    url: str | None = None,
    extra: Mapping[str, str | None] | None = None,
    id: str = "",
    kinds: Iterable[str | None] = (),
) -> Record | Skipped:
    """The Record of these fields, or why they are none. `extra` loses its empty values, and `id` is kept if it is one.

    `kinds` are what the source says of the type or state of the publication: one of them may be that it was retracted.
    """
    named, text = stored(line(title or "")), abstract_of(abstract or "", own=is_id(id))
    year = None if is_nothing(year) else year
    venue, doi, url = (None if is_nothing(value) else value for value in (venue, doi, url))
    if _NO_TITLE.fullmatch(named[:40]):
        about = text or "; ".join(line(author) for author in authors) or doi or url or ""
        return Skipped(source, about[:200], _untitled(bool(text)), "refused")
    if len(named) > TITLE_LENGTH:
        return Skipped(source, named[:200], f"a title of {len(named):,} characters: broken?", "refused")
    said = {name: stored(line(value)) for name, value in (extra or {}).items() if value}
    kept = {name: value for name, value in said.items() if value and (is_as_given(name) or not is_nothing(value))}
    if any(_RETRACTED.fullmatch(part) for kind in kinds for part in re.split("[;,|]", (kind or "")[:LOOKED])):
        kept[RETRACTED] = "yes"
    if doi and (preprint := _ARXIV_DOI.search(doi)):  # one paper has one arXiv number, whoever wrote it as a DOI
        kept.setdefault("arxiv", arxiv_id(preprint[1]) or preprint[1])
    people, since = persons(authors), year_in(year) or (None if doi or venue else arxiv_year(kept.get("arxiv")))
    if is_id(id) and kept.get(KEY, "").endswith(f"-{id}"):  # an export of a library made the key, or made it differ
        kept[KEY] = "" if kept[KEY] == made_key(id, named, people, since) else kept[KEY].removesuffix(f"-{id}")
    return Record(
        title=named,
        abstract=text,
        source=source,
        authors=people,
        year=since,
        venue=stored(line(readable(str(venue or "")))) or None,
        doi=doi_in(doi),
        url=stored(line(url)) if url and line(url) else None,
        extra=FrozenMap({name: value for name, value in kept.items() if value}),
        id=id if is_id(id) else "",
    )


def is_nothing(value: object) -> bool:
    """Is it what programs write where there is nothing: "", "nan", "None", "N/A", "-" and the like?"""
    return value is None or (len(text := str(value).strip()) <= 20 and bool(_NOTHING.fullmatch(text)))


def abstract_of(text: str, own: bool = False) -> str:
    """An abstract as it is stored: "" for what publishers write where there is none, without their copyright behind it.

    One that a library exported (`own`) stays as it is.
    """
    text = stored(text.strip())
    if own:
        return text
    return "" if _NO_ABSTRACT.fullmatch(text[:80]) or is_nothing(text) else without_rights(text)


def without_rights(text: str) -> str:
    """`text` without the publisher's lines on copyright at its end: from the first that begins so, if all after it is such."""
    begin = max(0, len(text) - _RIGHTS_LENGTH)
    tail = text[begin:]
    spans = sentences(tail) if _RIGHTS_SIGN.search(tail) else ()
    end = len(text)
    for span in reversed(spans):
        said = tail[span.start : span.end]
        if len(said) > 300 or (begin and not span.start):
            break
        if _RIGHTS.match(said):
            end = begin + span.start
        elif not _RIGHTS_MORE.search(said):
            break
    return text[:end].rstrip()


def is_id(text: str) -> bool:
    """Has it the form of a paper's id?"""
    return bool(_ID.fullmatch(text))


def persons(authors: Iterable[str]) -> tuple[str, ...]:
    """Names as a Paper has them: on one line, readable, without what programs write where there is none."""
    names = (line(readable(author)).strip(" ,;") for author in authors)
    return tuple(_person(name) for name in names if name and not is_nothing(name) and not _NO_AUTHOR.fullmatch(name))


def _person(name: str) -> str:
    whole = _INITIALS.fullmatch(name)
    return stored(f"{whole[1]}, {whole[2]}" if whole else name)


def _untitled(has_abstract: bool) -> str:
    return "an abstract without a title" if has_abstract else "a record with neither title nor abstract"


def stored(text: str) -> str:
    """`text` without the characters that cannot be stored (NUL, halves of surrogate pairs)."""
    return _UNSTORABLE.sub("\ufffd", text)


def line(text: str) -> str:
    """`text` on one line."""
    return " ".join(text.split())


def unfolded(text: str) -> str:
    """`text` without the folding of a format that breaks long lines; paragraphs stay apart."""
    return "\n\n".join(line(part) for part in re.split(r"\n[ \t]*\n", text) if part.strip())


def doi_in(text: str | None) -> str | None:
    """The first DOI of a text, in lower case as DOIs compare, without what punctuation follows it."""
    text = (text or "")[:LOOKED]
    found = _DOI.search(unquote(text) if "%2" in text else text)
    if not found:
        return None
    doi = re.split(r"[,;](?=\s|$|10\.)|&|%26|\[(?:doi|pii)\]", found[0])[0].rstrip(".,;:'}]")
    while doi.endswith(")") and doi.count("(") < doi.count(")"):
        doi = doi[:-1].rstrip(".,;:")
    return stored(doi.lower())


def arxiv_id(text: str | None) -> str | None:
    """The arXiv number in a text such as "arXiv:2101.00001v2" or an address, without its version."""
    found = _ARXIV.search((text or "")[:LOOKED])
    return found[1] if found else None


def arxiv_year(number: str | None) -> int | None:
    """The year in which arXiv gave a number out: "0704.0001" and "math/0703001" are of 2007."""
    found = re.fullmatch(r"(?:.+/)?(\d\d)(?:0[1-9]|1[0-2])(?:\.\d{4,5}|\d{3})", number or "")
    return (1900 if int(found[1]) > 90 else 2000) + int(found[1]) if found else None


def pmid_in(text: str | None) -> str | None:
    """A PubMed number that stands alone, in an address or after "PMID:"."""
    found = re.fullmatch(
        r"\s*(?:PMID:?\s*|.*pubmed\S*/)?(\d{1,9})/?(?:\.0)?\s*", (text or "")[:300], re.IGNORECASE | re.S
    )
    return str(int(found[1])) if found and int(found[1]) else None


def year_in(value: object) -> int | None:
    """The first year from 1500 to 2099 in a date however written."""
    found = _YEAR.search(str(value)[:100]) if value is not None else None
    return int(found[1]) if found else None


def names(text: str) -> tuple[str, ...]:
    """Authors written in one string: split at semicolons or "and", else at commas that part whole names."""
    if (listed := _listed(text)) is not None:
        return listed
    text = "\n".join(row for part in text.split("\n") if (row := line(part)))
    if re.search(r";|\n|\band\b", text):
        return tuple(name for name in _NAMES.split(text) if name)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > 1 and all(" " in part for part in parts):  # "Gray A., Reed B."; "Gray, A." is one name
        return tuple(parts)
    if len(parts) > 2 and len(parts) % 2 == 0 and all(re.fullmatch(r"(?:\w\.?[ -]?)+", p) for p in parts[1::2]):
        return tuple(f"{family}, {given}" for family, given in zip(parts[::2], parts[1::2], strict=True))
    return (text,) if text else ()


def _listed(text: str) -> tuple[str, ...] | None:
    """The names of a list written as Python or JSON write one, of texts or of objects with a name; None for anything else."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]") and 2 < len(text) < 100_000):
        return None
    if not re.search(r"[,{]", re.sub(r"'[^']*'|\"[^\"]*\"", "", text)) and (
        bare := re.findall(r"'([^']+)'|\"([^\"]+)\"", text)
    ):
        return tuple(one or two for one, two in bare)  # one name, or several as numpy writes them, without commas
    value: Any = None
    for read in (json.loads, literal_eval):
        try:
            value = read(text)
            break
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    if not isinstance(value, list):
        return None
    return tuple(name for one in value if (name := line(person(one))))


def person(value: Any) -> str:
    """The name of an author who is a text, an object with a name or its parts, or a list of these parts, family first."""
    if isinstance(value, list):
        return ", ".join(part for part in map(flat, value[:2]) if part)
    if not isinstance(value, dict):
        return flat(value)
    inner = value.get("author")
    value = inner if isinstance(inner, dict) else value  # OpenAlex
    for family, given in (
        ("family", "given"),
        ("lastName", "firstName"),
        ("last_name", "first_name"),
        ("last", "first"),
    ):
        if any(parts := [flat(value.get(family)), flat(value.get(given))]):
            return ", ".join(part for part in parts if part)
    return next(
        (text for key in ("name", "literal", "display_name", "full_name") if (text := flat(value.get(key)))), ""
    )


# --- what a column or a key is called -----------------------------------------------------------

ALIASES: dict[str, tuple[str, ...]] = {  # best first; letters and digits only, in lower case
    "title": ("title", "articletitle", "documenttitle", "papertitle", "abstracttitle", "submissiontitle",
              "presentationtitle", "talktitle", "worktitle", "primarytitle", "ti", "t1", "displayname",
              "itemtitle", "titles", "name", "headline", "titel", "titre", "titulo"),
    "abstract": ("abstract", "abstractnote", "abstracttext", "paperabstract", "notesabstract", "abstracts", "ab", "n2", "summary",
                 "text", "description", "zusammenfassung", "resume", "resumen"),
    "authors": ("authors", "author", "authornames", "firstauthors", "authorfullnames", "authfullnames", "authorships", "authorstring", "creators",
                "creator", "af", "au", "a1", "authorss", "inventors"),
    "year": ("year", "publicationyear", "pubyear", "py", "y1", "issued", "published", "publicationdate", "date",
             "publisheddate", "datepublished", "publishedat", "pubdate", "yearpublished", "versions"),
    "venue": ("venue", "journal", "containertitle", "sourcetitle", "publicationtitle", "journalbook", "booktitle",
              "journaltitle", "journalref", "secondarytitle", "publicationvenue", "conference", "publicationname", "so", "t2", "jo", "pub",
              "source"),
    "doi": ("doi", "do", "di", "itemdoi", "doilink", "digitalobjectidentifier"),
    "url": ("url", "link", "urls", "ur", "pdfurl", "openurllink", "pdflink"),
    "pmid": ("pmid", "pubmedid", "pubmed", "pubmednumber"),
    "arxiv": ("arxiv", "arxivid", "eprint", "arxivnumber"),
    "keywords": ("keywords", "keyword", "authorkeywords", "indexkeywords", "kw", "tags", "manualtags"),
    "kind": ("documenttype", "publicationtype", "publicationtypes", "pubtype", "dt", "pt", "type", "notes", "note"),
    "retracted": ("isretracted", "retracted", "retraction"),
    "language": ("language", "lang", "la", "languageoforiginaldocument"),
}  # fmt: skip
_ROLES = {alias: (role, rank) for role, aliases in ALIASES.items() for rank, alias in enumerate(aliases)}
Columns = Mapping[str, str]  # role -> what the caller says its column is called


def roles(keys: Iterable[str], columns: Columns) -> dict[str, str]:
    """role -> the key that holds it, as the caller says or else by the usual names."""
    best: dict[str, tuple[int, str]] = {}
    for key in keys:
        if (plain := _plain(key)) in _ROLES:
            role, rank = _ROLES[plain]
            best[role] = min(best.get(role, (rank, key)), (rank, key), key=lambda pair: pair[0])
    found = {role: key for role, (_, key) in best.items()}
    wanted = {_plain(key): key for key in keys} if columns else {}
    for role, column in columns.items():
        if (said := _plain(column)) in wanted:
            found[role] = wanted[said]
    return found


@lru_cache(maxsize=1024)
def _plain(key: str) -> str:
    return "".join(char for char in key.casefold() if char.isalnum())


_DETAILS = {
    name: one.bibtex
    for one in FIELDS
    for name in (_plain(one.bibtex), _plain(one.csl), *one.others)
    if name != "number"
}


def kept(values: Mapping[str, str]) -> dict[str, str]:
    """Entries of `Paper.extra` for plain texts, by the BibTeX names of their fields."""
    return {f"{FIELD}{name}": in_bibtex(name, text) for name, text in values.items() if not is_nothing(text)}


def is_described(name: str) -> bool:
    """Is it what a program calls a citation key, or a field that `described` takes?"""
    plain = _plain(name)
    return plain in _DETAILS or plain in FIRST_PAGE | LAST_PAGE | KEYS


def described(values: Mapping[str, str]) -> dict[str, str]:
    """Volume, pages, publisher and the like among texts by the names that programs give them, and the citation key."""
    plain = {name: value.strip() for key, value in values.items() if (name := _plain(key)) and value.strip()}
    found = {_DETAILS[name]: value for name, value in plain.items() if name in _DETAILS}
    ends = [next((plain[name] for name in names if plain.get(name)), "") for names in (FIRST_PAGE, LAST_PAGE)]
    if ends[0] and "pages" not in found:
        found["pages"] = "-".join(filter(None, dict.fromkeys(ends)))
    key = next((plain[name] for name in KEYS if plain.get(name)), "")
    return kept(found) | ({KEY: key} if key else {})


def flat(value: Any) -> str:
    """A value of a table or of JSON as text; a list of texts is joined, anything deeper is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(part for item in value if (part := flat(item)))
    return "" if value is None or isinstance(value, dict | bool) else str(value)
