"""What do the readers make of a folder of real exports? File by file, and all in one.

    python evals/bench/readers.py FOLDER [--reasons 3]

A row is a file: its format, records, those with an abstract, those without, what was refused, seconds.
The reasons for what was refused stand below it, most frequent first. The last lines are the totals,
and what one reading of the whole folder makes of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rag.errors import ReadError
from rag.readers import Reading, read


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reasons", type=int, default=3, help="how many reasons a file")
    given = parser.parse_args()
    if not given.folder.is_dir():
        parser.error(f"{given.folder}: no such folder")
    print(
        f"{'file':44} {'format':18} {'records':>8} {'papers':>7} {'merged':>7} {'without':>8} {'refused':>8} {'s':>6}"
    )
    totals: Counter[str] = Counter()
    for file in sorted(path for path in given.folder.rglob("*") if path.is_file() and path.name != "MANIFEST.tsv"):
        totals += _row(file, str(file.relative_to(given.folder)), given.reasons)
    print("total:", ", ".join(f"{count:,} {name}" for name, count in totals.items()))
    began = time.perf_counter()
    print(f"together: {read([given.folder]).summary()} in {time.perf_counter() - began:.1f} s")


def _row(file: Path, shown: str, reasons: int) -> Counter[str]:
    began = time.perf_counter()
    try:
        reading, error = read([file]), ""
    except ReadError as caught:
        reading, error = Reading((), 0, ()), str(caught)
    seconds = time.perf_counter() - began
    kinds = Counter(piece.kind for piece in reading.skipped)
    formats = ", ".join(sorted({one.format for one in reading.files}))
    print(f"{shown[-44:]:44} {formats[:18]:18} {reading.records:8} {len(reading.papers):7} {len(reading.merged):7} "
          f"{kinds['no abstract']:8} {kinds['refused']:8} {seconds:6.2f}")  # fmt: skip
    if error:
        print(f"    no paper: {error[:200]}")
    why = Counter(f"{piece.kind}: {piece.reason[:110]}" for piece in reading.skipped if piece.kind != "no abstract")
    for reason, count in why.most_common(reasons):
        print(f"    {count:4} {reason}")
    return Counter(
        files=1, read=bool(reading.papers), records=reading.records, papers=len(reading.papers),
        merged=len(reading.merged), without=kinds["no abstract"], refused=kinds["refused"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
