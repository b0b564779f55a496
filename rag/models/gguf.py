"""A chat model in a GGUF file, run by llama.cpp (xllamacpp, which the extra `local` installs).

It is run in a process of its own (`rag.models.llama`), which only this one can ask and which ends with it: inside this
one, llama.cpp would hold up everything else while it loads, and its end would crash or hang the program while a prompt
is read. One file stays loaded at a time, and all that ask it share it, one question after the other.
"""

from __future__ import annotations

import json
import secrets
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from rag.errors import ModelError, UsageError
from rag.models import client
from rag.models.deadline import Retries
from rag.models.prices import FREE
from rag.remedies import Remedy

CONTEXT = 8192  # tokens, unless the model was made for fewer; more would take memory, and a CPU minutes to read
MB = 1_000_000
CHUNK = 8 * MB
_PROCESS = Path(__file__).with_name("llama.py")

Progress = Callable[[str, int, int], None]  # (what is going on, done, of how many)

_loading = threading.Lock()
_loaded: dict[tuple[Path, int, int], Loaded] = {}  # by file, its time and size; at most one


def opened(
    file: Path, *, reply_tokens: int, temperature: float | None, progress: Progress | None = None
) -> client.Client:
    """The model in a file, loaded; nothing is left to chance in its replies unless a temperature is given.

    Raises UsageError for a file that is none, ModelError where it cannot be run.
    """
    model = loaded(file, progress)
    return client.served(
        file.name,
        model.url,
        key=model.key,
        reply_tokens=reply_tokens,
        temperature=temperature or 0.0,
        retries=Retries(0),
        around=None,
        price=FREE,
        where=file.name,
        kept=model,
    )


def loaded(file: Path, progress: Progress | None = None) -> Loaded:
    """The file's model, which stays loaded until another one is. Raises as `opened` does."""
    if not file.is_file():
        raise UsageError(f"{file}: there is no such file")
    facts = file.stat()
    key = file.resolve(), facts.st_mtime_ns, facts.st_size
    with _loading:
        if key not in _loaded or not _loaded[key].runs:
            context = min(CONTEXT, trained_for(file) or CONTEXT)
            if not find_spec("xllamacpp"):
                raise ModelError("a GGUF file is run by the package xllamacpp, which is not here", Remedy.LOCAL_EXTRA)
            _loaded.clear()
            _read_through(file, facts.st_size, progress or (lambda stage, done, total: None))
            _loaded[key] = Loaded(file, context)
        return _loaded[key]


class Loaded:
    """A model in memory, until nobody holds this object any more.

    url      base URL of its server
    key      what that server wants to be shown
    context  tokens that prompt and reply may have together
    """

    def __init__(self, file: Path, context: int) -> None:
        self.context, self.key = context, secrets.token_hex(16)
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        command = [sys.executable, "-P", str(_PROCESS)]
        # in a session of its own, where Ctrl-C does not reach it
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=none, start_new_session=True)
        self._end = weakref.finalize(self, _end, self._process)  # when this program ends, too
        asked = {"file": str(file.resolve()), "context": context, "key": self.key}
        try:
            said = self._said(json.dumps(asked) + "\n")
        except BaseException:
            self._end()
            raise
        if not said.startswith("http"):
            self._end()
            problem = f"{file}: cannot be loaded; it is damaged, of a kind that xllamacpp does not know, or too large"
            raise ModelError(problem, Remedy.OTHER_FILE, Remedy.WITHOUT_MODEL)
        self.url = f"{said}/v1"

    @property
    def runs(self) -> bool:
        """Is its process there?"""
        return self._process.poll() is None

    def _said(self, line: str) -> str:
        """The first line that the process says to one; "" when it ends without."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        return self._process.stdout.readline().decode().strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):
                pipe.close()


def _read_through(file: Path, size: int, progress: Progress) -> None:
    """Read a file once, so that the system has it at hand when it is loaded; a stage with a capital stands alone."""
    stage, buffer = f"Loading {file.name}", bytearray(CHUNK)
    with file.open("rb", buffering=0) as source:
        for done in range(0, size, CHUNK):
            progress(stage, done // MB, max(1, size // MB))
            if not source.readinto(buffer):
                return


# --- what a file says of itself -----------------------------------------------------------------

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a number, by its type
_TEXT, _LIST, _WHOLE = 8, 9, {4: "I", 10: "Q"}


def trained_for(file: Path) -> int | None:
    """Tokens of context that a model was made for; None where it does not say. Raises UsageError for what is no GGUF."""
    try:
        with file.open("rb") as source, suppress(struct.error, KeyError, OverflowError, RecursionError, ValueError):
            magic, version, _, entries = _numbers("<4sIQQ", source)
            if magic == b"GGUF":  # of another version, llama.cpp may know it
                return next(_contexts(source, entries), None) if version in (2, 3) else None
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror})") from error
    raise UsageError(f"{file}: is no GGUF file, or a damaged one")


def _contexts(source: BinaryIO, entries: int) -> Iterator[int]:
    """The values of entries whose name ends with .context_length."""
    for _ in range(entries):
        name = source.read(min(_numbers("<Q", source)[0], 1000))
        (kind,) = _numbers("<I", source)
        if name.endswith(b".context_length") and kind in _WHOLE:
            yield _numbers(f"<{_WHOLE[kind]}", source)[0]
        else:
            _skip(kind, source)


def _skip(kind: int, source: BinaryIO) -> None:
    if kind == _TEXT:
        source.seek(_numbers("<Q", source)[0], 1)
    elif kind == _LIST:
        inner, count = _numbers("<IQ", source)
        if inner in _SIZES:
            source.seek(count * _SIZES[inner], 1)
        else:
            for _ in range(count):
                _skip(inner, source)
    else:
        source.seek(_SIZES[kind], 1)


def _numbers(form: str, source: BinaryIO) -> tuple[Any, ...]:
    return struct.unpack(form, source.read(struct.calcsize(form)))
