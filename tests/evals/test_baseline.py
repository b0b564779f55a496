"""The baseline file: moved only on purpose, whole or not at all, and the same bytes for the same run."""

from __future__ import annotations

import gzip
import json
import os
import re

import pytest
from served import manifest, record

from evals import baseline
from evals.baseline import bless, history, load, path_for
from evals.records import Run
from evals.run import RunError

RUN = Run(manifest(), (record("zz001"), record("zz002", sample=1)))


def test_each_answerer_has_its_file(tmp_path):
    assert path_for("extractive").parent == baseline.FOLDER
    assert path_for("gpt-5-mini", tmp_path).name == "gpt-5-mini.json.gz"
    assert re.fullmatch(r"[A-Za-z0-9._-]+", path_for("org/model:latest ../x", tmp_path).name)


def test_what_is_blessed_is_loaded_without_what_differs_from_run_to_run(tmp_path):
    path = tmp_path / "made" / "b.json.gz"
    bless(RUN, "first", {"correct": 0.5}, path)
    found = load(path)
    assert found.manifest == RUN.manifest
    assert [r.key for r in found.records] == [r.key for r in RUN.records]
    assert found.records[0].answer == {k: v for k, v in RUN.records[0].answer.items() if k not in ("seconds", "cpu")}


def test_the_same_run_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        bless(RUN, "first", {}, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_reasons_stay_in_the_file(tmp_path):
    path = tmp_path / "b.json.gz"
    assert history(path) == []
    for reason in ("first", "second"):
        bless(RUN, reason, {"correct": 0.5}, path)
    assert [(entry["reason"], entry["headline"]) for entry in history(path)] == [
        ("first", {"correct": 0.5}),
        ("second", {"correct": 0.5}),
    ]


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_no_reason_no_baseline(tmp_path, reason):
    with pytest.raises(RunError, match="only with a reason: --reason"):
        bless(RUN, reason, {}, tmp_path / "b.json.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_run_with_errors_is_no_baseline(tmp_path):
    broken = Run(manifest(), (*RUN.records, record("zz003", answer=None, error="ModelError: no")))
    with pytest.raises(RunError, match="the run has 1 errors"):
        bless(broken, "why", {}, tmp_path / "b.json.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_one_says_how_to_make_it(tmp_path):
    with pytest.raises(RunError, match=r"no baseline yet; accept a run with: rag eval bless --reason"):
        load(tmp_path / "b.json.gz")


WHOLE = {"version": baseline.VERSION, "manifest": RUN.manifest.to_dict(), "records": [RUN.records[0].to_dict()]}


PACKED = gzip.compress(json.dumps(WHOLE).encode(), mtime=0)
NOT_ONE = {
    "empty": b"",
    "no gzip": b"no gzip",
    "torn": PACKED[:-20],
    "damaged": PACKED[:40] + b"\xff\xff\xff\xff" + PACKED[44:],
    "no JSON": gzip.compress(b"no JSON"),
    "a list": gzip.compress(b"[]"),
    "nothing in it": gzip.compress(b"{}"),
    "version": gzip.compress(json.dumps(WHOLE | {"version": 99}).encode()),
    "manifest": gzip.compress(json.dumps(WHOLE | {"manifest": {"created": "x"}}).encode()),
    "record": gzip.compress(json.dumps(WHOLE | {"records": [{"id": "x", "other": 1}]}).encode()),
    "records": gzip.compress(json.dumps(WHOLE | {"records": [7]}).encode()),
}


@pytest.mark.parametrize("content", NOT_ONE.values(), ids=NOT_ONE)
def test_what_is_none_is_one_line(tmp_path, content):
    path = tmp_path / "b.json.gz"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"b.json.gz: is no baseline of this version .*; restore it from git") as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert history(path) == []


def test_a_disk_that_is_full_leaves_the_old_one(tmp_path):
    path = tmp_path / "b.json.gz"
    bless(RUN, "first", {}, path)
    before = path.read_bytes()
    (tmp_path / f".b.json.gz.{os.getpid()}.part").mkdir()  # nothing can be written there
    with pytest.raises(RunError, match="the old baseline is as it was"):
        bless(RUN, "second", {}, path)
    assert path.read_bytes() == before


def test_an_edited_baseline_is_none(tmp_path):
    path = tmp_path / "b.json.gz"
    bless(RUN, "first", {}, path)
    data = json.loads(gzip.decompress(path.read_bytes()))
    data["records"] = data["records"][:-1]
    path.write_bytes(gzip.compress(json.dumps(data).encode()))
    with pytest.raises(RunError, match=r"b.json.gz: is not what was blessed, says digests.json"):
        load(path)
    bless(RUN, "again", {}, path)
    assert len(load(path).records) == len(RUN.records)
    (tmp_path / "digests.json").unlink()
    with pytest.raises(RunError, match="is not what was blessed"):
        load(path)
