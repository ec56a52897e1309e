"""Position readings that scatter, step, repeat or stand still: which fault does the likelihood prefer?"""

from __future__ import annotations

import numpy as np
import pytest

from core.block import Array, Block
from core.robot import Robot
from sim.effect import NO_EFFECT, Effect
from sim.twin.readings import ReadingStatistics
from tests.sim.stretches import block_of, robot_named, stretch_of


@pytest.fixture
def robot() -> Robot:
    return robot_named("cartpole")


def motion(robot: Robot, rows: int, seed: int, noise: float = 1.0) -> tuple[Array, Array]:
    """Position and velocity readings of a smooth motion; position noise in healthy standard deviations."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows)[:, None] * robot.dt_s
    q, qd = 0.1 * np.sin(3.0 * t) * np.ones(2), 0.3 * np.cos(3.0 * t) * np.ones(2)
    sensors = robot.sensors
    q = q + noise * np.array(sensors.position_noise) * rng.standard_normal(q.shape)
    return q, qd + np.array(sensors.velocity_noise) * rng.standard_normal(q.shape)


def block(robot: Robot, q: Array, qd: Array) -> Block:
    still = np.zeros((len(q), 1))
    return block_of(robot, q, qd, still, still)


def statistics(robot: Robot, q: Array, qd: Array) -> ReadingStatistics:
    """Of readings `q`, `qd`, after a healthy head."""
    return ReadingStatistics(stretch_of(robot, block(robot, *motion(robot, 2400, 1)), block(robot, q, qd)))


def best(part: ReadingStatistics, field: str, values: Array) -> float:
    """The value of `field` of the first coordinate that explains the readings best."""
    gains = [part.gain(Effect(**{field: (float(value), 0.0)})) for value in values]  # type: ignore[arg-type]
    return float(values[int(np.argmax(gains))])


def test_healthy_readings_gain_nothing_by_any_fault(robot: Robot) -> None:
    part = statistics(robot, *motion(robot, 400, 2))
    assert part.gain(NO_EFFECT) == 0.0
    for effect in (Effect(noise=(9.0, 0.0)), Effect(dropout=(0.3, 0.0)), Effect(freeze=(1.0, 0.0))):
        assert part.gain(effect) < -10.0


def test_noise_is_measured_in_healthy_standard_deviations(robot: Robot) -> None:
    part = statistics(robot, *motion(robot, 400, 2, noise=6.0))
    assert best(part, "noise", np.linspace(0.0, 12.0, 49)) == pytest.approx(5.0, abs=0.75)


def test_a_velocity_that_jumps_within_a_tick_is_no_noise(robot: Robot) -> None:
    """A cart that bounces between its stops: where it is after an impact depends on when within the tick that was."""
    rng = np.random.default_rng(3)
    steps, ticks = 20, 400
    fine = np.cumsum(np.ones(steps * ticks)) * robot.dt_s / steps
    period, speed = 0.0837, 1.5
    q = speed * np.abs((fine % (2 * period)) - period)[steps - 1 :: steps, None] * np.ones(2)
    qd = speed * np.sign((fine % (2 * period)) - period)[steps - 1 :: steps, None] * np.ones(2)
    q = q + np.array(robot.sensors.position_noise) * rng.standard_normal(q.shape)
    part = statistics(robot, q, qd)
    assert best(part, "noise", np.linspace(0.0, 20.0, 41)) < 1.0


def test_missed_samples_are_counted(robot: Robot) -> None:
    q, qd = motion(robot, 400, 2)
    missed = np.random.default_rng(4).uniform(size=400) < 0.4
    for k in range(1, 400):
        if missed[k]:
            q[k, 0] = q[k - 1, 0]
    part = statistics(robot, q, qd)
    assert best(part, "dropout", np.linspace(0.0, 0.9, 46)) == pytest.approx(0.4, abs=0.08)
    assert part.gain(Effect(dropout=(0.0, 0.4))) < -10.0  # the other sensor missed nothing
    assert part.gain(Effect(freeze=(1.0, 0.0))) < part.gain(Effect(dropout=(0.4, 0.0)))


def test_steps_are_found_on_their_grid_and_nowhere_else(robot: Robot) -> None:
    q, qd = motion(robot, 400, 2)
    q[:, 0] = np.round(q[:, 0] / 0.002) * 0.002
    part = statistics(robot, q, qd)
    assert part.hints()["quantum"][0] == pytest.approx(0.002)
    assert part.gain(Effect(quantum=(0.002, 0.0))) > 100.0
    assert part.gain(Effect(quantum=(0.003, 0.0))) == -np.inf


def test_a_reading_that_stands_still_is_frozen(robot: Robot) -> None:
    q, qd = motion(robot, 400, 2)
    q[:, 0] = q[0, 0]
    part = statistics(robot, q, qd)
    assert part.gain(Effect(freeze=(1.0, 0.0))) > part.gain(Effect(dropout=(0.9, 0.0))) > 0.0
