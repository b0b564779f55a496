"""What can be typed after `rag eval`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

Command = Callable[[argparse.Namespace], int]


def parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser; what it gives has as `run` one of `commands`, that of the name "" where none was typed."""
    from rag.cli.parser import OneLineParser

    whole = OneLineParser(
        prog="rag eval", description="Ask the gold questions and judge the answers against the baseline."
    )
    _options(whole)
    whole.set_defaults(run=commands[""])
    typed = whole.add_subparsers(metavar="COMMAND", title="commands (none: lint, run, compare, report)")
    command = typed.add_parser("run", help="run and print the scores, without a baseline")
    _options(command)
    command.set_defaults(run=commands["run"])
    command = typed.add_parser("lint", help="check the gold set")
    command.add_argument("--accept", action="store_true", help="remember the rows' revisions in gold.lock")
    command.set_defaults(run=commands["lint"])
    command = typed.add_parser("bless", help="make a fresh run the baseline")
    _options(command)
    command.add_argument("--reason", required=True, help="why the new answers are the right ones; kept in the file")
    command.set_defaults(run=commands["bless"])
    command = typed.add_parser("show", help="show one question: what is right, the baseline's answer and the latest")
    command.add_argument("id")
    text = "the run that is shown beside the baseline (default: the latest that holds the question)"
    command.add_argument("source", nargs="?", type=Path, metavar="RUN", help=text)
    command.add_argument("--model", metavar="NAME", help="the answers of this model")
    command.set_defaults(run=commands["show"])
    command = typed.add_parser("judge-check", help="measure a judge, or the offline check, on claims labelled by hand")
    _call_options(command)
    command.set_defaults(run=commands["judge-check"])
    command = typed.add_parser("aa", help="how often the gate raises an alarm on splits of the same answers")
    command.add_argument(
        "source", nargs="?", type=Path, metavar="RUN", help="a run's folder or a baseline (default: the baseline)"
    )
    command.add_argument("--model", metavar="NAME", help="the baseline of this model")
    command.add_argument("--splits", type=count, default=50, metavar="N", help="how many splits (default 50)")
    command.set_defaults(run=commands["aa"])
    command = typed.add_parser("gains", help="how much better the baseline is than that of the plain pipeline")
    command.add_argument(
        "source", nargs="?", type=Path, metavar="RUN", help="a run's folder or a baseline (default: the baseline)"
    )
    command.add_argument("--model", metavar="NAME", help="the baseline of this model")
    command.add_argument(  # not `split`, which it would inherit: gate is looked at only where it is named
        "--split", dest="part", choices=("dev", "gate", "all"), default="dev", help="which questions (default dev)"
    )
    command.add_argument("--json", action="store_true", help="print the figures as JSON")
    command.set_defaults(run=commands["gains"])
    text = "a setting such as k=4 or model=NAME,base_url=URL; default; baseline; a run's folder; or a baseline file"
    command = typed.add_parser("compare", help="two settings beside each other, paired, with what they cost")
    command.add_argument("a", metavar="A", help=text)
    command.add_argument("b", metavar="B", help="the same")
    _options(command)
    command.set_defaults(run=commands["compare"])
    command = typed.add_parser("ablate-evidence", help="take the gold papers away one at a time: what still answers?")
    _options(command)
    command.set_defaults(run=commands["ablate-evidence"])
    for command in typed.choices.values():
        if "gold" not in {action.dest for action in command._actions}:
            _place_options(command)
        _inherit(whole, command)
    return whole


def _place_options(parser: argparse.ArgumentParser) -> None:
    text = "a gold set of your own (default: the shipped one, in a checkout); what is made from it lies beside it"
    parser.add_argument("--gold", type=Path, metavar="FILE", help=text)
    text = "the library that its questions are about, a folder or a name"
    parser.add_argument("--library", metavar="NAME", help=text)


def _options(parser: argparse.ArgumentParser) -> None:
    _place_options(parser)
    parser.add_argument("--split", choices=("dev", "gate", "all"), default="all", help="which questions (default all)")
    parser.add_argument("--kind", action="append", help="only questions of this kind; may be repeated")
    parser.add_argument("--id", action="append", help="only this question; may be repeated")
    parser.add_argument("--samples", type=count, default=1, metavar="N", help="ask each question N times")
    parser.add_argument("--model", metavar="NAME", help="a chat model, or plain (default: the extractive answerer)")
    parser.add_argument("--base-url", metavar="URL", help="its OpenAI-compatible server")
    parser.add_argument("-k", type=count, metavar="N", help="papers an answer may draw on")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="compare with this baseline")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as one HTML page")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it as Markdown, for a pull request")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit XML")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    _call_options(parser)


def _call_options(parser: argparse.ArgumentParser) -> None:
    """What both a run's calls and a judge's obey."""
    parser.add_argument(
        "--concurrency", type=count, default=4, metavar="N", help="calls of a model at once (default 4)"
    )
    parser.add_argument("--cache", choices=("use", "refresh", "only", "off"), default="use", help="stored model calls")
    parser.add_argument("--max-usd", type=float, metavar="N", help="stop before a model's calls cost more than this")
    parser.add_argument("--dry-run", action="store_true", help="say what a model's run would cost, and stop")
    parser.add_argument("--judge", metavar="NAME", help="a chat model that judges the claims; advisory, never gated")
    parser.add_argument("--judge-base-url", metavar="URL", help="its server (default: that of --base-url)")


def _inherit(parser: argparse.ArgumentParser, command: argparse.ArgumentParser) -> None:
    """Let options before a command's name hold for it; argparse would put them back to their defaults."""
    shared = {action.dest for action in parser._actions}
    for action in command._actions:
        if action.dest in shared:
            action.default = argparse.SUPPRESS


def count(text: str) -> int:
    """A number from 1 up, as typed."""
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return int(text)
