"""Intervals and tests, each with its source; all seeded, all deterministic.

Questions of one group (paraphrases, one paper) are not independent: they are resampled together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 10_000
SEED = 20261121


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval and how many values it is of; None where there is nothing to say."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


def estimate(values: Sequence[float], groups: Sequence[str], *, binary: bool = False) -> Estimate:
    """Mean with Wilson's interval (binary) or the cluster bootstrap's."""
    if not values:
        return Estimate(None, None, None, 0)
    mean = math.fsum(values) / len(values)
    low, high = wilson(sum(values), len(values)) if binary else bootstrap(values, groups)
    return Estimate(mean, low, high, len(values))


def wilson(successes: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson, 1927); covers well where the normal one does not."""
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(values: Sequence[float], groups: Sequence[str], level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the mean, whole groups resampled (cluster bootstrap, Cameron et al., 2008)."""
    means = _resampled(values, groups)
    tail = (1 - level) / 2
    return float(np.quantile(means, tail)), float(np.quantile(means, 1 - tail))


def upper_bound(deltas: Sequence[float], groups: Sequence[str], alpha: float) -> float:
    """One-sided upper bound of the mean difference: below 0 means that it fell."""
    if not any(deltas):
        return 0.0
    return float(np.quantile(_resampled(deltas, groups), 1 - alpha))


def _resampled(values: Sequence[float], groups: Sequence[str]) -> np.ndarray:
    return _means(tuple(values), tuple(groups))


@lru_cache(maxsize=4)  # an interval and its bounds are asked for one after the other
def _means(values: tuple[float, ...], groups: tuple[str, ...]) -> np.ndarray:
    """The mean of each resample."""
    at = {name: i for i, name in enumerate(sorted(set(groups)))}
    sums = np.zeros((len(at), 2))  # of the values, and how many
    for value, group in zip(values, groups, strict=True):
        sums[at[group]] += value, 1
    total = _draws(len(at)).astype(float) @ sums
    return total[:, 0] / total[:, 1]


@lru_cache(maxsize=64)  # a comparison has a number of groups for each metric and kind
def _draws(groups: int) -> np.ndarray:
    """How often each group is drawn, per resample; seeded, so the same for every metric of as many groups."""
    return np.random.default_rng(SEED).multinomial(groups, [1 / groups] * groups, RESAMPLES).astype(np.int16)


def sign_test(worse: int, better: int) -> float:
    """One-sided p of at least `worse` of the changed pairs being worse by chance (exact McNemar)."""
    from scipy.stats import binomtest

    total = worse + better
    return float(binomtest(worse, total, 0.5, alternative="greater").pvalue) if total else 1.0


def detectable(deltas: Sequence[float], groups: Sequence[str], alpha: float, power: float = 0.8) -> float | None:
    """The smallest fall of the mean that would be found with that power, from the spread seen."""
    if len(set(groups)) < 2 or not any(deltas):
        return None
    from scipy.stats import norm

    spread = float(np.std(_resampled(deltas, groups)))
    return float((norm.ppf(1 - alpha) + norm.ppf(power)) * spread)


def noticeable(n: int, least: int, power: float = 0.8) -> float | None:
    """The smallest share of n independent questions that, breaking, breaks `least` of them with that power.

    Exact (binomial); None where n is smaller than `least`, so that nothing could be noticed.
    """
    if n < least:
        return None
    from scipy.stats import beta

    return float(beta.ppf(power, least, n - least + 1))


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Probability that a positive scores above a negative, ties half (Mann-Whitney)."""
    if not positive or not negative:
        return None
    p, n = np.asarray(positive), np.asarray(negative)
    above = (p[:, None] > n[None, :]).sum() + 0.5 * (p[:, None] == n[None, :]).sum()
    return float(above / (len(p) * len(n)))


def risk_coverage(confidence: Sequence[float], right: Sequence[float]) -> list[tuple[float, float]]:
    """(coverage, risk) as the threshold falls: of the questions answered so far, how many wrongly."""
    order = sorted(range(len(confidence)), key=lambda i: -confidence[i])
    wrong, curve = 0.0, []
    for answered, i in enumerate(order, 1):
        wrong += 1 - right[i]
        curve.append((answered / len(order), wrong / answered))
    return curve


def holm(p_values: Mapping[str, float], alpha: float) -> set[str]:
    """The names whose hypotheses fall at a family-wise error of alpha (Holm, 1979)."""
    rejected: set[str] = set()
    for at, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        if p > alpha / (len(p_values) - at):
            break
        rejected.add(name)
    return rejected
