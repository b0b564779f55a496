"""A table of papers: a row a paper, a column for each thing that is asked. The values that `rag.table` gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rag import bibliography
from rag.records import Citation, Paper
from rag.text import readable


@dataclass(frozen=True, slots=True)
class Cell:
    """What a paper's abstract says on a column.

    text   "" where it says nothing; else the words of `quote`, part of them, or words of a chat model checked against it;
           of a column such as "year" what is known of the paper
    quote  where it stands in the abstract; None for an empty cell, for what is known of the paper, and for words of a chat
           model that do not stand there (`keep_unverified`)

    >>> rag.Cell().text
    ''
    """

    def __repr__(self) -> str:
        place = f", {self.quote.start}:{self.quote.end} of {self.quote.paper.id}" if self.quote else ""
        return f"Cell({self.text[:80]!r}{place})"

    text: str = ""
    quote: Citation | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        place = {"quote": self.quote.quote, "start": self.quote.start, "end": self.quote.end} if self.quote else None
        return {"text": self.text, "quote": place}


@dataclass(frozen=True, slots=True)
class Row:
    """A paper and its cells, one for each column.

    >>> row = rag.table("year; task", papers=["ab71d384aa75"]).rows[0]
    >>> row.paper.id, len(row.cells)
    ('ab71d384aa75', 2)
    """

    paper: Paper
    cells: tuple[Cell, ...]

    def __repr__(self) -> str:
        return f"Row({self.paper.id!r}, {sum(bool(cell.text) for cell in self.cells)} of {len(self.cells)} cells)"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as they were asked for, and a row for each paper.

    >>> rag.table(["year", "task"], papers=["ab71d384aa75"])
    Table(('year', 'task'), 1 paper)
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        columns = repr(self.columns) if len(repr(self.columns)) <= 120 else f"{len(self.columns)} columns"
        return f"Table({columns}, {len(self.rows)} paper{'s' * (len(self.rows) != 1)})"

    def _repr_html_(self) -> str:
        from rag import notebook

        return notebook.table_html(self)

    def _repr_markdown_(self) -> str:
        from rag import notebook

        return notebook.table_markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "columns": list(self.columns),
            "rows": [
                {
                    "id": row.paper.id,
                    "title": readable(row.paper.title),
                    "key": bibliography.key(row.paper),
                    "cells": {name: cell.to_dict() for name, cell in zip(self.columns, row.cells, strict=True)},
                }
                for row in self.rows
            ],
        }
