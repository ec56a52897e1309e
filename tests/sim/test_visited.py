"""What a run visited and what an incident went through are the same quantities, in the same order."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.library import find_law
from core.block import Block, flat_row
from core.frames import Frame, Reference
from sim.catalogue import find_robot
from sim.effect import NO_EFFECT, on
from sim.judge import judge
from sim.kinds import nominal_physics
from sim.scenario import Scenario
from sim.visited import stretch, visited
from tests.made_up import IIWA, N


def test_ranges_are_of_positions_speeds_and_commands() -> None:
    path = np.outer([0.0, 0.002, 0.001], np.arange(1.0, N + 1))
    command = np.outer([1.0, -2.0, 3.0], np.ones(N))
    found = visited(IIWA, path + 0.1, path, command)
    assert len(found.low) == len(found.high) == 3 * N
    assert found.low[:N] == pytest.approx([0.1] * N)
    assert found.high[:N] == pytest.approx([0.1 + 0.002 * k for k in range(1, N + 1)])
    assert found.low[N : 2 * N] == pytest.approx([-0.5 * k for k in range(1, N + 1)])
    assert found.high[N : 2 * N] == pytest.approx([1.0 * k for k in range(1, N + 1)])
    assert (found.low[2 * N :], found.high[2 * N :]) == ((-2.0,) * N, (3.0,) * N)


def test_a_run_that_came_apart_has_ranges_all_the_same() -> None:
    path = np.zeros((3, N))
    path[1, 0], path[2, 1] = np.nan, np.inf
    found = visited(IIWA, path, path, np.zeros((3, N)))
    assert all(np.isfinite(value) for value in (*found.low, *found.high))
    assert found.high[1] == 1e12


@pytest.mark.parametrize("name", ["iiwa", "diffdrive", "quadrotor"])
def test_telemetry_has_the_quantities_of_a_run(name: str) -> None:
    robot = find_robot(name)
    n, m = robot.dof, len(robot.actuators)
    q, qd, command = (tuple(base + k for k in range(size)) for base, size in ((100.0, n), (200.0, n), (300.0, m)))
    frame = Frame(seq=0, stamp_ns=0, q=q, qd=qd, tau_meas=(0.0,) * m, tau_cmd=command)
    block = Block(data=np.array([flat_row(frame, Reference(q, qd, qd))]), actuators=m)
    found = stretch(robot, block)
    same = visited(robot, np.array([q]), np.array([q]), np.array([command]))
    assert found.rows.shape == (1, len(found.names)) == (1, len(found.units)) == (1, len(same.low))
    bounded = len(same.low) - n - m
    assert found.rows[0, :bounded].tolist() == list(same.low[:bounded])
    assert found.rows[0, bounded : bounded + n].tolist() == list(qd)
    assert found.rows[0, bounded + n :].tolist() == list(same.low[bounded + n :]) == list(command)
    assert found.names[bounded] == f"speed of {robot.joints[0]}"
    assert found.units[bounded] == f"{robot.units[0]}/s"


def test_a_heading_and_a_wheel_that_turn_for_ever_have_no_range() -> None:
    robot = find_robot("diffdrive")
    names = stretch(robot, Block(data=np.zeros((1, 2 + 5 * 5 + 2 * 2)), actuators=2)).names
    assert [name for name in names if name.startswith("position")] == ["position of x", "position of y"]


def test_a_run_is_kept_as_the_sensors_say() -> None:
    """An encoder that is off by a tenth says so in the incident too."""
    physics = nominal_physics(IIWA)
    common = {"name": "", "physics": physics, "task_kind": "reach", "task_seed": 1, "noise_seed": 2, "duration_s": 0.2}
    law = find_law(IIWA, IIWA.controller)
    plain = judge(IIWA, law, Scenario(effect=NO_EFFECT, **common)).visited
    bias = NO_EFFECT.__class__(offset=on([1], N, 0.1))
    off = judge(IIWA, law, Scenario(effect=bias, **common)).visited
    start = 0.5 * (plain.low[1] + plain.high[1])
    assert off.high[1] > start + 0.09  # the arm starts where it is asked to be, and the encoder says a tenth more
