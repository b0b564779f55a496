"""Does an abstract answer a question, which of its sentences does, is a claim supported? A small model reads both together.

The embedder sees a question and an abstract apart; the reader sees them at once, word beside word (a cross-encoder:
Nogueira and Cho, 2019), with three heads: which sentence, answered or not, supported or not. `evals/training/README.md`
is its card: what it was trained on, and what it is worth. It costs some 40 ms of the CPU an abstract, so that it reads few.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from rag.errors import EmbedError
from rag.library.weights import REPAIR, WEIGHTS, encodable, in_parallel, line_of, load_session, load_tokenizer

LONGEST = 512  # tokens of a text and an abstract that are read
LONGEST_TEXT, LONGEST_TITLE = 96, 64  # ... of the text and of the title
CLS, SEP = 101, 102


class Passage(NamedTuple):
    """What is read beside a text: a title, which may be empty, and sentences, at least one."""

    title: str
    sentences: tuple[str, ...]


class Reading(NamedTuple):
    """What the reader says of a text beside a passage: logits, whose order counts."""

    sentences: tuple[float, ...]  # that each answers; of one that was cut off, the least
    answered: float  # that the passage answers the question; means nothing for a claim
    support: tuple[float, float, float]  # of a claim: supported, contradicted, not said


class Tokens(NamedTuple):
    """A text and a passage as the model takes them."""

    ids: list[int]
    passage: int  # where the passage begins
    spans: list[tuple[int, int]]  # of each sentence; (0, 0) of one that was cut off


class Reader:
    """The reader in the files of this package, int8, on the CPU. Loads when first used; serves several threads."""

    def __init__(self, folder: Path = WEIGHTS) -> None:
        """`folder` holds reader.onnx and tokenizer.json; it is read on first use."""
        self._folder, self._lock = folder, Lock()
        self._tokenizer: Any = None
        self._session: Any = None

    def read(self, text: str, passages: Sequence[Passage]) -> list[Reading]:
        """The text beside each passage, in their order. Raises EmbedError."""
        if not passages:
            return []
        self._open()
        with closing(in_parallel(lambda passage: self._reading(text, passage), passages)) as readings:
            return list(readings)

    def _open(self) -> None:
        with self._lock:
            self._tokenizer = self._tokenizer or load_tokenizer(self._folder / "tokenizer.json")
            self._session = self._session or load_session(self._folder / "reader.onnx")

    def _reading(self, text: str, passage: Passage) -> Reading:
        import numpy as np

        tokens = tokens_of(self._tokenizer, text, passage)
        types = np.zeros(len(tokens.ids), np.int64)
        types[tokens.passage :] = 1
        members = np.zeros((len(tokens.spans), len(tokens.ids)), np.float32)
        for row, (start, end) in enumerate(tokens.spans):
            members[row, start:end] = 1 / max(1, end - start)
        try:
            scores, answered, support = self._session.run(
                ["sentences", "answered", "support"],
                {"input_ids": np.array(tokens.ids, np.int64), "types": types, "members": members},
            )
        except Exception as error:  # the package's errors have no common base
            raise EmbedError(f"the shipped reader failed ({line_of(error)}); {REPAIR}") from error
        return Reading(_whole(scores.tolist(), tokens.spans), float(answered[0]), tuple(support.tolist()))


def tokens_of(tokenizer: Any, text: str, passage: Passage) -> Tokens:
    """[CLS] text [SEP] title sentences [SEP], as token ids."""

    def encoded(part: str) -> list[int]:
        found: list[int] = tokenizer.encode(encodable(part), add_special_tokens=False).ids
        return found

    ids = [CLS, *encoded(text)[:LONGEST_TEXT], SEP]
    begin = len(ids)
    ids += encoded(passage.title)[:LONGEST_TITLE]
    spans = []
    for sentence in passage.sentences:
        own = encoded(sentence)[: max(0, LONGEST - 1 - len(ids))]
        spans.append((len(ids), len(ids) + len(own)) if own else (0, 0))
        ids += own
    return Tokens([*ids, SEP], begin, spans)


def _whole(scores: Sequence[float], spans: Sequence[tuple[int, int]]) -> tuple[float, ...]:
    """The scores, with the least of them for sentences that were not read."""
    least = min((score for score, (start, end) in zip(scores, spans, strict=True) if end > start), default=0.0)
    return tuple(score if end > start else least for score, (start, end) in zip(scores, spans, strict=True))
