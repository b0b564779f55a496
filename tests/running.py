"""The command: in this process, or, for what only a process has (signals, pipes, a terminal), in one of its own."""

from __future__ import annotations

import io
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

import pytest
from prompt_toolkit.application import create_app_session

from rag.cli.common import notice
from rag.cli.main import _say_how_to_add_a_model, main

ROOT = Path(__file__).parents[1]
PROMPT = "\x1b[?2004h"  # how a prompt says that it takes keys: it asks for pasted text to be marked
CTRL_D = "\x04"
LONGEST_WAIT = 280  # seconds a process may take on a machine that is busy with other work
RAG = [sys.executable, "-P", "-m", "rag"]  # -P: found through PYTHONPATH, not in the current folder


def environment(**changes: object) -> dict[str, str]:
    """That of the tests, without what changes how Python or rich print; None takes a variable out."""
    unset = dict.fromkeys(("PYTHONUNBUFFERED", "PYTHONIOENCODING", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"))
    chosen = {"PYTHONPATH": ROOT, "TERM": "xterm-256color", **unset, **changes}
    return {k: str(v) for k, v in (os.environ | chosen).items() if v is not None}


def called(*argv: str, stdin: bytes = b"", encoding: str = "utf-8", **env: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of `rag argv`, its streams piped. In this process: a tenth of the time of `run`."""
    out, err = io.BytesIO(), io.BytesIO()
    with _as_a_process(io.BytesIO(stdin), out, err, env, encoding):
        code = main(argv)
    return code, out.getvalue().decode("utf-8"), err.getvalue().decode("utf-8")


def typed(
    *argv: str, keys: str = "", lines: Iterable[str] | None = None, columns: int = 100, **env: object
) -> tuple[int, str]:
    """(exit code, all that is written) of `rag argv` in this process, at a real terminal of that width.

    `keys` are typed ahead; each of `lines` when a prompt is there, and after the last one Ctrl-D.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, columns))
    os.write(ours, keys.encode())
    answers = iter([] if lines is None else [*(f"{line}\r" for line in lines), CTRL_D])
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(_typing, ours, answers)
        with _standing_at(theirs), ExitStack() as opened:
            streams = [
                opened.enter_context(open(n, mode, 0, closefd=False)) for n, mode in enumerate(("rb", "wb", "wb"))
            ]
            opened.enter_context(_as_a_process(*streams, env))
            opened.enter_context(create_app_session())  # prompts otherwise keep to the first terminal
            code = main(argv)
        return code, written.result().decode("utf-8")


@contextmanager
def _standing_at(terminal: int) -> Iterator[None]:
    """The file descriptors of the standard streams lead to a terminal, which is closed at the end."""
    before = [os.dup(n) for n in range(3)]
    try:
        for n in range(3):
            os.dup2(terminal, n)
        os.close(terminal)
        yield
    finally:
        for n, file in enumerate(before):
            os.dup2(file, n)
            os.close(file)


def _typing(terminal: int, answers: Iterator[str]) -> bytes:
    """What was written to a terminal until all have closed it; each prompt gets the next answer."""
    seen = b""
    with open(terminal, "r+b", buffering=0) as file:
        while some := _some_of(file):
            prompts = (seen[-len(PROMPT) + 1 :] + some).count(PROMPT.encode())
            seen += some
            for answer in islice(answers, prompts):
                file.write(answer.encode())
    return seen


def _some_of(file: io.FileIO) -> bytes:
    try:
        return file.read(65536) or b""
    except OSError:  # how a terminal on Linux says that nobody has it open any more
        return b""


@contextmanager
def _as_a_process(
    stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes], env: dict[str, object], encoding: str = "utf-8"
) -> Iterator[None]:
    """Streams, environment and "once a process" as a new process would have them."""
    raw = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    streams = {name: io.TextIOWrapper(stream, encoding, write_through=True) for name, stream in raw.items()}
    for said_once in (notice, _say_how_to_add_a_model):
        said_once.cache_clear()
    changed = environment(**env)
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - changed.keys():
            patch.delenv(name)
        for name, value in changed.items():
            patch.setenv(name, value)
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        try:
            yield
        finally:
            for stream in streams.values():
                stream.detach()


def start(*argv: str | bytes, **env: object) -> subprocess.Popen[bytes]:
    """`rag argv`, with pipes for all three streams. Ctrl-C works as if it had been typed at a terminal."""
    return _started([*RAG, *argv], env)


def _started(command: list[str | bytes], env: dict[str, object]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(**env), preexec_fn=hear_ctrl_c
    )


def finish(process: subprocess.Popen[bytes], stdin: bytes = b"") -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a process, decoded as UTF-8."""
    out, err = process.communicate(stdin, timeout=LONGEST_WAIT)
    return process.returncode, out.decode("utf-8"), err.decode("utf-8")


def run(*argv: str | bytes, stdin: bytes = b"", **env: object) -> tuple[int, str, str]:
    """`rag argv` as a process of its own, from start to end. Where nothing asks for a process, use `called`."""
    return finish(start(*argv, **env), stdin)


SEVERAL = """
import sys
from rag.cli.main import main
given = sys.argv[1:]
while given:
    end = given.index(";")
    print(end=f"\\0{main(given[:end])}\\0", flush=True)
    del given[: end + 1]
"""


def several(*commands: tuple[str | bytes, ...], stdin: bytes = b"", **env: object) -> tuple[list[tuple[int, str]], str]:
    """((exit code, stdout) of each, stderr of all) of `rag argv` after `rag argv`, in one process of their own."""
    given = [word for argv in commands for word in (*argv, ";")]
    code, out, err = finish(_started([*RAG[:2], "-c", SEVERAL, *given], env), stdin)
    assert code == 0, err
    said = out.split("\0")
    return list(zip(map(int, said[1::2]), said[::2], strict=False)), err


@contextmanager
def silent_server() -> Iterator[tuple[str, socket.socket]]:
    """(base URL, listening socket) of a chat model that takes a question and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LONGEST_WAIT)
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1", server


def hear_ctrl_c() -> None:
    """What a process does before it begins: a test run in the background is started deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
