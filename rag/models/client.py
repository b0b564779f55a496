"""The chat models behind `rag.models.chat`: one at an OpenAI-compatible server, and a llama-index LLM object.

Both are asked through llama-index. All that can go wrong on the way ends, within the deadline, in one
ModelError line that says what to do. Retries are in one layer, `rag.models.deadline`: neither
llama-index nor the openai client retries. What a server refuses to be sent is left out from then on
(`rag.models.parameters`), its interface is looked for at /v1 when it is not where the base URL says,
and a model that used up its room by thinking aloud is given more, once. `Reply.finish` says how a
reply ended; whether its text is fit to be read is for the caller to judge.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from rag.errors import ModelError, RagError
from rag.models.contexts import context_of, of_family
from rag.models.deadline import Deadline, Retries, patiently
from rag.models.failures import is_odd, line, translated
from rag.models.network import CONNECT, DONE, openai_client
from rag.models.parameters import SYSTEM, Parameters
from rag.models.prices import Price, priced
from rag.models.replies import piece, text_of, whole
from rag.models.servers import shown
from rag.models.streamed import Around, Part, Streamed
from rag.models.thoughts import VOID, cleaned
from rag.records import Reply, Usage
from rag.remedies import Remedy

CONTEXT = 8192  # what llama-index is told of every model; it does not look at it when it chats
MORE_ROOM = 4000  # tokens of a reply, once a model has used up fewer by thinking aloud


def served(
    model: str,
    url: str,
    *,
    reply_tokens: int,
    temperature: float | None,
    retries: Retries,
    around: Around | None,
    price: Price | None,
    key: str | None = None,
    where: str | None = None,
    kept: object = None,
) -> Client:
    """A model by its name at a server's base URL. Raises ModelError when a key is missing.

    key    what the server wants to be shown; None is what the environment says
    where  what errors name instead of the URL
    kept   lives as long as the client
    """
    return Client(
        model, Server(model, url, Parameters(temperature), key), url, reply_tokens, retries, around, price, where, kept
    )


def given(llm: Any) -> Client:
    """A llama-index LLM object; it has retries of its own."""
    name = str(getattr(getattr(llm, "metadata", None), "model_name", "") or type(llm).__name__)
    return Client(name, Object(llm), None, MORE_ROOM, Retries(0))


def list_models(url: str, deadline: Deadline) -> tuple[str, ...]:
    """The ids of the models that a server offers, sorted. Raises ModelError."""
    client = openai_client(url)

    def ids(seconds: float) -> Iterator[str]:
        for model in client.models.list(timeout=_timeout(seconds)).data or ():
            yield str(model.id)

    try:
        return tuple(sorted(patiently(ids, deadline, Retries(), Elsewhere(client, url).is_at)))
    except RagError:
        raise
    except Exception as error:
        raise translated(error, None, url, deadline, where=shown(url)) from error


def _timeout(seconds: float) -> Any:
    from openai import Timeout

    return Timeout(None if math.isinf(seconds) else max(seconds, 0.001), connect=min(CONNECT, max(seconds, 0.001)))


# --- asking -------------------------------------------------------------------------------------


class Source(Protocol):
    """Where replies come from: `parts` is one call from start to end, whose last part says how it ended."""

    def parts(self, system: str, user: str, *, streaming: bool, room: int, seconds: float) -> Iterator[Part]: ...

    def mended(self, error: Exception) -> bool:
        """Would the same call go well now, by what was learned from its error?"""
        ...

    def context(self) -> int | None:
        """Tokens that prompt and reply may have together; None where nobody knows."""
        ...


class Client:
    """A `ChatModel` that llama-index asks.

    name   as it was given, or as the LLM object says
    url    the server's base URL; None for an LLM object or a file
    where  what errors name
    """

    def __init__(
        self,
        name: str,
        source: Source,
        url: str | None,
        reply_tokens: int,
        retries: Retries,
        around: Around | None = None,
        price: Price | None = None,
        where: str | None = None,
        kept: object = None,
    ) -> None:
        self.name = name
        self._kept = kept
        self._where = where or (shown(url) if url else f"the LLM object {name}")
        self.url = url
        self._source = source
        self._room = reply_tokens
        self._retries = retries
        self._price = price
        self._around = around or (lambda prompt, room, parts: parts)

    @property
    def context(self) -> int | None:
        """Tokens that prompt and reply may have together; None where nobody knows. A server is asked once a process."""
        return self._source.context()

    def ask(self, system: str, user: str, *, deadline: Deadline | None = None) -> Reply:
        """The whole reply."""
        streamed = Streamed(self._parts(system, user, False, deadline or Deadline(math.inf)))
        for _ in streamed:
            pass
        return streamed.reply

    def stream(self, system: str, user: str, *, deadline: Deadline | None = None) -> Streamed:
        """The reply piece by piece."""
        return Streamed(self._parts(system, user, True, deadline or Deadline(math.inf)))

    def _parts(self, system: str, user: str, streaming: bool, deadline: Deadline) -> Iterator[Part]:
        """A reply's parts; those of a second one when all the room of the first went to thoughts."""
        said, finish, room = "", None, self._room
        for part in self._called(system, user, streaming, room, deadline):
            said, finish = said + part.delta, part.finish or finish
            yield part
        if finish == "length" and room < MORE_ROOM and not cleaned(said).strip():
            self._room = MORE_ROOM  # from the start the next time
            if said.strip():
                yield Part(f"\n{VOID}\n")
            yield from self._called(system, user, streaming, MORE_ROOM, deadline)

    def _called(self, system: str, user: str, streaming: bool, room: int, deadline: Deadline) -> Iterator[Part]:
        """The parts of one reply; its end, with what it cost, comes last and once."""
        begun, end = False, Part("", None, Usage(1))

        def once(seconds: float) -> Iterator[Part]:
            return self._source.parts(system, user, streaming=streaming, room=room, seconds=seconds)

        around = partial(self._around, system + user, room)
        try:
            for part in patiently(once, deadline, self._retries, self._source.mended, around):
                finish = end.finish if end.finish == "refused" else part.finish or end.finish
                end = Part("", finish, part.usage or end.usage)
                if part.delta:
                    begun = True
                    yield Part(part.delta)
        except RagError:
            raise
        except Exception as error:
            raise translated(error, self.name, self.url, deadline, begun, where=self._where) from error
        yield end._replace(finish=end.finish or "unknown", usage=priced(end.usage or Usage(1), self._price))


# --- a server -----------------------------------------------------------------------------------


class Server:
    """One model at an OpenAI-compatible server."""

    def __init__(self, model: str, url: str, parameters: Parameters, key: str | None) -> None:
        self.context = partial(context_of, model, url)
        self._parameters = parameters
        self._client = openai_client(url, key)
        self._elsewhere = Elsewhere(self._client, url)
        self._llm = _openai_like(model, url, parameters, self._client)

    def parts(self, system: str, user: str, *, streaming: bool, room: int, seconds: float) -> Iterator[Part]:
        """One call from start to end; chunks that say nothing are left out.

        Raises EOFError for a stream that ends before it says so, and what `replies` raises.
        """
        messages = _messages(system, user, apart=self._parameters.sends(SYSTEM))
        options: dict[str, Any] = {"max_tokens": room, "timeout": _timeout(seconds)}
        if not (streaming and self._parameters.sends("stream")):
            yield whole(self._llm.chat(messages, **options).raw)
            return
        said, ended = "", False
        for chunk in self._llm.stream_chat(messages, stream_options={"include_usage": True}, **options):
            part = piece(chunk.raw, said)
            ended |= DONE in chunk.additional_kwargs or (part is not None and part.finish is not None)
            if part and any(part):
                said += part.delta
                yield part
        if not ended:
            raise EOFError("the stream ended too soon")

    def mended(self, error: Exception) -> bool:
        """By leaving out what the server refuses, or by calling it at /v1."""
        return self._parameters.learn(error) or self._elsewhere.is_at(error)


class Elsewhere:
    """Looks for a server's interface at /v1 below a base URL at which it is not."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._below = None if re.search(r"/v\d\w*(/|$)", urlsplit(url).path) else f"{url}/v1/"

    def is_at(self, error: Exception) -> bool:
        """May this error mean that the interface is elsewhere? Then it is called there from now on; once."""
        if self._below is None or not (getattr(error, "status_code", None) in (404, 405) or is_odd(error)):
            return False
        self._client.base_url, self._below = self._below, None
        return True


def _openai_like(model: str, url: str, parameters: Parameters, client: Any) -> Any:
    from llama_index.core.base.llms.types import ChatResponse
    from llama_index.llms.openai.utils import to_openai_message_dicts
    from llama_index.llms.openai_like import OpenAILike

    class Tolerant(OpenAILike):  # type: ignore[misc]
        """Sends what its server takes, and leaves the reading of what comes to `rag.models.replies`."""

        def _get_model_kwargs(self, **kwargs: Any) -> dict[str, Any]:
            return parameters.adjusted(super()._get_model_kwargs(**kwargs))

        def _chat(self, messages: Sequence[Any], **kwargs: Any) -> Any:
            sent = to_openai_message_dicts(messages, model=self.model)
            raw = client.chat.completions.create(messages=sent, **self._get_model_kwargs(**kwargs))
            return ChatResponse(message=_message("assistant", ""), raw=raw)

        def _stream_chat(self, messages: Sequence[Any], **kwargs: Any) -> Iterator[Any]:
            sent = to_openai_message_dicts(messages, model=self.model)
            with client.chat.completions.create(messages=sent, **self._get_model_kwargs(stream=True, **kwargs)) as raws:
                some = False
                for raw in raws:
                    some |= bool(getattr(raw, "choices", None))
                    yield ChatResponse(message=_message("assistant", ""), raw=raw)
                if some and raws.response.extensions.get(DONE):  # whole, whatever it says of its end
                    yield ChatResponse(message=_message("assistant", ""), additional_kwargs={DONE: True})

    try:
        return Tolerant(
            model=model,
            api_base=url,
            api_key=client.api_key,
            is_chat_model=True,
            is_function_calling_model=False,
            context_window=CONTEXT,
            temperature=parameters.temperature or 0.0,
            max_retries=0,  # see rag.models.deadline
            openai_client=client,
        )
    except ValueError as error:  # a model that llama-index knows to have no chat
        raise ModelError(f"{model!r} cannot be used for chat ({line(str(error))})", Remedy.OTHER_MODEL) from error


def _messages(system: str, user: str, *, apart: bool = True) -> list[Any]:
    if not apart:
        return [_message("user", f"{system}\n\n{user}")]
    return [_message("system", system), _message("user", user)]


def _message(role: str, content: str) -> Any:
    from llama_index.core.base.llms.types import ChatMessage

    return ChatMessage(role=role, content=content)


# --- an object ----------------------------------------------------------------------------------


class Object:
    """A llama-index LLM object, or what has at least its `chat`."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm

    def parts(self, system: str, user: str, *, streaming: bool, room: int, seconds: float) -> Iterator[Part]:
        """One call from start to end; its own settings say how long a reply may be."""
        messages, stream = _messages(system, user), getattr(self._llm, "stream_chat", None)
        if not (streaming and callable(stream)):
            reply = self._llm.chat(messages)
            yield _as_part(reply, text_of(reply.message.content))
            return
        said = ""
        for chunk in stream(messages):
            text = (
                text_of(chunk.message.content)[len(said) :] if chunk.delta is None else chunk.delta
            )  # all so far, or what is new
            part = _as_part(chunk, text)
            said += part.delta
            if any(part):
                yield part

    def mended(self, error: Exception) -> bool:
        """It learns nothing."""
        return False

    def context(self) -> int | None:
        """What it says of itself, unless that is llama-index's own number for those that do not say."""
        from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW

        facts = getattr(self._llm, "metadata", None)
        said = getattr(facts, "context_window", None)
        if isinstance(said, int) and said > 0 and said != DEFAULT_CONTEXT_WINDOW:
            return said
        return of_family(str(getattr(facts, "model_name", "")))


def _as_part(reply: Any, text: str) -> Part:
    """The text, with how it ended and what it cost from the server's reply below llama-index's."""
    try:
        below = whole(reply.raw)
    except ValueError:
        below = Part()
    return below._replace(delta=text)
