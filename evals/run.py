"""Ask the questions and keep what came back: resumable, append-only, a crash is a row.

A run is a folder `evals/runs/<time>-<fingerprint>/` with `manifest.json` and `records.jsonl`. Each
row is flushed to the disk before the next question begins, so Ctrl-C, a kill or a full disk lose at
most the row being written; a torn last line is cut off on resume. Running the same command again
goes on: rows that are there are skipped, rows that are errors are tried again. Two runs at once have a
folder each: whoever writes to one holds its lock.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

import rag
from rag.errors import RagError
from rag.places import resource
from rag.records import Answer, paper_of

from .gold import Question
from .records import Key, Manifest, Record, Run, write_whole

RUNS = Path(__file__).parent / "runs"
Ask = Callable[[str, list[Answer], int], Answer]  # (question, earlier answers, sample) -> answer
Tick = Callable[[int, int], None]


class RunError(Exception):
    """A run cannot be written or read; the text says where and what to do."""


class Stop(RagError):
    """Ends a run instead of being a row: no further question would fare better. Finished rows are kept."""


@dataclass(frozen=True, slots=True)
class Task:
    """One question to ask: which row, in which wording, which sample."""

    question: Question
    variant: int
    sample: int

    @property
    def key(self) -> Key:
        """What the record of this task will be known by."""
        return self.question.id, self.question.rev, self.variant, self.sample

    @property
    def text(self) -> str:
        """The wording to ask."""
        return self.question.question if self.variant == 0 else self.question.variants[self.variant - 1]


def tasks(questions: Iterable[Question], samples: int = 1) -> list[Task]:
    """Every question in every wording, `samples` times."""
    return [
        Task(question, variant, sample)
        for question in questions
        for variant in range(1 + len(question.variants))
        for sample in range(samples)
    ]


def execute(folder: Path, todo: Sequence[Task], ask: Ask, *, workers: int = 1, tick: Tick | None = None) -> Run:
    """Ask what is not yet in the folder, writing each row as it comes. Raises RunError when it cannot write.

    `ask` may raise anything: the row keeps the error. Stop and KeyboardInterrupt go on to the caller,
    with every finished row on the disk.
    """
    manifest, done = read(folder)
    kept = {record.key: record for record in done if record.error is None}
    left = [task for task in todo if task.key not in kept]
    guard = threading.Lock()

    def keep(record: Record) -> None:
        with guard:
            _append(file, record)
            kept[record.key] = record
            if tick:
                tick(sum(task.key in kept for task in left), len(left))

    try:
        file = (folder / "records.jsonl").open("a", encoding="utf-8")
        try:
            _ask_all(left, ask, workers, keep)
        finally:
            with guard:
                file.close()
            leave(folder)
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written ({error.strerror}); free some space, then run the same again"
        ) from error
    wanted = [task.key for task in todo]
    return Run(manifest, tuple(kept[key] for key in wanted if key in kept))


def _ask_all(left: Sequence[Task], ask: Ask, workers: int, keep: Callable[[Record], None]) -> None:
    """Each record is kept by the thread that made it: the one that waits for all may be interrupted."""

    def work(task: Task) -> None:
        keep(ask_one(task, ask))

    if workers <= 1:
        for task in left:
            work(task)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        for future in as_completed([pool.submit(work, task) for task in left]):
            future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def ask_one(task: Task, ask: Ask) -> Record:
    """The record of one question; whatever goes wrong is its error. Raises Stop, which ends the run."""
    began = time.process_time()
    try:
        history: list[Answer] = []
        for earlier in task.question.history:
            history.append(ask(earlier, history, task.sample))
        answer = ask(task.text, history, task.sample)
    except Stop:
        raise
    except Exception as error:  # noqa: BLE001  a crash is a row
        return Record(*task.key, error=f"{type(error).__name__}: {error}")
    before = dict.fromkeys(c.paper.id for turn in history for claim in turn.claims for c in claim.citations)
    return Record(*task.key, answer=slim(answer) | {"before": list(before), "cpu": time.process_time() - began})


def slim(answer: Answer) -> dict[str, Any]:
    """What scoring and reading need of an Answer (see Record)."""
    score = {found.id: found.score for found in answer.trace.get("retrieve", ())}
    return {
        "status": answer.status,
        "text": answer.text,
        "query": answer.query,
        "model": answer.model,
        "run": answer.run,
        "claims": [
            {
                "text": claim.text,
                "verdict": claim.verdict,
                "citations": [
                    {"number": c.number, "paper": c.paper.id, "start": c.start, "end": c.end, "quote": c.quote}
                    for c in claim.citations
                ],
            }
            for claim in answer.claims
        ],
        "removed": [{"text": c.text, "verdict": c.verdict, "reason": c.reason} for c in answer.removed],
        "retrieved": [[paper_of(chunk), round(value, 6)] for chunk, value in score.items()],
        "found": {name: [paper_of(t.id) for t in answer.trace.get(name, ())] for name in ("dense", "lexical")},
        "evidence": [[e.paper.id, round(e.score, 6)] for e in answer.evidence],
        "usage": {
            "calls": answer.usage.calls,
            "prompt": answer.usage.prompt_tokens,
            "reply": answer.usage.completion_tokens,
        },
        "seconds": {stage: round(value, 6) for stage, value in answer.seconds.items()},
    }


# --- the folder ---------------------------------------------------------------------------------


def start(manifest: Manifest, runs: Path | None = None) -> Path:
    """The folder of the unfinished run with this manifest, or a new one. Raises RunError."""
    runs = runs or RUNS
    wanted = _identity(manifest)
    for folder in sorted(runs.glob("*/"), reverse=True):
        if (folder / "finished").exists() or _identity_of(folder) != wanted or not _taken(folder):
            continue
        return folder
    name = f"{manifest.created.replace(':', '').replace('-', '')}-{manifest.run[:8]}"
    try:
        folder = _made(runs / name)
        write_whole(folder / "manifest.json", json.dumps(manifest.to_dict(), indent=1))
        (folder / "records.jsonl").touch()
    except OSError as error:
        raise RunError(
            f"{runs / name}: cannot be written ({error.strerror}); free some space or check its permissions"
        ) from error
    return folder


def _made(folder: Path) -> Path:
    """A new folder that this process alone writes to; several runs of one second get numbers."""
    for number in range(1, 1000):
        place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            place.mkdir(parents=True)
        except FileExistsError:
            continue
        if _taken(place):
            return place
    raise FileExistsError(17, "a thousand runs in one second")


_locks: dict[Path, filelock.FileLock] = {}  # of the folders that this process writes to


def _taken(folder: Path) -> bool:
    """Take a run's folder for this process, until `leave`, `finish` or its end; False when another one has it."""
    lock = filelock.FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return False
    _locks[folder] = lock
    return True


def leave(folder: Path) -> None:
    """Let another process, or a later run of this one, go on with a run."""
    if lock := _locks.pop(folder, None):
        lock.release()


def _identity_of(folder: Path) -> tuple[str, ...] | None:
    try:
        return _identity(_manifest(folder))
    except RunError:
        return None


def _manifest(folder: Path) -> Manifest:
    try:
        return Manifest(**json.loads((folder / "manifest.json").read_text("utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise RunError(f"{folder}: is no run of this version ({error})") from error


def finish(folder: Path) -> None:
    """Mark a run as whole, so that the next one begins afresh."""
    (folder / "finished").touch()
    leave(folder)


def read(folder: Path) -> tuple[Manifest, list[Record]]:
    """The manifest and records of a run; a torn last line is cut off the file. Raises RunError."""
    manifest = _manifest(folder)
    try:
        raw = (folder / "records.jsonl").read_bytes() if (folder / "records.jsonl").exists() else b""
    except (OSError, TypeError, ValueError) as error:
        raise RunError(f"{folder}: is no run of this version ({error})") from error
    whole = raw[: raw.rfind(b"\n") + 1]
    if whole != raw:
        os.truncate(folder / "records.jsonl", len(whole))
    records = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            records.append(Record.from_dict(json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{folder}/records.jsonl:{number}: is no record ({error}); delete the line") from error
    return manifest, records


def latest(runs: Path, model: str, id: str) -> Run | None:
    """The latest run of an answerer that holds a question, with the records of that question alone; None without one."""
    written = {file.parent: file.stat().st_mtime_ns for file in runs.glob("*/records.jsonl")}
    for folder in sorted(written, key=lambda folder: written[folder], reverse=True):
        try:
            manifest = _manifest(folder)
            lines = (folder / "records.jsonl").read_text("utf-8").split("\n") if manifest.model == model else []
            found = [row for line in lines if (row := _row(line)) and row.id == id]
        except (RunError, OSError, UnicodeDecodeError):
            continue
        if found:
            return Run(manifest, tuple({record.key: record for record in found}.values()))
    return None


def _row(line: str) -> Record | None:
    """The record of a line; None for one that is torn, as the last one of a run that is under way may be."""
    try:
        return Record.from_dict(json.loads(line))
    except (KeyError, TypeError, ValueError):
        return None


def _append(file: Any, record: Record) -> None:
    file.write(json.dumps(record.to_dict(), ensure_ascii=False) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _identity(manifest: Manifest) -> tuple[str, ...]:
    m = manifest
    return (
        m.corpus,
        m.run,
        m.code,
        m.gold,
        m.model,
        m.split,
        str(m.samples),
        json.dumps(dict(m.settings), sort_keys=True),
    )


# --- fingerprints -------------------------------------------------------------------------------


def manifest_of(
    questions: Sequence[Question],
    *,
    corpus: str,
    run: str,
    model: str,
    split: str,
    samples: int,
    settings: Mapping[str, Any],
) -> Manifest:
    """The manifest of a run that is about to begin."""
    return Manifest(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        corpus=corpus,
        run=run,
        code=code_hash(),
        gold=gold_hash(questions),
        model=model,
        version=rag.__version__,
        split=split,
        samples=samples,
        settings=dict(settings),
    )


def code_hash() -> str:
    """12 hex digits of the sources of `rag` and its prompts: what else could change an answer. Installed or not."""
    package, prompts = Path(rag.__file__).parent, resource("prompts")
    texts = {
        file.relative_to(package).as_posix(): file for file in package.rglob("*.py") if "weights" not in file.parts
    }
    texts |= {f"prompts/{file.name}": file for file in prompts.glob("*.md")}
    digest = hashlib.sha256()
    for name, file in sorted(texts.items()):
        digest.update(name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def gold_hash(questions: Iterable[Question]) -> str:
    """12 hex digits of the rows asked, whatever their order."""
    rows = sorted(question.model_dump_json() for question in questions)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]
