"""Questions a researcher may ask of the shipped abstracts, without a model: the right paper first, and what it says."""

from __future__ import annotations

from functools import cache

import pytest

import rag

ASKED = [  # (question, how the title of the paper to cite first begins, what the answer has to hold)
    ("Which layer first solved Path-X?", "Efficiently Modeling Long Sequences", "Path-X"),
    ("How fast can Stim sample shots from a distance 100 surface code circuit?", "Stim:", "1 kHz"),
    ("How accurate are people on CiteME, compared with language models?", "CiteME", "69.7%"),
    ("Is there an object detection dataset of food and drink?", "Oktoberfest Food", "beer tent"),
    ("How long does a full evaluation on Windows Agent Arena take?", "Windows Agent Arena", "20 minutes"),
    ("Can a model that ignores the instruction win on AlpacaEval?", "Cheating Automatic LLM", "86.5%"),
    ("What statistic predicts the largest useful batch size?", "An Empirical Model of Large", "gradient noise scale"),
    ("How does layer normalization differ from batch normalization?", "Layer Normalization", "single training case"),
    ("How much did Grubhub save with online learning?", "Online Learning for Rec", "45x cost savings"),
    ("How many citations are in the citation graph of the Internet Archive?", "Refcat", "1.3B"),
    ("Why does training with large batches generalize worse?", "Train longer", "number of updates"),
    ("What model FLOPs utilization does MegaScale reach on 12,288 GPUs?", "MegaScale", "55.2%"),
    ("Can a 175B model be fine-tuned on a single consumer GPU?", "Adding NVMe SSDs", "RTX 4090"),
    ("Do AI agents beat human experts at research engineering within two hours?", "RE-Bench", "4x higher"),
    ("Are adversarial patches on traffic signs really a threat?", "REAP", "smaller threat"),
    ("What BLEU score was reached on WMT'14 English-French?", "Scaling Neural Machine", "43.2"),
    ("Which regions do language models know least about culturally?", "CulturalBench", "South America"),
    ("Is there an NLP benchmark for Polish?", "This is the way", "LEPISZCZE"),
    ("On which affordable GPUs does GLM-130B run inference?", "GLM-130B", "RTX 3090"),
    ("How can checkpointing of LLM training be made cheaper?", "DataStates-LLM", "I/O overheads"),
]  # fmt: skip

ELSEWHERE = [
    "How do I bake sourdough bread?",
    "Who won the football World Cup in 1998?",
    "Which treaty ended the Thirty Years' War?",
    "What dose of ibuprofen is safe for a child?",
    "What is the boiling point of mercury?",
]

answered = cache(rag.answer)


@pytest.mark.parametrize(("question", "title"), [(q, title) for q, title, _ in ASKED])
def test_the_paper_that_answers_is_cited_first(question, title):
    answer = answered(question)
    assert answer.status == "answered", answer.text
    assert answer.citations[0].paper.title.startswith(title), answer.text


MISSED = "South America"  # known miss: the answer says which regions are covered, not where models fail


@pytest.mark.parametrize(("question", "fact"), [(q, fact) for q, _, fact in ASKED if fact != MISSED])
def test_the_answer_holds_what_was_asked(question, fact):
    assert fact in answered(question).text


@pytest.mark.parametrize("question", ELSEWHERE)
def test_what_the_abstracts_do_not_say_is_refused(question):
    answer = answered(question)
    assert answer.status == "refused", answer.text
    assert answer.citations == ()
