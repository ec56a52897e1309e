"""Intervals and sample sizes for the few comparisons that Remend makes, each paired or exact; none is a lone number."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, chi2, nct, norm, t


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its two-sided confidence interval, in the unit of the samples."""

    mean: float
    low: float
    high: float


def paired_interval(differences: ArrayLike, level: float = 0.95) -> Interval:
    """Student's interval of the mean of paired differences.

    Args:
        differences: (N,) after minus before, on the same scenarios; N at least 2.
        level: confidence, two-sided.

    Source: Student 1908; robust here because the pairing removes the scenarios' spread.
    """
    d = np.asarray(differences, dtype=float)
    if d.ndim != 1 or len(d) < 2 or not np.all(np.isfinite(d)):
        raise ValueError("paired_interval needs at least two finite differences")
    mean = float(d.mean())
    half = float(t.ppf(0.5 + level / 2, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d)))
    return Interval(mean=mean, low=mean - half, high=mean + half)


def paired_sample_size(shift: float, spread: float, alpha: float, power: float) -> int:
    """Pairs that a one-sided paired t test at `alpha` needs to find a mean difference of size `shift`.

    Args:
        shift: distance of the true mean from the border of the hypothesis, above 0.
        spread: standard deviation of the differences.
        power: chance of finding it.

    Source: noncentral t distribution (Cohen 1988, chapter 2).
    """
    if not (shift > 0 and spread > 0 and 0 < alpha < 1 and alpha < power < 1):
        raise ValueError("paired_sample_size needs shift and spread above 0, and 0 < alpha < power < 1")
    effect = shift / spread
    n: int = max(2, math.floor(((norm.isf(alpha) + norm.ppf(power)) / effect) ** 2))  # the t test needs no fewer
    while nct.sf(t.isf(alpha, n - 1), n - 1, effect * math.sqrt(n)) < power:
        n += 1
    return n


def runs_without_failure(bound: float, level: float) -> int:
    """Runs without a failure after which the failure rate is at most `bound` with confidence `level`.

    Source: Clopper and Pearson 1934 for no failures: (1 - bound)^n <= 1 - level.
    """
    if not (0 < bound < 1 and 0 < level < 1):
        raise ValueError("runs_without_failure needs bound and level between 0 and 1")
    return max(1, math.ceil(math.log(1.0 - level) / math.log(1.0 - bound) - 1e-9))


def rate_upper_bound(failures: int, trials: int, level: float = 0.95) -> float:
    """Exact one-sided upper bound of a failure rate (Clopper and Pearson 1934). 0 of 24 at 95 % is 0.117."""
    if not 0 <= failures <= trials or trials == 0:
        raise ValueError("rate_upper_bound needs 0 <= failures <= trials and at least one trial")
    return 1.0 if failures == trials else float(beta.ppf(level, failures + 1, trials - failures))


def rate_lower_bound(failures: int, trials: int, level: float = 0.95) -> float:
    """Exact one-sided lower bound of a failure rate (Clopper and Pearson 1934)."""
    return 1.0 - rate_upper_bound(trials - failures, trials, level)


def rate_interval(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of a rate (Clopper and Pearson 1934)."""
    if not 0 <= hits <= trials or trials == 0:
        raise ValueError("rate_interval needs 0 <= hits <= trials and at least one trial")
    tail = 0.5 * (1.0 - level)
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, trials - hits + 1))
    high = 1.0 if hits == trials else float(beta.ppf(1.0 - tail, hits + 1, trials - hits))
    return low, high


def count_interval(count: int, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of the mean of a Poisson variable that came out as `count` (Garwood 1936)."""
    if count < 0:
        raise ValueError("count_interval needs a count of at least 0")
    tail = 0.5 * (1.0 - level)
    low = 0.0 if count == 0 else float(chi2.ppf(tail, 2 * count)) / 2.0
    return low, float(chi2.ppf(1.0 - tail, 2 * count + 2)) / 2.0
