"""A backup is a library in one file: it comes back as it was, whole or not at all, and nothing is overwritten unasked."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import made
import pytest
from running import called

from evals.bench.hashed import Hashed
from rag.errors import LibraryDamaged, LibraryError, LibraryNewer, RagError, UsageError
from rag.library import backup as module
from rag.library import build, doctor, salvage
from rag.library.backup import BEFORE, MANIFEST, backup, restore
from rag.library.database import FILE
from rag.library.dense import DenseSearch
from rag.library.store import Library, writer

PAPERS = [made.paper(f"Study {n}", f"Fact {n} of the reed bunting. It is {n * 7}.") for n in range(12)]
VECTOR = Hashed().encode(["a question"])[0]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Twelve papers, and one that was removed again."""
    with writer(tmp_path / "lib"):
        found = Library.create(tmp_path / "lib", "hashed", 384)
        build.change(found, [*PAPERS, made.S4], (), Hashed(), "add", {})
        build.change(found, (), (made.S4.id,), Hashed(), "remove", {})
        build.fill(found)
    yield found
    found.close()


def held(library: Library) -> tuple[object, ...]:
    """What a library says and finds."""
    with closing(DenseSearch(library)) as search:
        near = [(id, round(cosine, 5)) for id, cosine in search.nearest(VECTOR, 5)]
    return list(library), library.journal(), library.fingerprint, library.words.lexical("fact reed", 5), near


def test_what_comes_back_is_the_library_as_it_was(library: Library, tmp_path: Path) -> None:
    told = backup(library, tmp_path / "mine.zip")
    assert (told.papers, told.generation, told.fingerprint) == (12, 2, library.fingerprint)
    assert (tmp_path / "mine.zip").stat().st_mode & 0o077 == 0
    assert {path.name for path in tmp_path.iterdir()} == {"lib", "mine.zip"}
    assert restore(tmp_path / "mine.zip", str(tmp_path / "again")) == told
    with closing(Library.open(tmp_path / "again")) as again:
        assert held(again) == held(library)
    assert not doctor.examine(tmp_path / "again", None, Hashed()).problems


def test_a_backup_is_of_one_moment_whoever_reads_or_writes(library: Library, tmp_path: Path) -> None:
    before = held(library)
    with library.snapshot() as reader, library.database.transaction() as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM papers")
        with closing(Library.open(library.path)) as other:
            assert backup(other, tmp_path / "mine.zip").papers == 12
        assert len(reader) == 12
        db.rollback()
    restore(tmp_path / "mine.zip", str(tmp_path / "again"))
    with closing(Library.open(tmp_path / "again")) as again:
        assert held(again) == before


def test_a_library_is_replaced_only_when_that_is_asked_for_and_its_file_is_kept(
    library: Library, tmp_path: Path
) -> None:
    before = held(library)
    backup(library, tmp_path / "mine.zip")
    with writer(library.path):
        build.change(library, [made.FLASH], (), Hashed(), "add", {})
    after = held(library)
    with pytest.raises(UsageError, match=r"there is a library at .*; name another one, or give force=True"):
        restore(tmp_path / "mine.zip", str(library.path))
    assert held(library) == after
    restore(tmp_path / "mine.zip", str(library.path), over=True)
    assert held(library) == before  # also for who had it open
    (tmp_path / "kept").mkdir()
    (library.path / BEFORE).rename(tmp_path / "kept" / FILE)
    with closing(Library.open(tmp_path / "kept")) as kept:
        assert list(kept) == after[0]


def test_a_file_that_is_there_is_replaced_only_when_that_is_asked_for(library: Library, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        backup(library, tmp_path / "mine.zip")
    assert (tmp_path / "mine.zip").read_text() == "mine"
    backup(library, tmp_path / "mine.zip", over=True)
    assert zipfile.is_zipfile(tmp_path / "mine.zip")
    with pytest.raises(UsageError, match="is a folder"):
        backup(library, tmp_path / "lib", over=True)
    with pytest.raises(LibraryError, match="cannot be written"):
        backup(library, tmp_path / "nowhere" / "mine.zip")


# --- damage -------------------------------------------------------------------------------------


def flipped(share: float) -> Callable[[Path], None]:
    def harm(file: Path) -> None:
        raw = bytearray(file.read_bytes())
        raw[int(share * len(raw))] ^= 1
        file.write_bytes(raw)

    return harm


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5000])


def text(file: Path) -> None:
    file.write_text("no zip")


def packed(manifest: object, database: bytes) -> Callable[[Path], None]:
    def harm(file: Path) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MANIFEST, json.dumps(manifest))
            archive.writestr(FILE, database)

    return harm


def other(**values: object) -> Callable[[Path], None]:
    """The same backup with another manifest."""

    def harm(file: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            manifest, database = json.loads(archive.read(MANIFEST)), archive.read(FILE)
        packed(manifest | values, database)(file)

    return harm


@pytest.mark.parametrize(
    "harm",
    [flipped(0.1), flipped(0.5), flipped(0.9), cut, text, Path.unlink, packed([], b""), packed({"kind": module.KIND}, b""),
     other(kind="x"), other(size=10), other(size="10"), other(sha256="0"), other(more=1), other(version=2)],
)  # fmt: skip
def test_what_is_no_whole_backup_is_told_in_a_line_and_changes_nothing(library: Library, tmp_path: Path, harm) -> None:
    file, before = tmp_path / "mine.zip", held(library)
    backup(library, file)
    harm(file)
    for place, over in ((tmp_path / "again", False), (library.path, True)):
        with pytest.raises(LibraryError) as caught:
            restore(file, str(place), over=over)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "again").exists()
    assert held(library) == before
    assert not list(library.path.glob(f"{salvage.NEW}*"))


def test_a_database_that_is_not_as_it_was_written_is_no_library_whatever_the_manifest_says(library, tmp_path) -> None:
    backup(library, tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        archive.extract(FILE, tmp_path)
        manifest = json.loads(archive.read(MANIFEST))
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.execute("UPDATE papers SET record = replace(record, 'bunting', 'warbler')")
    raw = (tmp_path / FILE).read_bytes()
    packed(manifest | {"size": len(raw), "sha256": module._sha256(tmp_path / FILE)}, raw)(tmp_path / "mine.zip")
    with pytest.raises(LibraryDamaged, match="papers not as they were written"):
        restore(tmp_path / "mine.zip", str(tmp_path / "again"))
    assert not (tmp_path / "again").exists()


def test_a_later_version_s_backup_is_left_to_it(library: Library, tmp_path: Path) -> None:
    backup(library, tmp_path / "mine.zip")
    other(schema=99)(tmp_path / "mine.zip")
    with pytest.raises(LibraryNewer, match="schema 99"):
        restore(tmp_path / "mine.zip", str(tmp_path / "again"))


def test_a_library_that_is_damaged_is_not_backed_up(library: Library, tmp_path: Path) -> None:
    with closing(sqlite3.connect(library.path / FILE)) as db, db:
        db.execute("UPDATE vectors SET vector = zeroblob(1536)")
    with pytest.raises(LibraryDamaged, match=r"vectors not as they were written.*rag doctor"):
        backup(library, tmp_path / "mine.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["lib"]


def test_a_restore_that_fails_at_the_last_moment_leaves_the_library(
    library: Library, tmp_path: Path, monkeypatch
) -> None:
    backup(library, tmp_path / "mine.zip")
    before = held(library)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(salvage.os, "replace", full)
    with pytest.raises(LibraryError, match="No space left"):
        restore(tmp_path / "mine.zip", str(library.path), over=True)
    assert held(library) == before


# --- the doors ----------------------------------------------------------------------------------


def test_at_a_terminal(tmp_path: Path) -> None:
    name, file = str(made.library(tmp_path / "lib", made.POKER)), str(tmp_path / "mine.zip")
    code, out, err = called("backup", file, "--library", name)
    assert (code, err) == (0, "")
    assert out.startswith(f"1 papers written to {file}")
    assert called("backup", file, "--library", name)[0] == 2
    code, out, err = called("restore", file, "--library", name)
    assert (code, out) == (2, "")
    assert "add --force to replace it" in err
    code, out, err = called("restore", file, "--library", name, "--force", "--json")
    assert (code, json.loads(out)["papers"]) == (0, 1)
    code, _, err = called("restore", file)
    assert code == 2
    assert "--library NAME" in err


def test_in_python(tmp_path: Path) -> None:
    import rag

    name = str(made.library(tmp_path / "lib", made.POKER))
    told = rag.backup(tmp_path / "mine.zip", library=name)
    assert rag.restore(tmp_path / "mine.zip", library=str(tmp_path / "again")) == told
    with pytest.raises(RagError):
        rag.restore(tmp_path / "mine.zip", library=str(tmp_path / "again"))
    assert rag.open_library(str(tmp_path / "again")).get(made.POKER.id) == made.POKER
