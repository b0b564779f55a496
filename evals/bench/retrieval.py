"""Does search find the right abstracts in collections that others judged? nDCG@10, with intervals.

    python evals/bench/retrieval.py --datasets FOLDER [--set scifact-train]

FOLDER holds `scifact/` (BEIR's SciFact: 5,183 abstracts; 809 claims to tune on, 300 to report) and
`cranfield/` (1,400 abstracts, 225 questions). The collection becomes a real library through
`rag.library.build`, kept in the user's cache: later runs embed only texts that are new. A row is a search
function (query, how many) -> paper ids, so that the product without one of its signals is one more
entry of `searches`. nDCG@10 as trec_eval computes it (ir-measures); a query that finds nothing counts
as 0. Intervals are percentile bootstraps over queries, differences are paired with plain fusion.
Weights may be tuned on scifact-train; the other two are for looking at once, when all is done.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ir_measures

sys.path.insert(0, str(Path(__file__).parents[2]))

import rag
from evals import plain
from evals.report.terminal import interval, number
from evals.statistics import Estimate, estimate
from rag.answering.assistant import Assistant
from rag.answering.opening import open_assistant
from rag.library.build import fill, store
from rag.library.embed import open_embedder
from rag.library.store import SCHEMA, Library, writer
from rag.places import home
from rag.readers import Reading
from rag.records import Paper
from rag.settings import load

MEASURE = ir_measures.nDCG @ 10
DEPTH = 10
REFERENCE = "plain fusion .5"
SHAPERS = (
    "text.py",
    "library/chunks.py",
    "library/build.py",
    "library/store.py",
)  # a change in these stores the papers anew
SETS = {  # name: its folder and the file of its judgements
    "scifact-train": ("scifact", "qrels_train.tsv"),
    "scifact-test": ("scifact", "qrels_test.tsv"),
    "cranfield": ("cranfield", "qrels.tsv"),
    "autoscholar": ("autoscholar", "qrels.tsv"),
}

Search = Callable[[str, int], Sequence[str]]  # (query, how many) -> paper ids, best first


@dataclass(frozen=True, slots=True)
class Collection:
    """Papers under the ids of their collection, judged queries, and grades: query id -> paper id -> grade."""

    name: str
    papers: tuple[Paper, ...]
    queries: Mapping[str, str]
    grades: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Row:
    """What one search came to: its mean, and the difference to the reference, query by query."""

    name: str
    found: Estimate
    change: Estimate


# --- the collection -----------------------------------------------------------------------------


def collection(datasets: Path, name: str) -> Collection:
    """One of SETS. Raises SystemExit with one line when a file of it is not there."""
    folder, judgements = datasets / SETS[name][0], SETS[name][1]
    if missing := [file for file in ("corpus.jsonl", "queries.jsonl", judgements) if not (folder / file).is_file()]:
        raise SystemExit(f"{folder / missing[0]} is missing: --datasets names the folder that holds {folder.name}/")
    papers = tuple(Paper(row["_id"], row["title"], row["text"]) for row in _rows(folder / "corpus.jsonl"))
    texts = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl")}
    grades: dict[str, dict[str, int]] = {}
    for line in (folder / judgements).read_text("utf-8").splitlines()[1:]:
        query, paper, grade = line.split("\t")
        grades.setdefault(query, {})[paper] = int(grade)
    return Collection(folder.name, papers, {id: texts[id] for id in grades}, grades)


def _rows(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def library(made_of: Collection) -> Path:
    """The folder of its library in the user's cache, built or brought up to date if need be. Raises RagError."""
    embedder = open_embedder()
    digest = hashlib.sha256(f"{embedder.name}\0{SCHEMA}\0{made_of.papers!r}".encode()).hexdigest()[:12]
    folder = home("cache") / f"bench-{made_of.name}-{digest}"
    stamp, shape = folder / "shaped-by", _shape()
    if stamp.is_file() and stamp.read_text("utf-8") == shape:
        return folder
    with writer(folder, wait=True):
        made = Library.create(folder, embedder.name, embedder.dimensions)
        store(made, Reading(made_of.papers, len(made_of.papers), ()), embedder, _progress)
        fill(made)
        made.close()
        stamp.write_text(shape, "utf-8")
    return folder


def _shape() -> str:
    digest = hashlib.sha256()
    for name in SHAPERS:
        digest.update((Path(rag.__file__).parent / name).read_bytes())
    return digest.hexdigest()


def _progress(what: str, done: int, total: int) -> None:
    if total and (sys.stderr.isatty() or done == total):
        print(f"\r{what} {done} of {total} texts", end="\n" if done == total else "", file=sys.stderr, flush=True)


def assistant(made_of: Collection) -> Assistant:
    """The product, asked without a model, on the collection's library."""
    return open_assistant(load(library=str(library(made_of)), model="extractive"))


# --- the figures --------------------------------------------------------------------------------


def searches(product: Assistant) -> dict[str, Search]:
    """The rows, the product last."""
    simple = plain.Plain(product.library)
    return {
        "BM25": lambda query, n: _ids(simple.lexical(query, n)),
        "dense chunks": lambda query, n: _ids(simple.dense(query, n)),
        REFERENCE: lambda query, n: _ids(simple.search(query, n)),
        "product": lambda query, n: [hit.paper.id for hit in product.search(query, n)],
    }


def _ids(ranked: plain.Ranked) -> list[str]:
    return [paper for paper, _ in ranked]


def scores(asked: Collection, search: Search) -> dict[str, float]:
    """nDCG@10 of each judged query, 0..1."""
    run = {id: _ranked(search(text, DEPTH)) for id, text in asked.queries.items()}
    grades = {id: dict(graded) for id, graded in asked.grades.items()}
    found = {metric.query_id: float(metric.value) for metric in ir_measures.iter_calc([MEASURE], grades, run)}
    return {id: found.get(id, 0.0) for id in asked.queries}


def _ranked(papers: Sequence[str]) -> dict[str, float]:
    return {paper: float(DEPTH - at) for at, paper in enumerate(papers)}


def table(asked: Collection, rows: Mapping[str, Search], reference: str = REFERENCE) -> list[Row]:
    """Every row with its interval, and its paired difference to the reference row."""
    found = {name: scores(asked, search) for name, search in rows.items()}
    ids = list(asked.queries)
    return [
        Row(name, estimate([row[id] for id in ids], ids), estimate([row[id] - found[reference][id] for id in ids], ids))
        for name, row in found.items()
    ]


# --- the command --------------------------------------------------------------------------------


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that benchmarks on a collection share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, metavar="FOLDER", help="holds scifact/ and cranfield/")
    parser.add_argument("--set", choices=SETS, default="scifact-train", help="default scifact-train")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    chosen = arguments(__doc__).parse_args(argv)
    asked = collection(chosen.datasets, chosen.set)
    rows = table(asked, searches(assistant(asked)))
    print(f"{chosen.set}: {len(asked.papers)} papers, {len(asked.queries)} queries; nDCG@10 with 95 % intervals\n")
    print(f"{'':<20}{'nDCG@10':>9}{'':>18}{'- ' + REFERENCE:>20}")
    for row in rows:
        change = (
            ""
            if row.name == REFERENCE
            else f"{number(row.change.mean, sign=True):>20}{interval(row.change, sign=True):>20}"
        )
        print(f"{row.name:<20}{number(row.found.mean):>9}{interval(row.found):>18}{change}")


if __name__ == "__main__":
    main()
