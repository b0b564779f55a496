"""A reply that comes in parts: the parts, and what has come so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from rag.records import Finish, Reply, Usage


class Part(NamedTuple):
    """A piece of a reply, or its end with how it ended and what it cost."""

    delta: str = ""
    finish: Finish | None = None
    usage: Usage | None = None


class Streamed:
    """The pieces of a reply as they come; `reply` is what has come so far, at the end all of it.

    Raises ModelError in the middle when the server breaks off or the deadline passes.
    """

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts
        self.reply = Reply("", Usage())

    def __iter__(self) -> Iterator[str]:
        for delta, finish, usage in self._parts:
            so_far = self.reply
            self.reply = Reply(so_far.text + delta, so_far.usage + (usage or Usage()), finish or so_far.finish)
            if delta:
                yield delta


Around = Callable[[str, int, Iterator[Part]], Iterator[Part]]
"""Stands around every request to a server, retries too: (the prompt, the most tokens that the reply may
have, the request's parts) -> those parts. Nothing is sent before the first part is asked for. It sees
what a request raises before that is translated: an error with `status_code`, or TimeoutError.
"""
