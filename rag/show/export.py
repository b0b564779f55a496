"""Papers and answers -> files that other programs read: BibTeX, CSL-JSON, RIS, JSON lines; Markdown, JSON of answers.

Whatever is special to the format is escaped, since titles and abstracts hold anything: a title opens no
LaTeX command, a quote no Markdown link, a line of an abstract no field of RIS. A field that a BibTeX file
gave stays as it stands unless it commands LaTeX. The key of a paper is the one it came with, or is made of
its first author, its year, a word of its title and its id; no two papers of an export share one.

What is written with abstracts comes back through `rag.readers` as the same papers: id, title, abstract,
authors, year, venue, DOI, address, and `extra`: entry type, citation key and fields that no other format
knows too (`rag.bibliography`), in CSL-JSON under "custom", in RIS in its tag U5.
  JSON lines  exactly, `extra` whole; only `sources` are those of the new file
  CSL-JSON    the abstract exactly; other texts on one line
  RIS         white space is single spaces, control characters are U+FFFD
  BibTeX      as RIS; LaTeX and HTML residue is the characters it stands for (`rag.text.readable`)
In the last three white space in an address is percent-encoded, in BibTeX braces and backslashes as well.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rag import bibliography
from rag.bibliography import LOCAL
from rag.errors import RagError
from rag.escaping import inline, markdown, unblocked
from rag.formats import Format
from rag.readers.bibtex import MONTHS, VENUE_FIELDS, given, unbraced
from rag.readers.fields import doi_in, is_nothing, persons, year_in
from rag.readers.fields import kept as kept_as
from rag.records import Answer, Paper
from rag.remedies import Remedy
from rag.text import IN_LATEX, UNSAFE, printable, readable

RETRACTED = "Retracted"  # the note by which our readers know it again
_PLAIN = [field for field in bibliography.FIELDS if field.bibtex != "editor"]  # in which no names stand
_TAGGED = {"pmid", "arxiv", "keywords", "language", "retracted", bibliography.KEY}  # in RIS
_MARK = re.compile(r"\s*\[(\d+)\]")


# --- papers -------------------------------------------------------------------------------------


def bibtex(papers: Sequence[Paper], abstracts: bool = False, *, keys: Mapping[str, str] | None = None) -> str:
    """One entry a paper; with `abstracts` also what else is needed to read the papers back. `keys` are by id."""
    papers = _distinct(papers)
    keys = keys or bibliography.keys(papers)
    return "\n".join(_entry(paper, keys[paper.id], abstracts) for paper in papers)


def bibtex_whole(papers: Sequence[Paper]) -> str:
    """BibTeX with abstracts."""
    return bibtex(papers, abstracts=True)


def csl_whole(papers: Sequence[Paper]) -> str:
    """CSL-JSON with abstracts."""
    return csl(papers, abstracts=True)


def ris_whole(papers: Sequence[Paper]) -> str:
    """RIS with abstracts."""
    return ris(papers, abstracts=True)


def csl(papers: Sequence[Paper], abstracts: bool = False) -> str:
    """CSL-JSON, as Zotero and pandoc read it."""
    keys = bibliography.keys(papers := _distinct(papers))
    return _json([_csl(paper, keys[paper.id], abstracts) for paper in papers], indent=2)


def ris(papers: Sequence[Paper], abstracts: bool = False) -> str:
    """RIS, as every reference manager reads it."""
    return "\n".join("".join(f"{line}\n" for line in _ris(paper, abstracts)) for paper in _distinct(papers))


def jsonl(papers: Sequence[Paper]) -> str:
    """A line of JSON a paper, whole: `Paper.to_dict`."""
    return "".join(_json(paper.to_dict()) for paper in papers)


def references(papers: Sequence[Paper]) -> str:
    """A Markdown list of the papers."""
    return "".join(f"- {_reference(paper)}\n" for paper in papers)


def _distinct(papers: Sequence[Paper]) -> list[Paper]:
    return list({paper.id: paper for paper in papers}.values())


def _entry(paper: Paper, key: str, whole: bool) -> str:
    kept = bibliography.fields(paper.extra)
    row = bibliography.type_of(paper.extra)
    said = paper.extra.get(bibliography.TYPE, "").lower()
    kind = row.bibtex if row else said if re.fullmatch("[a-z]+", said) else "article" if paper.doi else "misc"
    fields = [
        ("title", _title(paper, kept.get("title", ""))),
        ("author", _authors(paper, kept.get("author", ""))),
        *_dated(paper, kept),
        *_published(paper, kept, kind if row else ""),
        *_numbered(paper, kept),
        ("note", _note(paper, kept)),
    ]
    held = {name for name, _ in fields}
    fields += [
        (name, _value(value))
        for name, value in kept.items()
        if name not in held and (whole or not LOCAL.fullmatch(name))
    ]
    if whole:
        fields += [(name, latex(paper.extra.get(name, ""))) for name in ("keywords", "language")]
        fields += [("abstract", latex(paper.abstract)), ("ragid", paper.id)]  # by which our reader knows our escapes
    lines = [
        f"  {name} = {value.lower() if name == 'month' and value in MONTHS else f'{{{value}}}'},"
        for name, value in fields
        if value
    ]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])


def _value(kept: str) -> str:
    """A field as it came, or the text of one that does more in LaTeX than show text."""
    return kept if bibliography.is_harmless(kept) else latex(kept)


def _title(paper: Paper, kept: str) -> str:
    """As it came; else its text, in a second pair of braces, which keeps capitals as they are and marks our escapes."""
    is_marked = bibliography.in_one_pair(kept)
    as_it_came = (
        bool(kept) and not is_marked and bibliography.is_harmless(kept) and _line(unbraced(kept)) == paper.title
    )
    return kept if as_it_came else f"{{{latex(paper.title)}}}"


def _authors(paper: Paper, kept: str) -> str:
    if kept and bibliography.is_harmless(kept):
        names = bibliography.people(kept)
        others = bibliography.ends_in_others(kept) is (bibliography.OTHERS in paper.extra)
        if others and all(persons(given(name, own) for name in names) == paper.authors for own in (True, False)):
            return kept
    names = [bibliography.in_braces(latex(author)) for author in paper.authors]
    return " and ".join([*names, *(["others"] if names and bibliography.OTHERS in paper.extra else [])])


def _dated(paper: Paper, kept: Mapping[str, str]) -> list[tuple[str, str]]:
    """The year, or the date that was kept if it is of that year."""
    for name in ("year", "date"):
        if name in kept and year_in(kept[name]) == paper.year:
            return [(name, _value(kept[name])), ("date" if name == "year" else "year", "")]
    return [("year", str(paper.year or "")), ("date", "")]


def _published(paper: Paper, kept: Mapping[str, str], kind: str) -> list[tuple[str, str]]:
    """Where it was published, in the field that it came in."""
    usual = bibliography.VENUES.get(kind, "howpublished") if kind else "journal" if paper.doi else "howpublished"
    usual = usual if usual not in kept or usual != "publisher" else "howpublished"
    held = [name for name in VENUE_FIELDS if name in kept]
    said = _line(readable(unbraced(kept[held[0]]))) if held else ""
    if held and (said == paper.venue or (is_nothing(said) and not paper.venue)):
        return [(held[0], _value(kept[held[0]]))]
    before = VENUE_FIELDS[: VENUE_FIELDS.index(usual)]  # in these another's would be read first
    return [(usual, latex(paper.venue or "")), *((name, "") for name in held if name in before)]


def _numbered(paper: Paper, kept: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a paper is known by."""
    arxiv, doi = paper.extra.get("arxiv"), kept.get("doi", "")
    fields = [
        ("doi", _address(doi if doi and doi_in(doi) == paper.doi else paper.doi or "")),
        ("url", _address(paper.url or "")),
        ("pmid", latex(paper.extra.get("pmid", ""))),
    ]
    if arxiv and arxiv not in kept.get("eprint", ""):
        fields += [("eprint", latex(arxiv)), ("archiveprefix", "arXiv"), ("eprinttype", "")]
    return fields


def _note(paper: Paper, kept: Mapping[str, str]) -> str:
    notes = [_value(kept.get("note", "")), RETRACTED if paper.is_retracted else ""]
    return notes[0] if RETRACTED.lower() in notes[0].lower() else "; ".join(filter(None, notes))


def _address(text: str) -> str:
    """A DOI or an address, in which braces, backslashes and white space can stand percent-encoded only."""
    return re.sub(r"[\s{}\\]", lambda found: quote(found[0]), printable(text))


def _csl(paper: Paper, key: str, abstracts: bool) -> dict[str, Any]:
    row, kept = bibliography.type_of(paper.extra), bibliography.fields(paper.extra)
    item: dict[str, Any] = {"id": key, "type": row.csl if row else "article-journal" if paper.doi else "article"}
    item["title"] = _line(paper.title)
    if paper.authors:
        item["author"] = [_csl_name(_line(author)) for author in paper.authors]
    if paper.year:
        item["issued"] = {"date-parts": [[paper.year]]}
    known = {"container-title": paper.venue, "DOI": paper.doi, "URL": paper.url and _spaceless(paper.url)}
    known |= {one.csl: bibliography.in_plain(one.bibtex, kept.get(one.bibtex, "")) for one in _PLAIN}
    if editors := [bibliography.in_plain("editor", name) for name in bibliography.people(kept.get("editor", ""))]:
        item["editor"] = [_csl_name(name) for name in editors]
    known |= {"note": RETRACTED if paper.is_retracted else None}
    known |= {"number": _arxiv(paper), "PMID": paper.extra.get("pmid")}
    if abstracts:
        known |= {"keyword": paper.extra.get("keywords"), "language": paper.extra.get("language")}
    item |= {name: _line(value) for name, value in known.items() if value}
    return item | (
        {"abstract": paper.abstract, "custom": {"ragid": paper.id, "extra": dict(paper.extra)}} if abstracts else {}
    )


def _csl_name(name: str) -> dict[str, str]:
    """Family and given name where the name says which is which."""
    family, comma, given = name.partition(", ")
    return {"family": family, "given": given} if comma and family and given else {"literal": name}


def _ris(paper: Paper, abstracts: bool) -> Iterator[str]:
    pmid, keywords = paper.extra.get("pmid"), paper.extra.get("keywords", "").split("; ")
    row = bibliography.type_of(paper.extra)
    fields: list[tuple[str, object]] = [
        ("TY", row.ris if row else "JOUR" if paper.doi or paper.venue else "GEN"),
        ("ID", paper.id),
        ("LB", bibliography.own_key(paper.extra)),
        ("TI", paper.title),
        *(("AU", author) for author in paper.authors),
        ("PY", paper.year),
        ("T2", paper.venue),
        ("DO", paper.doi),
        ("UR", paper.url and _spaceless(paper.url)),
        ("AN", _arxiv(paper)),
        ("AN", pmid and f"PMID: {pmid}"),
        ("N1", paper.is_retracted and RETRACTED),
        *_ris_details(bibliography.fields(paper.extra)),
    ]
    if abstracts:
        fields += [*(("KW", word) for word in keywords), ("LA", paper.extra.get("language")), ("AB", paper.abstract)]
        fields += [("U5", _untagged(paper.extra))]
    yield from (f"{tag}  - {_line(printable(str(value)))}" for tag, value in fields if value)
    yield "ER  - "


def _ris_details(kept: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Volume, pages, editors and the like under their tags."""
    yield from (("ED", bibliography.in_plain("editor", name)) for name in bibliography.people(kept.get("editor", "")))
    for one in _PLAIN:
        value = bibliography.in_plain(one.bibtex, kept.get(one.bibtex, ""))
        if one.bibtex == "pages" and (ends := re.fullmatch(r"([^-]+)-([^-]+)", value)):
            yield from ((one.ris, ends[1]), ("EP", ends[2]))
        else:
            yield one.ris, value


def _untagged(extra: Mapping[str, str]) -> str:
    """What RIS has no tag for, or would say in other words, as JSON; "" for nothing."""
    row = bibliography.type_of(extra)
    told = {field.bibtex for field in _PLAIN}
    left = {name: value for name, value in extra.items() if name not in _TAGGED}
    if "{" not in left.get(title := f"{bibliography.FIELD}title", ""):
        left.pop(title, None)
    for name in [name for name in left if name.removeprefix(bibliography.FIELD) in told]:
        if name.endswith(("isbn", "issn")) and bibliography.is_issn(left[name]) is name.endswith("isbn"):
            continue
        field = name.removeprefix(bibliography.FIELD)
        if kept_as({field: bibliography.in_plain(field, left[name])}) == {name: left[name]}:
            del left[name]
    if row and bibliography.entry_type(row.ris) == left.get(bibliography.TYPE):
        del left[bibliography.TYPE]
    return json.dumps(left) if left else ""


def _arxiv(paper: Paper) -> str | None:
    number = paper.extra.get("arxiv")
    return f"arXiv:{number}" if number else None


def _spaceless(url: str) -> str:
    return re.sub(r"\s", lambda found: quote(found[0]), url)


def _json(value: Any, indent: int | None = None) -> str:
    """JSON of any text, exactly, with nothing in it that a terminal obeys."""
    text = json.dumps(value, ensure_ascii=False, indent=indent) + "\n"
    return UNSAFE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def _reference(paper: Paper) -> str:
    facts = [", ".join(paper.authors), f"*{markdown(paper.headline)}*", paper.venue, str(paper.year or "")]
    said = ". ".join(fact if fact and fact.startswith("*") else markdown(fact) for fact in facts if fact)
    place = paper.url or (f"https://doi.org/{paper.doi}" if paper.doi else "")
    return f"{said}." + (f" {markdown(place)}" if place else f" ({paper.id})")


# --- answers ------------------------------------------------------------------------------------


def notes(answers: Sequence[Answer]) -> str:
    """Questions and answers in Markdown; a footnote a paper, with the quotes that hold the answers."""
    return "\n".join([*(line for answer in answers for line in _section(answer)), *_footnotes(answers)]) + "\n"


def as_json(answers: Sequence[Answer]) -> str:
    """The answers as `rag ask --json` prints one."""
    return json.dumps([answer.to_dict() for answer in answers], ensure_ascii=True, indent=2) + "\n"


def cited(answers: Sequence[Answer]) -> list[Paper]:
    """The papers the answers cite, each once, in order of first mention."""
    return _distinct([citation.paper for answer in answers for citation in answer.citations])


def _section(answer: Answer) -> list[str]:
    text, at, said = answer.text, 0, ""
    for mark in _MARK.finditer(text):
        if int(mark[1]) in answer.numbers:
            said += f"{inline(text[at : mark.start()])}[^{mark[1]}]"
            at = mark.end()
    asked = ["", f"*{markdown(answer.where.said)}*"] if answer.where else []
    return [f"## {markdown(answer.question)}", "", unblocked(said + inline(text[at:])), *asked, ""]


def _footnotes(answers: Sequence[Answer]) -> list[str]:
    quotes: dict[int, dict[Paper, dict[str, None]]] = {}
    for answer in answers:
        for citation in answer.citations:
            quotes.setdefault(citation.number, {}).setdefault(citation.paper, {})[citation.quote] = None
    lines = []
    for number, papers in sorted(quotes.items()):
        for at, (paper, quoted) in enumerate(papers.items()):  # more than one after a question asked again
            lines += [f"    {_reference(paper)}" if at else f"[^{number}]: {_reference(paper)}"]
            lines += [line for quote in quoted for line in ("", f"    > {markdown(quote)}")] + [""]
    return lines


def write_papers(form: Format, papers: Sequence[Paper]) -> str:
    """Papers whole, in a format of `rag.formats.PAPERS`."""
    write: Callable[[Sequence[Paper]], str] = globals()[form.papers]
    return write(papers)


def write_citations(form: Format, papers: Sequence[Paper]) -> str:
    """How papers are cited, in a format of `rag.formats.CITED`."""
    write: Callable[[Sequence[Paper]], str] = globals()[form.citation]
    return write(papers)


def write_answers(form: Format, answers: Sequence[Answer]) -> str:
    """A chat in a format of `rag.formats.CHAT_BY_SUFFIX`: its answers, or else the papers that they cite."""
    if not form.answers:
        return write_papers(form, cited(answers))
    write: Callable[[Sequence[Answer]], str] = globals()[form.answers]
    return write(answers)


# --- escaping -----------------------------------------------------------------------------------


def latex(text: str) -> str:
    """Text in which LaTeX finds nothing to obey."""
    return _plain(text).translate(IN_LATEX)


def _plain(text: str) -> str:
    return _line(printable(readable(text)))


def _line(text: str) -> str:
    return " ".join(text.split())


# --- files --------------------------------------------------------------------------------------


def write(file: Path, text: str | bytes, *, over: bool = False) -> None:
    """Write a file whole, or not at all.

    Raises RagError when it is there already (unless `over`), or cannot be written.
    """
    try:
        file = Path(os.path.realpath(file))
        if file.exists() and not file.is_file():
            raise RagError(f"{file} is no ordinary file; give another name")
        if file.exists() and not over:
            raise RagError(f"{file} is there already", Remedy.REPLACE_FILE)
        part = file.with_name(f".{file.name[:100]}.{os.getpid()}.part")
        try:
            part.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
            if file.exists():
                part.chmod(file.stat().st_mode & 0o7777)
            os.replace(part, file)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise RagError(f"{file}: cannot be written ({getattr(error, 'strerror', error)}); give another name") from error
