"""What went wrong with a chat model, as one line that says what to do."""

from __future__ import annotations

import math
import re

from rag.errors import ModelError, RagError
from rag.models.deadline import Deadline, wished
from rag.models.servers import shown
from rag.remedies import Remedy


def translated(
    error: Exception, model: str | None, url: str | None, deadline: Deadline, begun: bool = False
) -> RagError:
    """Any error of a call as one line; most name their HTTP status, the rest their kind.

    `model` is None when none was asked, `url` None for an LLM object. `begun`: some of the reply came.
    """
    if isinstance(error, RagError):
        return error
    where = shown(url) if url else f"the LLM object {model}"
    kind, status = type(error).__name__, getattr(error, "status_code", None)
    pause = wished(error) if status is not None else None
    if status is not None and url:
        problem, remedy = _of_status(status, error, model, pause)
    elif type(error.__cause__).__name__ == "ConnectTimeout":
        problem, remedy = "cannot be reached", Remedy.CHECK_NETWORK
    elif isinstance(error, TimeoutError) or kind == "APITimeoutError":
        limit = "in time" if math.isinf(deadline.seconds) else f"within {deadline.seconds:g} s"
        problem, remedy = f"did not {'finish' if begun else 'answer'} {limit}", Remedy.GIVE_LONGER
    elif begun:
        problem, remedy = "broke off in the middle of its answer", Remedy.AGAIN
    elif kind == "APIConnectionError":
        problem, remedy = "cannot be reached", Remedy.CHECK_RUNNING
    elif url and isinstance(error, AttributeError | LookupError | TypeError | ValueError | EOFError):
        problem, remedy = f"answered, but not as an OpenAI-compatible server does ({kind})", Remedy.CHECK_V1
    else:
        problem, remedy = f"gave no usable answer ({kind}: {line(str(error))})", Remedy.AGAIN
    remedies = (remedy, Remedy.WITHOUT_MODEL) if model else (remedy,)
    return ModelError(f"{where} {problem}", *remedies, server=where, seconds=f"{math.ceil(pause or 0):,}")


def _of_status(status: int, error: Exception, model: str | None, pause: float | None) -> tuple[str, Remedy]:
    detail = _detail(error)
    if status in (401, 403):
        return f"refused the key (HTTP {status})", Remedy.VALID_KEY
    if status == 404 and model is None:
        return "lists no models (HTTP 404)", Remedy.CHECK_V1
    if status == 404:
        return f"has no model {model!r} (HTTP 404)", Remedy.OFFERED_MODEL
    if status == 429 and pause and pause > 1:
        return "says too many requests (HTTP 429)", Remedy.AGAIN_IN
    if status == 429:
        return "says too many requests or no credit left (HTTP 429)", Remedy.AGAIN_LATER
    if is_too_long(error):
        return f"has too short a context for this (HTTP {status}: {detail})", Remedy.LESS_TEXT
    return f"failed (HTTP {status}: {detail})", Remedy.AGAIN


def is_too_long(error: Exception) -> bool:
    """Does the server say that the prompt does not fit its context?"""
    return bool(
        re.search(r"context.{0,20}(length|size|window)|context_length|exceed_context", str(error), re.IGNORECASE)
    )


def _detail(error: Exception) -> str:
    """What the server says is wrong."""
    body = getattr(error, "body", None)
    said = body.get("message") or body.get("detail") if isinstance(body, dict) else None
    return line(str(said or error))


def line(text: str) -> str:
    """At most 160 characters on one line, nothing a terminal would obey."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())[:160]
