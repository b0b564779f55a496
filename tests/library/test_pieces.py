"""The digests of the full text in pieces: kept in step by each change, and after one only what is new is looked at."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import made
import pytest

from evals.bench.hashed import Hashed
from rag.errors import LibraryDamaged
from rag.library import build, pieces, write
from rag.library.database import FILE
from rag.library.store import Library, writer

BIRDS = [made.paper(f"Study {n}", f"The ReedBot (RB{n}) counts the birds of marsh {n}.") for n in range(60)]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with writer(tmp_path / "lib"), closing(Library.create(tmp_path / "lib", "hashed", 384)) as library:
        yield library


def changed(library: Library, papers: list[made.Paper], gone: tuple[str, ...] = ()) -> None:
    build.change(library, papers, gone, Hashed(), "add", {})


def cut_small(monkeypatch, bits: int) -> None:
    """Pieces of a few papers."""
    scans = {name: scan._replace(bits=bits) for name, scan in pieces._BY_PAPER.items()}
    monkeypatch.setattr(pieces, "PAPERS", bits)
    monkeypatch.setattr(pieces, "_BY_PAPER", scans)
    monkeypatch.setattr(pieces, "_SCANS", pieces._INDEX | scans)


@pytest.mark.parametrize("bits", [2, 10])
def test_after_any_changes_the_digests_are_those_of_all_that_is_there(library: Library, monkeypatch, bits: int) -> None:
    cut_small(monkeypatch, bits)
    chance, reader = random.Random(bits), Library.open(library.path)
    with closing(reader):
        for _ in range(12):
            held = [paper.id for paper in library]
            changed(library, chance.sample(BIRDS, 6), tuple(chance.sample(held, len(held) // 3)))
            assert library.database.run(pieces.state) == library.meta("full_text")
            assert reader.words.lexical("marsh", 99)


def test_after_a_change_only_what_is_new_is_looked_at(library: Library, monkeypatch) -> None:
    cut_small(monkeypatch, 2)
    changed(library, BIRDS[:40])
    looked: list[tuple[str, int | None]] = []
    digests = pieces._digests
    with closing(Library.open(library.path)) as reader:
        assert reader.words.lexical("marsh", 1)
        changed(library, BIRDS[40:43])
        monkeypatch.setattr(
            pieces, "_digests", lambda db, table, piece=None: looked.append((table, piece)) or digests(db, table, piece)
        )
        assert reader.words.lexical("birds", 1)
    assert {piece for table, piece in looked if table in pieces._BY_PAPER} == {10}  # numbers 41 to 43
    assert ("data", None) not in looked


@pytest.mark.parametrize(
    "harm",
    ["UPDATE names SET name = 'x' WHERE paper = 41", "DELETE FROM passages_docsize WHERE id = 41",
     "UPDATE passages_docsize SET sz = 'x' WHERE id = 41",
     "DELETE FROM passages_data WHERE id = (SELECT max(id) FROM passages_data)"],
)  # fmt: skip
def test_damage_of_what_a_change_wrote_is_seen_by_who_had_looked_before(library: Library, harm: str) -> None:
    changed(library, BIRDS[:40])
    with closing(Library.open(library.path)) as reader:
        assert reader.words.lexical("marsh", 1)
        changed(library, BIRDS[40:43])
        with closing(sqlite3.connect(library.path / FILE)) as db, db:
            db.execute(harm)
        with pytest.raises(LibraryDamaged, match="its full text"):
            reader.words.lexical("marsh", 1)


def test_damage_is_not_taken_for_what_a_later_change_wrote(library: Library, monkeypatch) -> None:
    cut_small(monkeypatch, 2)
    changed(library, BIRDS[:40])
    with closing(sqlite3.connect(library.path / FILE)) as db, db:
        db.execute("DELETE FROM passages_docsize WHERE id = 5")
    changed(library, BIRDS[40:43])
    with pytest.raises(LibraryDamaged, match="its full text"):
        library.words.lexical("marsh", 1)


def test_a_library_of_an_earlier_version_has_its_full_text_looked_at_and_cut_into_pieces(library: Library) -> None:
    changed(library, BIRDS[:9])
    state = library.meta("full_text")
    with library.database.transaction() as db:
        write.set_meta(db, full_text="396ba0f8da2d1ab7")
    with closing(Library.open(library.path)) as again:
        assert again.meta("full_text") == state
        assert again.words.lexical("marsh", 1)
