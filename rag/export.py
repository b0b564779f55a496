"""Answers and papers -> files that other programs read: Markdown, BibTeX, CSL-JSON, JSON of the answers.

Whatever is special to the format is escaped, since titles and abstracts hold anything: a title opens no
LaTeX command, a quote no Markdown link. The key of a paper is made of its first author, its year, a word
of its title and its id: it is the same in every export, and no two papers share one.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from rag.records import Answer, Paper
from rag.text import printable, readable

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~$!&])")
_BLOCK = re.compile(r"^(\d*)([-+=:]|[.)](?=\s))")
_MARK = re.compile(r"\s*\[(\d+)\]")
_SMALL = set("a an the on in of for to and with is are how what why do does can towards toward from at by via".split())


# --- papers -------------------------------------------------------------------------------------


def bibtex(papers: Sequence[Paper], abstracts: bool = False) -> str:
    """One entry a paper."""
    return "\n".join(_entry(paper, abstracts) for paper in _distinct(papers))


def csl(papers: Sequence[Paper], abstracts: bool = False) -> str:
    """CSL-JSON, as Zotero and pandoc read it."""
    return json.dumps([_csl(paper, abstracts) for paper in _distinct(papers)], ensure_ascii=False, indent=2) + "\n"


def references(papers: Sequence[Paper]) -> str:
    """A Markdown list of the papers."""
    return "".join(f"- {_reference(paper)}\n" for paper in papers)


def _distinct(papers: Sequence[Paper]) -> list[Paper]:
    return list({paper.id: paper for paper in papers}.values())


def key(paper: Paper) -> str:
    """The key of a paper: readable, the same in every export, and no other paper's, by the end of its id."""
    words = [word for word in re.findall(r"[a-z0-9]+", _ascii(readable(paper.title)).lower()) if word not in _SMALL]
    family = re.findall(r"[a-z0-9]+", _ascii(_family(paper.authors[0])).lower()) if paper.authors else []
    made = "".join([*family, str(paper.year or ""), *words[:1]])
    return f"{made or 'paper'}-{paper.id}"


def _entry(paper: Paper, abstracts: bool) -> str:
    fields: list[tuple[str, object]] = [
        ("title", f"{{{latex(paper.title)}}}"),  # a second pair of braces keeps capitals as they are
        ("author", " and ".join(latex(author) for author in paper.authors)),
        ("year", paper.year),
        ("howpublished" if not paper.doi else "journal", latex(paper.venue or "")),
        ("doi", paper.doi and re.sub(r"[\s{}\\]", "", printable(paper.doi))),
        ("url", paper.url and re.sub(r"[\s{}\\]", "", printable(paper.url))),
        ("abstract", latex(paper.abstract) if abstracts else ""),
    ]
    lines = [f"  {name} = {{{value}}}," for name, value in fields if value]
    return "\n".join([f"@{'article' if paper.doi else 'misc'}{{{key(paper)},", *lines, "}", ""])


def _csl(paper: Paper, abstracts: bool) -> dict[str, Any]:
    item: dict[str, Any] = {"id": key(paper), "type": "article", "title": _plain(paper.title)}
    if paper.authors:
        item["author"] = [{"literal": _plain(author)} for author in paper.authors]
    if paper.year:
        item["issued"] = {"date-parts": [[paper.year]]}
    known = {"container-title": paper.venue, "DOI": paper.doi, "URL": paper.url}
    known["abstract"] = paper.abstract if abstracts else None
    return item | {name: _plain(value) for name, value in known.items() if value}


def _reference(paper: Paper) -> str:
    facts = [", ".join(paper.authors), f"*{markdown(paper.title)}*", paper.venue, str(paper.year or "")]
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


WRITERS: dict[str, Callable[[Sequence[Answer]], str]] = {
    ".md": notes,
    ".bib": lambda answers: bibtex(cited(answers), abstracts=True),
    ".csl": lambda answers: csl(cited(answers), abstracts=True),
    ".json": as_json,
}
CITED: dict[str, Callable[[Sequence[Paper]], str]] = {"bibtex": bibtex, "csl": csl, "markdown": references}


# --- escaping -----------------------------------------------------------------------------------


def latex(text: str) -> str:
    """Text in which LaTeX finds nothing to obey."""
    return "".join(_LATEX.get(char, char) for char in _plain(text))


def markdown(text: str) -> str:
    """Text in which Markdown finds nothing to obey, on one line."""
    return _BLOCK.sub(r"\1\\\2", _escaped(_plain(text)))


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", re.sub(r"\s+", " ", printable(readable(text))))


def _plain(text: str) -> str:
    return " ".join(printable(readable(text)).split())


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _family(author: str) -> str:
    """The family name of "Family, Given" or "Given Family"."""
    return author.split(",")[0] if "," in author else author.split()[-1] if author.split() else ""
