"""Learn the weights of `rag.answering.support`, show what each signal is worth, and choose a threshold.

    python evals/bench/support.py --datasets FOLDER      # holds support/ and reading/; about fifteen minutes

Trained on claims with evidence from SciFact (Wadden et al., 2020), HealthVer (Sarrouti et al., 2021) and
AttributionBench (Li et al., 2024), and on small edits of claims about abstracts that the reader was not trained on;
every set weighs the same, HealthVer half: its 1,917 rows are 230 claims. All sentences of the evidence are the quotes. Two ways of holding out: 5-fold cross-validation,
where rows that share a claim or an evidence are in one fold, and, more honest, a whole set at a time.
The intervals are of the cluster bootstrap over the same groups. A missing number gives 0, as in the
product. Baseline: the share of the claim's words that stand in the evidence. The curves go to
evals/support.svg; the weights printed at the end go into `rag/answering/support.py`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from rag.answering.bearing import HELD
from rag.answering.reading import Reads
from rag.answering.support import Quote, Read, Signals, compare, judged, kept, nearest, signals
from rag.library.embed import open_embedder
from rag.library.reader import Reader
from rag.library.weights import WEIGHTS
from rag.numbers import missing_numbers
from rag.text import readable, sentences, stem, terms

SETS = {
    "scifact": "support/scifact_train.jsonl",
    "healthver": "support/healthver_dev.jsonl",
    "attributionbench": "support/attributionbench_dev.jsonl",
    "edited": "reading/dev.jsonl",
}
SHARES = {"scifact": 1.0, "healthver": 0.5, "attributionbench": 1.0, "edited": 1.0}
PICTURE = Path(__file__).parents[1] / "support.svg"
RIDGE = 10.0
FOLDS = 5
RESAMPLES = 300
POINTS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)  # thresholds looked at
LIKEST = "attributionbench"  # what sentences of models are like
TWICE = 1.95  # to two digits, 2.0
READ = tuple(range(len(Signals._fields)))
ALL = READ[:-1]  # where nothing is read
BY_WORDS = tuple(i for i, name in enumerate(Signals._fields) if name in ("covered", "opposed", "agreed"))


class Row(NamedTuple):
    """A claim, the sentences of its evidence, and whether they support it."""

    set: str
    claim: str
    evidence: str
    quotes: tuple[str, ...]
    supported: bool


class Data(NamedTuple):
    """Everything counted once, a row a claim."""

    rows: list[Row]
    x: np.ndarray  # signals with vectors, and what the reader says
    by_words: np.ndarray  # ... and without
    overlap: np.ndarray
    vetoed: np.ndarray  # a number is missing
    y: np.ndarray
    sets: np.ndarray
    groups: np.ndarray  # rows that share a claim or an evidence


def read(folder: Path) -> list[Row]:
    """The rows of all sets."""
    rows = []
    for name, file in SETS.items():
        for line in (folder / file).read_text("utf-8").splitlines():
            row = json.loads(line)
            if "items" in row:
                rows += edited(name, row)
                continue
            text = row["evidence"]
            parts = row.get("evidence_sentences") or [text[start:end] for start, end in sentences(text)]
            rows.append(Row(name, row["claim"], text, tuple(map(readable, parts)), bool(row["binary"])))
    return rows


def edited(name: str, row: dict[str, Any]) -> list[Row]:
    """The claims about an abstract, true ones and such as were made false by a small edit."""
    parts = tuple(readable(row["abstract"][start:end]) for start, end in row["sentences"])
    claims = [(item["text"], item["kind"]) for item in row["items"] if "claim" in item["kind"]]
    return [Row(name, text, row["abstract"], parts, kind == "true_claim") for text, kind in claims]


def measured(rows: list[Row], encode: Callable[[list[str]], Any], read: Read) -> Data:
    """The signals of all rows; words are as rare as in the evidence of their set."""
    encode([text for row in rows for text in (row.claim, *row.quotes)])
    evidence = {name: {row.evidence: row.quotes for row in rows if row.set == name} for name in SETS}
    counts = {name: Counter(t for q in of.values() for t in set(terms(" ".join(q)))) for name, of in evidence.items()}

    def seen(row: Row, with_vectors: bool) -> Signals:
        compared = compare(
            row.claim,
            [Quote(text) for text in row.quotes],
            encode=encode if with_vectors else None,
            frequency=lambda word: counts[row.set][stem(word)],
            papers=len(evidence[row.set]),
        )
        found = signals(compared)
        return found._replace(read=read(row.claim, "", nearest(compared))) if with_vectors else found

    return Data(
        rows,
        np.array([seen(row, True) for row in rows]),
        np.array([seen(row, False) for row in rows]),
        np.array([overlap(row) for row in rows]),
        np.array([bool(missing_numbers(row.claim, row.quotes)) for row in rows]),
        np.array([row.supported for row in rows], float),
        np.array([row.set for row in rows]),
        np.array(grouped(rows)),
    )


def overlap(row: Row) -> float:
    """Share of the claim's words that stand in the evidence."""
    wanted = set(terms(row.claim))
    return len(wanted & set(terms(row.evidence))) / len(wanted) if wanted else 0.0


def grouped(rows: Sequence[Row]) -> list[str]:
    """A name for each row, the same for rows that a chain of shared claims and evidences connects."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    for row in rows:
        parent[root(f"claim {row.claim}")] = root(f"evidence {row.evidence}")
    return [root(f"claim {row.claim}") for row in rows]


def folds(data: Data) -> np.ndarray:
    """A fold a row: whole groups, dealt largest first to the fold that has least of their set."""
    held = {name: [0] * FOLDS for name in SETS}
    of: dict[str, int] = {}
    sets = dict(zip(data.groups, data.sets, strict=True))
    sizes = sorted(Counter(data.groups).items())
    order = np.random.default_rng(0).permutation(len(sizes))
    for group, size in sorted((sizes[i] for i in order), key=lambda item: -item[1]):
        filled = held[sets[group]]
        of[group] = int(np.argmin(filled))
        filled[of[group]] += size
    return np.array([of[group] for group in data.groups])


def fit(x: np.ndarray, y: np.ndarray, sets: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights on the raw signals and the offset: ridge logistic regression, each set with its share."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = (x - mean) / spread
    size = Counter(sets)
    share = np.array([SHARES[name] * len(y) / len(size) / size[name] for name in sets])

    def loss(b: np.ndarray) -> tuple[float, np.ndarray]:
        t = z @ b[1:] + b[0]
        off = share * (1 / (1 + np.exp(-t)) - y)
        value = float((share * (np.logaddexp(0, t) - y * t)).sum() + RIDGE * b[1:] @ b[1:] / 2)
        return value, np.r_[off.sum(), z.T @ off + RIDGE * b[1:]]

    b = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = b[1:] / spread
    return weights, float(b[0] - weights @ mean)


def held_out(data: Data, parts: np.ndarray, use: Sequence[int] = ALL, *, by_words: bool = False) -> np.ndarray:
    """The probability of each row by weights learned without its part; 0 where a number is missing."""
    x = (data.by_words if by_words else data.x)[:, list(use)]
    found = np.zeros(len(x))
    for part in np.unique(parts):
        test = parts == part
        weights, bias = fit(x[~test], data.y[~test], data.sets[~test])
        found[test] = 1 / (1 + np.exp(-x[test] @ weights - bias))
    return np.where(data.vetoed, 0.0, found)


def auc(score: np.ndarray, y: np.ndarray) -> float:
    """Probability that a supported claim scores above an unsupported one, ties half."""
    ranks, positive = rankdata(score), y.sum()
    return float((ranks[y > 0].sum() - positive * (positive + 1) / 2) / (positive * (len(y) - positive)))


def interval(score: np.ndarray, y: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """95 % of the AUC, whole groups resampled."""
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng = np.random.default_rng(0)
    drawn = (
        np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))]) for _ in range(RESAMPLES)
    )
    values = [auc(score[rows], y[rows]) for rows in drawn]
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def row_of(name: str, score: np.ndarray, data: Data, *, intervals: bool = True) -> str:
    """A line of the table: the AUC in each set."""
    cells = []
    for chosen in (data.sets == name for name in SETS):
        low, high = interval(score[chosen], data.y[chosen], data.groups[chosen]) if intervals else (0, 0)
        cells.append(f"{auc(score[chosen], data.y[chosen]):.3f}" + (f" ({low:.2f}-{high:.2f})" if intervals else ""))
    return f"{name:<34}" + "  ".join(f"{cell:<18}" for cell in cells)


def passing(score: np.ndarray, y: np.ndarray, sets: np.ndarray, threshold: float) -> tuple[float, float]:
    """Shares of the supported and of the unsupported claims that pass; every set weighs the same."""
    return (
        float(np.mean([np.mean(score[(sets == name) & (y > 0)] >= threshold) for name in np.unique(sets)])),
        float(np.mean([np.mean(score[(sets == name) & (y == 0)] >= threshold) for name in np.unique(sets)])),
    )


def calibration(score: np.ndarray, data: Data) -> None:
    """What share of the claims of each probability is supported, and the expected calibration error."""
    share = np.array([1 / np.sum(data.sets == name) for name in data.sets])
    share /= share.sum()
    bins, error = np.minimum((score * 10).astype(int), 9), 0.0
    print("\nprobability   share of claims   supported")
    for at in range(10):
        chosen = bins == at
        if chosen.any():
            weight = share[chosen].sum()
            right = share[chosen] @ data.y[chosen] / weight
            error += weight * abs(right - share[chosen] @ score[chosen] / weight)
            print(f"{at / 10:.1f}-{(at + 1) / 10:.1f}       {weight:>6.1%}            {right:.2f}")
    print(f"expected calibration error {error:.3f}, number veto included")


def speed(rows: Sequence[Row], encode: Callable[[list[str]], Any]) -> None:
    """CPU time of a claim against six quotes whose vectors are known."""
    chosen = [row for row in rows if len(row.quotes) >= 6][::10][:100]
    if not chosen:
        print("no claim has six quotes: no time is taken")
        return
    ready = [
        [Quote(text, vector) for text, vector in zip(row.quotes[:6], encode(list(row.quotes[:6])), strict=True)]
        for row in chosen
    ]
    judged(chosen[0].claim, ready[0], encode=encode)
    for name, encoder in (("with vectors", encode), ("by words alone", None)):
        began = time.process_time()
        for row, quotes in zip(chosen, ready, strict=True):
            judged(row.claim, quotes, encode=encoder)
        print(f"{name}: {(time.process_time() - began) / len(chosen) * 1000:.0f} ms CPU a claim against six quotes")


# --- the picture --------------------------------------------------------------------------------

_SIDE, _LEFT, _TOP, _GAP = 300, 60, 50, 90
_COLOURS = dict(zip(SETS, ("#0b6e99", "#c2571a", "#3b7d3a", "#7d3b7a"), strict=True))
_INK, _PALE, _WRONG = "#222", "#ddd", "#a3195b"


def picture(score: np.ndarray, data: Data, threshold: float) -> str:
    """Two plots: ROC of each set, and what passes as the threshold rises."""
    steps = [t / 100 for t in range(101)]
    pairs = [passing(score, data.y, data.sets, t) for t in steps]
    kept, wrong = pairs[round(threshold * 100)]
    left, right = _LEFT, _LEFT + _SIDE + _GAP
    parts = [
        *_frame(left, "ROC, cross-validated", "unsupported claims that pass", "supported claims that pass"),
        _line(left, [(0, 0), (1, 1)], _PALE),
        *_frame(
            right, "What passes at a threshold, all sets", "threshold on the probability", "share of claims that pass"
        ),
        _line(right, [(t, share) for t, (share, _) in zip(steps, pairs, strict=True)], _INK),
        _line(right, [(t, share) for t, (_, share) in zip(steps, pairs, strict=True)], _WRONG),
        _line(right, [(threshold, 0), (threshold, 1)], _INK, dashed=True),
        _text(right + _SIDE - 8, _TOP + 20, f"at {threshold:.2f}:", anchor="end"),
        _text(right + _SIDE - 8, _TOP + 38, f"supported {kept:.0%}", anchor="end"),
        _text(right + _SIDE - 8, _TOP + 56, f"unsupported {wrong:.0%}", _WRONG, "end"),
    ]
    for at, (name, colour) in enumerate(_COLOURS.items()):
        chosen = data.sets == name
        cuts = [2.0, *sorted(set(score[chosen]), reverse=True)]
        curve = [
            passing(score[chosen], data.y[chosen], data.sets[chosen], cut)[::-1]
            for cut in cuts[:: max(1, len(cuts) // 150)]
        ]
        parts.append(_line(left, [*curve, (1.0, 1.0)], colour))
        label = f"{name} {auc(score[chosen], data.y[chosen]):.2f}"
        parts.append(_text(left + _SIDE - 8, _TOP + _SIDE - 48 + 18 * at, label, colour, "end"))
    width, height = right + _SIDE + 30, _TOP + _SIDE + 60
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="13">\n<rect width="{width}" height="{height}" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _frame(left: float, title: str, across: str, up: str) -> list[str]:
    middle = _TOP + _SIDE / 2
    parts = [
        f'<rect x="{left}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="{_INK}"/>',
        f'<text x="{left}" y="{_TOP - 16}" font-weight="bold" fill="{_INK}">{title}</text>',
        _text(left + _SIDE / 2, _TOP + _SIDE + 42, across, anchor="middle"),
        f'<text transform="translate({left - 40} {middle}) rotate(-90)" text-anchor="middle" fill="{_INK}">{up}</text>',
    ]
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts += [
            _text(left + tick * _SIDE, _TOP + _SIDE + 18, f"{tick:g}", anchor="middle"),
            _text(left - 8, _TOP + _SIDE * (1 - tick) + 4, f"{tick:g}", anchor="end"),
        ]
    return parts


def _line(left: float, points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False) -> str:
    drawn = " ".join(f"{left + x * _SIDE:.1f},{_TOP + (1 - y) * _SIDE:.1f}" for x, y in points)
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'


def _text(x: float, y: float, text: str, colour: str = _INK, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{text}</text>'


# --- the door -----------------------------------------------------------------------------------


def report(data: Data) -> np.ndarray:
    """Print the tables; the cross-validated probabilities."""
    parts = folds(data)
    print(f"{'AUC (95 % interval)':<34}" + "  ".join(f"{name:<18}" for name in SETS))
    print(row_of("word overlap alone", data.overlap, data))
    score = held_out(data, parts, READ)
    print(row_of("cross-validated", score, data))
    print(row_of("leave one set out", held_out(data, data.sets, READ), data))
    print(row_of("the reader alone", np.where(data.vetoed, -99.0, data.x[:, -1]), data))
    print(row_of("without it, cross-validated", held_out(data, parts), data))
    print(row_of("without it, one set out", held_out(data, data.sets), data))
    print(row_of("by words alone, cross-validated", held_out(data, parts, BY_WORDS, by_words=True), data))
    print(row_of("by words alone, one set out", held_out(data, data.sets, BY_WORDS, by_words=True), data))
    print("\nleft out (cross-validated, then leave one set out)")
    for out, name in enumerate(Signals._fields):
        use = [i for i in READ if i != out]
        print(row_of(f"  {name}", held_out(data, parts, use), data, intervals=False))
        print(row_of("", held_out(data, data.sets, use), data, intervals=False))
    no_veto = data._replace(vetoed=np.zeros(len(data.y), bool))
    print(row_of("  number veto", held_out(no_veto, parts, READ), data, intervals=False))
    print(row_of("", held_out(no_veto, data.sets, READ), data, intervals=False))
    return score


def operating_points(score: np.ndarray, data: Data) -> float:
    """Print what passes at some thresholds, together with the product's other conditions; the one chosen.

    Half of the words is what `rag.answering.verify` wants besides; it looks for them in the quotes, here in all evidence.
    """
    held = np.where(data.overlap >= HELD, score, 0.0)
    print("\ntrue / false claims that pass, if half of their words and all of their numbers are there")
    print(f"{'threshold':<20}" + "  ".join(f"{least:<11.2f}" for least in (0.0, *POINTS)))
    chosen = POINTS[-1]
    for name in SETS:
        own = data.sets == name
        rates = [passing(held[own], data.y[own], data.sets[own], max(least, 1e-9)) for least in (0.0, *POINTS)]
        print(f"{name:<20}" + "  ".join(f"{right:.2f} / {wrong:.2f}" for right, wrong in rates))
        if name == LIKEST:
            chosen = next(
                least for least, (right, wrong) in zip(POINTS, rates[1:], strict=True) if right >= TWICE * wrong
            )
    print(
        f"chosen: {chosen:.2f}, the lowest at which a true claim of {LIKEST} passes {TWICE:g} times as often as a false one"
    )
    return chosen


def weights(data: Data) -> None:
    """Print what goes into `rag/answering/support.py`."""
    for label, bias_label, x, use in (
        ("WEIGHTS_READ", "BIAS_READ", data.x, READ),
        ("WEIGHTS", "BIAS", data.x, ALL),
        ("WEIGHTS_BY_WORDS", "BIAS_BY_WORDS", data.by_words, BY_WORDS),
    ):
        found, bias = fit(x[:, list(use)], data.y, data.sets)
        full = dict.fromkeys(Signals._fields, 0.0) | {Signals._fields[i]: w for i, w in zip(use, found, strict=True)}
        print(f"{label} = Signals({', '.join(f'{name}={w:.3f}' for name, w in full.items())})")
        print(f"{bias_label} = {bias:.3f}")


def main() -> None:
    """Fit, print the tables, draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--reader", type=Path, default=WEIGHTS, help="a folder with reader.onnx and tokenizer.json")
    args = parser.parse_args()
    missing = [file for file in SETS.values() if not (args.datasets / file).is_file()]
    if missing:
        raise SystemExit(f"{args.datasets / missing[0]} is missing: this needs the support sets and the edited claims")
    rows, encode = read(args.datasets), kept(open_embedder().encode)
    data = measured(rows, encode, Reads(Reader(args.reader), 1).supporting)
    score = report(data)
    calibration(score, data)
    chosen = operating_points(score, data)
    PICTURE.write_text(picture(score, data, chosen), "utf-8")
    print(f"the curves are in {PICTURE}\n")
    fresh = open_embedder()
    speed(rows, fresh.encode)
    print()
    weights(data)


if __name__ == "__main__":
    main()
