"""The embedders: the shipped model against float32 references, an endpoint against a real server.

`REFERENCE` was made once, outside of this package: a forward pass of BERT in plain numpy (float32, from
the safetensors file whose hash is in rag/weights/PROVENANCE.md), mean of the tokens, unit length. The
float32 ONNX graph of convert.py agreed to 2e-7 in every component, on these texts and on one of 256
tokens. The first three are also the numbers that sentence-transformers prints in its documentation.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag.errors import Cancelled, EmbedError, UsageError
from rag.library.embed import WEIGHTS, Embedder, Endpoint, MiniLM, open_embedder

REFERENCE = [
    ("The weather is lovely today.", "It's so sunny outside!", 0.6660),
    ("The weather is lovely today.", "He drove to the stadium.", 0.1046),
    ("It's so sunny outside!", "He drove to the stadium.", 0.1411),
    (
        "Which layer first solved Path-X?",
        "S4 is the first model to solve the Path-X task of length 16k.",
        0.4600,
    ),
    ("Which layer first solved Path-X?", "We measure the boiling point of water under pressure.", 0.0226),
    ("state space model", "SSM", 0.1959),
    (
        "We train a transformer on protein sequences.",
        "A language model is learned from amino acid chains.",
        0.4547,
    ),
    (
        "We train a transformer on protein sequences.",
        "Protein folding is simulated by molecular dynamics.",
        0.4250,
    ),
    ("The method reduces error by 12%.", "The method increases error by 12%.", 0.9191),
    (
        "Stabilizer circuits are simulated with a tableau.",
        "Stim tracks Pauli frames to sample circuits.",
        0.3281,
    ),
    ("\\( x'(t) = Ax(t) + Bu(t) \\)", "a linear ordinary differential equation", 0.5578),
    ("naïve Bayes über Größe", "naive bayes uber grosse", 0.8074),
    ("", "state space model", 0.0593),
    ("graph neural networks for molecules", "Graph Neural Networks for Molecules", 1.0000),
]
# What int8 may cost: the largest difference of these pairs was 0.0101; among abstracts the mean was 0.003.
INT8 = 0.015
TEXTS = [text for pair in REFERENCE for text in pair[:2]]
LONG = " ".join(f"word{number} is followed by others," for number in range(120))


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    """The message, which must be one line with no credentials in it."""
    message = str(error.value)
    assert message
    assert "\n" not in message
    assert "sk-secret" not in message
    return message


# ---------------------------------------------------------------- the shipped model


@pytest.mark.parametrize(("left", "right", "cosine"), REFERENCE)
def test_cosine_is_that_of_float32(minilm: MiniLM, left: str, right: str, cosine: float) -> None:
    one, other = minilm.encode([left, right])
    assert float(one @ other) == pytest.approx(cosine, abs=INT8)


def test_vectors_are_unit_float32_in_order(minilm: MiniLM) -> None:
    vectors = minilm.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), minilm.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.array_equal(minilm.encode(TEXTS[::-1]), vectors[::-1])


def test_vector_depends_on_its_text_alone(minilm: MiniLM) -> None:
    texts = [LONG, "a", *TEXTS[:4]]
    together = minilm.encode(texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(minilm.encode([text])[0], vector)


def test_one_core_gives_the_same_vectors(minilm: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    several = minilm.encode(TEXTS[:4])
    monkeypatch.setattr("rag.library.weights._cores", lambda: 1)
    assert np.array_equal(minilm.encode(TEXTS[:4]), several)


def test_two_threads_may_share_an_embedder(minilm: MiniLM) -> None:
    fresh = MiniLM()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(fresh.encode, [TEXTS[:6], TEXTS[6:12]])
    assert np.array_equal(np.concatenate([first, second]), minilm.encode(TEXTS[:12]))


def test_no_text_gives_no_rows(minilm: MiniLM) -> None:
    assert minilm.encode([]).shape == (0, 384)
    assert MiniLM(Path("nowhere")).encode([]).shape == (0, 384)


@pytest.mark.parametrize("text", ["", "  \n\t", "\ud800 lone", "\x00", "🦄" * 300, "x" * 5000])
def test_odd_texts_have_a_vector(minilm: MiniLM, text: str) -> None:
    assert np.linalg.norm(minilm.encode([text])[0]) == pytest.approx(1, abs=1e-6)


def test_text_is_read_up_to_max_tokens(minilm: MiniLM) -> None:
    room = minilm.max_tokens - 2
    cuts = minilm.cuts(LONG)
    assert len(cuts) > room
    whole, fitting, shorter = minilm.encode([LONG, LONG[: cuts[room]], LONG[: cuts[room - 1]]])
    assert minilm.count(LONG[: cuts[room]]) == room
    assert np.array_equal(whole, fitting)
    assert not np.array_equal(whole, shorter)


def test_count_is_the_tokenizers(minilm: MiniLM) -> None:
    from tokenizers import Tokenizer

    shipped = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    assert shipped.padding is None
    assert shipped.truncation["max_length"] == minilm.max_tokens
    for text in TEXTS:
        assert minilm.count(text) == len(shipped.encode(text).ids) - 2
    assert minilm.count(LONG) > len(shipped.encode(LONG).ids) == minilm.max_tokens


def test_cuts_are_where_tokens_begin(minilm: MiniLM) -> None:
    text = "Größe: unbelievably 日本!"
    cuts = minilm.cuts(text)
    assert len(cuts) == minilm.count(text)
    assert cuts == sorted(cuts)
    assert {text[cut] for cut in cuts} >= {"G", ":", "u", "!"}
    assert minilm.cuts("") == []


def test_progress_counts_up_and_cancel_stops(minilm: MiniLM) -> None:
    seen: list[int] = []
    minilm.encode(TEXTS[:5], progress=seen.append)
    assert seen == [1, 2, 3, 4, 5]
    seen.clear()
    with pytest.raises(Cancelled, match="3 of 28"):
        minilm.encode(TEXTS, progress=seen.append, cancelled=lambda: len(seen) == 3)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut short", "git-lfs pointer"])
def test_damaged_files_say_reinstall(tmp_path: Path, name: str, damage: str) -> None:
    (tmp_path / "tokenizer.json").write_bytes((WEIGHTS / "tokenizer.json").read_bytes())
    data = (WEIGHTS / name).read_bytes()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 23105632\n"
    (tmp_path / name).write_bytes({"cut short": data[: len(data) // 2], "git-lfs pointer": pointer}.get(damage, b""))
    if damage == "missing":
        (tmp_path / name).unlink()
    with pytest.raises(EmbedError, match="reinstall abstracts-rag") as error:
        MiniLM(tmp_path).encode(["text"])
    assert name in one_line(error)


def test_provenance_names_the_files() -> None:
    text = (WEIGHTS / "PROVENANCE.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `([\w.]+)` \| [\d,]+ \| `([0-9a-f]{64})` \|$", text, re.MULTILINE))
    assert set(listed) == {"model.onnx", "tokenizer.json", "LICENSE", "NOTICE"}
    for name, digest in listed.items():
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == digest, name


def test_imports_are_late_and_nothing_is_printed() -> None:
    script = """
import sys
import rag.library.embed
def loaded(*names): return [name for name in names if name in sys.modules]
embedder = rag.library.embed.open_embedder()
rag.library.embed.Endpoint("model", "http://localhost:9/v1").count("text")
assert not loaded("numpy", "onnxruntime", "tokenizers", "openai", "httpx"), sorted(sys.modules)
assert embedder.count("Path-X is solved") == 5
assert not loaded("onnxruntime", "openai"), sorted(sys.modules)
assert embedder.encode(["Path-X is solved"]).shape == (1, 384)
assert not loaded("openai")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---------------------------------------------------------------- a server


def embedded(texts: list[str]) -> list[list[float]]:
    """What the server of these tests answers: not normalised, different for every text."""
    return [[3.0, float(len(text)), 4.0] for text in texts]


def reply(request: Request) -> Response:
    """A correct answer with its items in reverse."""
    vectors = embedded(request.get_json()["input"])
    items = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)][::-1]
    return json_response({"object": "list", "model": "m", "data": items})


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    import json

    return Response(json.dumps(body), status, headers, content_type="application/json")


def endpoint(server: HTTPServer, **options: int) -> Endpoint:
    return Endpoint("m", server.url_for("/v1"), "sk-secret", **{"max_retries": 0, **options})


@pytest.fixture(scope="module")
def failing(make_httpserver: HTTPServer) -> Endpoint:
    """For the tests in which no vector comes back; making a client takes longer than they do."""
    return endpoint(make_httpserver)


def test_endpoint_answers_in_order_and_batches(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/embeddings", headers={"Authorization": "Bearer sk-secret"}).respond_with_handler(
        reply
    )
    embedder, seen = endpoint(httpserver), list[int]()
    texts = ["x" * (number + 1) for number in range(150)]
    vectors = embedder.encode(texts, progress=seen.append)
    assert seen == [64, 128, 150]
    assert [len(request.get_json()["input"]) for request, _ in httpserver.log] == [64, 64, 22]
    expected = np.array(embedded(texts))
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert vectors.dtype == np.float32
    assert (embedder.name, embedder.dimensions, len(httpserver.log)) == ("m", 3, 3)


def test_endpoint_finds_its_dimensions(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/embeddings").respond_with_handler(reply)
    embedder = endpoint(httpserver)
    assert embedder.dimensions == 3
    assert embedder.encode([]).shape == (0, 3)
    assert len(httpserver.log) == 1


def test_endpoint_sends_no_empty_text_and_no_lone_surrogate(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/embeddings").respond_with_handler(reply)
    assert len(endpoint(httpserver).encode(["", " \n", "a\ud800b"])) == 3
    assert httpserver.log[0][0].get_json()["input"] == [".", ".", "a?b"]


def test_endpoint_stops_between_requests(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/embeddings").respond_with_handler(reply)
    seen: list[int] = []
    with pytest.raises(Cancelled, match="64 of 100"):
        endpoint(httpserver).encode(["x"] * 100, progress=seen.append, cancelled=lambda: bool(seen))


def test_endpoint_tries_again_after_a_failure(httpserver: HTTPServer) -> None:
    soon = {"retry-after-ms": "1"}
    for status in (429, 500):
        httpserver.expect_ordered_request("/v1/embeddings").respond_with_response(json_response({}, status, soon))
    httpserver.expect_ordered_request("/v1/embeddings").respond_with_handler(reply)
    assert endpoint(httpserver, max_retries=2).encode(["text"]).shape == (1, 3)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "check the model 'm'"),
        (401, "RAG_API_KEY"),
        (403, "RAG_API_KEY"),
        (404, "no embedding model 'm'"),
        (429, "try again later"),
        (500, "try again"),
    ],
)
def test_endpoint_explains_a_refusal(httpserver: HTTPServer, failing: Endpoint, status: int, advice: str) -> None:
    body = {"error": {"message": "bad \x1b[31m thing\n" * 50}}
    httpserver.expect_request("/v1/embeddings").respond_with_response(json_response(body, status))
    with pytest.raises(EmbedError, match=re.escape(advice)) as error:
        failing.encode(["text"])
    message = one_line(error)
    assert f"HTTP {status}" in message
    assert httpserver.url_for("/v1") in message
    assert "\x1b" not in message
    assert len(message) < 400


def item(index: object, embedding: object) -> dict[str, object]:
    return {"index": index, "embedding": embedding}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": []},
        {"data": [item(0, [1.0, 2.0])]},
        {"data": [item(0, [1.0, 2.0]), item(0, [1.0, 2.0])]},
        {"data": [item(0, [1.0, 2.0]), item(5, [1.0, 2.0])]},
        {"data": [item(0, [1.0, 2.0]), item(1, [1.0])]},
        {"data": [item(0, [1.0, 2.0]), item(1, [0.0, 0.0])]},
        {"data": [item(0, [1.0, 2.0]), item(1, [1.0, float("nan")])]},
        {"data": [item(0, []), item(1, [])]},
        {"data": [item(0, "AACAPw=="), item(1, "AACAPw==")]},
        {"data": [item(0, 1.0), item(1, 2.0)]},
        {"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]},
        {"data": [item([0], [1.0]), item([1], [2.0])]},
        ["no", "object"],
        "words",
        None,
    ],
)
def test_endpoint_refuses_what_is_no_answer(httpserver: HTTPServer, failing: Endpoint, body: object) -> None:
    httpserver.expect_request("/v1/embeddings").respond_with_response(json_response(body))
    with pytest.raises(EmbedError, match="base URL") as error:
        failing.encode(["one", "two"])
    one_line(error)


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_endpoint_refuses_a_web_page(httpserver: HTTPServer, failing: Endpoint, kind: str) -> None:
    page = Response("<html>\n<p>It works!</html>", content_type=kind)
    httpserver.expect_request("/v1/embeddings").respond_with_response(page)
    with pytest.raises(EmbedError, match="base URL") as error:
        failing.encode(["one"])
    one_line(error)


def test_endpoint_refuses_vectors_of_another_length(httpserver: HTTPServer) -> None:
    for length in (2, 3):
        body = {"data": [item(0, [1.0] * length)]}
        httpserver.expect_ordered_request("/v1/embeddings").respond_with_response(json_response(body))
    embedder = endpoint(httpserver)
    embedder.encode(["one"])
    with pytest.raises(EmbedError, match="3 numbers after some of 2"):
        embedder.encode(["two"])


def test_endpoint_explains_a_server_that_is_not_there() -> None:
    embedder = Endpoint("m", "http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(EmbedError, match=r"http://127.0.0.1:9/v1 cannot be reached") as error:
        embedder.encode(["text"])
    one_line(error)


def test_endpoint_is_reached_as_chat_models_are(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Texts go to no other host, to none by http:// in the open, over no proxy that cannot be used."""
    away = json_response({}, 307, {"Location": "http://127.0.0.1:9/v1/embeddings"})
    httpserver.expect_request("/v1/embeddings").respond_with_response(away)
    with pytest.raises(
        EmbedError, match=r"sends its callers on to http://127\.0\.0\.1:9/v1/?.*, which was not followed"
    ):
        endpoint(httpserver).encode(["text"])
    with pytest.raises(
        EmbedError, match=r"http://embed\.example\.org/v1 is http://, which anybody on the way can read"
    ):
        Endpoint("m", "http://embed.example.org/v1").encode(["text"])
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://x")
    with pytest.raises(EmbedError, match="HTTPS_PROXY=nonsense://x cannot be used"):
        Endpoint("m", "https://embed.example.org/v1").encode(["text"])
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(EmbedError, match=r"cannot be reached through HTTPS_PROXY=http://127\.0\.0\.1:9"):
        Endpoint("m", "https://embed.example.org/v1", max_retries=0).encode(["text"])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    with pytest.raises(EmbedError, match="SSL_CERT_FILE names no file"):
        Endpoint("m", "https://embed.example.org/v1").encode(["text"])


def test_endpoint_explains_a_slow_server(httpserver: HTTPServer) -> None:
    import time

    httpserver.expect_request("/v1/embeddings").respond_with_handler(lambda request: time.sleep(0.5) or reply(request))
    embedder = Endpoint("m", httpserver.url_for("/v1"), timeout=0.1, max_retries=0)
    with pytest.raises(EmbedError, match="did not answer in time"):
        embedder.encode(["text"])


def test_endpoint_estimates_more_tokens_than_there_are(minilm: MiniLM) -> None:
    guess = Endpoint("m", "http://localhost:9/v1")
    texts = [text for text in TEXTS if text.isascii()] + [LONG]
    assert sum(map(guess.count, texts)) > 1.1 * sum(map(minilm.count, texts))
    assert guess.cuts("Path-X 16k") == [0, 4, 5, 7, 9]
    assert guess.count("") == 0


# ---------------------------------------------------------------- choosing one


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("RAG_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def sent_key(httpserver: HTTPServer) -> str:
    """The key that reaches a local server which was named without one."""
    httpserver.expect_request("/v1/embeddings").respond_with_handler(reply)
    open_embedder("m", base_url=httpserver.url_for("/v1/")).encode(["text"])
    return httpserver.log[-1][0].headers["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("name", [None, "all-MiniLM-L6-v2", "all-MiniLM-L6-v2-int8"])
def test_shipped_model_is_the_default(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    embedder: Embedder = open_embedder(name)
    assert isinstance(embedder, MiniLM)
    assert (embedder.name, embedder.dimensions, embedder.max_tokens) == ("all-MiniLM-L6-v2-int8", 384, 256)


def test_openai_needs_a_key(no_keys: pytest.MonkeyPatch) -> None:
    with pytest.raises(EmbedError, match="OPENAI_API_KEY") as error:
        open_embedder("text-embedding-3-small")
    one_line(error)
    no_keys.setenv("OPENAI_API_KEY", "sk-secret")
    no_keys.setenv("OPENAI_BASE_URL", "http://localhost:9/elsewhere")
    embedder = open_embedder("text-embedding-3-small")
    assert isinstance(embedder, Endpoint)
    assert embedder.base_url == "https://api.openai.com/v1"


def test_openais_key_goes_to_no_other_server(no_keys: pytest.MonkeyPatch, httpserver: HTTPServer) -> None:
    no_keys.setenv("OPENAI_API_KEY", "sk-secret")
    assert sent_key(httpserver) == "not-needed"
    no_keys.setenv("RAG_API_KEY", "own")
    assert sent_key(httpserver) == "own"


@pytest.mark.parametrize("url", ["localhost:11434", "ftp://host/v1", "http://", "http://host:port/v1", ""])
def test_base_url_must_be_one(url: str) -> None:
    with pytest.raises(UsageError, match="http://localhost") as error:
        open_embedder("m", base_url=url)
    one_line(error)


def test_server_without_a_model_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="which embedding model"):
        open_embedder(base_url="http://localhost:9/v1")
