"""The sensors: each fault does to a reading what its module says, and to nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.rigid_body import Array
from core.robot import Robot
from sim.effect import Effect, on
from sim.sensing import Sensors

N = 7
Q, V, TAU = np.linspace(-1.0, 1.0, N), np.linspace(0.5, -0.5, N), np.linspace(3.0, 9.0, N)


def truth(q: Array = Q) -> Array:
    return np.concatenate([q, V, TAU])


def readings(robot: Robot, ticks: int = 1, seed: int = 1, moving: bool = False, **effect: object) -> Array:
    """(ticks, 21) readings of a robot that stands, or moves by 1 mrad a tick."""
    sensors = Sensors(robot)
    sensors.reseed(seed)
    sensors.take(Effect(**effect))  # type: ignore[arg-type]
    return np.array([sensors.read(truth(Q + 0.001 * k * moving)) for k in range(ticks)])


def test_without_noise_and_fault_the_readings_are_the_truth(quiet: Robot) -> None:
    assert readings(quiet)[0].tolist() == [*Q, *V, *TAU]


@pytest.mark.parametrize(
    ("effect", "position"),
    [
        ({"offset": on([3], N, 0.05)}, Q + 0.05 * (np.arange(N) == 3)),
        ({"scale": on([0, 6], N, 0.1)}, Q * np.where(np.isin(np.arange(N), [0, 6]), 1.1, 1.0)),
        ({"quantum": on([1], N, 0.25)}, np.where(np.arange(N) == 1, np.round(Q / 0.25) * 0.25, Q)),
    ],
)
def test_a_fault_of_a_position_sensor_changes_that_position_alone(
    quiet: Robot, effect: dict[str, object], position: Array
) -> None:
    row = readings(quiet, **effect)[0]
    np.testing.assert_allclose(row[:N], position, atol=1e-12)
    assert row[N:].tolist() == [*V, *TAU]


def test_a_gyroscope_offset_changes_the_rate_alone(quiet: Robot) -> None:
    row = readings(quiet, rate_offset=on([2], N, 0.1))[0]
    np.testing.assert_allclose(row[N : 2 * N] - V, 0.1 * (np.arange(N) == 2), atol=1e-12)
    assert row[:N].tolist() == Q.tolist()


def test_a_frozen_reading_keeps_its_last_good_value(quiet: Robot) -> None:
    sensors = Sensors(quiet)
    sensors.take(Effect())
    sensors.read(truth(Q - 0.1))
    sensors.take(Effect(freeze=on([4], N, 1.0)))
    rows = np.array([sensors.read(truth(Q + 0.01 * k)) for k in range(5)])
    assert np.all(rows[:, 4] == Q[4])  # the first reading after the onset is the one that stays
    assert np.all(np.diff(rows[:, 3]) > 0)


def test_dropout_repeats_the_stated_share_of_readings(quiet: Robot) -> None:
    rows = readings(quiet, 4000, moving=True, dropout=on([5], N, 0.3))
    repeated = np.diff(rows[:, 5]) == 0
    assert repeated.mean() == pytest.approx(0.3, abs=0.03)
    assert not np.any(np.diff(rows[:, 4]) == 0)


def test_noise_grows_by_its_factor_in_the_position_alone(iiwa: Robot) -> None:
    healthy, noisy = readings(iiwa, 3000), readings(iiwa, 3000, noise=on([2], N, 9.0))
    ratio = noisy.std(axis=0) / healthy.std(axis=0)
    np.testing.assert_allclose(ratio, 1.0 + 9.0 * (np.arange(3 * N) == 2), rtol=1e-9)


def test_a_restart_repeats_the_noise_and_a_fault_does_not_shift_it(iiwa: Robot) -> None:
    sensors = Sensors(iiwa)
    sensors.reseed(3)
    sensors.take(Effect())
    first = [sensors.read(truth()) for _ in range(1500)]  # more than one block of noise
    sensors.restart()
    assert [sensors.read(truth()) for _ in range(1500)] == first
    sensors.restart()
    sensors.take(Effect(dropout=on([0], N, 0.5)))
    other = np.array([sensors.read(truth()) for _ in range(1500)])
    np.testing.assert_array_equal(other[:, 1:], np.array(first)[:, 1:])


def test_every_coordinate_may_have_a_noise_of_its_own(iiwa: Robot) -> None:
    noise = tuple(1e-4 * (k + 1) for k in range(N))
    robot = replace(iiwa, sensors=replace(iiwa.sensors, position_noise=noise))
    np.testing.assert_allclose(readings(robot, 4000)[:, :N].std(axis=0), noise, rtol=0.06)
