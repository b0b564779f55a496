"""The pairs that a reader is trained with. The network needs torch, which no test needs: it is tried where it is there."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from evals.training import pairs

ITEMS = [
    {"kind": "question", "text": "how many terns bred?", "sentences": [1], "style": "plain"},
    {"kind": "near_miss", "text": "how many eggs did they lay?", "sentences": []},
    {"kind": "true_claim", "text": "Ninety pairs of terns bred.", "sentences": [1]},
    {"kind": "false_claim", "text": "Eighty pairs of terns bred.", "sentences": [1], "error": "number"},
    {"kind": "false_claim", "text": "Ninety pairs bred thanks to fences.", "sentences": [1], "error": "cause"},
]
NEW = {"kind": "question", "text": "Which birds took chicks?", "sentences": [2], "style": "own_terms"}


def row(number: int) -> dict:
    text = f"Colony {number} lies on an island. Ninety pairs of terns bred there. Gulls took some chicks. Fences were built."
    ends = [at + 1 for at, char in enumerate(text) if char == "."]
    starts = [0, *(end + 1 for end in ends[:-1])]
    spans = [list(span) for span in zip(starts, ends, strict=True)]
    return {
        "id": f"p{number}",
        "title": f"Terns of colony {number}",
        "abstract": text,
        "sentences": spans,
        "items": ITEMS,
    }


@pytest.fixture(scope="module")
def read() -> list[dict]:
    return [row(n) for n in range(40)]


def test_items_of_one_abstract_are_joined_from_files_packed_or_not(tmp_path: Path):
    whole, more = tmp_path / "whole.jsonl", tmp_path / "more.jsonl.gz"
    whole.write_text(json.dumps(row(1)) + "\n", "utf-8")
    lines = [{"id": "p1", "items": [NEW, ITEMS[0]]}, {"id": "unknown", "items": ITEMS}]
    more.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    for files in ([whole, more], [more, whole], [whole, more, whole]):
        (found,) = pairs.rows(files)
        assert sorted(map(str, found["items"])) == sorted(map(str, [*ITEMS, NEW])), "each once, in whatever order"


def test_a_text_beside_its_own_abstract_has_the_label_of_its_kind(read):
    labels = {(pair.kind, pair.error): pair.label for pair in pairs.own(read[:1])}
    assert labels == {
        ("question", ""): 1,
        ("near_miss", ""): 0,
        ("true_claim", ""): pairs.SUPPORTED,
        ("false_claim", "number"): pairs.CONTRADICTED,
        ("false_claim", "cause"): pairs.NOT_SAID,
    }


def test_beside_a_wrong_abstract_nothing_is_answered(read):
    own = list(pairs.own(read))
    nearest = pairs.Nearest([pairs.abstract_of(one) for one in read])
    wrong = list(pairs.beside_wrong(own, nearest, random.Random(1)))
    assert wrong
    assert all(not pair.sentences for pair in wrong)
    assert {pair.label for pair in wrong if pair.claim} == {pairs.NOT_SAID}
    assert {pair.label for pair in wrong if not pair.claim} == {0}


def test_without_the_sentences_that_answer_a_question_is_not_answered(read):
    emptied = list(pairs.emptied(list(pairs.own(read)), random.Random(1)))
    assert emptied
    assert not any("Ninety" in " ".join(pair.abstract.sentences) for pair in emptied)
    assert {pair.label for pair in emptied if not pair.claim} == {0}


def test_a_part_of_an_abstract_keeps_the_sentences_that_a_text_is_about(read):
    dice = random.Random(1)
    for pair in pairs.own(read):
        part = pairs.part_of(pair, dice)
        told = [part.abstract.sentences[at] for at in part.sentences]
        assert told == [pair.abstract.sentences[at] for at in pair.sentences]
        assert part.label == pair.label
        assert part.abstract.sentences


def test_the_same_seed_gives_the_same_pairs_in_the_same_order(read):
    first = pairs.training(read, 3)
    assert first == pairs.training(read, 3) != pairs.training(read, 4)
    kinds = Counter(pair.kind for pair in first)
    assert kinds["question"] > 40, "each once beside its own, and some beside another"


def test_the_committed_items_are_read():
    file = Path(pairs.__file__).parent / "items.jsonl.gz"
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).decode().splitlines()]
    assert all(set(line) == {"id", "items"} for line in lines), "no abstract is in it"
    kinds = {item["kind"] for line in lines for item in line["items"]}
    assert kinds == {"question", "near_miss", "true_claim", "false_claim"}


def test_the_network_learns_and_reads(read):
    torch = pytest.importorskip("torch")
    from evals.training import measure, network, train

    torch.manual_seed(1)
    reader = network.Reader(1)
    optimizer, tokenizer = train.optimizer_of(reader), measure.tokenizer()
    some = [pair for pair in pairs.own(read[:1]) if pair.kind != "near_miss"]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        losses = [train.stepped(reader, optimizer, some, 1.0, tokenizer, pool) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert len(measure.seen(reader, some)[0].sentences) == 4
