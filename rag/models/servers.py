"""Where chat models are served: short names, base URLs, keys, and what leaves this machine.

A server is named by its base URL, or by a short name that stands for nothing but that URL. A key is
read when a server is named, never to choose one: RAG_API_KEY, and for OpenAI's own server also
OPENAI_API_KEY, which is sent to nobody else. Text stays here only when the server's host is a
loopback address or `localhost`. A model may also be a GGUF file (`rag.models.gguf`), which has no server.
"""

from __future__ import annotations

import ipaddress
import os
import re
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from rag.errors import ModelError, UsageError
from rag.remedies import Remedy

OPENAI = "https://api.openai.com/v1"
SERVERS = {  # short names, with the ports that these servers listen on unless told otherwise
    "openai": OPENAI,
    "ollama": "http://localhost:11434/v1",
    "lmstudio": "http://localhost:1234/v1",
    "llamacpp": "http://localhost:8080/v1",
    "vllm": "http://localhost:8000/v1",
}
HERE = "this process"
STARTS = {  # what to do when nothing answers at the place where such a server listens
    "ollama": Remedy.START_OLLAMA,
    "lmstudio": Remedy.START_LMSTUDIO,
    "llamacpp": Remedy.START_LLAMACPP,
    "vllm": Remedy.START_VLLM,
}
NO_KEY = "not-needed"  # what servers without keys are sent: the client insists on some key


def url_of(server: str | None) -> str:
    """The base URL of a short name or base URL; None is OpenAI's. Raises UsageError for what is neither.

    The address of one of a server's functions, such as .../chat/completions, stands for its base URL.
    """
    if server is None:
        return OPENAI
    url = SERVERS.get(server.strip().casefold(), server.strip())
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        near = get_close_matches(server.strip().casefold(), SERVERS, 1)
        hint = f"did you mean {near[0]}? Or " if near else ""
        raise UsageError(f"base URL {server!r} is none; {hint}give one like http://localhost:11434/v1")
    return re.sub(r"/(?:(?:chat/)?completions|models|responses|embeddings)$", "", url.rstrip("/"))


def kind_of(url: str) -> str | None:
    """The short name of a server that listens on this machine where one of its kind does; None is any other."""
    port = None if is_remote(url) else urlsplit(url).port
    return next((name for name in STARTS if urlsplit(SERVERS[name]).port == port), None)


def file_of(model: str, base_url: str | None) -> Path | None:
    """The GGUF file that a model's name is; None for a model at a server, which may be called so too."""
    if not model.strip().lower().endswith(".gguf"):
        return None
    file = Path(model.strip()).expanduser()
    return file if base_url is None or file.is_file() else None


def place_of(model: str, base_url: str | None) -> str:
    """Where a model answers, for a message."""
    return HERE if file_of(model, base_url) else shown(url_of(base_url))


def shown(url: str) -> str:
    """The URL for a message: without a user and password that may stand in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return re.sub(r"//[^/]*@", "//", url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def is_remote(server: str | None) -> bool:
    """Would text leave this machine? True unless the server's host is `localhost` or a loopback address."""
    host = (urlsplit(url_of(server)).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True
    return not (address.is_loopback or address.is_unspecified)


def is_openai(url: str) -> bool:
    """Is it OpenAI's own server?"""
    return urlsplit(url).hostname == urlsplit(OPENAI).hostname


def key_of(url: str) -> str:
    """The key to send to a server. Raises ModelError when OpenAI's own is named and none is set."""
    own, general = ((os.environ.get(name) or "").strip() for name in ("RAG_API_KEY", "OPENAI_API_KEY"))
    if not is_openai(url):
        return own or NO_KEY
    if not (own or general):
        raise ModelError("OpenAI's models need a key", Remedy.KEY_OR_LOCAL)
    return own or general
