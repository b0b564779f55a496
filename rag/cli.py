"""The `rag` command: parse, call, print, exit code.

Results go to stdout, progress and notices to stderr. Exit codes: 0 done, 1 failed, 2 usage,
3 refused (`ask` only), 130 Ctrl-C. An error is one line that says what to type next; a traceback is
a bug. Nothing heavy is imported until a command needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from rag import filters
from rag.errors import PaperNotFound, RagError, ReadError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rag.assistant import Assistant
    from rag.filters import Filter
    from rag.library import Library
    from rag.progress import Bar
    from rag.records import Answer, Explained, Paper
    from rag.report import Added
    from rag.settings import Settings

REFUSED = 3
EVAL_NEEDS = ("ir_measures", "jinja2", "junitparser", "scipy", "tenacity")
FORMS = ("bibtex", "csl", "ris", "jsonl")  # what rag.export writes papers as, and cites them as
CITED = ("bibtex", "csl", "ris", "markdown")
FILES_SHOWN = 20  # of a library, by `rag status`
PRUNED_SHOWN = 20  # papers named before they are removed
INTERRUPTED = 130
LONGEST_LINE = 600  # characters of an error: it may repeat an argument of any length


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
        print(f"rag: {_one_line(_of_library(str(error), arguments))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("rag: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader had enough: say nothing
        _discard_output()
        return 0
    except OSError as error:  # what no module foresaw; most likely standard output, on a full disk
        print(f"rag: {_one_line(error)}; free some space, or write elsewhere", file=sys.stderr)
        _discard_output()
        return 1


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
    question, where = _question(arguments.question), _where(arguments)
    answer = _answered(_assistant(arguments), question, where, arguments)
    _show_answer(answer, arguments)
    _suggest(answer, arguments)
    return REFUSED if answer.status == "refused" else 0


def search(arguments: argparse.Namespace) -> int:
    """List the papers nearest to a query."""
    from rag import render

    query, where = _question(arguments.query), _where(arguments)
    assistant = _assistant(arguments, model="extractive")
    if arguments.explain:
        _explain(assistant.explain(query, arguments.k or 8, where), arguments.json)
    else:
        hits = assistant.search(query, arguments.k or 8, where)
        if arguments.json:
            _print_json([_hit(hit) for hit in hits])
        elif hits:
            _show(lambda: render.rich_hits(hits), lambda: render.plain_hits(hits))
    _say_where(assistant.library, where & filters.split(query).where)
    return 0


def _explain(explained: Sequence[Explained], as_json: bool) -> None:
    from rag import render

    if as_json:
        _print_json([_hit(e.hit) | {"sentence": e.sentence, "held": e.held, "lacking": e.lacking} for e in explained])
    elif explained:
        _show(lambda: render.rich_explained(explained), lambda: render.plain_explained(explained))


def chat(arguments: argparse.Namespace) -> int:
    """Ask several questions, each with those before it in mind."""
    from rag import repl
    from rag.settings import speaks_of_model

    return repl.chat(
        _settings(arguments),
        _opened,
        notice=lambda settings: _notice(settings.model or "", settings.base_url),
        where=_where(arguments),
        resume=arguments.resume,
        library_given=arguments.library is not None,
        as_json=arguments.json,
        removed=arguments.keep_unverified,
        hint=not speaks_of_model(**_options(arguments)),
    )


def log(arguments: argparse.Namespace) -> int:
    """List the chats that were kept."""
    from rag import log, repl

    screen = repl.screen()
    log.log(" ".join(arguments.query), screen, limit=arguments.n, judged=arguments.feedback, as_json=arguments.json)
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """Ask a kept question again and show what changed since."""
    from rag import log, repl

    settings, given = _settings(arguments), arguments.library is not None
    screen = repl.screen()
    log.replay(arguments.id, settings, _open, screen, library_given=given, as_json=arguments.json)
    return 0


def _opened(settings: Settings, progress: Callable[[str, int, int], None]) -> Assistant:
    from rag.assistant import open_assistant

    return open_assistant(settings, progress=progress)


def models(arguments: argparse.Namespace) -> int:
    """List the models that a server offers."""
    from rag.chat_models import list_models
    from rag.patience import Deadline
    from rag.servers import shown, url_of
    from rag.text import printable

    settings = _settings(arguments, "extractive")
    names = list_models(settings.base_url, deadline=Deadline(settings.deadline))
    if arguments.json:
        _print_json(list(names))
    else:
        for name in names:
            print(printable(name))
    if not names:
        print(f"rag: {shown(url_of(settings.base_url))} offers no model; load one there first", file=sys.stderr)
    return 0


def list_papers(arguments: argparse.Namespace) -> int:
    """Print the papers of the library, a line each."""
    from rag.render import shown

    said = " ".join(arguments.filter)
    where = _where(arguments) & (filters.parse(said) if said else filters.ALL)
    library = _library(arguments)
    ids = library.selected(where).ids if where else None
    papers = [paper for paper in library if ids is None or paper.id in ids]
    if arguments.json:
        _print_json([{"id": paper.id, "title": paper.title, "sources": list(paper.sources)} for paper in papers])
    else:
        _print_pairs([(paper.id, shown(paper.title)) for paper in papers])
    _say_where(library, where)
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Print one paper."""
    from rag import render

    paper = _library(arguments).paper(" ".join(arguments.paper))
    if arguments.json:
        _print_json(paper.to_dict())
    else:
        _show(lambda: render.rich_paper(paper), lambda: render.plain_paper(paper))
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write papers of a library for other programs."""
    from pathlib import Path

    from rag import export

    file = Path(os.path.expanduser(arguments.output)) if arguments.output not in (None, "-") else None
    form = arguments.format or (export.SUFFIXES.get(file.suffix.lower()) if file else "bibtex")
    if not form:
        endings = ", ".join(export.SUFFIXES)
        raise UsageError(f"{file}: the ending says no format; use one of {endings}, or add --format NAME")
    papers = _named(arguments)
    if file:
        export.write(file, export.PAPERS[form](papers), over=arguments.force, remedy="add --force to replace it")
    else:
        sys.stdout.write(export.PAPERS[form](papers))
    where = f" written to {file}" if file else ""
    print(_one_line(f"{len(papers):,} {'paper' if len(papers) == 1 else 'papers'}{where}"), file=sys.stderr)
    return 0


def cite(arguments: argparse.Namespace) -> int:
    """Print papers as they are cited."""
    from rag import export

    sys.stdout.write(export.CITED[arguments.format](_named(arguments)))
    return 0


def _named(arguments: argparse.Namespace) -> list[Paper]:
    """The papers that a command names, each an argument, or one title without quotation marks; none is all."""
    library, names = _library(arguments), arguments.paper
    try:
        return [library.paper(name) for name in names] or list(library)
    except PaperNotFound:
        if len(names) < 2:
            raise
        with suppress(PaperNotFound):
            return [library.paper(" ".join(names))]
        raise


def status(arguments: argparse.Namespace) -> int:
    """Say what the library holds, where it lies, and what answers."""
    from rag.render import shown

    facts = _status(_settings(arguments))
    if arguments.json:
        _print_json(facts)
        return 0
    files = facts.pop("files", [])
    facts["libraries"] = ", ".join(facts["libraries"]) or "none of your own yet; type: rag add FILE --library NAME"
    texts = facts | ({"skipped": _skipped(facts["skipped"])} if "skipped" in facts else {})
    pairs = [*texts.items(), *(("file", _file_line(file, facts["library"])) for file in files[:FILES_SHOWN])]
    if len(files) > FILES_SHOWN:
        pairs.append(("file", f"and {len(files) - FILES_SHOWN:,} more (listed by --json)"))
    _print_pairs([(f"{name.replace('_', ' '):<11}", shown(str(text))) for name, text in pairs])
    return 0


def _skipped(kinds: dict[str, list[str]]) -> str:
    """How many pieces of the files are no paper, by the reason."""
    names = {
        "no abstract": ("record without an abstract", "records without an abstract"),
        "refused": ("refused", "refused"),
        "passed over": ("piece that is no record", "pieces that are no record"),
    }
    told = [f"{len(kinds[kind]):,} {names[kind][len(kinds[kind]) != 1]}" for kind in names if kinds[kind]]
    return f"{', '.join(told)} (listed by --json)" if told else "nothing"


def _file_line(file: dict[str, Any], library: str) -> str:
    from shlex import quote

    refused = f", {file['refused']:,} refused" if file["refused"] else ""
    line = (
        f"{file['file']}: {file['papers']:,} papers, {file['format'] or 'in no known format'}{refused}, "
        f"read {file['read']}, {file['state']}"
    )
    again = f"; type: rag sync --library {quote(library)}" + " --prune" * (file["state"] == "no longer there")
    return line + (again if file["state"] != "unchanged since" else "")


def add(arguments: argparse.Namespace) -> int:
    """Read files into a library of one's own."""
    from pathlib import Path

    from rag import changes
    from rag.embed import open_embedder
    from rag.progress import Bar

    way = changes.Way(arguments.format, _columns(arguments.map))
    name = _own_library(arguments)
    with Bar("Adding", quiet=True) as bar:
        report = changes.add(
            [Path(os.path.expanduser(file)) for file in arguments.files],
            name,
            open_embedder(),
            way,
            dry_run=arguments.dry_run,
            progress=bar,
        )
    return _reported(report, arguments)


def sync(arguments: argparse.Namespace) -> int:
    """Read again what a library came from, where it changed."""
    from rag import changes
    from rag.embed import open_embedder
    from rag.progress import Bar

    name = _own_library(arguments)
    with Bar("Syncing", quiet=True) as bar:
        report = changes.sync(
            name,
            open_embedder(),
            prune=arguments.prune,
            agree=lambda papers: arguments.yes or _agreed(papers, name, bar),
            dry_run=arguments.dry_run,
            progress=bar,
        )
    return _reported(report, arguments)


def _agreed(papers: Sequence[Paper], name: str, bar: Bar) -> bool:
    """Does the person at the terminal want these papers removed?"""
    from shlex import quote

    from rag.render import shown

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"--prune would remove {len(papers):,} papers that are in none of their files; "
            f"--dry-run --json lists them; to remove them type: rag sync --library {quote(name)} --prune --yes"
        )
    bar.stop()
    print(f"In none of their files any more, {len(papers):,}:", file=sys.stderr)
    for paper in papers[:PRUNED_SHOWN]:
        print(f"  {paper.id}  {shown(paper.title)}", file=sys.stderr)
    if len(papers) > PRUNED_SHOWN:
        print(f"  and {len(papers) - PRUNED_SHOWN:,} more; --dry-run --json lists them all", file=sys.stderr)
    print("Remove them? rag undo brings them back. [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _reported(report: Added, arguments: argparse.Namespace) -> int:
    """Print a report; the exit code."""
    _print_report(report.to_dict(), report.lines(), arguments)
    if report.problem:
        raise ReadError(report.problem)
    return 1 if arguments.strict and report.of_kind("refused") else 0


def remove(arguments: argparse.Namespace) -> int:
    """Take a paper out of a library of one's own."""
    from rag import changes
    from rag.embed import open_embedder

    name = _own_library(arguments)
    paper = changes.remove(" ".join(arguments.paper), name, open_embedder())
    line = f"removed {paper.title!r} ({paper.id}) from {name}; to have it back: rag undo --library {name}"
    _print_report({"library": name, "removed": [paper.id]}, [line], arguments)
    return 0


def undo(arguments: argparse.Namespace) -> int:
    """Take back the last change of a library."""
    from rag import changes
    from rag.embed import open_embedder

    name = _own_library(arguments)
    undone = changes.undo(name, open_embedder())
    line = (
        f"undone: {undone['action']} of {undone['at']}; {len(undone['removed']):,} papers taken out, "
        f"{len(undone['restored']):,} as they were before; {name} holds {undone['papers']:,} papers"
    )
    _print_report({"library": name, **undone}, [line], arguments)
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Look whether the parts of a library fit together, and repair them."""
    from rag import doctor
    from rag.embed import open_embedder
    from rag.ingest import named_folder, shipped_folder
    from rag.progress import Bar

    name, embedder = _settings(arguments, "extractive").library, open_embedder()
    folder = shipped_folder(embedder) if name is None else named_folder(name)
    if name is None and not os.path.isfile(folder / "library.sqlite"):
        health = doctor.Health(
            str(folder), (doctor.Check("library", "", "not built yet; the first question builds it"),)
        )
    elif arguments.repair:
        with Bar("Repairing", quiet=True) as bar:
            health = doctor.repair(folder, name, embedder, bar)
    else:
        health = doctor.examine(folder, name, embedder)
    _print_report(health.to_dict() | {"library": name or "shipped abstracts"}, health.lines(), arguments)
    return 1 if health.problems else 0


def _own_library(arguments: argparse.Namespace) -> str:
    name = _settings(arguments, "extractive").library
    if name is None:
        raise UsageError(f"the shipped library is never changed; type: rag {arguments.command} ... --library NAME")
    return name


def _columns(pairs: Sequence[str]) -> dict[str, str]:
    """What --map says, as {field: name in the file}."""
    if wrong := [pair for pair in pairs if not all(part.strip() for part in pair.partition("=")[::2])]:
        raise UsageError(f"--map {wrong[0]!r} is not FIELD=NAME; type, for example: --map title=Headline")
    return {field.strip(): name.strip() for field, _, name in (pair.partition("=") for pair in pairs)}


def _print_report(facts: dict[str, Any], lines: Iterable[str], arguments: argparse.Namespace) -> None:
    from rag.text import printable

    if arguments.json:
        _print_json(facts)
        return
    for line in lines:
        print("  " * line.startswith(" ") + " ".join(printable(line).split()))


def evaluate(arguments: argparse.Namespace) -> int:
    """Ask the gold questions and judge the answers against the baseline."""
    from importlib import import_module
    from importlib.util import find_spec
    from pathlib import Path

    checkout = Path(__file__).parent.parent
    if not (checkout / "evals" / "command.py").is_file():
        raise RagError("rag eval needs a checkout of the repository, with its gold set; clone it and run it there")
    if missing := [name for name in EVAL_NEEDS if not find_spec(name)]:
        raise RagError(f"rag eval needs {', '.join(missing)}; type: pip install -e '.[evals]'")
    sys.path.insert(0, str(checkout))
    code: int = import_module("evals.command").main(arguments.rest)
    return code


def _status(settings: Settings) -> dict[str, Any]:
    from rag import __version__, origins
    from rag.embed import open_embedder
    from rag.ingest import named_folder, open_named, own_libraries, shipped_folder
    from rag.library import Library
    from rag.servers import shown, url_of

    embedder = open_embedder()
    name = settings.library
    folder = shipped_folder(embedder) if name is None else named_folder(name)
    facts: dict[str, Any] = {"version": __version__, "library": name or "shipped abstracts", "folder": str(folder)}
    if name is None and not (folder / "library.sqlite").exists():
        facts["state"] = "not built yet; the first question builds it"
    else:
        library = Library.open(folder) if name is None else open_named(name)
        journal = library.journal()
        unfinished = "being built" if name is None else "empty so far; type: rag add FILE --library NAME"
        facts |= {"state": "ready" if library.generation else unfinished, **library.counts()}
        changed = next((entry["at"] for entry in journal if entry["generation"] == library.generation), "never")
        facts |= {"generation": library.generation, "changed": changed}
        facts |= {"embedder": library.embedder, "skipped": origins.passed_over(journal)}
        facts |= {"fingerprint": library.fingerprint} | ({"files": origins.sources(library)} if name else {})
    facts["libraries"] = list(own_libraries())
    facts["model"] = settings.model or "extractive (no chat model; name one with --model)"
    if settings.model:
        facts["server"] = shown(url_of(settings.base_url))
    return facts


# --- what commands share ------------------------------------------------------------------------


def _settings(arguments: argparse.Namespace, model: str | None = None) -> Settings:
    from rag.settings import load

    chosen = _options(arguments)
    settings = load(**(chosen | ({"model": model} if model else {})))
    if chosen["base_url"] and not model and not chosen["model"] and not settings.model:
        raise UsageError(
            f"--base-url names a server but no model; add --model NAME, one of: rag models --base-url {chosen['base_url']}"
        )
    if chosen["judge"] and not settings.model:
        raise UsageError("--judge looks at what a chat model wrote; add --model NAME")
    return settings


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(arguments, name, None) for name in ("library", "model", "base_url", "judge", "k", "deadline")}


def _library(arguments: argparse.Namespace) -> Library:
    return _assistant(arguments, model="extractive").library


def _assistant(arguments: argparse.Namespace, model: str | None = None) -> Assistant:
    return _open(_settings(arguments, model))


def _open(settings: Settings) -> Assistant:
    from rag.assistant import open_assistant
    from rag.progress import Bar

    with Bar() as bar:
        assistant = open_assistant(settings, progress=bar)
    if settings.model:
        _notice(settings.model, settings.base_url)
    return assistant


@cache
def _notice(model: str, base_url: str | None) -> None:
    """Say, once a process, that text is about to leave this machine, and how to keep it here."""
    from rag.servers import is_remote, shown, url_of
    from rag.text import printable

    if is_remote(base_url):
        where = printable(f"{shown(url_of(base_url))} ({model})")
        print(
            f"rag: your questions and the passages found go to {where}; --model extractive keeps them here",
            file=sys.stderr,
        )


def _suggest(answer: Answer, arguments: argparse.Namespace) -> None:
    """How to add a chat model: for a person who sees an answer made without one and never spoke of one."""
    from rag.records import EXTRACTIVE
    from rag.settings import speaks_of_model

    seen = sys.stdout.isatty() and sys.stderr.isatty() and not arguments.json
    if (
        seen
        and answer.model == EXTRACTIVE
        and answer.status != "refused"
        and not speaks_of_model(**_options(arguments))
    ):
        _say_how_to_add_a_model()


@cache
def _say_how_to_add_a_model() -> None:
    from rich.console import Console

    text = "No chat model wrote this. To add one: --model NAME --base-url ollama"
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, style="dim")


def _question(words: Sequence[str]) -> str:
    """The question typed or piped, before anything is opened or built for it. Raises UsageError."""
    from rag.assistant import checked

    return checked(_text(words))


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


def _where(arguments: argparse.Namespace) -> Filter:
    """The filter that options say."""
    return filters.chosen(arguments.year, arguments.author, arguments.venue)


def _say_where(library: Library, where: Filter) -> None:
    """What a filter left to look at."""
    if where:
        found = library.selected(where)
        print(f"rag: {_one_line(found.where.said if found.ids else library.nothing(where))}", file=sys.stderr)


def _answered(assistant: Assistant, question: str, where: Filter, arguments: argparse.Namespace) -> Answer:
    """The answer; at a terminal its sentences appear as they pass their check."""
    if arguments.json or not sys.stdout.isatty():
        return assistant.answer(question, where=where)
    from rag.progress import Telling, heard
    from rag.render import rich_text

    with Telling(rich_text) as telling:
        return heard(assistant.stream(question, where=where, stage=telling.stage), telling.sentence)


def _show_answer(answer: Answer, arguments: argparse.Namespace) -> None:
    from rag import render

    removed = arguments.keep_unverified
    if arguments.json:
        _print_json(answer.to_dict())
    else:
        _show(lambda: render.rich_answer(answer, removed=removed), lambda: render.plain_answer(answer, removed=removed))


def _show(rich: Callable[[], RenderableType], plain: Callable[[], str]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(rich())
    else:
        print(plain())


def _print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Names with what belongs to them; at a terminal, what wraps stays beside its name."""
    if sys.stdout.isatty():
        from rag import repl, views

        repl.Terminal().put(views.pairs(pairs))
    else:
        for name, text in pairs:
            print(f"{name}  {text}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=True, indent=2))


def _hit(hit: Any) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "score": hit.score,
        "paper": {"id": hit.paper.id, "title": hit.paper.title},
        "chunk": {"id": hit.chunk.id, "start": hit.chunk.start, "end": hit.chunk.end, "text": hit.chunk.text},
        "found": [{"search": f.search, "rank": f.rank, "score": f.score, "part": f.part} for f in hit.found],
    }


def _of_library(message: str, arguments: argparse.Namespace | None) -> str:
    """What an error says to type, for the library that was asked."""
    from shlex import quote

    name = getattr(arguments, "library", None)
    if not name:
        return message
    return re.sub(
        r"type: rag (?:list|show)\b(?! --library)", lambda found: f"{found[0]} --library {quote(name)}", message
    )


def _one_line(error: BaseException | str) -> str:
    from rag.text import printable

    line = " ".join(printable(str(error)).split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"


# --- the command line ---------------------------------------------------------------------------


_BAD_COMMAND = re.compile(r"COMMAND: invalid choice: '(.*)' \(choose from .*\)", re.DOTALL)


class OneLineParser(argparse.ArgumentParser):
    """argparse, with errors of one line that say what was meant or what to type."""

    def error(self, message: str) -> NoReturn:
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
    command = _command(commands, "list", list_papers, "print the papers of the library")
    command.add_argument(
        "filter", nargs="*", metavar="FILTER", help="only some: 'year>=2023', author:Smith, venue:Nature"
    )
    _filter_options(command)
    command = _command(commands, "show", show, "print one paper")
    command.add_argument("paper", nargs="+", help="an id, the beginning of one, or a title")
    command = _command(commands, "export", export, "write papers of a library for other programs", as_json=False)
    command.add_argument("paper", nargs="*", help="ids, beginnings of ids, or titles (default: all papers)")
    text = "bibtex, csl, ris or jsonl (default: what the file's ending says, else bibtex)"
    command.add_argument("--format", metavar="NAME", type=_form, choices=FORMS, help=text)
    command.add_argument("-o", "--output", metavar="FILE", help="where to (default: standard output)")
    command.add_argument("--force", action="store_true", help="replace a file that is there")
    command = _command(commands, "cite", cite, "print papers as they are cited", as_json=False)
    command.add_argument("paper", nargs="+", help="ids, beginnings of ids, or titles")
    text = "bibtex, csl, ris or markdown (default: bibtex)"
    command.add_argument("--format", metavar="NAME", type=_form, choices=CITED, default="bibtex", help=text)
    command = _command(commands, "status", status, "say what the library holds and where it lies")
    _model_options(command)
    command = _command(commands, "add", add, "read files of papers into a library of your own")
    command.add_argument("files", nargs="+", metavar="FILE", help="a file, an archive, or a folder of them")
    command.add_argument("--format", metavar="NAME", help="what the files are (default: seen from their content)")
    text = "what a field is called in a table or JSON, such as title=Headline; may be repeated"
    command.add_argument("--map", action="append", default=[], metavar="FIELD=NAME", help=text)
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")
    command.add_argument("--strict", action="store_true", help="exit 1 when any record or file was refused")
    command = _command(commands, "sync", sync, "read the files and folders of a library again, where they changed")
    command.add_argument("--prune", action="store_true", help="remove the papers that are in none of them any more")
    command.add_argument("--yes", action="store_true", help="remove them without asking")
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")
    command.add_argument("--strict", action="store_true", help="exit 1 when any record or file was refused")
    command = _command(commands, "remove", remove, "take a paper out of a library of your own")
    command.add_argument("paper", nargs="+", help="an id, the beginning of one, or a title")
    _command(commands, "undo", undo, "take back the last change of a library of your own")
    command = _command(commands, "doctor", doctor, "look whether the parts of a library fit together, and repair them")
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
        text = "a library's folder or name (default: the shipped abstracts)"
        command.add_argument("--library", metavar="NAME", help=text)
    if as_json:
        command.add_argument("--json", action="store_true", help="print JSON")
    return command


def _form(name: str) -> str:
    """ "csl-json" is csl."""
    return name.lower().removesuffix("-json")


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
