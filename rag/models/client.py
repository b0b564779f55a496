"""The chat models behind `rag.models.chat`: one at an OpenAI-compatible server, and a llama-index LLM object.

Both are asked through llama-index. All that can go wrong on the way ends, within the deadline, in one
ModelError line that says what to do. Retries are in one layer, `rag.models.deadline`: neither
llama-index nor the openai client retries. What a server refuses to be sent is left out from then on,
and a model that used up its room by thinking aloud is given more, once. `Reply.finish` says how a
reply ended; whether its text is fit to be read is for the caller to judge.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

from rag.errors import ModelError, RagError
from rag.models.deadline import Deadline, Retries, patiently
from rag.models.failures import is_too_long, line, translated
from rag.models.servers import is_remote, key_of
from rag.models.streamed import Around, Part, Streamed
from rag.records import Finish, Reply, Usage
from rag.remedies import Remedy

CONTEXT = 8192  # assumed of a model; the prompt is kept well below by its own budget
CONNECT = 10.0  # seconds to reach a server
MORE_ROOM = 4000  # tokens of a reply, once a model has used up fewer by thinking aloud

_opened: ContextVar[list[Any] | None] = ContextVar("opened", default=None)  # HTTP responses of the present attempt


# --- opening ------------------------------------------------------------------------------------


def served(
    model: str, url: str, *, reply_tokens: int, temperature: float | None, retries: Retries, around: Around | None
) -> Client:
    """A model by its name at a server's base URL. Raises ModelError when a key is missing."""
    sent = _Sent(temperature)
    return Client(model, _openai_like(model, url, sent), url, sent, reply_tokens, retries, around)


def given(llm: Any) -> Client:
    """A llama-index LLM object; it has retries of its own."""
    name = str(getattr(getattr(llm, "metadata", None), "model_name", "") or type(llm).__name__)
    return Client(name, llm, None, None, 0, Retries(0), None)


def list_models(url: str, deadline: Deadline) -> tuple[str, ...]:
    """The ids of the models that a server offers, sorted. Raises ModelError."""
    client = _http_client(url)

    def ids(seconds: float) -> Iterator[str]:
        for model in client.models.list(timeout=_timeout(seconds)).data or ():
            yield str(model.id)

    try:
        return tuple(sorted(patiently(ids, deadline, Retries())))
    except Exception as error:
        raise translated(error, None, url, deadline) from error


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
            openai_client=_http_client(url),
        )
    except ValueError as error:  # a model that llama-index knows to have no chat
        raise ModelError(f"{model!r} cannot be used for chat ({line(str(error))})", Remedy.OTHER_MODEL) from error


def _http_client(url: str) -> Any:
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


class Client:
    """A `ChatModel` that llama-index asks.

    name  as it was given, or as the LLM object says
    url   the server's base URL; None for an LLM object
    """

    def __init__(
        self,
        name: str,
        llm: Any,
        url: str | None,
        sent: _Sent | None,
        reply_tokens: int,
        retries: Retries,
        around: Around | None,
    ) -> None:
        self.name = name
        self.url = url
        self._llm = llm
        self._sent = sent
        self._room = reply_tokens
        self._retries = retries
        self._around = around or (lambda prompt, room, parts: parts)

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
        if self._sent and finish == "length" and room < MORE_ROOM and _only_thoughts(said):
            self._room = MORE_ROOM  # from the start the next time
            if said.rfind("</think>") < said.rfind("<think>"):
                yield Part("\n</think>\n")
            yield from self._called(system, user, streaming, MORE_ROOM, deadline)

    def _called(self, system: str, user: str, streaming: bool, room: int, deadline: Deadline) -> Iterator[Part]:
        """The parts of one reply; its end, with what it cost, comes last and once."""
        begun, end = False, Part("", None, Usage(1))
        messages = _messages(system, user)
        try:
            for part in patiently(
                partial(self._attempt, messages, streaming, room),
                deadline,
                self._retries,
                self._mended,
                partial(self._around, system + user, room),
            ):
                finish = end.finish if end.finish == "refused" else part.finish or end.finish
                end = Part("", finish, part.usage or end.usage)
                if part.delta:
                    begun = True
                    yield Part(part.delta)
        except RagError:
            raise
        except Exception as error:
            raise translated(error, self.name, self.url, deadline, begun) from error
        if streaming and self._sent and self._can_stream and end.finish is None:
            raise translated(EOFError("the stream ended too soon"), self.name, self.url, deadline, begun)
        yield end._replace(finish=end.finish or "unknown")

    def _attempt(self, messages: Sequence[Any], streaming: bool, room: int, seconds: float) -> Iterator[Part]:
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
        if getattr(error, "status_code", None) not in (400, 422) or is_too_long(error):
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


# --- reading replies ----------------------------------------------------------------------------


_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "refused",
    "tool_calls": "tools",
    "function_call": "tools",
}


def _whole(reply: Any) -> Part:
    """A whole reply as one part."""
    choice = _choice(reply.raw)
    return Part(reply.message.content or "", _finish(choice, getattr(choice, "message", None)), _usage(reply.raw))


def _chunk(reply: Any, said: str) -> Part:
    """A chunk of a stream; some LLM objects give no delta, only all that was said so far."""
    choice = _choice(reply.raw)
    delta = (reply.message.content or "")[len(said) :] if reply.delta is None else reply.delta
    return Part(delta, _finish(choice, getattr(choice, "delta", None)), _usage(reply.raw))


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
