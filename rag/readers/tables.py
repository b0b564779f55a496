"""CSV and TSV of whatever separator, whose columns are known by their usual names or by the caller's word.

The separator is the one under which the header names most columns that are known. A row knows the
line it begins on. A quotation mark that is never closed would make one row of the rest of the file:
it costs its own line only.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from rag.readers.fields import Columns, arxiv_id, described, gathered, is_described, names, pmid_in, roles
from rag.readers.record import Found, Record, Skipped
from rag.remedies import Remedy

SEPARATORS = ",;\t|"
HEADER = 50_000  # characters; no line that names columns is longer
YES = ("true", "yes", "1", "t", "y")
MENDED = 20  # how many times the lines of a file may be read again
_BACKSLASHED = re.compile(r'[^\\]\\"(?![",;\t|\n]|\Z)')  # not LaTeX's accent, which a table writes \""o
_ESCAPED_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
_PEOPLE = {"email", "emailaddress", "affiliation", "firstname", "lastname", "phone"}  # a list of these names no papers
_FIELD = 2**24  # characters in one field


class Header(NamedTuple):
    """The line that names the columns, its separator, and which column holds what."""

    line: int
    separator: str
    cells: tuple[str, ...]
    roles: Mapping[str, str]


def header(text: str, columns: Columns) -> Header | None:
    """The header among the first lines, if these are a table at all; it need not name a title."""
    best: Header | None = None
    for number, line in enumerate(text[:200_000].lstrip("\ufeff").split("\n")[:5], 1):
        if len(line) > HEADER:
            continue
        for separator in SEPARATORS:
            cells = tuple(cell.strip() for cell in next(iter(csv.reader([line], delimiter=separator)), []))
            if len(cells) > 1 and all(len(cell) <= 60 for cell in cells):
                found = Header(number, separator, cells, _roles(cells, columns))
                if best is None or (("title" in found.roles), len(found.roles)) > (
                    ("title" in best.roles),
                    len(best.roles),
                ):
                    best = found
    return best


def _roles(cells: Sequence[str], columns: Columns) -> Mapping[str, str]:
    """What the columns hold; where people are listed, a "name" is theirs."""
    held = roles(cells, columns)
    plain = {"".join(char for char in cell.casefold() if char.isalnum()) for cell in cells}
    is_a_person = held.get("title", "").strip().casefold() == "name" and plain & _PEOPLE and "title" not in columns
    return {role: cell for role, cell in held.items() if role != "title"} if is_a_person else held


def read(text: str, name: str, columns: Columns) -> Found:
    """The records of a table, and the rows that are none."""
    records: list[Record] = []
    skipped: list[Skipped] = []
    head = header(text, columns)
    if head is None or "title" not in head.roles:
        shown = ", ".join(head.cells if head else [text.split("\n")[0]])[:200]
        reason = f"no column for the title among: {shown}"
        return [], [Skipped(f"{name}:{head.line if head else 1}", "", reason, "refused", Remedy.NAME_TITLE.name)]
    at = {role: head.cells.index(column.strip()) for role, column in head.roles.items()}
    details = {name: n for n, name in enumerate(head.cells) if is_described(name)}
    for number, row in _rows(_doubled(text), head):
        source = f"{name}:{number}"
        if isinstance(row, str):
            skipped.append(Skipped(source, row[:200], "a quotation mark that is never closed", "refused"))
        elif any(cell.strip() for cell in row[len(head.cells) :]):
            skipped.append(Skipped(source, head.separator.join(row)[:200], _too_many(len(row), head), "refused"))
        elif any(cell.strip() for cell in row):
            more = described({name: row[n] for name, n in details.items() if n < len(row)})
            made = _record({role: row[n] for role, n in at.items() if n < len(row)}, source, more)
            (records if isinstance(made, Record) else skipped).append(made)  # type: ignore[arg-type]
    return records, skipped


def _too_many(count: int, head: Header) -> str:
    return (
        f"{count} cells where the header names {len(head.cells)}: a value that holds {head.separator!r} needs "
        "quotation marks around it (export it once more, or save it as JSON)"
    )


def _doubled(text: str) -> str:
    """A quotation mark within a value written as two, where the file writes it behind a backslash."""
    return _ESCAPED_QUOTE.sub(r'\1""', text) if _BACKSLASHED.search(text) else text


def read_records(text: str, name: str) -> Found:
    """Embase's CSV: a field a line, its name in the first cell; a record ends where a name comes again, or at an empty line."""
    records: list[Record] = []
    skipped: list[Skipped] = []
    begin, fields = 0, dict[str, list[str]]()

    def end() -> None:
        if fields:
            row = {role: "; ".join(fields[key]) for role, key in roles(fields, {}).items()}
            made = _record(row, f"{name}:{begin}")
            (records if isinstance(made, Record) else skipped).append(made)  # type: ignore[arg-type]
        fields.clear()

    for number, _, row in _from(text.split("\n"), 0, ","):
        key = row[0].strip() if row else ""
        if key in fields or not key:
            end()
        if key:
            begin = begin if fields else number
            fields[key] = [cell.strip() for cell in row[1:] if cell.strip()]
    end()
    return records, skipped


def is_by_field(text: str) -> bool:
    """Does each line begin with the name of a field, that of the title and that of the abstract among them?"""
    try:
        rows = [row for row in csv.reader(text[:20_000].split("\n")[:200]) if row and row[0].strip()]
    except csv.Error:
        return False
    names = {row[0].strip() for row in rows if len(row) > 1 and row[0].strip().isupper()}
    return {"title", "abstract"} <= roles(names, {}).keys() and len(rows[0]) > 1 and rows[0][0].strip() in names


def _rows(text: str, head: Header) -> Iterator[tuple[int, Sequence[str] | str]]:
    """Rows with the line each begins on; a text is a line that cannot be a row.

    In a whole row quotation marks are even in number: a row of several lines with an odd one is none.
    """
    lines = text.split("\n")
    begins, again = [head.line], MENDED * len(lines)
    while begins:
        for number, end, row in _from(lines, begins.pop(), head.separator):
            unclosed = end > number and sum(line.count('"') for line in lines[number - 1 : end]) % 2
            yield number, lines[number - 1] if unclosed else row
            again -= end - number if unclosed else 0
            if unclosed and again > 0:
                begins.append(number)
                break


def _from(lines: list[str], begin: int, separator: str) -> Iterator[tuple[int, int, list[str]]]:
    """(first line, last line, cells) of each row after line `begin`."""
    rows = csv.reader((line + "\n" for line in islice(lines, begin, None)), delimiter=separator)
    number = begin + 1
    before = csv.field_size_limit(_FIELD)
    try:
        for row in rows:
            end = min(begin + rows.line_num, len(lines))
            yield number, end, row
            number = end + 1
    except csv.Error:  # a field without end
        yield number, len(lines), [""]
    finally:
        csv.field_size_limit(before)


def _record(row: Mapping[str, str], source: str, more: Mapping[str, str] = {}) -> Record | Skipped:
    url = row.get("url", "").strip()
    return gathered(
        source,
        row.get("title"),
        row.get("abstract"),
        authors=names(row.get("authors", "")),
        year=row.get("year"),
        venue=row.get("venue"),
        doi=row.get("doi") or (url if re.search(r"doi(?:\.org|[=:])", url) else None),
        url=url,
        extra={
            "pmid": pmid_in(row.get("pmid")),
            "arxiv": arxiv_id(row.get("arxiv") or (url if "arxiv.org" in url else None)),
            "keywords": row.get("keywords"),
            "language": row.get("language"),
            **more,
        },
        kinds=[row.get("kind"), "retracted" if row.get("retracted", "").strip().lower() in YES else None],
    )
