"""What robots use in their tasks: what robot.toml says is what the simulation does, and faults are in its size."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from core.rigid_body import Array
from core.robot import Robot, Uses
from sim.catalogue import find_robot, shipped_robots
from sim.effect import Effect
from sim.faults.catalogue import faults_of
from sim.faults.course import FaultCourse
from sim.faults.kind import FaultKind
from sim.faults.notation import full_effect, parse_faults
from sim.uses import measure_uses
from sim.workday import work

ROBOTS = tuple(shipped_robots())
NOTICED = 1.0  # standard deviations of a reading's noise, root mean square


@pytest.mark.parametrize("name", ROBOTS)
def test_robot_toml_says_what_the_tasks_use(name: str) -> None:
    robot = find_robot(name)
    measured = measure_uses(robot)
    assert measured is not None
    assert robot.uses is not None
    for field in Uses.__dataclass_fields__:
        assert getattr(robot.uses, field) == pytest.approx(getattr(measured, field), rel=0.1), field


@pytest.mark.parametrize("name", ROBOTS)
def test_a_default_in_the_size_of_the_robot_is_more_than_noise(name: str) -> None:
    """A fault that nobody asked a number for changes a reading by more than the noise does."""
    robot = find_robot(name)
    for kind in faults_of(robot).values():
        if any(p.sized for p in kind.parameters):
            place = kind.targets(robot)[-1:]
            spec = f"{kind.name}:{kind.key}={place[0] + 1}" if place else f"{kind.name}:onset=0"
            assert noticed(robot, spec) or not any(noticed(robot, extreme) for extreme in extremes(kind, spec)), spec


def noticed(robot: Robot, spec: str) -> bool:
    """At some of four pairs of tasks: not every task meets a limit."""
    return any(changed(robot, spec, seed) >= NOTICED for seed in range(4))


def extremes(kind: FaultKind, spec: str) -> list[str]:
    """The fault as large as can be: play in a gear that weight keeps on one side is not met, however wide."""
    return [f"{spec},{p.name}={end}" for p in kind.parameters for end in (p.low, p.high) if end not in (0.0, 1.0)]


def changed(robot: Robot, spec: str, seed: int) -> float:
    """By how many standard deviations of its noise a fault changes the reading that it changes most, on average."""
    sensors = robot.sensors
    noise = np.array([*sensors.position_noise, *sensors.velocity_noise, *sensors.effort_noise])
    faulty, healthy = readings(robot, spec, seed), readings(robot, "none", seed)
    ticks = min(len(faulty), len(healthy))
    return float(np.max(np.sqrt(np.mean(np.square((faulty[:ticks] - healthy[:ticks]) / noise), axis=0))))


@lru_cache(maxsize=4)
def readings(robot: Robot, spec: str, seed: int) -> Array:
    course = FaultCourse(faults=parse_faults(spec, robot))
    block = work(robot, 8.0, hidden=seed, day=seed, course=course, segment_s=4.0)
    return np.concatenate([block.group(name) for name in ("q", "qd", "tau_meas")], axis=1)


def test_a_fault_in_all_places_has_in_each_the_size_of_that_place() -> None:
    robot = find_robot("iiwa")
    everywhere = full_effect("torque_limit", robot).limit_loss
    for joint in range(robot.dof):
        assert everywhere[joint] == full_effect(f"torque_limit:joint={joint + 1}", robot).limit_loss[joint]
    assert len(set(everywhere)) > 3
    assert full_effect("torque_limit:share=0.5", robot) == Effect(limit_loss=(0.5,) * robot.dof)


def test_a_robot_whose_uses_nobody_measured_has_the_defaults_of_the_table() -> None:
    robot = replace(find_robot("iiwa"), uses=None)
    assert full_effect("torque_limit:joint=2", robot).limit_loss[1] == pytest.approx(0.6)
    assert full_effect("backlash:joint=2", robot).backlash[1] == 0.02


def test_friction_of_a_passive_joint_is_measured_by_the_weight_that_it_carries() -> None:
    """A pole that the dry friction of its bearing holds in any pose would be a pole that is stuck."""
    robot = find_robot("cartpole")
    weight = 0.23 * 9.81 * 0.3302
    for fault, field in (("coulomb", "coulomb"), ("stiction", "stiction")):
        friction = full_effect(f"{fault}:joint=pole,share=0.1", robot).vector(field, 2)
        assert friction[1] == pytest.approx(0.1 * weight, rel=0.05)
    assert full_effect("spring:joint=pole", robot).stiffness[1] == pytest.approx(weight, rel=0.05)
    assert full_effect("coulomb:joint=cart,share=0.1", robot).coulomb[0] == pytest.approx(1.8, rel=0.05)
