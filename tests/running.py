"""The command: in this process, or, for what only a process has (signals, pipes, a terminal), in one of its own."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag.cli.main import main

ROOT = Path(__file__).parents[1]
PATIENCE = 120  # seconds a process may take on a machine that is busy with other work
RAG = [sys.executable, "-P", "-m", "rag"]  # -P: found through PYTHONPATH, not in the current folder


def environment(**changes: object) -> dict[str, str]:
    """That of the tests, without what changes how Python or rich print; None takes a variable out."""
    unset = dict.fromkeys(("PYTHONUNBUFFERED", "PYTHONIOENCODING", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"))
    chosen = {"PYTHONPATH": ROOT, "TERM": "xterm-256color", **unset, **changes}
    return {k: str(v) for k, v in (os.environ | chosen).items() if v is not None}


def called(*argv: str, stdin: bytes = b"", **env: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of `rag argv`, its streams piped. In this process: a tenth of the time of `run`."""
    streams = {"stdin": io.TextIOWrapper(io.BytesIO(stdin), "utf-8")}
    streams |= {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdout", "stderr")}
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - environment(**env).keys():
            patch.delenv(name)
        for name, value in environment(**env).items():
            patch.setenv(name, value)
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        code = main(argv)
    return code, *(_written(streams[name]) for name in ("stdout", "stderr"))


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8")


def start(*argv: str | bytes, **env: object) -> subprocess.Popen[bytes]:
    """`rag argv`, with pipes for all three streams. Ctrl-C works as if it had been typed at a terminal."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*RAG, *argv], stdin=pipe, stdout=pipe, stderr=pipe, env=environment(**env), preexec_fn=_hear_ctrl_c
    )


def finish(process: subprocess.Popen[bytes], stdin: bytes = b"") -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a process, decoded as UTF-8."""
    out, err = process.communicate(stdin, timeout=PATIENCE)
    return process.returncode, out.decode("utf-8"), err.decode("utf-8")


def run(*argv: str | bytes, stdin: bytes = b"", **env: object) -> tuple[int, str, str]:
    """`rag argv` as a process of its own, from start to end. Where nothing asks for a process, use `called`."""
    return finish(start(*argv, **env), stdin)


@contextmanager
def silent_server() -> Iterator[tuple[str, socket.socket]]:
    """(base URL, listening socket) of a chat model that takes a question and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1", server


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background is started deaf to it
