"""A chat model behind a real HTTP server on loopback, from the question to the verified answer."""

from __future__ import annotations

import json
import re
import socket
import threading
from dataclasses import replace

import pytest
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from pytest_httpserver import HTTPServer
from werkzeug import Response

import rag
from rag import ModelError, UsageError
from rag.assistant import open_assistant
from rag.chat_models import is_remote, open_model
from rag.settings import load

POKER = "How many poker scenarios does PokerBench contain?"
GOOD = "PokerBench holds 11,000 important scenarios of poker play [1]."
NOT_HERE = "What is the best recipe for sourdough bread?"
SOON = {"retry-after-ms": "20"}  # so that a retry does not take seconds


def completion(text, **changes):
    """A chat completion as OpenAI's API writes it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 321, "completion_tokens": 45, "total_tokens": 366}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "test", "choices": [choice], "usage": usage}
    return Response(json.dumps(body | changes), content_type="application/json")


class Server:
    """Answers one request after the other with what it was given; the last one goes on."""

    def __init__(self, server: HTTPServer):
        self.url = server.url_for("/v1")
        self.requests = []
        self._replies = [completion(GOOD)]
        server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(self._handle)

    def says(self, *replies):
        """Texts, statuses or whole Responses."""
        self._replies = [reply if isinstance(reply, Response) else _reply(reply) for reply in replies]
        return self

    def ask(self, question=POKER, **options):
        return rag.answer(question, model="test", base_url=self.url, **options)

    @property
    def sent(self):
        """The one request's JSON."""
        (request,) = self.requests
        return json.loads(request[1])

    def _handle(self, request):
        self.requests.append((dict(request.headers), request.get_data(as_text=True)))
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


def _reply(reply):
    if isinstance(reply, int):
        body = json.dumps({"error": {"message": f"no luck\nwith {reply}", "type": "x", "code": None}})
        return Response(body, reply, SOON, content_type="application/json")
    return completion(reply)


@pytest.fixture
def server(httpserver):
    return Server(httpserver)


def fails(call, *parts):
    """The one-line message of the ModelError that a call raises, with these parts in it."""
    with pytest.raises(ModelError) as raised:
        call()
    message = str(raised.value)
    assert "\n" not in message
    assert "Traceback" not in message
    assert all(part in message for part in parts), message
    return message


# --- good answers -------------------------------------------------------------------------------


def test_a_cited_answer_from_end_to_end(server):
    answer = server.ask()
    assert (answer.status, answer.model) == ("answered", "test")
    assert answer.text == "PokerBench holds 11,000 important scenarios of poker play. [1]"
    assert [claim.verdict for claim in answer.claims] == ["supported"]
    assert answer.citations[0].paper.title.startswith("PokerBench")
    assert all(c.paper.abstract[c.start : c.end] == c.quote for c in answer.citations)
    assert (answer.usage.calls, answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1, 321, 45)


def test_what_is_sent(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    answer = server.ask()
    sent = server.sent
    assert sent["model"] == "test"
    assert sent["max_tokens"] == load().reply_tokens
    assert "temperature" not in sent
    assert not sent.get("stream")
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    user = sent["messages"][1]["content"]
    assert f"Question: {POKER}" in user
    for number, evidence in enumerate(answer.evidence, 1):
        assert f"[{number}] {evidence.paper.title}" in user
    assert "11,000 most important scenarios" in user
    assert "sk-not-for-you" not in str(server.requests)


def test_a_reasoning_model_is_sent_the_limit_under_the_name_it_knows(server):
    rag.answer(POKER, model="gpt-5-mini", base_url=server.url)
    assert server.sent["max_completion_tokens"] == load().reply_tokens
    assert not {"max_tokens", "temperature"} & set(server.sent)


def test_a_temperature_is_sent_if_one_was_chosen(server):
    assistant = open_assistant(replace(load(model="test", base_url=server.url), temperature=0.3))
    assistant.answer(POKER)
    assert server.sent["temperature"] == 0.3


@pytest.mark.parametrize(("own", "sent"), [("sk-own", "Bearer sk-own"), (None, "Bearer not-needed")])
def test_the_key_of_this_package_is_sent_and_openais_is_not(server, monkeypatch, own, sent):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    if own:
        monkeypatch.setenv("RAG_API_KEY", own)
    server.ask()
    assert server.requests[0][0]["Authorization"] == sent


def test_a_follow_up_is_asked_in_its_stand_alone_form(server):
    first = server.ask()
    server.ask("And which models were evaluated?", history=[first])
    user = json.loads(server.requests[-1][1])["messages"][1]["content"]
    asked = user.rpartition("Question: ")[2]
    assert "And which models were evaluated?" in asked
    assert "PokerBench" in asked


# --- drafts that need mending -------------------------------------------------------------------


def test_an_unknown_mark_is_dropped_and_counted(server):
    answer = server.says("PokerBench holds 11,000 important scenarios of poker play [1][99].").ask()
    assert "[99]" not in answer.text
    assert [t.rank for t in answer.trace["unknown marks"]] == [1]
    assert answer.status == "answered"


def test_an_invented_number_is_taken_out_with_its_reason(server):
    answer = server.says(f"{GOOD} The best model wins 73.2% of its poker games [1].").ask()
    assert "73.2" not in answer.text
    assert "11,000" in answer.text
    assert [claim.verdict for claim in answer.removed] == ["unsupported"]
    assert "73.2" in answer.removed[0].reason


def test_a_sentence_without_a_mark_is_taken_out(server):
    answer = server.says(f"Poker is a card game. {GOOD}").ask()
    assert "card game" not in answer.text
    assert [claim.verdict for claim in answer.removed] == ["uncited"]


@pytest.mark.parametrize(
    "text", ["NOT IN THIS LIBRARY", "not in this library.", "<think>Hm.</think>\nNOT IN THIS LIBRARY"]
)
def test_a_model_may_decline(server, text):
    answer = server.says(text).ask()
    assert answer.status == "refused"
    assert answer.citations == ()
    assert "nearest papers" in answer.text
    assert (answer.model, answer.usage.calls) == ("test", 1)


@pytest.mark.parametrize(
    "text",
    [
        "Poker has 52 cards and 9 seats [1].",
        "It has many scenarios.",
        "PokerBench holds 11,000 important scenarios of poker play [77].",
    ],
)
def test_when_nothing_is_supported_the_extractive_answer_takes_its_place(server, text):
    answer = server.says(text).ask()
    assert (answer.status, answer.model) == ("answered", "extractive")
    assert answer.text == rag.answer(POKER).text
    assert answer.usage.calls == 1
    assert answer.usage.prompt_tokens == 321
    assert len(answer.removed) == 1
    assert bool(answer.trace["unknown marks"]) == ("[77]" in text)


def test_when_nothing_is_supported_and_the_abstracts_say_nothing_it_is_refused(server):
    answer = server.says("Bread needs 500 g of flour [1].").ask(NOT_HERE)
    assert answer.status == "refused"
    assert answer.citations == ()
    assert answer.usage.calls == 1


def test_a_passage_in_the_answer_cannot_put_marks_of_its_own(server):
    answer = server.says("PokerBench holds [2] 11,000 important scenarios of poker play [1] [3-4] [5, 6].").ask()
    cited = {str(citation.number) for citation in answer.citations}
    assert set(re.findall(r"\[(.*?)\]", answer.text)) == cited


# --- servers that fail --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "requests", "parts"),
    [
        (400, 1, ["HTTP 400", "no luck"]),
        (401, 1, ["refused the key", "RAG_API_KEY"]),
        (403, 1, ["refused the key", "RAG_API_KEY"]),
        (404, 1, ["no model 'test'", "--model", "/v1"]),
        (429, 3, ["too many requests", "try again"]),
        (500, 3, ["HTTP 500", "try again"]),
        (503, 3, ["HTTP 503", "try again"]),
    ],
)
def test_a_status_is_one_line_that_says_what_to_do_and_retries_are_in_one_layer(server, status, requests, parts):
    server.says(status)
    fails(server.ask, server.url, *parts)
    assert len(server.requests) == requests


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_recovers_is_asked_again(server, status):
    answer = server.says(status, GOOD).ask()
    assert answer.status == "answered"
    assert len(server.requests) == 2
    assert answer.usage.calls == 1


@pytest.mark.parametrize(
    "reply",
    [
        Response("{not json", content_type="application/json"),
        Response("<html>hello</html>", content_type="text/html"),
        Response("", content_type="application/json"),
        Response("null", content_type="application/json"),
        Response("[]", content_type="application/json"),
        Response("{}", content_type="application/json"),
        completion("x", choices=[]),
        completion("x", choices=None),
        completion("x", choices=[{"index": 0, "message": None, "finish_reason": "stop"}]),
        completion(None),
        completion(""),
        completion("<think>and so on"),
    ],
    ids=lambda reply: reply.get_data(as_text=True)[:60],
)
def test_what_is_no_completion_is_told(server, reply):
    fails(server.says(reply).ask, "test")
    assert len(server.requests) <= 3


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}])
def test_a_server_that_counts_nothing_is_no_error(server, usage):
    answer = server.says(completion(GOOD, usage=usage)).ask()
    assert (answer.status, answer.usage.calls, answer.usage.prompt_tokens) == ("answered", 1, 0)


def test_after_an_error_the_next_question_is_answered(server):
    fails(server.says(401).ask, "refused the key")
    assert server.says(GOOD).ask().status == "answered"


def test_a_key_that_was_set_after_a_refusal_is_used(server, monkeypatch):
    fails(server.says(401).ask, "RAG_API_KEY")
    monkeypatch.setenv("RAG_API_KEY", "sk-valid")
    server.says(GOOD).ask()
    assert server.requests[-1][0]["Authorization"] == "Bearer sk-valid"


def at(port, timeout=10.0):
    settings = load(model="test", base_url=f"http://127.0.0.1:{port}/v1")
    return open_assistant(replace(settings, timeout=timeout))


def test_nobody_there_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fails(lambda: at(port).answer(POKER), f"127.0.0.1:{port}", "cannot be reached", "--base-url")


@pytest.fixture
def listening():
    """A listening socket whose connections are handed to what a test puts in `serve`."""
    taken = []

    class Listening:
        port = 0
        serve = staticmethod(lambda connection: None)

        @property
        def count(self):
            return len(taken)

    found = Listening()

    def loop():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            taken.append(connection)
            found.serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        found.port = server.getsockname()[1]
        threading.Thread(target=loop, daemon=True).start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
    for connection in taken:
        connection.close()


def test_a_slow_server_is_given_up(listening):
    fails(lambda: at(listening.port, timeout=0.3).answer(POKER), "did not answer in time")
    assert listening.count <= 3


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"id": ',
        b"garbage\r\n\r\n",
    ],
)
def test_a_connection_that_is_cut_is_told(listening, beginning):
    def cut(connection):
        connection.recv(65536)
        connection.sendall(beginning)
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    listening.serve = cut
    fails(lambda: at(listening.port).answer(POKER), f"127.0.0.1:{listening.port}")
    assert listening.count <= 3


# --- choosing a model ---------------------------------------------------------------------------


def test_a_key_alone_selects_no_model(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    monkeypatch.setenv("RAG_API_KEY", "sk-any")
    assert rag.answer(POKER).model == "extractive"


def test_the_environment_may_name_a_model(server, monkeypatch):
    monkeypatch.setenv("RAG_MODEL", "from-environment")
    monkeypatch.setenv("RAG_BASE_URL", server.url)
    assert rag.answer(POKER).model == "from-environment"
    assert server.sent["model"] == "from-environment"


def test_an_argument_beats_the_environment(server, monkeypatch):
    monkeypatch.setenv("RAG_MODEL", "from-environment")
    assert server.ask().model == "test"
    assert server.sent["model"] == "test"


def test_extractive_forces_offline(server, monkeypatch):
    monkeypatch.setenv("RAG_MODEL", "from-environment")
    monkeypatch.setenv("RAG_BASE_URL", server.url)
    assert rag.answer(POKER, model="extractive").model == "extractive"
    assert rag.search(POKER)
    assert server.requests == []


def test_another_model_is_another_run(server):
    assert server.ask().run != rag.answer(POKER).run


def test_openais_own_models_need_a_key():
    fails(lambda: rag.answer(POKER, model="gpt-5-mini"), "OPENAI_API_KEY", "--base-url")


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host/v1", "http://", "http://host:99999/v1", "", "x"])
def test_a_base_url_that_is_none_is_told(url):
    with pytest.raises(UsageError, match="base URL"):
        open_model("test", url, timeout=1, reply_tokens=9, temperature=None)


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        (None, True),
        ("https://api.example.org/v1", True),
        ("http://localhost:1/v1", False),
        ("http://127.0.0.1:1/v1", False),
        ("http://[::1]:1/v1", False),
    ],
)
def test_whether_text_leaves_the_machine(url, remote):
    assert is_remote(url) is remote


# --- llama-index objects ------------------------------------------------------------------------


class Canned(CustomLLM):
    """A llama-index LLM that says one thing."""

    says: str = GOOD

    @property
    def metadata(self):
        return LLMMetadata(model_name="canned", context_window=4096, num_output=256)

    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text=self.says)

    def stream_complete(self, prompt, formatted=False, **kwargs):
        yield CompletionResponse(text=self.says)


class Broken(Canned):
    def complete(self, prompt, formatted=False, **kwargs):
        raise RuntimeError("out of memory\nwith a second line")


def test_a_llama_index_object_is_taken_as_it_is():
    answer = rag.answer(POKER, model=Canned())
    assert (answer.model, answer.status) == ("canned", "answered")
    assert "11,000" in answer.text
    assert answer.usage.calls == 1


def test_two_objects_of_one_kind_are_two_models():
    first, second = Canned(), Canned(says="NOT IN THIS LIBRARY")
    assert rag.answer(POKER, model=first).status == "answered"
    assert rag.answer(POKER, model=second).status == "refused"


def test_an_object_that_echoes_is_verified_like_any_other():
    answer = rag.answer(POKER, model=MockLLM())
    assert answer.usage.calls == 1
    assert all(c.paper.abstract[c.start : c.end] == c.quote for c in answer.citations)


def test_an_object_that_fails_is_told_in_one_line():
    fails(lambda: rag.answer(POKER, model=Broken()), "canned", "out of memory")


@pytest.mark.parametrize("model", [3, object(), ["gpt"]])
def test_what_is_no_model_is_told(model):
    with pytest.raises(UsageError, match="model"):
        rag.answer(POKER, model=model)
