"""What went wrong with a chat model, as one line that says what to do."""

from __future__ import annotations

import math
import re

from rag.errors import ModelError, RagError
from rag.models.deadline import Deadline, wished
from rag.models.servers import shown


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
        problem = f"gave no usable answer ({kind}: {line(str(error))}); try again"
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
    if is_too_long(error):
        return f"has too short a context for this (HTTP {status}: {detail}); lengthen it there, or try -k 2"
    return f"failed (HTTP {status}: {detail}); try again"


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
