"""Intervals and tests against published values, other packages, and their own promise of coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, mannwhitneyu

from evals.statistics import (
    auroc,
    bootstrap,
    detectable,
    estimate,
    holm,
    noticeable,
    risk_coverage,
    sign_test,
    upper_bound,
    wilson,
)

NEWCOMBE = [  # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


def singles(values):
    return [str(at) for at in range(len(values))]


# --- Wilson -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("successes", "n", "low", "high"), NEWCOMBE)
def test_wilson_as_published(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_is_symmetric(case):
    successes, n = case
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n + 1e-12 <= high + 2e-12 <= 1 + 2e-12
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("n", "p"), [(30, 0.95), (30, 0.5), (80, 0.9), (150, 0.8)])
def test_wilson_covers_where_the_normal_interval_does_not(n, p):
    covered = sum(binom.pmf(k, n, p) for k in range(n + 1) if wilson(k, n)[0] <= p <= wilson(k, n)[1])
    assert 0.92 <= covered <= 0.98


# --- bootstrap ----------------------------------------------------------------------------------


def test_the_bootstrap_of_a_mean_is_near_the_normal_interval():
    values = np.random.default_rng(1).normal(2.0, 1.0, 200).tolist()
    low, high = bootstrap(values, singles(values))
    half = 1.96 * np.std(values) / math.sqrt(200)
    assert (low, high) == pytest.approx((np.mean(values) - half, np.mean(values) + half), abs=0.03)


def test_the_bootstrap_covers_about_as_often_as_it_says():
    chance = np.random.default_rng(2)
    samples = [chance.exponential(1.0, 80).tolist() for _ in range(150)]
    covered = sum(low <= 1.0 <= high for low, high in (bootstrap(s, singles(s)) for s in samples))
    assert 0.86 <= covered / 150 <= 0.99


def test_the_upper_bound_is_passed_about_as_often_as_it_says():
    chance = np.random.default_rng(3)
    samples = [chance.normal(0.0, 1.0, 60).tolist() for _ in range(150)]
    below = sum(upper_bound(s, singles(s), 0.1) < 0 for s in samples)
    assert binom.ppf(0.001, 150, 0.1) <= below <= binom.ppf(0.999, 150, 0.1)


def test_questions_of_one_group_count_as_one():
    values = [0.0, 1.0, 1.0, 0.0, 1.0] * 12
    alone = bootstrap(values, singles(values))
    doubled = [v for v in values for _ in range(4)]
    together = bootstrap(doubled, [str(at // 4) for at in range(len(doubled))])
    assert together == pytest.approx(alone)
    apart = bootstrap(doubled, singles(doubled))
    assert apart[1] - apart[0] < 0.6 * (alone[1] - alone[0])


def test_the_same_values_give_the_same_bounds():
    values = np.random.default_rng(4).random(50).tolist()
    assert bootstrap(values, singles(values)) == bootstrap(list(values), singles(values))


def test_no_change_has_a_bound_of_zero_and_one_group_no_spread():
    assert upper_bound([0.0] * 20, singles(range(20)), 0.01) == 0
    assert bootstrap([0.25, 0.75], ["a", "a"]) == (0.5, 0.5)


def test_a_mean_with_its_interval():
    binary = estimate([1, 0, 1, 1], list("abcd"), binary=True)
    assert (binary.mean, binary.n) == (0.75, 4)
    assert (binary.low, binary.high) == wilson(3, 4)
    graded = estimate([0.5, 1.0, 0.0], list("abc"))
    assert graded.low < graded.mean == 0.5 < graded.high
    nothing = estimate([], [])
    assert (nothing.mean, nothing.low, nothing.high, nothing.n) == (None, None, None, 0)


def test_what_could_have_been_found():
    deltas = np.random.default_rng(5).normal(0.0, 0.2, 100).tolist()
    error = np.std(deltas) / 10
    assert detectable(deltas, singles(deltas), 0.03) == pytest.approx((1.8808 + 0.8416) * error, rel=0.03)
    assert detectable([0.0] * 10, singles(range(10)), 0.03) is None
    assert detectable([0.1, -0.1], ["a", "a"], 0.03) is None


# --- tests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("worse", "better", "p"), [(0, 0, 1), (5, 0, 1 / 32), (0, 5, 1), (3, 1, 5 / 16), (4, 4, 163 / 256)]
)
def test_the_sign_test_by_hand(worse, better, p):
    assert sign_test(worse, better) == pytest.approx(p)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_sign_test_is_a_tail_of_the_beta_distribution(worse, better):
    expected = beta.cdf(0.5, worse, better + 1) if worse else 1.0
    assert sign_test(worse, better) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("p", "rejected"),
    [
        ({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, {"a", "d"}),  # .005 <= .05/4, .01 <= .05/3, .03 > .05/2
        ({"a": 0.02, "b": 0.02}, {"a", "b"}),
        ({"a": 0.03, "b": 0.001}, {"a", "b"}),
        ({"a": 0.03, "b": 0.03}, set()),  # Bonferroni's step fails first: none falls
        ({"a": 0.0126, "b": 0.04, "c": 0.04, "d": 0.04}, set()),
        ({}, set()),
    ],
)
def test_holm_by_hand(p, rejected):
    assert holm(p, 0.05) == rejected


@given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=2), st.floats(0, 1), max_size=8))
def test_holm_rejects_what_bonferroni_does_and_nothing_above_alpha(p):
    rejected = holm(p, 0.05)
    assert {name for name, value in p.items() if value <= 0.05 / len(p)} <= rejected
    assert all(p[name] <= 0.05 for name in rejected)


SCORES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=12)


@given(SCORES, SCORES)
def test_auroc_is_that_of_mann_and_whitney(positive, negative):
    u = mannwhitneyu(positive, negative).statistic
    assert auroc(positive, negative) == pytest.approx(u / (len(positive) * len(negative)))


def test_auroc_by_hand():
    assert auroc([3, 2], [1, 2]) == (3 + 0.5) / 4
    assert auroc([], [1]) is auroc([1], []) is None


def test_risk_as_the_threshold_falls():
    curve = risk_coverage([0.2, 0.9, 0.5], [0, 1, 1])
    assert curve == [(1 / 3, 0.0), (2 / 3, 0.0), (1.0, pytest.approx(1 / 3))]


def test_what_so_many_questions_notice():
    assert noticeable(15, 1) == pytest.approx(1 - 0.2 ** (1 / 15))
    share = noticeable(15, 5)
    assert share is not None
    at_least = sum(math.comb(15, k) * share**k * (1 - share) ** (15 - k) for k in range(5, 16))
    assert at_least == pytest.approx(0.8)
    assert noticeable(4, 5) is None
