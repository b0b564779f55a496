"""What does search cost beyond what it cannot do without? Ratios of one run, on this machine, now.

    python evals/bench/search_speed.py --datasets FOLDER [--set scifact-train] [--queries 100]

The floor of a hybrid search is to embed the query, multiply its vector with every chunk's (one exact
matrix product) and send the words to the full-text index once. Medians of CPU seconds of this
process, all threads: search over the floor, and what an answer without a model adds to a search. The
three take turns, each on queries of its own, since what one has read from the disk is free to the
next; a few queries before the clock starts pay for opening files. The library is that of
`retrieval.py`.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from evals import plain
from evals.bench.retrieval import arguments, assistant, collection
from rag.answering.assistant import Assistant
from rag.library.database import FILE
from rag.text import STOPWORDS, words

FOUND = 10  # papers a search is asked for
ROWS = 50  # the floor takes from the full-text index, as many as the product's pool
WARM = 5
SEED = 20261121

Work = Callable[[str], object]


class Floor:
    """The three things that a hybrid search consists of, and nothing around them."""

    def __init__(self, product: Assistant) -> None:
        self._simple = plain.Plain(product.library)
        self._index = sqlite3.connect(product.library.path / FILE)
        self.parts: dict[str, list[float]] = {}  # CPU seconds of each query so far

    def __call__(self, query: str) -> object:
        vector = self._timed("embed", lambda: self._simple.vector(query))
        nearest = self._timed("multiply", lambda: np.argpartition(self._simple.matrix @ vector, -ROWS)[-ROWS:])
        return nearest, self._timed("match", lambda: self._match(query))

    def _match(self, query: str) -> list[tuple[int]]:
        """The best rows that share a word with the query, by BM25."""
        wanted = " OR ".join(f'"{word}"' for word in dict.fromkeys(words(query)) if word not in STOPWORDS)
        select = "SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT ?"
        return self._index.execute(select, (wanted, ROWS)).fetchall() if wanted else []

    def _timed(self, part: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        made = work()
        self.parts.setdefault(part, []).append(time.process_time() - began)
        return made


def measure(jobs: Mapping[str, Work], queries: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each job over `rounds` queries of its own; in every round the jobs stand in another order."""
    chance = random.Random(SEED)
    shuffled = chance.sample(list(queries), len(queries))
    rounds = min(rounds, len(shuffled) // len(jobs) - WARM)
    if rounds < 1:
        raise SystemExit(f"{len(queries)} queries are too few for {len(jobs)} jobs")
    own = {name: shuffled[at :: len(jobs)] for at, name in enumerate(jobs)}
    seen: dict[str, list[float]] = {name: [] for name in jobs}
    for at in range(WARM + rounds):
        for name in chance.sample(list(jobs), len(jobs)):
            began = time.process_time()
            jobs[name](own[name][at])
            seen[name].append(time.process_time() - began)
    return {name: seconds[WARM:] for name, seconds in seen.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=int, default=100, metavar="N", help="each job is timed on (default 100)")
    chosen = parser.parse_args(argv)
    asked = collection(chosen.datasets, chosen.set)
    product = assistant(asked)
    floor = Floor(product)
    jobs: dict[str, Work] = {"floor": floor, "search": lambda q: product.search(q, FOUND), "answer": product.answer}
    seen = measure(jobs, list(asked.queries.values()), chosen.queries)
    ms = {name: 1000 * statistics.median(seconds) for name, seconds in seen.items()}
    parts = ", ".join(f"{name} {1000 * statistics.median(seconds[WARM:]):.1f}" for name, seconds in floor.parts.items())
    print(f"{chosen.set}: {len(asked.papers)} papers; median CPU ms of {len(seen['search'])} queries each")
    print(f"floor    {ms['floor']:.1f} ms ({parts})")
    print(f"search   {ms['search'] / ms['floor']:.2f}x the floor ({ms['search']:.1f} ms)")
    print(f"answer   {ms['answer'] / ms['search']:.2f}x a search ({ms['answer'] - ms['search']:.1f} ms more)")


if __name__ == "__main__":
    main()
