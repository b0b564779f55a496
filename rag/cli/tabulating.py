"""`rag table`: a row a paper, each cell a quote from its abstract, or empty."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rag.cli import common
from rag.errors import UsageError

ENDINGS = {".csv": "csv", ".md": "markdown", ".markdown": "markdown", ".xlsx": "xlsx", ".json": "json"}


def table(arguments: argparse.Namespace) -> int:
    """Write a table of the papers of a library."""
    from rag import filters
    from rag.answering.columns import columns
    from rag.library.report import plural
    from rag.show.progress import Bar

    columns(arguments.columns)  # wrong ones are told before anything is opened
    file, form = _where_to(arguments)
    where = common.where_of(arguments) & (filters.parse(arguments.where) if arguments.where else filters.ALL)
    assistant = common.assistant_of(arguments, model=common.asked_model(arguments))
    with Bar("Reading abstracts", quiet=True) as bar:
        found, failed = assistant.table(arguments.columns, where, most=arguments.n, progress=bar)
    common.say_where(assistant.library, where)
    _write(found, form, file, over=arguments.force)
    cells = [cell for row in found.rows for cell in row.cells]
    told = (
        f"{plural(len(found.rows), 'paper')}, {sum(bool(cell.text) for cell in cells):,} of {len(cells):,} cells filled"
    )
    lost = f"; the model failed on {plural(failed, 'paper')}, which are filled without it" if failed else ""
    print(common.one_line(f"rag: {told}{f'; written to {file}' if file else ''}{lost}"), file=sys.stderr)
    return 0


def _where_to(arguments: argparse.Namespace) -> tuple[Path | None, str]:
    """The file, if one is named, and the form: as an option says, else as its ending does, else CSV."""
    file = Path(os.path.expanduser(arguments.output)) if arguments.output not in (None, "-") else None
    form = "json" if arguments.json else arguments.form or (ENDINGS.get(file.suffix.lower()) if file else "csv")
    if not form:
        raise UsageError(f"{file}: the ending says no form; use one of {', '.join(ENDINGS)}, or add --csv")
    if form == "xlsx" and not file and sys.stdout.isatty():
        raise UsageError("a workbook is no text for a terminal; type: rag table ... -o FILE.xlsx")
    if arguments.n is not None and arguments.n < 1:
        raise UsageError(f"-n {arguments.n} is no number of papers; give 1 or more")
    return file, form


def _write(found: object, form: str, file: Path | None, *, over: bool) -> None:
    import json

    from rag.show import export
    from rag.show import table as shown
    from rag.tabulated import Table

    assert isinstance(found, Table)
    if form == "xlsx":
        made: str | bytes = shown.as_workbook(found)
    elif form == "json":
        made = json.dumps(found.to_dict(), ensure_ascii=True, indent=2) + "\n"
    else:
        made = shown.as_csv(found) if form == "csv" else shown.as_markdown(found)
    if file:
        export.write(file, made, over=over)
    elif isinstance(made, bytes):
        sys.stdout.buffer.write(made)
    else:
        sys.stdout.write(made)
