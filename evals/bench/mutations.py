"""Does the harness catch a broken assistant, name the right stage, and stay quiet when nothing broke?

    python evals/bench/mutations.py [--fast] [--only NAME]

Plants faults in the real assistant, asks it the real gold set over the real shipped library, and
compares each run with one of the sound assistant. A fault passes the test when the verdict is
regression and the first metric named is one that FAULTS expects of it; a change that is none (NO_OPS)
passes when the verdict is pass. At most one of those may cry wolf. `--fast` is what the tests run.
What is pure is remembered between runs (vectors of texts, folded texts), so that a run takes seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import rag  # noqa: E402
import rag.answering.assistant  # noqa: E402
import rag.library.build  # noqa: E402
import rag.library.embed  # noqa: E402
import rag.library.vectors  # noqa: E402
import rag.readers  # noqa: E402
import rag.text  # noqa: E402
from evals import baseline, gold, run  # noqa: E402
from evals.bench.faults import FAULTS, Fault, after  # noqa: E402
from evals.compare import Comparison, compare  # noqa: E402
from evals.records import Manifest, Run  # noqa: E402
from rag.records import Answer  # noqa: E402

FAST = 8  # `--fast` asks every eighth question
FEW = 2  # and tries so many faults, and changes that are none


# --- asking -------------------------------------------------------------------------------------


def ask(question: str, history: list[Answer], sample: int) -> Answer:
    """How `rag eval` asks without a model."""
    return rag.answer(question, history=history, model="extractive")


@dataclass
class Bench:
    """The gold set, the library, a folder for runs, and the run of the sound assistant."""

    questions: tuple[gold.Question, ...]
    folder: Path
    sound: Run | None = None

    def __post_init__(self) -> None:
        library = rag.open_library()
        self.abstracts = {paper.id: paper.abstract for paper in library}
        self.corpus = library.fingerprint
        self.library = library.path
        self.todo = [task for task in run.tasks(self.questions) if task.variant == 0]
        self.sound = self.run()
        if errors := [record.error for record in self.sound.records if record.error]:
            raise SystemExit(f"the sound assistant fails on {len(errors)} questions: {errors[0]}")

    def manifest(self, **changes: Any) -> Manifest:
        """That of a run over these questions."""
        from rag.settings import load

        settings = load(model="extractive")
        made = run.manifest_of(
            self.questions,
            corpus=self.corpus,
            run=settings.fingerprint,
            model="extractive",
            split="all",
            samples=1,
            settings={},
        )
        return replace(made, **changes)

    def run(
        self, todo: Sequence[run.Task] | None = None, *, door: run.Ask = ask, workers: int = 1, **changes: Any
    ) -> Run:
        """Ask everything, in a folder of its own. `changes` go into the manifest."""
        folder = run.start(self.manifest(**changes), self.folder)
        made = run.execute(folder, self.todo if todo is None else todo, door, workers=workers)
        run.finish(folder)
        shutil.rmtree(folder)
        return made

    def judge(self, candidate: Run) -> Comparison:
        """The candidate against the sound run."""
        assert self.sound
        return compare(self.sound, candidate, self.questions, self.abstracts)

    def fault(self, fault: Fault) -> tuple[Comparison, bool]:
        """The verdict on a fault, and whether it is right and names the right metric first."""
        with patch(fault.where, fault.how(_found(fault.where))):
            result = self.judge(self.run(code="faulty"))
        return result, result.verdict == "regression" and result.named[0] in fault.expected


def _found(where: str) -> Any:
    return functools.reduce(getattr, where.split(".")[1:], rag)


@contextmanager
def remembering() -> Iterator[None]:
    """Vectors and folded texts, which depend on a text alone, are made once."""
    vectors: dict[str, Any] = {}
    encode = rag.library.embed.MiniLM.encode
    words = functools.cache(lambda text, real=rag.text.words: tuple(real(text)))

    def remembered(self: Any, texts: Sequence[str], **options: Any) -> Any:
        import numpy as np

        if new := [text for text in dict.fromkeys(texts) if text not in vectors]:
            vectors.update(zip(new, encode(self, new, **options), strict=True))
        return np.stack([vectors[text] for text in texts]) if texts else encode(self, texts)

    with ExitStack() as stack:
        stack.enter_context(patch.object(rag.library.embed.MiniLM, "encode", remembered))
        pure = {"words": lambda text: list(words(text))}
        pure |= {name: functools.cache(getattr(rag.text, name)) for name in ("folded_view", "readable_view")}
        for name, remembers in pure.items():
            for module in _using(getattr(rag.text, name), name):
                stack.enter_context(patch.object(module, name, remembers))
        yield


def _using(function: Any, name: str) -> list[Any]:
    """The modules that know a function by its name."""
    ours = [module for place, module in sys.modules.items() if place.startswith("rag.")]
    return [module for module in ours if getattr(module, name, None) is function]


# --- changes that are none ----------------------------------------------------------------------


@contextmanager
def home_of_its_own(library: Path | None = None) -> Iterator[Path]:
    """Another RAG_HOME, empty or with a copy of a library; the library's folder there."""
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, {"RAG_HOME": home}):
        if library:
            shutil.copytree(library, Path(home, "cache", library.name))
        yield rag.open_library().path


def built_elsewhere(bench: Bench) -> Run:
    """A library built anew in another place."""
    with home_of_its_own():
        return bench.run()


def read_backwards(bench: Bench) -> Run:
    """A library built from the papers in the opposite order."""
    backwards = after(lambda reading: replace(reading, papers=reading.papers[::-1]))
    with patch("rag.library.build.read", backwards(rag.readers.read)):
        return built_elsewhere(bench)


def chroma_lost(bench: Bench) -> Run:
    """The collection deleted: it is filled again from the library."""
    with home_of_its_own(bench.library) as library:
        shutil.rmtree(library / "chroma")
        return bench.run()


def vacuumed(bench: Bench) -> Run:
    """The database written anew by SQLite."""
    with home_of_its_own(bench.library) as library:
        for file in library.glob("*.sqlite"):
            connection = sqlite3.connect(file)
            connection.execute("VACUUM")
            connection.close()
        return bench.run()


def resumed(bench: Bench) -> Run:
    """Killed in the middle of a row, then run again."""
    folder = run.start(bench.manifest(), bench.folder)
    run.execute(folder, bench.todo[::2], ask)
    with (folder / "records.jsonl").open("ab") as file:
        file.write(b'{"id": "sa0')
    made = run.execute(folder, bench.todo, ask)
    shutil.rmtree(folder)
    return made


def another_process(bench: Bench, *options: str, **environment: str) -> Run:
    """The same in a fresh interpreter, from another folder."""
    folder = run.start(bench.manifest(), bench.folder)
    command = [sys.executable, __file__, "--child", str(folder), *options]
    names = ",".join(question.id for question in bench.questions)
    home = {"RAG_HOME": str(bench.library.parents[1])} if "RAG_HOME" in os.environ else {}
    done = subprocess.run([*command, "--ids", names], cwd=bench.folder, env=os.environ | home | environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    made = run.execute(folder, bench.todo, ask)  # nothing is left to ask
    shutil.rmtree(folder)
    return made


def logging_on(bench: Bench) -> Run:
    """Every logger at its most talkative."""
    root, before = logging.getLogger(), logging.getLogger().level
    silent = logging.NullHandler()
    root.addHandler(silent)
    root.setLevel(logging.DEBUG)
    try:
        return bench.run()
    finally:
        root.setLevel(before)
        root.removeHandler(silent)


def searching(question: str, history: list[Answer], sample: int) -> Answer:
    """Searches with other numbers of results before and after."""
    rag.search(question, k=3)
    found = ask(question, history, sample)
    rag.search("something else entirely", k=30)
    return found


def streamed(question: str, history: list[Answer], sample: int) -> Answer:
    """By the sentence."""
    with rag.stream(question, history=history, model="extractive") as pieces:
        assert "".join(pieces) == pieces.answer.text
    return pieces.answer


def awaited(question: str, history: list[Answer], sample: int) -> Answer:
    """From an event loop, with the history as dicts."""
    return asyncio.run(rag.aanswer(question, history=[turn.to_dict() for turn in history], model="extractive"))


def blessed(bench: Bench) -> Run:
    """Written as a baseline and read again."""
    path = bench.folder / "baseline.json.gz"
    baseline.bless(bench.run(), "to see whether it reads the same", {}, path)
    return baseline.load(path)


def in_haste(bench: Bench) -> Run:
    """No garbage collected meanwhile."""
    gc.disable()
    try:
        return bench.run()
    finally:
        gc.enable()


NO_OPS: Mapping[str, Callable[[Bench], Run]] = {
    "questions in the opposite order": lambda bench: bench.run(bench.todo[::-1]),
    "killed and resumed": resumed,
    "a comment in the code": lambda bench: bench.run(code="commented"),
    "collection lost and filled again": chroma_lost,
    "asked again": lambda bench: bench.run(),
    "questions shuffled": lambda bench: bench.run(random.Random(1).sample(bench.todo, len(bench.todo))),
    "three threads at once": lambda bench: bench.run(workers=3),
    "another process": another_process,
    "another locale, time zone and hash seed": lambda bench: another_process(
        bench, LC_ALL="tr_TR.UTF-8", TZ="Asia/Tokyo", PYTHONHASHSEED="7", COLUMNS="20"
    ),
    "one core, nothing remembered": lambda bench: another_process(bench, "--plain", OMP_NUM_THREADS="1"),
    "library built elsewhere": built_elsewhere,
    "papers read in the opposite order": read_backwards,
    "database vacuumed": vacuumed,
    "logging on": logging_on,
    "searches in between": lambda bench: bench.run(door=searching),
    "streamed": lambda bench: bench.run(door=streamed),
    "asked from an event loop": lambda bench: bench.run(door=awaited),
    "kept as a baseline and read again": blessed,
    "each asked twice": lambda bench: bench.run([replace(t, sample=n) for t in bench.todo for n in (0, 1)], samples=2),
    "notes in the gold set, another version": lambda bench: bench.run(gold="noted", version="9.9"),
    "no garbage collected": in_haste,
}


# --- the command --------------------------------------------------------------------------------


def measure(questions: Sequence[gold.Question], *, fast: bool, only: str = "", show: bool = True) -> list[str]:
    """Try the faults and the changes that are none; what went wrong, one line each."""
    wrong = []
    tell = print if show else lambda *_, **__: None
    with remembering(), tempfile.TemporaryDirectory() as folder:
        bench = Bench(tuple(questions[:: FAST if fast else 1]), Path(folder))
        for fault in [f for f in FAULTS[: FEW if fast else None] if only in f.name]:
            began = time.perf_counter()
            result, caught = bench.fault(fault)
            first = ", ".join(result.named[:4])
            tell(
                f"{'ok  ' if caught else 'MISS'} {fault.name:34} {result.verdict:12} {first}  ({_since(began)})",
                flush=True,
            )
            if not caught:
                wrong.append(f"{fault.name}: {result.verdict}, names {first or 'nothing'}, not {fault.expected[0]}")
        for name in [name for name in list(NO_OPS)[: FEW if fast else None] if only in name]:
            began = time.perf_counter()
            result = bench.judge(NO_OPS[name](bench))
            quiet = result.verdict == "pass"
            tell(
                f"{'ok  ' if quiet else 'WOLF'} {name:40} {result.verdict} {'; '.join(result.reasons)}  ({_since(began)})",
                flush=True,
            )
            if not quiet:
                wrong.append(f"{name}: {result.verdict}, {'; '.join(result.reasons)}")
    return wrong


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.0f} s"


def main() -> int:
    """Measure and print; 1 when a fault is missed or more than one change that is none is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help=f"only the first {FAST} of each")
    parser.add_argument("--only", default="", help="only those whose name holds this")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ids", default="", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    questions = gold.load()
    if arguments.child:
        return _child(arguments, questions)
    wrong = measure(questions, fast=arguments.fast, only=arguments.only)
    missed = [line for line in wrong if line.split(":")[0] not in NO_OPS]
    print(f"{len(missed)} faults missed, {len(wrong) - len(missed)} false alarms")
    return int(bool(missed) or len(wrong) - len(missed) > 1)


def _child(arguments: argparse.Namespace, questions: Sequence[gold.Question]) -> int:
    """Ask the questions into a run's folder, for the process that started this one."""
    wanted = set(arguments.ids.split(","))
    todo = [task for task in run.tasks([q for q in questions if q.id in wanted]) if task.variant == 0]
    if arguments.plain and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with ExitStack() as stack:
        if not arguments.plain:
            stack.enter_context(remembering())
        run.execute(arguments.child, todo, ask)
    return 0


if __name__ == "__main__":
    sys.exit(main())
