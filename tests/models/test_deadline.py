"""One moment that everything keeps to, and work that is tried again when that may help."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from rag.errors import Cancelled, UsageError
from rag.models.deadline import Deadline, Retries, patiently, wished, within


class Failed(Exception):
    """What a client raises for an HTTP status."""

    def __init__(self, status, code=None, **headers):
        super().__init__(f"HTTP {status}")
        self.status_code, self.code = status, code
        self.response = SimpleNamespace(headers={name.replace("_", "-"): value for name, value in headers.items()})


def took(call):
    began = time.monotonic()
    call()
    return time.monotonic() - began


# --- a deadline ---------------------------------------------------------------------------------


def test_what_comes_in_time_is_handed_on_and_what_is_raised_is_raised():
    def work():
        yield from (1, 2)
        raise KeyError("three")

    seen = within(Deadline(9), work)
    assert [next(seen), next(seen)] == [1, 2]
    with pytest.raises(KeyError, match="three"):
        next(seen)


def test_what_hangs_is_left_when_the_time_is_over():
    ended = threading.Event()

    def work():
        try:
            while True:
                yield 1
                time.sleep(0.02)
        finally:
            ended.set()

    def all_of_it():
        with pytest.raises(TimeoutError, match=r"0\.2 s have passed"):
            list(within(Deadline(0.2), work))

    assert took(all_of_it) >= 0.2
    assert ended.wait(60)


def test_an_abandoned_iterator_stops_its_work():
    ended = threading.Event()

    def work():
        try:
            while True:
                yield 1
                time.sleep(0.01)
        finally:
            ended.set()

    seen = within(Deadline(math.inf), work)
    assert next(seen) == 1
    seen.close()
    assert ended.wait(60)


def test_a_caller_may_cancel_while_it_waits():
    asked, hangs = [], threading.Event()
    threading.Timer(0.1, lambda: asked.append(1)).start()
    with pytest.raises(Cancelled, match="nothing was lost"):
        list(within(Deadline(60, lambda: bool(asked)), lambda: iter(hangs.wait, True)))
    hangs.set()
    with pytest.raises(Cancelled):
        Deadline(60, lambda: True).sleep(30)


def test_a_pause_that_is_not_left_is_not_begun():
    assert took(lambda: Deadline(9).sleep(0.05)) >= 0.05
    with pytest.raises(TimeoutError):
        Deadline(1).sleep(1)
    assert math.isinf(Deadline(math.inf).left)
    assert Deadline(-1).left == 0


# --- trying again -------------------------------------------------------------------------------


def tries(*outcomes, seconds=60.0, retries=2, first_pause=0.5, mended=lambda error: False):
    """(what came of it, how often it was tried): each outcome is raised, or yielded and the end."""
    left = list(outcomes)
    given = []

    def work(seconds_left):
        given.append(seconds_left)
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome

    try:
        return list(patiently(work, Deadline(seconds), Retries(retries, first_pause), mended)), len(given)
    except Exception as error:  # noqa: BLE001
        return error, len(given)


SOON = {"retry_after_ms": "5"}


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_a_passing_failure_is_tried_again_and_not_for_ever(status):
    failed = [Failed(status, **SOON) for _ in range(5)]
    assert tries(failed[0], "good") == (["good"], 2)
    assert tries(*failed) == (failed[2], 3)
    assert tries(*failed, retries=0) == (failed[0], 1)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_a_lasting_failure_is_not(status):
    assert tries(failed := Failed(status, **SOON), "good") == (failed, 1)


def test_without_credit_it_is_not_tried_again():
    assert tries(failed := Failed(429, "insufficient_quota", **SOON), "good") == (failed, 1)


@pytest.mark.parametrize("error", [UsageError("no"), Cancelled("stop"), TimeoutError(), ValueError("odd")])
def test_other_errors_are_raised_at_once(error):
    assert tries(error, "good") == (error, 1)


def test_what_was_mended_is_done_again_at_once():
    seen = []
    assert tries(Failed(400), Failed(400), "good", retries=0, mended=lambda e: not seen.append(e)) == (["good"], 3)
    assert len(seen) == 2


def test_what_has_begun_is_not_begun_again():
    def work(seconds):
        yield "first"
        raise Failed(500, **SOON)

    seen = patiently(work, Deadline(9), Retries())
    assert next(seen) == "first"
    with pytest.raises(Failed):
        next(seen)


def test_the_server_says_how_long_to_wait():
    assert took(lambda: tries(Failed(429, retry_after="0.3"), "good")) >= 0.3
    assert took(lambda: tries(Failed(429, retry_after="0"), "good", seconds=99, first_pause=50)) < 50


@pytest.mark.parametrize(
    "pause",
    [str(Retries().longest_pause + 1), "3600", format_datetime(datetime.now(UTC) + timedelta(1))],
    ids=["minute", "hour", "tomorrow"],
)
def test_a_server_that_asks_for_too_much_is_not_asked_again(pause):
    assert tries(failed := Failed(429, retry_after=pause), "good", seconds=1e9) == (failed, 1)


def test_a_pause_beyond_the_deadline_is_not_waited_for():
    assert took(lambda: tries(Failed(429, retry_after="50"), "good", seconds=40)) < 40
    assert tries(failed := Failed(500), "good", seconds=0.3) == (failed, 1)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry_after": "7"}, 7, 7),
        ({"retry_after": "-7"}, 0, 0),
        ({"retry_after_ms": "1500", "retry_after": "7"}, 1.5, 1.5),
        ({"retry_after_ms": "x", "retry_after": "7"}, 7, 7),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0, 0),
    ],
)
def test_retry_after_in_all_its_forms(headers, least, most):
    assert least <= wished(Failed(429, **headers)) <= most


def test_retry_after_as_a_date():
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    assert 300 <= wished(Failed(429, retry_after=then)) <= 600


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "Wed, 99 Oct 2015", "1e999"])
def test_a_strange_retry_after_is_as_good_as_none(value):
    assert wished(Failed(429, retry_after=value)) is None
    assert wished(ValueError()) is None


def test_a_call_made_again_is_logged_without_what_the_server_said(caplog):
    given = [Failed(503, retry_after_ms="1")]

    def work(seconds):
        if given:
            raise given.pop()
        yield "said"

    assert list(patiently(work, Deadline(60), Retries())) == ["said"]
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "a call failed (Failed, status 503); again in 0.0 s")
    ]
