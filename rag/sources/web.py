"""One page of a public service, by the rules of `rag.models.network`, or one line that says why not."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from rag.errors import RagError
from rag.remedies import Remedy
from rag.sources.keeping import Missed

SECONDS = 60.0  # for one page, with all waiting that a service asks for
PATIENCE = 15.0  # the longest pause a service may ask for that is kept; a longer one is told
TRIES = 3
BYTES = 32 * 2**20
BUSY = (429, 502, 503, 504)


def get(url: str, **parameters: str) -> bytes:
    """What a service answers. Raises Missed: with the name of the host, what is wrong, and what to do."""
    host, end = urlsplit(url).netloc.rpartition("@")[2], time.monotonic() + SECONDS
    whole = f"{url}?{urlencode(parameters)}" if parameters else url
    for attempt in range(1, TRIES + 1):
        try:
            status, body, pause = _asked(whole, end)
        except Missed as missed:
            raise Missed(f"{host} {missed.reason}", missed.remedy) from missed
        wait = min(2.0**attempt, PATIENCE) / 2 if pause is None else pause
        if status not in BUSY or attempt == TRIES or wait > min(PATIENCE, end - time.monotonic()):
            break
        time.sleep(wait)
    if status == 200:
        return body
    raise Missed(f"{host} {_refused(status, pause)}", "", status)


def _asked(url: str, end: float) -> tuple[int, bytes, float | None]:
    """(status, body, pause that is asked for in seconds) of one request."""
    import httpx

    from rag.models.deadline import wished
    from rag.models.network import check_secure, http_client

    try:
        check_secure(url)
        agent = {"User-Agent": "abstracts-rag"}
        with http_client(url) as client, client.stream("GET", url, headers=agent, timeout=_left(end)) as reply:
            body = _body(reply, end)
            return reply.status_code, body, wished(_Reply(reply))
    except RagError as error:
        raise _ours(error) from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        raise _unreached(error, url) from error


class _Reply(Exception):
    """A response, in the form in which pauses are read from one."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.response = response


def _left(end: float) -> float:
    return max(1.0, min(30.0, end - time.monotonic()))


def _body(reply: Any, end: float) -> bytes:
    found = bytearray()
    for piece in reply.iter_bytes():
        found += piece
        if len(found) > BYTES:
            raise Missed(f"answers with more than {BYTES // 2**20} MB, which is no record of a paper")
        if time.monotonic() > end:
            raise Missed(f"did not finish within {SECONDS:g} s; try again")
    return bytes(found)


def _refused(status: int, pause: float | None) -> str:
    if status == 429:
        when = f"in {pause:,.0f} s" if pause and pause > 1 else "later"
        return f"says too many requests (HTTP 429); try again {when}"
    if status in (401, 403):
        return f"refuses the request (HTTP {status}); is the network open, or a login wanted?"
    if status >= 500:
        return f"is out of order (HTTP {status}); try again later"
    return f"did not take the request (HTTP {status})"


def _ours(error: RagError) -> Missed:
    if Remedy.TRUST_ADDRESS in error.remedies:
        return Missed(f"cannot be asked: {error.message}")
    todo = "; ".join(remedy.words("terminal", error.values) for remedy in error.remedies)
    return Missed(f"cannot be asked: {error.message}{'; ' if todo else ''}{todo}")


def _unreached(error: Exception, url: str) -> Missed:
    from rag.models.failures import line, unreached

    kind = type(error).__name__
    if "Timeout" in kind:
        return Missed("did not answer in time; try again, or check the network")
    if kind in ("ConnectError", "ProxyError"):
        problem, remedy = unreached(error, url, Remedy.CHECK_CONNECTION)
        return Missed(problem, remedy.name)
    return Missed(f"gave no usable answer ({kind}: {line(str(error))}); try again")
