"""What is the reader worth beside the signals? Fit how they are blended, and show it by cross-validation.

    python evals/bench/reading.py [--reader FOLDER] [--depth 6]

From the dev split of the gold set and `evals/train.jsonl`, questions that stand alone and that no name decides: which
of the first papers answers, which of its sentences, and does it answer at all. Each blend is a logistic over the
score of today and the reader's logits; the tables are of 5-fold cross-validation over groups of questions, with
intervals of the bootstrap over them. The weights printed at the end go into `rag/answering/reading.py`. The gate split
is not read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from scipy.optimize import minimize

from evals import gold
from rag.answering.assistant import Assistant
from rag.answering.case import Case
from rag.answering.opening import open_assistant
from rag.answering.plain import Plain
from rag.answering.reading import passage_of
from rag.answering.shape import asking
from rag.library.reader import Reader
from rag.library.weights import WEIGHTS
from rag.settings import load

TRAIN = Path(__file__).parents[1] / "train.jsonl"
FOLDS, RESAMPLES = 5, 400
RIDGE = 0.05
ALLOWED = 0.05  # share of answerable questions that may be refused


class Candidate(NamedTuple):
    """A paper for a question: the score of today, how sure it is, the reader's logit, and its sentences."""

    right: bool
    score: float
    sure: float
    answered: float
    sentences: tuple[tuple[float, float, bool], ...]  # score of today, the reader's logit, does it answer


class Asked(NamedTuple):
    """A question with its first papers, best first."""

    id: str
    group: str
    kind: str  # answerable, near-miss, off-topic, other
    parted: bool  # does it ask for several things?
    papers: tuple[Candidate, ...]


def kind_of(question: gold.Question) -> str:
    """What a refusal must do with a question."""
    if question.answerable:
        return "answerable"
    return next((tag for tag in ("near-miss", "off-topic") if tag in question.tags), "other")


def extracted(assistant: Assistant, question: gold.Question) -> Case | None:
    """The case of a question, if it is answered from the best papers, whatever they are called."""
    seen: list[Case] = []

    def noted(self: Plain, case: Case, named: Any) -> Any:
        seen.append(case)
        return real(self, case, named)

    real = Plain._extracted
    with patch.object(Plain, "_extracted", noted):
        assistant.answer(question.question)
    return seen[0] if seen else None


def candidates(case: Case, text: str, question: gold.Question, reader: Reader, depth: int) -> tuple[Candidate, ...]:
    """The first papers of a case, read beside a text."""
    hits = case.ranked.hits[:depth]
    sure = {evidence.paper.id: evidence.score for evidence in case.evidence}
    scored = [case.sentences.scored(case.whole.question, hit.paper) for hit in hits]
    passages = [passage_of(hit.paper, [s.span for s in found]) for hit, found in zip(hits, scored, strict=True)]
    readings = reader.read(text, passages)
    quotes = {(s.paper, s.quote) for fact in question.facts for s in fact.support}
    made = []
    for hit, found, reading in zip(hits, scored, readings, strict=True):
        wanted = [quote for paper, quote in quotes if paper == hit.paper.id]
        answering = [any(_overlaps(hit.paper.abstract, s.span, quote) for quote in wanted) for s in found]
        sentences = zip([s.score for s in found], reading.sentences, answering, strict=True)
        right = question.papers.get(hit.paper.id, 0) == 2
        made.append(Candidate(right, hit.score, sure.get(hit.paper.id, 0.0), reading.answered, tuple(sentences)))
    return tuple(made)


def _overlaps(abstract: str, span: Any, quote: str) -> bool:
    at = abstract.find(quote)
    return at >= 0 and at < span.end and span.start < at + len(quote)


def collected(reader: Reader, depth: int) -> list[Asked]:
    """Every question that stands alone and comes to the best papers."""
    assistant = open_assistant(replace(load(model="extractive"), papers_read=0))
    found = []
    for question in (*gold.load(), *gold.load(TRAIN)):
        if question.split != "dev" or question.history or question.kind in ("list", "mention", "act"):
            continue
        if case := extracted(assistant, question):
            text = assistant._search.respelled(asking(case.query))
            papers = candidates(case, text, question, reader, depth)
            found.append(Asked(question.id, question.group, kind_of(question), bool(case.wanted.parts), papers))
    return found


def kept(file: Path) -> list[Asked]:
    """What was collected, from a file."""
    found = []
    for id, group, kind, parted, papers in json.loads(file.read_text("utf-8")):
        read = (Candidate(*paper[:4], tuple(map(tuple, paper[4]))) for paper in papers)  # type: ignore[call-arg]
        found.append(Asked(id, group, kind, parted, tuple(read)))
    return found


# --- fitting ------------------------------------------------------------------------------------


def logit(p: float) -> float:
    """The log odds of 0..1, kept within 8."""
    p = min(max(p, 0.0003), 0.9997)
    return log(p / (1 - p))


Row = tuple[list[list[float]], list[bool]]  # the features of each candidate, and which are right


def listwise(rows: Sequence[Row], width: int) -> np.ndarray:
    """Weights that put what is right first: a softmax over the candidates of each row (ListNet, Cao et al., 2007)."""
    data = [(np.array(x), np.array(y, float)) for x, y in rows if any(y) and not all(y)]

    def loss(w: np.ndarray) -> float:
        total = RIDGE * float(w @ w) * 10
        for x, y in data:
            z = x @ w
            total += float(y.sum() * (z.max() + np.log(np.exp(z - z.max()).sum())) - y @ z) / y.sum()
        return total

    return np.asarray(minimize(loss, np.zeros(width), method="L-BFGS-B").x)


def logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights and, last, the offset of a logistic; both labels weigh the same."""
    x = np.c_[x, np.ones(len(x))]
    weight = np.where(y == 1, 1.0, y.sum() / max(1, (1 - y).sum()))

    def loss(w: np.ndarray) -> float:
        z = x @ w
        return float((weight * (np.logaddexp(0, z) - y * z)).sum() + RIDGE * (w[:-1] @ w[:-1]))

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), method="L-BFGS-B").x)


def order_rows(asked: Sequence[Asked]) -> list[Row]:
    return [
        ([[c.score, c.answered, max(s[1] for s in c.sentences)] for c in a.papers], [c.right for c in a.papers])
        for a in asked
    ]


def sentence_rows(asked: Sequence[Asked]) -> list[Row]:
    return [
        ([[logit(s), r] for s, r, _ in c.sentences], [y for *_, y in c.sentences])
        for a in asked
        for c in a.papers
        if c.right and any(y for *_, y in c.sentences)
    ]


def first_right(rows: Sequence[Row], w: np.ndarray) -> list[float]:
    """1 for each row whose best candidate is right, else 0; rows without a right one left out."""
    return [float(y[int(np.argmax(np.array(x) @ w))]) for x, y in rows if any(y)]


def folds(asked: Sequence[Asked]) -> list[tuple[list[Asked], list[Asked]]]:
    """Five times (to fit, to judge), whole groups together."""
    groups = sorted({a.group for a in asked})
    of = {group: at % FOLDS for at, group in enumerate(groups)}
    return [([a for a in asked if of[a.group] != n], [a for a in asked if of[a.group] == n]) for n in range(FOLDS)]


def crossed(
    asked: Sequence[Asked], rows: Callable[[Sequence[Asked]], list[Row]], columns: Sequence[int]
) -> list[float]:
    """`first_right` of each fold by the weights of the others, with some of the features."""
    found: list[float] = []
    for fit, judge in folds(asked):
        w = np.zeros(len(rows(fit)[0][0][0]))
        w[list(columns)] = listwise([([[f[c] for c in columns] for f in x], y) for x, y in rows(fit)], len(columns))
        found += first_right(rows(judge), w)
    return found


def interval(values: Sequence[float]) -> str:
    dice = np.random.default_rng(5)
    drawn = [np.mean(dice.choice(values, len(values))) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{np.mean(values):.3f} [{low:.3f}, {high:.3f}]  n {len(values)}"


def refusals(asked: Sequence[Asked], order: np.ndarray) -> None:
    """Refusal by the first paper: what of each kind is refused when `ALLOWED` of the answerable are."""
    feats: dict[str, Callable[[Candidate], list[float]]] = {
        "today": lambda c: [logit(c.sure)],
        "reader": lambda c: [c.answered],
        "both": lambda c: [logit(c.sure), c.answered],
        "both and its best sentence": lambda c: [logit(c.sure), c.answered, max(s[1] for s in c.sentences)],
    }
    for name, of in feats.items():
        values: dict[str, list[float]] = {}
        for fit, judge in folds(asked):
            some = [(of(_best(a, order)), float(a.kind == "answerable")) for a in fit if a.papers]
            w = logistic(np.array([x for x, _ in some]), np.array([y for _, y in some]))
            for a in judge:
                if a.papers:
                    values.setdefault(a.kind, []).append(float(np.array([*of(_best(a, order)), 1.0]) @ w))
        least = float(np.quantile(values["answerable"], ALLOWED))
        told = ", ".join(
            f"{k} {np.mean(np.array(v) < least):.2f} of {len(v)}" for k, v in values.items() if k != "answerable"
        )
        print(f"  {name:30} refused: {told}")
    everyone = [(feats["both"](_best(a, order)), float(a.kind == "answerable")) for a in asked if a.papers]
    w = logistic(np.array([x for x, _ in everyone]), np.array([y for _, y in everyone]))
    z = sorted(float(np.array([*x, 1.0]) @ w) for x, y in everyone if y)
    print(
        "  refusal weights (logit of today, answered, offset)",
        np.round(w, 3),
        "5 % of the answerable lie under",
        round(float(np.quantile(z, ALLOWED)), 3),
    )


def _best(asked: Asked, order: np.ndarray) -> Candidate:
    rows = order_rows([asked])[0][0]
    return asked.papers[int(np.argmax(np.array(rows) @ order))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", type=Path, default=WEIGHTS, help="a folder with reader.onnx and tokenizer.json")
    parser.add_argument("--depth", type=int, default=6, help="papers that are read (default 6)")
    parser.add_argument("--keep", type=Path, help="a file for what was read, so that fitting anew is quick")
    args = parser.parse_args()
    asked = kept(args.keep) if args.keep and args.keep.is_file() else collected(Reader(args.reader), args.depth)
    if args.keep:
        args.keep.write_text(json.dumps(asked), "utf-8")
    here = [a for a in asked if a.kind == "answerable"]
    print(f"{len(asked)} questions, {len(here)} of them answered here")
    print("right paper first (of the questions whose first papers have it)")
    for name, columns in (("today", [0]), ("reader", [1]), ("both", [0, 1]), ("all", [0, 1, 2])):
        print(f"  {name:30} {interval(crossed(here, order_rows, columns))}")
    print("answering sentence first, of the right paper")
    for name, columns in (("today", [0]), ("reader", [1]), ("both", [0, 1])):
        print(f"  {name:30} {interval(crossed(here, sentence_rows, columns))}")
    order = listwise(order_rows(here), 3)
    two = listwise([([f[:2] for f in x], y) for x, y in order_rows(here)], 2)
    print("refusal, by the first paper")
    refusals(asked, np.array([*two, 0.0]))
    rows = sentence_rows(here)
    w = listwise(rows, 2)
    flat = np.array([f for x, _ in rows for f in x]) @ w
    platt = logistic(flat[:, None], np.array([float(v) for _, y in rows for v in y]))
    print("order weights (score, answered, best sentence)", np.round(order, 3), "of two", np.round(two, 3))
    print("sentence weights (logit of today, reader)", np.round(w, 3), "Platt", np.round(platt, 3))


if __name__ == "__main__":
    main()
