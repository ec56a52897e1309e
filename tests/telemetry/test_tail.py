"""What an autocorrelated series adds up to, and thresholds that follow from it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from telemetry.alarm_rate import AlarmRate
from telemetry.detector import Detector
from telemetry.tail import memory_of
from tests.telemetry.streams import quiet

Array = NDArray[np.float64]


@pytest.mark.parametrize("memory", [0.0, 0.6, 0.95])
def test_long_run_variance_of_a_first_order_process_is_found(memory: float) -> None:
    series = lfilter([1.0], [1.0, -memory], np.random.default_rng(2).standard_normal(50_000))
    assert memory_of(series).inflation(1.0) == pytest.approx((1.0 + memory) / (1.0 - memory), rel=0.35)
    assert memory_of(series).inflation(1.0) >= 0.9 * (1.0 + memory) / (1.0 - memory)


def test_slow_component_below_the_noise_is_not_lost() -> None:
    rng = np.random.default_rng(3)
    slow = lfilter([1.0], [1.0, -0.99], rng.standard_normal(6000))
    series = rng.standard_normal(6000) + 0.2 * slow / slow.std()
    # 4 % of the variance with a memory of 200 rows: long-run variance about 0.96 + 0.04 * 199 = 9
    assert memory_of(series).inflation(1.0) > 3.0


def test_differenced_noise_adds_up_to_little() -> None:
    noise = np.diff(np.random.default_rng(6).standard_normal(20_001))
    memory = memory_of(noise)
    assert memory.lag_one == pytest.approx(-0.5, abs=0.03)
    assert memory.inflation(0.998) < 0.2  # its sum over 500 rows varies as little as two rows of it
    assert memory.inflation(0.998) >= 0.05


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_a_statistic_crosses_its_threshold_no_more_often_than_it_may(memory: float) -> None:
    """Thresholds rest on moments of a minute: they may ask for more than needed, never for less."""
    rng = np.random.default_rng(4)
    noise = rng.standard_normal((366_000, 2))
    stream = lfilter([np.sqrt(1.0 - memory**2)], [1.0, -memory], noise, axis=0)
    detector = Detector("ab", 100.0, false_alarms_per_hour=40.0)
    detector.calibrate(quiet(stream[:6000]))
    detector.alarm_rate = AlarmRate(40.0)  # the level stays 1
    strongest = detector.watch(quiet(stream[6000:16_000])).strongest
    crossings = np.flatnonzero(strongest >= 1.0)
    episodes = 1 + int((np.diff(crossings) > 200).sum()) if crossings.size else 0
    assert episodes / (10_000 / 100.0 / 3600.0) <= 1.5 * 40.0
