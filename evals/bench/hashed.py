"""An embedder that costs next to nothing: a text's vector is drawn from its hash.

For measuring and killing what surrounds an embedder: the storage, Chroma and the readers are the real ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_PIECE = re.compile(r"\w{1,6}|[^\w\s]")


class Hashed:
    """Same text, same vector, and near nothing. Each text embedded leaves a line in `log`, if one is given."""

    name = "hashed"
    dimensions = 384
    max_tokens = 256

    def __init__(self, log: Path | None = None) -> None:
        self._log = log

    def count(self, text: str) -> int:
        """Pieces of up to six letters."""
        return len(_PIECE.findall(text))

    def cuts(self, text: str) -> list[int]:
        """Where they begin."""
        return [piece.start() for piece in _PIECE.finditer(text)]

    def encode(
        self,
        texts: Sequence[str],
        *,
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Any:
        """float32 (len(texts), 384), rows of length 1."""
        import numpy as np

        digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        if self._log:
            with self._log.open("a", encoding="ascii") as log:
                log.writelines(f"{digest.hex()}\n" for digest in digests)
        rows = [np.random.default_rng(list(digest)).standard_normal(self.dimensions) for digest in digests]
        matrix = np.array(rows, np.float32).reshape(len(texts), self.dimensions)
        return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
