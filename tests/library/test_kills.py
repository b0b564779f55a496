"""A run that is killed at any moment, and run again until it ends, loses and doubles nothing."""

from __future__ import annotations

import json
import random
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "evals" / "bench"


@pytest.fixture
def kills(monkeypatch) -> ModuleType:
    """The bench, which kills more on a large file."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = spec_from_file_location("kills", BENCH / "kills.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("what", ["add", "prune", "fill"])
def test_nothing_is_lost_or_doubled(kills, tmp_path, what, capsys):
    file = tmp_path / "papers.jsonl"
    papers = [
        {"title": f"Paper number {n}", "abstract": " ".join(f"Fact {m} of paper {n} is {m * n}." for m in range(8))}
        for n in range(100)
    ]
    file.write_text("".join(json.dumps(paper) + "\n" for paper in papers), "utf-8")
    kills.killed(what, file, tmp_path, 2 if what == "add" else 1, random.Random(7))
    assert "nothing lost, nothing doubled" in capsys.readouterr().out
