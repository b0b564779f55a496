"""A chat model from a name and a base URL, through llama-index's OpenAI-like LLM.

Any llama-index LLM object is taken as it is. A model is one callable, (system, user) -> (text,
usage); whatever the server, the network or the packages raise on the way becomes one ModelError
line that says what to do. Retries are in one layer, the openai client's, and bounded. A key is
read when a model is named, never to choose one: RAG_API_KEY, then OPENAI_API_KEY (the latter only
for OpenAI's own server unless nothing else is set).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from rag.errors import ModelError, RagError, UsageError
from rag.records import Usage

OPENAI = "https://api.openai.com/v1"
CONTEXT = 8192  # assumed of a model; the prompt is kept well below by its own budget
RETRIES = 2
NO_KEY = "not-needed"  # what local servers are sent: the client insists on some key

Complete = Callable[[str, str], tuple[str, Usage]]


def open_model(
    model: Any, base_url: str | None, *, timeout: float, reply_tokens: int, temperature: float | None
) -> tuple[str, Complete]:
    """(name, complete) for a model name, with its server, or a llama-index LLM object.

    Nothing is sent yet. Raises UsageError for a base URL that is none, ModelError when a key is
    missing or the packages are not installed.
    """
    if not isinstance(model, str):
        return _object(model)
    url = _checked(base_url)
    llm = _openai_like(model, url, _key(url), timeout, reply_tokens, temperature)
    where = url or OPENAI
    return model, lambda system, user: _complete(llm, model, where, system, user)


def is_remote(base_url: str | None) -> bool:
    """Would text leave this machine? True unless the server's host is a loopback name."""
    host = urlsplit(base_url or OPENAI).hostname or ""
    return not (host in ("localhost", "::1") or host.startswith("127."))


def _object(llm: Any) -> tuple[str, Complete]:
    if not callable(getattr(llm, "chat", None)):
        raise UsageError(f"model is {type(llm).__name__}; give a model's name or a llama-index LLM object")
    name = str(getattr(getattr(llm, "metadata", None), "model_name", "") or type(llm).__name__)
    return name, lambda system, user: _complete(llm, name, "the given LLM object", system, user)


def _checked(base_url: str | None) -> str | None:
    if base_url is None:
        return None
    try:
        parts = urlsplit(base_url)
        ok = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        ok = False
    if not ok:
        raise UsageError(f"base URL {base_url!r} is none; give one like http://localhost:11434/v1")
    return base_url.rstrip("/")


def _key(base_url: str | None) -> str:
    own, general = os.environ.get("RAG_API_KEY"), os.environ.get("OPENAI_API_KEY")
    if base_url is None or urlsplit(base_url).hostname == urlsplit(OPENAI).hostname:
        key = own or general
        if not key:
            raise ModelError("OpenAI's models need a key: set OPENAI_API_KEY, or name a local server with --base-url")
        return key
    return own or NO_KEY  # OPENAI_API_KEY is not sent to anybody else


def _openai_like(
    model: str, base_url: str | None, key: str, timeout: float, reply_tokens: int, temperature: float | None
) -> Any:
    from llama_index.llms.openai_like import OpenAILike

    class Plain(OpenAILike):  # type: ignore[misc]
        """Sends a temperature only if one was chosen: newer models reject it."""

        def _get_model_kwargs(self, **kwargs: Any) -> dict[str, Any]:
            sent: dict[str, Any] = super()._get_model_kwargs(**kwargs)
            if temperature is None:
                sent.pop("temperature", None)
            return sent

    return Plain(
        model=model,
        api_base=base_url or OPENAI,
        api_key=key,
        is_chat_model=True,
        is_function_calling_model=False,
        context_window=CONTEXT,
        max_tokens=reply_tokens,
        temperature=0.0 if temperature is None else temperature,
        timeout=timeout,
        max_retries=0,  # llama-index would multiply them: the client below does the retrying
        openai_client=_client(base_url or OPENAI, key, timeout),
    )


def _client(base_url: str, key: str, timeout: float) -> Any:
    from openai import OpenAI

    return OpenAI(base_url=base_url, api_key=key, timeout=timeout, max_retries=RETRIES)


def _complete(llm: Any, model: str, where: str, system: str, user: str) -> tuple[str, Usage]:
    from llama_index.core.base.llms.types import ChatMessage

    try:
        reply = llm.chat([ChatMessage(role="system", content=system), ChatMessage(role="user", content=user)])
        text = reply.message.content or ""
        usage = getattr(reply.raw, "usage", None)
    except RagError:
        raise
    except Exception as error:
        raise _translated(error, model, where) from error
    return text, Usage(1, getattr(usage, "prompt_tokens", 0) or 0, getattr(usage, "completion_tokens", 0) or 0)


def _translated(error: Exception, model: str, where: str) -> ModelError:
    """Any error of a call as one line; most name their HTTP status, the rest their kind."""
    status = getattr(error, "status_code", None)
    kind = type(error).__name__
    if status in (401, 403):
        return ModelError(f"{where} refused the key (HTTP {status}); set RAG_API_KEY or OPENAI_API_KEY to a valid one")
    if status == 404:
        return ModelError(f"{where} has no model {model!r} (HTTP 404); check --model, and that --base-url ends in /v1")
    if status == 429:
        return ModelError(f"{where} says too many requests or no credit left (HTTP 429); try again later")
    if status is not None:
        return ModelError(f"{where} failed (HTTP {status}: {_first_line(error)}); try again, or leave --model out")
    if kind == "APITimeoutError":
        return ModelError(f"{where} did not answer in time; try again, or leave --model out")
    if kind == "APIConnectionError":
        return ModelError(f"{where} cannot be reached; is the server running? check --base-url, or leave --model out")
    return ModelError(
        f"{model} at {where} gave no usable answer ({kind}: {_first_line(error)}); leave --model out to go on"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return lines[0][:160]
