"""The model's file itself as `--model`: loaded, asked, stopped, and gone at the end."""

from __future__ import annotations

import gc
import os

import pytest
from fetch_model import place
from running import run

from rag import ModelError
from rag.models.chat import facts, open_chat
from rag.models.deadline import Deadline
from rag.models.gguf import _PROCESS, CONTEXT, _loaded, loaded
from rag.models.servers import HERE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
LONG = Deadline(600)


@pytest.fixture
def file():
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed; type: pip install xllamacpp")
    if not place().is_file():
        pytest.skip("the model is not there; type: python tests/e2e/fetch_model.py")
    return place()


def test_a_file_is_loaded_once_asked_stopped_and_let_go(file, monkeypatch):
    monkeypatch.setenv("RAG_API_KEY", "sk-of-another-server")
    shown = []
    progress = lambda *step: shown.append(step)  # noqa: E731
    chat = open_chat(str(file), None, reply_tokens=16, temperature=None, progress=progress)
    assert {stage for stage, _, _ in shown} == {f"Loading {file.name}, MB"}
    assert [done for _, done, _ in shown] == sorted(done for _, done, _ in shown)
    assert (chat.name, chat.context, facts(str(file), None)) == (file.name, CONTEXT, (HERE, CONTEXT))
    model = loaded(file)

    said = "You answer.", "Tell me a long story about a dog."
    whole, stream = chat.ask(*said, deadline=LONG), chat.stream(*said, deadline=LONG)
    pieces = list(stream)
    assert len(pieces) > 5
    assert stream.reply.text == "".join(pieces) == whole.text
    assert (whole.finish, whole.usage.completion_tokens, whole.usage.usd) == ("length", 16, 0.0)

    with pytest.raises(ModelError, match=rf"{file.name} did not answer within 0\.3 s"):
        chat.ask("You answer.", "poker " * 500, deadline=Deadline(0.3))
    with pytest.raises(ModelError, match=rf"{file.name} has too short a context for this .*8192 tokens"):
        chat.ask("You answer.", "poker " * 9000, deadline=LONG)
    assert chat.ask("You answer.", "Say yes.", deadline=LONG).text

    process = model._process
    del chat, stream, model
    _loaded.clear()
    gc.collect()
    assert process.poll() is not None


def test_a_command_that_ends_while_its_prompt_is_read_leaves_nothing_behind(file):
    code, out, err = run("ask", "Which benchmarks measure reasoning?", "--model", str(file), "--deadline", "1")
    assert (code, out, err.splitlines()[0]) == (1, "", f"Loading {file.name}, MB")
    assert f"rag: {file.name} did not answer within 1 s; give it longer with --deadline" in err
    if os.path.isdir("/proc"):
        assert [pid for pid in os.listdir("/proc") if pid.isdigit() and _serves(pid)] == []


def _serves(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return os.fsencode(_PROCESS) in line.read()
    except OSError:
        return False
