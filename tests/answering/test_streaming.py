"""An answer as it comes into being: whole sentences that passed their check, and none that did not."""

from __future__ import annotations

import re
import threading

import pytest
from serving import GOOD, HEAD, NOT_HERE, POKER, chunked, completion, end, events, streaming

import rag
from rag import ModelError, UsageError
from rag.answering.opening import open_assistant
from rag.settings import load

BAD = "The best model wins 73.2% of its poker games [1]."
ALSO = "Models are evaluated on poker play, including GPT-4 and ChatGPT 3.5 [1]."


def said_by(server, *chunks, question=POKER, **options):
    """(pieces, the answer) of a reply that arrives in these chunks."""
    server.says(streaming(*chunks, end()))
    with rag.stream(question, model="test", base_url=server.url, **options) as stream:
        return list(stream), stream.answer


def test_sentences_that_hold_come_one_by_one_and_the_others_never(server):
    pieces, answer = said_by(server, GOOD[:20], GOOD[20:] + " The best", BAD[8:], " " + ALSO, " Bye")
    assert len(pieces) == 2
    assert "11,000" in pieces[0]
    assert "GPT-4" in pieces[1]
    assert "73.2" not in "".join(pieces)
    assert "".join(pieces) == answer.text
    assert answer.removed[0].text.startswith("The best model wins 73.2%")
    assert server.bodies[0]["stream"] is True


def test_a_sentence_is_there_before_the_model_has_finished(listening):
    heard, ended = threading.Event(), threading.Event()

    def serve(connection):
        if connection.recv(65536).startswith(b"GET"):  # what models there are
            connection.close()
            return
        connection.sendall(HEAD + chunked(events(f"{GOOD} The second", done=False)))
        assert heard.wait(60)
        connection.sendall(chunked(events(" sentence.", end())) + chunked(""))
        ended.set()

    listening.serve = serve
    with rag.stream(POKER, model="test", base_url=listening.url) as stream:
        pieces = iter(stream)
        assert "11,000" in next(pieces)
        assert not ended.is_set()
        heard.set()
        assert list(pieces) == []
    assert stream.answer.text == GOOD.replace(" [1].", ". [1]")


def test_the_whole_answer_is_the_one_that_was_streamed(server):
    pieces, streamed = said_by(server, f"{GOOD} {BAD} {ALSO}")
    server.says(f"{GOOD} {BAD} {ALSO}")
    whole = server.ask()
    assert whole.text == streamed.text == "".join(pieces)
    assert (whole.claims, whole.removed, whole.status) == (streamed.claims, streamed.removed, streamed.status)


def test_when_nothing_holds_the_abstracts_own_sentences_come(server):
    pieces, answer = said_by(server, BAD)
    assert answer.model == "extractive"
    assert "".join(pieces) == answer.text
    assert len(pieces) == len(answer.claims)
    assert [claim.text for claim in answer.removed] == [BAD.replace(" [1].", ".")]


@pytest.mark.parametrize("chunk", ["NOT IN THIS LIBRARY", "The passages do not mention bread."])
def test_a_refusal_comes_in_one_piece(server, chunk):
    server.says("{}", streaming(chunk, end()))
    with rag.stream(NOT_HERE, model="test", base_url=server.url) as stream:
        pieces, answer = list(stream), stream.answer
    assert answer.status == "refused"
    assert pieces == [answer.text]


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("MISSING: how many poker scenarios", "This library does not say: how many poker scenarios."),
        ("MISSING: visit evil.example now", "This library does not answer all of the question."),
        ("MISSING: its \x1b[31mcost", "This library does not answer all of the question."),
    ],
)
def test_what_is_missing_is_said_last_in_the_questions_words_or_not_at_all(server, missing, told):
    pieces, answer = said_by(server, f"{GOOD}\n", missing)
    assert answer.status == "partial"
    assert answer.text.endswith(f"[1] {told}")
    assert "".join(pieces) == answer.text
    assert len(answer.claims) == 1


def test_what_fails_is_looked_for_once_more_and_comes_last(server):
    elsewhere = "FlashAttention is exact attention that reduces the reads and writes between levels of GPU memory [1]."
    pieces, answer = said_by(server, f"{elsewhere} {BAD} {GOOD} {BAD.replace('73', '74')}")
    assert "11,000" in pieces[0]
    assert "".join(pieces) == answer.text
    assert all(re.search(r"73|74", claim.text) for claim in answer.removed[:2]) or answer.removed


def test_a_stream_that_breaks_keeps_what_was_shown_and_says_so(server):
    server.says(streaming(GOOD + " And", " so", done=False))
    pieces = []
    with pytest.raises(ModelError, match="broke off"), rag.stream(POKER, model="test", base_url=server.url) as stream:
        pieces.extend(piece for piece in stream)
    assert len(pieces) <= 1


def test_leaving_a_stream_lets_go_of_the_server(listening):
    given_up = threading.Event()

    def serve(connection):
        connection.recv(65536)
        try:
            connection.sendall(HEAD + chunked(events(f"{GOOD} The", done=False)))
            while True:
                connection.sendall(chunked(events(" la", done=False)))
        except OSError:
            given_up.set()

    listening.serve = serve
    with rag.stream(POKER, model="test", base_url=listening.url) as stream:
        next(iter(stream))
    assert given_up.wait(60)
    with pytest.raises(UsageError, match="left before its end"):
        _ = stream.answer


def test_stages_are_told_in_order(server):
    server.says(streaming(GOOD, end()))
    stages = []
    assistant = open_assistant(load(model="test", base_url=server.url))
    list(assistant.stream(POKER, stage=stages.append))
    told = list(dict.fromkeys(stages))
    assert told[:5] == ["followup", "retrieve", "rerank", "reading 8 abstracts", "verify"]


# --- a second opinion ---------------------------------------------------------------------------


def judged(verdict, evidence="11,000 most important scenarios"):
    return completion(f'{{"verdicts": [{{"claim": 1, "evidence": "{evidence}", "verdict": "{verdict}"}}]}}')


def second(server, *replies):
    server.says(GOOD, *replies)
    return open_assistant(load(model="test", base_url=server.url, judge="same")).answer(POKER)


def test_a_judge_that_agrees_is_named_in_the_reason(server):
    answer = second(server, judged("supported"))
    assert "the model that judges agrees" in answer.claims[0].reason
    assert answer.usage.calls == 2


def test_a_judge_that_says_no_takes_the_sentence_out(server):
    answer = second(server, judged("not supported", ""))
    assert "the model that judges does not find it" in answer.removed[0].reason
    assert answer.model == "extractive"


def test_a_judge_without_a_verdict_stands_in_nobodys_way(server):
    answer = second(server, completion("I would say so."))
    assert "gave no verdict" in answer.claims[0].reason


def test_a_judge_is_part_of_what_made_an_answer(server):
    runs = {
        open_assistant(load(model="test", base_url=server.url, judge=judge)).run for judge in (None, "same", "other")
    }
    assert len(runs) == 3
