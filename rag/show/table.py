"""A table of papers as a file: CSV, Markdown, or a workbook of Excel.

A cell that a spreadsheet would take for a formula begins with an apostrophe in CSV; in a workbook every cell is text.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from html import escape

from rag import bibliography
from rag.escaping import markdown as escaped
from rag.tabulated import Table
from rag.text import printable, readable

LEADING = ("paper", "key")  # columns that stand before those that were asked for
_FORMULA = re.compile(r"^\s*[=+\-@＝＋－＠\t\r\n|]")
_LONGEST = 32_767  # characters of a cell of a workbook
_MADE = (1980, 1, 1, 0, 0, 0)  # when the parts of a workbook were made: equal tables are equal files


def rows(table: Table) -> Iterator[list[str]]:
    """The names of the columns, then a row for each paper: its title, its key, and the cells word for word."""
    yield [*LEADING, *table.columns]
    for row in table.rows:
        yield [readable(row.paper.title), bibliography.key(row.paper), *(cell.text for cell in row.cells)]


def as_csv(table: Table) -> str:
    """CSV, one line a paper unless a quote has several."""
    out = io.StringIO()
    written = csv.writer(out, lineterminator="\n")
    written.writerows([neutral(printable(cell)) for cell in row] for row in rows(table))
    return out.getvalue()


def neutral(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def as_markdown(table: Table) -> str:
    """A table in Markdown."""
    lines = [[escaped(cell) for cell in row] for row in rows(table)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def as_workbook(table: Table) -> bytes:
    """A workbook of one sheet (Office Open XML), whose first row stays in sight."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in (*_PARTS.items(), ("xl/worksheets/sheet1.xml", _sheet(table))):
            made.writestr(zipfile.ZipInfo(name, _MADE), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _sheet(table: Table) -> str:
    body = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows(table))
    pane = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    return (
        f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">{pane}</sheetView></sheetViews>'
        f'<cols><col min="1" max="{len(LEADING) + len(table.columns)}" width="40" customWidth="1"/></cols>'
        f"<sheetData>{body}</sheetData></worksheet>"
    )


def _cell(text: str) -> str:
    shown = escape(printable(text)[:_LONGEST], quote=False)
    return f'<c t="inlineStr"><is><t xml:space="preserve">{shown}</t></is></c>'


_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
    '<sheets><sheet name="papers" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}
