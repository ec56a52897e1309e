"""Dry friction at rest: the noise that it makes is told from white noise, and large friction keeps its torque."""

from __future__ import annotations

import numpy as np
import pytest

from sim.twin.held import RowNoise, held_columns, kept_sign

N, R, M, RATE_HZ = 40, 3, 2, 25.0


def by_torque(seed: int = 0, count: int = N) -> np.ndarray:
    """Rows by 1 N*m in each joint: the first rests half of the time, the second always."""
    columns = np.random.default_rng(seed).standard_normal((1, R, M)).repeat(count, axis=0)
    columns[np.sin(np.arange(count) / 8.0) > 0, :, 0] = 0.0
    return columns


def test_what_joints_hold_has_the_variance_that_was_asked_for_at_every_instant() -> None:
    columns = held_columns(by_torque(), np.array([0.5, 2.0]), RATE_HZ)
    variance = np.square(by_torque() * np.array([0.5, 2.0])).sum(axis=2)
    assert np.square(columns).sum(axis=2) == pytest.approx(variance)


def test_the_band_matrix_is_the_covariance_of_those_columns() -> None:
    noise = RowNoise(level=np.array([0.3, 0.5, 0.7]), inflation=np.array([1.0, 2.0, 3.0]), held_nm=np.array([0.5, 2.0]))
    columns = held_columns(by_torque(), noise.held_nm, RATE_HZ).reshape(N * R, -1)
    covariance = columns @ columns.T + np.diag(np.tile(np.square(noise.level) * noise.inflation, N))
    some = np.random.default_rng(1).standard_normal((N * R, 4))
    assert noise.solve(by_torque(), some, RATE_HZ) == pytest.approx(
        np.linalg.solve(covariance, some), rel=1e-6, abs=1e-9
    )


def test_noise_is_split_into_what_is_white_and_what_resting_joints_hold() -> None:
    count, dry = 2000, np.array([0.4, 0.8])
    torque = by_torque(count=count)
    rng = np.random.default_rng(2)
    columns = held_columns(torque, 0.6 * dry, RATE_HZ)
    left = columns @ rng.standard_normal(columns.shape[2]) + np.array([0.1, 0.2, 0.3]) * rng.standard_normal((count, R))
    before = RowNoise(level=left.std(axis=0), inflation=np.ones(R), held_nm=np.zeros(M))
    noise = before.learnt(torque, left, dry, RATE_HZ)
    assert noise.held_nm == pytest.approx(0.6 * dry, rel=0.15)
    assert noise.level == pytest.approx([0.1, 0.2, 0.3], rel=0.5)
    assert np.all(noise.level < 0.9 * before.level)


def test_friction_keeps_its_torque_at_rest_and_turns_round_within_a_short_way() -> None:
    t = np.linspace(0.0, 1.0, 401)
    there_and_back = np.interp(t, [0.0, 0.3, 0.7, 1.0], [0.0, 0.1, 0.1, 0.0])
    sign = kept_sign(np.stack([there_and_back, np.zeros(401)], axis=1), 2e-3)
    assert sign[200, 0] == 1.0  # in the middle of the rest
    assert sign[-1, 0] == -1.0
    turning = np.abs(there_and_back[280:] - (0.1 - 2e-3)).argmin() + 280
    assert abs(sign[turning, 0]) < 0.5
    assert not np.any(sign[:, 1])
