"""How loud a residual may be follows the motion: from the first row on, and however long a regressor stays large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from telemetry.alarm_rate import AlarmRate
from telemetry.detector import Detector
from telemetry.residuals import Residuals
from tests.telemetry.streams import quiet

Array = NDArray[np.float64]
RATE_HZ, HEAD = 100.0, 6000


def _calibrated(head: Residuals) -> Detector:
    detector = Detector(("joint",), RATE_HZ)
    detector.calibrate(head)
    detector.alarm_rate = AlarmRate(0.1)  # the level stays 1: what thresholds hold by themselves
    return detector


def _paced(seed: int, speed: Array) -> Residuals:
    """A joint to and fro at `speed` (N,), whose residual is as loud as it is fast."""
    rng = np.random.default_rng(seed)
    expected = np.cumsum(speed * np.sign(np.sin(np.arange(len(speed)) / 40.0)))[:, None] / 20.0
    rate = np.gradient(expected, 1.0 / RATE_HZ, axis=0)
    rows = quiet(rng.standard_normal((len(speed), 1)) * speed[:, None])
    return replace(rows, expected=expected, driven=expected, rate=rate, stir=rate)


def _swelling(rows: int) -> Array:
    """(rows,) slow for most of every 8 s, and fast by degrees."""
    return np.asarray(0.05 + np.sin(np.pi * np.arange(rows) / 800.0) ** 4)


def test_a_stream_that_begins_in_fast_motion_raises_no_alarm() -> None:
    """The head never was fast all at once, so a motion that is taken to begin at rest would look far too loud."""
    for seed in range(8):
        detector = _calibrated(_paced(seed, _swelling(HEAD)))
        assert detector.watch(_paced(seed + 20, np.full(300, 1.0))).ratio.max() < 1.0


def test_what_is_stirred_up_counts_where_the_expectation_does_not_change() -> None:
    """Such as ground that a trunk rolls over: louder because something moves, not because more is expected."""
    speed = np.concatenate([_swelling(HEAD), np.full(500, 4.0)])[:, None]
    found = []
    for stirs in (True, False):
        rows = quiet(np.random.default_rng(3).standard_normal(speed.shape) * speed)
        rows = replace(rows, stir=-speed) if stirs else rows  # whichever way it goes
        detector = _calibrated(rows[:HEAD])
        found.append(detector.watch(rows[HEAD:]).ratio.max())
    assert found[0] < 1.0 <= found[1]


@pytest.mark.parametrize("places", [3.0, -3.0])
def test_a_pose_that_the_head_held_briefly_may_be_held_for_long(places: float) -> None:
    """The expectation stays `places` standard deviations off; products with white noise are no louder for it."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        swing = np.sin(np.arange(HEAD) / 60.0) * np.sqrt(2.0)
        swing[:150] *= 3.0
        expected = np.concatenate([swing, np.full(6000, places)])[:, None]
        rows = quiet(rng.standard_normal((len(expected), 1)))
        rows = replace(rows, expected=expected, driven=expected)
        detector = _calibrated(rows[:HEAD])
        assert detector.watch(rows[HEAD:]).ratio.max() < 1.0


def test_a_loss_of_gain_in_such_a_pose_is_still_found() -> None:
    rng = np.random.default_rng(1)
    swing = np.sin(np.arange(HEAD) / 60.0) * np.sqrt(2.0)
    expected = np.concatenate([swing, np.full(2000, 3.0)])[:, None]
    value = rng.standard_normal((len(expected), 1))
    value[HEAD + 1000 :] -= 0.5 * expected[HEAD + 1000 :]
    rows = replace(quiet(value), expected=expected, driven=expected)
    detector = _calibrated(rows[:HEAD])
    ratio = detector.watch(rows[HEAD:]).ratio
    assert ratio[:1000].max() < 1.0
    assert ratio[1000:1060].max() >= 1.0


@pytest.mark.parametrize("noise", [1.0, 0.1, 0.01])
def test_half_the_shift_that_matters_is_let_pass_at_rest_too(noise: float) -> None:
    """A joint that is quiet at rest carries a load that is none yet: no kind of change may be seen in it."""
    for share, found in ((0.45, False), (2.0, True)):
        detector = Detector(("joint",), RATE_HZ, smallest_shift=[2.0])
        detector.calibrate(_paced(1, noise * _swelling(HEAD)))
        detector.alarm_rate = AlarmRate(0.1)
        still = quiet(np.random.default_rng(2).normal(2.0 * share, 0.05 * noise, (3000, 1)))
        assert bool(detector.watch(still).ratio.max() >= 1.0) is found
