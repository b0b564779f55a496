"""Short forms of the benches of damage, and of readers beside a writer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from evals.bench import beside_a_writer, damage


def test_damage_is_told_or_harmless_and_never_taken_for_data(tmp_path: Path) -> None:
    outcomes = damage.trials(tmp_path, 12, 30, random.Random(3))
    assert len(outcomes) == 12
    assert {one.asked for one in outcomes} <= {"same", "told"}
    assert {one.repaired for one in outcomes} <= {"whole", "set aside", "nothing to do", "beyond repair"}
    assert any(one.asked == "told" and one.repaired == "whole" for one in outcomes)


@pytest.mark.slow
def test_readers_and_a_writer_do_each_other_no_harm(tmp_path: Path) -> None:
    told = beside_a_writer.one_run(beside_a_writer.prepared(tmp_path / "run", 200), 2, 450, 0.5, 7)
    assert all(told[phase] for phase in beside_a_writer.PHASES)
    assert told["steps"] == 3
