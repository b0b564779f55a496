"""The benchmarks on judged collections, on a tiny one: what they compute, and what they say when it is missing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from made import FLASH, POKER, S4

from evals.bench import retrieval, search_speed
from rag.library.database import FILE
from rag.library.embed import MiniLM

QUERIES = {"1": "state space model for long sequences", "2": "exact attention", "3": "poker scenarios", "4": "unjudged"}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection in the form of SciFact's; the last two papers have the same title."""
    folder = tmp_path_factory.mktemp("datasets")
    (folder / "scifact").mkdir()
    papers = [("10", S4.title, S4.abstract), ("11", POKER.title, POKER.abstract), ("12", POKER.title, FLASH.abstract)]
    corpus = [{"_id": id, "title": title, "text": text} for id, title, text in papers]
    queries = [{"_id": id, "text": text} for id, text in QUERIES.items()]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / "scifact" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = "query-id\tcorpus-id\tscore\n1\t10\t1\n2\t12\t1\n3\t11\t1\n"
    (folder / "scifact" / "qrels_train.tsv").write_text(judged)
    return folder


@pytest.fixture(scope="module")
def tiny(datasets: Path) -> retrieval.Collection:
    return retrieval.collection(datasets, "scifact-train")


def test_a_collection_keeps_its_own_ids_and_only_judged_queries(tiny):
    assert [paper.id for paper in tiny.papers] == ["10", "11", "12"]
    assert list(tiny.queries) == ["1", "2", "3"]
    assert tiny.grades["2"] == {"12": 1}


def test_every_row_finds_papers_of_the_collection(tiny):
    product = retrieval.assistant(tiny)
    rows = retrieval.table(tiny, retrieval.searches(product))
    assert [row.name for row in rows] == ["BM25", "dense chunks", "plain fusion .5", "product"]
    assert all(row.found.n == 3 and row.found.mean > 0.8 for row in rows)
    assert next(row for row in rows if row.name == retrieval.REFERENCE).change.mean == 0
    product.close()


def test_scores_are_trec_evals_and_nothing_found_is_zero(tiny):
    answers = {QUERIES["1"]: ["10"], QUERIES["2"]: ["10", "12"], QUERIES["3"]: []}
    found = retrieval.scores(tiny, lambda query, n: answers[query])
    assert found == {"1": 1.0, "2": pytest.approx(0.63093, abs=1e-5), "3": 0.0}


def test_a_row_may_be_any_search_and_is_compared_query_by_query(tiny):
    rows = {"none": lambda query, n: [], "first": lambda query, n: ["10"]}
    none, first = retrieval.table(tiny, rows, reference="none")
    assert (none.found.mean, first.found.mean, first.change.mean, first.change.n) == (0, *[pytest.approx(1 / 3)] * 2, 3)


def test_a_second_run_embeds_nothing(tiny, monkeypatch):
    folder = retrieval.library(tiny)
    monkeypatch.setattr(MiniLM, "encode", lambda *_: pytest.fail("embedded again"))
    assert retrieval.library(tiny) == folder
    monkeypatch.setattr(retrieval, "_shape", lambda: "the code that cuts has changed")
    assert retrieval.library(tiny) == folder
    assert (folder / "shaped-by").read_text() == "the code that cuts has changed"


def test_the_command_prints_its_rows(datasets, capsys):
    retrieval.main(["--datasets", str(datasets)])
    out = capsys.readouterr().out
    assert out.startswith("scifact-train: 3 papers, 3 queries; nDCG@10 with 95 % intervals")
    assert len(out.splitlines()) == 7


@pytest.mark.parametrize("command", [retrieval.main, search_speed.main])
@pytest.mark.parametrize(("chosen", "missing"), [("scifact-test", "qrels_test.tsv"), ("cranfield", "corpus.jsonl")])
def test_what_is_missing_is_said_in_one_line(datasets, command, chosen, missing):
    with pytest.raises(SystemExit) as stopped:
        command(["--datasets", str(datasets), "--set", chosen])
    assert f"{missing} is missing: --datasets names the folder that holds" in str(stopped.value)
    assert "\n" not in str(stopped.value)


def test_each_job_is_timed_on_queries_of_its_own():
    seen: dict[str, list[str]] = {"a": [], "b": []}
    jobs = {name: seen[name].append for name in seen}
    taken = search_speed.measure(jobs, [f"query {n}" for n in range(40)], rounds=4)
    assert {name: len(seconds) for name, seconds in taken.items()} == {"a": 4, "b": 4}
    assert all(len(asked) == search_speed.WARM + 4 for asked in seen.values())
    assert not set(seen["a"]) & set(seen["b"])
    with pytest.raises(SystemExit, match="11 queries are too few for 2 jobs"):
        search_speed.measure(jobs, ["q"] * 11, rounds=4)


def test_the_floor_embeds_multiplies_and_matches(tiny, monkeypatch):
    monkeypatch.setattr(search_speed, "ROWS", 2)
    product = retrieval.assistant(tiny)
    floor = search_speed.Floor(product)
    nearest, matched = floor(QUERIES["3"])
    assert len(nearest) == 2
    with closing(sqlite3.connect(product.library.path / FILE)) as database:
        assert database.execute("SELECT id FROM papers WHERE number = ?", matched[0]).fetchone() == ("11",)
    assert {name: len(seconds) for name, seconds in floor.parts.items()} == {"embed": 1, "multiply": 1, "match": 1}
    product.close()
