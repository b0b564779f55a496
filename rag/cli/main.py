"""The `rag` command: parse, call, print, exit code.

Results go to stdout, progress and notices to stderr. Exit codes: 0 done, 1 failed, 2 usage,
3 refused (`ask` only), 130 Ctrl-C. An error is one line that says what to type next; a traceback is
a bug. Nothing heavy is imported until a command needs it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn

from rag import formats
from rag.cli import common, library
from rag.errors import RagError, UsageError
from rag.formats import Format

if TYPE_CHECKING:
    from rag.answering.assistant import Assistant
    from rag.filters import Filter
    from rag.records import Answer, Explained
    from rag.settings import Settings

REFUSED = 3
EVAL_NEEDS = ("ir_measures", "jinja2", "junitparser", "scipy", "tenacity")
INTERRUPTED = 130
OWN = ("add", "sync", "remove", "undo")  # commands that change a library


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    _prepare_streams()
    arguments = None
    try:
        arguments = _parsed(_with_command(sys.argv[1:] if argv is None else argv))
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except RagError as error:
        asked = getattr(arguments, "library", None)
        print(f"rag: {common.one_line(error.worded('terminal', library=asked))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        kept = "; what was done so far is kept, the same command goes on" if _is_adding(arguments) else ""
        print(f"rag: stopped{kept}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader had enough: say nothing
        _discard_output()
        return 0
    except OSError as error:  # what no module foresaw; most likely standard output, on a full disk
        print(f"rag: {common.one_line(error)}; free some space, or write elsewhere", file=sys.stderr)
        _discard_output()
        return 1


def _is_adding(arguments: argparse.Namespace | None) -> bool:
    return getattr(arguments, "command", "") in ("add", "sync")


def _prepare_streams() -> None:
    """Streams that take any character; a pipe gives UTF-8; one that the caller closed leads nowhere."""
    sys.stdin, sys.stdout, sys.stderr = (
        stream or open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  open until the end
        for stream, mode in ((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w"))
    )
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            typed = stream is not sys.stdin or stream.isatty()
            stream.reconfigure(encoding=None if typed else "utf-8-sig", errors="replace")


def _discard_output() -> None:
    """Let what is still buffered go nowhere: the interpreter flushes it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --- commands -----------------------------------------------------------------------------------


def ask(arguments: argparse.Namespace) -> int:
    """Answer one question."""
    from rag.filters import unread

    question, where = _question(arguments.question), common.where_of(arguments)
    if doubt := unread(question):
        print(f"rag: {common.one_line(doubt)}", file=sys.stderr)
    answer = _answered(common.assistant_of(arguments), question, where, arguments)
    _show_answer(answer, arguments)
    _suggest(answer, arguments)
    return REFUSED if answer.status == "refused" else 0


def search(arguments: argparse.Namespace) -> int:
    """List the papers nearest to a query."""
    from rag import filters
    from rag.show import render

    query, where = _question(arguments.query), common.where_of(arguments)
    assistant = common.assistant_of(arguments, model="extractive")
    if arguments.explain:
        _explain(assistant.explain(query, arguments.k or 8, where), arguments.json)
    else:
        hits = assistant.search(query, arguments.k or 8, where)
        if arguments.json:
            common.print_json([_hit(hit) for hit in hits])
        elif hits:
            common.show(lambda: render.rich_hits(hits), lambda: render.plain_hits(hits))
    common.say_where(assistant.library, where & filters.split(query).where)
    return 0


def _explain(explained: Sequence[Explained], as_json: bool) -> None:
    from rag.show import render

    if as_json:
        common.print_json(
            [_hit(e.hit) | {"sentence": e.sentence, "held": e.held, "lacking": e.lacking} for e in explained]
        )
    elif explained:
        common.show(lambda: render.rich_explained(explained), lambda: render.plain_explained(explained))


def chat(arguments: argparse.Namespace) -> int:
    """Ask several questions, each with those before it in mind."""
    from rag.chat import repl
    from rag.settings import speaks_of_model

    return repl.chat(
        common.settings_of(arguments),
        _opened,
        notice=lambda settings: common.notice(settings.model or "", settings.base_url),
        where=common.where_of(arguments),
        resume=arguments.resume,
        library_given=arguments.library is not None,
        as_json=arguments.json,
        removed=arguments.keep_unverified,
        hint=not speaks_of_model(**common.options_of(arguments)),
    )


def log(arguments: argparse.Namespace) -> int:
    """List the chats that were kept."""
    from rag.chat import repl, replay

    screen = repl.screen()
    replay.log(" ".join(arguments.query), screen, limit=arguments.n, judged=arguments.feedback, as_json=arguments.json)
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """Ask a kept question again and show what changed since."""
    from rag.chat import repl, replay

    settings, given = common.settings_of(arguments), arguments.library is not None
    screen = repl.screen()
    replay.replay(arguments.id, settings, common.opened, screen, library_given=given, as_json=arguments.json)
    return 0


def _opened(settings: Settings, progress: Callable[[str, int, int], None]) -> Assistant:
    from rag.answering.opening import open_assistant

    return open_assistant(settings, progress=progress)


def models(arguments: argparse.Namespace) -> int:
    """List the models that a server offers."""
    from rag.models.chat import list_models
    from rag.models.deadline import Deadline
    from rag.models.servers import shown, url_of
    from rag.text import printable

    settings = common.settings_of(arguments, "extractive")
    names = list_models(settings.base_url, deadline=Deadline(settings.deadline))
    if arguments.json:
        common.print_json(list(names))
    else:
        for name in names:
            print(printable(name))
    if not names:
        print(f"rag: {shown(url_of(settings.base_url))} offers no model; load one there first", file=sys.stderr)
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Ask the gold questions and judge the answers against the baseline."""
    from importlib import import_module
    from importlib.util import find_spec
    from pathlib import Path

    checkout = Path(__file__).parents[2]
    if not (checkout / "evals" / "command.py").is_file():
        raise RagError("rag eval needs a checkout of the repository, with its gold set; clone it and run it there")
    if missing := [name for name in EVAL_NEEDS if not find_spec(name)]:
        raise RagError(f"rag eval needs {', '.join(missing)}; type: pip install -e '.[evals]'")
    sys.path.insert(0, str(checkout))
    code: int = import_module("evals.command").main(arguments.rest)
    return code


# --- a question and its answer ------------------------------------------------------------------


def _suggest(answer: Answer, arguments: argparse.Namespace) -> None:
    """How to add a chat model: for a person who sees an answer made without one and never spoke of one."""
    from rag.records import EXTRACTIVE
    from rag.settings import speaks_of_model

    seen = sys.stdout.isatty() and sys.stderr.isatty() and not arguments.json
    if (
        seen
        and answer.model == EXTRACTIVE
        and answer.status != "refused"
        and not speaks_of_model(**common.options_of(arguments))
    ):
        _say_how_to_add_a_model()


@cache
def _say_how_to_add_a_model() -> None:
    from rich.console import Console

    text = "No chat model wrote this. To add one: --model NAME --base-url ollama"
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, style="dim")


def _question(words: Sequence[str]) -> str:
    """The question typed or piped, before anything is opened or built for it. Raises UsageError."""

    from rag.answering.question import accepted

    return accepted(_text(words))


def _text(words: Sequence[str]) -> str:
    if list(words) != ["-"] and words:
        return " ".join(words)
    if not words and sys.stdin.isatty():
        raise UsageError('no question; type: rag ask "your question", or pipe one in')
    raw = sys.stdin.buffer.read(1 << 20)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("standard input is not UTF-8 text; pipe a text file") from None


def _answered(assistant: Assistant, question: str, where: Filter, arguments: argparse.Namespace) -> Answer:
    """The answer; at a terminal its sentences appear as they pass their check."""
    if arguments.json or not sys.stdout.isatty():
        return assistant.answer(question, where=where)
    from rag.show.progress import Telling, heard
    from rag.show.render import rich_text

    with Telling(rich_text) as telling:
        return heard(assistant.stream(question, where=where, stage=telling.stage), telling.sentence)


def _show_answer(answer: Answer, arguments: argparse.Namespace) -> None:
    from rag.show import render

    removed = arguments.keep_unverified
    if arguments.json:
        common.print_json(answer.to_dict())
    else:
        common.show(
            lambda: render.rich_answer(answer, removed=removed), lambda: render.plain_answer(answer, removed=removed)
        )


def _hit(hit: Any) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "score": hit.score,
        "paper": {"id": hit.paper.id, "title": hit.paper.title},
        "chunk": {"id": hit.chunk.id, "start": hit.chunk.start, "end": hit.chunk.end, "text": hit.chunk.text},
        "found": [{"search": f.search, "rank": f.rank, "score": f.score, "part": f.part} for f in hit.found],
    }


# --- the command line ---------------------------------------------------------------------------


_BAD_COMMAND = re.compile(r"COMMAND: invalid choice: '(.*)' \(choose from .*\)", re.DOTALL)


class OneLineParser(argparse.ArgumentParser):
    """argparse, with errors of one line that say what was meant or what to type."""

    def error(self, message: str) -> NoReturn:
        wrong = _BAD_COMMAND.search(message)
        if wrong and (" " in wrong[1] or wrong[1][:1].isupper()):  # a question
            raise UsageError(f'no command {wrong[1]!r}; to ask a question type: {self.prog} ask "your question"')
        message = _BAD_COMMAND.sub(r"no command '\1'", message.removeprefix("argument "))
        raise UsageError(f"{message}{self._hint(message)} type: {self.prog} --help")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        sys.stdout.flush()  # a closed pipe shows here, where `main` can take it
        super().exit(status, message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:  # said here, by the command whose options it could have been
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def _hint(self, message: str) -> str:
        known = [option for action in self._actions for option in action.option_strings] + ["--version"]
        known += [str(name) for action in self._actions for name in (action.choices or ())]
        wrong = re.findall(r"(?<=command ').+(?=')|(?<=\s)--?\w\S*", message)
        near = [match for part in wrong for match in get_close_matches(part.split("=")[0], known, 1, 0.6)][:1]
        return f"; did you mean {near[0]}?" if near else ";"


def _with_command(argv: Sequence[str]) -> list[str]:
    """`rag` and `rag --library NAME` are `rag chat`."""
    alone = not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help", "--version"))
    return ["chat", *argv] if alone else list(argv)


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    """`rag eval` has a command line of its own, which only a checkout holds."""
    if argv[0] == "eval":
        return argparse.Namespace(run=evaluate, rest=argv[1:])
    return _parser().parse_args(argv)


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="rag",
        description="Ask a library of paper abstracts; every sentence of an answer is a verbatim quote or checked against one.",
        epilog="With no command: chat. Exit codes: 0 done, 1 failed, 2 usage, 3 refused (ask), 130 stopped.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    command = _command(commands, "ask", ask, "answer one question, with sources")
    command.add_argument("question", nargs="*", help="the question; - or nothing reads it from a pipe")
    _answer_options(command)
    _filter_options(command)
    command = _command(commands, "search", search, "list the papers nearest to a query")
    command.add_argument("query", nargs="*", help="words or a question; - or nothing reads it from a pipe")
    command.add_argument("-k", type=int, metavar="N", help="how many papers (default 8)")
    command.add_argument("--explain", action="store_true", help="say why each paper ranks where it does")
    _filter_options(command)
    command = _command(commands, "chat", chat, "ask several questions, with follow-ups")
    text = "go on with the last chat, or with chat ID of: rag log"
    command.add_argument("-c", "--continue", dest="resume", nargs="?", type=int, const=0, metavar="ID", help=text)
    _answer_options(command)
    _filter_options(command)
    command = _command(commands, "log", log, "list the chats that were kept, or those with some words", library=False)
    command.add_argument("query", nargs="*", help="words of a question, an answer or a note (default: all chats)")
    command.add_argument("-n", type=int, metavar="N", default=20, help="the latest N chats; 0 is all (default 20)")
    command.add_argument("--feedback", action="store_true", help="only answers that somebody called good or bad")
    command = _command(commands, "replay", replay, "ask a kept question again and show what changed since")
    command.add_argument("id", help="of a chat, or of one of its questions, such as 3.2")
    _answer_options(command)
    command = _command(commands, "list", library.list_papers, "print the papers of the library")
    command.add_argument(
        "filter", nargs="*", metavar="FILTER", help="only some: 'year>=2023', author:Smith, venue:Nature"
    )
    _filter_options(command)
    command = _command(commands, "show", library.show, "print one paper")
    command.add_argument("paper", nargs="+", help="an id, the beginning of one, or a title")
    command = _command(
        commands, "export", library.export, "write papers of a library for other programs", as_json=False
    )
    command.add_argument("paper", nargs="*", help="ids, beginnings of ids, or titles (default: all papers)")
    text = f"{formats.listed(formats.PAPERS)} (default: what the file's ending says, else {formats.DEFAULT.name})"
    command.add_argument("--format", metavar="NAME", type=partial(_format, among=formats.PAPERS), help=text)
    command.add_argument("-o", "--output", metavar="FILE", help="where to (default: standard output)")
    command.add_argument("--force", action="store_true", help="replace a file that is there")
    _filter_options(command)
    command = _command(commands, "cite", library.cite, "print papers as they are cited", as_json=False)
    command.add_argument("paper", nargs="+", help="ids, beginnings of ids, or titles")
    text = f"{formats.listed(formats.CITED)} (default: {formats.DEFAULT.name})"
    cited = partial(_format, among=formats.CITED)
    command.add_argument("--format", metavar="NAME", type=cited, default=formats.DEFAULT, help=text)
    command = _command(commands, "status", library.status, "say what the library holds and where it lies")
    _model_options(command)
    command = _command(commands, "add", library.add, "read files of papers into a library of your own")
    command.add_argument("files", nargs="+", metavar="FILE", help="a file, an archive, or a folder of them")
    text = f"what the files are (default: seen from their content): {', '.join(formats.OWN_NAMES)}"
    command.add_argument("--format", metavar="NAME", help=text)
    text = "what a field is called in a table or JSON, such as title=Headline; may be repeated"
    command.add_argument("--map", action="append", default=[], metavar="FIELD=NAME", help=text)
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")
    command.add_argument("--strict", action="store_true", help="exit 1 when any record or file was refused")
    command = _command(
        commands, "sync", library.sync, "read the files and folders of a library again, where they changed"
    )
    command.add_argument("--prune", action="store_true", help="remove the papers that are in none of them any more")
    command.add_argument("--yes", action="store_true", help="remove them without asking")
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")
    command.add_argument("--strict", action="store_true", help="exit 1 when any record or file was refused")
    command = _command(commands, "remove", library.remove, "take a paper out of a library of your own")
    command.add_argument("paper", nargs="+", help="an id, the beginning of one, or a title")
    _command(commands, "undo", library.undo, "take back the last change of a library of your own")
    command = _command(
        commands, "doctor", library.doctor, "look whether the parts of a library fit together, and repair them"
    )
    command.add_argument("--repair", action="store_true", help="mend what can be, from the papers and stored vectors")
    command = _command(commands, "models", models, "list the chat models that a server offers", library=False)
    _server_option(command)
    commands.add_parser("eval", help="judge answers to the gold questions against the baseline (in a checkout)")
    return parser


def _command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    *,
    library: bool = True,
    as_json: bool = True,
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
    )
    command.set_defaults(run=run, command=name)
    if library:
        default = "one of your own, which it needs" if name in OWN else "default: the shipped abstracts"
        text = f"a library's folder or name ({default})"
        command.add_argument("--library", metavar="NAME", help=text)
    if as_json:
        command.add_argument("--json", action="store_true", help="print JSON")
    return command


def _format(name: str, among: Mapping[str, Format]) -> Format:
    try:
        return formats.named(name, among)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _answer_options(command: argparse.ArgumentParser) -> None:
    _model_options(command)
    text = "have the model judge, too, whether the quotes support a sentence (RAG_JUDGE names another one)"
    command.add_argument("--judge", action="store_const", const="same", help=text)
    text = "show, struck through, what a model said without support"
    command.add_argument("--keep-unverified", action="store_true", help=text)


def _filter_options(command: argparse.ArgumentParser) -> None:
    text = "only papers of these years: 2023, 2020-2023, 2020-, -2019 or '>=2023' (in quotes)"
    command.add_argument("--year", metavar="YEARS", help=text)
    text = "only papers by an author of that name; may be repeated, for either"
    command.add_argument("--author", action="append", default=[], metavar="NAME", help=text)
    text = "only papers of a venue with those words; may be repeated, for either"
    command.add_argument("--venue", action="append", default=[], metavar="NAME", help=text)


def _model_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", metavar="NAME", help="a chat model to write the answer (default: none)")
    _server_option(command)
    command.add_argument("-k", type=int, metavar="N", help="papers an answer may draw on (default 8)")


def _server_option(command: argparse.ArgumentParser) -> None:
    text = "OpenAI-compatible server: a URL, or openai, ollama, lmstudio, llamacpp, vllm (default: openai)"
    command.add_argument("--base-url", metavar="URL", help=text)
    text = "give up waiting for a model after so long (default 120)"
    command.add_argument("--deadline", type=float, metavar="SECONDS", help=text)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from rag import __version__

        print(f"rag {__version__}")
        parser.exit()


if __name__ == "__main__":
    raise SystemExit(main())
