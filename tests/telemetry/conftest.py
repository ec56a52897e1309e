"""Seeded made-up telemetry for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.float64]


def correlated_noise(seed: int, rows: int, channels: int, memory: float = 0.5) -> Array:
    """(rows, channels) first-order autoregressive noise of unit variance."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((rows, channels))
    out = np.empty_like(noise)
    out[0] = noise[0]
    for i in range(1, rows):
        out[i] = memory * out[i - 1] + np.sqrt(1.0 - memory**2) * noise[i]
    return out


def moving_joint(
    seed: int, rows: int, rate_hz: float, fault_row: int, gain: float = 1.0, friction: float = 0.0
) -> Array:
    """(rows, 4) command, position, velocity, current of a joint that follows a random command.

    From `fault_row` on the drive answers with `gain` and drags with `friction` (share of the current scale).
    """
    rng = np.random.default_rng(seed)
    dt_s = 1.0 / rate_hz
    out = np.empty((rows, 4))
    q = qd = command = target = 0.0
    for i in range(rows):
        if i % round(rate_hz) == 0:
            target = rng.uniform(-1.0, 1.0)
        command += 3.0 * dt_s * (target - command)
        faulty = i >= fault_row
        current = (gain if faulty else 1.0) * (80.0 * (command - q) - 12.0 * qd)
        drag = 2.0 * qd + (0.3 + (friction if faulty else 0.0)) * np.tanh(qd / 0.02)
        qd += dt_s * (current - drag) / 0.5
        q += dt_s * qd
        out[i] = command, q, qd, current
    noise = rng.standard_normal((rows, 4)) * [0.0, 2e-4, 2e-3, 0.05]
    return out + noise


@pytest.fixture(name="correlated_noise")
def _correlated_noise() -> Callable[..., Array]:
    return correlated_noise


@pytest.fixture(name="moving_joint")
def _moving_joint() -> Callable[..., Array]:
    return moving_joint
