"""Matchers: what states a fact, and what only looks as if it did."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.match import fires, fold


def phrase(*any: str) -> dict:
    return {"type": "phrase", "any": list(any)}


def number(value: float, *unit: str, **fields: float) -> dict:
    return {"type": "number", "value": value} | ({"unit": list(unit)} if unit else {}) | fields


STATED = [
    (phrase("state space model"), "A State  Space\nMODEL is meant."),
    (phrase("SSM", "state space model"), "It is an ssm."),
    (phrase("state-space"), "a state–space view"),  # an en dash
    (phrase("path-x"), "It solves Path‑X."),  # a dash that does not break
    (phrase("o'neill"), "as O’Neill said"),
    (phrase("91%"), r"reaches 91\% of it"),
    (phrase("q&a"), r"a Q\&A set"),
    (phrase("strong"), r"a \textbf{strong} baseline"),
    (phrase("length n"), r"of length $n$ only"),
    (phrase("ﬁne"), "a fine thing"),
    ({"type": "regex", "any": [r"60 ?(x|times)"]}, "60 TIMES faster"),
    ({"type": "regex", "any": ["never", r"\bno\b"]}, "There is No proof."),
    (number(60, "times", "x"), "60times faster"),
    (number(60, "times", "x"), "60x"),
    (number(60, "times", "x"), "60×, or 60 ×"),
    (number(60, "times", "x"), r"60$\times$ or 60 times"),
    (number(60, "times"), "sixty times faster"),
    (number(60, "times"), "60-times"),
    (number(16000), "16k tokens"),
    (number(16, "k"), "16k tokens"),
    (number(7e9), "a 7B model"),
    (number(1.5e6), "1.5 million rows"),
    (number(11000), "11,000 hands"),
    (number(0.5), "by .5 points"),
    (number(61.4, "%", "percent"), "61.4 percent"),
    (number(61.4, "%"), r"61.4\%"),
    (number(60, tolerance=1), "59.2 or so"),
    (number(3), "in three ways"),
    (number(2), "twice"),
    ({"type": "all", "of": [phrase("exact"), number(3)]}, "exact, in 3 ways"),
    ({"type": "any", "of": [phrase("exact"), number(3)]}, "in 3 ways"),
]

NOT_STATED = [
    (phrase("no"), "a novel one"),
    (phrase("ssm"), "SSMs abound"),
    (phrase("state space model"), "a model of the state space"),
    (phrase("91%"), "191% more"),
    (phrase(), "anything"),
    (number(60, "times"), "60 percent"),
    (number(60, "times"), "it took 60 epochs, three times"),
    (number(61), "61.4"),
    (number(4), "61.4"),
    (number(5), "v2.5"),
    (number(60, tolerance=1), "61.5"),
    (number(6), "sixty"),
    (number(10), "ten" + "der"),
    ({"type": "all", "of": [phrase("exact"), number(3)]}, "exact, in 4 ways"),
    ({"type": "any", "of": [phrase("exact"), number(3)]}, "inexact, in 4 ways"),
]


@pytest.mark.parametrize(("match", "text"), STATED)
def test_it_is_stated(match, text):
    assert fires(match, text)


@pytest.mark.parametrize(("match", "text"), NOT_STATED)
def test_it_is_not_stated(match, text):
    assert not fires(match, text)


def test_a_number_with_a_scale_counts_with_and_without_it():
    assert fires(number(16000), "16k")
    assert fires(number(16, "k"), "16k")
    assert not fires(number(16, "tokens"), "16k tokens")


@pytest.mark.parametrize("match", [{"type": "semantic"}, {"type": "all", "of": [{"type": "semantic"}]}])
def test_an_unknown_type_is_an_error(match):
    with pytest.raises(ValueError, match="semantic"):
        fires(match, "x")


WORDS = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=4)


@given(
    WORDS,
    st.sampled_from([" ", "  ", "\n", "\t"]),
    st.sampled_from(["", "It is ", "“"]),
    st.sampled_from(["", ".", "”"]),
)
def test_a_phrase_is_found_whatever_case_and_white_space(words, space, before, after):
    assert fires(phrase(" ".join(words)), before + space.join(words).upper() + after)


@given(st.text(max_size=60))
def test_folding_twice_changes_nothing_for_plain_text(text):
    plain = text.replace("\\", "").replace("$", "").replace("{", "").replace("}", "")
    assert fold(fold(plain)) == fold(plain)


@given(st.integers(0, 10**6), st.sampled_from(["{}", "{:,}", "about {}, at most", "({})"]))
def test_a_whole_number_is_found_as_it_is_written(value, form):
    assert fires(number(value), form.format(value))
    assert not fires(number(value + 1), form.format(value))
