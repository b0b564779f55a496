"""The reader: the shipped files, read for real."""

from __future__ import annotations

import hashlib
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rag.errors import EmbedError
from rag.library.reader import LONGEST, Passage, Reader, tokens_of
from rag.library.weights import WEIGHTS, load_tokenizer

TERNS = Passage(
    "Breeding of terns on a managed island",
    (
        "Terns breed on islands that foxes cannot reach.",
        "In 2019 ninety pairs bred on the island, twice as many as the year before.",
        "Fences did not keep gulls from taking chicks.",
    ),
)
POKER = Passage("Solving poker by self-play", ("We train agents that play poker.", "They win 3.2 chips a hand."))
QUESTION = "How many pairs of terns bred there in 2019?"


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def test_the_sentence_that_answers_is_first_and_its_paper_answers_best(reader: Reader):
    terns, poker = reader.read(QUESTION, [TERNS, POKER])
    assert max(terns.sentences) == terns.sentences[1]
    assert terns.answered > poker.answered + 2


def test_a_question_that_fits_and_is_not_answered_gets_less(reader: Reader):
    (asked,) = reader.read(QUESTION, [TERNS])
    (missing,) = reader.read("How many eggs did a pair of terns lay on the island in 2019?", [TERNS])
    assert missing.answered < asked.answered


def test_a_claim_is_told_from_one_with_another_figure(reader: Reader):
    (true,) = reader.read("Ninety pairs of terns bred on the island in 2019.", [TERNS])
    (false,) = reader.read("Forty pairs of terns bred on the island in 2019.", [TERNS])
    assert true.support[0] - max(true.support[1:]) > false.support[0] - max(false.support[1:])


def test_what_is_said_of_a_passage_depends_on_no_other_and_on_no_thread(reader: Reader):
    alone = [reader.read(QUESTION, [passage])[0] for passage in (TERNS, POKER)]
    assert reader.read(QUESTION, [TERNS, POKER]) == alone
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: reader.read(QUESTION, [TERNS, POKER]), range(16))) == [alone] * 16


def test_nothing_to_read_is_nothing(reader: Reader):
    assert reader.read(QUESTION, []) == []


def test_what_is_too_long_is_cut_and_gets_the_least_score(reader: Reader):
    long = Passage("", ("Terns breed here.", "word " * 600, "Ninety pairs of terns bred there in 2019."))
    tokens = tokens_of(load_tokenizer(WEIGHTS / "tokenizer.json"), "x " * 500, long)
    assert len(tokens.ids) == LONGEST
    assert tokens.spans[2] == (0, 0)
    (read,) = reader.read(QUESTION, [long])
    assert read.sentences[2] == min(read.sentences)


@pytest.mark.parametrize("text", ["", " ", "\ud800", "<b>[1]</b>", "؟؟", "a" * 5000])
def test_any_text_is_read(reader: Reader, text: str):
    (read,) = reader.read(text, [Passage("", (text or ".",))])
    assert len(read.sentences) == 1


@pytest.mark.parametrize("harm", ["missing", "cut", "pointer"])
def test_a_damaged_file_is_one_line(tmp_path: Path, harm: str):
    shutil.copy(WEIGHTS / "tokenizer.json", tmp_path)
    data = (WEIGHTS / "reader.onnx").read_bytes()
    if harm != "missing":
        (tmp_path / "reader.onnx").write_bytes(data[:5000] if harm == "cut" else b"version https://git-lfs.x\n")
    with pytest.raises(EmbedError, match=r"reader\.onnx") as error:
        Reader(tmp_path).read(QUESTION, [TERNS])
    assert "\n" not in str(error.value)


def test_the_shipped_file_is_the_one_of_the_card():
    digest = hashlib.sha256((WEIGHTS / "reader.onnx").read_bytes()).hexdigest()
    card = (Path(__file__).parents[2] / "evals" / "training" / "README.md").read_text("utf-8")
    assert digest in re.findall(r"[0-9a-f]{64}", card)
    assert (WEIGHTS / "reader.onnx").stat().st_size < 40_000_000
