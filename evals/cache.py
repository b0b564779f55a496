"""A model's calls: kept by content, counted in money, gentle to the server.

A reply is known by what was asked (server, model, messages, parameters) and by which sample of it,
so that an unrelated commit replays a run at no cost, and `--cache only` needs no server. The fence
that a prompt makes up anew each time is left out of the key, never out of what is sent. Errors,
truncated, filtered and empty replies are not kept. There is one layer of retries; on "too many
requests" fewer calls go out at once. What would pass `--max-usd` stops the run before it is sent.
"""

from __future__ import annotations

import argparse
import hashlib
import ipaddress
import json
import random
import re
import sqlite3
import sys
import threading
import time
import tomllib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from evals.run import Stop
from rag.errors import ModelError, RagError, UsageError
from rag.models.servers import key_of as key_of_server
from rag.models.servers import url_of
from rag.settings import load

FOLDER = Path(__file__).parent / "cache"
PRICES = Path(__file__).parent / "prices.toml"
SCHEMA = 1  # of keys and values: a new one makes every stored reply a stranger
TRIES = 5
FIRST_PAUSE = 0.5  # seconds; doubled with each try
LONGEST_PAUSE = 30.0
DEADLINE = 300.0  # seconds one call may take with all its retries
POLL = 0.2  # seconds between two looks at whether to stop
GROW = 20  # calls without a 429 after which one more may go out at once
GIVE_UP = 3  # calls in a row for which the server could not be reached
HOPELESS = (401, 403, 404)  # the next call would fare the same
PASSING = (408, 409, 425, 429)

Messages = Sequence[Mapping[str, str]]


# --- what a call gives, and how it is known -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said: `model` as the server names it, `finish` why it ended, latency in seconds."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    model: str
    finish: str
    latency: float
    created: str

    @property
    def lasting(self) -> bool:
        """May it be stored? Not what was cut off, filtered or empty: it would be replayed for ever."""
        return self.finish not in ("length", "content_filter") and bool(self.text.strip())


_FENCE = re.compile(r"=== [0-9a-f]{8,} ===")


def key_of(base_url: str, model: str, messages: Messages, parameters: Mapping[str, Any], sample: int) -> str:
    """sha256 of what is asked, in a canonical form without the fences made up for the request."""
    asked = {
        "schema": SCHEMA,
        "base_url": base_url,
        "model": model,
        "messages": [{**message, "content": _FENCE.sub("=== ===", message["content"])} for message in messages],
        "parameters": dict(parameters),
        "sample": sample,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Store:
    """Replies by key in one SQLite file, which threads and processes may share.

    Raises RagError when the file cannot be opened. A value that cannot be read counts as missing,
    and one that cannot be written is said once: what was paid for still reaches the caller.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._said = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise RagError(
                f"{path}: cannot be opened ({error}); delete it, or leave it aside with --cache off"
            ) from error

    def get(self, key: str) -> Reply | None:
        """The reply of that key; None when there is none."""
        try:
            with self._guard:
                row = self._db.execute("SELECT value FROM calls WHERE key = ?", (key,)).fetchone()
            return Reply(**json.loads(zlib.decompress(row[0]))) if row else None
        except (sqlite3.Error, zlib.error, TypeError, ValueError):
            return None

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; a later one of the same key takes its place."""
        value = zlib.compress(json.dumps(asdict(reply), ensure_ascii=False).encode())
        try:
            with self._guard:
                self._db.execute("INSERT OR REPLACE INTO calls VALUES (?, ?)", (key, value))
        except sqlite3.Error as error:
            if not self._said:
                _say(f"{self._path}: replies are not kept any more ({error}); free some space")
            self._said = True


# --- money --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    prompt: float
    completion: float

    def of(self, prompt: float, completion: float) -> float:
        """USD for so many tokens."""
        return (self.prompt * prompt + self.completion * completion) / 1e6


def price_of(base_url: str, model: str, table: Path | None = None) -> Price | None:
    """What a model costs at a server: nothing on this machine or network, None where it is not known."""
    host = urlsplit(base_url).hostname or ""
    if _is_near(host):
        return Price(0.0, 0.0)
    path = table or PRICES
    try:
        models = tomllib.loads(path.read_text("utf-8")).get(host, {})
        found = models.get(model) or models.get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model))
        return Price(float(found["prompt"]), float(found["completion"])) if found else None
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: is no price table ({error}); restore it from git") from error


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private  # loopback too
    except ValueError:
        return host == "localhost" or host.endswith(".local")


class Ledger:
    """Tokens and USD, spent and replayed apart. With a limit, a call's worst case is set aside first.

    `unpriced` counts calls whose price is not known: their money is in no sum, and the summary says so.
    """

    def __init__(self, most: float | None = None) -> None:
        self.most = most
        self.usd = {"sent": 0.0, "replayed": 0.0}
        self.calls = {"sent": 0, "replayed": 0}
        self.prompt = {"sent": 0, "replayed": 0}
        self.completion = {"sent": 0, "replayed": 0}
        self.unpriced = 0
        self._aside = 0.0
        self._guard = threading.Lock()

    @contextmanager
    def aside(self, usd: float) -> Iterator[None]:
        """Set a call's worst case aside while it is under way. Raises Stop when it would pass the limit."""
        with self._guard:
            if self.most is not None and self.usd["sent"] + self._aside + usd > self.most:
                raise Stop(
                    f"stopped at ${self.usd['sent']:.4f} spent: the next call could pass --max-usd {self.most:g}; "
                    "finished rows are kept, raise --max-usd and run the same again"
                )
            self._aside += usd
        try:
            yield
        finally:
            with self._guard:
                self._aside -= usd

    def count(self, how: str, reply: Reply, price: Price | None) -> None:
        """Note a reply that was "sent" for or "replayed"."""
        with self._guard:
            self.calls[how] += 1
            self.prompt[how] += reply.prompt_tokens
            self.completion[how] += reply.completion_tokens
            self.usd[how] += price.of(reply.prompt_tokens, reply.completion_tokens) if price else 0.0
            self.unpriced += price is None

    def lost(self, usd: float) -> None:
        """Note a call that brought nothing but may be billed all the same."""
        with self._guard:
            self.usd["sent"] += usd

    def __bool__(self) -> bool:
        return any(self.calls.values())

    def __str__(self) -> str:
        parts = [
            f"{self.calls[how]} {how} ({self.prompt[how]:,} + {self.completion[how]:,} tokens, ${self.usd[how]:.4f})"
            for how in ("sent", "replayed")
        ]
        unknown = f"; the price of {self.unpriced} of them is unknown, see evals/prices.toml" if self.unpriced else ""
        return f"model calls: {', '.join(parts)}{unknown}"


def tokens_of(messages: Messages, characters: float = 4.0) -> int:
    """A guess at a prompt's tokens; with fewer characters a token, a safe upper one."""
    return sum(int(len(message["content"]) / characters) + 8 for message in messages)


# --- how many at once ---------------------------------------------------------------------------


class Gate:
    """At most `most` calls at once; half as many after a 429, then slowly one more (AIMD).

    A second 429 to a call that left before the last cut cuts nothing: it tells of the same crowd.
    """

    def __init__(self, most: int) -> None:
        self.limit = self._most = max(1, most)
        self._under_way = 0
        self._clean = 0
        self._cut = self._not_before = -1.0
        self._changed = threading.Condition()
        self.stopped = threading.Event()

    @contextmanager
    def __call__(self) -> Iterator[float]:
        """Wait for a place; gives the time at which the call leaves. Raises Stop after `stop`."""
        with self._changed:
            while not self.stopped.is_set() and (
                (hold := self._not_before - time.monotonic()) > 0 or self._under_way >= self.limit
            ):
                self._changed.wait(hold if hold > 0 else None)
            if self.stopped.is_set():
                raise Stop("stopped; finished rows are kept, run the same again to go on")
            self._under_way += 1
        try:
            yield time.monotonic()
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def crowded(self, left: float, pause: float) -> None:
        """A 429 to the call that left then: halve, and let nobody leave for `pause` seconds."""
        with self._changed:
            self._not_before = max(self._not_before, time.monotonic() + pause)
            if left > self._cut:
                self.limit, self._clean, self._cut = max(1, self.limit // 2), 0, time.monotonic()

    def stop(self) -> None:
        """Let nobody leave any more, and those who wait give up."""
        self.stopped.set()
        with self._changed:
            self._changed.notify_all()

    def fine(self) -> None:
        """A call went well."""
        with self._changed:
            self._clean += 1
            if self._clean >= GROW and self.limit < self._most:
                self.limit, self._clean = self.limit + 1, 0
                self._changed.notify_all()


# --- one model at one server --------------------------------------------------------------------


class Client:
    """Asks one model, through the store. `mode` is use, refresh, only or off; no store with off.

    Raises UsageError when a limit in USD cannot be kept.
    """

    def __init__(
        self, model: str, base_url: str, *, mode: str, store: Store | None, ledger: Ledger, gate: Gate,
        parameters: Mapping[str, Any], timeout: float,
    ) -> None:  # fmt: skip
        self.model, self.base_url, self.parameters = model, base_url, dict(parameters)
        self.price = price_of(base_url, model)
        self._mode, self._store, self._ledger, self._gate = mode, store, ledger, gate
        self._timeout = timeout
        self._server: Any = None
        self._guard = threading.Lock()
        self._unreached = 0
        if self.price is None and mode != "only":
            self._say_unpriced()

    @property
    def longest(self) -> int:
        """Tokens that a reply may have."""
        return int(self.parameters.get("max_tokens") or self.parameters["max_completion_tokens"])

    def ready(self) -> Client:
        """Itself. Raises ModelError when a key will be needed and is not there."""
        if self._mode != "only":
            key_of_server(self.base_url)
        return self

    def kept(self, messages: Messages, sample: int) -> Reply | None:
        """The reply that would be replayed."""
        if self._store is None or self._mode in ("refresh", "off"):
            return None
        return self._store.get(key_of(self.base_url, self.model, messages, self.parameters, sample))

    def ask(self, messages: Messages, sample: int) -> Reply:
        """A reply from the store or the server. Raises ModelError, or Stop when no later call would fare better."""
        if found := self.kept(messages, sample):
            self._ledger.count("replayed", found, self.price)
            return found
        if self._mode == "only":
            raise ModelError(f"this call of {self.model} is not in evals/cache/; run once with --cache use")
        reply = self._sent(messages)
        if self._store is not None and reply.lasting:
            self._store.put(key_of(self.base_url, self.model, messages, self.parameters, sample), reply)
        return reply

    def _sent(self, messages: Messages) -> Reply:
        from openai import OpenAIError
        from tenacity import Retrying, retry_if_exception, sleep_using_event
        from tenacity.stop import stop_after_attempt, stop_before_delay, stop_when_event_set

        stopped = self._gate.stopped
        attempts = Retrying(
            retry=retry_if_exception(_is_passing),
            wait=lambda state: _pause(state.outcome.exception() if state.outcome else None, state.attempt_number),
            stop=stop_after_attempt(TRIES) | stop_before_delay(DEADLINE) | stop_when_event_set(stopped),
            sleep=sleep_using_event(stopped),
            reraise=True,
        )
        try:
            reply: Reply = attempts(self._once, messages, time.monotonic() + DEADLINE)
        except OpenAIError as error:
            raise self._translated(error) from error
        except ValueError as error:  # what claims to be JSON and is not
            raise ModelError(f"{self.base_url} did not answer with JSON ({error}); check --base-url") from error
        self._unreached = 0
        return reply

    def _once(self, messages: Messages, until: float) -> Reply:
        from openai import APITimeoutError, RateLimitError

        worst = self.price.of(tokens_of(messages, 3.0), self.longest) if self.price else 0.0
        with self._gate() as left, self._ledger.aside(worst):
            timeout = max(1.0, min(self._timeout, until - time.monotonic()))
            try:
                raw = _within(timeout, self._gate.stopped, lambda: self._call(messages, timeout))
            except RateLimitError as error:
                self._gate.crowded(left, min(_asked_pause(error) or 0.0, DEADLINE))
                raise
            except APITimeoutError:
                self._ledger.lost(worst)  # the server may have gone on, and charge for it
                raise
            reply = self._read(raw, messages, time.monotonic() - left)
            self._ledger.count("sent", reply, self.price)
        self._gate.fine()
        return reply

    def _call(self, messages: Messages, timeout: float) -> Any:
        with self._guard:
            if self._server is None:
                from openai import OpenAI

                self._server = OpenAI(base_url=self.base_url, api_key=key_of_server(self.base_url), max_retries=0)
        return self._server.chat.completions.create(
            model=self.model, messages=list(messages), timeout=timeout, **self.parameters
        )

    def _read(self, raw: Any, messages: Messages, latency: float) -> Reply:
        try:
            choice, usage = raw.choices[0], raw.usage
            text = choice.message.content or ""
            model, finish = str(raw.model), str(choice.finish_reason or "")
        except (AttributeError, IndexError, TypeError) as error:
            raise ModelError(f"{self.base_url} did not answer as a chat model does; check --base-url") from error
        prompt = getattr(usage, "prompt_tokens", None) or tokens_of(messages)
        completion = getattr(usage, "completion_tokens", None) or len(text) // 4
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return Reply(text, prompt, completion, model, finish, round(latency, 3), now)

    def _say_unpriced(self) -> None:
        host = urlsplit(self.base_url).hostname
        if self._ledger.most is not None:
            raise UsageError(
                f"--max-usd cannot be kept: the price of {self.model!r} at {host} is unknown; add it to evals/prices.toml"
            )
        _say(f"the price of {self.model!r} at {host} is unknown: what it costs is not counted, see evals/prices.toml")

    def _translated(self, error: Exception) -> RagError:
        """One line; Stop for what every later call would meet too."""
        status = getattr(error, "status_code", None)
        detail = (str(error).splitlines() or [""])[0][:160]
        if status in HOPELESS:
            text = {404: f"has no model {self.model!r}, or --base-url lacks /v1"}.get(
                status, "refused the key; set RAG_API_KEY"
            )
            return Stop(f"{self.base_url} {text} (HTTP {status}); finished rows are kept")
        if getattr(error, "code", None) == "insufficient_quota":
            return Stop(
                f"{self.base_url}: no credit left (HTTP {status}); finished rows are kept, add some and run again"
            )
        if status is not None:
            return ModelError(f"{self.base_url} failed (HTTP {status}: {detail}); run the same again to retry this row")
        self._unreached += 1
        what = (
            "did not answer in time" if type(error).__name__ == "APITimeoutError" else f"cannot be reached ({detail})"
        )
        if self._unreached >= GIVE_UP:
            return Stop(f"{self.base_url} {what}, {GIVE_UP} calls in a row; finished rows are kept, run the same again")
        return ModelError(f"{self.base_url} {what}; is the server running? check --base-url")


def _within(seconds: float, stopped: threading.Event, call: Callable[[], Any]) -> Any:
    """What `call` gives, or raises; given up after `seconds` in all, which a timeout per read would not do,
    and at once when stopped: its thread is left behind and does not keep the process."""
    from openai import APITimeoutError

    box: Future[Any] = Future()

    def work() -> None:
        try:
            box.set_result(call())
        except BaseException as error:  # noqa: BLE001  handed to who waits
            box.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    until = time.monotonic() + seconds
    while not box.done() and (left := until - time.monotonic()) > 0:
        if stopped.is_set():
            raise Stop("stopped; finished rows are kept, run the same again to go on")
        wait([box], min(left, POLL))
    if not box.done():
        raise APITimeoutError(request=None)  # type: ignore[arg-type]
    return box.result()


def _is_passing(error: BaseException) -> bool:
    """May the same call go well a little later?"""
    from openai import APIConnectionError

    if getattr(error, "code", None) == "insufficient_quota":
        return False
    status = getattr(error, "status_code", None)
    return isinstance(error, APIConnectionError) or status in PASSING or (status or 0) >= 500


def _pause(error: BaseException | None, tries: int) -> float:
    """Seconds to wait: what the server asks for, else twice as long each time; never in step with others."""
    asked = _asked_pause(error)
    base = min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE) if asked is None else asked
    return base + random.uniform(0, FIRST_PAUSE)


def _asked_pause(error: BaseException | None) -> float | None:
    """The retry-after of a reply in seconds (given so, or as a date); None when it has none."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


# --- one command --------------------------------------------------------------------------------


class Calls:
    """All calls of one command: one store and one ledger, a gate for each server."""

    def __init__(self, mode: str, *, max_usd: float | None = None, concurrency: int = 4) -> None:
        if max_usd is not None and not max_usd >= 0:
            raise UsageError(f"--max-usd is {max_usd:g}; give an amount such as 2.50")
        self.ledger = Ledger(max_usd)
        self._mode = mode
        self._concurrency = concurrency
        self._store = None if mode == "off" else Store(FOLDER / "calls.sqlite")
        self._gates: dict[str, Gate] = {}
        self._clients: dict[Any, Client] = {}

    def client(self, model: str, base_url: str | None, *, reply_tokens: int | None = None) -> Client:
        """The client of a model; the same one for the same model. Settings give server and parameters."""
        settings = load(model=model, base_url=base_url)
        url = url_of(settings.base_url)
        longest = reply_tokens or settings.reply_tokens
        if (model, url, longest) not in self._clients:
            self._clients[model, url, longest] = Client(
                model,
                url,
                mode=self._mode,
                store=self._store,
                ledger=self.ledger,
                gate=self._gates.setdefault(url, Gate(self._concurrency)),
                parameters=_parameters(model, longest, settings.temperature),
                timeout=settings.deadline,
            )
        return self._clients[model, url, longest]

    def stop(self) -> None:
        """Give up what is under way and send nothing more."""
        for gate in self._gates.values():
            gate.stop()


def _parameters(model: str, reply_tokens: int, temperature: float | None) -> dict[str, Any]:
    """What the product would send; reasoning models know the longest reply by another name."""
    name = "max_completion_tokens" if re.match(r"(o\d|gpt-[5-9])", model) else "max_tokens"
    return {name: reply_tokens} | ({} if temperature is None else {"temperature": temperature})


def calls_of(arguments: argparse.Namespace) -> Calls:
    """The calls of a command, the same for its answers, its confirmations and its judge: one budget."""
    if getattr(arguments, "calls", None) is None:
        arguments.calls = Calls(arguments.cache, max_usd=arguments.max_usd, concurrency=arguments.concurrency)
    return arguments.calls  # type: ignore[no-any-return]


class CachedModel:
    """What `rag.answer(model=...)` takes: a chat model, asked for one sample through the store."""

    def __init__(self, ask: Callable[[Messages, int], Reply], model: str, sample: int) -> None:
        self.metadata = SimpleNamespace(model_name=model)
        self._ask, self._sample = ask, sample

    def chat(self, messages: Sequence[Any]) -> Any:
        """The reply to llama-index's messages, shaped like llama-index's."""
        plain = [{"role": str(getattr(m.role, "value", m.role)), "content": m.content or ""} for m in messages]
        reply = self._ask(plain, self._sample)
        usage = SimpleNamespace(prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens)
        return SimpleNamespace(message=SimpleNamespace(content=reply.text), raw=SimpleNamespace(usage=usage))


def cached_models(arguments: argparse.Namespace) -> Callable[[int], CachedModel]:
    """sample -> the model to ask for it, one object each. Raises RagError for a server or key that will not do."""
    client = calls_of(arguments).client(arguments.model, arguments.base_url).ready()
    made: dict[int, CachedModel] = {}
    return lambda sample: made.setdefault(sample, CachedModel(client.ask, client.model, sample))


class Preview:
    """Counts the calls of a run without sending one: what is stored is replayed, the rest is guessed."""

    GUESS = 120  # tokens of a reply, where none is stored to learn from

    def __init__(self, client: Client) -> None:
        self._client = client
        self._guard = threading.Lock()
        self.new = self.replayed = self.prompt = 0
        self._lengths: list[int] = []

    def ask(self, messages: Messages, sample: int) -> Reply:
        """A stored reply, or one that no passage supports: it leads to no further call."""
        found = self._client.kept(messages, sample)
        with self._guard:
            if found:
                self.replayed += 1
                self._lengths.append(found.completion_tokens)
                return found
            self.new += 1
            self.prompt += tokens_of(messages)
        return Reply("Nobody has asked yet.", 0, 0, self._client.model, "stop", 0.0, "")

    def __str__(self) -> str:
        length = sum(self._lengths) / len(self._lengths) if self._lengths else self.GUESS
        price, longest = self._client.price, self._client.longest
        cost = "at a price that is unknown, see evals/prices.toml"
        if price:
            likely, most = price.of(self.prompt, self.new * length), price.of(self.prompt, self.new * longest)
            cost = f"about ${likely:.2f}, at most ${most:.2f}"
        return (
            f"{self.new} calls of {self._client.model} to send, {self.replayed} to replay; "
            f"about {self.prompt:,} + {int(self.new * length):,} tokens, {cost}"
        )


def _say(text: str) -> None:
    print(f"rag: {text}", file=sys.stderr)
