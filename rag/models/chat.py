"""What a chat model is here, and how one is opened.

A `ChatModel` is anything with a name that can be asked: `ask` gives the whole reply, `stream` the same
in pieces. `open_chat` makes one from a model's name and server (`rag.models.client`) or from a
llama-index LLM object, and takes an object that is one already as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, Protocol, runtime_checkable

from rag.errors import UsageError
from rag.models import client
from rag.models.deadline import Deadline, Retries
from rag.models.servers import is_remote, shown, url_of
from rag.models.streamed import Around, Part, Streamed
from rag.records import Reply

_log = logging.getLogger(__name__)


@runtime_checkable
class ChatModel(Protocol):
    """A chat model ready to be asked; threads may share it.

    `name` is what answers say they come from. `ask` and `stream` take the instructions (system), the
    question with its passages (user), and a deadline (None: no limit). They raise ModelError, or
    Cancelled when the deadline's `cancelled` says so; `stream` raises while it is iterated.
    """

    @property
    def name(self) -> str: ...

    def ask(self, system: str, user: str, *, deadline: Deadline | None = None) -> Reply: ...

    def stream(self, system: str, user: str, *, deadline: Deadline | None = None) -> Streamed: ...


def open_chat(
    model: Any,
    base_url: str | None,
    *,
    reply_tokens: int,
    temperature: float | None,
    retries: Retries | None = None,
    around: Around | None = None,
) -> ChatModel:
    """A chat model by its name and server (a base URL, a short name, None is OpenAI's), or an object that is one.

    `retries` and `around` are for a model by its name. Nothing is sent yet. Raises UsageError for a base
    URL that is none or an object that cannot be asked, ModelError when a key is missing.
    """
    if isinstance(model, str):
        url = url_of(base_url)
        if is_remote(url):
            _warn(shown(url))
        return client.served(
            model, url, reply_tokens=reply_tokens, temperature=temperature, retries=retries or Retries(), around=around
        )
    if isinstance(model, ChatModel):
        return model
    if callable(getattr(model, "chat", None)):
        return client.given(model)
    raise UsageError(f"model is {type(model).__name__}; give a model's name, a ChatModel or a llama-index LLM object")


@cache
def _warn(where: str) -> None:
    """Say, once a process and server, that text is about to leave this machine; the command says it in its own way."""
    _log.warning("questions and passages go to %s", where)


def saying(model: ChatModel, deadline: Deadline, *, piecemeal: bool) -> Callable[[str, str], Streamed]:
    """How a model is asked for a reply that is read in pieces, or in one piece."""
    if piecemeal:
        return partial(model.stream, deadline=deadline)

    def whole(system: str, user: str) -> Iterator[Part]:
        reply = model.ask(system, user, deadline=deadline)
        yield Part(reply.text, reply.finish, reply.usage)

    return lambda system, user: Streamed(whole(system, user))


def list_models(base_url: str | None, *, deadline: Deadline) -> tuple[str, ...]:
    """The ids of the models that a server offers, sorted. Raises as `open_chat` and `ChatModel.ask` do."""
    return client.list_models(url_of(base_url), deadline)
