"""The metrics against values that fit on paper, and the one number that says how much came back."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim
from core.metrics import (
    METRICS,
    max_tracking_error,
    recovery_ratio,
    rms_effort,
    rms_tracking_error,
    torque_variation,
)
from core.robot_toml import load_robot

IIWA = load_robot(Path(str(sim.__file__)).parent / "robots" / "iiwa" / "robot.toml")
ERROR = np.array([[0.3, -0.4], [0.0, 0.0]])
TORQUE = np.array([[1.0, -2.0], [4.0, -2.0], [4.0, 3.0]])
errors = st.floats(1e-6, 10.0)


def test_tracking_error_is_the_root_of_the_mean_square_over_ticks_and_joints() -> None:
    assert rms_tracking_error(ERROR) == pytest.approx(math.sqrt((0.09 + 0.16) / 4))


def test_largest_error_counts_whatever_its_sign() -> None:
    assert max_tracking_error(ERROR) == 0.4


def test_effort_is_the_root_of_the_mean_square_torque() -> None:
    assert rms_effort(TORQUE) == pytest.approx(math.sqrt((1 + 4 + 16 + 4 + 16 + 9) / 6))


def test_variation_sums_over_joints_and_averages_over_ticks() -> None:
    assert torque_variation(TORQUE) == pytest.approx((3.0 + 5.0) / 2)


def test_a_constant_torque_does_not_vary() -> None:
    assert torque_variation(np.full((9, 3), 7.0)) == 0.0


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_its_name_a_unit_and_grows_with_what_it_measures(name: str) -> None:
    metric = METRICS[name]
    data = ERROR if metric.of == "error" else TORQUE
    assert metric.name == name
    turning = replace(IIWA, units=("rad",) * 7)
    both = replace(IIWA, units=("rad", "m", *["rad"] * 5), lost_error=(1.0, 0.1, *[1.0] * 5))
    assert metric.unit(turning) == {"error": "rad", "torque": "N*m"}[metric.of]
    assert metric.unit(both) == {"error": "1", "torque": "N*m or N"}[metric.of]
    assert (turning.tracking_scale, both.tracking_scale) == ((1.0,) * 7, both.lost_error)
    assert metric.unit(replace(IIWA, units=("m",) * 7)) == {"error": "m", "torque": "N"}[metric.of]
    assert metric.unit(replace(both, tracked=(1,))) == {"error": "m", "torque": "N*m or N"}[metric.of]
    assert metric.compute(2.0 * data) == pytest.approx(2.0 * metric.compute(data))
    assert metric.compute(-data) == metric.compute(data)


@pytest.mark.parametrize("name", METRICS)
def test_a_reading_that_is_no_number_is_not_averaged_away(name: str) -> None:
    data = np.ones((4, 2))
    data[2, 1] = math.nan
    assert math.isnan(METRICS[name].compute(data))


@pytest.mark.parametrize(
    ("patched", "ratio"),
    [(1.0, 1.0), (5.0, 0.0), (2.0, 0.75), (3.0, 0.5), (0.5, 1.0), (7.0, -0.5), (9.0, -1.0), (100.0, -1.0)],
)
def test_recovery_is_the_share_of_the_loss_that_came_back(patched: float, ratio: float) -> None:
    assert recovery_ratio(1.0, 5.0, patched) == ratio


def test_recovery_has_no_value_where_little_was_lost() -> None:
    assert recovery_ratio(1.0, 1.4999, 1.0) is None
    assert recovery_ratio(1.0, 1.5, 1.0) == 1.0
    assert recovery_ratio(2.0, 1.0, 1.0) is None


def test_recovery_has_no_value_where_a_score_is_no_number() -> None:
    assert recovery_ratio(math.nan, 5.0, 1.0) is None
    assert recovery_ratio(1.0, math.nan, 1.0) is None


@given(errors, errors, errors)
def test_recovery_is_none_or_between_minus_one_and_one(nominal: float, faulted: float, patched: float) -> None:
    ratio = recovery_ratio(nominal, faulted, patched)
    assert (ratio is None) == (faulted / nominal < 1.5)
    assert ratio is None or -1.0 <= ratio <= 1.0


@given(errors, st.floats(1.5001, 100.0), errors, errors)
def test_a_better_patch_never_recovers_less(nominal: float, factor: float, one: float, other: float) -> None:
    better, worse = sorted((one, other))
    ratios = [recovery_ratio(nominal, factor * nominal, patched) for patched in (better, worse)]
    assert ratios[0] is not None
    assert ratios[1] is not None
    assert ratios[0] >= ratios[1]
