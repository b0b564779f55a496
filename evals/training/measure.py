"""How well a trained reader does on abstracts that it was not trained on, beside two controls.

    python -m evals.training.measure STATE --dev dev.jsonl [--abstracts 150]

The controls tell what the text alone gives away: `text` shows no abstract, `wrong` another one that words find. What
is gained counts above them only. Intervals are of the bootstrap over abstracts.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from evals.training import network, pairs
from evals.training.network import Reader
from evals.training.pairs import Abstract, Pair
from rag.library.reader import tokens_of
from rag.library.weights import WEIGHTS

AMONG = 5  # papers among which the right one is looked for
RESAMPLES = 500


class Seen(NamedTuple):
    """What a reader says of a pair: logits."""

    pair: Pair
    sentences: np.ndarray
    answered: float
    support: np.ndarray


def tokenizer() -> Any:
    """The tokenizer of the shipped embedder; that of every BERT in lower case."""
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    found.no_truncation()
    found.no_padding()
    return found


def seen(reader: Reader, asked: Sequence[Pair], threads: int = 2) -> list[Seen]:
    """What the reader says of each pair."""
    tokens = tokenizer()
    reader.eval()

    def one(pair: Pair) -> Seen:
        with torch.no_grad():
            read = tokens_of(tokens, pair.text, pairs.passage(pair))
            scores, answered, support = reader(*network.tensors(read))
        return Seen(pair, scores.numpy()[: len(read.spans)], float(answered), torch.log_softmax(support, 0).numpy())

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, asked))


def auc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The chance that a positive lies above a negative; nan where there are none."""
    if not len(positive) or not len(negative):
        return float("nan")
    order = np.sort(np.asarray(negative))
    below = np.searchsorted(order, positive, "left") + np.searchsorted(order, positive, "right")
    return float(below.mean() / 2 / len(order))


def interval(values: Sequence[tuple[str, float, bool]], score: Callable[[Any], float]) -> tuple[float, float, float]:
    """A score of (group, value, positive) with its 95 % interval over groups."""
    groups: dict[str, list[tuple[str, float, bool]]] = {}
    for value in values:
        groups.setdefault(value[0], []).append(value)
    dice, names = random.Random(3), list(groups)
    drawn = [score([v for n in dice.choices(names, k=len(names)) for v in groups[n]]) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return score(values), float(low), float(high)


def _auc(values: Sequence[tuple[str, float, bool]]) -> float:
    return auc([v for _, v, p in values if p], [v for _, v, p in values if not p])


def _mean(values: Sequence[tuple[str, float, bool]]) -> float:
    return float(np.mean([v for _, v, _ in values])) if values else float("nan")


def table(reader: Reader, dev: Sequence[dict[str, Any]]) -> str:
    """The figures, one line each."""
    own = list(pairs.own(dev))
    nearest = pairs.Nearest([pairs.abstract_of(row) for row in dev])
    lines, found = [], seen(reader, own)
    styles = {"plain": "plain", "spoken": "spoken", "own_terms": "own terms"}
    for style, name in styles.items():
        first = [
            (s.pair.abstract.id, float(_first(s)), True)
            for s in found
            if s.pair.kind == "question" and s.pair.style == style
        ]
        lines.append(_line(f"answering sentence first, {name}", first, _mean))
    lines += _judged("near miss of the same abstract, AUC", found, _near_miss)
    lines += _judged("claim true or false, AUC", found, _claims)
    lines += _judged(
        "... of them minimal edits (assistant)", [s for s in found if s.pair.style == "assistant"], _claims
    )
    blank = [p._replace(abstract=Abstract(p.abstract.id, "", ())) for p in own]
    bare = seen(reader, blank)
    lines += _judged("text alone: near miss", bare, _near_miss) + _judged("text alone: claim", bare, _claims)
    swapped = [
        pair._replace(abstract=other._replace(id=pair.abstract.id))
        for pair in own
        for other in nearest.find(pair.text, 1, pair.abstract.id)
    ]
    wrong = seen(reader, swapped)
    lines += _judged("wrong abstract: near miss", wrong, _near_miss) + _judged("wrong abstract: claim", wrong, _claims)
    right = {(s.pair.text): s.answered for s in found if s.pair.kind == "question"}
    ranked = [
        (s.pair.abstract.id, float(right[s.pair.text] > s.answered), True) for s in wrong if s.pair.kind == "question"
    ]
    lines.append(_line("right abstract above the best wrong one", ranked, _mean))
    return "\n".join(lines)


def _first(seen_: Seen) -> bool:
    return bool(len(seen_.sentences)) and int(np.argmax(seen_.sentences)) in seen_.pair.sentences


def _near_miss(seen_: Seen) -> tuple[str, float, bool] | None:
    pair = seen_.pair
    return (pair.abstract.id, seen_.answered, pair.kind == "question") if not pair.claim else None


def _claims(seen_: Seen) -> tuple[str, float, bool] | None:
    pair = seen_.pair
    return (pair.abstract.id, float(seen_.support[0]), pair.kind == "true_claim") if pair.claim else None


def _judged(name: str, found: Sequence[Seen], value: Callable[[Seen], tuple[str, float, bool] | None]) -> list[str]:
    values = [one for s in found if (one := value(s)) is not None]
    return [_line(name, values, _auc)]


def _line(name: str, values: Sequence[tuple[str, float, bool]], score: Callable[[Any], float]) -> str:
    middle, low, high = interval(values, score)
    return f"{name:45} {middle:.3f} [{low:.3f}, {high:.3f}]  n {len(values)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--abstracts", type=int, default=0, help="the first so many; 0 is all")
    args = parser.parse_args()
    torch.set_num_threads(1)
    reader = restored(args.state)
    print(table(reader, pairs.rows([args.dev])[: args.abstracts or None]))


def restored(state: Path) -> Reader:
    """The reader of a state."""
    kept = torch.load(state, weights_only=True)["reader"]
    reader = Reader(1 + max(int(name.split(".")[1]) for name in kept if name.startswith("layers.")))
    reader.load_state_dict(kept)
    return reader


if __name__ == "__main__":
    main()
