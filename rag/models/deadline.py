"""How long something is waited for, and how often it is tried.

A question has one deadline, which all it waits for keeps to. A timeout per read is no such bound: a
server that sends a byte now and then never meets it, nor does the look-up of a name. So what may
hang runs in a thread of its own, and the caller waits for what it yields until the moment has come.
Then the caller goes on at once; the thread is told to stop, which it does at the next thing it
yields, or when its own wait for the network ends. What failed is tried again only when that may
help, after the pause that the server asks for, and never past the deadline.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple, TypeVar

from rag.errors import Cancelled, RagError

_log = logging.getLogger(__name__)
T = TypeVar("T")
SLICE = 0.1  # seconds between two looks at `cancelled`


class Retries(NamedTuple):
    """How often a call that failed is made again, and after how long.

    most           calls after the first one
    first_pause    seconds before the first of them; doubled before each further one
    longest_pause  seconds; a server that asks for more is not asked again
    """

    most: int = 2
    first_pause: float = 0.5
    longest_pause: float = 60.0

    def pause(self, error: Exception, done: int) -> float | None:
        """Seconds before another try, by the server's wish if it has one; None when none will help.

        `done` counts the retries that were made.
        """
        status, own = getattr(error, "status_code", None), self.first_pause * 2**done
        if done >= self.most or not _may_pass(error, status):
            return None
        asked = wished(error) if status is not None else None
        return own if asked is None else asked if asked <= self.longest_pause else None


def _may_pass(error: Exception, status: int | None) -> bool:
    """May the same call go well a little later?"""
    if status is None:  # of the network: cut, or nobody there
        return type(error).__name__ == "APIConnectionError" and type(error.__cause__).__name__ in _CUT
    return getattr(error, "code", None) != "insufficient_quota" and (status in (408, 409, 425, 429) or status >= 500)


_CUT = ("RemoteProtocolError", "LocalProtocolError", "ReadError", "WriteError", "CloseError")  # httpx's names


class Deadline:
    """`seconds` from now; infinite ones never pass. `cancelled` is looked at while something is waited for."""

    def __init__(self, seconds: float, cancelled: Callable[[], bool] | None = None) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._cancelled = cancelled

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self._end - time.monotonic())

    def sleep(self, seconds: float) -> None:
        """Wait so long. Raises TimeoutError at once when that is not left, Cancelled when asked to stop."""
        if seconds >= self.left:
            raise TimeoutError(f"no {seconds:g} s are left")
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            time.sleep(self._slice(rest))
            self._look()

    def take(self, box: queue.SimpleQueue[T]) -> T:
        """The next item of a queue. Raises TimeoutError when the deadline passes, Cancelled when asked to stop."""
        while True:
            left = self.left
            try:
                return box.get(timeout=None if math.isinf(self._slice(left)) else self._slice(left))
            except queue.Empty:
                self._look()
                if left <= 0:
                    raise TimeoutError(f"{self.seconds:g} s have passed") from None

    def _slice(self, seconds: float) -> float:
        return min(seconds, SLICE) if self._cancelled else seconds

    def _look(self) -> None:
        if self._cancelled and self._cancelled():
            raise Cancelled("stopped while waiting for the model; nothing was lost")


def within(deadline: Deadline, work: Callable[[], Iterator[T]]) -> Iterator[T]:
    """What `work` yields, in a thread of its own, and whatever it raises.

    Raises TimeoutError when the deadline passes while something is waited for, or has passed before the
    work began; Cancelled likewise.
    """
    if not deadline.left:
        raise TimeoutError("no time is left to begin")
    box: queue.SimpleQueue[tuple[T | None, BaseException | None, bool]] = queue.SimpleQueue()
    left_alone = threading.Event()

    def run() -> None:
        try:
            for item in work():
                box.put((item, None, False))
                if left_alone.is_set():
                    break
            box.put((None, None, True))
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            box.put((None, error, True))

    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
    try:
        while True:
            item, error, last = deadline.take(box)
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]
    finally:
        left_alone.set()


def patiently(
    work: Callable[[float], Iterator[T]],
    deadline: Deadline,
    retries: Retries,
    mended: Callable[[Exception], bool] = lambda error: False,
    around: Callable[[Iterator[T]], Iterator[T]] = lambda items: items,
) -> Iterator[T]:
    """What `work(seconds left)` yields. Work that fails before it yields anything is done again when
    that may help: at once if `mended`, else after a pause. Raises what it raised last.

    `around` is given what each try yields, and passes it on; it sees what a try raises, TimeoutError too.
    """
    done, begun = 0, False
    while True:
        try:
            for item in around(within(deadline, lambda: work(deadline.left))):
                begun = True
                yield item
            return
        except RagError:
            raise
        except Exception as error:
            if begun:
                raise
            if mended(error):
                continue
            pause = retries.pause(error, done)
            if pause is None or pause >= deadline.left:
                raise
            _log.warning("a call failed (%s); again in %.1f s", _kind(error), pause)
        deadline.sleep(pause)
        done += 1


def _kind(error: Exception) -> str:
    """What went wrong, without what a server or an address says."""
    status = getattr(error, "status_code", None)
    return type(error).__name__ if status is None else f"{type(error).__name__}, status {status}"


def wished(error: Exception) -> float | None:
    """Seconds that a server asks to wait, from Retry-After (seconds or a date) or its form in milliseconds."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    with suppress(KeyError, ValueError):
        return _seconds(float(headers["retry-after-ms"]) / 1000)
    with suppress(KeyError, ValueError):
        return _seconds(float(headers["retry-after"]))
    with suppress(KeyError, ValueError, TypeError, OverflowError):
        return _seconds((parsedate_to_datetime(headers["retry-after"]) - datetime.now(UTC)).total_seconds())
    return None


def _seconds(number: float) -> float | None:
    return max(0.0, number) if math.isfinite(number) else None
