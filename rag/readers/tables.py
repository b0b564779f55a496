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

from rag.readers.fields import Columns, arxiv_id, gathered, names, pmid_in, roles
from rag.readers.record import Found, Record, Skipped
from rag.remedies import Remedy

SEPARATORS = ",;\t|"
HEADER = 50_000  # characters; no line that names columns is longer
YES = ("true", "yes", "1", "t", "y")
MENDED = 20  # how many times the lines of a file may be read again
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
                found = Header(number, separator, cells, roles(cells, columns))
                if best is None or (("title" in found.roles), len(found.roles)) > (
                    ("title" in best.roles),
                    len(best.roles),
                ):
                    best = found
    return best


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
    for number, row in _rows(text, head):
        source = f"{name}:{number}"
        if isinstance(row, str):
            skipped.append(Skipped(source, row[:200], "a quotation mark that is never closed", "refused"))
        elif any(cell.strip() for cell in row):
            made = _record({role: row[n] for role, n in at.items() if n < len(row)}, source)
            (records if isinstance(made, Record) else skipped).append(made)  # type: ignore[arg-type]
    return records, skipped


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


def _record(row: Mapping[str, str], source: str) -> Record | Skipped:
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
        },
        kinds=[row.get("kind"), "retracted" if row.get("retracted", "").strip().lower() in YES else None],
    )
