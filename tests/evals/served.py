"""A chat model on loopback, and the smallest answers and runs, for tests of the evaluation."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from evals.gold import Question
from evals.records import Manifest, Record
from rag import Answer, FrozenMap, Usage

Judges = Callable[[str, list[str]], bool]  # (claim, its quotes as shown) -> supported
Said = str | dict[str, Any] | Response


def completion(text: str, *, prompt: int = 10, reply: int = 5, finish: str = "stop") -> dict[str, Any]:
    """What an OpenAI-compatible server answers."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m-2026",
        "choices": [choice],
        "usage": usage,
    }


def refusal(status: int, headers: dict[str, str] | None = None, code: str = "x", text: str = "not now") -> Response:
    """An error as servers send it."""
    body = {"error": {"message": text, "code": code, "type": "t"}}
    return Response(json.dumps(body), status, headers or {}, content_type="application/json")


class ChatServer:
    """Answers with what `says` makes of a request's body; keeps the bodies and the most calls at once."""

    def __init__(self, says: Callable[[dict[str, Any]], Said] = lambda body: "yes", seconds: float = 0.0) -> None:
        self.says, self.seconds = says, seconds
        self.asked: list[dict[str, Any]] = []
        self.at: list[float] = []
        self.most = self._now = 0
        self._guard = threading.Lock()
        self._server = HTTPServer(host="127.0.0.1", port=0, threaded=True)
        self._server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(self._answer)

    def __enter__(self) -> ChatServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        """What goes after --base-url."""
        return f"http://127.0.0.1:{self._server.port}/v1"

    def _answer(self, request: Request) -> Response:
        body = json.loads(request.data)
        with self._guard:
            self.asked.append(body)
            self.at.append(time.monotonic())
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self.seconds)
        said = self.says(body)
        with self._guard:
            self._now -= 1
        if isinstance(said, Response):
            return said
        return Response(
            json.dumps(completion(said) if isinstance(said, str) else said), content_type="application/json"
        )


def answer(text: str = "This library does not say.", status: Any = "refused") -> Answer:
    """An Answer that claims nothing."""
    return Answer("q", "q", text, status, (), (), (), (), "extractive", Usage(), FrozenMap({}), FrozenMap({}), "r")


def question(id: str = "zz001", **fields: Any) -> Question:
    """A row of the gold set; unanswerable unless told."""
    plain = {"id": id, "rev": 1, "question": f"What of {id}?", "kind": "unanswerable", "split": "dev", "group": id}
    return Question(**(plain | {"missing": "all of it"} | fields))


def manifest(**fields: Any) -> Manifest:
    """The manifest of a run without a model."""
    plain = dict.fromkeys(("corpus", "run", "code", "gold"), "1") | {"created": "2026-11-21T10:00:00", "version": "0"}
    return Manifest(**(plain | {"model": "extractive", "split": "all", "samples": 1} | fields))


def record(id: str = "zz001", sample: int = 0, status: str = "refused", text: str = "no", **fields: Any) -> Record:
    """A record of an answer without claims, or with what `fields` puts in its place."""
    said = {"status": status, "text": text, "query": "q", "model": "m", "run": "r", "claims": [], "removed": []}
    said |= {
        "retrieved": [],
        "found": {},
        "evidence": [],
        "usage": {"calls": 0, "prompt": 0, "reply": 0},
        "seconds": {},
    }
    return Record(id, 1, 0, sample, **({"answer": said | {"cpu": 0.1}} | fields))


def claim(text: str, quote: str, paper: str = "p1") -> dict[str, Any]:
    """A claim of a record's answer with one quote."""
    cited = {"number": 1, "paper": paper, "start": 0, "end": len(quote), "quote": quote}
    return {"text": text, "verdict": "supported", "citations": [cited]}


# --- as a judge ---------------------------------------------------------------------------------


def shown(body: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The claims of a judge's prompt with their quotes, as it reads them."""
    text = body["messages"][1]["content"]
    fence = re.search(r"marked (=== \w+ ===):", text)[1]
    inside = text.split(f"\n{fence}\n")[1]
    blocks = re.split(r"^Claim \d+: ", inside, flags=re.MULTILINE)[1:]
    return [(b.split("\n")[0], re.findall(r"^Quote [\d.]+: (.*)$", b, re.MULTILINE)) for b in blocks]


def judging(judges: Judges) -> Callable[[dict[str, Any]], str]:
    """A judge that gives the verdicts `judges` makes, with evidence from the first quote."""

    def says(body: dict[str, Any]) -> str:
        rows = []
        for number, (text, quotes) in enumerate(shown(body), 1):
            ok = judges(text, quotes)
            evidence = " ".join(quotes[0].split()[:6]) if ok else ""
            rows.append({"claim": number, "evidence": evidence, "verdict": "supported" if ok else "not supported"})
        return json.dumps({"verdicts": rows})

    return says
