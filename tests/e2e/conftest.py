"""A real llama.cpp server with SmolLM2-135M, for the tests here; they are skipped where there is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from fetch_model import place

HERE = Path(__file__).parent
KEY = "sk-e2e"


class Served(NamedTuple):
    """A server: its base URL, the model that it offers, the key that it wants."""

    url: str
    model: str
    key: str


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "e2e: needs a real llama.cpp server; skipped where its package or model is not")


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """The server, in a process of its own that ends with the tests."""
    if not find_spec("xllamacpp"):
        pytest.skip("xllamacpp is not installed; type: pip install xllamacpp")
    if not place().is_file():
        pytest.skip("the model is not there; type: python tests/e2e/fetch_model.py")
    command = [sys.executable, str(HERE / "serve.py"), str(place()), KEY]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "stdin": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **quiet) as process:
        url = process.stdout.readline().strip()
        assert url, "the server did not start"
        yield Served(f"{url}/v1", "smollm2", KEY)
        process.stdin.close()
        process.wait(10)
