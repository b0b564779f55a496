"""Are the cells of `rag table` right, without a chat model or with one?

    python evals/bench/cells.py [--model NAME --base-url URL]

`evals/cells.jsonl` holds 90 cells by hand: for 30 shipped abstracts and three columns ("task", "data set", "best result") the
sentences that may fill the cell, and whether it may stay empty. 60 of them ("seen") were written before any result, and looked
at while the words of `rag.answering.columns` were chosen; 30 ("fresh") were written after that, and changed nothing.

right    the cell is, or lies in, one of these sentences, or it is empty and may be
empty    it is empty and should not be
wrong    it holds anything else: a sentence of the abstract, but another one
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from rag.answering.opening import open_assistant
from rag.settings import load
from rag.tabulated import Cell, Table

CELLS = Path(__file__).parents[1] / "cells.jsonl"


def gold() -> list[dict[str, Any]]:
    """The cells by hand."""
    return [json.loads(line) for line in CELLS.read_text("utf-8").splitlines()]


def verdict(cell: Cell, row: dict[str, Any]) -> str:
    """ "right", "empty" or "wrong"."""
    if not cell.text:
        return "right" if row["empty"] else "empty"
    return "right" if any(cell.text in quote or quote in cell.text for quote in row["quotes"]) else "wrong"


def judged(found: Table, rows: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Cell, str]]:
    """Each cell by hand with the one that was found, and what that is."""
    cells = {
        (row.paper.id, name): cell for row in found.rows for name, cell in zip(found.columns, row.cells, strict=True)
    }
    for row in rows:
        cell = cells[row["paper"], row["column"]]
        yield row, cell, verdict(cell, row)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--base-url")
    chosen = parser.parse_args(argv)
    rows = gold()
    assistant = open_assistant(load(model=chosen.model or "extractive", base_url=chosen.base_url))
    found, failed = assistant.table(
        list(dict.fromkeys(row["column"] for row in rows)), papers=[row["paper"] for row in rows]
    )
    told = list(judged(found, rows))
    for row, cell, said in told:
        if said != "right":
            print(f"{said:<6} {row['paper']} {row['column']}: {cell.text[:100]!r}")
    for split in ("seen", "fresh"):
        for column in found.columns:
            counts = Counter(said for row, _, said in told if (row["split"], row["column"]) == (split, column))
            print(
                f"{split:<6} {column:<12} {counts['right']} of {counts.total()} right, {counts['empty']} empty, {counts['wrong']} wrong"
            )
    print(f"failed papers: {failed}" if failed else "")


if __name__ == "__main__":
    main()
