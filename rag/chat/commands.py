"""The commands of a chat: a table of names, arguments and help, and a short function each.

A command gets the conversation, the screen and what was typed after its name. It may return a question
to be asked next. What it cannot do is a RagError of one line. The table is also what completion offers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rag import formats
from rag.chat.conversation import Conversation
from rag.errors import RagError
from rag.filters import ALL, parse
from rag.records import Usage
from rag.show.screen import Screen

if TYPE_CHECKING:
    from rag.records import Paper

NEAREST = 5  # papers that /papers and /like name
OFF = "off"  # what takes a filter away
SEVERAL = 2  # words after a name that is no command's, from which on the line is a question
SHIPPED = "shipped"  # the name by which /library goes back to the abstracts of the package


class Command(NamedTuple):
    """`takes` says what its argument is completed with: a key of `prompt.OFFERS`."""

    name: str
    arguments: str
    help: str
    run: Callable[[Conversation, Screen, str], str | None]
    takes: str = ""

    @property
    def usage(self) -> str:
        """How it is typed."""
        return f"/{self.name} {self.arguments}".strip()


def run(line: str, chat: Conversation, screen: Screen) -> str | None:
    """Do what a line that begins with "/" says, or return it where it is a question: no command takes a name
    with a second slash, nor several words after a name that is like none.

    Raises RagError; EOFError leaves the chat.
    """
    name, argument = [*line[1:].split(maxsplit=1), "", ""][:2]
    several = len(argument.split()) >= SEVERAL
    if "/" in name or (several and not _like_one(name)):
        return line
    found = command(name, "to ask it, begin with a blank" if argument else "")
    if argument and not found.arguments:
        raise RagError(f"/{found.name} takes nothing after it; to ask this, begin with a blank")
    return found.run(chat, screen, argument.strip())


def _like_one(name: str) -> bool:
    return bool(_beginning(name.lower()) or _near(name.lower()))


def _beginning(wanted: str) -> list[Command]:
    return [one for one in COMMANDS if wanted and one.name.startswith(wanted)]


def _near(wanted: str) -> list[str]:
    return get_close_matches(wanted, [one.name for one in COMMANDS], 1, 0.5)


def command(name: str, besides: str = "") -> Command:
    """The command of that name, or the only one that begins so. Raises RagError with the nearest, and what may
    be done `besides`.
    """
    wanted = name.lower()
    begins = _beginning(wanted)
    exact = [one for one in begins if one.name == wanted]
    if exact or len(begins) == 1:
        return (exact or begins)[0]
    near = [one.name for one in begins] or _near(wanted)
    hint = f"did you mean {' or '.join('/' + one for one in near)}?" if near else "type /help"
    also = f"{' ' if near else '; '}{besides}" if besides else ""
    raise RagError(f"no command /{name[:40]}; {hint}{also}")


# --- papers -------------------------------------------------------------------------------------


def _sources(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.show import lines

    if not chat.numbers:
        raise RagError("no paper is cited yet; ask a question first")
    screen.put(lines.all_sources(chat.history))


def _open(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.show import lines

    number, paper = _paper(chat, argument, "open")
    citations = [c for answer in chat.history for c in answer.citations if c.paper.id == paper.id]
    screen.put(lines.opened(paper, number, citations))


def _why(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.show import lines

    if not argument:
        screen.put(lines.why(chat.last, chat.settings.least_support))
        return
    number, paper = _paper(chat, argument, "why")
    citing = [answer for answer in chat.history if number in answer.numbers]
    if number is None or not citing:
        raise RagError(f"{paper.id} is not cited in this chat; /open {paper.id} shows it")
    answer = citing[-1]
    shown = lines.why_paper(answer, number, paper)
    where = parse(answer.where.text) if answer.where else ALL
    for one in chat.assistant().explain(answer.query, NEAREST, where):
        if one.hit.paper.id == paper.id:
            shown += [
                lines.line(),
                lines.line("searched again, what adds to its score:", "bold"),
                *lines.explained(one),
            ]
    screen.put(shown)


def _papers(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.show import lines

    if not argument:
        raise RagError("which? type /papers QUERY")
    with screen.telling() as told:
        found = chat.assistant(told.stage).search(argument, NEAREST, chat.where)
    screen.put(lines.hits(found, chat.listing(found)) or [lines.line("no paper shares a word with it", "dim")])
    _say_where(chat, screen)


def _like(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.show import lines

    _, paper = _paper(chat, argument, "like")
    with screen.telling() as told:
        found = chat.assistant(told.stage).like(paper, NEAREST, chat.where)
    screen.put(lines.hits(found, chat.listing(found)) or [lines.line("it is the only paper", "dim")])
    _say_where(chat, screen)


def _claim(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.show import claims

    if not argument:
        raise RagError("which claim? type /claim and a sentence")
    with screen.telling() as told:
        (found,) = chat.assistant(told.stage).cite([argument], NEAREST, chat.where)
    screen.put(claims.numbered(found, chat.listing(claims.told(found, NEAREST))))
    _say_where(chat, screen)


def _cite(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.show import export

    words = argument.replace(",", " ").split()
    said = bool(words) and (words[-1].lower() in formats.BY_NAME or (len(words[-1]) > 2 and words[-1].isalpha()))
    form = formats.named(words.pop(), formats.CITED) if said else formats.DEFAULT
    papers = [chat.paper(word)[1] for word in words] or export.cited(chat.history)
    if not papers:
        raise RagError("no paper is cited yet; ask a question first")
    screen.raw(export.write_citations(form, papers).rstrip("\n"))


def _paper(chat: Conversation, argument: str, name: str) -> tuple[int | None, Paper]:
    if not argument and len(chat.numbers) == 1:
        argument = str(next(iter(chat.numbers)))
    if not argument and not chat.on_screen:
        raise RagError(f"no paper is cited yet; ask a question, or type /{name} TITLE")
    if not argument:
        raise RagError(f"which paper? type /{name} N; /sources lists them")
    return chat.paper(argument)


# --- the chat -----------------------------------------------------------------------------------


def _new(chat: Conversation, screen: Screen, argument: str) -> None:
    chat.new()
    screen.say("A new chat; what was said before is not known to it.")


def _retry(chat: Conversation, screen: Screen, argument: str) -> str:
    question = chat.forget_last()
    screen.say(f"again: {question}")
    return question


def _cost(chat: Conversation, screen: Screen, argument: str) -> None:
    usage = [answer.usage for answer in chat.history]
    seconds = sum(sum(answer.seconds.values()) for answer in chat.history)
    all_of_it = sum(usage, Usage())
    screen.say(
        f"{len(usage)} answer{'' if len(usage) == 1 else 's'} in {seconds:.1f} s; {all_of_it.calls} calls of a chat "
        f"model, {all_of_it.prompt_tokens:,} tokens read, {all_of_it.completion_tokens:,} written{_charged(all_of_it)}"
    )


def _charged(usage: Usage) -> str:
    """What calls cost, by the table of prices; nothing where none was made."""
    if not usage.calls:
        return ""
    if usage.usd is None:
        return '; the price is not known, settings.toml may give it: [prices."HOST"]'
    return f"; about ${usage.usd:.{2 if usage.usd >= 1 else 4}f}" if usage.usd else "; a server of your own, no charge"


def _feedback(chat: Conversation, screen: Screen, argument: str) -> None:
    verdict, _, note = argument.partition(" ")
    if verdict.lower() not in ("good", "bad"):
        raise RagError("good or bad? type /feedback good, or /feedback bad what is wrong with it")
    chat.judge(verdict.lower(), note.strip())
    screen.say(f"noted: {verdict.lower()}. rag log --feedback lists what was noted")


def _export(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.show import export

    if not argument:
        raise RagError("where? type /export FILE, with one of " + ", ".join(formats.CHAT_BY_SUFFIX))
    if not chat.history:
        raise RagError("nothing to export yet; ask a question first")
    file = _file(argument.strip("\"'"))
    form = formats.CHAT_BY_SUFFIX.get(file.suffix.lower())
    if not form:
        endings = ", ".join(formats.CHAT_BY_SUFFIX)
        raise RagError(f"{file.name[:60]}: the ending says what is written; use one of {endings}")
    export.write(file, export.write_answers(form, chat.history), over=file.absolute() in chat.exported)
    chat.exported.add(file.absolute())
    screen.say(f"{len(chat.history)} answer{'' if len(chat.history) == 1 else 's'} written to {file}")


def _file(name: str) -> Path:
    """The file of that name; a pipe is read as UTF-8, whatever the locale, and its bytes are the name."""
    if not sys.stdin.isatty():
        with suppress(UnicodeError):
            name = os.fsdecode(name.encode("utf-8", "surrogateescape"))
    return Path(os.path.expanduser(name))


def _quit(chat: Conversation, screen: Screen, argument: str) -> None:
    raise EOFError


# --- what answers -------------------------------------------------------------------------------


def _model(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.models.servers import file_of, place_of, url_of
    from rag.records import EXTRACTIVE

    if argument:
        name, _, server = argument.partition(" ")
        chosen: dict[str, Any] = {"model": None if name == EXTRACTIVE else name}
        if file_of(argument, None):
            chosen = {"model": argument, "base_url": None}
        elif server:
            url_of(server.strip())  # says what is wrong with it
            chosen["base_url"] = server.strip()
        with screen.telling() as told:
            chat.change(told.stage, **chosen)
    model = chat.settings.model
    if not model:
        screen.say(
            "no chat model: answers are the abstracts' own sentences. /model NAME URL or /model FILE.gguf takes one"
        )
    elif argument:
        where = place_of(model, chat.settings.base_url)
        screen.say(f"{model} at {where} writes the answers; /model {EXTRACTIVE} goes without")
        chat.notice(chat.settings)
    else:
        _show_model(chat, screen, model)


def _show_model(chat: Conversation, screen: Screen, model: str) -> None:
    from rag.models.chat import facts
    from rag.records import EXTRACTIVE
    from rag.show import lines
    from rag.show.render import shown

    with screen.telling() as told:
        told.stage("asking the server")
        where, context = facts(model, chat.settings.base_url)
    usage = sum((answer.usage for answer in chat.history if answer.model in (model, EXTRACTIVE)), Usage())
    tokens = f"{usage.prompt_tokens:,} tokens read, {usage.completion_tokens:,} written"
    rows = [("model", model), ("server", where), ("context", f"{context:,} tokens" if context else "not known")]
    screen.put(
        lines.pairs((name, shown(text)) for name, text in [*rows, ("calls", f"{usage.calls:,} so far; {tokens}")])
    )


def _library(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.show import lines
    from rag.show.render import shown

    if argument:
        with screen.telling() as told:
            chat.change(told.stage, library=None if argument == SHIPPED else argument)
        chat.new()
        chat.where = ALL
    library = chat.assistant().library
    facts = [("library", chat.settings.library or "the shipped abstracts"), ("papers", f"{len(library):,}")]
    facts += [("folder", str(library.path)), ("generation", str(library.generation))]
    screen.put(lines.pairs((name, shown(value)) for name, value in facts))
    if argument:
        screen.say("A new chat begins here.")


def _where(chat: Conversation, screen: Screen, argument: str) -> None:
    if argument.lower() == OFF:
        chat.where = ALL
    elif argument:
        where, library = parse(argument), chat.assistant().library
        if not library.subsets.selected(where).ids:
            raise RagError(library.subsets.nothing(where))
        chat.where = where
    if not chat.where:
        screen.say("all papers are asked; /where year>=2023 author:Smith asks only some")
    _say_where(chat, screen)


def _say_where(chat: Conversation, screen: Screen) -> None:
    if chat.where:
        screen.say(f"{chat.assistant().library.subsets.selected(chat.where).where.said} /where {OFF} asks all.")


def _help(chat: Conversation, screen: Screen, argument: str) -> None:
    from rag.show import lines

    chosen: Sequence[Command] = [command(argument.lstrip("/"))] if argument else COMMANDS
    screen.put(lines.pairs((one.usage, one.help) for one in chosen))
    if not argument:
        screen.put([lines.line(KEYS, "dim")])


KEYS = (
    "Anything else is a question; one that begins with / is asked when a blank comes first. N is a number on screen, an id or a title. Tab completes, Alt-Enter begins a new "
    "line, Ctrl-C stops an answer, Ctrl-D leaves."
)
COMMANDS = (
    Command("sources", "", "the papers cited so far", _sources),
    Command("open", "N", "its abstract, quotes highlighted", _open, "paper"),
    Command("why", "[N]", "how the answer came about, or how paper N got in", _why, "number"),
    Command("papers", "QUERY", "search the library; its papers get numbers", _papers),
    Command("like", "N", "the papers nearest to it", _like, "paper"),
    Command("claim", "SENTENCE", "the papers that support it, or say otherwise", _claim),
    Command("cite", "[N] [FORM]", f"as {formats.listed(formats.CITED)}", _cite, "cite"),
    Command(
        "export",
        "FILE",
        f"the chat, or what it cites, as the ending says: {' '.join(formats.CHAT_BY_SUFFIX)}",
        _export,
        "file",
    ),
    Command("retry", "", "ask the last question again", _retry),
    Command("new", "", "start afresh", _new),
    Command("feedback", "good|bad [NOTE]", "keep what you think of the last answer", _feedback, "verdict"),
    Command("model", "[NAME [URL]|FILE.gguf]", "what writes the answers, or take another", _model),
    Command("library", "[NAME]", f"what is asked, or ask another ({SHIPPED}: the package's)", _library),
    Command("where", f"[FILTER|{OFF}]", "ask only some papers: year>=2023 author:Smith venue:Nature", _where, "where"),
    Command("cost", "", "time, tokens and money so far", _cost),
    Command("help", "[COMMAND]", "this", _help, "command"),
    Command("quit", "", "leave (also Ctrl-D)", _quit),
)
