"""Papers and answers -> files that other programs read: BibTeX, CSL-JSON, RIS, JSON lines; Markdown, JSON of answers.

Whatever is special to the format is escaped, since titles and abstracts hold anything: a title opens no
LaTeX command, a quote no Markdown link, a line of an abstract no field of RIS. The key of a paper is made
of its first author, its year, a word of its title and its id: it is the same in every export, and no two
papers share one.

What is written with abstracts comes back through `rag.readers` as the same papers: id, title, abstract,
authors, year, venue, DOI, address, and of `extra` "arxiv", "pmid", "keywords", "language" and
"retracted".
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
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rag.errors import RagError
from rag.formats import Format
from rag.records import Answer, Paper
from rag.remedies import Remedy
from rag.text import IN_LATEX, UNSAFE, printable, readable

RETRACTED = "Retracted"  # the note by which our readers know it again
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~$!&])")
_BLOCK = re.compile(r"^(\d*)([-+=:]|[.)](?=\s))")
_MARK = re.compile(r"\s*\[(\d+)\]")
_SMALL = set("a an the on in of for to and with is are how what why do does can towards toward from at by via".split())


# --- papers -------------------------------------------------------------------------------------


def bibtex(papers: Sequence[Paper], abstracts: bool = False) -> str:
    """One entry a paper; with `abstracts` also what else is needed to read the papers back."""
    return "\n".join(_entry(paper, abstracts) for paper in _distinct(papers))


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
    return _json([_csl(paper, abstracts) for paper in _distinct(papers)], indent=2)


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


def key(paper: Paper) -> str:
    """The key of a paper: readable, the same in every export, and no other paper's, by the end of its id."""
    words = [word for word in re.findall(r"[a-z0-9]+", _ascii(readable(paper.title)).lower()) if word not in _SMALL]
    family = re.findall(r"[a-z0-9]+", _ascii(family_name(paper.authors[0])).lower()) if paper.authors else []
    made = "".join([*family, str(paper.year or ""), *words[:1]])
    return f"{made or 'paper'}-{paper.id}"


def _entry(paper: Paper, abstracts: bool) -> str:
    arxiv = paper.extra.get("arxiv")
    fields: list[tuple[str, object]] = [
        ("title", f"{{{latex(paper.title)}}}"),  # a second pair of braces keeps capitals as they are
        ("author", " and ".join(_author(author) for author in paper.authors)),
        ("year", paper.year),
        ("howpublished" if not paper.doi else "journal", latex(paper.venue or "")),
        ("doi", paper.doi and _address(paper.doi)),
        ("url", paper.url and _address(paper.url)),
        ("eprint", latex(arxiv or "")),
        ("archiveprefix", arxiv and "arXiv"),
        ("pmid", latex(paper.extra.get("pmid", ""))),
        ("note", paper.is_retracted and RETRACTED),
    ]
    if abstracts:
        fields += [(name, latex(paper.extra.get(name, ""))) for name in ("keywords", "language")]
        fields += [("abstract", latex(paper.abstract)), ("ragid", paper.id)]  # by which our reader knows our escapes
    lines = [f"  {name} = {{{value}}}," for name, value in fields if value]
    return "\n".join([f"@{'article' if paper.doi else 'misc'}{{{key(paper)},", *lines, "}", ""])


def _author(name: str) -> str:
    """A name as one: BibTeX parts authors at "and", and takes "others" for et al."""
    plain = latex(name)
    return f"{{{plain}}}" if re.search(r"(?:^|\s)and(?:\s|$)|^others$", plain, re.IGNORECASE) else plain


def _address(text: str) -> str:
    """A DOI or an address, in which braces, backslashes and white space can stand percent-encoded only."""
    return re.sub(r"[\s{}\\]", lambda found: quote(found[0]), printable(text))


def _csl(paper: Paper, abstracts: bool) -> dict[str, Any]:
    item: dict[str, Any] = {"id": key(paper), "type": "article-journal" if paper.doi else "article"}
    item["title"] = _one_line(paper.title)
    if paper.authors:
        item["author"] = [_csl_name(_one_line(author)) for author in paper.authors]
    if paper.year:
        item["issued"] = {"date-parts": [[paper.year]]}
    known = {"container-title": paper.venue, "DOI": paper.doi, "URL": paper.url and _spaceless(paper.url)}
    known |= {"note": RETRACTED if paper.is_retracted else None}
    known |= {"number": _arxiv(paper), "PMID": paper.extra.get("pmid")}
    if abstracts:
        known |= {"keyword": paper.extra.get("keywords"), "language": paper.extra.get("language")}
    item |= {name: _one_line(value) for name, value in known.items() if value}
    return item | ({"abstract": paper.abstract, "custom": {"ragid": paper.id}} if abstracts else {})


def _csl_name(name: str) -> dict[str, str]:
    """Family and given name where the name says which is which."""
    family, comma, given = name.partition(", ")
    return {"family": family, "given": given} if comma and family and given else {"literal": name}


def _ris(paper: Paper, abstracts: bool) -> Iterator[str]:
    pmid, keywords = paper.extra.get("pmid"), paper.extra.get("keywords", "").split("; ")
    fields: list[tuple[str, object]] = [
        ("TY", "JOUR" if paper.doi or paper.venue else "GEN"),
        ("ID", paper.id),
        ("TI", paper.title),
        *(("AU", author) for author in paper.authors),
        ("PY", paper.year),
        ("T2", paper.venue),
        ("DO", paper.doi),
        ("UR", paper.url and _spaceless(paper.url)),
        ("AN", _arxiv(paper)),
        ("AN", pmid and f"PMID: {pmid}"),
        ("N1", paper.is_retracted and RETRACTED),
    ]
    if abstracts:
        fields += [*(("KW", word) for word in keywords), ("LA", paper.extra.get("language")), ("AB", paper.abstract)]
    yield from (f"{tag}  - {_one_line(printable(str(value)))}" for tag, value in fields if value)
    yield "ER  - "


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
            said += f"{_escaped(text[at : mark.start()])}[^{mark[1]}]"
            at = mark.end()
    asked = ["", f"*{markdown(answer.where.said)}*"] if answer.where else []
    return [f"## {markdown(answer.question)}", "", _BLOCK.sub(r"\1\\\2", said + _escaped(text[at:])), *asked, ""]


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


def markdown(text: str) -> str:
    """Text in which Markdown finds nothing to obey, on one line."""
    return _BLOCK.sub(r"\1\\\2", _escaped(_plain(text)))


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", re.sub(r"\s+", " ", printable(readable(text))))


def _plain(text: str) -> str:
    return _one_line(printable(readable(text)))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def family_name(author: str) -> str:
    """The family name of "Family, Given" or "Given Family"."""
    return author.split(",")[0] if "," in author else author.split()[-1] if author.split() else ""


# --- files --------------------------------------------------------------------------------------


def write(file: Path, text: str, *, over: bool = False) -> None:
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
            part.write_text(text, "utf-8", newline="\n")
            if file.exists():
                part.chmod(file.stat().st_mode & 0o7777)
            os.replace(part, file)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise RagError(f"{file}: cannot be written ({getattr(error, 'strerror', error)}); give another name") from error
