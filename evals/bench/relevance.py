"""Learn the weights of `rag.answering.relevance` and show what each signal is worth.

    python evals/bench/relevance.py --datasets FOLDER      # holds support/scifact_train.jsonl

Trained on the rationale sentences of SciFact's training claims (Wadden et al., 2020; weight 0.3 a
claim), the questions of `evals/train.jsonl` and the dev split of the gold set (weight 1): which sentence of the right abstract
is the one that answers? The loss is a softmax over the sentences of an abstract. Then slope and
offset are fitted (Platt scaling) so that a score means the same for every question. The table is of
5-fold cross-validation over our own questions: an answering sentence among the first one, two, three;
each row leaves one signal out. The weights printed at the end go into `rag/answering/relevance.py`. The gate
split is not read.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

import rag
from evals import gold
from rag.answering.relevance import Question, Signals, question_of, sentence, signals
from rag.answering.search import OWN_SHARE
from rag.answering.shape import asking
from rag.library.embed import open_embedder
from rag.library.store import Library
from rag.records import Sentence
from rag.text import Span, readable, terms

TRAIN = Path(__file__).parents[1] / "train.jsonl"
SCIFACT_SHARE = 0.3
RIDGE = 10.0


class Listing(NamedTuple):
    """The sentences of one abstract for one question: signals (n, signals) and which of them answer."""

    id: str
    x: np.ndarray
    y: np.ndarray


def own_listings(library: Library) -> list[Listing]:
    """One listing a (question, supporting paper) of the dev split and the training questions."""
    made: list[Listing] = []
    for question in (*gold.load(), *gold.load(TRAIN)):
        if question.split != "dev" or not question.facts:
            continue
        compared = _compared(asking(question.question), " ".join(question.history[-1:]), library)
        for paper in sorted({s.paper for fact in question.facts for s in fact.support}):
            found = library.paper(paper)
            quotes = [s.quote for fact in question.facts for s in fact.support if s.paper == paper]
            made.append(
                _listing(question.id, compared, found.title, found.abstract, library.sentences([paper])[paper], quotes)
            )
    return made


def _compared(own: str, before: str, library: Library) -> Question:
    """As `rag.answering.assistant` compares it: a follow-up's own words, with what was asked before as context."""
    vectors = open_embedder().encode([own, f"{own} {before}"])
    vector = OWN_SHARE * vectors[0] + (1 - OWN_SHARE) * vectors[1] if before else vectors[0]
    unit = vector / np.linalg.norm(vector)
    return question_of(own, unit, library.words.document_frequency, len(library), context=before)


def scifact_listings(file: Path) -> list[Listing]:
    """One listing a claim with a rationale."""
    claims = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    frequency = Counter(term for claim in claims for term in set(terms(claim["evidence"])))
    embedder, made = open_embedder(), []
    for claim in claims:
        parts = claim["evidence_sentences"]
        rationale = [parts[n] for found in claim["gold_sentences"] for n in found if n < len(parts)]
        if not rationale:
            continue
        *vectors, vector = embedder.encode([*map(readable, parts), claim["claim"]])
        compared = question_of(
            claim["claim"], vector, lambda word: frequency[terms(word)[0]] if terms(word) else 0, len(claims)
        )
        abstract, spans = " ".join(parts), list[Span]()
        for part in parts:
            start = spans[-1].end + 1 if spans else 0
            spans.append(Span(start, start + len(part)))
        made.append(
            _listing(
                claim["id"],
                compared,
                claim["title"],
                abstract,
                [sentence(abstract, *found) for found in zip(spans, vectors, strict=True)],
                rationale,
            )
        )
    return made


def _listing(
    id: str,
    compared: Question,
    title: str,
    abstract: str,
    sentences: Sequence[Sentence],
    quotes: Sequence[str],
) -> Listing:
    wanted = [(abstract.index(quote), abstract.index(quote) + len(quote)) for quote in quotes]
    y = [any(start < end_ and begin < end for begin, end_ in wanted) for (start, end), *_ in sentences]
    return Listing(id, np.array(list(signals(compared, title, abstract, sentences))), np.array(y, float))


def fit(sets: Sequence[tuple[Sequence[Listing], float]], use: Sequence[int]) -> np.ndarray:
    """Weights on the raw signals (0 for those not used) that maximise the probability of an answering sentence."""
    rows = np.vstack([listing.x for listings, _ in sets for listing in listings])
    mean, spread = rows.mean(0), rows.std(0) + 1e-6
    data = [
        (((listing.x - mean) / spread)[:, use], listing.y, share)
        for listings, share in sets
        for listing in listings
        if 0 < listing.y.sum() < len(listing.y)
    ]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = RIDGE * weights @ weights / 2, RIDGE * weights
        for x, y, share in data:
            z = x @ weights
            p = np.exp(z - z.max())
            p /= p.sum()
            value -= share * log(p @ y + 1e-12)
            slope -= share * x.T @ (p * y / (p @ y + 1e-12) - p)
        return value, slope

    found: np.ndarray = np.zeros(rows.shape[1])
    found[list(use)] = minimize(loss, np.zeros(len(use)), jac=True, method="L-BFGS-B").x
    return np.asarray(found / spread)


def hits(dev: Sequence[Listing], scifact: Sequence[Listing], use: Sequence[int]) -> list[float]:
    """Cross-validated share of listings with an answering sentence among the first 1, 2, 3."""
    ids = sorted({listing.id for listing in dev})
    np.random.default_rng(0).shuffle(ids)
    ranks = []
    for fold in range(5):
        held = set(ids[fold::5])
        weights = fit([([x for x in dev if x.id not in held], 1.0), (scifact, SCIFACT_SHARE)], use)
        for listing in dev:
            if listing.id in held and listing.y.any():
                order = np.argsort(-listing.x @ weights, kind="stable")
                ranks.append(int(np.flatnonzero(listing.y[order])[0]))
    return [float(np.mean([rank < k for rank in ranks])) for k in (1, 2, 3)]


def platt(listings: Sequence[Listing], weights: np.ndarray) -> tuple[float, float]:
    """(slope, offset) of the logistic that turns a weighted sum into a probability (Platt, 1999)."""
    z = np.concatenate([listing.x @ weights for listing in listings])
    y = np.concatenate([listing.y for listing in listings])

    def loss(p: np.ndarray) -> float:
        t = p[0] * z + p[1]
        return float(np.sum(np.logaddexp(0, t) - y * t))

    slope, offset = minimize(loss, np.array([1.0, -1.0])).x
    return float(slope), float(offset)


def main() -> None:
    """Fit, print the ablation and the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True)
    file = parser.parse_args().datasets / "support" / "scifact_train.jsonl"
    if not file.is_file():
        raise SystemExit(f"{file} is missing: this needs the SciFact support set")
    dev, scifact = own_listings(rag.open_library().store), scifact_listings(file)
    names, everything = Signals._fields, list(range(len(Signals._fields)))
    print(
        f"{len(dev)} listings of own questions, {len(scifact)} of SciFact; an answering sentence among the first 1, 2, 3"
    )
    print("cosine alone      ", *(f"{hit:.3f}" for hit in hits(dev, scifact, [0])))
    print("cosine, coverage  ", *(f"{hit:.3f}" for hit in hits(dev, scifact, [0, 1])))
    print("all signals       ", *(f"{hit:.3f}" for hit in hits(dev, scifact, everything)))
    for left_out in everything:
        row = hits(dev, scifact, [i for i in everything if i != left_out])
        print(f"without {names[left_out]:<10}", *(f"{hit:.3f}" for hit in row))
    weights = fit([(dev, 1.0), (scifact, SCIFACT_SHARE)], everything)
    slope, offset = platt(dev, weights)
    print(
        "WEIGHTS = Signals(",
        *(f"    {name}={w * slope:.3f}," for name, w in zip(names, weights, strict=True)),
        ")",
        sep="\n",
    )
    print(f"BIAS = {offset:.3f}")


if __name__ == "__main__":
    main()
