"""Abstracts read by people or models -> the pairs that a reader is trained and measured with.

A pair is a text (a question or a claim) beside an abstract, with what a reader must say of it. The rows are those of
the data's own README: `items` of a kind (question, near_miss, true_claim, false_claim), with sentence numbers from 0.
Questions are also set beside an abstract that words alone would take for the right one, and beside their own without the
sentences that answer: neither answers them, so that the manner of a text tells nothing. Half of the pairs see a part of
the abstract only: it costs less, and a claim is judged so when its quotes are.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from rag.library.reader import Passage
from rag.text import STOPWORDS, readable

SUPPORTED, CONTRADICTED, NOT_SAID = 0, 1, 2
CONTRADICTS = {"number", "direction", "entity", "condition"}  # errors that turn a sentence round; the others add to it
NEAR = 6  # abstracts that words alone find, of which one is taken as a wrong one
BESIDE_WRONG = {"question": 0.35, "near_miss": 0.1, "true_claim": 0.1, "false_claim": 0.04}  # share of the texts
EMPTIED = {
    "question": 0.35,
    "near_miss": 0.0,
    "true_claim": 0.1,
    "false_claim": 0.03,
}  # ... whose sentences are taken out
PARTS, KEPT = 0.5, 0.4  # of the pairs that see a part of the abstract, and of its other sentences in that
UNTITLED = 0.25  # of the claims that see a part: without the title


class Abstract(NamedTuple):
    """A title and the sentences of an abstract, as a reader of text sees them."""

    id: str
    title: str
    sentences: tuple[str, ...]


class Pair(NamedTuple):
    """A text beside an abstract. `label` is 1 or 0 (answered or not) of a question, the kind of support of a claim."""

    text: str
    claim: bool
    abstract: Abstract
    label: int
    sentences: tuple[int, ...]  # that answer, or that a claim is about; none where nothing does
    kind: str
    style: str
    error: str = ""


def passage(pair: Pair) -> Passage:
    """What a pair's text is read beside."""
    return Passage(pair.abstract.title, pair.abstract.sentences)


def rows(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The abstracts of JSON files, packed or not, in their order, each with the items of all files, once each.

    Items whose abstract no file has are left out: `items.jsonl.gz` beside this module holds none.
    """
    lines = [row for path in paths for row in map(json.loads, _text(path).splitlines())]
    found = {row["id"]: {**row, "items": []} for row in lines if "abstract" in row}
    for row in lines:
        if row["id"] in found:
            held = found[row["id"]]["items"]
            held += [item for item in row.get("items", ()) if item not in held]
    return list(found.values())


def _text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text("utf-8")


def abstract_of(row: dict[str, Any]) -> Abstract:
    """The abstract of a row."""
    spans = tuple(readable(row["abstract"][start:end]) for start, end in row["sentences"])
    return Abstract(row["id"], readable(row["title"]), spans)


def own(read: Sequence[dict[str, Any]]) -> Iterator[Pair]:
    """Each text beside its own abstract."""
    for row in read:
        abstract = abstract_of(row)
        for item in row["items"]:
            kind, style, error = item["kind"], item.get("style", ""), item.get("error", "")
            yield Pair(
                item["text"],
                "claim" in kind,
                abstract,
                _label(kind, error),
                tuple(item["sentences"]),
                kind,
                style,
                error,
            )


def _label(kind: str, error: str) -> int:
    if kind == "false_claim":
        return CONTRADICTED if error in CONTRADICTS else NOT_SAID
    return {"question": 1, "near_miss": 0, "true_claim": SUPPORTED}[kind]


class Nearest:
    """Which abstracts words alone find for a text (BM25), in memory."""

    def __init__(self, abstracts: Sequence[Abstract]) -> None:
        self._abstracts = abstracts
        self._db = sqlite3.connect(":memory:")
        self._db.execute("create virtual table t using fts5(body, tokenize='porter')")
        self._db.executemany("insert into t values (?)", ((f"{a.title} {' '.join(a.sentences)}",) for a in abstracts))

    def find(self, text: str, n: int, but: str = "") -> list[Abstract]:
        """The best `n`, without the one of the id `but`."""
        words = [w for w in re.findall(r"\w+", text.lower()) if w not in STOPWORDS]
        query = " OR ".join(f'"{word}"' for word in dict.fromkeys(words))
        if not query:
            return []
        sql = "select rowid from t where t match ? order by rank limit ?"
        with closing(self._db.execute(sql, (query, n + 1))) as found:
            best = [self._abstracts[at - 1] for (at,) in found]
        return [abstract for abstract in best if abstract.id != but][:n]


def beside_wrong(pairs: Sequence[Pair], nearest: Nearest, dice: random.Random) -> Iterator[Pair]:
    """Some of the texts beside an abstract that is like their own and is not."""
    for pair in pairs:
        if dice.random() < BESIDE_WRONG[pair.kind] and (found := nearest.find(pair.text, NEAR, pair.abstract.id)):
            yield _unanswered(pair, dice.choice(found))


def emptied(pairs: Sequence[Pair], dice: random.Random) -> Iterator[Pair]:
    """Some of the texts beside their own abstract without the sentences that they are about."""
    for pair in pairs:
        rest = tuple(s for at, s in enumerate(pair.abstract.sentences) if at not in pair.sentences)
        if dice.random() < EMPTIED[pair.kind] and pair.sentences and rest:
            yield _unanswered(pair, pair.abstract._replace(sentences=rest))


def _unanswered(pair: Pair, abstract: Abstract) -> Pair:
    return pair._replace(abstract=abstract, label=NOT_SAID if pair.claim else 0, sentences=())


def part_of(pair: Pair, dice: random.Random) -> Pair:
    """A pair that sees a part of its abstract, with the sentences that it is about; a claim at times without the title."""
    every = range(len(pair.abstract.sentences))
    keep = [at for at in every if at in pair.sentences or dice.random() < KEPT] or [dice.choice(every)]
    title = "" if pair.claim and dice.random() < UNTITLED else pair.abstract.title
    shown = pair.abstract._replace(title=title, sentences=tuple(pair.abstract.sentences[at] for at in keep))
    return pair._replace(abstract=shown, sentences=tuple(n for n, at in enumerate(keep) if at in pair.sentences))


def training(read: Sequence[dict[str, Any]], seed: int) -> list[Pair]:
    """The pairs of one pass, in the order in which they are seen; the same for the same seed."""
    dice = random.Random(seed)
    pairs = list(own(read))
    nearest = Nearest([abstract_of(row) for row in read])
    pairs += [*beside_wrong(pairs, nearest, dice), *emptied(pairs, dice)]
    pairs = [part_of(pair, dice) if dice.random() < PARTS else pair for pair in pairs if pair.abstract.sentences]
    dice.shuffle(pairs)
    return pairs
