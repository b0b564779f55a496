"""A chat model from a name and a base URL, through llama-index's OpenAI-like LLM.

`open_chat` gives a ChatModel, whose `ask` and `stream` take (system, user) and a deadline. Any
llama-index LLM object is taken as it is. All that can go wrong on the way ends, within the deadline,
in one ModelError line that says what to do. Retries are in one layer, `rag.models.deadline`: neither
llama-index nor the openai client retries. What a server refuses to be sent is left out from then on,
and a model that used up its room by thinking aloud is given more, once. `Reply.finish` says how a
reply ended; whether its text is fit to be read is for the caller to judge.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

from rag.errors import ModelError, RagError, UsageError
from rag.models.deadline import Deadline, patiently, wished
from rag.models.servers import is_remote, key_of, shown, url_of
from rag.records import Finish, Reply, Usage

CONTEXT = 8192  # assumed of a model; the prompt is kept well below by its own budget
RETRIES = 2
CONNECT = 10.0  # seconds to reach a server
MORE_ROOM = 4000  # tokens of a reply, once a model has used up fewer by thinking aloud

Complete = Callable[[str, str], tuple[str, Usage]]
_opened: ContextVar[list[Any] | None] = ContextVar("opened", default=None)  # HTTP responses of the present attempt
_log = logging.getLogger(__name__)


class _Part(NamedTuple):
    """A piece of a reply, or its end with what it cost."""

    delta: str = ""
    finish: Finish | None = None
    usage: Usage | None = None


class Streamed:
    """The pieces of a reply as they come; `reply` is what has come so far, at the end all of it.

    Raises ModelError in the middle when the server breaks off or the deadline passes.
    """

    def __init__(self, parts: Iterator[_Part]) -> None:
        self._parts = parts
        self.reply = Reply("", Usage())

    def __iter__(self) -> Iterator[str]:
        for delta, finish, usage in self._parts:
            so_far = self.reply
            self.reply = Reply(so_far.text + delta, so_far.usage + (usage or Usage()), finish or so_far.finish)
            if delta:
                yield delta


# --- opening ------------------------------------------------------------------------------------


def open_chat(model: Any, base_url: str | None, *, reply_tokens: int, temperature: float | None) -> ChatModel:
    """A chat model by its name and server (a base URL, a short name, None is OpenAI's), or an LLM object.

    Nothing is sent yet. Raises UsageError for a base URL that is none, ModelError when a key is missing.
    """
    if not isinstance(model, str):
        return _given(model)
    url = url_of(base_url)
    sent = _Sent(temperature)
    llm = _openai_like(model, url, sent)
    if is_remote(url):
        _log.info("questions and passages go to %s", shown(url))
    return ChatModel(model, llm, url, sent, reply_tokens)


def list_models(base_url: str | None, *, deadline: Deadline) -> tuple[str, ...]:
    """The ids of the models that a server offers, sorted. Raises as `open_chat` and `ChatModel.ask` do."""
    url = url_of(base_url)
    client = _client(url)

    def ids(seconds: float) -> Iterator[str]:
        for model in client.models.list(timeout=_timeout(seconds)).data or ():
            yield str(model.id)

    try:
        return tuple(sorted(patiently(ids, deadline, RETRIES)))
    except Exception as error:
        raise _translated(error, None, url, deadline) from error


def _given(llm: Any) -> ChatModel:
    if not callable(getattr(llm, "chat", None)):
        raise UsageError(f"model is {type(llm).__name__}; give a model's name or a llama-index LLM object")
    name = str(getattr(getattr(llm, "metadata", None), "model_name", "") or type(llm).__name__)
    return ChatModel(name, llm, None, None, 0)


def _openai_like(model: str, url: str, sent: _Sent) -> Any:
    from llama_index.llms.openai_like import OpenAILike

    class Adjusted(OpenAILike):  # type: ignore[misc]
        """Sends what its server takes."""

        def _get_model_kwargs(self, **kwargs: Any) -> dict[str, Any]:
            return sent.adjusted(super()._get_model_kwargs(**kwargs))

    try:
        return Adjusted(
            model=model,
            api_base=url,
            api_key=key_of(url),
            is_chat_model=True,
            is_function_calling_model=False,
            context_window=CONTEXT,
            temperature=sent.temperature or 0.0,
            max_retries=0,  # see rag.models.deadline
            openai_client=_client(url),
        )
    except ValueError as error:  # a model that llama-index knows to have no chat
        raise ModelError(f"{model!r} cannot be used for chat ({_line(str(error))}); choose another --model") from error


def _client(url: str) -> Any:
    from openai import DefaultHttpxClient, OpenAI

    # Proxies do not get to see what stays here.
    http = DefaultHttpxClient(trust_env=is_remote(url), event_hooks={"response": [_note]})
    return OpenAI(base_url=url, api_key=key_of(url), max_retries=0, http_client=http)


def _note(response: Any) -> None:
    if (opened := _opened.get()) is not None:
        opened.append(response)


def _timeout(seconds: float) -> Any:
    from openai import Timeout

    return Timeout(None if math.isinf(seconds) else max(seconds, 0.001), connect=min(CONNECT, max(seconds, 0.001)))


# --- asking -------------------------------------------------------------------------------------


class ChatModel:
    """A chat model ready to be asked; may be shared by threads.

    name  as it was given, or as the LLM object says
    url   the server's base URL; None for an LLM object
    """

    def __init__(self, name: str, llm: Any, url: str | None, sent: _Sent | None, reply_tokens: int) -> None:
        self.name = name
        self.url = url
        self._llm = llm
        self._sent = sent
        self._room = reply_tokens

    def ask(self, system: str, user: str, *, deadline: Deadline | None = None) -> Reply:
        """The whole reply. Raises ModelError, Cancelled when the deadline's `cancelled` says so."""
        streamed = self.stream(system, user, deadline=deadline, whole=True)
        for _ in streamed:
            pass
        return streamed.reply

    def stream(self, system: str, user: str, *, deadline: Deadline | None = None, whole: bool = False) -> Streamed:
        """The reply piece by piece, or `whole` in one; raises as `ask` does, while it is iterated."""
        return Streamed(self._parts(system, user, not whole, deadline or Deadline(math.inf)))

    def _parts(self, system: str, user: str, streaming: bool, deadline: Deadline) -> Iterator[_Part]:
        """A reply's parts; those of a second one when all the room of the first went to thoughts."""
        messages, said, finish, room = _messages(system, user), "", None, self._room
        for part in self._called(messages, streaming, room, deadline):
            said, finish = said + part.delta, part.finish or finish
            yield part
        if self._sent and finish == "length" and room < MORE_ROOM and _only_thoughts(said):
            self._room = MORE_ROOM  # from the start the next time
            if said.rfind("</think>") < said.rfind("<think>"):
                yield _Part("\n</think>\n")
            yield from self._called(messages, streaming, MORE_ROOM, deadline)

    def _called(self, messages: Sequence[Any], streaming: bool, room: int, deadline: Deadline) -> Iterator[_Part]:
        """The parts of one reply; its end, with what it cost, comes last and once."""
        begun, end = False, _Part("", None, Usage(1))
        try:
            for part in patiently(
                partial(self._attempt, messages, streaming, room), deadline, self._retried, self._mended
            ):
                finish = end.finish if end.finish == "refused" else part.finish or end.finish
                end = _Part("", finish, part.usage or end.usage)
                if part.delta:
                    begun = True
                    yield _Part(part.delta)
        except Exception as error:
            raise _translated(error, self.name, self.url, deadline, begun) from error
        if streaming and self._sent and self._can_stream and end.finish is None:
            raise _translated(EOFError("the stream ended too soon"), self.name, self.url, deadline, begun)
        yield end._replace(finish=end.finish or "unknown")

    def _attempt(self, messages: Sequence[Any], streaming: bool, room: int, seconds: float) -> Iterator[_Part]:
        """One call from start to end; parts that say nothing are left out."""
        opened: list[Any] = []
        _opened.set(opened)
        options: dict[str, Any] = {"max_tokens": room, "timeout": _timeout(seconds)} if self._sent else {}
        try:
            if not (streaming and self._can_stream):
                yield _whole(self._llm.chat(messages, **options))
                return
            if self._sent:
                options["stream_options"] = {"include_usage": True}
            said = ""
            for chunk in self._llm.stream_chat(messages, **options):
                if any(part := _chunk(chunk, said)):
                    said += part.delta
                    yield part
        finally:
            for response in opened:  # nothing else closes a stream that is left in the middle
                response.close()

    @property
    def _can_stream(self) -> bool:
        return "stream" not in self._sent.instead if self._sent else callable(getattr(self._llm, "stream_chat", None))

    @property
    def _retried(self) -> int:
        return RETRIES if self._sent else 0  # an LLM object has retries of its own

    def _mended(self, error: Exception) -> bool:
        return self._sent is not None and self._sent.learn(error)


def _messages(system: str, user: str) -> list[Any]:
    from llama_index.core.base.llms.types import ChatMessage

    return [ChatMessage(role="system", content=system), ChatMessage(role="user", content=user)]


def _only_thoughts(text: str) -> bool:
    return not re.sub(r"<think>.*?(</think>|\Z)", "", text, flags=re.DOTALL | re.IGNORECASE).strip()


# --- what a server takes ------------------------------------------------------------------------


class _Sent:
    """What a server is sent besides the messages; learns from its refusals what to leave out."""

    NAMES = ("max_tokens", "max_completion_tokens", "temperature", "stream_options", "stream")

    def __init__(self, temperature: float | None) -> None:
        self.temperature = temperature
        self.instead = {} if temperature is not None else {"temperature": ""}  # newer models refuse any
        self._last: frozenset[str] = frozenset()

    def adjusted(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request under the names that the server knows, without what it refuses."""
        sent: dict[str, Any] = {}
        for name, value in request.items():
            while name in self.instead:
                name = self.instead[name]
            if name:
                sent[name] = value
        self._last = frozenset(sent)
        return sent

    def learn(self, error: Exception) -> bool:
        """Does the server refuse something that can be left out? Each name is learned once."""
        if getattr(error, "status_code", None) not in (400, 422) or _is_too_long(error):
            return False
        text = str(error)
        named = [name for name in self.NAMES if re.search(rf"\b{name}\b", text)]
        refused = [name for name in (_param(error), *named) if name in self._last and name in self.NAMES]
        if not refused or refused[0] in self.instead:
            return False
        other = "max_completion_tokens"
        self.instead[refused[0]] = other if refused[0] == "max_tokens" and other in text else ""
        return True


def _param(error: Exception) -> str | None:
    """The parameter that an error of OpenAI's kind is about."""
    body = getattr(error, "body", None)
    return str(body.get("param")) if isinstance(body, dict) else None


def _is_too_long(error: Exception) -> bool:
    return bool(
        re.search(r"context.{0,20}(length|size|window)|context_length|exceed_context", str(error), re.IGNORECASE)
    )


# --- reading replies ----------------------------------------------------------------------------


_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "refused",
    "tool_calls": "tools",
    "function_call": "tools",
}


def _whole(reply: Any) -> _Part:
    """A whole reply as one part."""
    choice = _choice(reply.raw)
    return _Part(reply.message.content or "", _finish(choice, getattr(choice, "message", None)), _usage(reply.raw))


def _chunk(reply: Any, said: str) -> _Part:
    """A chunk of a stream; some LLM objects give no delta, only all that was said so far."""
    choice = _choice(reply.raw)
    delta = (reply.message.content or "")[len(said) :] if reply.delta is None else reply.delta
    return _Part(delta, _finish(choice, getattr(choice, "delta", None)), _usage(reply.raw))


def _choice(raw: Any) -> Any:
    return next(iter(getattr(raw, "choices", None) or ()), None)


def _finish(choice: Any, message: Any) -> Finish | None:
    if getattr(message, "refusal", None):
        return "refused"
    said = getattr(choice, "finish_reason", None)
    return _FINISH.get(str(said), "unknown") if said else None


def _usage(raw: Any) -> Usage | None:
    usage = getattr(raw, "usage", None)
    numbers = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    return Usage(1, *(n if isinstance(n, int) else 0 for n in numbers)) if usage else None


# --- what went wrong ----------------------------------------------------------------------------


def _translated(
    error: Exception, model: str | None, url: str | None, deadline: Deadline, begun: bool = False
) -> RagError:
    """Any error of a call as one line; most name their HTTP status, the rest their kind. `begun`: some text came."""
    if isinstance(error, RagError):
        return error
    where = shown(url) if url else f"the LLM object {model}"
    kind, status = type(error).__name__, getattr(error, "status_code", None)
    if status is not None and url:
        problem = _of_status(status, error, model, where)
    elif type(error.__cause__).__name__ == "ConnectTimeout":
        problem = "cannot be reached; check --base-url and the network"
    elif isinstance(error, TimeoutError) or kind == "APITimeoutError":
        limit = "in time" if math.isinf(deadline.seconds) else f"within {deadline.seconds:g} s"
        problem = f"did not {'finish' if begun else 'answer'} {limit}; give it longer with --deadline"
    elif begun:
        problem = "broke off in the middle of its answer; try again"
    elif kind == "APIConnectionError":
        problem = "cannot be reached; is the server running? check --base-url"
    elif url and isinstance(error, AttributeError | LookupError | TypeError | ValueError | EOFError):
        problem = f"answered, but not as an OpenAI-compatible server does ({kind}); check that --base-url ends in /v1"
    else:
        problem = f"gave no usable answer ({kind}: {_line(str(error))}); try again"
    return ModelError(f"{where} {problem}" + (", or leave --model out" if model else ""))


def _of_status(status: int, error: Exception, model: str | None, where: str) -> str:
    detail, pause = _detail(error), wished(error)
    if status in (401, 403):
        return f"refused the key (HTTP {status}); set RAG_API_KEY or OPENAI_API_KEY to a valid one"
    if status == 404 and model is None:
        return "lists no models (HTTP 404); check that --base-url ends in /v1"
    if status == 404:
        return f"has no model {model!r} (HTTP 404); type: rag models --base-url {where}, choose one of those"
    if status == 429 and pause and pause > 1:
        return f"says too many requests (HTTP 429); try again in {math.ceil(pause):,} s"
    if status == 429:
        return "says too many requests or no credit left (HTTP 429); try again later"
    if _is_too_long(error):
        return f"has too short a context for this (HTTP {status}: {detail}); lengthen it there, or try -k 2"
    return f"failed (HTTP {status}: {detail}); try again"


def _detail(error: Exception) -> str:
    """What the server says is wrong."""
    body = getattr(error, "body", None)
    said = body.get("message") or body.get("detail") if isinstance(body, dict) else None
    return _line(str(said or error))


def _line(text: str) -> str:
    """At most 160 characters on one line, nothing a terminal would obey."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())[:160]
