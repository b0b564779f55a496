"""What calls cost: the shipped table, a user's own prices, and that what nobody knows is never 0."""

from __future__ import annotations

import json
import re

import pytest
from serving import GOOD, POKER, completion

import rag
from rag.cli.main import main
from rag.models import prices
from rag.models.chat import open_chat
from rag.models.prices import FREE, TABLE, Price, price_of, priced
from rag.models.servers import OPENAI
from rag.records import Usage
from rag.settings import load


@pytest.mark.parametrize(
    ("url", "model", "price"),
    [
        (OPENAI, "gpt-5-mini", Price(0.25, 2.0)),
        (OPENAI, "gpt-5-mini-2025-08-07", Price(0.25, 2.0)),
        (OPENAI, "gpt-99", None),
        ("https://api.anthropic.com/v1", "claude-haiku-4-5-20251001", Price(1.0, 5.0)),
        ("https://elsewhere.example/v1", "gpt-5-mini", None),
        ("http://localhost:11434/v1", "qwen", FREE),
        ("http://192.168.1.5/v1", "qwen", FREE),
        ("http://[::1]:8080/v1", "qwen", FREE),
    ],
)
def test_prices(url, model, price):
    assert price_of(url, model) == price


def test_the_table_is_one_of_numbers_and_says_when_it_was_made():
    for models in prices._table().values():
        assert all(set(price) == {"prompt", "completion"} for price in models.values())
        assert all(0 < price["prompt"] <= price["completion"] for price in models.values())
    assert re.search(r"^# .*20\d\d", TABLE.read_text("utf-8"), re.MULTILINE)


def test_a_user_s_own_prices_come_first_even_for_what_is_near():
    own = {
        "127.0.0.1": {"m": {"prompt": 1, "completion": 2}},
        "api.openai.com": {"gpt-5": {"prompt": 0, "completion": 0}},
    }
    assert price_of("http://127.0.0.1:8080/v1", "m", own) == Price(1, 2)
    assert price_of("http://127.0.0.1:8080/v1", "other", own) == FREE
    assert price_of(OPENAI, "gpt-5-2025-08-07", own) == FREE
    assert price_of(OPENAI, "gpt-5-mini", own) == Price(0.25, 2.0)


@pytest.mark.parametrize(
    ("usage", "price", "usd"),
    [
        (Usage(1, 1000, 100), Price(2, 10), 0.003),
        (Usage(1, 1000, 100), None, None),
        (Usage(1), Price(2, 10), None),  # the server counted nothing
        (Usage(1), FREE, 0.0),
    ],
)
def test_what_is_not_known_is_none(usage, price, usd):
    assert priced(usage, price).usd == (usd and pytest.approx(usd))


def test_sums_of_what_is_not_known_are_not_known():
    assert Usage().usd == 0.0
    assert (Usage(1, 2, 3, 0.25) + Usage(1, 2, 3, 0.5)).usd == 0.75
    assert (Usage(1, 2, 3, 0.25) + Usage(1, 2, 3)).usd is None
    assert (Usage() + Usage(1, 2, 3)).usd is None
    assert sum([Usage(1, 2, 3, 0.25), Usage()], Usage()).usd == 0.25


@pytest.fixture
def server(httpserver):
    httpserver.expect_request("/v1/chat/completions").respond_with_response(completion(GOOD))
    return httpserver.url_for("/v1")


def test_an_answer_says_what_it_cost(server, capsys):
    asked = ["ask", POKER, "--model", "lamp", "--base-url", server, "--json", "--prompt-tokens", "2000"]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out)["usage"] == {
        "calls": 1, "prompt_tokens": 321, "completion_tokens": 45, "usd": 0.0,
    }  # fmt: skip


def test_settings_correct_the_table(server, tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    file = tmp_path / "config" / "settings.toml"
    file.parent.mkdir()
    file.write_text('[prices."LOCALHOST"]\nlamp = { prompt = 1000, completion = 2000.0 }\n')
    own = {"reply_tokens": 9, "temperature": None, "prices": load().prices}
    assert open_chat("lamp", server, **own).ask("", "What?").usage.usd == pytest.approx(0.411)
    assert open_chat("other", server, **own).ask("", "What?").usage.usd == 0.0


def test_an_llm_object_s_price_is_not_known_and_an_answer_without_a_model_costs_nothing():
    assert rag.answer(POKER).usage == Usage(0, 0, 0, 0.0)
    assert rag.Answer.from_dict(rag.answer(POKER).to_dict()).usage.usd == 0.0
