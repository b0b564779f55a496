"""A model's calls: kept by content, counted in money, gentle to the server.

A `CachedModel` is a `rag.models.chat.ChatModel` around another one: what it is asked goes through the
client of the product, with its retries and its deadline. A reply is known by what was asked (server,
model, prompt, parameters) and by which sample of it, so that an unrelated commit replays a run at no
cost, and `--cache only` needs no server. The fence that a prompt makes up anew each time is left out
of the key, never out of what is sent. Errors and replies that were cut off, refused or empty are not
kept. On "too many requests" fewer calls go out at once. What would pass `--max-usd` stops the run
before it is sent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from rag.errors import Cancelled, ModelError, RagError, UsageError
from rag.models.chat import ChatModel, open_chat
from rag.models.contexts import of_family
from rag.models.deadline import Deadline, Retries, wished
from rag.models.prices import price_of, priced
from rag.models.servers import file_of, url_of
from rag.models.servers import key_of as key_of_server
from rag.models.streamed import Part, Streamed
from rag.records import Reply, Usage
from rag.settings import load

from .money import Ledger, tokens_of
from .replies import Replies, Stale, step_of
from .run import Stop

FOLDER = Path(__file__).parent / "cache"
SCHEMA = 2  # of keys and values: a new one makes every stored reply a stranger
RETRIES = Retries(most=4, first_pause=0.5, longest_pause=120.0)  # a run has more time than a reader
DEADLINE = 300.0  # seconds one call may take, with its retries and its wait for a place
GROW = 20  # calls without a 429 after which one more may go out at once
GIVE_UP = 3  # calls in a row for which the server could not be reached
HOPELESS = (401, 403, 404)  # the next call would fare the same

PRICED = "give it in settings.toml, as prompts/README.md says"
NEAR = "http://localhost"  # stands for this machine, where a GGUF file is run: no key, no price
STOPPED = "stopped; finished rows are kept, run the same again to go on"

# --- what is kept -------------------------------------------------------------------------------


_FENCE = re.compile(r"=== [0-9a-f]{8,} ===")


def key_of(base_url: str, model: str, prompt: tuple[str, str], parameters: Mapping[str, Any], sample: int) -> str:
    """sha256 of what is asked, (system, user), in a canonical form without the fences made up for the request."""
    asked = {
        "schema": SCHEMA,
        "base_url": base_url,
        "model": model,
        "prompt": [_FENCE.sub("=== ===", text) for text in prompt],
        "parameters": dict(parameters),
        "sample": sample,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def lasting(reply: Reply) -> bool:
    """May a reply be stored? Not what was cut off, refused or empty: it would be replayed for ever."""
    return reply.finish not in ("length", "refused") and bool(reply.text.strip())


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
            return _reply(json.loads(zlib.decompress(row[0]))) if row else None
        except (sqlite3.Error, zlib.error, KeyError, TypeError, ValueError):
            return None

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; a later one of the same key takes its place."""
        value = zlib.compress(json.dumps(_kept(reply), ensure_ascii=False).encode())
        try:
            with self._guard:
                self._db.execute("INSERT OR REPLACE INTO calls VALUES (?, ?)", (key, value))
        except sqlite3.Error as error:
            if not self._said:
                _say(f"{self._path}: replies are not kept any more ({error}); free some space")
            self._said = True


def _kept(reply: Reply) -> dict[str, Any]:
    usage = reply.usage
    numbers = {"calls": usage.calls, "prompt": usage.prompt_tokens, "completion": usage.completion_tokens}
    return {"text": reply.text, "finish": reply.finish, "created": int(time.time())} | numbers


def _reply(kept: Mapping[str, Any]) -> Reply:
    return Reply(kept["text"], Usage(kept["calls"], kept["prompt"], kept["completion"]), kept["finish"])


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
                raise Stop(STOPPED)
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

Mode = Literal["use", "refresh", "only", "off"]


class Client:
    """One model at one server, asked through the store.

    Raises UsageError when a limit in USD cannot be kept.
    """

    def __init__(
        self, model: str, base_url: str, *, mode: Mode, store: Store | None, ledger: Ledger, gate: Gate,
        reply_tokens: int, temperature: float | None, recorded: Replies | None = None,
    ) -> None:  # fmt: skip
        self.model, self.base_url, self.reply_tokens = model, base_url, reply_tokens
        self._prices = load().prices
        self.price = price_of(base_url, model, self._prices)
        self._mode, self._store, self._ledger, self._gate = mode, store, ledger, gate
        self._parameters = {"reply_tokens": reply_tokens, "temperature": temperature}
        self._temperature = temperature
        self._recorded = recorded if mode == "only" else None
        self._chat: ChatModel | None = None
        self._guard = threading.Lock()
        self._unreached = 0
        if self.price is None and mode != "only":
            self._say_unpriced()

    def ready(self) -> Client:
        """Itself. Raises ModelError when a key will be needed and is not there."""
        if self._mode != "only":
            key_of_server(self.base_url)
        return self

    def kept(self, system: str, user: str, sample: int) -> Reply | None:
        """The reply that would be replayed."""
        if self._store is None or self._mode in ("refresh", "off"):
            return None
        text = self._recorded and self._recorded.to(system, user)
        found = self._store.get(self._key(system, user, sample)) if not text else None
        if text:
            found = Reply(text, Usage(1, tokens_of(system + user), tokens_of(text)), "stop")
        return found and replace(found, usage=priced(found.usage, self.price))

    def ask(self, system: str, user: str, sample: int) -> Reply:
        """A reply from the store or the server. Raises ModelError, or Stop when no later call would fare better."""
        streamed = Streamed(self.parts(system, user, sample, streaming=False))
        for _ in streamed:
            pass
        return streamed.reply

    def parts(self, system: str, user: str, sample: int, *, streaming: bool) -> Iterator[Part]:
        """`ask` in parts, as a server sends them when `streaming`; a reply from the store is one part."""
        if found := self.kept(system, user, sample):
            self._ledger.count("replayed", found.usage, self.price)
            yield Part(found.text, found.finish, found.usage)
            return
        if self._recorded:
            raise Stale(f"no recorded reply to this prompt: {step_of(system)}")
        if self._mode == "only":
            raise ModelError(f"this call of {self.model} is not in evals/cache/; run once with --cache use")
        deadline = Deadline(DEADLINE, self._gate.stopped.is_set)
        try:
            if streaming:
                streamed = self._opened().stream(system, user, deadline=deadline)
                for delta in streamed:
                    yield Part(delta)
                reply = streamed.reply
            else:
                reply = self._opened().ask(system, user, deadline=deadline)
        except Cancelled as error:
            raise Stop(STOPPED) from error
        except ModelError as error:
            raise self._hopeless(error) from error
        self._unreached = 0
        if self._store is not None and lasting(reply):
            self._store.put(self._key(system, user, sample), reply)
        yield Part("" if streaming else reply.text, reply.finish, reply.usage)

    def _key(self, system: str, user: str, sample: int) -> str:
        return key_of(self.base_url, self.model, (system, user), self._parameters, sample)

    def _opened(self) -> ChatModel:
        with self._guard:
            if self._chat is None:
                self._chat = open_chat(
                    self.model, self.base_url, reply_tokens=self.reply_tokens, temperature=self._temperature,
                    retries=RETRIES, around=self._around, prices=self._prices,
                )  # fmt: skip
            return self._chat

    def _around(self, prompt: str, room: int, parts: Iterator[Part]) -> Iterator[Part]:
        """One request: it waits for its place, its worst case is set aside, what it cost is counted."""
        worst = self.price.of(tokens_of(prompt, 3.0), room) if self.price else 0.0
        said, usage = 0, Usage(1)
        with self._gate() as left, self._ledger.aside(worst):
            try:
                for part in parts:
                    said, usage = said + len(part.delta), part.usage or usage
                    yield part
            except Exception as error:
                if getattr(error, "status_code", None) == 429:
                    self._gate.crowded(left, min(wished(error) or 0.0, DEADLINE))
                elif isinstance(error, TimeoutError) or type(error).__name__ == "APITimeoutError":
                    self._ledger.lost(worst)  # the server may have gone on, and charge for it
                raise
            prompt_tokens, completion = usage.prompt_tokens or tokens_of(prompt), usage.completion_tokens or said // 4
            self._ledger.count("sent", Usage(1, prompt_tokens, completion), self.price)
        self._gate.fine()

    def _say_unpriced(self) -> None:
        host = urlsplit(self.base_url).hostname
        if self._ledger.most is not None:
            raise UsageError(f"--max-usd cannot be kept: the price of {self.model!r} at {host} is unknown; {PRICED}")
        _say(f"the price of {self.model!r} at {host} is unknown: what it costs is not counted; {PRICED}")

    def _hopeless(self, error: ModelError) -> RagError:
        """The error, or Stop for what every later call would meet too."""
        cause = error.__cause__
        status = getattr(cause, "status_code", None)
        if status is None and type(cause).__name__ in ("APIConnectionError", "APITimeoutError", "TimeoutError"):
            self._unreached += 1
            if self._unreached >= GIVE_UP:
                return Stop(
                    f"{error.worded('terminal')}; {GIVE_UP} calls in a row, finished rows are kept, run the same again"
                )
        if status in HOPELESS or getattr(cause, "code", None) == "insufficient_quota":
            return Stop(f"{error.worded('terminal')}; finished rows are kept, run the same again")
        return error


class CachedModel:
    """A `ChatModel` that asks for one sample of each reply, through `Client.parts` or `Preview.parts`."""

    def __init__(self, parts: Callable[..., Iterator[Part]], model: str, sample: int) -> None:
        self.name = model
        self.context = of_family(model)  # not the server's word: a replay has none, and must send the same prompts
        self._parts, self._sample = parts, sample

    def ask(self, system: str, user: str, *, deadline: Deadline | None = None) -> Reply:
        """The whole reply. A call has a deadline of its own, for the wait for a place is no fault of the model's."""
        streamed = Streamed(self._parts(system, user, self._sample, streaming=False))
        for _ in streamed:
            pass
        return streamed.reply

    def stream(self, system: str, user: str, *, deadline: Deadline | None = None) -> Streamed:
        """The reply piece by piece."""
        return Streamed(self._parts(system, user, self._sample, streaming=True))


# --- one command --------------------------------------------------------------------------------


class Calls:
    """All calls of one command: one store and one ledger, a gate for each server."""

    def __init__(
        self,
        mode: Mode,
        *,
        max_usd: float | None = None,
        concurrency: int = 4,
        folder: Path | None = None,
        replies: Callable[[str], Replies | None] = lambda model: None,
    ) -> None:
        if max_usd is not None and not max_usd >= 0:
            raise UsageError(f"--max-usd is {max_usd:g}; give an amount such as 2.50")
        self.ledger = Ledger(max_usd)
        self._mode = mode
        self._concurrency = concurrency
        self._replies = replies
        self._store = None if mode == "off" else Store((folder or FOLDER) / "calls.sqlite")
        self._gates: dict[str, Gate] = {}
        self._clients: dict[tuple[str, str, int], Client] = {}

    def client(self, model: str, base_url: str | None, *, reply_tokens: int | None = None) -> Client:
        """The client of a model; the same one for the same model. Settings give server and parameters."""
        settings = load(model=model, base_url=base_url)
        url = NEAR if file_of(model, settings.base_url) else url_of(settings.base_url)
        key = model, url, reply_tokens or settings.reply_tokens
        if key not in self._clients:
            self._clients[key] = Client(
                model,
                key[1],
                mode=self._mode,
                store=self._store,
                ledger=self.ledger,
                gate=self._gates.setdefault(key[1], Gate(self._concurrency)),
                reply_tokens=key[2],
                temperature=settings.temperature,
                recorded=self._replies(model),
            )
        return self._clients[key]

    def stop(self) -> None:
        """Give up what is under way and send nothing more."""
        for gate in self._gates.values():
            gate.stop()


def calls_of(arguments: argparse.Namespace) -> Calls:
    """The calls of a command, the same for its answers, its confirmations and its judge: one budget."""
    if getattr(arguments, "calls", None) is None:
        folder, most = arguments.place.cache, arguments.max_usd
        arguments.calls = Calls(
            arguments.cache, max_usd=most, concurrency=arguments.concurrency, folder=folder,
            replies=arguments.place.recorded,
        )  # fmt: skip
    return arguments.calls  # type: ignore[no-any-return]


def cached_models(arguments: argparse.Namespace) -> Callable[[int], CachedModel]:
    """sample -> the model to ask for it, one object each. Raises RagError for a server or key that will not do."""
    client = calls_of(arguments).client(arguments.model, arguments.base_url).ready()
    made: dict[int, CachedModel] = {}
    return lambda sample: made.setdefault(sample, CachedModel(client.parts, client.model, sample))


class Preview:
    """Counts the calls of a run without sending one: what is stored is replayed, the rest is guessed."""

    GUESS = 120  # tokens of a reply, where none is stored to learn from

    def __init__(self, client: Client) -> None:
        self._client = client
        self._guard = threading.Lock()
        self.new = self.replayed = self.prompt = 0
        self._lengths: list[int] = []

    def parts(self, system: str, user: str, sample: int, *, streaming: bool = False) -> Iterator[Part]:
        """A stored reply, or one that no passage supports: it leads to no further call."""
        found = self._client.kept(system, user, sample)
        with self._guard:
            if found:
                self.replayed += 1
                self._lengths.append(found.usage.completion_tokens)
            else:
                self.new += 1
                self.prompt += tokens_of(system + user)
        said = found or Reply("Nobody has asked yet.", Usage(), "stop")
        yield Part(said.text, said.finish, said.usage)

    def __str__(self) -> str:
        length = sum(self._lengths) / len(self._lengths) if self._lengths else self.GUESS
        price, longest = self._client.price, self._client.reply_tokens
        cost = f"at a price that is unknown; {PRICED}"
        if price:
            likely, most = price.of(self.prompt, self.new * length), price.of(self.prompt, self.new * longest)
            cost = f"about ${likely:.2f}, at most ${most:.2f}"
        return (
            f"{self.new} calls of {self._client.model} to send, {self.replayed} to replay; "
            f"about {self.prompt:,} + {int(self.new * length):,} tokens, {cost}"
        )


def _say(text: str) -> None:
    print(f"rag: {text}", file=sys.stderr)
