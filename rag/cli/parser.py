"""The command line of `rag`: its commands and their options, and what is said of one that is not known.

`rag.cli.main` says what each command does.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, NoReturn

from rag import formats
from rag.cli.examples import EXAMPLES
from rag.errors import UsageError
from rag.formats import Format

CHANGING = ("add", "sync", "remove", "undo", "restore")  # commands that change a library
EVALS = ("eval", "gold")
SHELLS = ("bash", "zsh", "fish")
LIBRARIES = "libraries"  # what a completion asks for: the names of the libraries there are


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """What was typed: `command` and its options. Without a command it is chat, or ask if a question comes first.

    Raises UsageError.

    Those of EVALS have command lines of their own, in the package of the evals: their words are in `rest`.
    """
    alone = not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help", "--version"))
    words = ["chat", *argv] if alone else list(argv)
    if words[0] == "help" and words[1:2] != ["--help"]:
        words = [*words[1:], "--help"]
    if words[0] in EVALS:
        return argparse.Namespace(command=words[0], rest=words[1:])
    parser = build()
    if is_question(words[0]):
        return parser.parse_args(["ask", *words])
    return parser.parse_args(words)


def is_question(word: str) -> bool:
    """Is one word of a command line a question? It has a blank in it, or ends with "?"."""
    return not word.startswith("-") and (any(map(str.isspace, word)) or word.endswith("?"))


_BAD_COMMAND = re.compile(r"COMMAND: invalid choice: '(.*)' \(choose from .*\)", re.DOTALL)


class OneLineParser(argparse.ArgumentParser):
    """argparse, with errors of one line that say what was meant or what to type."""

    def error(self, message: str) -> NoReturn:
        wrong = _BAD_COMMAND.search(message)
        if wrong and wrong[1][:1].isupper():  # a question without quotes
            raise UsageError(f'no command {wrong[1]!r}; to ask a question type: {self.prog} "your question"')
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


class _WithExamples(argparse.HelpFormatter):
    """Leaves the lines of the examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("examples:") else super()._fill_text(text, width, indent)


def build() -> OneLineParser:
    """The parser of all commands but EVALS."""
    parser = OneLineParser(
        prog="rag",
        description="Ask a library of paper abstracts; every sentence of an answer is a verbatim quote or checked against one.",
        epilog="With no command: chat; with a question in quotes: ask. Exit codes: 0 done, 1 failed, 2 usage, 3 refused (ask) or not supported (cite), 130 stopped.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for add in (_asking, _citing, _chatting, _reading, _changing, _checking, _serving):
        add(commands)
    return parser


# --- the commands -------------------------------------------------------------------------------


def _asking(commands: Any) -> None:
    command = _command(commands, "ask", "answer one question, with sources")
    command.add_argument("question", nargs="*", help="the question; - or nothing reads it from a pipe")
    text = "show the whole abstract of each source, its quotes marked"
    command.add_argument("--abstracts", action="store_true", help=text)
    _answer_options(command)
    _filter_options(command)
    _fence_option(command)
    command = _command(commands, "search", "list the papers nearest to a query")
    command.add_argument("query", nargs="*", help="words or a question; - or nothing reads it from a pipe")
    command.add_argument("-k", type=int, metavar="N", help="how many papers (default 8)")
    command.add_argument("--explain", action="store_true", help="say why each paper ranks where it does")
    _filter_options(command)
    _fence_option(command)


def _chatting(commands: Any) -> None:
    command = _command(commands, "chat", "ask several questions, with follow-ups")
    text = "go on with the last chat, or with chat ID of: rag log"
    command.add_argument("-c", "--continue", dest="resume", nargs="?", type=int, const=0, metavar="ID", help=text)
    _answer_options(command)
    _filter_options(command)
    command = _command(commands, "log", "list the chats that were kept, or those with some words", library=False)
    command.add_argument("query", nargs="*", help="words of a question, an answer or a note (default: all chats)")
    command.add_argument("-n", type=int, metavar="N", default=20, help="the latest N chats; 0 is all (default 20)")
    command.add_argument("--feedback", action="store_true", help="only answers that somebody called good or bad")
    command = _command(commands, "replay", "ask a kept question again and show what changed since")
    command.add_argument("id", help="of a chat, or of one of its questions, such as 3.2")
    _answer_options(command)


def _citing(commands: Any) -> None:
    command = _command(commands, "cite", "say which papers support a claim, or the sentences of a draft")
    text = "a claim in quotes; or drafts in LaTeX or Markdown; - reads one from a pipe"
    command.add_argument("text", nargs="+", metavar="CLAIM|DRAFT", help=text)
    text = "put the keys of supporting papers into the draft, and nothing else; a copy is kept beside it"
    command.add_argument("--in-place", action="store_true", help=text)
    command.add_argument("--bib", metavar="FILE", help="add the entries of these papers to a BibTeX file")
    text = "look at the citations in a draft: is the key in the library, does the paper bear the sentence?"
    command.add_argument("--check", action="store_true", help=text)
    command.add_argument("-k", type=int, metavar="N", help="papers for a claim (default 3; 1 with --in-place or --bib)")
    text = "a chat model to ask whether the nearest papers support a claim in other words (default: none)"
    command.add_argument("--model", metavar="NAME", help=text)
    _server_option(command)
    _filter_options(command)
    _fence_option(command)
    cited = partial(_format, among=formats.CITED)
    command.add_argument("--format", type=cited, help=argparse.SUPPRESS)  # of the command that is called bib now
    command = _command(commands, "table", "write a table: a row a paper, each cell a quote from its abstract or empty")
    text = 'what to look for in each abstract, with semicolons between: "task; data set; best result"'
    command.add_argument("columns", metavar="COLUMNS", help=text)
    command.add_argument("--where", metavar="FILTER", help="only some papers: 'year>=2023 author:Smith venue:Nature'")
    command.add_argument("-n", type=int, metavar="N", help="only the first N papers (default: all)")
    forms = command.add_mutually_exclusive_group()
    for form, text in (
        ("csv", "CSV (the default)"),
        ("markdown", "a table in Markdown"),
        ("xlsx", "a workbook of Excel"),
    ):
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form, help=f"write {text}")
    command.add_argument(
        "-o", "--output", metavar="FILE", help="where to (default: standard output); its ending says the form"
    )
    command.add_argument("--force", action="store_true", help="replace a file that is there")
    command.add_argument("--model", metavar="NAME", help="a chat model to copy the words of each cell (default: none)")
    _server_option(command)
    _filter_options(command)


def _reading(commands: Any) -> None:
    command = _command(commands, "list", "print the papers of the library")
    command.add_argument(
        "filter", nargs="*", metavar="FILTER", help="only some: 'year>=2023', author:Smith, venue:Nature"
    )
    _filter_options(command)
    _fence_option(command)
    command = _command(commands, "show", "print one paper")
    command.add_argument("paper", nargs="+", help="an id, the beginning of one, a title, or a citation key")
    _fence_option(command)
    command = _command(commands, "export", "write papers of a library for other programs", as_json=False)
    command.add_argument(
        "paper", nargs="*", help="ids, beginnings of ids, titles, or citation keys (default: all papers)"
    )
    text = f"{formats.listed(formats.PAPERS)} (default: what the file's ending says, else {formats.DEFAULT.name})"
    command.add_argument("--format", metavar="NAME", type=partial(_format, among=formats.PAPERS), help=text)
    command.add_argument("-o", "--output", metavar="FILE", help="where to (default: standard output)")
    command.add_argument("--force", action="store_true", help="replace a file that is there")
    _filter_options(command)
    command = _command(commands, "bib", "print papers as entries of a bibliography", as_json=False)
    command.add_argument("paper", nargs="+", help="ids, beginnings of ids, titles, or citation keys")
    text = f"{formats.listed(formats.CITED)} (default: {formats.DEFAULT.name})"
    cited = partial(_format, among=formats.CITED)
    command.add_argument("--format", metavar="NAME", type=cited, default=formats.DEFAULT, help=text)
    _fence_option(command)
    command = _command(commands, "status", "say what the library holds and where it lies")
    _model_options(command)


def _changing(commands: Any) -> None:
    command = _command(commands, "add", "read files of papers into a library of your own")
    text = (
        "a file, an archive, a folder of them; doi:10.1000/xyz, arxiv:2205.14135 or pmid:12345, which are fetched; "
        "zotero: or zotero:COLLECTION"
    )
    command.add_argument("files", nargs="+", metavar="FILE", help=text)
    text = f"what the files are (default: seen from their content): {', '.join(formats.OWN_NAMES)}"
    command.add_argument("--format", metavar="NAME", help=text)
    text = "what a field is called in a table or JSON, such as title=Headline; may be repeated"
    command.add_argument("--map", action="append", default=[], metavar="FIELD=NAME", help=text)
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")
    command.add_argument("--strict", action="store_true", help="exit 1 when any record or file was refused")
    _embedder_options(command, "what a new library is embedded with, a model of that server (default: the shipped one)")
    command = _command(commands, "sync", "read the files and folders of a library again, where they changed")
    command.add_argument("--prune", action="store_true", help="remove the papers that are in none of them any more")
    command.add_argument("--yes", action="store_true", help="remove them without asking")
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")
    command.add_argument("--strict", action="store_true", help="exit 1 when any record or file was refused")
    command = _command(commands, "remove", "take a paper out of a library of your own")
    command.add_argument("paper", nargs="+", help="an id, the beginning of one, a title, or a citation key")
    _command(commands, "undo", "take back the last change of a library of your own")
    command = _command(commands, "library", "list, rename, remove or embed anew libraries of your own", library=False)
    does = command.add_subparsers(metavar="list|rename|remove|embed", dest="does", required=True, prog="rag library")
    does.add_parser("list", help="list the libraries that were made by name", allow_abbrev=False)
    one = does.add_parser("rename", help="give a library another name", allow_abbrev=False)
    one.add_argument("name", metavar="OLD", help="its name now")
    one.add_argument("to", metavar="NEW", help="its name from now on")
    one = does.add_parser("remove", help="delete a library; the files it was made of stay", allow_abbrev=False)
    one.add_argument("name", metavar="NAME", help="its name or folder")
    one.add_argument("--yes", action="store_true", help="without asking")
    one = does.add_parser("embed", help="move a library to another embedder, whole or not at all", allow_abbrev=False)
    one.add_argument("name", metavar="NAME", help="its name or folder")
    _embedder_options(one, "a model of that server, or shipped", required=True)
    for one in does.choices.values():
        one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def _checking(commands: Any) -> None:
    command = _command(commands, "doctor", "look whether the parts of a library fit together, and repair them")
    command.add_argument("--repair", action="store_true", help="mend what can be, from the papers and stored vectors")
    command = _command(commands, "backup", "write a library to one file, to be put away")
    command.add_argument("file", metavar="FILE", help="where to, such as mine.zip")
    command.add_argument("--force", action="store_true", help="replace a file that is there")
    command = _command(commands, "restore", "make a library of what rag backup wrote")
    command.add_argument("file", metavar="FILE", help="what rag backup wrote")
    command.add_argument(
        "--force", action="store_true", help="replace a library that is there; its file is kept beside it"
    )
    command = _command(commands, "models", "list the chat models that a server offers", library=False)
    _server_option(command)
    text = "print a script that completes commands, options and names of libraries in a shell"
    command = _command(commands, "completion", text, library=False, as_json=False)
    command.add_argument("shell", choices=(*SHELLS, LIBRARIES), metavar="|".join(SHELLS), help="the shell it is for")
    command = _command(commands, "help", "say how a command is used, with examples", library=False, as_json=False)
    command.add_argument("of", nargs="?", metavar="COMMAND", help="one of: rag --help")
    commands.add_parser("gold", help="make and check a gold set of your own")
    commands.add_parser("eval", help="ask gold questions, and judge the answers against a baseline")


def _serving(commands: Any) -> None:
    command = _command(
        commands, "mcp", "serve a library to agents: Model Context Protocol on standard input and output", as_json=False
    )
    _answer_options(command)
    _command(commands, "skill", "print what teaches an agent these commands", library=False, as_json=False)


# --- options that several commands have ---------------------------------------------------------


def _command(
    commands: Any,
    name: str,
    summary: str,
    *,
    library: bool = True,
    as_json: bool = True,
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog="\n  ".join(["examples:", *EXAMPLES[name]]),
        formatter_class=_WithExamples,
        allow_abbrev=False,
    )
    command.set_defaults(command=name)
    if library:
        default = "one of your own, which it needs" if name in CHANGING else "default: the shipped abstracts"
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


def _fence_option(command: argparse.ArgumentParser) -> None:
    text = "for agents: print the result between two lines that no text of a paper can hold, said to be data"
    command.add_argument("--fenced", action="store_true", help=text)


def _model_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", metavar="NAME", help="a chat model to write the answer (default: none)")
    _server_option(command)
    command.add_argument("-k", type=int, metavar="N", help="papers an answer may draw on (default 8)")
    text = "most tokens of passages to show the model (default: what its context has room for)"
    command.add_argument("--prompt-tokens", type=int, metavar="N", help=text)


def _embedder_options(command: argparse.ArgumentParser, text: str, required: bool = False) -> None:
    command.add_argument("--embedder", metavar="NAME", required=required, help=text)
    text = "its server, with OpenAI's /embeddings: a URL or a short name such as ollama (default: openai)"
    command.add_argument("--embed-url", metavar="URL", help=text)


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
