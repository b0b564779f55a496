"""Does another embedder's scale change what is answered and what is refused?

    python evals/bench/served.py [--split dev]

The shipped model stands in for others: as it is; brought to scale as a server's vectors are (`rag.library.served`);
tilted, so that all its vectors share a direction and any two texts are near, as with many models; and tilted without
the scale. The order of papers hardly differs, so that what differs is what the thresholds make of the cosines. Gold
questions that have an answer, and those about anything else, are asked without a model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from evals import gold
from rag.answering.assistant import Assistant
from rag.library.build import fill, shipped_papers, store
from rag.library.embed import Embedder, MiniLM
from rag.library.served import Served
from rag.library.store import Library, writer
from rag.readers import Reading
from rag.settings import load


class Standing(MiniLM):
    """The shipped model as a server would give it; `tilt` is how much of one direction each vector gets."""

    base_url = "http://localhost/v1"

    def __init__(self, tilt: float, kept: dict[str, np.ndarray]) -> None:
        super().__init__()
        self._tilt, self._kept = tilt, kept

    def encode(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None, cancelled: Any = None
    ) -> Any:
        """The same vectors, and the direction that they share; each text is embedded once for all."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._kept]
        self._kept |= dict(zip(missing, super().encode(missing), strict=True))
        vectors = (
            np.stack([self._kept[text] for text in texts]) if len(texts) else np.empty((0, self.dimensions), np.float32)
        )
        vectors = vectors + self._tilt * np.eye(1, self.dimensions, dtype=np.float32)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", default="dev", choices=("dev", "gate"))
    split = parser.parse_args().split
    rows = [q for q in gold.load() if q.split == split and not q.history and (q.answerable or "off-topic" in q.tags)]
    kept: dict[str, np.ndarray] = {}
    ways: dict[str, Embedder] = {"as it is": Standing(0, kept), "to scale": Served(Standing(0, kept))}  # type: ignore[arg-type]
    ways |= {"tilted, to scale": Served(Standing(2, kept)), "tilted": Standing(2, kept)}  # type: ignore[arg-type]
    first: list[str] = []
    print(f"{'embedder':18} {'answered of answerable':>24} {'refused of off-topic':>22} {'same status':>12}")
    for name, embedder in ways.items():
        found = _statuses(embedder, [row.question for row in rows])
        first = first or found
        there = [status != "refused" for status, row in zip(found, rows, strict=True) if row.answerable]
        off = [status == "refused" for status, row in zip(found, rows, strict=True) if not row.answerable]
        same = sum(a == b for a, b in zip(found, first, strict=True))
        print(
            f"{name:18} {sum(there):>17} of {len(there):>3} {sum(off):>15} of {len(off):>3} {same:>5} of {len(rows):>3}"
        )
        sys.stdout.flush()


def _statuses(embedder: Embedder, questions: Sequence[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        with writer(Path(folder)), closing(Library.create(folder, embedder.name, embedder.dimensions)) as made:
            store(made, Reading(shipped_papers(), 0, ()), embedder)
            fill(made)
        with closing(Assistant(load(model="extractive"), Library.open(folder), embedder)) as assistant:
            return [assistant.answer(question).status for question in questions]


if __name__ == "__main__":
    main()
