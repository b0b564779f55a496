"""What a server's reply says, in whatever shape it comes: text, how it ended, what it cost, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.models.streamed import Part
from rag.records import Finish, Usage

REPEATED = 20  # characters: a chunk that begins with all that came before says them again

_FINISH: dict[str, Finish] = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "end_turn": "stop", "stop_sequence": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length", "max_output_tokens": "length",
    "content_filter": "refused", "safety": "refused", "refusal": "refused",
    "tool_calls": "tools", "function_call": "tools", "tool_use": "tools",
}  # fmt: skip


class ServerSaid(Exception):
    """An error that a server put into a reply whose status is that of a good one. `body` is what it said."""

    def __init__(self, body: Any) -> None:
        super().__init__(said_in(body))
        self.body = body


def said_in(body: Any) -> str:
    """The words in an error's body: a text, or the text under a usual name."""
    if isinstance(body, Mapping):
        named = (body.get(name) for name in ("message", "error", "detail", "details", "msg", "reason"))
        return next((said_in(value) for value in named if value), "")
    return body if isinstance(body, str) else "" if body is None else str(body)


def whole(raw: Any) -> Part:
    """A whole reply. Raises ServerSaid for an error, ValueError for what is no reply."""
    choice = _choice(raw)
    message = _of(choice, "message") or _of(choice, "delta")
    if message is None:
        raise_for_error(raw)
        raise ValueError("no choices")
    return Part(text_of(_of(message, "content")), _finish(choice, message), _usage(raw))


def piece(raw: Any, said: str) -> Part | None:
    """A chunk of a stream, of which `said` came before; None for one without a choice that counts nothing.

    Raises ServerSaid for an error.
    """
    choice, usage = _choice(raw), _usage(raw)
    if choice is None:
        raise_for_error(raw)
        return Part("", None, usage) if usage else None
    delta, message = _of(choice, "delta"), _of(choice, "message")
    if _of(delta, "content") is None and message is not None:  # all of it at once, or once more at the end
        text = text_of(_of(message, "content")).removeprefix(said)
    else:
        text = text_of(_of(delta, "content"))
        if len(said) >= REPEATED:  # some send all that was said so far with each chunk
            text = text.removeprefix(said)
    return Part(text, _finish(choice, delta if message is None else message), usage)


def raise_for_error(raw: Any) -> None:
    """Raises ServerSaid when what came instead of a choice is an error."""
    body = _of(raw, "error")
    if not body and (_of(raw, "code") or _of(raw, "status")):
        body = {name: _of(raw, name) for name in ("message", "detail", "details", "msg")}
    if said_in(body):
        raise ServerSaid(body)


def text_of(content: Any) -> str:
    """The text in a message's content: a text, or parts of which those that are thoughts are left out."""
    if isinstance(content, list):
        return "".join(text_of(part) for part in content)
    if isinstance(content, str) or content is None:
        return content or ""
    return text_of(_of(content, "text")) if _of(content, "type") in (None, "text", "output_text") else ""


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _choice(raw: Any) -> Any:
    choices = _of(raw, "choices")
    return choices[0] if isinstance(choices, list | tuple) and choices else None


def _finish(choice: Any, message: Any) -> Finish | None:
    if _of(message, "refusal"):
        return "refused"
    said = str(_of(choice, "finish_reason") or "").lower()
    return _FINISH.get(said, "unknown") if said not in ("", "null", "none") else None


def _usage(raw: Any) -> Usage | None:
    usage = _of(raw, "usage")
    numbers = [_of(usage, name) for name in ("prompt_tokens", "completion_tokens")]
    return Usage(1, *(int(n) if isinstance(n, int | float) else 0 for n in numbers)) if usage else None
