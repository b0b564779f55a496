"""The guard in conftest: no test leaves the machine, not even one that swallows the error."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FARAWAY = ("192.0.2.1", 80)  # an address for documentation (RFC 5737): nobody is there


@pytest.mark.parametrize(
    "leave",
    [
        lambda: socket.create_connection(FARAWAY, 1),
        lambda: socket.socket().connect(FARAWAY),
        lambda: socket.socket().connect_ex(FARAWAY),
        lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80, 0, 0)),
        lambda: socket.getaddrinfo("example.org", 443),
        lambda: socket.getaddrinfo(host="example.org", port=443),
    ],
)
def test_leaving_the_machine_raises_and_is_written_down(leave: Callable[[], object], no_network: list[str]) -> None:
    with pytest.raises(AssertionError, match="the network was used"):
        leave()
    assert len(no_network) == 1
    no_network.clear()


def test_loopback_and_unix_sockets_work(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5):
        pass
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))


def test_a_test_that_swallows_the_error_fails_at_its_end(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_it.py").write_text(
        "import contextlib, socket\n"
        "def test_swallows():\n"
        "    with contextlib.suppress(Exception):\n"
        f"        socket.create_connection({FARAWAY})\n"
        "def test_stays_home():\n"
        "    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)  # fmt: skip
    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "the network was used" in done.stdout
