"""How many tokens a model takes, as real servers tell it, and as its family has it where they do not."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest
from serving import GOOD, POKER, completion
from werkzeug import Response

import rag
from rag.cli.main import main
from rag.models import contexts
from rag.models.chat import open_chat
from rag.models.contexts import context_of, of_family


def listed(*entries):
    return {"object": "list", "data": list(entries)}


def model(name="lamp", owner="somebody", **more):
    return {"id": name, "object": "model", "owned_by": owner} | more


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    """Nothing is known yet: the server of these tests has the same address in all of them."""
    monkeypatch.setattr(contexts, "_known", {})
    monkeypatch.setattr(contexts, "PATIENCE", 30.0)  # the machine may be busy


@pytest.fixture
def serves(httpserver):
    """serves({path: JSON or Response}) -> the base URL of a server that answers these and nothing else."""

    def begin(answers, path="/v1"):
        for at, said in answers.items():
            response = said if isinstance(said, Response) else Response(json.dumps(said), mimetype="application/json")
            httpserver.expect_request(at).respond_with_response(response)
        httpserver.expect_request("").respond_with_data("<h1>Nothing here</h1>", 404)
        return httpserver.url_for(path)

    return begin


OLLAMA = {"/v1/models": listed(model("lamp:latest", "library"), model("qwen2.5:7b", "library"))}
LM_STUDIO = {"/v1/models": listed(model("lamp", "organization_owner"), model("x", "organization_owner"))}


@pytest.mark.parametrize(
    ("answers", "tokens"),
    [
        ({"/v1/models": listed(model("other", max_model_len=9), model(max_model_len=16384))}, 16384),  # vLLM
        ({"/v1/models": listed(model(context_length=131072))}, 131072),  # OpenRouter
        ({"/v1/models": listed(model(context_window=131072))}, 131072),  # Groq
        ({"/v1/models": listed(model(max_context_length=131072))}, 131072),  # Mistral
        ({"/v1/models": [model("other"), model(context_length=40960)]}, 40960),  # Together: a list alone
        ({"/v1/models": listed(model("other.gguf", "llamacpp", meta={"n_ctx": 2048, "n_ctx_train": 8192}))}, 2048),
        (
            {
                "/v1/models": listed(model("other.gguf", "llamacpp", meta={"n_ctx_train": 8192})),
                "/props": {"default_generation_settings": {"n_ctx": 4096}},
            },
            4096,
        ),
        (OLLAMA | {"/api/ps": {"models": [{"name": "lamp:latest", "context_length": 32768}]}}, 32768),
        (
            OLLAMA
            | {
                "/api/ps": {"models": [{"name": "qwen2.5:7b", "context_length": 32768}]},
                "/api/show": {"parameters": "stop  x\nnum_ctx   16384\n"},
            },
            16384,
        ),
        (OLLAMA | {"/api/ps": {"models": []}, "/api/show": {"model_info": {"llama.context_length": 131072}}}, 4096),
        (LM_STUDIO | {"/api/v0/models/lamp": {"max_context_length": 131072, "loaded_context_length": 8192}}, 8192),
        (LM_STUDIO | {"/api/v0/models/lamp": {"max_context_length": 131072, "state": "not-loaded"}}, 4096),
        ({"/v1/models": listed(model("other", context_length=9), model("another", context_length=9))}, None),
        ({"/v1/models": listed(model())}, None),
        ({"/v1/models": listed(model(max_model_len="many"), model("x"))}, None),
        ({"/v1/models": listed(model(max_model_len=True, n_ctx=-1, context_length=0.5))}, None),
        ({"/v1/models": {"data": "none"}}, None),
        ({"/v1/models": "<h1>Welcome</h1>"}, None),
        ({"/v1/models": Response("<h1>Welcome</h1>", mimetype="text/html")}, None),
        ({"/v1/models": Response("{}", 401)}, None),
        ({"/v1/models": Response("", 302, {"location": "http://203.0.113.7/v1/models"})}, None),
        (OLLAMA | {"/api/ps": []}, None),
    ],
)
def test_a_server_tells_in_its_own_way_or_not_at_all(serves, answers, tokens):
    assert context_of("lamp", serves(answers)) == tokens


def test_where_the_server_does_not_tell_the_family_does(serves):
    assert context_of("qwen2.5:7b", serves({"/v1/models": listed(model("a"), model("b"))})) == 32768


def test_an_interface_below_the_base_url_is_found(serves):
    assert context_of("lamp", serves({"/v1/models": listed(model(n_ctx=1234))}, path="")) == 1234


def test_a_server_is_asked_once_and_only_for_what_is_asked_of_its_model(httpserver, serves):
    url = serves({"/v1/models": listed(model(n_ctx=4096)), "/v1/chat/completions": completion(GOOD)})
    assert rag.answer(POKER, model="lamp", base_url=url).status == "answered"
    assert rag.answer(POKER, model="lamp", base_url=url).status == "answered"
    assert [request.path for request, _ in httpserver.log].count("/v1/models") == 1
    rag.answer(POKER, model="extractive", base_url=url)
    assert len(httpserver.log) == 1 + sum(request.path == "/v1/chat/completions" for request, _ in httpserver.log)


def test_a_small_context_makes_a_short_prompt(httpserver, serves):
    """Fewer passages are shown, and none is cut without a sign."""
    url = serves({"/v1/models": listed(model(n_ctx=2500)), "/v1/chat/completions": completion(GOOD)})
    rag.answer("Which benchmarks measure reasoning of language models?", model="lamp", base_url=url)
    prompts = [request.get_data(as_text=True) for request, _ in httpserver.log if request.method == "POST"]
    assert all(len(prompt) < 2500 * 4 for prompt in prompts)


def test_who_gives_the_room_is_obeyed_and_the_server_is_not_asked(httpserver, serves, capsys):
    url = serves({"/v1/models": listed(model(n_ctx=2500)), "/v1/chat/completions": completion(GOOD)})
    asked = {"model": "lamp", "base_url": url}
    rag.answer(POKER, prompt_tokens=700, **asked)
    assert main(["ask", POKER, "--model", "lamp", "--base-url", url, "--prompt-tokens", "700"]) == 0
    rag.answer(POKER, prompt_tokens=3000, **asked)
    assert {request.path for request, _ in httpserver.log} == {"/v1/chat/completions"}
    small, same, large = [len(json.loads(request.data)["messages"][1]["content"]) for request, _ in httpserver.log]
    assert small == same < large


def test_one_that_hangs_is_left_alone(httpserver, monkeypatch):
    monkeypatch.setattr(contexts, "PATIENCE", 0.05)
    done = threading.Event()
    httpserver.expect_request("/v1/models").respond_with_handler(lambda request: done.wait(20) or Response("{}"))
    try:
        assert context_of("lamp", httpserver.url_for("/v1")) is None
    finally:
        done.set()


def test_openai_is_not_asked(monkeypatch):
    monkeypatch.setattr(contexts, "http_client", None)
    assert context_of("gpt-5-mini", "https://api.openai.com/v1") == 400_000


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("gpt-5-mini", 400_000),
        ("openai/gpt-4o-mini-2024-07-18", 128_000),
        ("gpt-4-0613", 8_192),
        ("gpt-4.1-nano", 1_047_576),
        ("gpt-oss:20b", 131_072),
        ("claude-sonnet-4-5", 200_000),
        ("gemini-2.5-flash", 1_000_000),
        ("meta-llama/Llama-3.1-8B-Instruct", 131_072),
        ("llama3.1:8b", 131_072),
        ("llama3:8b", 8_192),
        ("Meta-Llama-3-8B", None),
        ("qwen2.5:7b", 32_768),
        ("Qwen/Qwen3-30B-A3B", 32_768),
        ("mistral-large-latest", 131_072),
        ("deepseek-chat", 65_536),
        ("phi4", 16_384),
        ("capable", None),
        ("", None),
        ("/", None),
    ],
)
def test_the_families(name, tokens):
    assert of_family(name) == tokens


@pytest.mark.parametrize(
    ("window", "name", "tokens"), [(16000, "x", 16000), (3900, "gpt-4o", 128_000), (3900, "x", None), (None, "x", None)]
)
def test_an_llm_object_says_it_unless_it_has_llama_index_s_own_number(window, name, tokens):
    llm = SimpleNamespace(chat=print, metadata=SimpleNamespace(context_window=window, model_name=name))
    assert open_chat(llm, None, reply_tokens=9, temperature=None).context == tokens
