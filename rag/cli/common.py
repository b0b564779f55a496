"""What the commands of `rag` share: settings from options, what is opened with them, and ways to print."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, Any

from rag.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rag.answering.assistant import Assistant
    from rag.filters import Filter
    from rag.library.embed import Embedder
    from rag.library.store import Library
    from rag.settings import Settings

LONGEST_LINE = 600  # characters of an error: it may repeat an argument of any length


def settings_of(arguments: argparse.Namespace, model: str | None = None) -> Settings:
    """The settings with what was typed; `model` overrides both. Raises UsageError."""
    from rag.settings import load

    chosen = options_of(arguments)
    settings = load(**(chosen | ({"model": model} if model else {})))
    if chosen["base_url"] and not model and not chosen["model"] and not settings.model:
        raise UsageError(
            f"--base-url names a server but no model; add --model NAME, one of: rag models --base-url {chosen['base_url']}"
        )
    if chosen["judge"] and not settings.model:
        raise UsageError("--judge looks at what a chat model wrote; add --model NAME")
    return settings


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were typed; None for one that was not."""
    names = ("library", "model", "base_url", "judge", "k", "deadline", "prompt_tokens")
    return {name: getattr(arguments, name, None) for name in names}


def library_of(arguments: argparse.Namespace) -> Library:
    """The library that the options or the settings name."""
    return assistant_of(arguments, model="extractive").library


def assistant_of(arguments: argparse.Namespace, model: str | None = None) -> Assistant:
    """An assistant for the settings."""
    return opened(settings_of(arguments, model))


def asked_model(arguments: argparse.Namespace) -> str | None:
    """ "extractive" unless this command line names a model or a server: what asks it once for each paper waits to be told."""
    return None if arguments.model or arguments.base_url else "extractive"


def opened(settings: Settings) -> Assistant:
    """An assistant. A bar shows the progress of opening it; a notice says if text will leave this machine."""
    from rag.answering.opening import open_assistant
    from rag.library.served import embedder_of
    from rag.show.progress import Bar

    with Bar() as bar:
        assistant = open_assistant(settings, progress=bar)
    told(embedder_of(assistant.library))
    if settings.model:
        notice(settings.model, settings.base_url)
    return assistant


def told(embedder: Embedder) -> Embedder:
    """The same embedder, once it was said that texts are about to leave this machine for it, if they are."""
    from rag.library.served import Served

    if isinstance(embedder, Served):
        _say_where_texts_go(embedder.name, embedder.endpoint.base_url)
    return embedder


@cache
def _say_where_texts_go(model: str, url: str) -> None:
    from rag.models.servers import is_remote, shown
    from rag.text import printable

    if is_remote(url):
        where = printable(f"{shown(url)} ({model})")
        print(f"rag: texts to embed (of papers added, and your questions) go to {where}", file=sys.stderr)


@cache
def notice(model: str, base_url: str | None) -> None:
    """Say, once a process, that text is about to leave this machine, and how to keep it here."""
    from rag.models.servers import file_of, is_remote, shown, url_of
    from rag.text import printable

    if not file_of(model, base_url) and is_remote(base_url):
        where = printable(f"{shown(url_of(base_url))} ({model})")
        print(
            f"rag: your questions and the passages found go to {where}; --model extractive keeps them here",
            file=sys.stderr,
        )


def where_of(arguments: argparse.Namespace) -> Filter:
    """The filter that the options name."""
    from rag import filters

    return filters.chosen(arguments.year, arguments.author, arguments.venue)


def say_where(library: Library, where: Filter) -> None:
    """Say how many papers a filter leaves."""
    if where:
        found = library.subsets.selected(where)
        print(f"rag: {one_line(found.where.said if found.ids else library.subsets.nothing(where))}", file=sys.stderr)


def show(rich: Callable[[], RenderableType], plain: Callable[[], str]) -> None:
    """Print one of two forms: rich at a terminal, else plain."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(rich())
    else:
        print(plain())


@contextmanager
def fencing(wanted: bool) -> Iterator[None]:
    """What is printed meanwhile comes at the end, between fences, if that is wanted; nothing when it fails."""
    if not wanted:
        yield
        return
    from rag.prompting import fenced

    with redirect_stdout(io.StringIO()) as kept:
        yield
    print(fenced(kept.getvalue()))


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and their texts, one a line; at a terminal a long text wraps inside its column."""
    if sys.stdout.isatty():
        from rag.show import lines, screen

        screen.Terminal().put(lines.pairs(pairs))
    else:
        for name, text in pairs:
            print(f"{name}  {text}")


def print_json(value: Any) -> None:
    """Print JSON, in ASCII."""
    print(json.dumps(value, ensure_ascii=True, indent=2))


def one_line(error: BaseException | str) -> str:
    """An error as one printable line of bounded length."""
    from rag.text import printable

    line = " ".join(printable(str(error)).split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"
