"""Proxies, certificates, redirects and odd streams, against real sockets on loopback."""

from __future__ import annotations

import logging
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from serving import GOOD, POKER, completion, refusal, streaming
from werkzeug import Response

import rag
from rag.errors import ModelError, TextLeaves, UsageError
from rag.models import chat
from rag.models.chat import list_models, open_chat
from rag.models.deadline import Deadline
from rag.models.network import is_public, mended, proxy_of

AWAY = "https://192.0.2.77/v1"  # an address for documentation: nobody answers


def opened(url):
    return open_chat("test", url, reply_tokens=9, temperature=None)


def fails(call):
    with pytest.raises(ModelError) as raised:
        call()
    assert "\n" not in str(raised.value)
    return str(raised.value)


# --- proxies ------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "RAG_INSECURE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("all_proxy", "socks://127.0.0.1:9"),
        ("HTTPS_PROXY", "one:two:three"),
        ("HTTPS_PROXY", "gopher://127.0.0.1:9"),
        ("https_proxy", "http://[::1"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    said = fails(lambda: opened(AWAY))
    assert said.startswith(f"{variable}=")
    assert "cannot be used" in said
    assert variable in fails(lambda: list_models(AWAY, deadline=Deadline(5)))
    assert variable in fails(lambda: rag.answer(POKER, model="m", base_url=AWAY))
    assert rag.answer(POKER).status == "answered"  # without a model nothing asks for it


def test_a_password_in_a_proxy_is_not_shown(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://me:secret@127.0.0.1:9")
    assert "secret" not in fails(lambda: opened(AWAY))


@pytest.mark.parametrize(
    ("exempt", "host", "is_exempt"),
    [
        ("localhost,192.0.2.77,[::1]", "192.0.2.77", True),
        ("[2001:db8::7]", "[2001:db8::7]:8443", True),
        ("2001:db8::/32", "[2001:db8::7]", True),
        ("fe80::/10, 192.0.2.0/24", "192.0.2.77:9", True),
        ("192.0.2.0/24", "192.0.3.77", False),
        (".example.org", "models.example.org", True),
        ("example.org", "models.example.org:9", True),
        ("models.example.org:9", "models.example.org:9", True),
        ("models.example.org:9", "models.example.org", False),
        ("example.org", "example.com", False),
        ("*", "example.com", True),
        ("[::1", "example.com", False),
        (",,", "example.com", False),
    ],
)
def test_what_no_proxy_may_name(monkeypatch, exempt, host, is_exempt):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert (proxy_of(f"https://{host}/v1") is None) is is_exempt


def test_the_nearest_variable_is_used_and_none_for_what_stays_here(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "127.0.0.1:2")
    assert proxy_of(AWAY) == ("http://127.0.0.1:2", "https_proxy")
    assert proxy_of("http://models.example.org") == ("http://127.0.0.1:1", "ALL_PROXY")
    assert proxy_of("https://localhost:9/v1") is None


def test_a_proxy_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert "cannot be reached through HTTPS_PROXY=http://127.0.0.1:9" in fails(lambda: opened(AWAY).ask("s", "u"))


def test_a_request_goes_through_the_proxy(server, monkeypatch):
    """A proxy for http:// is sent the whole address; this one answers itself."""
    monkeypatch.setenv("RAG_INSECURE", "1")
    monkeypatch.setenv("HTTP_PROXY", server.url.removesuffix("/v1"))
    assert opened("http://models.example.org/v1").ask("s", "u").text == GOOD
    assert server.requests[0][0]["Host"] == "models.example.org"


# --- certificates -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(certificate, key) of nobody for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "c.pem", folder / "k.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-out", files[0], "-keyout", files[1]], capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl that makes certificates")
    return files


@pytest.fixture
def secure(certificate):
    """The base URL of a server that speaks TLS under that certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = completion(GOOD).get_data()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    served.socket = context.wrap_socket(served.socket, server_side=True)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"https://localhost:{served.server_port}/v1"
    served.shutdown()
    served.server_close()


def test_the_variable_is_trusted_for_this_machine_too(secure, certificate, monkeypatch):
    said = fails(lambda: opened(secure).ask("s", "u"))
    assert "certificate that is not trusted here" in said
    assert "set SSL_CERT_FILE" in said
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert opened(secure).ask("s", "u").text == GOOD


@pytest.mark.parametrize("url", [AWAY, "https://localhost:1/v1"])
def test_a_variable_that_names_nothing_useful_is_told(url, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    assert fails(lambda: opened(url)).startswith(f"SSL_CERT_FILE names no file: {tmp_path / 'gone.pem'}")
    (tmp_path / "gone.pem").write_text("no certificate")
    assert "no certificate can be read from it" in fails(lambda: opened(url))
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "gone"))
    assert "SSL_CERT_DIR names no folder" in fails(lambda: opened(url))


def test_without_tls_no_certificate_is_looked_for(server, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/gone.pem")
    assert opened(server.url).ask("s", "u").text == GOOD


def test_tls_with_a_server_that_has_none_is_told(server):
    said = fails(lambda: opened(server.url.replace("http:", "https:")).ask("s", "u"))
    assert "does not speak TLS" in said


# --- where a prompt goes ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_place_is_not_followed(server, listening, status):
    server.says(Response("", status, {"Location": f"{listening.url}/chat/completions"}))
    said = fails(lambda: opened(server.url).ask("s", "u"))
    assert listening.count == 0
    assert f"sends its callers on to {listening.url}" in said
    assert "give it as base_url" in said
    assert len(server.requests) == 1


def test_a_redirect_in_the_same_place_keeps_what_is_asked(server):
    server.says(Response("", 307, {"Location": "/v1/chat/completions"}), GOOD)
    assert opened(server.url).ask("s", "u").text == GOOD
    assert "not followed" in fails(
        lambda: opened(server.says(Response("", 302, {"Location": "/v1/x"})).url).ask("s", "u")
    )


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("http://models.example.org/v1", True),
        ("http://93.184.216.34:8000/v1", True),
        ("http://[2606:2800:220:1:248:1893:25c8:1946]/v1", True),
        ("http://gpu-box:8000/v1", False),
        ("http://gpu.local/v1", False),
        ("http://host.docker.internal:11434/v1", False),
        ("http://10.1.2.3/v1", False),
        ("http://192.168.1.5/v1", False),
        ("http://127.0.0.1/v1", False),
    ],
)
def test_http_to_the_open_internet_must_be_said_twice(monkeypatch, url, public):
    assert is_public(url) is public
    if public:
        with pytest.raises(UsageError, match=r"is http://.*RAG_INSECURE=1"):
            opened(url)
        with pytest.raises(UsageError, match="RAG_INSECURE"):
            list_models(url, deadline=Deadline(1))
        monkeypatch.setenv("RAG_INSECURE", "1")
    assert opened(url).name == "test"


def test_a_remote_server_is_told_of_once(caplog):
    """As a warning, which Python shows where nobody has set up logging."""
    chat._warn.cache_clear()
    caplog.set_level(logging.INFO, "rag")
    with pytest.warns(TextLeaves) as warned:
        opened("https://me:secret@models.example.org/v1")
    opened("https://me:secret@models.example.org/v1")
    opened("http://localhost:1/v1")
    told = ["questions and passages go to https://models.example.org/v1"]
    assert [record.getMessage() for record in caplog.records] == [str(one.message) for one in warned] == told


# --- base URLs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", ["", "/", "/chat/completions", "/chat/completions/", "/models", "/completions"])
def test_the_address_of_a_function_stands_for_the_base_url(server, tail):
    assert opened(server.url + tail).ask("s", "u").text == GOOD


def test_an_interface_below_v1_is_found_and_remembered(server, httpserver):
    httpserver.expect_request("/chat/completions").respond_with_data("404 page not found", status=404)
    chat = opened(server.url.removesuffix("/v1"))
    assert [chat.ask("s", "u").text for _ in range(2)] == [GOOD, GOOD]
    assert len(server.requests) == 2  # what was refused before went to an address that this server does not know


def test_where_there_is_no_interface_at_all_it_is_told(server):
    said = fails(lambda: opened(server.url.removesuffix("/v1") + "/elsewhere").ask("s", "u"))
    assert "HTTP 500" in said or "HTTP 404" in said


# --- what comes instead of a stream -------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"data: {}\n\ndata: [DONE]\n\n", b"data: {}\n\ndata: [DONE]\n\n"),
        (b"data: 1\r\n\r\n: ping\r\n", b"data: 1\r\n\r\n: ping\r\n"),
        (b'event: error\ndata: {"code": 4}\n\ndata: 2\n', b'data: {"error": {"code": 4}}\n\ndata: 2\n'),
        (b'event: error\ndata: {"error": "no"}\n\n', b'data: {"error": "no"}\n\n'),
        (b"event: error\ndata: out of memory\n\n", b'data: {"error": "out of memory"}\n\n'),
        (b'error: {"message": "no"}\n\n', b'data: {"error": {"message": "no"}}\n\n\n'),
        (b"data: cut off", b"data: cut off"),
    ],
)
def test_errors_in_a_stream_get_one_form(sent, read, cut):
    pieces = [sent[at : at + cut] for at in range(0, len(sent), cut)]
    assert b"".join(mended(pieces)) == read


def test_a_server_without_a_system_role_gets_the_instructions_with_the_question(server):
    told = "Only user and assistant roles are supported!"
    server.says(refusal("System role not supported", 400), GOOD)
    chat = opened(server.url)
    assert [chat.ask("Be brief.", "What?").text for _ in range(2)] == [GOOD, GOOD]
    assert [[m["role"] for m in body["messages"]] for body in server.bodies] == [["system", "user"], ["user"], ["user"]]
    assert server.bodies[-1]["messages"][0]["content"] == "Be brief.\n\nWhat?"
    assert told not in server.bodies[-1]


@pytest.mark.parametrize(
    ("status", "told", "learned"),
    [
        (400, "Conversation roles must alternate user/assistant/user/assistant/...", True),
        (422, "messages[0].role: unexpected value 'system'", True),
        (500, "Jinja Exception: System role not supported", True),
        (400, "Developer instruction is not enabled for this model", True),
        (400, "this model does not support system messages", True),
        (400, "file system is full", False),
        (400, "bad request", False),
    ],
)
def test_in_whatever_words_it_is_refused(server, status, told, learned):
    server.says(refusal(told, status), GOOD)
    chat = opened(server.url)
    if learned:
        assert chat.ask("s", "u").text == GOOD
    else:
        fails(lambda: chat.ask("s", "u"))


def test_a_refusal_inside_a_good_status_is_learned_too(server):
    server.says(completion("x", choices=None, error={"message": "System role not supported"}), GOOD)
    assert opened(server.url).ask("s", "u").text == GOOD


def test_a_page_instead_of_an_answer_is_told_by_its_title(server):
    page = "<html><head><title>502 Bad\nGateway</title></head><body>nginx</body></html>"
    server.says(Response(page, 502, {"retry-after-ms": "5"}, content_type="text/html"))
    assert "failed (HTTP 502: 502 Bad Gateway)" in fails(lambda: opened(server.url).ask("s", "u"))


def test_a_whole_reply_instead_of_a_stream_is_read(server):
    assert list(opened(server.says(completion(GOOD)).url).stream("s", "u")) == [GOOD]
    assert server.sent["stream"] is True


def test_a_stream_that_says_it_is_done_is_whole_and_one_that_does_not_is_not(server):
    assert "".join(opened(server.says(streaming("Yes", ".")).url).stream("s", "u")) == "Yes."
    said = fails(lambda: list(opened(server.says(streaming("Yes", ".", done=False)).url).stream("s", "u")))
    assert "broke off" in said
