"""A sentence as it reads by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.alone import alone


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("However, it is fast on all tasks.", "… [PoNet] is fast on all tasks."),
        ("In this paper, we introduce PoNet, a net.", "… we introduce PoNet, a net."),
        ("In this work we present a thing of it.", "… we present a thing of it."),
        ("To address this gap, we propose X for all.", "… we propose X for all."),
        ("Second, S4 is fast and good.", "… S4 is fast and good."),
        ("Finally, its kernel is a fast one.", "… [PoNet's] kernel is a fast one."),
        ("This method achieves 3% more than before.", "[PoNet] achieves 3% more than before."),
        ("We also extend it to sparse attention.", "We … extend it to sparse attention."),
        ("It is shown that this works well.", "It is shown that this works well."),
        ("Thus far, nothing has been done.", "Thus far, nothing has been done."),
        ("We propose PoNet, a net.", "We propose PoNet, a net."),
        ("Thus, so it is.", "Thus, so it is."),
    ],
)
def test_what_ties_an_opening_is_left_out_or_resolved(sentence, shown):
    assert alone(sentence, "PoNet") == shown


def test_it_stays_where_nothing_says_what_it_is():
    assert alone("However, it is fast on all tasks.") == "… it is fast on all tasks."


@given(st.text(max_size=200))
def test_the_rest_of_a_sentence_stays(text):
    shown = alone(text)
    assert shown == text or text.endswith(shown.removeprefix("… ").split("… ")[-1])
