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
from importlib.util import find_spec
from pathlib import Path

from rag.errors import RagError, UsageError
from rag.records import EXTRACTIVE, Paper

from . import baseline, gold, lint, options, replies, run, studies
from .asking import (
    asker,
    asking,
    baseline_path,
    blessed,
    is_chat,
    is_whole,
    judge_client,
    labelled,
    papers_of,
    questions_of,
    ran,
    read_run,
    recorded,
)
from .compare import Comparison, compare, too_few
from .place import place_of
from .records import EXIT, Record, Run, write_whole

NEEDS = ("ir_measures", "jinja2", "junitparser", "scipy")  # the extra `evals`


def main(argv: Sequence[str]) -> int:
    """Run `rag eval ARGV`; the exit code. Raises RagError for what the `rag` command reports."""
    arguments = options.parser(COMMANDS).parse_args(list(argv))
    try:
        _equipped()
        arguments.place = place_of(arguments.gold, arguments.library)
        _check(arguments)
        previewed = arguments.dry_run and arguments.run is not studies.compare_two  # which knows two models
        return int((preview if previewed else arguments.run)(arguments))
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
    questions = questions_of(arguments)
    papers = papers_of(arguments)
    if _linted(arguments, questions, papers, all_of_it=is_whole(arguments)):
        return 2
    accepted = blessed(arguments)  # before a run is paid for that has nothing to be compared with
    candidate, folder = ran(arguments, questions)
    if not (candidate := _unstale(candidate)).records:
        return EXIT["invalid"]
    abstracts = {id: paper.abstract for id, paper in papers.items()}
    fresh, whole = _confirm(arguments, questions), is_whole(arguments)
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
    return 2 if _linted(arguments, questions, papers_of(arguments), all_of_it=True, tell=True) else 0


def run_only(arguments: argparse.Namespace) -> int:
    """Run and print the scores, with no baseline."""
    questions = questions_of(arguments)
    papers = papers_of(arguments)
    candidate, folder = ran(arguments, questions)
    if not (candidate := _unstale(candidate)).records:
        return EXIT["invalid"]
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
    if arguments.split != "all" or not is_whole(arguments):
        raise UsageError("a baseline is of the whole gold set; leave --split, --kind and --id out")
    questions = questions_of(arguments)
    papers = papers_of(arguments)
    if _linted(arguments, questions, papers, all_of_it=True):
        return 2
    candidate, _ = ran(arguments, questions)
    if not (candidate := _unstale(candidate)).records:
        return EXIT["invalid"]
    abstracts = {id: paper.abstract for id, paper in papers.items()}
    path = baseline_path(arguments)
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
    candidate = read_run(arguments.source) if arguments.source else run.latest(place.runs, model, arguments.id)
    if not accepted and not candidate:
        raise run.RunError(
            f"{arguments.id} was not asked yet; type: {' '.join(filter(None, ('rag eval', place.typed)))}"
        )
    print(question_view(questions[arguments.id], accepted, papers_of(arguments), candidate, place.library))
    return 0


def preview(arguments: argparse.Namespace) -> int:
    """Say what the calls of a model would cost, and send none."""
    from .cache import CachedModel, Preview, calls_of

    rows = 0
    if is_chat(arguments) and arguments.run is not studies.judge_check:
        counted = Preview(calls_of(arguments).client(arguments.model, arguments.base_url))
        ask = asking(arguments, lambda sample: CachedModel(counted.parts, arguments.model, sample))
        todo = run.tasks(questions_of(arguments), arguments.samples)
        rows = sum(run.ask_one(task, ask).error is None for task in todo)
        print(f"{len(todo)} rows: {counted}; fresh samples of questions that break come on top")
    elif arguments.run is not studies.judge_check:
        rows = len(run.tasks(questions_of(arguments), arguments.samples))
        print("no calls for the answers: without --model they come from no model")
    if arguments.judge:
        rows = rows or len(labelled())
        print(f"the judge: at most {rows} calls of {arguments.judge}, and its canaries")
    return 0


# --- what they share ----------------------------------------------------------------------------


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
    ranked = (lambda text: [id for id, _ in library.store.words.lexical(text, 5)]) if all_of_it else None
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
        judge_client(arguments)  # before any answer is paid for


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
        client, known = judge_client(arguments), labelled()
        found = judge.judge_run(client, candidate.records, questions, known, arguments.concurrency)
        write_whole(folder / "judge.json", json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n")
        print(found, file=sys.stderr if arguments.json else sys.stdout)
    except (RagError, gold.GoldError, OSError) as error:
        print(f"rag: judge {arguments.judge}: no figure: {error}", file=sys.stderr)


def _unstale(candidate: Run) -> Run:
    """A run without the questions whose recorded replies are stale, which are named."""
    kept, stale = replies.parted(candidate)
    if stale:
        print(f"rag: {replies.told(stale, len(candidate.records))}", file=sys.stderr)
    return kept


def _confirm(
    arguments: argparse.Namespace, questions: Sequence[gold.Question]
) -> Callable[[Sequence[str], int], list[Record]] | None:
    """Fresh samples for questions that look broken; None where answers do not vary."""
    if not is_chat(arguments) or recorded(arguments):
        return None

    def confirm(ids: Sequence[str], samples: int) -> list[Record]:
        ask = asker(arguments, first_sample=1000)  # sample numbers that no cache has
        todo = [task for task in run.tasks(questions, samples) if task.question.id in ids and task.variant == 0]
        return [run.ask_one(task, ask) for task in todo]

    return confirm


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
        baseline_path=baseline_path(arguments),
        typed=arguments.place.typed,
    )


COMMANDS: Mapping[str, options.Command] = {
    "": evaluate,
    "run": run_only,
    "lint": lint_only,
    "bless": bless,
    "show": show,
    "judge-check": studies.judge_check,
    "aa": studies.false_alarms,
    "gains": studies.gains,
    "compare": studies.compare_two,
    "ablate-evidence": studies.ablate_evidence,
}
