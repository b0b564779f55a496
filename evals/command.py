"""`rag eval`: lint, run, score, compare, report. What CI calls.

A chat model is asked through `evals.cache`; a judge (`--judge`) adds a figure that is never gated.
`--model plain` is the pipeline of `evals.plain`, whose baseline `gains` holds the others against.
Exit codes: 0 pass, 1 error, 2 usage or lint, 4 regression, 5 inconclusive, 6 invalid run,
7 not comparable, 130 Ctrl-C (finished rows are kept; the same command goes on).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rag
from rag.errors import RagError, UsageError
from rag.records import EXTRACTIVE, Answer, Paper

from . import baseline, gold, lint, options, plain, run
from .compare import Comparison, compare, too_few
from .place import place_of
from .records import EXIT, Manifest, Record, Run, write_whole

if TYPE_CHECKING:
    from .versus import Setting

NEEDS = ("ir_measures", "jinja2", "junitparser", "scipy")  # the extra `evals`


def main(argv: Sequence[str]) -> int:
    """Run `rag eval ARGV`; the exit code. Raises RagError for what the `rag` command reports."""
    arguments = options.parser(COMMANDS).parse_args(list(argv))
    try:
        _equipped()
        arguments.place = place_of(arguments.gold, arguments.library)
        _check(arguments)
        return int((preview if arguments.dry_run else arguments.run)(arguments))
    except gold.GoldError as error:
        raise UsageError(str(error)) from error
    except run.RunError as error:
        raise RagError(str(error)) from error
    finally:
        if calls := getattr(arguments, "calls", None):
            calls.stop()
            if calls.ledger:
                print(f"rag: {calls.ledger}", file=sys.stderr)


# --- commands -----------------------------------------------------------------------------------


def evaluate(arguments: argparse.Namespace) -> int:
    """Lint, run, score, compare with the baseline, report."""
    questions = _questions(arguments)
    papers = _papers(arguments)
    if _linted(arguments, questions, papers, all_of_it=_is_whole(arguments)):
        return 2
    accepted = _blessed(arguments)  # before a run is paid for that has nothing to be compared with
    candidate, folder = _run(arguments, questions)
    abstracts = {id: paper.abstract for id, paper in papers.items()}
    fresh, whole = _confirm(arguments, questions), _is_whole(arguments)
    result = compare(accepted, candidate, questions, abstracts, fresh, whole=whole)
    _report(arguments, accepted, candidate, result, questions, papers, folder)
    _judge(arguments, candidate, questions, folder)
    return result.exit_code


def lint_only(arguments: argparse.Namespace) -> int:
    """Check the gold set."""
    questions = arguments.place.questions()
    if arguments.accept:
        arguments.place.made()
        lint.accept(questions, arguments.place.lock)
    return 2 if _linted(arguments, questions, _papers(arguments), all_of_it=True, tell=True) else 0


def run_only(arguments: argparse.Namespace) -> int:
    """Run and print the scores, with no baseline."""
    questions = _questions(arguments)
    papers = _papers(arguments)
    candidate, folder = _run(arguments, questions)
    _report(arguments, None, candidate, None, questions, papers, folder)
    _judge(arguments, candidate, questions, folder)
    if reason := too_few(candidate.records):
        print(f"rag: invalid: {reason}", file=sys.stderr)
        return EXIT["invalid"]
    return 0


def bless(arguments: argparse.Namespace) -> int:
    """Make a fresh run of the whole gold set the baseline."""
    from .report.summary import headline

    if not arguments.reason.strip():
        raise UsageError("a baseline is moved only with a reason: rag eval bless --reason ...")
    if arguments.split != "all" or not _is_whole(arguments):
        raise UsageError("a baseline is of the whole gold set; leave --split, --kind and --id out")
    questions = arguments.place.questions()
    papers = _papers(arguments)
    if _linted(arguments, questions, papers, all_of_it=True):
        return 2
    candidate, _ = _run(arguments, questions)
    abstracts = {id: paper.abstract for id, paper in papers.items()}
    path = _baseline_path(arguments)
    baseline.bless(candidate, arguments.reason, headline(candidate, questions, abstracts), path)
    print(f"{path.name} is the baseline now: {arguments.reason}")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Show one question: what is right, what the baseline answered, and beside it the latest run."""
    from .report.view import question_view

    place, model = arguments.place, arguments.model or EXTRACTIVE
    questions = {question.id: question for question in place.questions()}
    if arguments.id not in questions:
        raise UsageError(f"no question {arguments.id!r} in {place.file.name}; type: rag eval lint")
    accepted = baseline.load(place.baseline(model)) if place.baseline(model).is_file() else None
    candidate = _read(arguments.source) if arguments.source else run.latest(place.runs, model, arguments.id)
    if not accepted and not candidate:
        raise run.RunError(
            f"{arguments.id} was not asked yet; type: {' '.join(filter(None, ('rag eval', place.typed)))}"
        )
    print(question_view(questions[arguments.id], accepted, _papers(arguments), candidate, place.library))
    return 0


def preview(arguments: argparse.Namespace) -> int:
    """Say what the calls of a model would cost, and send none."""
    from .cache import CachedModel, Preview, calls_of

    rows = 0
    if _is_chat(arguments) and arguments.run is not judge_check:
        counted = Preview(calls_of(arguments).client(arguments.model, arguments.base_url))
        ask = _asking(arguments, lambda sample: CachedModel(counted.parts, arguments.model, sample))
        todo = run.tasks(_questions(arguments), arguments.samples)
        rows = sum(run.ask_one(task, ask).error is None for task in todo)
        print(f"{len(todo)} rows: {counted}; fresh samples of questions that break come on top")
    elif arguments.run is not judge_check:
        rows = len(run.tasks(_questions(arguments), arguments.samples))
        print("no calls for the answers: without --model they come from no model")
    if arguments.judge:
        rows = rows or len(_labelled())
        print(f"the judge: at most {rows} calls of {arguments.judge}, and its canaries")
    return 0


def judge_check(arguments: argparse.Namespace) -> int:
    """Measure a judge on the claims labelled by hand."""
    from . import judge

    found = (
        judge.check(_judge_client(arguments), _labelled(), arguments.concurrency)
        if arguments.judge
        else judge.check_offline(_labelled())
    )
    print(found)
    return 0


def compare_two(arguments: argparse.Namespace) -> int:
    """Two settings, runs or baselines beside each other: a table, what they cost, and the page with its pictures."""
    from . import versus
    from .report import write_beside
    from .report.terminal import tell

    questions, papers, names = _questions(arguments), _papers(arguments), (arguments.a, arguments.b)
    meant = [_meant(arguments, name) for name in names]  # both, before a call of either is paid for
    sides = [side if isinstance(side, Run) else _made(arguments, side, questions) for side in meant]
    summary = versus.beside(names, sides[0], sides[1], questions, papers, arguments.place.typed)
    arguments.place.made()
    page = write_beside(summary, arguments.place.runs, html=arguments.html, markdown=arguments.markdown)
    if arguments.json:
        print(json.dumps(summary.to_dict(), indent=1))
    else:
        tell((*versus.lines(names, summary), ("", ""), (f"report {page}", "dim")))
    return EXIT["invalid"] if any(too_few(side.records) for side in sides) else 0


def _meant(arguments: argparse.Namespace, name: str) -> Run | Setting:
    """What a side of a comparison names: a run that is there, or a setting."""
    from .versus import setting

    if name == "baseline":
        return _blessed(arguments)
    if (path := Path(name)).exists():
        return _read(path) if path.is_dir() else baseline.load(path)
    return setting(name, str(arguments.place.open_library().path))


def _made(arguments: argparse.Namespace, side: Setting, questions: Sequence[gold.Question]) -> Run:
    """The questions asked with a setting."""
    from . import versus

    chosen, model = side.settings, side.settings.model
    if model:
        from .cache import CachedModel, calls_of

        client = calls_of(arguments).client(model, chosen.base_url).ready()
        ask = versus.asking(chosen, cache(lambda sample: CachedModel(client.parts, model, sample)))
    else:
        ask = versus.asking(chosen, lambda sample: None)
    manifest = run.manifest_of(
        questions, corpus=arguments.place.corpus(), run=chosen.fingerprint, model=model or EXTRACTIVE,
        split=arguments.split, samples=arguments.samples,
        settings={"base_url": chosen.base_url if model else None, "k": chosen.k} | side.changed,
    )  # fmt: skip
    workers = arguments.concurrency if model else 1
    return _executed(arguments, manifest, run.tasks(questions, arguments.samples), ask, workers)[0]


def ablate_evidence(arguments: argparse.Namespace) -> int:
    """Take the gold papers out of a copy of the library, one at a time, and count what still answers."""
    from .ablate import ablate

    library = Path(arguments.place.open_library().path)
    found = ablate(_questions(arguments), library, lambda folder: _asker(arguments, library=folder), _ticker())
    print(json.dumps(found.to_dict(), indent=1) if arguments.json else found)
    return EXIT["invalid"] if found.errors and not (found.refused or found.answered or found.kept) else 0


def false_alarms(arguments: argparse.Namespace) -> int:
    """Split the samples of one run in two and see how often the gate takes them for a regression."""
    from . import aa

    accepted = _accepted(arguments)
    if accepted.manifest.model == EXTRACTIVE:
        print("nothing to split: without a model the same question always gets the same answer")
        return 0
    abstracts = {id: paper.abstract for id, paper in _papers(arguments).items()}
    print(aa.alarms(accepted, arguments.place.questions(), abstracts, arguments.splits))
    return 0


def gains(arguments: argparse.Namespace) -> int:
    """Show how much better a baseline or a run is than the baseline of the plain pipeline."""
    from . import gains as table
    from .report.terminal import tell

    held_against = arguments.place.baseline(plain.MODEL)
    if not held_against.is_file():
        raise run.RunError(f'{held_against}: not there; make it with: rag eval bless --model plain --reason "..."')
    theirs, ours = baseline.load(held_against), _accepted(arguments)
    if theirs.manifest.corpus != ours.manifest.corpus:
        print("rag: the plain pipeline was asked another library; bless it anew: --model plain", file=sys.stderr)
        return EXIT["not comparable"]
    questions = [q for q in arguments.place.questions() if arguments.part in ("all", q.split)]
    found = table.gains(theirs, ours, questions, {id: paper.abstract for id, paper in _papers(arguments).items()})
    if arguments.json:
        print(json.dumps(table.to_dict(found, arguments.part), indent=1))
    else:
        tell(table.lines(found, arguments.part))
    return 0


# --- what they share ----------------------------------------------------------------------------


def _questions(arguments: argparse.Namespace) -> tuple[gold.Question, ...]:
    """The rows asked for. Raises UsageError when the filters leave none."""
    questions = arguments.place.questions()
    chosen = tuple(
        question
        for question in questions
        if (arguments.split in ("all", question.split))
        and (not arguments.kind or question.kind in arguments.kind)
        and (not arguments.id or question.id in arguments.id)
    )
    if not chosen:
        raise UsageError("no question fits --split, --kind and --id; type: rag eval lint")
    return chosen


def _is_chat(arguments: argparse.Namespace) -> bool:
    """Is a chat model asked, whose answers cost and vary?"""
    return arguments.model not in (None, plain.MODEL)


def _is_whole(arguments: argparse.Namespace) -> bool:
    return not arguments.kind and not arguments.id


def _papers(arguments: argparse.Namespace) -> dict[str, Paper]:
    return {paper.id: paper for paper in arguments.place.open_library()}


def _labelled() -> tuple[Any, ...]:
    """The claims labelled by hand, which are about the shipped abstracts whatever library is judged."""
    from . import judge

    return judge.items({paper.id: paper for paper in rag.open_library()})


def _linted(
    arguments: argparse.Namespace,
    questions: Sequence[gold.Question],
    papers: dict[str, Paper],
    *,
    all_of_it: bool,
    tell: bool = False,
) -> bool:
    """Print what lint finds; True when something stops the evaluation."""
    library = arguments.place.open_library()
    ranked = (lambda text: [id for id, _ in library.words.lexical(text, 5)]) if all_of_it else None
    whole = arguments.place.questions()
    found = lint.lint(
        questions, papers, lexical=ranked, lock=arguments.place.lock, whole=whole, accepting=arguments.place.accepting
    )
    stops = [finding for finding in found if finding.stops]
    lines = gold.lines_of(arguments.place.file)
    for finding in found if tell else stops:
        print(f"rag: {finding.at(lines, arguments.place.file.name)}", file=sys.stderr)
    if tell:
        print(f"{len(questions)} questions, {len(stops)} problems, {len(found) - len(stops)} warnings")
    return bool(stops)


def _equipped() -> None:
    """Raises RagError naming what of the extra is not installed."""
    if missing := [name for name in NEEDS if not find_spec(name)]:
        extra = "-e '.[evals]'" if gold.GOLD.is_file() else "'abstracts-rag[evals]'"
        raise RagError(f"rag eval needs {', '.join(missing)}; type: pip install {extra}")


def _check(arguments: argparse.Namespace) -> None:
    """Options that go together. Raises UsageError, or ModelError when the judge's key is missing."""
    if arguments.base_url and not arguments.model and not arguments.judge:
        raise UsageError("--base-url names a server but no model; add --model NAME")
    if arguments.judge_base_url and not arguments.judge:
        raise UsageError("--judge-base-url names a server but no judge; add --judge NAME")
    if arguments.judge and not arguments.dry_run:
        _judge_client(arguments)  # before any answer is paid for


def _run(arguments: argparse.Namespace, questions: Sequence[gold.Question]) -> tuple[Run, Path]:
    ask, workers = _asker(arguments), arguments.concurrency if _is_chat(arguments) else 1
    return _executed(arguments, _manifest(arguments, questions), run.tasks(questions, arguments.samples), ask, workers)


def _executed(
    arguments: argparse.Namespace, manifest: Manifest, todo: Sequence[run.Task], ask: run.Ask, workers: int
) -> tuple[Run, Path]:
    arguments.place.made()
    folder = run.start(manifest, arguments.place.runs)
    finished = run.execute(folder, todo, ask, workers=workers, tick=_ticker())
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


def _accepted(arguments: argparse.Namespace) -> Run:
    """The run or baseline named, else the baseline of the answerer."""
    path = arguments.source or arguments.place.baseline(arguments.model or EXTRACTIVE)
    return _read(path) if path.is_dir() else baseline.load(path)


def _read(folder: Path) -> Run:
    manifest, records = run.read(folder)
    return Run(manifest, tuple(records))


def _asker(arguments: argparse.Namespace, first_sample: int = 0, library: str | None = None) -> run.Ask:
    """How a question is asked: without a model, plainly, or through the call cache; of another library if one is given."""
    if arguments.model == plain.MODEL:
        return plain.Plain(rag.open_library(library) if library else arguments.place.open_library()).ask
    if not arguments.model:
        return _asking(arguments, lambda sample: EXTRACTIVE, library)
    from .cache import cached_models

    model_for = cached_models(arguments)
    return _asking(arguments, lambda sample: model_for(first_sample + sample), library)


def _asking(arguments: argparse.Namespace, model_for: Callable[[int], Any], library: str | None = None) -> run.Ask:
    """Asks the library that the gold set is about, whatever library the user has chosen for other commands."""
    library = library or str(arguments.place.open_library().path)

    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        return rag.answer(question, history=history, model=model_for(sample), library=library, k=arguments.k)

    return ask


def _judge_client(arguments: argparse.Namespace) -> Any:
    from .cache import calls_of
    from .judge import REPLY_TOKENS

    server = arguments.judge_base_url or arguments.base_url
    return calls_of(arguments).client(arguments.judge, server, reply_tokens=REPLY_TOKENS).ready()


def _judge(
    arguments: argparse.Namespace,
    candidate: Run,
    questions: Sequence[gold.Question],
    folder: Path,
) -> None:
    """Print the judge's figure and keep its verdicts; what goes wrong is said, and changes no exit code."""
    if not arguments.judge:
        return
    from . import judge

    try:
        client, known = _judge_client(arguments), _labelled()
        found = judge.judge_run(client, candidate.records, questions, known, arguments.concurrency)
        write_whole(folder / "judge.json", json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n")
        print(found, file=sys.stderr if arguments.json else sys.stdout)
    except (RagError, gold.GoldError, OSError) as error:
        print(f"rag: judge {arguments.judge}: no figure: {error}", file=sys.stderr)


def _confirm(
    arguments: argparse.Namespace, questions: Sequence[gold.Question]
) -> Callable[[Sequence[str], int], list[Record]] | None:
    """Fresh samples for questions that look broken; None where answers do not vary."""
    if not _is_chat(arguments):
        return None

    def confirm(ids: Sequence[str], samples: int) -> list[Record]:
        ask = _asker(arguments, first_sample=1000)  # sample numbers that no cache has
        todo = [task for task in run.tasks(questions, samples) if task.question.id in ids and task.variant == 0]
        return [run.ask_one(task, ask) for task in todo]

    return confirm


def _blessed(arguments: argparse.Namespace) -> Run:
    """The baseline to compare with. Raises RunError that says how to make one."""
    path = _baseline_path(arguments)
    if not path.is_file():
        typed = f" {arguments.place.typed}" if arguments.place.typed else ""
        raise run.RunError(f'{path}: no baseline yet; accept a run with: rag eval bless --reason "..."{typed}')
    return baseline.load(path)


def _baseline_path(arguments: argparse.Namespace) -> Path:
    path: Path = arguments.baseline or arguments.place.baseline(arguments.model or EXTRACTIVE)
    return path


def _ticker() -> run.Tick | None:
    if not sys.stderr.isatty():
        return None

    def tick(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        print(f"\r{done} of {total} questions", end=end, file=sys.stderr, flush=True)

    return tick


def _report(
    arguments: argparse.Namespace,
    accepted: Run | None,
    candidate: Run,
    result: Comparison | None,
    questions: Sequence[gold.Question],
    papers: dict[str, Paper],
    folder: Path,
) -> None:
    from .report import write_reports

    write_reports(
        accepted,
        candidate,
        result,
        questions,
        papers,
        folder,
        html=arguments.html,
        markdown=arguments.markdown,
        junit=arguments.junit,
        as_json=arguments.json,
        baseline_path=_baseline_path(arguments),
        typed=arguments.place.typed,
    )


COMMANDS: Mapping[str, options.Command] = {
    "": evaluate,
    "run": run_only,
    "lint": lint_only,
    "bless": bless,
    "show": show,
    "judge-check": judge_check,
    "aa": false_alarms,
    "gains": gains,
    "compare": compare_two,
    "ablate-evidence": ablate_evidence,
}
