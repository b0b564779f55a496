"""Does `rag cite` find the paper for a claim, refuse where none supports it, and tell where one says otherwise?

    python evals/bench/claims.py                       # evals/claims.jsonl over the shipped abstracts; a minute
    python evals/bench/claims.py --datasets FOLDER     # SciFact's test claims, too (holds scifact/)
    python evals/bench/claims.py --datasets FOLDER --fit    # learn the weights of `rag.answering.attribution`

`evals/claims.jsonl` was written by hand from the abstracts, before any result was seen: claims near to the wording of a
paper, paraphrased far from it, supported by no paper, and wrong: a paper says otherwise (`told` is what the reader should
see of that, where it is a figure). Every other line is for choosing thresholds, the rest for reporting.

recall@k    a right paper is among the first k that are listed, whatever is said of them
supported   a right paper is said to support the claim
refused     no paper is said to support it
told        a right paper is said to differ
Of SciFact (Wadden et al., 2020; its 300 test claims over 5,183 abstracts) a claim is near to no wording in particular; that
no abstract supports one without evidence is what its annotators found in the abstracts it cites, and likely of the rest. The
weights as shipped were fitted on the first half of ours alone; --fit learns them from SciFact's training claims as well.
Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parents[2]))

from evals.bench.retrieval import collection, library
from rag.answering.assistant import Assistant
from rag.answering.attribution import About, fit, quoted
from rag.answering.opening import open_assistant
from rag.answering.relevance import Sentences
from rag.answering.search import CONSIDERED
from rag.answering.support import kept
from rag.attributed import Attribution
from rag.settings import load

CLAIMS = Path(__file__).parents[1] / "claims.jsonl"
LISTED = 5
RIDGE = 0.1
OURS = 4.0  # what a claim of ours weighs in the fit, SciFact's are so many more


class Claim(NamedTuple):
    """A claim, what kind it is, the papers that speak of it, and what should be told of a wrong one."""

    text: str
    kind: str
    papers: frozenset[str]
    told: str = ""


def ours() -> list[Claim]:
    """The claims written by hand, in the order of the file."""
    rows = map(json.loads, CLAIMS.read_text("utf-8").splitlines())
    return [Claim(row["claim"], row["kind"], frozenset(row["papers"]), row.get("told", "")) for row in rows]


def scifact(datasets: Path, split: str) -> list[Claim]:
    """SciFact's claims: supported ones, contradicted ("wrong"), and those without evidence ("none")."""
    asked = collection(datasets, f"scifact-{split}")
    rows = map(json.loads, (datasets / "scifact" / "queries.jsonl").read_text("utf-8").splitlines())
    found = []
    for row in rows:
        if row["_id"] in asked.queries:
            labels = {paper: {one["label"] for one in said} for paper, said in row["metadata"].items()}
            wrong = any("CONTRADICT" in said for said in labels.values())
            kind = "wrong" if wrong else "supported" if labels else "none"
            found.append(Claim(row["text"], kind, frozenset(labels)))
    return found


# --- the table ----------------------------------------------------------------------------------


def measured(assistant: Assistant, claims: Sequence[Claim]) -> list[Attribution]:
    """What is said of each."""
    return list(assistant.cite([claim.text for claim in claims], CONSIDERED))


def listed(found: Attribution, k: int) -> set[str]:
    """The papers that a reader sees first."""
    return {one.paper.id for one in found.bearings[:k]}


def table(claims: Sequence[Claim], found: Sequence[Attribution]) -> Iterator[str]:
    """A line a kind."""
    yield f"{'':<11}{'claims':>7}{'recall@1':>20}{'recall@5':>20}{'supported':>20}{'refused':>20}{'told':>20}"
    for kind in dict.fromkeys(claim.kind for claim in claims):
        pairs = [(claim, one) for claim, one in zip(claims, found, strict=True) if claim.kind == kind]
        cells = [
            share([bool(listed(one, k) & claim.papers) for claim, one in pairs]) if kind != "none" else ""
            for k in (1, LISTED)
        ]
        cells.append(
            share([bool({b.paper.id for b in one.supporting} & claim.papers) for claim, one in pairs])
            if kind != "none"
            else ""
        )
        cells.append(share([not one.supporting for _, one in pairs]))
        cells.append(share([is_told(claim, one) for claim, one in pairs]) if kind == "wrong" else "")
        yield f"{kind:<11}{len(pairs):>7}" + "".join(f"{cell:>20}" for cell in cells)
    falsely = [
        bool(one.differing)
        for claim, one in zip(claims, found, strict=True)
        if claim.kind in ("near", "far", "supported")
    ]
    yield f"of the true claims, those with a paper that is said to differ: {share(falsely)}"


def is_told(claim: Claim, found: Attribution) -> bool:
    """Is a right paper said to differ, with the figure that it gives?"""
    return any(one.paper.id in claim.papers and claim.told in one.reason for one in found.differing)


def share(right: Sequence[bool]) -> str:
    """How many, as a percentage with its interval."""
    n, p, z = len(right), sum(right) / len(right), 1.96
    middle, half = (p + z * z / (2 * n)), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return f"{p:.0%} ({low:.0%}-{high:.0%})"


# --- the fit ------------------------------------------------------------------------------------


def abouts(assistant: Assistant, claims: Sequence[Claim]) -> list[tuple[bool, About, Claim]]:
    """How the papers listed first, and the right ones, fit each claim; whether they are right."""
    search, kept_library, rows = assistant._search, assistant.library, []
    for claim in claims:
        ranked = search.ranked(claim.text, None)
        papers = {hit.paper.id: hit.paper for hit in ranked.hits[:LISTED]} | kept_library.papers(claim.papers)
        sentences = kept_library.sentences(list(papers))
        near, encode = Sentences(sentences, frozenset()), kept(search.embedder.encode)
        for id, paper in papers.items():
            if matched := near.matched(ranked.question, paper):
                about = fit(
                    ranked.question, paper, matched, quoted(ranked.question, matched), sentences[id],
                    encode=encode, frequency=kept_library.words.document_frequency, papers=len(kept_library),
                )  # fmt: skip
                rows.append((id in claim.papers, about, claim))
    return rows


def learned(rows: Sequence[tuple[bool, About, Claim]], weigh: Mapping[str, float]) -> np.ndarray:
    """The weights, the offset last: ridge logistic regression, right and wrong papers weighing the same."""
    x = np.array([[*about, 1.0] for _, about, _ in rows])
    y = np.array([float(right) for right, _, _ in rows])
    share = np.array([weigh[claim.kind] for _, _, claim in rows])
    share = share * np.where(y == 1, (share * (y == 0)).sum() / (share * y).sum(), 1.0)

    def loss(b: np.ndarray) -> tuple[float, Any]:
        t = x @ b
        off = share * (1 / (1 + np.exp(-t)) - y)
        value = float((share * (np.logaddexp(0, t) - y * t)).sum() + RIDGE * (b[:-1] @ b[:-1]) / 2)
        return value, x.T @ off + RIDGE * np.r_[b[:-1], 0.0]

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x)


def report_fit(datasets: Path, shipped: Assistant, asked: Assistant) -> None:
    """Print weights, and what each threshold would do on the claims for choosing."""
    train, own = abouts(asked, scifact(datasets, "train")), abouts(shipped, ours()[::2])
    weigh = dict.fromkeys(("supported", "wrong", "none"), 1.0) | dict.fromkeys(("near", "far"), OURS)
    own = [row for row in own if row[2].kind in ("near", "far") or row[2].kind == "none"]
    found = learned([*train, *own], weigh)
    print(f"WEIGHTS = ({', '.join(f'{value:.2f}' for value in found[:-1])})\nOFFSET = {found[-1]:.2f}\n")
    for name, rows in (("scifact-train", train), ("ours", own)):
        print(f"{name}: of the claims, those whose best paper reaches a score")
        best: dict[Claim, float] = {}
        for _, about, claim in rows:
            score = 1 / (1 + np.exp(-(np.array([*about, 1.0]) @ found)))
            best[claim] = max(best.get(claim, 0.0), float(score))
        for kind in dict.fromkeys(claim.kind for claim in best):
            scores = np.array([score for claim, score in best.items() if claim.kind == kind])
            print(
                f"  {kind:<10}" + "  ".join(f"{t:.2f}: {np.mean(scores >= t):4.0%}" for t in np.arange(0.3, 0.96, 0.05))
            )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, metavar="FOLDER", help="holds scifact/")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="every N-th of SciFact's claims (default: all)"
    )
    parser.add_argument("--fit", action="store_true", help="learn the weights, measure nothing")
    chosen = parser.parse_args(argv)
    shipped = open_assistant(load(model="extractive"))
    other = (
        open_assistant(load(library=str(library(collection(chosen.datasets, "scifact-test"))), model="extractive"))
        if chosen.datasets
        else None
    )
    if chosen.fit and other:
        report_fit(chosen.datasets, shipped, other)
        return
    claims = ours()
    found = measured(shipped, claims)
    for name, part in (("for choosing", slice(0, None, 2)), ("for reporting", slice(1, None, 2)), ("all", slice(None))):
        print(f"shipped abstracts, claims {name}", *table(claims[part], found[part]), "", sep="\n")
    if other:
        asked = scifact(chosen.datasets, "test")[:: chosen.every]
        print("SciFact, test claims", *table(asked, measured(other, asked)), sep="\n")


if __name__ == "__main__":
    main()
