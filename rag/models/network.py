"""How a server is reached: over which proxy, trusting which certificates, and to no other host.

The environment is read here, not by httpx: what will not do in it ends in one line that names the
variable. A prompt goes to the host that was named and to no other, so a redirect elsewhere is an
error; and over http:// only to this machine, a local network, or where RAG_INSECURE=1 says so. Some
servers answer a request for a stream in other ways than OpenAI's; that is put right line by line.
"""

from __future__ import annotations

import ipaddress
import json
import os
import ssl
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rag.errors import ModelError, UsageError
from rag.models.servers import is_remote, key_of, shown
from rag.remedies import Remedy

INSECURE = "RAG_INSECURE"
CONNECT = 5.0  # seconds to reach a server
DONE = "rag.done"  # in a response's extensions: the stream said that it is whole
_LOCAL = ("local", "lan", "internal", "intranet", "corp", "home", "localdomain", "localhost", "arpa", "test", "invalid")


def openai_client(url: str, key: str | None = None, **options: Any) -> Any:
    """The openai client for a base URL, with the key of the environment if none is given. It retries only if told to.

    Raises UsageError or ModelError for what cannot be used.
    """
    from openai import OpenAI

    check_secure(url)
    options = {"max_retries": 0} | options
    return OpenAI(base_url=url, api_key=key or key_of(url), http_client=http_client(url), **options)


def http_client(url: str) -> Any:
    """An httpx client for a server. Raises ModelError when the environment asks for what cannot be had."""
    from openai import DefaultHttpxClient

    through = proxy_of(url)
    try:
        transport = _transport()(
            trust_env=False, verify=_trusted(url, through), proxy=through.url if through else None, limits=_limits()
        )
    except (ImportError, ValueError, TypeError) as error:  # ImportError: a SOCKS proxy needs a package
        if not through:
            raise
        raise _useless(through, error) from error
    except Exception as error:
        if not through or type(error).__name__ != "InvalidURL":
            raise
        raise _useless(through, error) from error
    return DefaultHttpxClient(transport=transport, trust_env=False, event_hooks={"response": [_stay]})


def _limits() -> Any:
    import httpx

    return httpx.Limits(max_connections=1000, max_keepalive_connections=100)


# --- http and https -----------------------------------------------------------------------------


def check_secure(url: str) -> None:
    """Raises UsageError for http:// to a public host, unless that was said twice."""
    if urlsplit(url).scheme == "http" and is_public(url) and os.environ.get(INSECURE, "") not in ("1", "true", "yes"):
        raise UsageError(f"{shown(url)} is http://, which anybody on the way can read", Remedy.USE_HTTPS)


def is_public(url: str) -> bool:
    """Does a URL lead into the open internet, as far as its host's name or address tells?"""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and host.rpartition(".")[2] not in _LOCAL


def _trusted(url: str, through: Proxy | None) -> ssl.SSLContext | bool:
    """The certificates to trust, by SSL_CERT_FILE or SSL_CERT_DIR; True is httpx's own, False where there is no TLS."""
    if urlsplit(url).scheme == "http" and not (through and through.url.startswith("https:")):
        return False
    file, folder = (os.environ.get(name) or None for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    if file and not Path(file).is_file():
        raise ModelError(f"SSL_CERT_FILE names no file: {file}", Remedy.CORRECT)
    if folder and not file and not Path(folder).is_dir():
        raise ModelError(f"SSL_CERT_DIR names no folder: {folder}", Remedy.CORRECT)
    if not (file or folder):
        return True
    try:
        return ssl.create_default_context(cafile=file, capath=None if file else folder)
    except (ssl.SSLError, OSError) as error:
        raise ModelError(f"SSL_CERT_FILE={file}: no certificate can be read from it; correct it or unset it") from error


# --- proxies ------------------------------------------------------------------------------------


class Proxy(NamedTuple):
    """A proxy's URL, and the variable of the environment that names it."""

    url: str
    variable: str

    @property
    def said(self) -> str:
        """The setting as a message shows it: without a password."""
        return f"{self.variable}={shown(self.url)}"


def proxy_of(url: str) -> Proxy | None:
    """The proxy that the environment (or the system's settings) wants for a server; None for what stays here."""
    from urllib.request import getproxies

    parts, known = urlsplit(url), getproxies()
    if not is_remote(url) or _is_exempt(parts.hostname or "", parts.netloc.rpartition("@")[2]):
        return None
    for name in (parts.scheme, "all"):
        if value := known.get(name):
            variables = (v for v in (f"{name}_proxy", f"{name.upper()}_PROXY") if os.environ.get(v) == value)
            whole = value if "://" in value else f"http://{value}"
            return Proxy(whole.replace("socks://", "socks5://", 1), next(variables, "the system's proxy"))
    return None


def _is_exempt(host: str, place: str) -> bool:
    """Does NO_PROXY name this host? Beside names and suffixes: addresses in brackets, and networks."""
    from urllib.request import proxy_bypass

    try:
        if proxy_bypass(place) or proxy_bypass(host):
            return True
    except (OSError, ValueError):
        pass
    entries = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    return any(_is_within(host, entry.strip().strip("[]")) for entry in entries)


def _is_within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _useless(through: Proxy, error: Exception) -> ModelError:
    why = "it needs the package socksio" if isinstance(error, ImportError) else "it is no proxy's address"
    return ModelError(f"{through.said} cannot be used ({why})", Remedy.CORRECT_PROXY)


# --- redirects ----------------------------------------------------------------------------------


def _stay(response: Any) -> None:
    """Raises ModelError for a redirect that would carry the request elsewhere, or lose what it says."""
    if not response.has_redirect_location:
        return
    request, target = response.request, response.url.join(response.headers["location"])
    same = (target.scheme, target.netloc) == (response.url.scheme, response.url.netloc)
    if not same or (request.method == "POST" and response.status_code not in (307, 308)):
        raise ModelError(
            f"{_base(str(response.url))} sends its callers on to {_base(str(target))}, which was not followed",
            Remedy.TRUST_ADDRESS,
        )


def _base(url: str) -> str:
    """The base URL that a request went to."""
    return shown(url).removesuffix("/models").removesuffix("/chat/completions")


# --- streams ------------------------------------------------------------------------------------


@cache
def _transport() -> Any:
    import httpx

    class Transport(httpx.HTTPTransport):
        """Puts right what comes instead of a stream."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            kind, packed = response.headers.get("content-type", ""), response.headers.get("content-encoding")
            wants = request.method == "POST" and b'"stream":true' in request.read().replace(b": ", b":")[-20_000:]
            if (
                wants
                and response.status_code == 200
                and not packed
                and isinstance(response.stream, httpx.SyncByteStream)
            ):
                response.stream = _Mended(response, response.stream, "json" in kind)
            return response

    class _Mended(httpx.SyncByteStream):
        def __init__(self, response: httpx.Response, inner: httpx.SyncByteStream, whole: bool) -> None:
            self._response, self._inner, self._whole = response, inner, whole

        def __iter__(self) -> Iterator[bytes]:
            if self._whole:  # all in one, as without a stream
                body = b"".join(self._inner)
                yield from (b"data: ", b" ".join(body.splitlines()), b"\n\ndata: [DONE]\n\n")
                self._response.extensions[DONE] = True
                return
            for line in mended(self._inner):
                if line.startswith(b"data:") and line[5:].strip().startswith(b"[DONE]"):
                    self._response.extensions[DONE] = True
                yield line

        def close(self) -> None:
            self._inner.close()

    return Transport


def mended(stream: Any) -> Iterator[bytes]:
    """The lines of a stream of server-sent events, with errors in the one form that openai's client knows.

    Servers also write `event: error` before the data, or a line `error: {...}` instead of any.
    """
    failed = False
    for line in _lines(stream):
        name, _, value = line.strip().partition(b":")
        if name == b"event" and value.strip() == b"error":
            failed = True
        elif name == b"error" and value.strip():
            yield b"data: " + _as_error(value) + b"\n\n"
        elif name == b"data" and failed:
            yield b"data: " + _as_error(value) + b"\n"
        else:
            failed = failed and bool(line.strip())
            yield line


def _lines(stream: Any) -> Iterator[bytes]:
    left = b""
    for piece in stream:
        *whole, left = (left + piece).splitlines(keepends=True) or [b""]
        if left.endswith(b"\n"):
            whole, left = [*whole, left], b""
        yield from whole
    if left:
        yield left


def _as_error(value: bytes) -> bytes:
    try:
        said = json.loads(value)
    except ValueError:
        said = value.decode("utf-8", "replace").strip()
    return json.dumps(said if isinstance(said, dict) and said.get("error") else {"error": said}).encode()
