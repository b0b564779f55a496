"""Where files lie: under RAG_HOME, in the platform's own places, in a checkout or a wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import PromptError
from rag.places import home, libraries, resource


@pytest.mark.parametrize("kind", ["cache", "data", "config"])
def test_everything_written_lies_under_rag_home(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    assert home(kind) == tmp_path / kind
    assert libraries() == tmp_path / "data" / "libraries"


def test_rag_home_may_begin_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", "~/papers")
    assert home("data") == Path.home() / "papers" / "data"


def test_without_rag_home_the_platform_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_HOME")
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    places = [home(kind) for kind in ("cache", "data", "config")]
    assert all(place.name == "abstracts-rag" for place in places)


@pytest.mark.parametrize("kind", ["prompts", "data", "weights"])
def test_the_shipped_folders_are_found(kind: str) -> None:
    assert any(resource(kind).iterdir())


def test_a_missing_shipped_folder_says_what_to_do() -> None:
    with pytest.raises(PromptError, match="reinstall"):
        resource("nothing")
