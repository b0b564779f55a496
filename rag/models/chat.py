"""What a chat model is here, and how one is opened.

A `ChatModel` is anything with a name that can be asked: `ask` gives the whole reply, `stream` the same
in pieces. `open_chat` makes one from a model's name and server (`rag.models.client`) or from a
llama-index LLM object, and takes an object that is one already as it is.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any, Protocol, runtime_checkable

from rag.errors import TextLeaves, UsageError
from rag.models import client
from rag.models.contexts import context_of
from rag.models.deadline import Deadline, Retries
from rag.models.prices import Prices, price_of
from rag.models.servers import HERE, file_of, is_remote, shown, url_of
from rag.models.streamed import Around, Part, Streamed
from rag.models.thoughts import VOID, Cleaner
from rag.records import Reply

_log = logging.getLogger(__name__)


Progress = Callable[[str, int, int], None]  # (what is going on, done, of how many)


@runtime_checkable
class ChatModel(Protocol):
    """A chat model ready to be asked; threads may share it.

    `name` is what answers say they come from. `ask` and `stream` take the instructions (system), the
    question with its passages (user), and a deadline (None: no limit). They raise ModelError, or
    Cancelled when the deadline's `cancelled` says so; `stream` raises while it is iterated.

    A model may also have `context`, the tokens that prompt and reply may have together; None or no such
    attribute where it does not know.
    """

    @property
    def name(self) -> str: ...

    def ask(self, system: str, user: str, *, deadline: Deadline | None = None) -> Reply: ...

    def stream(self, system: str, user: str, *, deadline: Deadline | None = None) -> Streamed: ...


_ANSWERS = re.compile(  # a first sentence with a mark, which does not speak of what is to be done
    r"\s*(?!(?:okay|ok|alright|hm+|let me|let's|first,? (?:i|we)|the (?:user|question)|(?:i|we) (?:need|have|should|will|must)|"
    r"so|now|wait|looking)\b)(?:[^.!?\n\[【]|[.!?](?=\d))+[.!?]?\s*[\[【]\s*\d",
    re.IGNORECASE,
)


class Outspoken:
    """A chat model whose replies are without its thoughts and control tokens (`rag.models.thoughts`).

    Where the thought begins in the prompt, nothing tells its text from an answer before its end arrives.
    So a reply is given piece by piece once its first sentence cites a passage, as an answer's does and a
    thought's hardly does; of a model that was seen to think so, only after that end; else all at once.
    """

    def __init__(self, model: ChatModel) -> None:
        self.name = model.name
        self._model = model
        self._thinks = False  # its thoughts were seen to begin in the prompt
        self._plain = False  # a whole reply of it was seen to hold none

    @property
    def context(self) -> int | None:
        """Tokens that prompt and reply may have together; None where the model does not say."""
        return getattr(self._model, "context", None)

    def ask(self, system: str, user: str, *, deadline: Deadline | None = None) -> Reply:
        """The whole reply."""
        reply = self._model.ask(system, user, deadline=deadline)
        cleaner = Cleaner()
        text = cleaner.feed(reply.text) + cleaner.close()
        self._learn(cleaner)
        return replace(reply, text=text.rpartition(VOID)[2])

    def stream(self, system: str, user: str, *, deadline: Deadline | None = None) -> Streamed:
        """The reply piece by piece; a piece "</think>" says that all before it was thought after all."""
        return Streamed(self._parts(self._model.stream(system, user, deadline=deadline)))

    def _parts(self, streamed: Streamed) -> Iterator[Part]:
        cleaner, held, given = Cleaner(waits=self._thinks), "", False
        for delta in streamed:
            held += cleaner.feed(delta)
            if not given:
                held = held.rpartition(VOID)[2]
            if held and (given or self._plain or cleaner.told or _ANSWERS.match(held)):
                yield Part(held)
                held, given = "", True
        held += cleaner.close()
        if held:
            yield Part(held if given else held.rpartition(VOID)[2])
        self._learn(cleaner)
        yield Part("", streamed.reply.finish, streamed.reply.usage)

    def _learn(self, cleaner: Cleaner) -> None:
        self._thinks |= cleaner.orphan
        self._plain = not self._thinks


def open_chat(
    model: Any,
    base_url: str | None,
    *,
    reply_tokens: int,
    temperature: float | None,
    retries: Retries | None = None,
    around: Around | None = None,
    prices: Prices | None = None,
    progress: Progress | None = None,
) -> ChatModel:
    """A chat model by its name and server (a base URL, a short name, None is OpenAI's), a GGUF file, or an object that is one.

    `retries`, `around` and `prices`, the user's own, are for a model at a server, to which nothing is sent yet;
    `progress` is for a file, which is loaded. Raises UsageError for a base URL or file that is none or an object that
    cannot be asked, ModelError when a key is missing or a file cannot be run.
    """
    if isinstance(model, str):
        if file := file_of(model, base_url):
            from rag.models import gguf

            return Outspoken(gguf.opened(file, reply_tokens=reply_tokens, temperature=temperature, progress=progress))
        url = url_of(base_url)
        if is_remote(url):
            _warn(shown(url))
        return Outspoken(
            client.served(
                model,
                url,
                reply_tokens=reply_tokens,
                temperature=temperature,
                retries=retries or Retries(),
                around=around,
                price=price_of(url, model, prices),
            )
        )
    if isinstance(model, ChatModel):
        return Outspoken(model)
    if callable(getattr(model, "chat", None)):
        return Outspoken(client.given(model))
    raise UsageError(f"model is {type(model).__name__}; give a model's name, a ChatModel or a llama-index LLM object")


@cache
def _warn(where: str) -> None:
    """Say, once a process and server, that text is about to leave this machine; the command says it in its own way."""
    _log.info("questions and passages go to %s", where)
    warnings.warn(f"questions and passages go to {where}", TextLeaves, stacklevel=3)


def saying(model: ChatModel, deadline: Deadline, *, piecemeal: bool) -> Callable[[str, str], Streamed]:
    """How a model is asked for a reply that is read in pieces, or in one piece."""
    if piecemeal:
        return partial(model.stream, deadline=deadline)

    def whole(system: str, user: str) -> Iterator[Part]:
        reply = model.ask(system, user, deadline=deadline)
        yield Part(reply.text, reply.finish, reply.usage)

    return lambda system, user: Streamed(whole(system, user))


def facts(model: str, base_url: str | None) -> tuple[str, int | None]:
    """Where a model by its name answers, and the tokens of its context, None where nobody knows: its server is asked."""
    if file := file_of(model, base_url):
        from rag.models import gguf

        return HERE, gguf.loaded(file).context
    url = url_of(base_url)
    return shown(url), context_of(model, url)


def list_models(base_url: str | None, *, deadline: Deadline) -> tuple[str, ...]:
    """The ids of the models that a server offers, sorted. Raises as `open_chat` and `ChatModel.ask` do."""
    return client.list_models(url_of(base_url), deadline)
