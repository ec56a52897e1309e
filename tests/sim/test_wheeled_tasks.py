"""Tasks of a wheeled base can be driven: they start and end at rest, and no wheel has to slip sideways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sim
from core.rigid_body import Array
from core.robot import Robot
from core.robot_toml import load_robot
from sim.kinds import nominal_physics
from sim.tasks.catalogue import draw_task
from sim.tasks.task import Task
from sim.wheeled_base import Base

KINDS = ("shuttle", "eight", "slalom")


@pytest.fixture(scope="session")
def pioneer() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "diffdrive" / "robot.toml")


def start_of(robot: Robot, seed: int) -> Array:
    start = np.random.default_rng(seed).uniform(robot.tasks.low, robot.tasks.high)
    start[3:] = [5.0, -3.0]  # wheels that have turned before
    return start


def drawn(robot: Robot, kind: str, seed: int, duration_s: float = 6.0) -> Task:
    return draw_task(robot, kind, start_of(robot, seed), duration_s, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_positions_velocities_and_accelerations_belong_together(pioneer: Robot, kind: str, seed: int) -> None:
    task = drawn(pioneer, kind, seed)
    assert task.q.shape == task.qd.shape == task.qdd.shape == (600, 5)
    inside = slice(2, -2)
    np.testing.assert_allclose(np.gradient(task.q, 0.01, axis=0)[inside], task.qd[inside], atol=0.02)
    np.testing.assert_allclose(np.gradient(task.qd, 0.01, axis=0)[inside], task.qdd[inside], atol=1.5)
    np.testing.assert_allclose(task.q[0], start_of(pioneer, seed), atol=1e-9)
    for rows in (task.qd, task.qdd):
        np.testing.assert_allclose(rows[[0, -1]], 0.0, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_wheels_roll_and_never_slip_sideways(pioneer: Robot, kind: str, seed: int) -> None:
    task = drawn(pioneer, kind, seed)
    c, s = np.cos(task.q[:, 2]), np.sin(task.q[:, 2])
    v, across = c * task.qd[:, 0] + s * task.qd[:, 1], c * task.qd[:, 1] - s * task.qd[:, 0]
    np.testing.assert_allclose(across, 0.0, atol=1e-9)
    base = Base.of(pioneer, nominal_physics(pioneer))
    np.testing.assert_allclose(base.wheel_rate(v, task.qd[:, 2]), task.qd[:, 3:], atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", KINDS)
def test_a_task_stays_inside_the_robots_task_space_and_moves(pioneer: Robot, kind: str, seed: int) -> None:
    task = drawn(pioneer, kind, seed)
    assert np.all(np.abs(task.qd) <= 0.7 * np.array(pioneer.limits.speed) + 1e-9)
    assert np.all(np.abs(task.q[:, :2]) <= 2.0)
    c, s = np.cos(task.q[:, 2]), np.sin(task.q[:, 2])
    v, a = (c * rows[:, 0] + s * rows[:, 1] for rows in (task.qd, task.qdd))
    base = Base.of(pioneer, nominal_physics(pioneer))
    assert np.abs(base.wheel_torque(v, task.qd[:, 2], a, task.qdd[:, 2])).max() <= 1.5
    assert np.abs(np.diff(task.q[:, 3:], axis=0)).sum(axis=0).min() > 3.0  # rad


def test_an_eight_ends_where_it_began_and_turns_both_ways(pioneer: Robot) -> None:
    task = draw_task(pioneer, "eight", np.zeros(5), 10.0, np.random.default_rng(1))
    np.testing.assert_allclose(task.q[-1, :3], 0.0, atol=1e-6)
    assert np.ptp(task.q[:, 2]) == pytest.approx(2 * 2.404825557695773)
    assert min(np.abs(task.qd[:, 2].min()), task.qd[:, 2].max()) > 1.0


def test_a_shuttle_drives_straight_and_turns_on_the_spot(pioneer: Robot) -> None:
    task = drawn(pioneer, "shuttle", 2)
    speed, rate = np.hypot(task.qd[:, 0], task.qd[:, 1]), np.abs(task.qd[:, 2])
    assert speed.max() > 0.3
    assert rate.max() > 0.3
    assert np.all((speed < 1e-9) | (rate < 1e-9))


@pytest.mark.parametrize("kind", KINDS)
def test_short_tasks_can_be_drawn_too(pioneer: Robot, kind: str) -> None:
    task = drawn(pioneer, kind, 3, duration_s=1.5)
    assert len(task.q) == 150
    assert np.abs(np.diff(task.q, axis=0)).max() < 0.2


def test_a_seed_decides_a_task(pioneer: Robot) -> None:
    assert drawn(pioneer, "slalom", 5).q.tobytes() == drawn(pioneer, "slalom", 5).q.tobytes()
    assert drawn(pioneer, "slalom", 5).q.tobytes() != drawn(pioneer, "slalom", 6).q.tobytes()
