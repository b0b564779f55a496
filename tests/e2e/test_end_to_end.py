"""From the question to the verified answer with a real model behind a real server, as `rag` is used.

What is tested is the protocol, the verification and the fallback; so small a model says nothing right.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from running import called, run

import rag
from rag import ModelError
from rag.answering.opening import open_assistant
from rag.models.chat import list_models, open_chat
from rag.models.deadline import Deadline
from rag.settings import load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

POKER = "How many poker scenarios does PokerBench contain?"
LONG = Deadline(600)
REPLY = 12  # tokens


@pytest.fixture
def key(served, monkeypatch):
    monkeypatch.setenv("RAG_API_KEY", served.key)


@pytest.fixture
def chat(served, key):
    return open_chat(served.model, served.url, reply_tokens=REPLY, temperature=None)


def assistant(served, **numbers):
    settings = load(model=served.model, base_url=served.url, k=2, deadline=400)
    return open_assistant(replace(settings, prompt_tokens=200, **numbers))


def test_the_model_is_listed(served, key):
    assert list_models(served.url, deadline=LONG) == (served.model,)
    assert called("models", "--base-url", served.url) == (0, f"{served.model}\n", "")


@pytest.mark.parametrize("wrong", [None, "sk-wrong"])
def test_a_wrong_key_is_told(served, monkeypatch, wrong):
    monkeypatch.setenv("RAG_API_KEY", wrong or "")
    chat = open_chat(served.model, served.url, reply_tokens=5, temperature=None)
    for call in (chat.ask, lambda *said, deadline: list(chat.stream(*said, deadline=deadline))):
        with pytest.raises(ModelError, match="refused the key"):
            call("You answer.", "What?", deadline=LONG)


def test_a_reply_and_its_stream_are_the_same(chat):
    said = "You answer.", "Tell me a long story about a poker player and her dog."
    whole = chat.ask(*said, deadline=LONG)
    stream = chat.stream(*said, deadline=LONG)
    pieces = list(stream)
    assert len(pieces) > 5
    assert stream.reply.text == "".join(pieces) == whole.text
    assert stream.reply.finish == whole.finish == "length"
    assert stream.reply.usage.completion_tokens == whole.usage.completion_tokens == REPLY
    assert whole.usage.prompt_tokens > 10


def test_a_context_that_is_too_short_is_told(chat):
    with pytest.raises(ModelError, match=r"too short a context .* \(HTTP 400: .*; lengthen it there, or try k=2"):
        chat.ask("You answer.", "poker " * 3000, deadline=LONG)


def test_a_model_that_takes_too_long_is_not_waited_for(chat):
    with pytest.raises(ModelError, match=r"did not answer within 0\.3 s"):
        chat.ask("You answer.", "poker " * 500, deadline=Deadline(0.3))
    assert chat.ask("You answer.", "Say yes.", deadline=LONG).text


@pytest.fixture(scope="module")
def answer(served):
    """What the model answered to a question, with itself as the judge; some tests look at it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_API_KEY", served.key)
        return assistant(served, reply_tokens=40, judge="same").answer(POKER)


def test_an_answer_is_verified(served, answer):
    assert answer.status in ("answered", "partial", "refused")
    assert answer.usage.calls >= 1
    assert answer.usage.prompt_tokens > 200
    assert answer.model in (served.model, "extractive")
    assert all(claim.verdict in ("quoted", "supported") and claim.citations for claim in answer.claims)
    assert all(c.paper.abstract[c.start : c.end] == c.quote for c in answer.citations)
    assert rag.Answer.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer


def test_a_judge_is_asked_about_what_was_found_supported(answer):
    paraphrased = [claim for claim in answer.claims if claim.verdict == "supported"]
    assert all("the model that judges" in claim.reason for claim in paraphrased)


def test_when_nothing_can_be_verified_the_abstracts_answer(served, key):
    answer = assistant(served, reply_tokens=8).answer(POKER)
    assert (answer.status, answer.model, answer.usage.calls) == ("answered", "extractive", 1)
    assert answer.usage.completion_tokens <= 8
    assert answer.text == rag.answer(POKER, k=2).text


def test_what_is_streamed_is_the_answer(served, key):
    told, pieces = assistant(served, reply_tokens=30).stream(POKER), []

    def kept():
        pieces.append((yield from told))

    text = "".join(kept())
    assert text == pieces[0].text
    assert pieces[0].usage.calls >= 1
    assert all(claim.verdict in ("quoted", "supported") for claim in pieces[0].claims)


def test_a_follow_up_is_put_into_words_that_were_said(served, key, answer):
    followed = assistant(served, reply_tokens=24).answer("And who made it?", [answer])
    assert followed.usage.calls >= 2
    assert len(followed.query) < 1000


def test_the_command_ends_in_an_answer_or_one_line_in_time(served, key):
    """Which of the two depends on the machine: the reply may have 500 tokens."""
    argv = ["-k", "1", "--json", "--model", served.model, "--base-url", served.url, "--deadline", "2"]
    code, out, err = run("ask", POKER, *argv)
    if code == 1:
        assert (out, err.count("\n")) == ("", 1)
        assert "did not answer within 2 s" in err
    else:
        assert (code in (0, 3), err) == (True, "")
        assert json.loads(out)["usage"]["calls"] >= 1
