"""A GGUF file as a chat model: what is said of a file that is none, or cannot be run. tests/e2e runs a real one."""

from __future__ import annotations

import struct

import pytest

import rag
from rag import ModelError, UsageError
from rag.cli.main import main
from rag.models import gguf
from rag.models.chat import open_chat
from rag.models.gguf import trained_for
from rag.models.servers import HERE, file_of, place_of


def text(value):
    return struct.pack("<Q", len(value)) + value


def header(*entries, version=3):
    """The beginning of a GGUF file with these entries, each (name, bytes of type and value)."""
    return struct.pack("<4sIQQ", b"GGUF", version, 0, len(entries)) + b"".join(text(n) + v for n, v in entries)


def number(value, kind=4, form="I"):
    return struct.pack(f"<I{form}", kind, value)


TEXTS = struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"bc")
NESTED = struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 4, 2) + bytes(8)
BEFORE = [
    (b"general.name", struct.pack("<I", 8) + text(b"Lamp")), (b"tokens", TEXTS), (b"lists", NESTED),
    (b"x.flag", number(1, 7, "?")), (b"x.scale", number(1.5, 6, "f")),
]  # fmt: skip


def said(capsys):
    """Output, and the lines of errors that are not about the library."""
    out, err = capsys.readouterr()
    return out, [line for line in err.splitlines() if not line.startswith("Preparing the library")]


def open_it(file):
    return open_chat(str(file), None, reply_tokens=9, temperature=None)


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        (header(*BEFORE, (b"llama.context_length", number(2048))), 2048),
        (header((b"q.context_length", number(131072, 10, "Q")), version=2), 131072),
        (header((b"q.context_length", number(1.0, 6, "f"))), None),
        (header(*BEFORE), None),
        (header(version=9), None),
    ],
)
def test_a_file_says_what_context_its_model_was_made_for(tmp_path, content, tokens):
    (tmp_path / "m.gguf").write_bytes(content + bytes(8))
    assert trained_for(tmp_path / "m.gguf") == tokens


WHOLE = header(*BEFORE, (b"llama.context_length", number(2048)))
DAMAGED = [
    b"",
    b"GGUF",
    b"GGML" + bytes(100),
    b"<html>no such model</html>" * 9,
    WHOLE[:60],
    WHOLE[:-30],
    header((b"a", struct.pack("<I", 99))),
    header((b"a", struct.pack("<IIQ", 9, 9, 1 << 60))) + struct.pack("<IQ", 9, 1) * 5000,
    header((b"a", struct.pack("<IQ", 8, (1 << 64) - 1))),
    struct.pack("<4sIQQ", b"GGUF", 3, 0, (1 << 64) - 1),
]


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_what_is_no_gguf_is_told(tmp_path, content):
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(UsageError, match=r"m\.gguf: (is no GGUF file|cannot be read)"):
        open_it(tmp_path / "m.gguf")


def test_a_file_that_is_not_there_is_told(tmp_path, capsys):
    file = tmp_path / "no model.GGUF"
    assert main(["ask", "What is S4?", "--model", str(file)]) == 2
    assert said(capsys) == ("", [f"rag: {file}: there is no such file"])


def test_a_path_is_a_file_in_python(tmp_path):
    with pytest.raises(UsageError, match=r"m\.gguf: there is no such file"):
        rag.answer("What is S4?", model=tmp_path / "m.gguf")


def test_a_file_that_cannot_be_loaded_is_told(tmp_path, capsys):
    pytest.importorskip("xllamacpp")
    file = tmp_path / "m.gguf"
    file.write_bytes(WHOLE + bytes(1000))
    assert main(["ask", "What is S4?", "--model", str(file)]) == 1
    assert said(capsys) == ("", [
        "Loading m.gguf",
        f"rag: {file}: cannot be loaded; it is damaged, of a kind that xllamacpp does not know, or too large; "
        "get it again, or name another file, or leave --model out",
    ])  # fmt: skip


def test_without_the_extra_the_line_says_what_to_type(tmp_path, monkeypatch):
    (tmp_path / "m.gguf").write_bytes(WHOLE)
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"xllamacpp, which is not here; .* pip install 'abstracts-rag\[local\]'"):
        open_it(tmp_path / "m.gguf")


def test_what_is_a_file_and_what_is_a_model_at_a_server(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "here.gguf").touch()
    assert file_of("~/here.gguf", None) == file_of(" ~/here.gguf ", "ollama") == tmp_path / "here.gguf"
    assert file_of("elsewhere.gguf", None).name == "elsewhere.gguf"
    assert file_of("elsewhere.gguf", "llamacpp") is None
    assert file_of("qwen2.5:7b", None) is file_of("gguf", None) is None
    assert place_of("x.GGUF", None) == HERE
    assert place_of("x.gguf", "http://u:p@127.0.0.1:1/v1") == "http://127.0.0.1:1/v1"
