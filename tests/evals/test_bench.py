"""The harness on itself: planted faults are caught and named, what is none passes, and the gate is quiet."""

from __future__ import annotations

import pkgutil
import random

import pytest

from evals import gold
from evals.bench import ablation, gate, mutations
from evals.compare import STAGES
from evals.metrics import PROMISED


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_planted_faults_are_caught_and_changes_that_are_none_pass():
    assert mutations.measure(gold.load(), fast=True, show=False) == []


def test_what_the_benches_patch_is_there():
    names = {name for patches in (ablation.SEARCHING | ablation.ANSWERING).values() for name in patches}
    for name in names | {fault.where for fault in mutations.FAULTS}:
        module, _, attribute = name.rpartition(".")
        assert hasattr(pkgutil.resolve_name(module), attribute), name


def test_every_fault_expects_metrics_that_the_gate_names():
    known = {name for names in STAGES.values() for name in names} | {*PROMISED, "errors"}
    assert {fault.name: set(fault.expected) - known for fault in mutations.FAULTS} == {
        f.name: set() for f in mutations.FAULTS
    }
    assert len({fault.name for fault in mutations.FAULTS}) == len(mutations.FAULTS) >= 12
    assert len(mutations.NO_OPS) >= 20


@pytest.fixture(scope="module")
def answerer() -> gate.Answerer:
    return gate.Answerer(gold.load())


TRIALS = 5  # `python evals/bench/gate.py` makes 200


@pytest.mark.slow
def test_the_gate_is_quiet_and_sees_what_broke(answerer):
    with gate.in_haste():
        quiet = gate.measure(answerer, gate.unchanged, trials=TRIALS)
        loud = gate.measure(answerer, gate.break_share(0.05), trials=TRIALS)
    assert quiet.verdicts.get("regression", 0) == 0
    assert loud.verdicts.get("regression", 0) >= TRIALS - 1


def test_where_answers_do_not_vary_the_gate_is_certain(answerer):
    with gate.in_haste():
        assert gate.measure_certain(answerer, gate.unchanged, trials=3).verdicts == {"pass": 3}
        assert gate.measure_certain(answerer, gate.break_one, trials=3).verdicts == {"regression": 3}


def test_the_made_answerer_has_the_chances_it_was_given(answerer):
    ids = sorted(answerer.questions)
    chances = gate.mixed(ids, random.Random(1))
    shares = [sum(p == wanted for p in chances.values()) / len(ids) for wanted, _ in gate.MIX]
    assert shares == pytest.approx([share for _, share in gate.MIX], abs=0.01)
    broken = gate.break_share(0.05)(chances, random.Random(2))
    assert sum(broken[id] != chances[id] for id in ids) <= round(0.05 * len(ids))
    assert sum(gate.break_one(chances, random.Random(3))[id] != chances[id] for id in ids) == 1
    assert all(
        less <= p
        for less, p in zip(gate.everywhere(0.1)(chances, random.Random()).values(), chances.values(), strict=True)
    )
