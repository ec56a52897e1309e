"""Thresholds mean what they say: the realised rate of crossings is the configured one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from telemetry.detector import Detector
from telemetry.tail import block_maxima, gumbel_threshold, memory_of

Array = NDArray[np.float64]


def test_gumbel_fit_finds_the_quantile_of_exponential_maxima() -> None:
    maxima = np.random.default_rng(1).exponential(2.0, (4000, 50)).max(axis=1)
    exact = -2.0 * np.log(-np.expm1(np.log1p(-1e-6) / 50))
    assert gumbel_threshold(maxima, 1e-6) == pytest.approx(exact, rel=0.07)


def test_block_maxima_leave_out_the_incomplete_block() -> None:
    assert block_maxima(np.array([1.0, 5.0, 2.0, 3.0, 9.0]), 2).tolist() == [5.0, 3.0]


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


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_realised_rate_of_false_alarms_is_the_configured_one(memory: float) -> None:
    rng = np.random.default_rng(4)
    noise = rng.standard_normal((360_000, 3))
    stream = lfilter([np.sqrt(1.0 - memory**2)], [1.0, -memory], noise, axis=0)
    detector = Detector("abc", 100.0, false_alarms_per_hour=40.0)
    detector.calibrate(stream[:60_000])
    ratio = detector.update_chunk(stream[60_000:], np.arange(300_000) / 100.0)
    crossings = np.flatnonzero(ratio >= 1.0)
    episodes = 1 + int((np.diff(crossings) > 200).sum()) if crossings.size else 0
    per_hour = episodes / (300_000 / 100.0 / 3600.0)
    assert 0.4 * 40.0 <= per_hour <= 1.5 * 40.0


def test_bursts_in_the_head_raise_the_threshold(correlated_noise: Callable[..., Array]) -> None:
    calm = correlated_noise(5, 4000, 1, 0.0)
    bursts = calm.copy()
    for at in range(50, 4000, 400):
        bursts[at : at + 12] += 4.0
    loud = calm[:2000] + np.where(np.arange(2000) % 400 < 12, 4.0, 0.0)[:, None]
    t_s = np.arange(2000) / 100.0
    trained_calm, trained_bursts = Detector("a", 100.0), Detector("a", 100.0)
    trained_calm.calibrate(calm)
    trained_bursts.calibrate(bursts)
    assert trained_calm.update_chunk(loud, t_s).max() > 1.0
    assert trained_bursts.update_chunk(loud, t_s).max() < 1.0
