"""Is anything lost or doubled when a run is killed (SIGKILL) at any moment, and run again until it ends?

    python evals/bench/kills.py FILE.jsonl[.gz] [--records 20000] [--kills 50] [--what add|prune|fill] [--seed 1]

    add     FILE's first records are added to a new library
    prune   a library of them meets a file that lost a third of its records, and has new ones: sync --prune
    fill    the Chroma collection of a library was lost: doctor --repair

The run goes on in a process of its own, with an embedder that costs next to nothing; SQLite and Chroma are the
real ones. It is killed after a time drawn evenly from that of the last run that ended, started again, and so on until
one ends by itself, ten times at most; then the library is compared with the uninterrupted one, row by row, and doctor
looks at it. After every kill the papers must be those of before or those of after. Texts embedded twice are counted.
"""

from __future__ import annotations

import argparse
import gzip
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from evals.bench.hashed import Hashed
from rag.library import changes, doctor
from rag.library.build import behind
from rag.library.database import FILE
from rag.library.store import Library
from rag.library.vectors import Manifest, open_collection

MOST = 10  # kills of one library
TABLES = ("chunks", "sentences", "vectors")


def main() -> None:
    """Kill, and print what came of it."""
    given = _given()
    if given.child:
        work(given.what, given.file, Path(given.child))
        return
    with tempfile.TemporaryDirectory(prefix="kills.") as name:
        place = Path(name)
        file = place / "papers.jsonl"
        file.write_text("".join(islice(_lines(given.file), given.records)), "utf-8")
        killed(given.what, file, place, given.kills, random.Random(given.seed))


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--what", choices=["add", "prune", "fill"], default="add")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.file.is_file():
        parser.error(f"{given.file}: no such file; name JSON lines of papers, such as scale/abstracts.jsonl.gz")
    return given


def _lines(file: Path) -> Iterator[str]:
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
        yield from lines


# --- the run ------------------------------------------------------------------------------------


def work(what: str, file: Path, folder: Path) -> None:
    """What is killed: one run over a library's folder."""
    embedder = Hashed(folder.with_suffix(".log"))
    if what == "add":
        changes.add([file], str(folder), embedder)
    elif what == "prune":
        changes.sync(str(folder), embedder, prune=True)
    else:
        doctor.repair(folder, str(folder), embedder)


def start(what: str, file: Path, folder: Path) -> subprocess.Popen[bytes]:
    """The run as a process."""
    command = [sys.executable, str(Path(__file__)), str(file), "--what", what, "--child", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def prepared(what: str, file: Path, folder: Path) -> None:
    """The library as it is before the run; for `prune` the file is changed afterwards."""
    if what == "add":
        return
    changes.add([file], str(folder), Hashed())
    if what == "fill":
        shutil.rmtree(folder / "chroma")
        return
    lines = file.read_text("utf-8").splitlines(keepends=True)
    kept = [line for n, line in enumerate(lines) if n % 3]
    new = [f'{{"title": "New paper {n}", "abstract": "It is about {n} things. They are new."}}\n' for n in range(99)]
    file.write_text("".join([*new, *kept]), "utf-8")


# --- killing ------------------------------------------------------------------------------------


def killed(what: str, file: Path, place: Path, kills: int, chance: random.Random) -> None:
    """Kill `kills` runs, over as many libraries as that takes; raises AssertionError where anything is lost."""
    first = place / "first"
    prepared(what, file, first)
    whole = place / "whole"
    shutil.copytree(first, whole) if first.exists() else None
    before = papers(whole)
    began = time.monotonic()
    _ended(start(what, file, whole))
    seconds = time.monotonic() - began
    after, told = papers(whole), rows(whole)
    embedded = Counter(_log(whole))
    print(f"uninterrupted: {seconds:.0f} s, {len(after):,} papers, {told['counts']}, {sum(embedded.values()):,} texts")
    done, lives, twice = 0, 0, 0
    while done < kills:
        lives += 1
        folder = place / f"life{lives}"
        shutil.copytree(first, folder) if first.exists() else None
        times, seconds = _lived(what, file, folder, seconds, chance, min(MOST, kills - done), (before, after))
        done += len(times)
        again = Counter(_log(folder))
        twice += sum(again.values()) - len(again)
        assert again.keys() == embedded.keys(), "not the texts that the uninterrupted run embedded"
        assert rows(folder) == told, "not the rows of the uninterrupted run"
        health = doctor.examine(folder, str(folder), Hashed())
        assert not health.problems, list(health.lines())
        print(f"library {lives}: killed at {', '.join(f'{t:.0f}' for t in times) or '-'} s, then whole, doctor content")
        shutil.rmtree(folder)
    print(f"{what}: {done} kills, {lives} libraries: nothing lost, nothing doubled; {twice:,} texts embedded twice "
          f"({twice / max(1, done):.0f} a kill, of {sum(embedded.values()):,})")  # fmt: skip


def _lived(
    what: str, file: Path, folder: Path, seconds: float, chance: random.Random, most: int, either: tuple[Any, Any]
) -> tuple[list[float], float]:
    """Kill runs over one library until one ends by itself: when each was killed, and how long that one took, in seconds."""
    times: list[float] = []
    while True:
        process, began = start(what, file, folder), time.monotonic()
        after = chance.uniform(0.3, seconds)
        try:
            process.wait(after if len(times) < most else None)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            times.append(after)
            assert papers(folder) in either, "half of a change is stored"
            continue
        _ended(process)
        return times, time.monotonic() - began


def _ended(process: subprocess.Popen[bytes]) -> None:
    _, err = process.communicate()
    assert process.returncode == 0, err.decode("utf-8", "replace")[-2000:]


# --- what is in it ------------------------------------------------------------------------------


def papers(folder: Path) -> dict[str, str]:
    """{id: record}; none when there is no library yet."""
    if not (folder / FILE).is_file():
        return {}
    with closing(sqlite3.connect(folder / FILE)) as db:
        return dict(db.execute("SELECT id, record FROM papers"))


def rows(folder: Path) -> dict[str, Any]:
    """Everything in a library that can be compared."""
    with closing(sqlite3.connect(folder / FILE)) as db:
        held: dict[str, Any] = {t: hash(tuple(sorted(db.execute(f"SELECT * FROM {t}")))) for t in TABLES}
        held["papers"] = hash(tuple(sorted(db.execute("SELECT id, title, title_key, record FROM papers"))))
        held["full text"] = hash(tuple(sorted(db.execute("SELECT title, abstract FROM passages"))))
    with closing(Library.open(folder)) as library:
        manifest = Manifest.from_json(library.meta("collection"))
        assert manifest
        held["collection"] = hash(tuple(sorted(open_collection(folder, manifest).ids())))
        held |= {"fingerprint": library.fingerprint, "behind": behind(library), "counts": library.counts()}
        held["changes"] = sum("before" in entry for entry in library.journal())
    return held


def _log(folder: Path) -> list[str]:
    file = folder.with_suffix(".log")
    return [line for line in file.read_text("ascii").split("\n") if len(line) == 64] if file.exists() else []


if __name__ == "__main__":
    main()
