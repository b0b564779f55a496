"""What is each signal worth? Answers and searches without one of them at a time, paired with all of them.

    python evals/bench/ablation.py [--split dev] [--train]                    # answers to the gold set
    python evals/bench/ablation.py --datasets FOLDER [--set scifact-train]    # nDCG@10 of a judged collection

A row takes one thing out of the product by patching it where it is used; nothing else changes. For
answers each row gives the figures that issue from it and, over all answerable questions, the paired
difference in the share of required facts stated (for a list: the F1 of the papers cited) with its
95 % interval, whole groups of questions resampled. `--train` adds the questions the weights were
learned on, which has more power and is kinder. A row that cannot change a search is not searched.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[2]))

from evals import gold
from evals.bench import retrieval
from evals.compare import scored
from evals.report.terminal import interval, number
from evals.run import ask_one, tasks
from evals.statistics import estimate
from rag.answering.asked import Query
from rag.answering.assistant import Assistant
from rag.answering.opening import open_assistant
from rag.answering.retrieve import retrieve
from rag.answering.shape import Shape, shape
from rag.settings import load
from rag.text import Span

TRAIN = Path(__file__).parents[1] / "train.jsonl"
ALL = "everything"


def _whole(question: str, names: Sequence[Span] = (), sure: int = 0) -> Shape:
    return replace(shape(question, names, sure), parts=())


def _no_list(question: str, names: Sequence[Span] = (), sure: int = 0) -> Shape:
    found = shape(question, names, sure)
    return replace(found, kind="point") if found.listing else found


SEARCHING: Mapping[str, Mapping[str, Any]] = {  # what is left out: the names patched, each with what takes its place
    ALL: {},
    "dense search": {"rag.answering.search.retrieve": lambda q, **k: retrieve(q, **k | {"dense": lambda n: []})},
    "lexical search": {"rag.answering.search.retrieve": lambda q, **k: retrieve(q, **k | {"lexical": lambda n: []})},
    "nearest sentence in the ranking": {"rag.answering.rerank.SENTENCE_SHARE": 0.0},
    "words held in the ranking": {"rag.answering.rerank.COVERED_SHARE": 0.0},
    "both of these": {"rag.answering.rerank.SENTENCE_SHARE": 0.0, "rag.answering.rerank.COVERED_SHARE": 0.0},
    "hyphenated words": {
        "rag.library.words.compounds": lambda text: [],
        "rag.answering.relevance.compounds": lambda text: [],
    },
    "the reader": {"rag.answering.reading.Reads.readings": lambda *rest: {}},
    "the reader in the ranking": {"rag.answering.reading.ORDER": 0.0},
    "mended typing": {"rag.answering.followup.respelled": lambda text, spelled: text},
}
ANSWERING: Mapping[str, Mapping[str, Any]] = {
    "dropping orders and background": {"rag.answering.finding.asking": lambda text: text},
    "lists": {"rag.answering.finding.shape": _no_list},
    "parts": {"rag.answering.finding.shape": _whole},
    "names": {"rag.answering.drafting.subjects": lambda *rest: ()},
    "learned relevance (cosine instead)": {
        "rag.answering.relevance.likelihood": lambda signal: max(0.0, signal.cosine)
    },
    "the reader in the choice of sentences": {"rag.answering.reading.SENTENCE": (1.0, 0.0, 0.0)},
    "the reader in refusing": {"rag.answering.reading.SURE": (0.0, 30.0)},
    "follow-ups (searched as typed)": {
        "rag.answering.followup.resolve": lambda text, *rest: Query(text, text, shown=text)
    },
    "a follow-up's own words first": {
        "rag.answering.search.OWN_SHARE": 0.0,
        "rag.answering.relevance.CONTEXT_SHARE": 1.0,
    },
    "refusing": {"rag.answering.rerank.OFFSET": 99.0},
}
FIGURES = (  # heading, kind, figure of `evals.compare.scored`
    ("first", "single", "first cited"),
    ("facts", "single", "facts"),
    ("cited", "multi", "gold recall"),
    ("facts", "multi", "facts"),
    ("found", "list", "gold recall"),
    ("belong", "list", "gold precision"),
    ("facts", "followup", "facts"),
    ("facts", "robustness", "facts"),
    ("refused", "unanswerable", "refused off-topic"),
)
SHORT = {"followup": "follow-up", "robustness": "robust", "unanswerable": "off-topic"}

Scores = Mapping[str, Mapping[str, float | None]]  # question id -> figure -> value


@contextmanager
def without(patches: Mapping[str, Any]) -> Iterator[None]:
    """With each of those names replaced."""
    with ExitStack() as stack:
        for name, stand_in in patches.items():
            stack.enter_context(patch(name, stand_in))
        yield


# --- answers ------------------------------------------------------------------------------------


def answers(product: Assistant, questions: Sequence[gold.Question]) -> Scores:
    """The figures of every question, asked in its first wording."""
    abstracts = {paper.id: paper.abstract for paper in product.library}
    records = [
        ask_one(task, lambda text, history, _: product.answer(text, history))
        for task in tasks(questions)
        if task.variant == 0
    ]
    if errors := [f"{record.id}: {record.error}" for record in records if record.error]:
        raise SystemExit(errors[0])
    return scored(records, {question.id: question for question in questions}, abstracts)


def told(found: Mapping[str, float | None]) -> float | None:
    """How much of what was wanted an answer holds, 0..1; None where nothing was wanted."""
    return found["facts"] if found["facts"] is not None else found["cited f1"]


def answer_table(questions: Sequence[gold.Question]) -> None:
    """Print a row for each thing left out."""
    product = open_assistant(load(model="extractive"))
    kinds = {question.id: (question.kind, question.group) for question in questions}
    print(f"{len(questions)} questions")
    print(" " * 62, *(f"{SHORT.get(kind, kind):>9}" for _, kind, _ in FIGURES))
    print(f"{'without':<36}{'change':>8}{'95 % interval':>18}", *(f"{heading:>9}" for heading, _, _ in FIGURES))
    full: Scores | None = None
    for name, patches in [*SEARCHING.items(), *ANSWERING.items()]:
        with without(patches):
            found = answers(product, questions)
        full = full or found
        print(f"{name:<36}{_change(found, full, kinds)}", *_means(found, kinds), flush=True)


def _change(found: Scores, full: Scores, kinds: Mapping[str, tuple[str, str]]) -> str:
    if found is full:
        return " " * 26
    pairs = [(told(found[id]), told(full[id]), kinds[id][1]) for id in full if kinds[id][0] != "unanswerable"]
    deltas = [(new - old, group) for new, old, group in pairs if new is not None and old is not None]
    change = estimate([delta for delta, _ in deltas], [group for _, group in deltas])
    return f"{number(change.mean, sign=True):>8}{interval(change, sign=True):>18}"


def _means(found: Scores, kinds: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    for _, kind, figure in FIGURES:
        values = [v for id in found if kinds[id][0] == kind and (v := found[id].get(figure)) is not None]
        yield f"{number(sum(values) / len(values)) if values else '-':>9}"


# --- searches -----------------------------------------------------------------------------------


def search_table(datasets: Path, name: str) -> None:
    """Print nDCG@10 of a collection for each thing left out of search."""
    asked = retrieval.collection(datasets, name)
    product = retrieval.assistant(asked)
    rows = {left_out: _search(product, patches) for left_out, patches in SEARCHING.items()}
    print(f"{name}: {len(asked.papers)} papers, {len(asked.queries)} queries; nDCG@10 with 95 % intervals\nwithout")
    for row in retrieval.table(asked, rows, ALL):
        change = (
            "" if row.name == ALL else f"{number(row.change.mean, sign=True):>9}{interval(row.change, sign=True):>18}"
        )
        print(f"{row.name:<36}{number(row.found.mean):>7}{interval(row.found):>18}{change}")


def _search(product: Assistant, patches: Mapping[str, Any]) -> Callable[[str, int], Sequence[str]]:
    def search(query: str, n: int) -> Sequence[str]:
        with without(patches):
            return [hit.paper.id for hit in product.search(query, n)]

    return search


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("dev", "gate"), default="dev", help="of the gold set (default dev)")
    parser.add_argument("--train", action="store_true", help="with the training questions")
    parser.add_argument("--datasets", type=Path, metavar="FOLDER", help="search a judged collection instead")
    parser.add_argument("--set", choices=retrieval.SETS, default="scifact-train", help="default scifact-train")
    chosen = parser.parse_args(argv)
    if chosen.datasets:
        search_table(chosen.datasets, chosen.set)
    else:
        asked = [q for q in gold.load() if q.split == chosen.split]
        answer_table(asked + (list(gold.load(TRAIN)) if chosen.train else []))


if __name__ == "__main__":
    main()
