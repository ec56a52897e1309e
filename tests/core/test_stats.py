"""The intervals say what they claim: against hand-computed values, and by how often they hold what is true."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.stats import (
    count_interval,
    paired_interval,
    paired_sample_size,
    rate_interval,
    rate_lower_bound,
    rate_upper_bound,
    runs_without_failure,
)

differences = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30)


def test_interval_of_three_differences_is_students() -> None:
    # mean 2, standard deviation 1, t(0.975, 2) = 4.302653 from the tables: half width 4.302653 / sqrt(3)
    found = paired_interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.low == pytest.approx(2.0 - 2.484138, abs=1e-6)
    assert found.high == pytest.approx(2.0 + 2.484138, abs=1e-6)


def test_interval_of_another_level_takes_another_quantile() -> None:
    # t(0.95, 3) = 2.353363; standard deviation of 0, 0, 4, 4 is sqrt(16 / 3)
    found = paired_interval([0.0, 0.0, 4.0, 4.0], level=0.90)
    assert found.high - found.mean == pytest.approx(2.353363 * math.sqrt(16 / 3) / 2, rel=1e-6)


def test_equal_differences_leave_no_doubt() -> None:
    found = paired_interval([0.5, 0.5, 0.5])
    assert (found.low, found.mean, found.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    "samples", [[], [1.0], [1.0, math.nan], [math.inf, 1.0], [1.0, -math.inf], [[1.0, 2.0], [3.0, 4.0]]]
)
def test_what_has_no_interval_is_refused(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two finite"):
        paired_interval(samples)


@given(differences)
def test_the_mean_lies_inside_its_interval(samples: list[float]) -> None:
    found = paired_interval(samples)
    assert found.low <= found.mean <= found.high


@given(differences)
def test_interval_mirrors_with_its_samples(samples: list[float]) -> None:
    found, mirrored = paired_interval(samples), paired_interval([-value for value in samples])
    assert mirrored.low == pytest.approx(-found.high, abs=1e-9)
    assert mirrored.high == pytest.approx(-found.low, abs=1e-9)


@pytest.mark.parametrize(("level", "n"), [(0.95, 24), (0.95, 4), (0.80, 6)])
def test_interval_holds_the_true_mean_as_often_as_it_says(level: float, n: int) -> None:
    rng = np.random.default_rng([7, n])
    runs = 2000
    held = 0
    for samples in rng.normal(0.3, 2.0, (runs, n)):
        found = paired_interval(samples, level)
        held += found.low <= 0.3 <= found.high
    spread = math.sqrt(level * (1 - level) / runs)
    assert abs(held / runs - level) < 3.5 * spread


def test_zero_failures_in_24_trials_leave_12_percent_open() -> None:
    assert rate_upper_bound(0, 24) == pytest.approx(1 - 0.05 ** (1 / 24), rel=1e-9)
    assert rate_upper_bound(0, 24) == pytest.approx(0.117, abs=5e-4)


def test_bound_is_where_so_few_failures_become_improbable() -> None:
    bound = rate_upper_bound(2, 10)
    at_most_two = sum(math.comb(10, k) * bound**k * (1 - bound) ** (10 - k) for k in range(3))
    assert at_most_two == pytest.approx(0.05, rel=1e-9)


def test_nothing_but_failures_bounds_nothing() -> None:
    assert rate_upper_bound(5, 5) == 1.0
    assert rate_upper_bound(1, 1) == 1.0


@pytest.mark.parametrize(("failures", "trials"), [(-1, 5), (6, 5), (0, 0), (1, 0)])
def test_impossible_counts_are_refused(failures: int, trials: int) -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        rate_upper_bound(failures, trials)


@given(st.integers(1, 60), st.data())
def test_more_failures_never_lower_the_bound(trials: int, data: st.DataObject) -> None:
    failures = data.draw(st.integers(0, trials - 1))
    bound = rate_upper_bound(failures, trials)
    assert failures / trials < bound <= rate_upper_bound(failures + 1, trials) <= 1.0


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_bound_holds_the_true_rate_at_least_as_often_as_it_says(rate: float) -> None:
    rng = np.random.default_rng(11)
    runs = 1500
    bounds = {failures: rate_upper_bound(failures, 24) for failures in range(25)}
    held = sum(rate <= bounds[int(failures)] for failures in rng.binomial(24, rate, runs))
    assert held / runs >= 0.95 - 3.5 * math.sqrt(0.95 * 0.05 / runs)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.308), (10, 10, 0.692, 1.0), (5, 10, 0.187, 0.813), (90, 100, 0.824, 0.951)],
)
def test_the_interval_of_a_rate_is_clopper_and_pearsons(hits: int, trials: int, low: float, high: float) -> None:
    assert rate_interval(hits, trials) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize(("hits", "trials"), [(1, 0), (-1, 5), (6, 5)])
def test_a_rate_that_cannot_be_is_refused(hits: int, trials: int) -> None:
    with pytest.raises(ValueError, match="rate_interval"):
        rate_interval(hits, trials)


def test_interval_of_a_count_is_garwoods() -> None:
    assert count_interval(0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert count_interval(10) == pytest.approx((4.795, 18.390), abs=1e-3)  # table of Garwood 1936
    with pytest.raises(ValueError, match="count"):
        count_interval(-1)


def test_lower_bound_of_a_rate_mirrors_the_upper_one() -> None:
    assert rate_lower_bound(0, 24) == 0.0
    assert rate_lower_bound(5, 5) == pytest.approx(0.05**0.2)
    low = rate_lower_bound(3, 10)
    at_least_three = sum(math.comb(10, k) * low**k * (1 - low) ** (10 - k) for k in range(3, 11))
    assert at_least_three == pytest.approx(0.05, rel=1e-9)


def test_59_runs_without_failure_show_5_percent_at_most() -> None:
    assert runs_without_failure(0.05, 0.95) == 59
    assert runs_without_failure(0.10, 0.95) == 29
    assert runs_without_failure(0.5, 0.5) == 1  # exactly: one run in two would have failed
    assert runs_without_failure(0.9, 0.5) == 1


@given(st.floats(0.01, 0.9), st.floats(0.5, 0.99))
def test_so_many_runs_are_enough_and_one_fewer_is_not(bound: float, level: float) -> None:
    runs = runs_without_failure(bound, level)
    assert rate_upper_bound(0, runs, level) <= bound * (1 + 1e-6)
    assert runs == 1 or rate_upper_bound(0, runs - 1, level) > bound * (1 - 1e-6)


def test_sample_size_is_that_of_the_tables() -> None:
    # Cohen 1988, one-sided at 0.05: an effect of half a standard deviation needs 27 pairs for a power of 0.80
    assert paired_sample_size(0.5, 1.0, 0.05, 0.80) == 27
    assert paired_sample_size(1.0, 2.0, 0.05, 0.80) == 27
    assert paired_sample_size(100.0, 1.0, 0.05, 0.80) == 2


@pytest.mark.parametrize(("shift", "spread", "alpha", "power"), [(0.05, 0.1, 0.025, 0.95), (0.3, 0.4, 0.05, 0.9)])
def test_a_test_of_that_size_finds_the_shift_as_often_as_it_says(
    shift: float, spread: float, alpha: float, power: float
) -> None:
    n = paired_sample_size(shift, spread, alpha, power)
    rng = np.random.default_rng(5)
    runs = 2000
    found = [paired_interval(d, 1 - 2 * alpha).high < 0 for d in rng.normal(-shift, spread, (runs, n))]
    assert np.mean(found) >= power - 3.5 * math.sqrt(power * (1 - power) / runs)
    fewer = [paired_interval(d, 1 - 2 * alpha).high < 0 for d in rng.normal(-shift, spread, (runs, 3 * n // 4))]
    assert np.mean(fewer) < power


@pytest.mark.parametrize("wrong", [(0.0, 1, 0.05, 0.8), (1, 0.0, 0.05, 0.8), (1, 1, 0.0, 0.8), (1, 1, 0.05, 0.05)])
def test_what_has_no_sample_size_is_refused(wrong: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="paired_sample_size"):
        paired_sample_size(*wrong)


@pytest.mark.parametrize("wrong", [(0.0, 0.95), (1.0, 0.95), (0.05, 1.0), (0.05, 0.0), (math.nan, 0.95)])
def test_what_no_number_of_runs_shows_is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="runs_without_failure"):
        runs_without_failure(*wrong)
