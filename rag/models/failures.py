"""What went wrong with a chat model, as one line that says what to do."""

from __future__ import annotations

import math
import re
import ssl

from rag.errors import ModelError, RagError
from rag.models.deadline import Deadline, wished
from rag.models.network import proxy_of
from rag.models.replies import said_in
from rag.models.servers import NO_KEY, STARTS, is_openai, key_of, kind_of
from rag.remedies import Remedy


def translated(
    error: Exception, model: str | None, url: str | None, deadline: Deadline, begun: bool = False, *, where: str
) -> RagError:
    """Any error of a call as one line; most name their HTTP status, the rest their kind.

    `model` is None when none was asked, `url` None for an LLM object or a file. `begun`: some of the reply came.
    `where` is what the line is about.
    """
    if isinstance(error, RagError):
        return error
    if isinstance(error.__cause__, RagError):  # a redirect that was not followed
        return error.__cause__
    pause = wished(error) if getattr(error, "status_code", None) is not None else None
    problem, remedy = _problem(error, model, url, deadline, pause, begun)
    remedies = (remedy, Remedy.WITHOUT_MODEL) if model else (remedy,)
    told = {"server": where, "model": model or "", "seconds": f"{math.ceil(pause or 0):,}"}
    return ModelError(f"{where} {problem}", *remedies, **told)


def _problem(
    error: Exception, model: str | None, url: str | None, deadline: Deadline, pause: float | None, begun: bool
) -> tuple[str, Remedy]:
    kind, status = type(error).__name__, getattr(error, "status_code", None)
    if status is not None and url:
        return _of_status(status, error, model, url, pause)
    if type(error.__cause__).__name__ == "ConnectTimeout" and url:
        return unreached(error, url, Remedy.CHECK_NETWORK)
    if isinstance(error, TimeoutError) or kind == "APITimeoutError":
        limit = "in time" if math.isinf(deadline.seconds) else f"within {deadline.seconds:g} s"
        return f"did not {'finish' if begun else 'answer'} {limit}", Remedy.GIVE_LONGER
    if begun:
        said = f" ({_detail(error)})" if kind in _TOLD else ""
        return f"broke off in the middle of its answer{said}", Remedy.AGAIN
    if kind == "APIConnectionError" and url:
        return unreached(error, url, STARTS.get(kind_of(url) or "", Remedy.CHECK_RUNNING))
    if kind in _TOLD:
        return _failed("", error)
    if url and is_odd(error):
        return f"answered, but not as an OpenAI-compatible server does ({kind})", Remedy.CHECK_V1
    return f"gave no usable answer ({kind}: {line(str(error))})", Remedy.AGAIN


_TOLD = ("ServerSaid", "APIError")  # errors inside a reply that has the status of a good one


def _of_status(status: int, error: Exception, model: str | None, url: str, pause: float | None) -> tuple[str, Remedy]:
    if status in (401, 403):
        return _of_key(status, url)
    if status == 404 and model is None:
        return "lists no models (HTTP 404)", Remedy.CHECK_V1
    if status == 404:
        pulls = kind_of(url) == "ollama" or "pull" in _detail(error)
        return f"has no model {model!r} (HTTP 404)", Remedy.PULL if pulls else Remedy.OFFERED_MODEL
    if status == 429 and pause and pause > 1:
        return "says too many requests (HTTP 429)", Remedy.AGAIN_IN
    if status == 429:
        return "says too many requests or no credit left (HTTP 429)", Remedy.AGAIN_LATER
    return _failed(f"HTTP {status}: ", error)


def _of_key(status: int, url: str) -> tuple[str, Remedy]:
    remedy = Remedy.VALID_KEY if is_openai(url) else Remedy.SERVER_KEY
    unset = ", for none is set" if key_of(url) == NO_KEY else ""
    return f"refused the key (HTTP {status}){unset}", remedy


def _failed(status: str, error: Exception) -> tuple[str, Remedy]:
    if is_too_long(error):
        return f"has too short a context for this ({status}{_detail(error)})", Remedy.LESS_TEXT
    return f"failed ({status}{_detail(error)})", Remedy.AGAIN


def unreached(error: Exception, url: str, otherwise: Remedy) -> tuple[str, Remedy]:
    """Why no connection came about: a certificate, a proxy, or nobody there."""
    causes = [error.__cause__] if error.__cause__ else []
    while causes and (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    untrusted = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if untrusted:
        return f"shows a certificate that is not trusted here ({untrusted.verify_message})", Remedy.TRUST
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "does not speak TLS there", Remedy.CHECK_HTTPS
    if through := proxy_of(url):
        return f"cannot be reached through {through.said}", Remedy.CHECK_PROXY
    return "cannot be reached", otherwise


def is_odd(error: Exception) -> bool:
    """Is it what comes of reading something that is no reply of an OpenAI-compatible server?"""
    return isinstance(error, AttributeError | LookupError | TypeError | ValueError | EOFError)


def is_too_long(error: Exception) -> bool:
    """Does the server say that the prompt does not fit its context?"""
    return bool(
        re.search(r"context.{0,20}(length|size|window)|context_length|exceed_context", str(error), re.IGNORECASE)
    )


def _detail(error: Exception) -> str:
    """What the server says is wrong."""
    said = said_in(getattr(error, "body", None)) or str(error)
    title = re.search(r"<title[^>]*>(.*?)</title>", said, re.IGNORECASE | re.DOTALL)  # a page of some proxy's
    return line(title[1] if title else said)


def line(text: str) -> str:
    """At most 160 characters on one line, nothing a terminal would obey."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())[:160]
