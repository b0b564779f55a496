"""Commands of `rag eval` that measure and give no verdict: settings, evidence, judges, the gate itself."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import UsageError
from rag.records import EXTRACTIVE

from . import baseline, gold, plain, run
from .asking import (
    accepted_of,
    asker,
    blessed,
    executed,
    judge_client,
    labelled,
    papers_of,
    questions_of,
    read_run,
    ticker,
)
from .compare import too_few
from .records import EXIT, Run

if TYPE_CHECKING:
    from .versus import Setting


def judge_check(arguments: argparse.Namespace) -> int:
    """Measure a judge on the claims labelled by hand."""
    from . import judge

    found = (
        judge.check(judge_client(arguments), labelled(), arguments.concurrency)
        if arguments.judge
        else judge.check_offline(labelled())
    )
    print(found)
    return 0


def compare_two(arguments: argparse.Namespace) -> int:
    """Two settings, runs or baselines beside each other: a table, what they cost, and the page with its pictures."""
    from . import versus
    from .report import write_beside
    from .report.terminal import tell

    if arguments.model or arguments.k:
        raise UsageError("what is compared stands in A and B, such as: model=NAME,k=4")
    questions, papers, names = questions_of(arguments), papers_of(arguments), (arguments.a, arguments.b)
    meant = [_meant(arguments, name) for name in names]  # both, before a call of either is paid for
    if arguments.dry_run:
        return _preview(arguments, meant, questions)
    sides = [side if isinstance(side, Run) else _made(arguments, side, questions) for side in meant]
    summary = versus.beside(names, sides[0], sides[1], questions, papers, arguments.place.typed)
    arguments.place.made()
    page = write_beside(summary, arguments.place.runs, html=arguments.html, markdown=arguments.markdown)
    if arguments.json:
        print(json.dumps(summary.to_dict(), indent=1))
    else:
        tell((*versus.lines(names, summary), ("", ""), (f"report {page}", "dim")))
    return EXIT["invalid"] if any(too_few(side.records) for side in sides) else 0


def _preview(arguments: argparse.Namespace, meant: Sequence[Run | Setting], questions: Sequence[gold.Question]) -> int:
    """Say what the calls of either side would cost, and send none."""
    from .cache import CachedModel, Preview, calls_of
    from .versus import asking

    for name, side in zip((arguments.a, arguments.b), meant, strict=True):
        if isinstance(side, Run) or side.settings.model in (None, plain.MODEL):
            print(f"{name}: no calls")
            continue
        model = str(side.settings.model)
        counted = Preview(calls_of(arguments).client(model, side.settings.base_url))
        ask = asking(side.settings, cache(partial(CachedModel, counted.parts, model)))
        for task in run.tasks(questions, arguments.samples):
            run.ask_one(task, ask)
        print(f"{name}: {counted}")
    return 0


def _meant(arguments: argparse.Namespace, name: str) -> Run | Setting:
    """What a side of a comparison names: a run that is there, or a setting."""
    from .versus import setting

    if name == "baseline":
        return blessed(arguments)
    if (path := Path(name)).exists():
        return read_run(path) if path.is_dir() else baseline.load(path)
    return setting(name, str(arguments.place.open_library().path))


def _made(arguments: argparse.Namespace, side: Setting, questions: Sequence[gold.Question]) -> Run:
    """The questions asked with a setting."""
    from . import versus

    chosen, model = side.settings, side.settings.model
    ask: run.Ask
    if model == plain.MODEL:
        ask = plain.Plain(arguments.place.open_library().store).ask
    elif model:
        from .cache import CachedModel, calls_of

        client = calls_of(arguments).client(model, chosen.base_url).ready()
        ask = versus.asking(chosen, cache(partial(CachedModel, client.parts, model)))
    else:
        ask = versus.asking(chosen, lambda sample: None)
    manifest = run.manifest_of(
        questions, corpus=arguments.place.corpus(), run=chosen.fingerprint, model=model or EXTRACTIVE,
        split=arguments.split, samples=arguments.samples,
        settings={"base_url": chosen.base_url if model else None, "k": chosen.k} | side.changed,
    )  # fmt: skip
    workers = arguments.concurrency if model else 1
    return executed(arguments, manifest, run.tasks(questions, arguments.samples), ask, workers)[0]


def ablate_evidence(arguments: argparse.Namespace) -> int:
    """Take the gold papers out of a copy of the library, one at a time, and count what still answers."""
    from .ablate import ablate

    library = Path(arguments.place.open_library().path)
    found = ablate(questions_of(arguments), library, lambda folder: asker(arguments, library=folder), ticker())
    print(json.dumps(found.to_dict(), indent=1) if arguments.json else found)
    return EXIT["invalid"] if found.errors and not (found.refused or found.answered or found.kept) else 0


def false_alarms(arguments: argparse.Namespace) -> int:
    """Split the samples of one run in two and see how often the gate takes them for a regression."""
    from . import aa

    accepted = accepted_of(arguments)
    if accepted.manifest.model == EXTRACTIVE:
        print("nothing to split: without a model the same question always gets the same answer")
        return 0
    abstracts = {id: paper.abstract for id, paper in papers_of(arguments).items()}
    print(aa.alarms(accepted, arguments.place.questions(), abstracts, arguments.splits))
    return 0


def gains(arguments: argparse.Namespace) -> int:
    """Show how much better a baseline or a run is than the baseline of the plain pipeline."""
    from . import gains as table
    from .report.terminal import tell

    held_against = arguments.place.baseline(plain.MODEL)
    if not held_against.is_file():
        raise run.RunError(f'{held_against}: not there; make it with: rag eval bless --model plain --reason "..."')
    theirs, ours = baseline.load(held_against), accepted_of(arguments)
    if theirs.manifest.corpus != ours.manifest.corpus:
        print("rag: the plain pipeline was asked another library; bless it anew: --model plain", file=sys.stderr)
        return EXIT["not comparable"]
    questions = [q for q in arguments.place.questions() if arguments.part in ("all", q.split)]
    found = table.gains(theirs, ours, questions, {id: paper.abstract for id, paper in papers_of(arguments).items()})
    if arguments.json:
        print(json.dumps(table.to_dict(found, arguments.part), indent=1))
    else:
        tell(table.lines(found, arguments.part))
    return 0
