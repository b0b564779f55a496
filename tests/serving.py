"""A chat server on loopback that says what a test wants: a real HTTP server, or a bare socket for worse."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Response

import rag
from rag.models import client
from rag.models.deadline import Retries
from rag.models.prices import FREE
from rag.models.servers import url_of

POKER = "How many poker scenarios does PokerBench contain?"
GOOD = "PokerBench holds 11,000 important scenarios of poker play [1]."
NOT_HERE = "What is the best recipe for sourdough bread?"
SOON = {"retry-after-ms": "20"}  # so that a retry does not take seconds


def completion(text, finish="stop", said=(), **changes):
    """A chat completion as OpenAI's API writes it; `said` goes into its message."""
    message = {"role": "assistant", "content": text, **dict(said)}
    choice = {"index": 0, "message": message, "finish_reason": finish}
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

    def chat(self, model="test", temperature=None):
        return chat_at(self.url, model, temperature)

    @property
    def bodies(self):
        """The JSON of each request."""
        return [json.loads(body) for _, body in self.requests]

    @property
    def sent(self):
        """The one request's JSON."""
        (request,) = self.requests
        return json.loads(request[1])

    def _handle(self, request):
        self.requests.append((dict(request.headers), request.get_data(as_text=True)))
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


def chat_at(url, model="test", temperature=None):
    """The client alone: replies as they come, thoughts and all."""
    options = {"reply_tokens": 500, "temperature": temperature, "retries": Retries(), "around": None, "price": FREE}
    return client.served(model, url_of(url), **options)


def refusal(message, status=400, param=None):
    """A server's word on a request that it does not take."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return Response(json.dumps({"error": error}), status, SOON, content_type="application/json")


def events(*chunks, done=True):
    """A stream of server-sent events: chunks of text or of JSON, or lines as they are."""
    lines = [chunk if isinstance(chunk, str) and chunk.startswith("data:") else _event(chunk) for chunk in chunks]
    return "".join(f"{line}\n\n" for line in [*lines, *(["data: [DONE]"] if done else [])])


def _event(chunk, **choice):
    body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "test"}
    if isinstance(chunk, str):
        chunk = {"choices": [{"index": 0, "delta": {"content": chunk}, "finish_reason": None}]}
    return f"data: {json.dumps(body | chunk)}"


def end(finish="stop", **delta):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
COUNTED = {"choices": [], "usage": {"prompt_tokens": 321, "completion_tokens": 45, "total_tokens": 366}}


def streaming(*chunks, done=True):
    return Response(events(*chunks, done=done), content_type="text/event-stream")


def _reply(reply):
    if isinstance(reply, int):
        body = json.dumps({"error": {"message": f"no luck\nwith {reply}", "type": "x", "code": None}})
        return Response(body, reply, SOON, content_type="application/json")
    return completion(reply)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(text):
    return f"{len(text.encode()):x}\r\n{text}\r\n".encode()


@contextmanager
def listening() -> Iterator[Any]:
    """A listening socket whose connections are handed to what a test puts in `serve`."""
    taken = []

    class Listening:
        port = 0

        @property
        def url(self):
            return f"http://127.0.0.1:{self.port}/v1"

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
