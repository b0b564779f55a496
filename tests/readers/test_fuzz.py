"""Hostile and broken files: papers or one clear line, in time, in memory that is bounded; `evals/bench/fuzz.py` goes on longer."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from readers.test_formats import RIS, put, said
from running import LONGEST_WAIT, ROOT

from rag.cli.main import main
from rag.errors import ReadError
from rag.library import origins
from rag.readers import files, gather, read


def test_exports_broken_in_every_way_are_read_or_refused_within_bounds():
    command = [sys.executable, str(ROOT / "evals" / "bench" / "fuzz.py"), "--files", "60"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_WAIT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = re.search(r"60 files in \d+ s: 0 wrong {}, peak (\d+) MB", ran.stdout)
    assert told, ran.stdout
    assert int(told[1]) < 500


def test_what_is_packed_a_thousandfold_costs_no_memory(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(3):
            archive.writestr(f"{n}.csv", b"title,abstract\n" + b"a" * 60_000_000)
    code = (
        "import resource, sys; from pathlib import Path; from rag.readers import gather\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert not gather([Path(sys.argv[1])]).papers\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "bomb.zip")], capture_output=True, text=True,
                         env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=LONGEST_WAIT)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 60  # given up at a hundredfold, long before the end of the first


# --- archives -----------------------------------------------------------------------------------


def test_members_that_share_bytes_are_refused(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.ris", RIS)
        archive.filelist += [archive.filelist[0]] * 500
    with pytest.raises(ReadError, match=r"has members that overlap \(a zip bomb\?\)"):
        read([put(tmp_path, packed.getvalue())])


def test_what_a_refused_member_unpacked_to_counts_too(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FILE_BYTES", 15_000)
    monkeypatch.setattr(files, "ARCHIVE_BYTES", 50_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(3):
            archive.writestr(f"{n}.ris", b"x" * 20_000)
        archive.writestr("good.ris", RIS)
    reading = gather([put(tmp_path, packed.getvalue())])
    whys = [reason.split(";")[0] for _, reason in said(reading, "refused")]
    assert whys == ["unpacks to more than 0 MB"] * 3 + ["is in an archive of more than 0 MB"]


# --- what is no ordinary file -------------------------------------------------------------------


@pytest.fixture
def odd(tmp_path):
    """A folder with a good file and all that a folder can hold besides."""
    folder = tmp_path / "odd"
    folder.mkdir()
    os.mkfifo(folder / "pipe.ris")
    (folder / "zero.ris").symlink_to("/dev/zero")
    (folder / "self.ris").symlink_to("self.ris")
    (folder / "up").symlink_to("..")
    (folder / "new\nline\x1b[31m\u202e.ris").write_text(RIS.replace("pools", "seas"), "utf-8")
    Path(os.fsdecode(bytes(folder) + b"/bad\xff.ris")).write_text(RIS.replace("pools", "lakes"), "utf-8")
    put(folder, RIS, "good.ris")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket.ris"))
        yield folder


def test_pipes_devices_sockets_and_loops_are_refused_and_end_no_run(odd, tmp_path, capsys):
    assert main(["add", str(odd), "--library", str(tmp_path / "own"), "--json"]) == 0
    capsys.readouterr()
    assert main(["add", str(odd), "--library", str(tmp_path / "own")]) == 0
    out = capsys.readouterr().out
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", out)
    for name in ("pipe.ris", "socket.ris", "zero.ris"):
        assert f"  {name}: is no ordinary file; copy its content into one\n" in out
    assert "  self.ris: cannot be read (Too many levels of symbolic links); check its permissions\n" in out
    assert "0 added, 0 changed, 2 unchanged, 4 merged" in out
    assert main(["status", "--library", str(tmp_path / "own")]) == 0
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", capsys.readouterr().out)


def test_the_same_named_one_by_one(odd):
    named = [odd / "pipe.ris", odd / "zero.ris", odd / "self.ris", odd / "socket.ris", Path("/dev/null"), Path("a\0b")]
    reading = gather(named)
    assert {piece.kind for piece in reading.skipped} == {"refused"}
    assert len(reading.skipped) == len(named)
    assert [origins.digest(str(path)) for path in named] == [""] * len(named)


def test_a_file_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    put(tmp_path, RIS, "good.ris")
    put(tmp_path, RIS, "locked.ris")
    real = open

    def locked(path, *rest, **options):
        if str(path).endswith("locked.ris"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **options)

    monkeypatch.setattr("builtins.open", locked)  # root may read anything
    reading = gather([tmp_path])
    assert said(reading, "refused") == [("locked.ris", "cannot be read (Permission denied); check its permissions")]
    assert len(reading.papers) == 2


def test_a_folder_of_many_small_files_takes_no_longer_than_they_do(tmp_path):
    for n in range(1000):
        (tmp_path / f"{n}.ris").write_text(
            f"TY  - JOUR\nTI  - Pool {n}\nAB  - Pool {n} is {n * 7919} cm deep.\nER  - \n"
        )
    reading = gather([tmp_path])
    assert (len(reading.papers), len(reading.files)) == (1000, 1000)
