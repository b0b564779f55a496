"""Which format a text is in, by its content; a file's name says nothing, as people save what they get.

Formats are tried from those that announce themselves to those that only look like it. "pages", the
last, takes any prose; where nothing else is known of a file it is what its reader makes of it.
"""

from __future__ import annotations

import re
from collections import Counter

from rag.formats import BY_LABEL, FORMATS, Format
from rag.readers import plain, tables, xmls
from rag.readers.fields import Columns
from rag.remedies import Remedy

HEAD = 200_000  # characters looked at
_PUBMED_PAGE = re.compile(r"\A\s*1[.:] \S.{0,20000}?\bPMID: ?\d", re.DOTALL)
_JSON = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\]])")
_JSON_LINE = re.compile(r"\s*\{.*\}[ \t]*\n\s*\{")
_CELLS = re.compile(r'\s*"[^"]*"\s*[,;\t|]\s*"')
_ANYWAY = "; if it is plain text all the same, add --format text"
_OTHERS = (  # what is in a format that is not read, and how that shows
    (
        "is a list as Python prints it, not JSON; write it with json.dump",
        re.compile(r"\A\s*[\[({]\s*[\[({]?\s*'[^'\n]{1,60}'\s*:"),
    ),
    (
        "is JavaScript, not JSON; save the list alone, names in quotation marks",
        re.compile(
            r"\A\s*(?:(?:var|const|let|export default)\b[^=\n]{0,60}=?\s*[\[{]|[\[{]\s*\{?\s*[a-zA-Z]\w{0,30}\s*:\s*[\"'\[{])"
        ),
    ),
    ("is RTF; save it as plain text", re.compile(r"\A\s*\{\\rtf")),
    (
        "is a LaTeX document; add its .bib file, or copy title and abstract into a text file",
        re.compile(
            r"^[ \t]*\\(?:documentclass\b|bibitem\b|begin\{(?:document|thebibliography|abstract)\})", re.MULTILINE
        ),
    ),
    (
        "is SQL; save the table as CSV",
        re.compile(r"\A\s*(?:--[^\n]*\s*){0,50}(?:INSERT\s+INTO|CREATE\s+TABLE|SET\s+\w+\s*=)", re.IGNORECASE),
    ),
    ("is RDF (Turtle); export it as RIS, BibTeX or CSV instead", re.compile(r"^@prefix\s+[\w-]*:\s*<", re.MULTILINE)),
)  # fmt: skip
_LABELLED = (
    "is a list of records with labels (title: ...; YAML?), which is not read; save it as JSON, RIS, BibTeX or CSV"
)
_LABEL = re.compile(
    r"^[ \t]*(-?)[ \t]*[*_\"']{0,2}(title|abstract)[*_\"']{0,2}[ \t]*:[ \t*_]", re.IGNORECASE | re.MULTILINE
)
_ITEM = re.compile(r"^[ \t]*-[ \t]+\w+:", re.MULTILINE)
_HTML = re.compile(r"\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)


class Unknown(Exception):
    """Why a text is in no format that is read, and the name of a remedy if there is one."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


def sniff(text: str, columns: Columns) -> Format:
    """The format. Raises Unknown for what is in none, with the reason."""
    head = text[:HEAD].lstrip("\ufeff")
    if not head.strip():
        raise Unknown("is empty: no title with an abstract in it")
    if _HTML.match(head[:5000]):
        raise Unknown("is a web page; save it as text")
    if re.match(r"\s*<[?!\w]", head):
        family = xmls.family_of(text)
        if family is None:
            raise Unknown(xmls.unread(text))
        return BY_LABEL[family.label]
    for why, sign in _OTHERS:
        if sign.search(head[:5000]):
            raise Unknown(f"{why}{_ANYWAY}")
    if _JSON.match(head):
        return BY_LABEL["JSON lines" if _JSON_LINE.match(head) or _is_line(head) else "JSON"]
    for one in FORMATS:
        if one.tells and one.tells.search(head):
            return one
    if _PUBMED_PAGE.match(head):
        raise Unknown("is PubMed's text for people; save it from PubMed once more, with format PubMed")
    return _loose(text, head, columns)


def _is_line(head: str) -> bool:
    """Is the first line an object for itself, though perhaps a broken one, with another after it?"""
    lines = [line for line in head.split("\n") if line.strip()]
    return len(lines) > 1 and all(line.startswith("{") and len(line) > 2 for line in lines[:2])


def _loose(text: str, head: str, columns: Columns) -> Format:
    """What smells of a format, tables, Markdown; plain text or a page only where nothing smells of anything else."""
    if tables.is_by_field(head):
        return BY_LABEL["Embase CSV"]
    for one in FORMATS:
        if one.smells and one.smells.match(head):
            return one
    if plain.is_markdown(head):
        return BY_LABEL["Markdown"]
    header = tables.header(head, columns)
    if header and "title" in header.roles and (len(header.roles) > 1 or len(header.cells) > 2):
        return BY_LABEL["table"]
    if header and _is_regular(head, header):
        shown = ", ".join(header.cells)[:200]
        raise Unknown(f"is a table without a column for the title among: {shown}", Remedy.NAME_TITLE.name)
    if _is_labelled(head):
        raise Unknown(f"{_LABELLED}{_ANYWAY}")
    if _is_quoted(head):
        raise Unknown(
            f"looks like a table, but no line names its columns; put one over it, such as title,abstract,year{_ANYWAY}"
        )
    return BY_LABEL["plain text" if plain.is_wrapped(head) else "pages"]


def _is_labelled(head: str) -> bool:
    """Are there several records of lines such as "title: ...", or a list of YAML with one?"""
    labels = Counter(found[2].lower() for found in _LABEL.finditer(head))
    return bool(labels["abstract"]) and (labels["title"] > 1 or (labels["title"] == 1 and bool(_ITEM.search(head))))


def _is_quoted(head: str) -> bool:
    """Are most of the first lines cells in quotation marks?"""
    lines = [line for line in head.split("\n")[:40] if line.strip()]
    return len(lines) > 1 and 2 * sum(bool(_CELLS.match(line)) for line in lines) > len(lines)


def _is_regular(head: str, header: tables.Header) -> bool:
    """Have the first lines all the same number of cells, at least three?"""
    lines = [line for line in head.split("\n")[header.line - 1 :][:6] if line.strip()]
    counts = {line.count(header.separator) for line in lines}
    return len(lines) > 1 and len(counts) == 1 and counts.pop() >= 2
