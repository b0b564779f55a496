"""A file is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evals.records import write_whole


def test_what_was_there_stays_until_the_new_one_is_complete(tmp_path, monkeypatch):
    file = tmp_path / "report.html"
    write_whole(file, "first")
    file.chmod(0o640)

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as out:
            out.write(data[:3])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            write_whole(file, "second")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert file.read_text() == "first"
    write_whole(file, "second")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("second", 0o640)


def test_a_link_is_kept_and_a_pipe_is_written_to(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "text"
    read, write = os.pipe()
    write_whole(Path(f"/dev/fd/{write}"), "text")
    os.close(write)
    assert os.read(read, 9) == b"text"
    os.close(read)
