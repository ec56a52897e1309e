"""What a tolerated load explains of an arm's torque: all of it at once, never more, and no noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim
from core.robot_toml import load_robot
from telemetry.watch.allowance import LoadAllowance, needed
from telemetry.watch.average import Average

ARM2 = load_robot(Path(str(sim.__file__)).parent / "robots" / "arm2" / "robot.toml")
TICKS, ROWS, NOISE = 5, 400, 0.02


def _moving() -> tuple[np.ndarray, np.ndarray]:
    t = np.arange((ROWS + 1) * TICKS) * ARM2.dt_s
    q = np.stack([0.4 * np.sin(2.0 * t), 0.5 * np.cos(3.0 * t)], axis=1)
    return q, np.stack([0.8 * np.cos(2.0 * t), -1.5 * np.sin(3.0 * t)], axis=1)


def _watched(kg: float, tolerance_kg: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Torque of a load that sets in half-way, with noise; what was explained; torque of each kg."""
    q, v = _moving()
    average = Average(TICKS, ARM2.dt_s)
    allowance = LoadAllowance(replace(ARM2, payload_tolerance_kg=tolerance_kg), average)
    per_kg = needed(allowance._kilogram, q, v, average)
    noise = NOISE * np.random.default_rng(1).standard_normal(per_kg.shape)
    allowance.learn(noise)
    torque = noise + kg * per_kg * (np.arange(len(per_kg)) >= len(per_kg) // 2)[:, None]
    return torque, allowance.explained(torque, q, v), per_kg


@pytest.mark.parametrize("kg", [0.09, -0.09])
def test_a_load_within_the_tolerance_is_explained_from_its_first_row_on(kg: float) -> None:
    torque, explained, _ = _watched(kg)
    half = len(torque) // 2
    assert np.abs(torque[half:]).max() > 10.0 * NOISE
    assert np.abs(torque - explained).max() < 6.0 * NOISE
    assert np.std(torque[:half] - explained[:half]) > 0.9 * NOISE  # noise is left


def test_of_a_heavier_load_only_the_tolerance_is_explained() -> None:
    torque, explained, per_kg = _watched(0.5)
    half = len(torque) // 2
    np.testing.assert_allclose(explained[half:], 0.1 * per_kg[half:], rtol=1e-9)


def test_without_a_tolerance_nothing_is_explained() -> None:
    _, explained, _ = _watched(0.05, tolerance_kg=0.0)
    assert not explained.any()


def test_a_missing_torque_is_left_out_and_the_others_go_on() -> None:
    q, v = _moving()
    average = Average(TICKS, ARM2.dt_s)
    allowance = LoadAllowance(ARM2, average)
    per_kg = needed(allowance._kilogram, q, v, average)
    torque = 0.05 * per_kg
    allowance.learn(NOISE * np.random.default_rng(1).standard_normal(per_kg.shape))
    torque[:100, 0] = np.nan
    torque[100:110] = np.nan
    explained = allowance.explained(torque, q, v)
    np.testing.assert_allclose(explained[300:], torque[300:], rtol=0.02, atol=1e-3)
    assert np.all(np.isfinite(explained))
