"""What a claim turns round: told where the quotes speak plainly, and never of what is true."""

from __future__ import annotations

import pytest

from rag.answering.bearing import quotes_for
from rag.answering.contrary import contrary
from rag.records import Paper

SCALE = "Larger models require less aggressive filtering, and training on the small set is harder than before."
RATES = "Labeling error rates are 14% in RefA, 24% in RefA+, and 5% in RefAg."
SIZES = "It has 204 tasks, contributed by 442 authors across 132 institutions."
BOTH = "It outperforms models trained on ImageNet on SetA and SetB by 0.9% and 4.1% respectively."
SPEED = "It gives up to 2.3x higher throughput, 2x lower latency on average, and up to 3.7x lower tail latency."


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("Larger models require more aggressive filtering.", SCALE),
        ("Training on the small set is easier than before.", SCALE),
        ("It brings 2x higher latency on average.", SPEED),
        ("Rates are 24% in RefA and 14% in RefA+.", RATES),
        ("It has 442 tasks by 204 authors.", SIZES),
        ("It outperforms models on SetA by 4.1% and on SetB by 0.9%.", BOTH),
        ("It gives 3.7x higher throughput and 2.3x lower tail latency.", SPEED),
        ("The benchmarks are not scalable.", "The benchmarks are scalable."),
        ("The benchmarks are scalable.", "The benchmarks are not scalable."),
        ("The method does not improve accuracy.", "The method improves accuracy."),
        ("Every model fails on it.", "Most models fail on it."),
        ("It wins on all of the tasks.", "It wins on a majority of the tasks."),
        ("Only students answered it.", "Students and teachers answered it."),
        ("Only members can download it.", "Anyone can use and download it."),
        ("Only registered members of it can take part.", "Everybody may contribute."),
        ("A scores 59.0, which is lower than the 18.0 of B.", "A scores 59.0, B 18.0."),
        ("It uses scaling instead of normalization.", "It replaces scaling with normalization."),
        ("It sorts costs without any queue.", "It sorts queues without any cost."),
        ("With 95x fewer samples it keeps 200% of the ranks.", "It keeps 95% of the ranks with 200x fewer samples."),
    ],
)
def test_what_is_turned_round_is_told(claim, quote):
    assert contrary(claim, [quote, "Nothing else is said of it."])


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("Filtering can be less aggressive the larger the model is.", SCALE),
        ("Smaller models require more aggressive filtering.", SCALE),
        ("Latency is 2x lower on average.", SPEED),
        ("It has 3.7x lower tail latency and 2.3x higher throughput.", SPEED),
        ("RefA+ has 24% wrong labels and RefA 14%.", RATES),
        ("14% of RefA and 24% of RefA+ are wrong.", RATES),
        ("442 authors from 132 institutions wrote the 204 tasks.", SIZES),
        ("It is ahead by 0.9% on SetA and by 4.1% on SetB.", BOTH),
        ("Smaller batches can help.", "Reducing the batch size helps."),
        ("None of the methods is successful.", "None of the methods is successful."),
        ("It needs no retraining.", "Existing models adopt it with no retraining."),
        ("It remains memory-bound rather than compute-bound.", "It remains memory-bound, with most compute unused."),
        ("It does not do well.", "It does worse."),
        ("Limiting only a small fraction of requests helps.", "Limiting a very small fraction of requests helps."),
        ("It runs at 79.2%, which is higher than the 72.1% before.", "It runs at 79.2%, before at 72.1%."),
        (
            "It has normalization instead of the scaling operation.",
            "It replaces the scaling operation with normalization.",
        ),
        (
            "Normalization is used in place of scaling.",
            "Scaling is used no more: normalization is used instead of scaling.",
        ),
        ("It instead selects the subset that maximizes the score.", "It selects the subset that maximizes the score."),
        (
            "It ensures that no text outside of the store is written.",
            "It ensures that text outside of the store is not written.",
        ),
        ("Text outside of the store is never written.", "No text outside of the store is written."),
        (
            "The form and the labels bias it.",
            "It is biased by many things, including but not limited to the form and labels.",
        ),
        (
            "With 200x fewer samples it achieves 95% of the ranks.",
            "It keeps all with 25x fewer samples, and achieves 95% of the ranks using only 200x fewer samples.",
        ),
        (
            "On SetB (length 64K) they beat chance, with 63.1% accuracy.",
            "The first to beat chance on SetA (length 16K, 61.4% accuracy) and SetB (length 64K, 63.1% accuracy).",
        ),
        ("It is timed with and without caching of keys.", "Each system is timed with caching of keys."),
        ("It runs with or without a teacher model.", "It runs alone or beside a teacher model."),
        ("", "Nothing."),
    ],
)
def test_what_is_true_is_not_held_for_turned_round(claim, quote):
    assert contrary(claim, [quote, "Nothing else is said of it."]) == ""


STAFFED = "Existing wards are made for patients with a fixed nurse, which means that one nurse sees each patient."
UNSTAFFED = "Patients with two nurses or with no fixed nurse were left out so far."


@pytest.mark.parametrize("claim", ["Existing wards leave out patients who have two nurses or no fixed nurse."])
def test_what_another_sentence_denies_as_well_is_not_held_for_turned_round(claim):
    assert contrary(claim, [STAFFED, UNSTAFFED]) == ""
    assert contrary(claim, [STAFFED, "No fixed price was asked."])  # denies it of something else


def test_a_sentence_that_denies_what_a_claim_denies_is_among_its_quotes():
    paper = Paper("p", "Wards", f"{STAFFED} It has 20 wards. {UNSTAFFED}")
    told = [paper.abstract[at.start : at.end] for _, at in quotes_for("Existing wards leave out patients who have two "
            "nurses or no fixed nurse.", [paper])]  # fmt: skip
    assert UNSTAFFED in told
    assert told == [one for one in (STAFFED, UNSTAFFED) if one in told]
    turned = quotes_for("Existing wards are made for patients with a fixed nurse.", [paper])
    assert [paper.abstract[at.start : at.end] for _, at in turned] == [STAFFED]
