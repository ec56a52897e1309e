"""The level of the alarm: extrapolated, then measured, learnt from healthy blocks alone."""

from __future__ import annotations

import numpy as np
import pytest

from telemetry.alarm_rate import BLOCK_S, AlarmRate

BLOCKS_PER_H = 3600.0 / BLOCK_S


def _maxima(seed: int, blocks: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).gumbel(0.6, 0.08, blocks)


@pytest.mark.parametrize("per_hour", [0.5, 6.0])
def test_with_a_day_of_healthy_blocks_the_rate_is_the_configured_one(per_hour: float) -> None:
    rate = AlarmRate(per_hour)
    rate.learn(_maxima(1, round(24 * BLOCKS_PER_H)))
    fresh = _maxima(2, round(400 * BLOCKS_PER_H))
    realised = float((fresh >= rate.level).mean()) * BLOCKS_PER_H
    assert 0.6 * per_hour < realised < 1.6 * per_hour
    assert rate.basis == "measured"


def test_a_short_head_asks_for_more_than_a_long_one() -> None:
    short, long = AlarmRate(6.0), AlarmRate(6.0)
    short.learn(_maxima(3, 6))
    long.learn(_maxima(3, 400))
    assert short.level >= 1.0
    assert long.level < short.level
    assert (short.basis, long.basis) == ("extrapolated", "measured")


def test_a_level_that_the_head_itself_reaches_is_raised() -> None:
    rate = AlarmRate(0.1)
    rate.learn(np.array([0.5, 1.4]))
    assert rate.level > 1.4


def test_alarms_that_passed_are_counted_and_raise_the_level() -> None:
    rate = AlarmRate(6.0)
    rate.learn(_maxima(4, 100))
    before = rate.level
    for _ in range(5):
        rate.passed(1.4)
    assert rate.false_alarms == 5
    said = rate.so_far
    assert (said.false_alarms, said.basis) == (5, rate.basis)
    assert rate.level > before
    assert said.realised_per_hour == pytest.approx(5.0 / (105 * BLOCK_S / 3600.0))


def test_after_a_change_the_level_is_raised_and_settles_again() -> None:
    rate = AlarmRate(6.0)
    rate.learn(_maxima(5, 300))
    settled = rate.level
    rate.changed()
    assert rate.level == pytest.approx(1.5 * settled)
    rate.learn(_maxima(6, 200))
    assert rate.level < 1.05 * settled


def test_memory_is_bounded_and_state_survives() -> None:
    rate = AlarmRate(6.0)
    for seed in range(30):
        rate.learn(_maxima(seed, 100))
    assert len(rate.largest) == 512
    again = AlarmRate.from_arrays(rate.arrays())
    assert again.level == rate.level
    assert (again.blocks, again.basis, again.healthy_h) == (rate.blocks, rate.basis, rate.healthy_h)
