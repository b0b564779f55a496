"""Chroma's engine, asked directly, tells what its own client tells."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from rag.library import chroma
from rag.library.chroma import Client, Engine, Reader, open_reader
from rag.library.vectors import NAME, collections_folder, make_collection

ROWS, DIMENSIONS = 300, 16


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of random unit rows."""
    library = tmp_path_factory.mktemp("library")
    rows = np.random.default_rng(5).normal(size=(ROWS, DIMENSIONS)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"p{number}" for number in range(ROWS)]
    manifest = make_collection(library, 1, ROWS, [([f"{name}.0" for name in names], rows, names)])
    return collections_folder(library) / manifest.folder


@pytest.fixture(params=[Engine, Client])
def reader(request: pytest.FixtureRequest, place: Path, tmp_path: Path) -> Iterator[Reader]:
    """The collection, through one door and the other, from a copy."""
    with closing(_opened(request.param, place, tmp_path / "copy")) as found:
        yield found


def _opened(door: Callable[[Path, str], Reader], place: Path, copy: Path) -> Reader:
    shutil.copytree(place, copy)
    return door(copy, NAME)


def test_all_rows_are_there(reader):
    assert reader.count() == ROWS
    assert sorted(reader.ids()) == sorted(f"p{number}.0" for number in range(ROWS))


def test_both_doors_find_the_same_rows_in_the_same_order(place, tmp_path):
    queries = np.random.default_rng(6).normal(size=(40, DIMENSIONS)).astype(np.float32)
    with (
        closing(_opened(Engine, place, tmp_path / "one")) as engine,
        closing(_opened(Client, place, tmp_path / "other")) as client,
    ):
        for query in queries:
            assert engine.query(query, 20) == client.query(query, 20)


def test_the_installed_version_is_read_by_its_engine_and_another_by_its_client(place, tmp_path, monkeypatch):
    assert version("chromadb").startswith(chroma.TESTED), "look whether the engine is asked as its client asks it"
    assert isinstance(_opened(open_reader, place, tmp_path / "one"), Engine)
    monkeypatch.setattr(chroma, "version", lambda name: "1.6.0")
    with closing(_opened(open_reader, place, tmp_path / "other")) as found:
        assert isinstance(found, Client)


def test_no_collection_of_that_name_is_an_error(place, tmp_path):
    shutil.copytree(place, tmp_path / "copy")
    for door in (Engine, Client):
        with pytest.raises(Exception, match="other"):
            door(tmp_path / "copy", "other")
