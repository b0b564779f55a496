"""What does a large file cost, and what when it comes again?

    python evals/bench/scale.py FILE.jsonl[.gz] [--records 20000] [--embedder hashed|shipped]

Each row is a process of its own: CPU seconds, wall seconds, peak memory in MB, and the share of the first row's CPU.
"hashed" costs next to nothing, so that a share of the first run is one of storage alone; "shipped" is what users have.

    add            FILE's first records into a new library
    ... again      the same file
    ... reordered  the same records in another order, so other bytes
    ... longer     one record more and one abstract changed
    ten            another file, of ten new records
    sync           nothing changed
    doctor
    backup, restore
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from evals.bench.hashed import Hashed
from rag.library import backup, changes, doctor
from rag.library.embed import Embedder, open_embedder
from rag.library.store import Library


def main() -> None:
    """Print the table."""
    given = _given()
    if given.child:
        _work(given.child, given.file, open_embedder() if given.embedder == "shipped" else Hashed())
        return
    with tempfile.TemporaryDirectory(prefix="scale.") as name:
        file = Path(name) / "papers.jsonl"
        lines = lines_of(given.file, given.records)
        file.write_text("".join(lines), "utf-8")
        print(f"{len(lines):,} records, {file.stat().st_size / 2**20:.0f} MB, embedder {given.embedder}")
        print(f"{'':15} {'CPU s':>8} {'wall s':>8} {'MB':>6} {'share':>8}")
        first = 0.0
        for row, (what, change) in ROWS.items():
            change(file, lines)
            cpu, wall, memory, said = _measured(what, file, given.embedder)
            first = first or cpu
            print(f"{row:15} {cpu:8.1f} {wall:8.1f} {memory:6.0f} {cpu / first:8.2%}  {said}")
        used = sum(path.stat().st_size for path in (file.parent / "library").rglob("*") if path.is_file())
        print(f"on disk {used / 2**20:.0f} MB")


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--embedder", choices=["hashed", "shipped"], default="hashed")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.file.is_file():
        parser.error(f"{given.file}: no such file; name JSON lines of papers, such as scale/abstracts.jsonl.gz")
    return given


def lines_of(file: Path, records: int) -> list[str]:
    """The first lines of a file, packed or not."""
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
        return list(islice(lines, records))


# --- what the file becomes between two rows -----------------------------------------------------


def _same(file: Path, lines: list[str]) -> None:
    pass


def _reordered(file: Path, lines: list[str]) -> None:
    file.write_text("".join(random.Random(1).sample(lines, len(lines))), "utf-8")


def _longer(file: Path, lines: list[str]) -> None:
    first = json.loads(lines[0])
    first["abstract"] += " This sentence is new."
    new = {"title": "A paper that nobody had", "abstract": "It says one thing. It says another."}
    file.write_text("".join(json.dumps(one) + "\n" for one in (first, new)) + "".join(lines[1:]), "utf-8")


def _ten(file: Path, lines: list[str]) -> None:
    new = [{"title": f"Addition {n} to a library", "abstract": f"It adds {n}. It is new."} for n in range(10)]
    file.with_name("ten.jsonl").write_text("".join(json.dumps(one) + "\n" for one in new), "utf-8")


ROWS: dict[str, tuple[str, Callable[[Path, list[str]], None]]] = {
    "add": ("add", _same),
    "... again": ("add", _same),
    "... reordered": ("add", _reordered),
    "... longer": ("add", _longer),
    "ten": ("ten", _ten),
    "sync": ("sync", _same),
    "doctor": ("doctor", _same),
    "backup": ("backup", _same),
    "restore": ("restore", _same),
}


# --- one row ------------------------------------------------------------------------------------


def _measured(what: str, file: Path, embedder: str) -> tuple[float, float, float, str]:
    """(CPU s, wall s, peak MB, what it said) of a run in a process of its own."""
    command = [sys.executable, __file__, str(file), "--embedder", embedder, "--child", what]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory, _, said = process.stdout.strip().partition(" ")
    return cpu, time.monotonic() - began, float(memory), said


def _work(what: str, file: Path, embedder: Embedder) -> None:
    place = file.parent / "library"
    if what == "add":
        said = _short(changes.add([file], str(place), embedder))
    elif what == "ten":
        said = _short(changes.add([file.with_name("ten.jsonl")], str(place), embedder))
    elif what == "backup":
        with closing(Library.open(place)) as library:
            said = f"{backup.backup(library, file.with_name('backup.zip')).size:,} bytes"
    elif what == "restore":
        said = f"{backup.restore(file.with_name('backup.zip'), str(file.with_name('again'))).papers:,} papers"
    elif what == "sync":
        said = _short(changes.sync(str(place), embedder))
    else:
        said = f"{doctor.examine(place, str(place), embedder).problems} problems"
    print(_peak(), said)


def _peak() -> float:
    """MB. Linux counts in ru_maxrss what the parent held when it forked; its own figure is in /proc."""
    status = Path("/proc/self/status")
    if status.exists():
        return (
            int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))) / 2**10
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _short(report: changes.Added) -> str:
    counts = report.counts()
    return ", ".join(f"{counts[name]:,} {name}" for name in ("added", "changed", "unchanged", "merged"))


if __name__ == "__main__":
    main()
