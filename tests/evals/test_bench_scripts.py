"""Every script of `evals/bench` starts, on input that takes seconds, and says in a line what it lacks."""

from __future__ import annotations

import importlib
import json
import math
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from made import FLASH, POKER, S4

from evals import gold
from evals.bench import ablation, cells, fuzz, reading, refusal, relevance, served, startup, support, verification

BENCH = Path(gold.__file__).parent / "bench"
NEEDS = {"relevance", "support", "retrieval", "search_speed"}  # a folder of data sets

Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Start a script's `main` in this process; what it printed."""

    def started(name: str, *argv: object) -> str:
        module = importlib.import_module(f"evals.bench.{name}")
        monkeypatch.setattr(sys, "argv", [str(BENCH / f"{name}.py"), *map(str, argv)])
        module.main()
        return capsys.readouterr().out

    return started


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[gold.Question]:
    """A gold set of a question of each kind and a few off-topic ones, and no training questions."""
    known: dict[str, list[gold.Question]] = {}
    for question in gold.load():
        known.setdefault(question.kind, []).append(question)
    chosen = [q for same in known.values() for q in [q for q in same if q.split == "dev"][:1]]
    chosen += [q for q in gold.load() if "off-topic" in q.tags and q.split == "dev"][:3]
    monkeypatch.setattr(gold, "load", lambda *path: () if path else tuple({q.id: q for q in chosen}.values()))
    return chosen


def papers(file: Path, count: int = 12) -> Path:
    """JSON lines of as many papers."""
    rows = [
        {"title": f"Number {n} of many", "abstract": f"It is about {n} things. All of them count."}
        for n in range(count)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def claims(folder: Path) -> Path:
    """Data sets of claims with their evidence, in the form of those that the weights were learned on."""
    for name in ("support", "reading"):
        (folder / name).mkdir(parents=True)
    rows = []
    for n, one in enumerate((S4, FLASH, POKER)):
        parts = [f"{part.strip().rstrip('.')}." for part in one.abstract.split(". ")]
        for claim, holds in ((parts[0], True), (f"It is {n}7 times slower than nothing.", False)):
            rows.append({
                "id": f"{n}{holds}", "title": one.title, "claim": claim, "evidence": " ".join(parts), "binary": int(holds),
                "evidence_sentences": parts, "gold_sentences": [[0]] if holds else [],
            })  # fmt: skip
    for file in support.SETS.values():
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows * (1 if "scifact" in file else 8)))
    return folder


def test_every_script_has_a_test():
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    scripts = {path.stem for path in BENCH.glob("*.py") if "__main__" in path.read_text("utf-8")}
    assert {name for name in scripts if not re.search(rf"\b{name}\b", tests)} == set()


def test_the_numbers_of_a_refusal_are_fitted(run, few, monkeypatch):
    monkeypatch.setattr(refusal, "ELSEWHERE", refusal.ELSEWHERE[:4])
    assert re.search(r"COSINE, COVERED, OFFSET = \d+\.\d, -?\d+\.\d, -\d+\.\d   from \d+ questions", run("refusal"))


def test_another_embedders_scale_is_put_beside_the_shipped_ones(run, few, monkeypatch):
    some = served.shipped_papers()[:6]
    monkeypatch.setattr(served, "shipped_papers", lambda: some)
    lines = run("served").splitlines()
    assert [line[:18].strip() for line in lines[1:]] == ["as it is", "to scale", "tilted, to scale", "tilted"]
    assert re.search(r" (\d+) of +\1$", lines[1]), "it is as it is"


def test_the_weights_of_relevance_are_learned(run, few, tmp_path, monkeypatch):
    monkeypatch.setattr(relevance, "minimize", partial(relevance.minimize, options={"maxiter": 2}))
    found = run("relevance", "--datasets", claims(tmp_path))
    assert "WEIGHTS = Signals(" in found
    assert "BIAS = " in found


def test_the_weights_of_support_are_learned(run, tmp_path, monkeypatch):
    monkeypatch.setattr(support, "PICTURE", tmp_path / "curves.svg")
    assert "expected calibration error" in run("support", "--datasets", claims(tmp_path))
    assert "<svg" in (tmp_path / "curves.svg").read_text("utf-8")


def test_what_the_reader_is_worth(run, few, monkeypatch, tmp_path):
    monkeypatch.setattr(reading, "minimize", partial(reading.minimize, options={"maxiter": 2}))
    found = run("reading", "--depth", 2, "--keep", tmp_path / "kept.json")
    assert "sentence weights" in found
    assert "order weights" in found
    assert run("reading", "--keep", tmp_path / "kept.json").splitlines()[1:] == found.splitlines()[1:]


def test_what_each_signal_is_worth(run, few, monkeypatch):
    for table in ("SEARCHING", "ANSWERING"):
        monkeypatch.setattr(ablation, table, dict(list(getattr(ablation, table).items())[:2]))
    found = run("ablation")
    assert found.count("\n") == 7
    assert "everything" in found


def test_the_gate_is_measured(run):
    assert "pass 1.000" in run("gate", "--trials", 1, "--only", "unchanged")


def test_planted_faults(run, few):
    assert "0 faults missed, 0 false alarms" in run("mutations", "--only", "no fault has this name")


def test_drafts_are_scored(run, monkeypatch):
    rows = verification.kept_in(verification.FOLDER / "qwen2.5-coder-1.5b.jsonl")

    monkeypatch.setattr(
        verification, "kept_in", lambda path: [row for row in rows if row.id not in verification.SEEN][:4]
    )
    assert run("verification", "claims") == ""  # each has its label
    assert "right answers" in run("verification", "score")


def test_cells_of_tables_are_judged(run, monkeypatch):
    few = cells.gold()[:3]
    monkeypatch.setattr(cells, "gold", lambda: few)
    assert re.search(r"seen +task +\d of \d right", run("cells"))


def test_exports_are_broken():
    assert fuzz.run(math.inf, 5, 1, None)["files"] == 5


def test_a_folder_of_exports_is_counted(run, tmp_path):
    papers(tmp_path / "some.jsonl")
    assert "12 papers" in run("readers", tmp_path)


def test_a_library_is_kept_in_step(run, tmp_path):
    file = papers(tmp_path / "some.jsonl")
    assert "12 added" in run("scale", file, "--child", "add")
    assert "12 unchanged" in run("scale", file, "--child", "sync")
    assert "0 problems" in run("scale", file, "--child", "doctor")
    assert "bytes" in run("scale", file, "--child", "backup")
    assert "12 papers" in run("scale", file, "--child", "restore")


def test_what_a_question_costs_is_put_beside_the_plain_way(run, tmp_path):
    told = run("at_size", papers(tmp_path / "some.jsonl"))
    assert [line.split("  ")[0] for line in told.splitlines()[1:]] == [
        "keywords",
        "filter, first use",
        "a copied sentence",
        "ask after a change",
    ]


def test_what_is_killed_runs(run, tmp_path):
    assert run("kills", papers(tmp_path / "some.jsonl"), "--what", "add", "--child", tmp_path / "library") == ""
    assert len((tmp_path / "library.log").read_text().splitlines()) == 25  # a line for each text embedded


def test_starting_is_timed(run, home, monkeypatch):
    exec(startup.BUILD.partition("_, texts")[0], {})  # its names are there; the whole library is built elsewhere
    monkeypatch.setattr(startup, "BUILD", "print('[2.0, 1.0, 3]')")
    assert startup.run(sys.executable, "-c", "pass", home=".").memory > 1
    monkeypatch.setattr(startup, "run", lambda *command, home: startup.Cost(2.0, 1.0, 100.0))
    found = run("startup", "--rounds", 1)
    assert "embedding its 3 texts alone" in found
    assert "1.00x processor, 1.00x wall of the embedder" in found


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_what_is_missing_is_said_in_a_line(run, tmp_path, name, capsys):
    with pytest.raises(SystemExit) as ended:
        run(name, "--datasets", tmp_path / "nowhere")
    said = f"{ended.value}{capsys.readouterr().err}"
    assert str(tmp_path / "nowhere") in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["scale", "at_size", "kills", "readers"])
def test_a_file_that_is_missing_is_said_in_a_line(run, tmp_path, name, capsys):
    with pytest.raises(SystemExit) as ended:
        run(name, tmp_path / "nowhere")
    assert ended.value.code == 2
    assert "no such f" in capsys.readouterr().err
