"""The model's file itself as `--model`: loaded, asked, stopped, and gone at the end."""

from __future__ import annotations

import gc
import time

import pytest
from fetch_model import place

from rag import ModelError
from rag.models import gguf
from rag.models.chat import facts, open_chat
from rag.models.deadline import Deadline
from rag.models.gguf import CONTEXT, _loaded, loaded
from rag.models.servers import HERE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
LONG = Deadline(600)


@pytest.fixture
def file():
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed; type: pip install xllamacpp")
    if not place().is_file():
        pytest.skip("the model is not there; type: python tests/e2e/fetch_model.py")
    return place()


ONE_THREAD = """
import runpy, xllamacpp
serve = xllamacpp.Server

def served(params):
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    return serve(params)

xllamacpp.Server = served
runpy.run_path({process!r}, run_name="__main__")
"""


@pytest.fixture
def one_thread(tmp_path, monkeypatch):
    """Models run on one thread: several wait for each other by turning round, and a busy machine comes to a halt."""
    script = tmp_path / "one_thread.py"
    script.write_text(ONE_THREAD.format(process=str(gguf._PROCESS)))
    monkeypatch.setattr(gguf, "_PROCESS", script)


def test_a_file_is_loaded_once_asked_stopped_and_let_go(file, one_thread, monkeypatch):
    monkeypatch.setenv("RAG_API_KEY", "sk-of-another-server")
    shown = []
    progress = lambda *step: shown.append(step)  # noqa: E731
    chat = open_chat(str(file), None, reply_tokens=6, temperature=None, progress=progress)
    assert {stage for stage, _, _ in shown} == {f"Loading {file.name}"}
    assert [done for _, done, _ in shown] == sorted(done for _, done, _ in shown)
    assert (chat.name, chat.context, facts(str(file), None)) == (file.name, CONTEXT, (HERE, CONTEXT))
    model = loaded(file)

    said = "You answer.", "Tell a story."
    whole, stream = chat.ask(*said, deadline=LONG), chat.stream(*said, deadline=LONG)
    pieces = list(stream)
    assert len(pieces) > 2
    assert stream.reply.text == "".join(pieces) == whole.text
    assert (whole.finish, whole.usage.completion_tokens, whole.usage.usd) == ("length", 6, 0.0)

    with pytest.raises(ModelError, match=rf"{file.name} did not answer within 0\.02 s"):
        chat.ask("You answer.", "poker " * 50, deadline=Deadline(0.02))
    with pytest.raises(ModelError, match=rf"{file.name} has too short a context for this .*8192 tokens"):
        chat.ask("You answer.", "poker " * 9000, deadline=LONG)
    assert chat.ask("You answer.", "Say yes.", deadline=LONG).text

    process = model._process
    del chat, stream, model
    _loaded.clear()
    for _ in range(600):  # until the thread of the question that was given up has ended
        gc.collect()
        if process.poll() is not None:
            break
        time.sleep(0.05)
    assert process.poll() is not None
