"""What every test shares: the shipped papers, one RAG_HOME, a network that is closed, a fresh interpreter.

No test may leave the machine. A connection or a look-up of a name that is not loopback raises, and
is written down, so that code which swallows the error fails the test all the same when it ends.
"""

from __future__ import annotations

import gc
import hashlib
import ipaddress
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import filelock
import hypothesis
import pytest

from rag.errors import LibraryError
from rag.library import build, embed, reader
from rag.library.store import FILE, Library
from rag.places import resource
from rag.readers import read
from rag.records import Paper

ROOT = Path(__file__).parents[1]
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads wait for work by turning round: half of the CPU time
UNSET = ("RAG_MODEL", "RAG_BASE_URL", "RAG_LIBRARY", "RAG_API_KEY", "RAG_PROMPT_TOKENS", "OPENAI_API_KEY")

hypothesis.settings.register_profile("rag", deadline=None, derandomize=True)
hypothesis.settings.load_profile("rag")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """What is imported and collected stays to the end: to look through it for garbage took a third of the collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a test that waits for a process leaves its core to another."""
    return 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that no core waits for it at the end; one server serves the end-to-end tests."""
    items.sort(key=lambda item: (not item.get_closest_marker("e2e"), not item.get_closest_marker("slow")))


@pytest.fixture(scope="session")
def papers() -> tuple[Paper, ...]:
    """The shipped papers, in the order of their files."""
    return read([resource("data")]).papers


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """RAG_HOME for the whole session, with the shipped library: built by the first test that asks for it.

    Workers of one run (pytest-xdist) share it: the first to ask builds, the others wait for its lock. What
    was built is kept in pytest's cache, and the next run takes a copy while it would build the same.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "home"
    shipped = folder / "cache" / build.shipped_folder(embed.open_embedder()).name
    kept = _kept(request.config, shipped.name)
    with _alone(folder):
        if not folder.exists():
            folder.mkdir()
            if kept:
                _taken(kept, shipped)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_HOME", str(folder))
        for name in UNSET:
            patch.delenv(name, raising=False)
        yield folder
    if kept and _is_built(shipped):
        _keep(shipped, kept)


def _kept(config: pytest.Config, name: str) -> Path | None:
    """Where a library made by the code as it is now is kept; None if pytest keeps nothing."""
    if not hasattr(config, "cache"):
        return None
    digest = hashlib.sha256(version("chromadb").encode())
    for file in (*sorted((ROOT / "rag" / "library").glob("*.py")), embed.WEIGHTS / "model.onnx"):
        digest.update(file.read_bytes())
    return Path(config.cache.mkdir("shipped")) / f"{name}-{digest.hexdigest()[:12]}"


def _taken(kept: Path, shipped: Path) -> None:
    with _alone(kept.parent):
        if kept.exists():
            shutil.copytree(kept, shipped)


def _is_built(shipped: Path) -> bool:
    try:
        with closing(Library.open(shipped)) as library:
            return bool(library.generation)
    except LibraryError:
        return False


def _keep(shipped: Path, kept: Path) -> None:
    """In place of what older code made."""
    with _alone(kept.parent):
        if not kept.exists():
            shutil.rmtree(kept.parent)
            new = shutil.copytree(shipped, kept.parent / "new", ignore=shutil.ignore_patterns(f"{FILE}*"))
            with closing(sqlite3.connect(shipped / FILE)) as source, closing(sqlite3.connect(new / FILE)) as copy:
                source.backup(copy)  # another worker may have it open
            new.rename(kept)


def _alone(folder: Path) -> filelock.FileLock:
    return filelock.FileLock(folder.with_suffix(".lock"))


@pytest.fixture(scope="session", autouse=True)
def _one_model() -> Iterator[None]:
    """All embedders and readers of this process share one loaded model, which takes as long to load as 60 questions to embed."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("load_session", "load_tokenizer"):
            once = _once(getattr(embed, name))
            for module in (embed, reader):
                patch.setattr(module, name, once)
        yield


class Remembering(reader.Reader):
    """The shipped reader, which reads no pair twice in a run: what it says depends on the pair alone (test_reader.py)."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def read(self, text: str, passages: Sequence[reader.Passage]) -> list[reader.Reading]:
        keys = [hashlib.sha256(repr((text, passage)).encode("utf-8", "replace")).hexdigest() for passage in passages]
        with closing(sqlite3.connect(self._file, timeout=60)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS said (pair TEXT PRIMARY KEY, reading TEXT)")
            marks = ", ".join("?" * len(keys))
            known = dict(db.execute(f"SELECT pair, reading FROM said WHERE pair IN ({marks})", keys))
        new = {key: passage for key, passage in zip(keys, passages, strict=True) if key not in known}
        if new:
            read = super().read(text, list(new.values()))
            known |= {key: json.dumps(one) for key, one in zip(new, read, strict=True)}
            with closing(sqlite3.connect(self._file, timeout=60)) as db, db:
                db.executemany("INSERT OR IGNORE INTO said VALUES (?, ?)", [(key, known[key]) for key in new])
        return [
            reader.Reading(*(tuple(x) if isinstance(x, list) else x for x in json.loads(known[key]))) for key in keys
        ]


@pytest.fixture(scope="session", autouse=True)
def _read_once(home: Path) -> Iterator[None]:
    """All workers of a run share what the reader said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rag.answering.opening.Reader", lambda: Remembering(home / "readings.sqlite"))
        yield


def _once(load: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Loads the shipped files once; others, which tests damage, each time."""
    shared = cache(load)
    return lambda path: shared(path) if path.parent == embed.WEIGHTS else load(path)


class NetworkUsed(AssertionError):
    """A test tried to leave the machine."""


@pytest.fixture(scope="session", autouse=True)
def _closed_network() -> Iterator[list[str]]:
    attempts: list[str] = []

    def guarded(real: Callable[..., Any], host: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            if _is_outside(where := host(*args, **keywords)):
                attempts.append(f"{real.__name__} to {where}")
                raise NetworkUsed(f"the network was used: {attempts[-1]}")
            return real(*args, **keywords)

        return call

    def peer(sock: socket.socket, address: Any) -> Any:
        return None if sock.family == getattr(socket, "AF_UNIX", None) else address[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(socket.socket.connect, peer))
        patch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex, peer))
        patch.setattr(socket, "getaddrinfo", guarded(socket.getaddrinfo, lambda host, *_, **__: host))
        yield attempts


@pytest.fixture(autouse=True)
def no_network(_closed_network: list[str]) -> Iterator[list[str]]:
    """Fails the test at its end if it tried to leave the machine; gives the attempts so far."""
    _closed_network.clear()
    yield _closed_network
    if _closed_network:
        pytest.fail(f"the network was used: {'; '.join(_closed_network)}")


def _is_outside(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return False
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:  # a name
        return True
    return not (address.is_loopback or address.is_unspecified)


@pytest.fixture
def python(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a piece of code in a fresh interpreter that finds `rag`, with this session's environment."""
    from running import LONGEST_WAIT

    def run(code: str, *args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code, *map(str, args)]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=LONGEST_WAIT)

    return run


@pytest.fixture
def server(httpserver: Any) -> Any:
    """A chat server that answers as it is told."""
    from serving import Server

    return Server(httpserver)


@pytest.fixture
def listening() -> Iterator[Any]:
    """A listening socket whose connections are handed to what a test puts in `serve`."""
    import serving

    with serving.listening() as found:
        yield found
