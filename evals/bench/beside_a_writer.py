"""Do readers and a writer together harm a library, is any answer wrong, and does an ask wait for the writer?

    python evals/bench/beside_a_writer.py [--runs 30] [--readers 6] [--papers 1200] [--changes 1500] [--seconds 8]

Each run: a library of made-up papers; processes that ask it for `--seconds` alone, then while one more process writes
to another library, which tells what the processor's time costs, then while it writes to theirs: it adds papers, changes
them in their files, syncs, prunes and undoes until `--changes` papers were touched. The embedder
costs next to nothing, all else is real. Every sentence of a paper names its version, so that an answer which mixes
two states is seen; one ask in five compares the dense search with a product over all vectors of the same snapshot.
At the end every process must have ended by itself, and doctor must find nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from evals.bench.hashed import Hashed
from rag.answering.assistant import Assistant
from rag.errors import LibraryBusy
from rag.library import changes, doctor
from rag.library.dense import DenseSearch, exact
from rag.library.store import Library
from rag.records import Answer
from rag.settings import load

PHASES = ("alone", "beside a writer elsewhere", "beside a writer here")
PAUSE = 0.05  # seconds between two asks of a process: a person reads
STEP = 150  # papers that one change touches
NEAREST = 10
RECALL = 0.9  # least share of the nearest that an approximate index is to find in one ask


def main() -> None:
    """Measure, and print a line a run."""
    given = _given()
    if given.child:
        {"ask": ask, "write": work}[given.child](given.folder, given.seed, given.changes)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that its processes end with it
    with tempfile.TemporaryDirectory(prefix="beside.") as name:
        place = Path(name)
        times: dict[str, list[float]] = {phase: [] for phase in PHASES}
        for run in range(given.runs):
            folder = prepared(place / f"run{run}", given.papers)
            told = one_run(folder, given.readers, given.changes, given.seconds, given.seed + run)
            times = {phase: times[phase] + told[phase] for phase in PHASES}
            print(
                f"run {run + 1}: {told['steps']} changes, none wrong; {summary({p: told[p] for p in PHASES})}",
                flush=True,
            )
            shutil.rmtree(folder)
        print(f"{given.runs} runs, no crash; {summary(times)}")


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--readers", type=int, default=6)
    parser.add_argument("--papers", type=int, default=1200)
    parser.add_argument("--changes", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", choices=["ask", "write"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def prepared(folder: Path, papers: int) -> Path:
    """The folder, with a library of so many papers and the file that it came from."""
    folder.mkdir()
    (folder / "papers.jsonl").write_text("".join(line(n, 0) for n in range(papers)), "utf-8")
    changes.add([folder / "papers.jsonl"], str(folder / "library"), Hashed())
    return folder


def line(number: int, version: int) -> str:
    """A paper as its file has it; every sentence names the version."""
    title = f"Study {number} of the reed bunting"
    facts = [f"Fact {n} of study {number} in version {version} is {number * 7 + n * version}." for n in range(1, 4)]
    return json.dumps({"title": title, "abstract": " ".join(facts)}) + "\n"


def p95(values: list[float]) -> float:
    """The 95th percentile, 0 of none."""
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else 0.0


def summary(times: dict[str, list[float]]) -> str:
    """How many asks there were in each phase, and how long they took."""
    return ", ".join(
        f"{phase}: {len(ms):,} asks, p95 {p95(ms):.0f} ms, longest {max(ms):.0f}" for phase, ms in times.items()
    )


# --- a run --------------------------------------------------------------------------------------


def one_run(folder: Path, readers: int, touched: int, seconds: float, seed: int) -> dict[str, Any]:
    """What the processes of a run told. Raises AssertionError where one did not end well, or anything was wrong."""
    askers = [_start("ask", folder, seed * 100 + n, touched) for n in range(readers)]
    try:
        while sum((folder / f"ready{seed * 100 + n}").exists() for n in range(readers)) < readers:
            assert all(asker.poll() is None for asker in askers), "an asker died as it began"
            time.sleep(0.05)
        time.sleep(seconds)
        other = prepared(folder / "other", sum(1 for _ in (folder / "papers.jsonl").open()))
        (folder / PHASES[1]).touch()
        _ended(_start("write", other, seed, touched))
        (folder / PHASES[2]).touch()
        steps = _ended(_start("write", folder, seed, touched))
        (folder / "stop").touch()
        told = [_ended(asker) for asker in askers]
    finally:
        for asker in askers:
            if asker.poll() is None:
                asker.kill()
    wrong = [problem for one in told for problem in one["wrong"]]
    assert not wrong, wrong[:3]
    health = doctor.examine(folder / "library", str(folder / "library"), Hashed())
    assert not health.problems, list(health.lines())
    return {phase: [ms for one in told for ms in one[phase]] for phase in PHASES} | {"steps": steps["steps"]}


def _start(what: str, folder: Path, seed: int, touched: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__)), "--child", what, "--folder", str(folder), "--seed", str(seed)]
    command += ["--changes", str(touched)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _ended(process: subprocess.Popen[str]) -> Any:
    try:
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()  # nothing, if it has ended
    assert process.returncode == 0, f"exit code {process.returncode}: {err[-2000:]}"
    return json.loads(out.splitlines()[-1])


# --- its processes ------------------------------------------------------------------------------


def ask(folder: Path, seed: int, touched: int) -> None:
    """Ask until told to stop; print milliseconds, and what was wrong."""
    chance = random.Random(seed)
    embedder, wrong = Hashed(), list[str]()
    times: dict[str, list[float]] = {phase: [] for phase in PHASES}
    with closing(Library.open(folder / "library")) as library, closing(DenseSearch(library)) as search:
        assistant = Assistant(load(model="extractive"), library, embedder)
        assistant.answer("What is fact 1 of study 1?")
        (folder / f"ready{seed}").touch()
        while not (folder / "stop").exists():
            phase = next((phase for phase in reversed(PHASES) if (folder / phase).exists()), PHASES[0])
            number = chance.randrange(1500)
            began = time.perf_counter()
            answer = assistant.answer(f"What is fact {chance.randrange(1, 4)} of study {number}?")
            times[phase].append((time.perf_counter() - began) * 1000)
            wrong += mixed(answer)
            if chance.random() < 0.2:
                wrong += unlike(library, search, embedder, number)
            time.sleep(PAUSE)
    print(json.dumps(times | {"wrong": wrong}))


def mixed(answer: Answer) -> list[str]:
    """Papers that are not of one version, quotes that are not in them."""
    found = []
    for citation in answer.citations:
        paper = citation.paper
        versions = {
            word for at, word in enumerate(paper.abstract.split()) if paper.abstract.split()[at - 1] == "version"
        }
        if len(versions) != 1:
            found.append(f"{paper.title}: versions {versions}")
        elif json.loads(line(int(paper.title.split()[1]), int(versions.pop())))["abstract"] != paper.abstract:
            found.append(f"{paper.title}: {paper.abstract}")
        if paper.abstract[citation.start : citation.end] != citation.quote:
            found.append(f"{paper.title}: quoted as {citation.quote!r}")
    return found


def unlike(library: Library, search: DenseSearch, embedder: Hashed, number: int) -> list[str]:
    """How the dense search of one state differs from a product over all vectors of that state."""
    vector = embedder.encode([f"study {number}"])[0]
    with library.snapshot() as still:
        ids = [paper.id for paper in still]
        wanted = dict(exact(still, vector, ids, NEAREST))
        found = dict(search.nearest(vector, NEAREST, None, still))
    strange = [id for id, cosine in found.items() if id in wanted and abs(cosine - wanted[id]) > 1e-4]
    recall = len(found.keys() & wanted.keys()) / max(1, len(wanted))
    return [f"{recall:.2f} of the nearest, other cosines: {strange}"] if recall < RECALL or strange else []


def work(folder: Path, seed: int, touched: int) -> None:
    """Change the library until so many papers were touched; print how many steps that took."""
    chance, embedder = random.Random(seed), Hashed()
    name, file = str(folder / "library"), folder / "papers.jsonl"
    held = dict.fromkeys(range(file.read_text("utf-8").count("\n")), 0)
    before, done, steps, may_undo = dict(held), 0, 0, False
    while done < touched:
        what = chance.choice(["more", "newer", "newer", "less", *(["undo"] if may_undo else [])])
        if what == "undo":
            _patiently(lambda: changes.undo(name, embedder))
            held = dict(before)
        else:
            before = dict(held)
            held = _after(what, held, chance)
        file.write_text("".join(line(n, version) for n, version in sorted(held.items())), "utf-8")
        report = _patiently(lambda: changes.sync(name, embedder, prune=True))
        may_undo = bool(report.added or report.changed or report.removed)
        done, steps = done + STEP, steps + 1
    with closing(Library.open(name)) as library:
        wanted = {
            one["title"]: one["abstract"] for one in (json.loads(line(n, version)) for n, version in held.items())
        }
        assert {paper.title: paper.abstract for paper in library} == wanted
    print(json.dumps({"steps": steps}))


def _after(what: str, held: dict[int, int], chance: random.Random) -> dict[int, int]:
    """The versions of the papers after a change."""
    some = chance.sample(sorted(held), min(STEP, len(held) // 2))
    if what == "more":
        return held | {max(held) + 1 + n: 0 for n in range(STEP)}
    return (
        held | {n: held[n] + 1 for n in some} if what == "newer" else {n: v for n, v in held.items() if n not in some}
    )


def _patiently(change: Callable[[], Any]) -> Any:
    """Do it; a reader that makes a lost collection anew may hold the lock for a moment."""
    for _ in range(600):
        try:
            return change()
        except LibraryBusy:
            time.sleep(0.1)
    raise TimeoutError("the writer's lock was never free")


if __name__ == "__main__":
    main()
