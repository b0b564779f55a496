"""Does a quote support a claim: numbers strictly, meaning as orders, never as today's exact scores."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.answering.support import Quote, directions, judged, missing_names, names_of, stated
from rag.library.embed import open_embedder

EMBEDDER = open_embedder()
QUOTE = "S4 is the first model to solve the Path-X task, and it generates text 60 times faster than a Transformer."
TEXT = st.text(alphabet="abcdefgNO 0123456789%?[]$\\{}é中\n.-", max_size=60)


def chance(claim, *quotes, encode=EMBEDDER.encode):
    return judged(claim, [Quote(quote) for quote in quotes], encode=encode).probability


# --- answer words -------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["No, ", "No: ", "No – ", "Yes, ", "No. ", "Nein, ", "Correct: "])
def test_an_answer_word_in_front_denies_nothing(word):
    claim, quote = "the model has more than 2,400 questions on DNA.", "The model has more than 2,400 questions on DNA."
    assert chance(word + claim, quote) == chance(claim, quote)
    assert stated(word + claim) == claim


@pytest.mark.parametrize("claim", ["No model has questions.", "Non-linear models fail.", "No.", "Nothing, it fails."])
def test_what_is_part_of_the_claim_is_no_answer_word(claim):
    assert stated(claim) == claim


# --- names --------------------------------------------------------------------------------------


def test_names_are_found_and_spelled_out():
    assert names_of("The S4 layer solves Path-X with HiPPO and Adam.") == ("S4", "Path-X", "HiPPO", "Adam")
    assert missing_names("SSMs help.", ["State space models help."]) == ()
    assert missing_names("WMT 2014 helps.", ["wmt14 helps."]) == ()
    assert missing_names("Mamba and S4 solve BERT and Path-X.", [QUOTE]) == ("BERT",)
    assert judged("S5 solves the Path-X task.", [(QUOTE, None)]).missing_names == ("S5",)


# --- direction ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("Mortality has risen since then.", "In-hospital mortality declined each year."),
        ("Patients show decreased levels of orexin.", "Patients have elevated levels of orexin."),
        ("Birth weight is positively associated with cancer.", "Birth weight is negatively associated with cancer."),
        ("Dropout improves accuracy.", "Dropout does not improve accuracy."),
        ("Pruning reduces the error.", "Pruning increases the error."),
    ],
)
def test_a_claim_turned_round_is_found(claim, quote):
    opposed, agreed = directions(claim, quote)
    assert opposed > agreed
    assert directions(quote, quote)[0] == 0
    found = judged(claim, [(quote, None)], encode=EMBEDDER.encode)
    assert found.opposed
    assert "contrary" in found.reason
    assert found.probability < chance(quote, quote)
    assert not judged(quote, [(quote, None)]).opposed


def test_two_turns_are_none():
    assert directions("The drug does not reduce the risk.", "The drug cannot lower the risk.")[0] == 0
    assert directions("A deficiency increases the level.", "The level was reduced by more of it.")[0] == 0


# --- the whole ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encode", [EMBEDDER.encode, None], ids=["vectors", "words"])
def test_support_ranks_as_a_person_would(encode):
    said = chance("S4 is the first model that solves the Path-X task.", QUOTE, encode=encode)
    loose = chance("S4 solves tasks of image classification with attention.", QUOTE, encode=encode)
    other = chance("Vitamin D protects patients against infection.", QUOTE, encode=encode)
    assert said > 0.5
    assert said > loose > other
    assert other < 0.2


def test_meaning_helps_where_words_differ():
    near = chance("Physicians prescribe the medication.", "Doctors give patients this drug.")
    far = chance("Physicians prescribe the medication.", "The telescope orbits the distant planet.")
    assert near > far + 0.1


def test_a_second_quote_can_complete_the_first():
    claim = "Pruning saves memory and distillation saves time."
    quotes = ["Pruning of weights saves memory.", "Distillation into a small model saves time."]
    assert chance(claim, *quotes) > max(chance(claim, quote) for quote in quotes)


def test_vectors_that_are_known_are_not_made_again():
    asked: list[str] = []

    def encode(texts):
        asked.extend(texts)
        return EMBEDDER.encode(texts)

    claim = "S4 was the earliest to solve Path-X."
    own, quote = EMBEDDER.encode([claim, QUOTE])
    known = judged(claim, [Quote(QUOTE, quote)], vector=own, encode=encode)
    assert QUOTE not in asked
    assert claim not in asked
    assert "earliest" in asked
    assert known.probability == pytest.approx(chance(claim, QUOTE), abs=1e-6)


def test_rare_words_weigh_more_where_their_frequency_is_known():
    counts = {"zeugma": 1, "helps": 80}
    known = {"frequency": lambda word: counts[word], "papers": 100}
    claim, without, with_it = "The zeugma helps.", [("The model helps.", None)], [("The zeugma hurts.", None)]
    assert judged(claim, without, **known).probability < judged(claim, without).probability
    assert judged(claim, with_it, **known).probability > judged(claim, with_it).probability


def test_nothing_to_compare():
    for claim, quotes in (("It is so.", []), ("", [(QUOTE, None)]), ("…", [(QUOTE, None)])):
        found = judged(claim, quotes, encode=EMBEDDER.encode)
        assert found.probability == 0
        assert found.reason == "there is nothing to compare"


def test_the_reason_is_one_short_line():
    assert judged("S4 solves Path-X.", [(QUOTE, None)]).reason == "the quotes hold 100% of what it says"
    found = judged("S4 solves Path-X on CIFAR.", [(QUOTE, None)])
    assert found.reason.endswith("but not CIFAR")


@settings(max_examples=60)
@given(TEXT, st.lists(TEXT, min_size=1, max_size=3))
def test_whatever_is_compared_there_is_a_probability(claim, quotes):
    vectors = np.eye(4)

    def encode(texts):
        return [vectors[len(text) % 4] for text in texts]

    for found in (judged(claim, [(quote, None) for quote in quotes], encode=e) for e in (encode, None)):
        assert 0 <= found.probability <= 1
        assert found.reason
        assert "\n" not in found.reason


def test_the_bench_says_in_one_line_what_is_missing(tmp_path, monkeypatch):
    from evals.bench import support

    monkeypatch.setattr(sys, "argv", ["support.py", "--datasets", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        support.main()
    assert (
        ended.value.code
        == f"{tmp_path}/support/scifact_train.jsonl is missing: this needs the support sets and the edited claims"
    )
