"""Where a model is served: names, URLs, keys, what leaves the machine; and how the terminal speaks of it."""

from __future__ import annotations

import json
import socket
import sys

import pytest
from pytest_httpserver import HTTPServer
from running import called, typed

from rag.cli.main import main
from rag.errors import ModelError, UsageError
from rag.models import servers
from rag.models.servers import NO_KEY, OPENAI, SERVERS, is_remote, key_of, shown, url_of
from rag.settings import load, speaks_of_model

POKER = "How many poker scenarios does PokerBench contain?"

# --- names and URLs -----------------------------------------------------------------------------


def test_a_short_name_stands_for_nothing_but_a_url():
    assert url_of("ollama") == url_of(" Ollama ") == url_of("http://localhost:11434/v1/") == "http://localhost:11434/v1"
    assert url_of(None) == url_of("openai") == OPENAI
    assert [is_remote(name) for name in SERVERS] == [name == "openai" for name in SERVERS]


@pytest.mark.parametrize(
    "url", ["localhost:8080", "ftp://host/v1", "http://", "http://host:99999/v1", "", "x", "http://["]
)
def test_a_base_url_that_is_none_is_told(url):
    with pytest.raises(UsageError, match=r"base URL .* is none; give one like http://localhost:11434/v1"):
        url_of(url)


@pytest.mark.parametrize(
    ("typed", "meant"), [("olama", "ollama"), ("lm-studio", "lmstudio"), ("llama.cpp", "llamacpp")]
)
def test_a_mistyped_short_name_suggests_the_nearest(typed, meant):
    with pytest.raises(UsageError, match=f"did you mean {meant}"):
        url_of(typed)


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        (None, True),
        ("https://api.example.org/v1", True),
        ("http://127.example.org/v1", True),
        ("http://localhost.example.org/v1", True),
        ("http://192.168.1.5:1/v1", True),
        ("http://me@localhost:1/v1", False),
        ("http://localhost@example.org/v1", True),
        ("http://localhost:1/v1", False),
        ("http://LOCALHOST.:1/v1", False),
        ("http://127.0.0.1:1/v1", False),
        ("http://127.8.9.1:1/v1", False),
        ("http://0.0.0.0:1/v1", False),
        ("http://[::1]:1/v1", False),
    ],
)
def test_whether_text_leaves_the_machine(url, remote):
    assert is_remote(url) is remote


def test_a_password_in_a_url_is_not_shown():
    assert shown("http://me:secret@host:1/v1?key=secret#secret") == "http://host:1/v1"


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "general", "to_openai", "to_others"),
    [
        ("own", "general", "own", "own"),
        (None, "general", "general", NO_KEY),
        (" own\n", None, "own", "own"),
        (" ", "general", "general", NO_KEY),
    ],
)
def test_which_key_goes_where(monkeypatch, own, general, to_openai, to_others):
    for name, value in (("RAG_API_KEY", own), ("OPENAI_API_KEY", general)):
        if value:
            monkeypatch.setenv(name, value)
    assert key_of(OPENAI) == to_openai
    assert key_of("http://api.openai.com.example.org/v1") == key_of(url_of("ollama")) == to_others


def test_openai_needs_a_key():
    with pytest.raises(ModelError, match='set OPENAI_API_KEY, or name a local server: base_url="ollama"'):
        key_of(OPENAI)


# --- how long a question may take ---------------------------------------------------------------


def test_the_deadline_comes_from_the_file_the_environment_or_an_argument(tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.toml").write_text("deadline = 30")
    seen = [load().deadline]
    monkeypatch.setenv("RAG_DEADLINE", "2.5")
    seen += [load().deadline, load(deadline=7).deadline]
    assert seen == [30.0, 2.5, 7.0]
    assert load(deadline=7).deadline == 7.0


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e9, True, "soon", ""])
def test_a_wrong_deadline_is_refused(value):
    with pytest.raises(UsageError, match="it counts seconds, more than 0 and at most 86,400"):
        load(deadline=value)


def test_whether_anybody_spoke_of_a_model(monkeypatch):
    assert not speaks_of_model()
    assert speaks_of_model(model="extractive")
    monkeypatch.setenv("RAG_MODEL", "extractive")
    assert speaks_of_model(model=None)
    assert load().model is None


# --- rag models ---------------------------------------------------------------------------------


@pytest.fixture
def offers(httpserver: HTTPServer):
    """A server's base URL, once told what it answers to GET /models."""

    def offer(body, status: int = 200, **headers: str) -> str:
        text = body if isinstance(body, str) else json.dumps(body)
        headers |= {"content-type": "application/json", "retry-after-ms": "10"}
        httpserver.expect_request("/v1/models", method="GET").respond_with_data(text, status, headers)
        return httpserver.url_for("/v1")

    return offer


def models(*ids: object) -> dict[str, object]:
    return {"object": "list", "data": [{"id": id, "object": "model"} for id in ids]}


def listed(capsys, *argv: str) -> tuple[int, str, str]:
    """`rag models argv`: (exit code, stdout, stderr)."""
    code = main(["models", *argv])
    return code, *capsys.readouterr()


def test_models_are_listed_one_a_line(capsys, offers, monkeypatch):
    url = offers(models("qwen2.5:7b", "llama3.2", "a\x1b[2Jb"))
    code, out, err = listed(capsys, "--base-url", url)
    assert (code, out.splitlines()[1:], err) == (0, ["llama3.2", "qwen2.5:7b"], "")
    assert "\x1b" not in out
    monkeypatch.setenv("RAG_BASE_URL", url)
    assert json.loads(listed(capsys, "--json")[1])[1:] == ["llama3.2", "qwen2.5:7b"]


@pytest.mark.parametrize("body", [models(), {"object": "list", "data": None}])
def test_a_server_without_models_says_so(capsys, offers, body):
    url = offers(body)
    assert listed(capsys, "--base-url", url) == (0, "", f"rag: {url} offers no model; load one there first\n")
    assert listed(capsys, "--base-url", url, "--json")[1] == "[]\n"


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (
            {"error": {"message": "no"}},
            401,
            "refused the key (HTTP 401), for none is set; set RAG_API_KEY to its key\n",
        ),
        ("not found", 404, "lists no models (HTTP 404); check that --base-url ends in /v1"),
        ("boom", 500, "failed (HTTP 500: boom); try again"),
        ("<html>", 200, "not as an OpenAI-compatible server does"),
        ("{not json", 200, "not as an OpenAI-compatible server does"),
        ("[1]", 200, "not as an OpenAI-compatible server does"),
        ({"data": 3}, 200, "not as an OpenAI-compatible server does"),
    ],
)
def test_a_listing_that_fails_is_one_line(capsys, offers, body, status, why):
    code, out, err = listed(capsys, "--base-url", offers(body, status))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert why in err
    assert "--model" not in err


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "OPENAI_API_KEY, or name a local server: --base-url ollama"),
        (["--base-url", "http://127.0.0.1:9/v1"], "cannot be reached; is the server running?"),
        (["--base-url", "ollama"], "cannot be reached; is Ollama running? Type: ollama serve\n"),
        (["--base-url", "lmstudio"], "cannot be reached; is LM Studio's server running? Type: lms server start\n"),
        (["--base-url", "olama"], "did you mean ollama?"),
        (["--base-url", "ollama", "--deadline", "0"], "the deadline is 0.0; it counts seconds"),
        (["--base-url", "ollama", "--deadline", "nan"], "the deadline is nan; it counts seconds"),
        (["--base-url", "ollama", "--deadline", "soon"], "invalid float value: 'soon'; type: rag models --help"),
    ],
)
def test_a_server_that_cannot_be_asked_is_one_line(capsys, argv, why, monkeypatch):
    with socket.socket() as free, socket.socket() as other:  # where nobody listens, whatever runs on this machine
        for name, bound in (("ollama", free), ("lmstudio", other)):
            bound.bind(("127.0.0.1", 0))
            monkeypatch.setitem(servers.SERVERS, name, f"http://localhost:{bound.getsockname()[1]}/v1")
    _is_one_line(capsys, argv, why)


def _is_one_line(capsys, argv, why):
    code, out, err = listed(capsys, *argv)
    assert code in (1, 2)
    assert (out, err.count("\n")) == ("", 1)
    assert why in err


@pytest.mark.parametrize("body", [models(), {"data": None}])
def test_ollama_without_models_says_how_to_get_one(capsys, offers, body, monkeypatch):
    url = offers(body)
    monkeypatch.setitem(servers.SERVERS, "ollama", url)
    assert listed(capsys, "--base-url", "ollama")[2] == f"rag: {url} offers no model; type: ollama pull NAME\n"


# --- what the terminal says of a model ----------------------------------------------------------


def test_status_names_the_server(capsys):
    assert main(["status", "--model", "m", "--base-url", "ollama", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["server"] == "http://localhost:11434/v1"


def test_before_text_leaves_the_machine_a_notice_says_where_it_goes(capsys, monkeypatch):
    from rag.cli import common

    common.notice.cache_clear()
    for _ in range(2):
        common.notice("gpt-5-mini", None)
    common.notice("m", "http://me:secret@example.org/v1")
    common.notice("m", "ollama")
    first, second = capsys.readouterr().err.splitlines()
    assert first == (
        "rag: your questions and the passages found go to https://api.openai.com/v1 (gpt-5-mini); "
        "--model extractive keeps them here"
    )
    assert "https" not in second
    assert "http://example.org/v1 (m)" in second


def test_the_notice_comes_before_the_first_call(monkeypatch):
    """Nobody answers to the name, so the call fails; the notice is there before the name is looked up."""

    def closed(host, *_, **__):
        print(f"looked up {host}", file=sys.stderr)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", closed)
    code, _, err = called("ask", "what is poker?", "--model", "m", "--base-url", "https://models.example.org/v1")
    lines = [line for line in err.splitlines() if not line.startswith("Preparing")]
    assert code == 1
    assert "go to https://models.example.org/v1 (m); --model extractive keeps them here" in lines[0]
    assert lines[1:-1] == ["looked up models.example.org"]
    assert "cannot be reached" in lines[-1]


HINT = "To add a model: --model NAME --base-url ollama (or a URL), or --model FILE.gguf"


def test_a_person_without_a_model_is_told_once_how_to_add_one():
    assert typed("ask", POKER, columns=200)[1].count(HINT) == 1
    assert HINT not in typed("ask", POKER, "--model", "extractive", columns=200)[1]
    assert HINT not in typed("ask", POKER, RAG_MODEL="extractive", columns=200)[1]
    assert HINT not in typed("ask", POKER, "--json", columns=200)[1]
    assert HINT not in typed("ask", "What is the capital of Mongolia?", columns=200)[1]


def test_a_chat_says_so_once():
    code, seen = typed("chat", keys=f"{POKER}\nWhat does FlashAttention reduce?\n\x04", columns=200, TERM="dumb")
    assert code == 0
    assert "[1] PokerBench" in seen
    assert "[2] FlashAttention" in seen
    assert (
        " ".join(seen.split()).count(
            "To have a model write: /model NAME ollama, or another server's URL, or /model FILE.gguf"
        )
        == 1
    )


def test_a_pipe_gets_no_hint():
    code, out, err = called("ask", POKER)
    assert (code, err) == (0, "")
    assert HINT not in out
