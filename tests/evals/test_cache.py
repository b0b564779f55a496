"""The call cache, its money and its manners, against a real server on loopback."""

from __future__ import annotations

import argparse
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from made import FLASH, S4, library
from running import silent_server
from served import ChatServer, completion, refusal
from serving import COUNTED, end, streaming

import rag
from evals import cache
from evals.cache import CachedModel, Calls, Client, Gate, Preview, Store, cached_models, key_of
from evals.money import Ledger
from evals.place import place_of
from evals.run import Stop
from rag.errors import ModelError, RagError, UsageError
from rag.models import prices
from rag.models.chat import ChatModel
from rag.models.client import MORE_ROOM
from rag.models.prices import Price
from rag.records import Reply, Usage
from rag.settings import load

SAID = ("s", "u")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")
    monkeypatch.setattr(cache, "RETRIES", cache.RETRIES._replace(first_pause=0.01))


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as served:
        yield served


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback costs like a server far away: 1000 USD per million tokens either way."""
    monkeypatch.setattr(prices, "_table", lambda: {"127.0.0.1": {"m": {"prompt": 1000, "completion": 1000}}})
    monkeypatch.setattr(prices, "_is_near", lambda host: False)


def client(server: ChatServer, mode: str = "use", model: str = "m", **options: Any) -> Client:
    return Calls(mode, **options).client(model, server.url)


def options(server: ChatServer, **changes: Any) -> argparse.Namespace:
    plain = {"model": "m", "base_url": server.url, "cache": "use", "max_usd": None, "concurrency": 2, "dry_run": False}
    return argparse.Namespace(**(plain | {"place": place_of(None, None)} | changes))


# --- what is replayed ---------------------------------------------------------------------------


def test_the_same_call_is_sent_once_and_replayed_by_a_later_process(server):
    first = client(server).ask(*SAID, 0)
    assert client(server).ask(*SAID, 0) == first
    assert first == Reply("yes", Usage(1, 10, 5, 0.0), "stop")
    assert len(server.asked) == 1


def test_the_fence_of_a_request_is_sent_but_not_in_the_key(server):
    def fenced(token: str) -> str:
        fence = f"=== {token} ==="
        return f"between the lines marked {fence}:\n\n{fence}\ntext\n{fence}\n"

    asking = client(server)
    asking.ask("s", fenced("0123456789ab"), 0)
    asking.ask("s", fenced("ba9876543210"), 0)
    assert [body["messages"][1]["content"] for body in server.asked] == [fenced("0123456789ab")]
    asking.ask("s", fenced("ba9876543210").replace("text", "other"), 0)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"base_url": "http://b/v1"},
        {"model": "n"},
        {"prompt": ("s", "u more")},
        {"prompt": ("u", "s")},
        {"parameters": {"max_tokens": 6}},
        {"sample": 1},
    ],
)
def test_whatever_could_change_the_reply_changes_the_key(other):
    call = {"base_url": "http://a/v1", "model": "m", "prompt": SAID, "parameters": {"max_tokens": 5}, "sample": 0}
    assert key_of(**call) == key_of(**call)
    assert key_of(**call) != key_of(**(call | other))


@pytest.mark.parametrize(
    "said",
    [completion("cut of", finish="length"), completion("", finish="content_filter"), completion(" ")],
    ids=["truncated", "filtered", "empty"],
)
def test_what_is_no_whole_reply_is_passed_on_and_not_kept(server, said):
    server.says = lambda body: said
    asking = client(server)
    assert asking.ask(*SAID, 0).text == said["choices"][0]["message"]["content"]
    asking.ask(*SAID, 0)
    assert len(server.asked) == 2


def test_an_error_is_not_kept(server):
    server.says = lambda body: refusal(400)
    with pytest.raises(ModelError, match="HTTP 400"):
        client(server).ask(*SAID, 0)
    server.says = lambda body: "better"
    assert client(server).ask(*SAID, 0).text == "better"


def test_refresh_asks_again_and_keeps_the_later_reply(server):
    client(server).ask(*SAID, 0)
    server.says = lambda body: "new"
    assert client(server, "refresh").ask(*SAID, 0).text == "new"
    assert client(server).ask(*SAID, 0).text == "new"
    assert len(server.asked) == 2


def test_only_replays_and_a_miss_is_an_error_that_sends_nothing(server, monkeypatch):
    client(server).ask(*SAID, 0)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    replaying = client(server, "only").ready()
    assert replaying.ask(*SAID, 0).text == "yes"
    with pytest.raises(ModelError, match="not in evals/cache/; run once with --cache use"):
        replaying.ask(*SAID, 1)
    assert len(server.asked) == 1


def kept(file: Path) -> list[str]:
    """All that a store holds; its bytes may change when it is closed."""
    with closing(sqlite3.connect(file)) as db:
        return list(db.iterdump())


def test_off_neither_reads_nor_writes(server, tmp_path):
    client(server).ask(*SAID, 0)
    before = kept(tmp_path / "cache" / "calls.sqlite")
    client(server, "off").ask(*SAID, 0)
    assert len(server.asked) == 2
    assert kept(tmp_path / "cache" / "calls.sqlite") == before


def test_a_file_that_is_none_is_one_line_and_a_damaged_value_is_a_miss(server, tmp_path):
    client(server).ask(*SAID, 0)
    with sqlite3.connect(tmp_path / "cache" / "calls.sqlite") as database:
        database.execute("UPDATE calls SET value = x'00'")
    database.close()
    client(server).ask(*SAID, 0)
    assert len(server.asked) == 2
    (tmp_path / "bad.sqlite").write_text("this is no database, whatever its name says " * 50)
    with pytest.raises(RagError, match=r"bad.sqlite: cannot be opened .*--cache off"):
        Store(tmp_path / "bad.sqlite")


def test_a_full_disk_loses_no_reply_and_is_said_once(server, monkeypatch, capsys):
    asking = client(server)

    class Full:
        def execute(self, statement: str, *_: object) -> Any:
            if "INSERT" in statement:
                raise sqlite3.OperationalError("database or disk is full")
            return sqlite3.connect(":memory:").execute("SELECT 1 WHERE 0")

    monkeypatch.setattr(asking._store, "_db", Full())
    assert [asking.ask(*SAID, sample).text for sample in range(2)] == ["yes", "yes"]
    assert capsys.readouterr().err.count("disk is full") == 1


def test_threads_share_a_store(tmp_path, server):
    asking = client(server, concurrency=8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: asking.ask(*SAID, n % 10), range(60)))
    assert {client(server, "only").ask(*SAID, n).text for n in range(10)} == {"yes"}


# --- as a model of rag --------------------------------------------------------------------------


def test_rag_asks_through_it_and_its_fences_do_not_defeat_the_cache(server, tmp_path):
    server.says = lambda body: "S4 generates text 60 times faster [1]."
    asked = {"question": "How much faster does S4 generate text?", "library": str(library(tmp_path / "l", S4, FLASH))}
    first = rag.answer(**asked, model=cached_models(options(server))(0))
    again = rag.answer(**asked, model=cached_models(options(server))(0))
    assert len(server.asked) == 1
    assert "=== " in server.asked[0]["messages"][1]["content"]
    assert server.asked[0].keys() - {"stream"} == {"model", "messages", "max_tokens"}
    assert (first.text, first.claims, first.usage) == (again.text, again.claims, again.usage)
    assert (first.usage.calls, first.usage.prompt_tokens, first.usage.completion_tokens) == (1, 10, 5)
    assert (first.model, first.status) == ("m", "answered")


def test_there_is_one_model_a_sample_and_samples_are_asked_apart(server):
    chosen = options(server)
    models = cached_models(chosen)
    assert models(1) is models(1)
    assert models(0) is not models(1)
    assert (models(0).name, isinstance(models(0), ChatModel)) == ("m", True)
    assert [models(sample).ask("s", "u").text for sample in (0, 1, 1)] == ["yes"] * 3
    assert len(server.asked) == 2
    assert str(chosen.calls.ledger).startswith(
        "model calls: 2 sent (20 + 10 tokens, $0.0000), 1 replayed (10 + 5 tokens"
    )


def test_how_a_reply_ended_reaches_the_answer_and_is_replayed(server, tmp_path):
    whole = "S4 generates text 60 times faster [1]."
    server.says = lambda body: completion(f"{whole} It also gene", finish="length")
    asked = {"question": "How much faster does S4 generate text?", "library": str(library(tmp_path / "l", S4, FLASH))}
    answer = rag.answer(**asked, model=cached_models(options(server))(0))
    assert answer.text == "S4 generates text 60 times faster. [1]"  # the half sentence is in neither
    assert answer.removed == ()
    server.says = lambda body: completion(whole, finish="tool_calls")
    client(server).ask(*SAID, 0)
    assert client(server, "only").ask(*SAID, 0).finish == "tools"


def test_a_model_that_thought_away_its_room_is_given_more_and_both_calls_are_counted(server):
    server.says = lambda body: completion("", finish="length") if len(server.asked) < 2 else "yes"
    calls = Calls("use")
    assert calls.client("m", server.url).ask(*SAID, 0) == Reply("yes", Usage(2, 20, 10, 0.0), "stop")
    assert [body["max_tokens"] for body in server.asked] == [load().reply_tokens, MORE_ROOM]
    assert calls.ledger.calls["sent"] == 2


def test_what_a_server_refuses_is_learned(server):
    server.says = lambda body: refusal(400, text="no max_tokens here") if "max_tokens" in body else "yes"
    asking = client(server)
    assert [asking.ask(*SAID, sample).text for sample in range(2)] == ["yes", "yes"]
    assert ["max_tokens" in body for body in server.asked] == [True, False, False]


def test_a_reply_may_be_streamed_and_is_replayed_as_one_piece(server):
    server.says = lambda body: streaming("ye", "s", end(), COUNTED) if body.get("stream") else "yes"
    first, again = (
        CachedModel(client(server).parts, "m", 0).stream(*SAID),
        client(server, "only").parts(*SAID, 0, streaming=True),
    )
    assert "".join(first) == "yes"
    assert first.reply == Reply("yes", Usage(1, 321, 45, 0.0), "stop")
    assert [part.delta for part in again] == ["yes"]


def test_a_preview_counts_and_sends_nothing(server):
    client(server).ask(*SAID, 0)
    counted = Preview(client(server))
    model = [CachedModel(counted.parts, "m", sample) for sample in (0, 1)]
    assert [one.ask(*SAID).text for one in model] == ["yes", "Nobody has asked yet."]
    assert str(counted).startswith("1 calls of m to send, 1 to replay; about 16 + 5 tokens, about $0.00")
    assert len(server.asked) == 1


def test_reasoning_models_get_their_own_parameter(server):
    client(server, model="gpt-5-mini").ask(*SAID, 0)
    assert server.asked[0]["max_completion_tokens"] == load().reply_tokens
    assert "max_tokens" not in server.asked[0]


# --- retries ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503])
def test_what_passes_is_tried_again(server, status):
    server.says = lambda body: refusal(status) if len(server.asked) < 3 else "late"
    assert client(server).ask(*SAID, 0).text == "late"
    assert len(server.asked) == 3


def test_there_are_five_tries_in_all(server):
    server.says = lambda body: refusal(503)
    with pytest.raises(ModelError, match="HTTP 503"):
        client(server).ask(*SAID, 0)
    assert len(server.asked) == 1 + cache.RETRIES.most == 5


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_does_not_pass_is_not_tried_again(server, status):
    server.says = lambda body: refusal(status)
    with pytest.raises(ModelError, match=f"HTTP {status}"):
        client(server).ask(*SAID, 0)
    assert len(server.asked) == 1


@pytest.mark.parametrize(("status", "code"), [(401, "x"), (403, "x"), (404, "x"), (429, "insufficient_quota")])
def test_what_every_call_would_meet_ends_the_run(server, status, code):
    server.says = lambda body: refusal(status, code=code)
    with pytest.raises(Stop, match="finished rows are kept"):
        client(server).ask(*SAID, 0)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_an_error_and_the_third_time_the_end():
    with ChatServer() as server:
        gone = client(server)
    for _ in range(cache.GIVE_UP - 1):
        with pytest.raises(ModelError, match="cannot be reached"):
            gone.ask(*SAID, 0)
    with pytest.raises(Stop, match="3 calls in a row"):
        gone.ask(*SAID, 0)


def test_the_server_says_how_long_to_wait(server):
    server.says = lambda body: refusal(429, {"retry-after": "0.5"}) if len(server.asked) < 2 else "late"
    assert client(server).ask(*SAID, 0).text == "late"
    assert server.at[1] - server.at[0] >= 0.5


def test_a_wait_beyond_the_deadline_is_not_begun(server):
    server.says = lambda body: refusal(503, {"retry-after": "3600"})
    began = time.monotonic()
    with pytest.raises(ModelError):
        client(server).ask(*SAID, 0)
    assert time.monotonic() - began < 60
    assert len(server.asked) == 1


def test_a_server_that_never_answers_is_given_up_in_time(monkeypatch):
    monkeypatch.setattr(cache, "DEADLINE", 0.5)
    with silent_server() as (url, _), pytest.raises(ModelError, match=r"did not answer within 0.5 s"):
        Calls("off").client("m", url).ask(*SAID, 0)


def test_what_is_no_chat_model_is_said(server):
    for said in ({"hello": 1}, completion("x") | {"choices": []}):
        server.says = lambda body, said=said: said
        with pytest.raises(ModelError, match="not as an OpenAI-compatible server does"):
            client(server).ask(*SAID, 0)


# --- how many at once ---------------------------------------------------------------------------


def test_no_more_calls_go_out_at_once_than_allowed(server):
    three = threading.Barrier(3)

    def says(_):
        three.wait(60)
        return "yes"

    server.says = says
    asking = client(server, concurrency=3)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: asking.ask(*SAID, n), range(12)))
    assert server.most == 3


def test_a_crowd_halves_once_and_comes_back_slowly():
    gate = Gate(8)
    with gate() as first, gate() as second:
        gate.crowded(first, 0)
        gate.crowded(second, 0)  # it had left before the cut: the same crowd
    assert gate.limit == 4
    with gate() as third:
        gate.crowded(third, 0)
    assert gate.limit == 2
    for _ in range(cache.GROW):
        gate.fine()
    assert gate.limit == 3
    for _ in range(cache.GROW * 20):
        gate.fine()
    assert gate.limit == 8


def test_a_429_holds_everybody_back(server):
    server.says = lambda body: refusal(429, {"retry-after": "0.6"}) if len(server.asked) == 1 else "yes"
    asking = client(server, concurrency=4)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(asking.ask, *SAID, 0)
        while asking._gate.limit == 4:
            time.sleep(0.01)
        second = pool.submit(asking.ask, *SAID, 1)
        assert {first.result().text, second.result().text} == {"yes"}
    assert min(server.at[1:]) - server.at[0] >= 0.5


def test_stopping_wakes_who_waits_and_leaves_calls_behind():
    with silent_server() as (url, _):
        calls = Calls("off", concurrency=1)
        asking = calls.client("m", url)
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(asking.ask, *SAID, n) for n in range(2)]
            threading.Timer(0.3, calls.stop).start()
            began = time.monotonic()
            for future in waiting:
                with pytest.raises((Stop, ModelError)):
                    future.result()
            assert time.monotonic() - began < 60


# --- money --------------------------------------------------------------------------------------


def test_a_model_s_own_file_needs_no_key_and_costs_nothing(tmp_path):
    (tmp_path / "m.gguf").touch()
    client = Calls("off", max_usd=0).client(str(tmp_path / "m.gguf"), None).ready()
    assert client.price == Price(0, 0)


def test_an_unknown_price_is_said_aloud_and_no_limit_is_promised(server, priced, capsys):
    client(server, model="other").ask(*SAID, 0)
    assert "the price of 'other' at 127.0.0.1 is unknown" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--max-usd cannot be kept"):
        client(server, model="other", max_usd=1)
    with pytest.raises(UsageError, match="--max-usd is nan"):
        Calls("off", max_usd=float("nan"))


def test_the_call_that_could_pass_the_limit_is_not_sent(server, priced):
    calls = Calls("use", max_usd=1.24)  # at worst 1.22 a call; a real one costs 0.015
    asking = calls.client("m", server.url)
    for sample in range(2):
        asking.ask(*SAID, sample)
    with pytest.raises(Stop, match=r"stopped at \$0.0300 spent: .* --max-usd 1.24; finished rows are kept"):
        asking.ask(*SAID, 2)
    assert len(server.asked) == 2
    asking.ask(*SAID, 0)  # a replay is free
    assert calls.ledger.usd == {"sent": pytest.approx(0.03), "replayed": pytest.approx(0.015)}


def test_calls_under_way_count_towards_the_limit(priced):
    ledger = Ledger(1.0)
    with ledger.aside(0.6), pytest.raises(Stop), ledger.aside(0.6):
        pass
    with ledger.aside(0.6):
        pass


def test_usage_that_a_server_does_not_send_is_guessed(server):
    server.says = lambda body: completion("four or so tokens") | {"usage": None}
    calls = Calls("off")
    calls.client("m", server.url).ask(*SAID, 0)
    assert (calls.ledger.prompt["sent"], calls.ledger.completion["sent"]) == (16, 4)


def test_a_key_is_needed_for_openai_alone(monkeypatch, server):
    for name in ("RAG_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelError, match="set OPENAI_API_KEY"):
        cached_models(options(server, base_url=None))
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert cached_models(options(server, base_url=None))(0).name
    assert Calls("off").client("m", "ollama").base_url == "http://localhost:11434/v1"
    with pytest.raises(UsageError, match="is none"):
        cached_models(options(server, base_url="localhost:11434"))
