"""What the commands of `rag eval` share: the rows, papers, runs and baselines that the options name, and how is asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rag
from rag.errors import UsageError
from rag.records import EXTRACTIVE, Answer, Paper

from . import baseline, gold, plain, replies, run
from .records import Manifest, Run


def questions_of(arguments: argparse.Namespace) -> tuple[gold.Question, ...]:
    """The rows asked for. Raises UsageError when the filters leave none."""
    questions = arguments.place.questions()
    chosen = tuple(
        question
        for question in questions
        if (arguments.split in ("all", question.split))
        and (not arguments.kind or question.kind in arguments.kind)
        and (not arguments.id or question.id in arguments.id)
        and (not (kept := recorded(arguments)) or question.id in kept.ids)
    )
    if not chosen:
        raise UsageError("no question fits --split, --kind and --id; type: rag eval lint")
    return chosen


def recorded(arguments: argparse.Namespace) -> replies.Replies | None:
    """The recorded replies that are replayed; None where they are not, or there are none."""
    if arguments.cache != "only" or not is_chat(arguments):
        return None
    found: replies.Replies | None = arguments.place.recorded(arguments.model)
    return found


def is_chat(arguments: argparse.Namespace) -> bool:
    """Is a chat model asked, whose answers cost and vary?"""
    return arguments.model not in (None, plain.MODEL)


def is_whole(arguments: argparse.Namespace) -> bool:
    """Are all kinds of questions asked, and none picked out?"""
    return not arguments.kind and not arguments.id


def papers_of(arguments: argparse.Namespace) -> dict[str, Paper]:
    """The papers of the library that is asked, by id."""
    return {paper.id: paper for paper in arguments.place.open_library()}


def labelled() -> tuple[Any, ...]:
    """The claims labelled by hand, which are about the shipped abstracts whatever library is judged."""
    from . import judge

    return judge.items({paper.id: paper for paper in rag.open_library()})


def ran(arguments: argparse.Namespace, questions: Sequence[gold.Question]) -> tuple[Run, Path]:
    """The questions asked as the options say; the run and its folder."""
    ask, workers = asker(arguments), arguments.concurrency if is_chat(arguments) else 1
    todo = run.tasks(questions, arguments.samples)
    if recorded(arguments):
        todo = [task for task in todo if task.variant == 0]  # what was recorded
    return executed(arguments, _manifest(arguments, questions), todo, ask, workers)


def executed(
    arguments: argparse.Namespace, manifest: Manifest, todo: Sequence[run.Task], ask: run.Ask, workers: int
) -> tuple[Run, Path]:
    """A run that is begun or gone on with; its folder is finished unless a row is an error."""
    arguments.place.made()
    folder = run.start(manifest, arguments.place.runs)
    finished = run.execute(folder, todo, ask, workers=workers, tick=ticker())
    if all(record.error is None for record in finished.records):
        run.finish(folder)  # else the same command goes on, and tries the errors again
    return finished, folder


def _manifest(arguments: argparse.Namespace, questions: Sequence[gold.Question]) -> Manifest:
    """Known before the first question: a refusal of a model server must not cost a run its name."""
    from rag.settings import load

    settings = load(model=arguments.model, base_url=arguments.base_url, k=arguments.k)
    model = arguments.model or EXTRACTIVE
    return run.manifest_of(
        questions,
        corpus=arguments.place.corpus(),
        run=settings.fingerprint,
        model=model,
        split=arguments.split,
        samples=arguments.samples,
        settings={"base_url": settings.base_url if arguments.model else None, "k": settings.k},
    )


def accepted_of(arguments: argparse.Namespace) -> Run:
    """The run or baseline named, else the baseline of the answerer."""
    path = arguments.source or arguments.place.baseline(arguments.model or EXTRACTIVE)
    return read_run(path) if path.is_dir() else baseline.load(path)


def read_run(folder: Path) -> Run:
    """A run from its folder. Raises RunError."""
    manifest, records = run.read(folder)
    return Run(manifest, tuple(records))


def asker(arguments: argparse.Namespace, first_sample: int = 0, library: str | None = None) -> run.Ask:
    """How a question is asked: without a model, plainly, or through the call cache; of another library if one is given."""
    if arguments.model == plain.MODEL:
        return plain.Plain((rag.open_library(library) if library else arguments.place.open_library()).store).ask
    if not arguments.model:
        return asking(arguments, lambda sample: EXTRACTIVE, library)
    from .cache import cached_models

    model_for = cached_models(arguments)
    return asking(arguments, lambda sample: model_for(first_sample + sample), library)


def asking(arguments: argparse.Namespace, model_for: Callable[[int], Any], library: str | None = None) -> run.Ask:
    """Asks the library that the gold set is about, whatever library the user has chosen for other commands."""
    library = library or str(arguments.place.open_library().path)

    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        return rag.answer(question, history=history, model=model_for(sample), library=library, k=arguments.k)

    return ask


def judge_client(arguments: argparse.Namespace) -> Any:
    """The judge that the options name, ready to be asked. Raises ModelError when its key is missing."""
    from .cache import calls_of
    from .judge import REPLY_TOKENS

    server = arguments.judge_base_url or arguments.base_url
    return calls_of(arguments).client(arguments.judge, server, reply_tokens=REPLY_TOKENS).ready()


def blessed(arguments: argparse.Namespace) -> Run:
    """The baseline to compare with. Raises RunError that says how to make one."""
    path = baseline_path(arguments)
    if not path.is_file():
        typed = f" {arguments.place.typed}" if arguments.place.typed else ""
        raise run.RunError(f'{path}: no baseline yet; accept a run with: rag eval bless --reason "..."{typed}')
    return baseline.load(path)


def baseline_path(arguments: argparse.Namespace) -> Path:
    """The baseline that is named, else that of the answerer."""
    path: Path = arguments.baseline or arguments.place.baseline(arguments.model or EXTRACTIVE)
    return path


def ticker() -> run.Tick | None:
    """Tells a terminal how far a run is; None where nobody sees it."""
    if not sys.stderr.isatty():
        return None

    def tick(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        print(f"\r{done} of {total} questions", end=end, file=sys.stderr, flush=True)

    return tick
