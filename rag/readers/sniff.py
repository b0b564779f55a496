"""Which format a text is in, by its content; a file's name says nothing, as people save what they get.

Formats are tried from those that announce themselves to those that only look like it. "pages", the
last, takes any prose; where nothing else is known of a file it is what its reader makes of it.
"""

from __future__ import annotations

import re

from rag.formats import BY_LABEL, FORMATS, Format
from rag.readers import plain, tables, xmls
from rag.readers.fields import Columns
from rag.remedies import Remedy

HEAD = 200_000  # characters looked at
_PUBMED_PAGE = re.compile(r"\A\s*1[.:] \S.{0,20000}?\bPMID: ?\d", re.DOTALL)
_JSON = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\]])")
_JSON_LINE = re.compile(r"\s*\{.*\}[ \t]*\n\s*\{")
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
            raise Unknown(f"is XML of a kind not read here (<{xmls.root(text) or '?'}>); {xmls.INSTEAD}")
        return BY_LABEL[family.label]
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
    """Tables, Markdown, plain text or a page."""
    if plain.is_markdown(head):
        return BY_LABEL["Markdown"]
    header = tables.header(head, columns)
    if header and "title" in header.roles and (len(header.roles) > 1 or len(header.cells) > 2):
        return BY_LABEL["table"]
    if header and _is_regular(head, header):
        shown = ", ".join(header.cells)[:200]
        raise Unknown(f"is a table without a column for the title among: {shown}", Remedy.NAME_TITLE.name)
    return BY_LABEL["plain text" if plain.is_wrapped(head) else "pages"]


def _is_regular(head: str, header: tables.Header) -> bool:
    """Have the first lines all the same number of cells, at least three?"""
    lines = [line for line in head.split("\n")[header.line - 1 :][:6] if line.strip()]
    counts = {line.count(header.separator) for line in lines}
    return len(lines) > 1 and len(counts) == 1 and counts.pop() >= 2
