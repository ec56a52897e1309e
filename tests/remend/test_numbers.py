"""The one formatter: figures, units, prefixes, intervals, changes, and what was not measured."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remend import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0031, "0.0031"),
        (0.031234, "0.0312"),
        (5.0, "5"),
        (-12.345, "-12.3"),
        (1234.0, "1230"),
        (999.6, "1000"),
        (0.0, "0"),
        (-0.0, "0"),
        (1.2e-7, "1.2e-7"),
        (3e8, "3e8"),
        (math.nan, "not measured"),
        (math.inf, "not measured"),
        (None, "not measured"),
    ],
)
def test_figures_are_three_significant_ones(value: float | None, text: str) -> None:
    assert numbers.figure(value) == text


@given(st.floats(min_value=-1e5, max_value=1e5).filter(lambda v: abs(v) > 1e-3))
def test_a_figure_is_within_half_a_unit_of_its_third_digit(value: float) -> None:
    assert float(numbers.figure(value)) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0031, "rad", "3.1 mrad"),
        (-0.05, "rad", "-50 mrad"),
        (0.25, "rad", "0.25 rad"),
        (0.0, "rad", "0 rad"),
        (0.004, "s", "4 ms"),
        (3e-5, "s", "30 us"),
        (0.31, "s", "0.31 s"),
        (0.004, "kg", "0.004 kg"),
        (42.83, "N*m", "42.8 N·m"),
        (5.1, "N*m*s/rad", "5.1 N·m·s/rad"),
        (625.0, "1/s^2", "625 1/s²"),
        (0.6, "1", "0.6"),
        (None, "kg", "not measured"),
    ],
)
def test_a_quantity_has_the_prefix_a_roboticist_expects(value: float | None, unit: str, text: str) -> None:
    assert numbers.quantity(value, unit) == text


def test_values_of_one_row_share_the_unit_of_the_largest() -> None:
    assert numbers.in_one_unit([0.0004, 0.0312, None], "rad") == (["0.4", "31.2", "not measured"], "mrad")
    assert numbers.in_one_unit([0.0004, 0.312], "rad") == (["0.0004", "0.312"], "rad")


def test_intervals_read_a_to_b_and_never_show_two_equal_ends() -> None:
    assert numbers.interval(4.7, 5.1, "kg") == "4.7 to 5.1 kg"
    assert numbers.interval(5.0011, 5.0042, "kg") == "5.001 to 5.004 kg"
    assert numbers.interval(0.0028, 0.0034, "rad") == "2.8 to 3.4 mrad"
    assert numbers.interval(4.994, 5.0, "kg") == "4.99 to 5.00 kg"
    assert numbers.interval(0.0, 0.25, "kg") == "0 to 0.25 kg"
    assert numbers.interval(None, 1.0, "kg") == "not measured"


def test_a_change_is_a_signed_percentage_with_its_interval() -> None:
    assert numbers.change(-0.025, 0.0312, "rad") == "-80.1 %"
    assert numbers.change(1.1, 42.8, "N*m") == "+2.6 %"
    assert numbers.change_interval(0.4, 1.75, 1.1, 42.8, "N*m") == "+0.9 to +4.1 %"


def test_a_change_against_a_baseline_near_zero_is_absolute() -> None:
    assert numbers.percent_change(0.5, 0.0) is None
    assert numbers.percent_change(0.5, 0.01) is None
    assert numbers.change(0.5, 0.01, "N*m") == "+0.5 N·m"
    assert numbers.change_interval(0.4, 0.6, 0.5, 0.01, "N*m") == "+0.4 to +0.6 N·m"
    assert numbers.change(math.nan, 1.0, "N*m") == "not measured"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.934, "93.4 %"),
        (1.0, "100 %"),
        (0.9999, "above 99.9 %"),
        (0.0001, "below 0.1 %"),
        (0.0, "0 %"),
        (None, "not measured"),
    ],
)
def test_a_share_that_is_not_certain_never_reads_as_certain(value: float | None, text: str) -> None:
    assert numbers.share(value) == text


def test_counts_and_moments() -> None:
    assert numbers.count(1060) == "1060"
    assert numbers.count(12800) == "12,800"
    assert numbers.moment(1234.567) == "1234.57 s"
    assert numbers.utc(1_790_000_000 * 10**9) == "2026-09-21 14:13:20 UTC"
