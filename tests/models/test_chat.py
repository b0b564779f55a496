"""A chat model behind a real HTTP server on loopback, from the question to the verified answer.

Every fault ends within the deadline, in an answer or in one line.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from serving import (
    COUNTED,
    GOOD,
    HEAD,
    NOT_HERE,
    POKER,
    ROLE,
    SOON,
    chat_at,
    chunked,
    completion,
    end,
    events,
    refusal,
    streaming,
)  # fmt: skip
from werkzeug import Response

import rag
from rag import Cancelled, ModelError, UsageError
from rag.answering.opening import open_assistant
from rag.cli.main import main
from rag.models.chat import open_chat
from rag.models.client import MORE_ROOM
from rag.models.deadline import Deadline
from rag.records import Usage
from rag.settings import load

SLACK = 20  # seconds a busy machine may take longer; what is not given up in time takes longer still


def asked(chat, seconds=60.0):
    """The reply to something, which is there, or an error, within the deadline."""
    with in_time(seconds):
        return chat.ask("You answer.", "What?", deadline=Deadline(seconds))


@contextmanager
def in_time(seconds):
    began = time.monotonic()
    try:
        yield
    finally:
        assert time.monotonic() - began < seconds + SLACK


def streamed(chat, seconds=60.0):
    """(pieces, the Streamed, the error or None) of a reply that is streamed."""
    stream, pieces = chat.stream("You answer.", "What?", deadline=Deadline(seconds)), []
    with in_time(seconds):
        try:
            pieces.extend(stream)
        except ModelError as error:
            return pieces, stream, str(error)
    return pieces, stream, None


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
    assert (answer.model, answer.usage.calls) == ("test", 2)


@pytest.mark.parametrize(
    "text",
    [
        "Poker has 52 cards and 9 seats [1].",
        "It has many scenarios.",
        "PokerBench holds 77,000 seats at poker tables [77].",
    ],
)
def test_when_nothing_is_supported_the_extractive_answer_takes_its_place(server, text):
    answer = server.says(text).ask()
    assert (answer.status, answer.model) == ("answered", "extractive")
    assert answer.text == rag.answer(POKER).text
    assert answer.usage.calls == (2 if "[1]" in text else 1)  # what cites a passage may appeal
    assert answer.usage.prompt_tokens == 321 * answer.usage.calls
    assert len(answer.removed) == 1
    assert bool(answer.trace["unknown marks"]) == ("[77]" in text)


def test_when_nothing_is_supported_and_the_abstracts_say_nothing_it_is_refused(server):
    answer = server.says("Bread needs 500 g of flour [1].").ask(NOT_HERE)
    assert answer.status == "refused"
    assert answer.citations == ()
    assert answer.usage.calls == 3  # a plan, the answer and its appeal


def test_a_passage_in_the_answer_cannot_put_marks_of_its_own(server):
    answer = server.says("PokerBench holds [2] 11,000 important scenarios of poker play [1] [3-4] [5, 6].").ask()
    cited = {str(citation.number) for citation in answer.citations}
    assert set(re.findall(r"\[(.*?)\]", answer.text)) == cited


NOT_PULLED = refusal('model "test" not found, try pulling it first', 404)


# --- servers that fail --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "requests", "parts"),
    [
        (400, 1, ["HTTP 400", "no luck"]),
        (401, 1, ["refused the key", "RAG_API_KEY"]),
        (403, 1, ["refused the key", "RAG_API_KEY"]),
        (404, 1, ["no model 'test'", "rag models --base-url http://localhost"]),
        (NOT_PULLED, 1, ["has no model 'test' (HTTP 404); at a terminal type: ollama pull test, or leave model out"]),
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
    fails(server.says(reply).ask)
    assert len(server.requests) == 1


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
    room = 4000  # given, so that the server is not asked how much it has
    return open_assistant(replace(settings, deadline=timeout, prompt_tokens=room))


def test_nobody_there_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fails(lambda: at(port).answer(POKER), f"127.0.0.1:{port}", "cannot be reached", "base_url")


@pytest.mark.usefixtures("late")
def test_a_slow_server_is_given_up(listening):
    fails(lambda: at(listening.port, timeout=2).answer(POKER), "did not answer within", "RAG_DEADLINE")
    assert listening.count == 1


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


# --- what a server takes ------------------------------------------------------------------------


def test_a_limit_under_another_name_is_found_out_once(server):
    told = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    chat = server.says(refusal(told, param="max_tokens"), GOOD).chat()
    assert [asked(chat).text, asked(chat).text] == [GOOD, GOOD]
    first, second, third = server.bodies
    assert first["max_tokens"] == second["max_completion_tokens"] == third["max_completion_tokens"] == 500
    assert "max_tokens" not in second | third


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("temperature", refusal("Unsupported value: 'temperature' does not support 0.3 with this model.")),
        ("temperature", refusal("only the default is supported", param="temperature")),
        ("max_tokens", refusal("[{'type': 'extra_forbidden', 'loc': ('body', 'max_tokens'), 'msg': 'Extra inputs'}]")),
        ("max_tokens", Response('{"detail":[{"loc":["body","max_tokens"],"msg":"extra"}]}', 422)),
    ],
)
def test_what_a_server_refuses_is_not_sent_again(server, name, told):
    chat = server.says(told, GOOD).chat(temperature=0.3)
    assert [asked(chat).text, asked(chat).text] == [GOOD, GOOD]
    assert [name in body for body in server.bodies] == [True, False, False]


def test_several_refusals_are_met_one_by_one(server):
    server.says(refusal("no temperature"), refusal("no max_tokens"), GOOD)
    assert asked(server.chat(temperature=0.3)).text == GOOD
    assert {"max_tokens", "temperature"} & set(server.bodies[-1]) == set()


@pytest.mark.parametrize("told", ["bad request", "max_tokens", "temperature", "stream_options", "response_format"])
def test_a_refusal_that_nothing_mends_ends(server, told):
    chat = server.says(refusal(told)).chat()
    fails(lambda: asked(chat), f"HTTP 400: {told}", "try again")
    assert len(server.requests) == (2 if told == "max_tokens" else 1)


@pytest.mark.parametrize(
    "told",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 4500 tokens (max_tokens 500).",
        "request (9032 tokens) exceeds the available context size (4096 tokens), try increasing it",
    ],
)
def test_a_context_that_is_too_short_is_told(server, told):
    chat = server.says(refusal(told)).chat()
    fails(lambda: asked(chat), "too short a context", told[:60], "k=2")
    assert len(server.requests) == 1


def test_stream_options_that_are_refused_are_left_out(server):
    server.says(refusal("stream_options: extra inputs are not permitted", 422), streaming("Yes.", end()))
    assert streamed(server.chat())[0] == ["Yes."]
    assert ["stream_options" in body for body in server.bodies] == [True, False]


def test_a_server_that_cannot_stream_is_asked_for_the_whole(server):
    server.says(refusal("Your organization must be verified to stream this model.", param="stream"), "Yes.")
    chat = server.chat()
    assert [streamed(chat)[0], streamed(chat)[0]] == [["Yes."], ["Yes."]]
    assert [bool(body.get("stream")) for body in server.bodies] == [True, False, False]


def test_a_model_that_has_no_chat_is_told():
    fails(
        lambda: open_chat("gpt-5.2-pro", "http://localhost:1/v1", reply_tokens=1, temperature=None),
        "name another model",
    )


def test_what_stays_here_goes_through_no_proxy(server, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert asked(server.chat()).text == GOOD


# --- how a reply ends ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "finish", "text"),
    [
        (completion(GOOD), "stop", GOOD),
        (completion("PokerBench holds", "length"), "length", "PokerBench holds"),
        (completion("", "content_filter"), "refused", ""),
        (completion(None, said={"refusal": "I cannot help with that."}), "refused", ""),
        (completion(None, "tool_calls", {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}}]}), "tools", ""),
        (completion(GOOD, "tool_calls", {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]}), "tools", GOOD),
        (completion(GOOD, "tool_calls", {"tool_calls": []}), "tools", GOOD),
        (completion(GOOD, "function_call", {"function_call": {"name": "f", "arguments": ""}}), "tools", GOOD),
        (completion(GOOD, None), "unknown", GOOD),
        (completion(GOOD, "eos"), "stop", GOOD),
        (completion(GOOD, "max_tokens"), "length", GOOD),
        (completion(GOOD, "null"), "unknown", GOOD),
        (completion(GOOD, "odd"), "unknown", GOOD),
        (completion(GOOD, said={"reasoning_content": "Hm."}), "stop", GOOD),
    ],
)  # fmt: skip
def test_how_a_reply_ended_is_known(server, reply, finish, text):
    found = asked(server.says(reply).chat())
    assert (found.finish, found.text, found.usage) == (finish, text, Usage(1, 321, 45, 0.0))


@pytest.mark.parametrize(
    "thoughts",
    [
        completion("", "length"),
        completion("<think>Hm", "length"),
        completion(None, "length", {"reasoning_content": "H"}),
    ],
    ids=["nothing", "marked", "apart"],
)
def test_a_model_that_thought_away_its_room_is_given_more_from_then_on(server, thoughts):
    chat = server.says(thoughts, GOOD).chat()
    first, second = asked(chat), asked(chat)
    assert [body["max_tokens"] for body in server.bodies] == [500, MORE_ROOM, MORE_ROOM]
    assert first.text in (GOOD, f"<think>Hm\n</think>\n{GOOD}")
    assert (first.finish, first.usage, second.text) == ("stop", Usage(2, 642, 90, 0.0), GOOD)


def test_more_room_is_given_once(server):
    assert asked(server.says(completion("<think>Hm", "length")).chat()).finish == "length"
    assert len(server.requests) == 2


def test_more_room_under_the_name_that_the_server_wants(server):
    server.says(
        refusal("use max_completion_tokens, not max_tokens", param="max_tokens"), completion("", "length"), GOOD
    )
    assert asked(server.chat()).text == GOOD
    assert [body.get("max_completion_tokens") for body in server.bodies] == [None, 500, MORE_ROOM]


@pytest.mark.parametrize(
    "reply",
    [
        completion(None, said={"refusal": "I cannot help with that."}),
        completion("", "content_filter"),
        completion(None, "tool_calls", {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}}]}),
        completion("<think>Hm", "length"),
    ],
    ids=["refusal", "filter", "tool", "thoughts"],
)  # fmt: skip
def test_a_reply_with_nothing_in_it_ends_in_one_line_or_an_answer(server, reply, capsys):
    with in_time(20):
        code = main(["ask", POKER, "--model", "test", "--base-url", server.says(reply).url, "--deadline", "20"])
    out, err = capsys.readouterr()
    assert (code, bool(out), err.count("\n")) in [(1, False, 1), (0, True, 0)]


# --- streams ------------------------------------------------------------------------------------


def test_a_stream_comes_in_pieces_and_ends_with_what_it_cost(server):
    chat = server.says(streaming(ROLE, "Poker", "Bench", " [1].", end(), COUNTED)).chat()
    pieces, stream, error = streamed(chat)
    assert (pieces, error) == (["Poker", "Bench", " [1]."], None)
    assert (stream.reply.text, stream.reply.finish) == ("PokerBench [1].", "stop")
    assert stream.reply.usage == Usage(1, 321, 45, 0.0)
    assert server.sent["stream"] is True
    assert server.sent["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("chunks", "text", "finish", "tokens"),
    [
        (["<think>Hm", ".</think>", "Yes.", end()], "<think>Hm.</think>Yes.", "stop", 0),
        ([end(None, reasoning_content="Hm."), "Yes.", end()], "Yes.", "stop", 0),
        (["Yes", end("length"), COUNTED], "Yes", "length", 45),
        ([end(None, refusal="I cannot."), end()], "", "refused", 0),
        (["Ye", end("content_filter")], "Ye", "refused", 0),
        ([{"choices": [], "prompt_filter_results": []}, "Yes.", end()], "Yes.", "stop", 0),
        (["Yes.", end() | {"usage": COUNTED["usage"]}, COUNTED], "Yes.", "stop", 45),
        (["Yes.", end(None, tool_calls=[{"index": 0, "id": "1", "function": {"name": "f", "arguments": "{"}}]), end("tool_calls")], "Yes.", "tools", 0),
        ([": keep-alive", "data: : x", "Yes.", end()][2:], "Yes.", "stop", 0),
    ],
)  # fmt: skip
def test_what_a_stream_may_bring(server, chunks, text, finish, tokens):
    _, stream, error = streamed(server.says(streaming(*chunks)).chat())
    assert error is None
    assert (stream.reply.text, stream.reply.finish, stream.reply.usage.completion_tokens) == (text, finish, tokens)


def test_a_stream_of_thoughts_alone_goes_on_with_more_room(server):
    server.says(streaming("<think>Hm", end("length"), COUNTED), streaming("Yes.", end(), COUNTED))
    pieces, stream, error = streamed(server.chat())
    assert (pieces, error) == (["<think>Hm", "\n</think>\n", "Yes."], None)
    assert stream.reply.usage == Usage(2, 642, 90, 0.0)


BROKEN = "broke off in the middle of its answer"
ODD = "not as an OpenAI-compatible server does"


@pytest.mark.parametrize(
    ("reply", "pieces", "why"),
    [
        (streaming("Poker", done=False), ["Poker"], BROKEN),
        (streaming("Poker", "data: {not json"), ["Poker"], BROKEN),
        (streaming("Poker", {"error": {"message": "out of memory"}}), ["Poker"], BROKEN),
        (streaming({"error": {"message": "out of memory"}}), [], "out of memory"),
        (streaming("data: {not json"), [], ODD),
        (streaming("data: 3"), [], ODD),
        (streaming("data: null"), [], ODD),
        (streaming(), [], ODD),
        (Response("", content_type="text/event-stream"), [], ODD),
        (Response("<html>", content_type="text/html"), [], ODD),
        (Response("no", 401), [], "refused the key"),
        (Response("no", 404), [], "has no model 'test'"),
        (Response("no", 429, SOON), [], "too many requests"),
        (Response("no", 500, SOON), [], "HTTP 500"),
    ],
)
def test_a_stream_that_fails_gives_what_came_and_then_one_line(server, reply, pieces, why):
    seen, stream, error = streamed(server.says(reply).chat())
    assert seen == pieces
    assert stream.reply.text == "".join(pieces)
    assert why in error, error
    assert len(server.requests) == (3 if reply.status_code in (429, 500) else 1)


def test_a_stream_that_fails_before_it_begins_is_asked_for_again(server):
    server.says(429, 500, streaming("Yes.", end()))
    assert streamed(server.chat())[0] == ["Yes."]
    assert len(server.requests) == 3


def test_a_stream_whose_connection_is_cut_gives_what_came(listening):
    def cut(connection):
        connection.recv(65536)
        connection.sendall(HEAD + chunked(events("Poker", done=False)))
        connection.shutdown(socket.SHUT_RDWR)

    listening.serve = cut
    pieces, stream, error = streamed(chat_at(listening.url))
    assert (pieces, stream.reply.text) == (["Poker"], "Poker")
    assert BROKEN in error
    assert listening.count == 1


# --- slow servers -------------------------------------------------------------------------------


@pytest.fixture
def late(listening, monkeypatch):
    """Deadlines whose time stands still until the server was reached, however long that takes here."""
    began = []

    def monotonic():
        if not began and late.begun():
            began.append(time.monotonic())
        return time.monotonic() - began[0] if began else 0.0

    late = SimpleNamespace(begun=lambda: listening.count > 0, monotonic=monotonic, sleep=time.sleep)
    monkeypatch.setattr("rag.models.deadline.time", late)
    return late


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("way", [asked, streamed])
def test_a_slow_first_byte_is_not_waited_for(listening, way):
    error = said(way, chat_at(listening.url), 0.4)
    assert "did not answer within 0.4 s; set RAG_DEADLINE to more seconds" in error
    assert listening.count == 1


def said(way, chat, seconds):
    """The line of a call that fails."""
    if way is streamed:
        return streamed(chat, seconds)[2]
    return fails(lambda: asked(chat, seconds))


def dripping(head, drip):
    """Sends a little again and again; `.given_up` is set once nobody listens any more."""
    given_up = threading.Event()

    def serve(connection):
        connection.recv(65536)
        try:
            connection.sendall(head)
            while True:
                connection.sendall(drip)
                time.sleep(0.02)
        except OSError:
            given_up.set()

    serve.given_up = given_up
    return serve


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("way", [asked, streamed])
@pytest.mark.parametrize(
    ("head", "drip"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Wait: a\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\nContent-Type: application/json\r\n\r\n{", b" "),
        (HEAD, chunked(": keep-alive\n\n")),
    ],
    ids=["head", "body", "comments"],
)
def test_a_slow_drip_is_not_waited_for(listening, way, head, drip):
    listening.serve = dripping(head, drip)
    assert "did not answer within 0.5 s" in said(way, chat_at(listening.url), 0.5)


def test_a_drip_of_text_ends_with_what_came_and_lets_go_of_the_server(listening, late):
    listening.serve = dripping(HEAD, chunked(events("la ", done=False)))
    pieces, late.begun = [], lambda: len(pieces) > 3
    stream = chat_at(listening.url).stream("s", "u", deadline=Deadline(0.5))
    with pytest.raises(ModelError, match=r"did not finish within 0\.5 s"):
        pieces.extend(stream)
    assert len(pieces) > 3
    assert stream.reply.text == "la " * len(pieces)
    assert listening.serve.given_up.wait(60)


def test_a_stream_that_is_not_read_to_its_end_lets_go_of_the_server(listening):
    listening.serve = dripping(HEAD, chunked(events("la ", done=False)))
    pieces = iter(chat_at(listening.url).stream("s", "u", deadline=Deadline(60)))
    assert next(pieces) == "la "
    pieces.close()
    assert listening.serve.given_up.wait(60)


def test_when_no_time_is_left_nothing_is_sent(server):
    chat, over = server.chat(), Deadline(0)
    fails(lambda: chat.ask("s", "u", deadline=over), "did not answer within 0 s")
    assert server.requests == []


def test_a_pause_that_the_server_asks_for_is_made(server):
    server.says(Response("", 429, {"retry-after": "1"}), GOOD)
    began = time.monotonic()
    assert asked(server.chat()).text == GOOD
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(("pause", "deadline"), [("3600", 999), ("30", 20)])
def test_a_pause_that_is_too_long_is_told(server, pause, deadline):
    server.says(Response("", 429, {"retry-after": pause}))
    with in_time(0):
        line = fails(lambda: asked(server.chat(), deadline), "too many requests (HTTP 429); try again in")
    assert f"{int(pause):,} s" in line
    assert len(server.requests) == 1


def test_a_question_may_be_cancelled_while_the_model_thinks(listening):
    deadline = Deadline(60, lambda: listening.count > 0)
    with in_time(20), pytest.raises(Cancelled):
        chat_at(listening.url).ask("s", "u", deadline=deadline)


@pytest.mark.parametrize(
    ("serve", "seconds", "why"),
    [
        (lambda connection: None, 1, "did not answer within 1 s"),
        (dripping(b"HTTP/1.1 200 OK\r\n", b"X-Wait: a\r\n"), 1, "did not answer within 1 s"),
        (lambda connection: connection.close(), 60, "cannot be reached"),
    ],
    ids=["silent", "dripping", "cut"],
)
def test_the_command_ends_in_time_with_one_line(listening, serve, seconds, why, capsys):
    listening.serve = serve
    rag.open_library()
    with in_time(seconds):
        code = main(["ask", POKER, "--model", "test", "--base-url", listening.url, "--deadline", str(seconds)])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert why in err


def test_threads_may_share_a_model(server):
    chat = server.chat()
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: asked(chat).text, range(16)))
    assert replies == [GOOD] * 16


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
    fails(lambda: rag.answer(POKER, model="gpt-5-mini"), "OPENAI_API_KEY", "base_url")


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


class Slow(Canned):
    def complete(self, prompt, formatted=False, **kwargs):
        time.sleep(30)


class Whole:
    """Has no more than the least that is needed of an LLM object."""

    def chat(self, messages):
        return Canned().chat(messages)


def test_an_object_can_be_streamed_and_has_no_address():
    chat = open_chat(Canned(says="Yes."), "http://ignored", reply_tokens=5, temperature=None)
    assert (streamed(chat)[0], chat.name) == (["Yes."], "canned")
    assert streamed(chat)[1].reply.finish == "unknown"
    assert streamed(open_chat(Whole(), None, reply_tokens=5, temperature=None))[0] == [GOOD]


def test_an_object_keeps_to_the_deadline_too():
    chat = open_chat(Slow(), None, reply_tokens=5, temperature=None)
    fails(lambda: asked(chat, 0.3), "the LLM object canned did not answer within 0.3 s")
    fails(lambda: open_chat(Broken(), None, reply_tokens=5, temperature=None).ask("s", "u"), "out of memory")


@pytest.mark.parametrize("model", [3, object(), ["gpt"]])
def test_what_is_no_model_is_told(model):
    with pytest.raises(UsageError, match="model"):
        rag.answer(POKER, model=model)
