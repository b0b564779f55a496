"""The `rag` command: what each command does, and how it ends.

Results go to stdout, progress and notices to stderr. Exit codes: 0 done, 1 failed, 2 usage,
3 refused (`ask` only), 130 Ctrl-C. An error is one line that says what to type next; a traceback is
a bug. Nothing heavy is imported until a command needs it.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from rag.cli import citing, common, library, serving, shelf, tabulating
from rag.cli.parser import parsed
from rag.errors import RagError, TextLeaves, UsageError
from rag.text import may_be_cut

if TYPE_CHECKING:
    from rag.answering.assistant import Assistant
    from rag.filters import Filter
    from rag.records import Answer, Explained
    from rag.settings import Settings

REFUSED = 3
ROWS = 39  # that an answer from many papers takes at a terminal of 80 columns; a hint may follow it
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    _prepare_streams()
    warnings.simplefilter("ignore", TextLeaves)  # said here in other words
    arguments = None
    try:
        arguments = parsed(sys.argv[1:] if argv is None else argv)
        with common.fencing(getattr(arguments, "fenced", False)):
            code = COMMANDS[arguments.command](arguments)
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
    """Streams that take any character: UTF-8 in pipes and files, at a terminal what its locale says.

    One that the caller closed leads nowhere. Bytes that are no characters stay what they are in file names.
    """
    sys.stdin, sys.stdout, sys.stderr = (
        stream or open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  open until the end
        for stream, mode in ((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w"))
    )
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            is_input = stream is sys.stdin
            encoding = None if stream.isatty() else "utf-8-sig" if is_input else "utf-8"
            stream.reconfigure(encoding=encoding, errors="surrogateescape" if is_input else "replace")


def _discard_output() -> None:
    """Throw away what is still buffered, which the interpreter would write at exit."""
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
    return 0 if answer.status == "answered" else REFUSED


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

    settings = common.settings_of(arguments)
    if settings.library:
        from rag.library.served import embedder_for

        common.told(embedder_for(settings.library))
    return repl.chat(
        settings,
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
    from rag.chat import replay
    from rag.show.screen import screen

    replay.list_chats(
        " ".join(arguments.query), screen(), limit=arguments.n, judged=arguments.feedback, as_json=arguments.json
    )
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """Ask a kept question again and show what changed since."""
    from rag.chat import replay
    from rag.show.screen import screen

    settings, given = common.settings_of(arguments), arguments.library is not None
    replay.replay(arguments.id, settings, common.opened, screen(), library_given=given, as_json=arguments.json)
    return 0


def _opened(settings: Settings, progress: Callable[[str, int, int], None]) -> Assistant:
    from rag.answering.opening import open_assistant

    return open_assistant(settings, progress=progress)


def models(arguments: argparse.Namespace) -> int:
    """List the models that a server offers."""
    from rag.models.chat import list_models
    from rag.models.deadline import Deadline
    from rag.models.servers import kind_of, shown, url_of
    from rag.text import printable

    settings = common.settings_of(arguments, "extractive")
    names = list_models(settings.base_url, deadline=Deadline(settings.deadline))
    if arguments.json:
        common.print_json(list(names))
    else:
        for name in names:
            print(printable(name))
    if not names:
        url = url_of(settings.base_url)
        what = "type: ollama pull NAME" if kind_of(url) == "ollama" else "load one there first"
        print(f"rag: {shown(url)} offers no model; {what}", file=sys.stderr)
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Ask the gold questions and judge the answers against the baseline."""
    return _harness("command", arguments.rest)


def gold(arguments: argparse.Namespace) -> int:
    """Make and check a gold set."""
    return _harness("gold_command", arguments.rest)


def _harness(module: str, argv: Sequence[str]) -> int:
    """Run a command line of the evals: `evals` in a checkout, `rag_evals` where the wheel is installed."""
    from importlib import import_module
    from importlib.util import find_spec
    from pathlib import Path

    checkout = Path(__file__).parents[2]
    name = "rag_evals"
    if (checkout / "evals" / "command.py").is_file():
        name = "evals"
        sys.path.insert(0, str(checkout))
    if not find_spec(name):
        raise RagError("the evals are not here; type: pip install 'abstracts-rag[evals]'")
    code: int = import_module(f"{name}.{module}").main(argv)
    return code


# --- a question and its answer ------------------------------------------------------------------


def _suggest(answer: Answer, arguments: argparse.Namespace) -> None:
    """Say how to add a chat model, to a person whose answer was made without one and who never chose."""
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

    text = "To add a model: --model NAME --base-url ollama (or a URL), or --model FILE.gguf"
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
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("standard input is not UTF-8 text; pipe a text file") from None
    if sys.stdin.isatty() and any(map(may_be_cut, text.splitlines())):
        raise UsageError("the terminal drops the end of so long a line; pipe a text file")
    return text


def _answered(assistant: Assistant, question: str, where: Filter, arguments: argparse.Namespace) -> Answer:
    """The answer; at a terminal its sentences appear as they pass their check."""
    if arguments.json or not sys.stdout.isatty():
        return assistant.answer(question, where=where)
    from rag.show.progress import Telling, heard
    from rag.show.render import rich_text

    with Telling(rich_text) as telling:
        return heard(assistant.stream(question, where=where, stage=telling.stage), telling.sentence)


def _show_answer(answer: Answer, arguments: argparse.Namespace) -> None:
    from rag.show import render, screen

    removed, abstracts = arguments.keep_unverified, arguments.abstracts
    if arguments.json:
        common.print_json(answer.to_dict())
    elif sys.stdout.isatty():
        screen.Terminal(removed=removed, abstracts=abstracts, rows=ROWS).answer(answer)
    else:
        print(render.plain_answer(answer, removed=removed, abstracts=abstracts))


def _hit(hit: Any) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "score": hit.score,
        "paper": {"id": hit.paper.id, "title": hit.paper.title},
        "chunk": {"id": hit.chunk.id, "start": hit.chunk.start, "end": hit.chunk.end, "text": hit.chunk.text},
        "found": [{"search": f.search, "rank": f.rank, "score": f.score, "part": f.part} for f in hit.found],
    }


# --- what each command does -----------------------------------------------------------------------


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "ask": ask,
    "search": search,
    "chat": chat,
    "log": log,
    "replay": replay,
    "list": library.list_papers,
    "show": library.show,
    "export": library.export,
    "bib": library.bib,
    "cite": citing.cite,
    "table": tabulating.table,
    "status": library.status,
    "add": library.add,
    "sync": library.sync,
    "remove": library.remove,
    "undo": library.undo,
    "library": shelf.library,
    "doctor": library.doctor,
    "completion": shelf.completion,
    "backup": library.backup,
    "restore": library.restore,
    "models": models,
    "eval": evaluate,
    "gold": gold,
    "mcp": serving.mcp,
    "skill": serving.skill,
}


if __name__ == "__main__":
    raise SystemExit(main())
