"""The twin of a robot with a joint that nothing drives: what is learnt of the pole, and which fault it is."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import sim
from controllers.library import find_law
from core.block import Block, flat_row
from core.robot import Robot
from core.robot_toml import load_robot
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics, open_plant
from sim.rollout import make_runtime
from sim.tasks.catalogue import endless_tasks
from sim.twin.fidelity import fidelity
from sim.twin.memory import recall
from sim.twin.twin import Twin, fit_twin
from telemetry.calibration import Calibration, calibrate
from telemetry.monitor import Monitor

HEAD_S, ONSET_S, LOOK_S, END_S = 40.0, 45.0, 49.0, 52.0


@cache
def cartpole() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "cartpole" / "robot.toml")


@cache
def recorded(seed: int, fault: str) -> Block:
    """Telemetry of hidden robot `seed` at work; the fault sets in at `ONSET_S`."""
    robot = cartpole()
    runtime, rows = make_runtime(robot, find_law(robot, robot.controller)), []
    course = FaultCourse(faults=parse_faults(fault, robot), onset_s=ONSET_S)
    with open_plant(robot, hidden_physics(robot, seed), course, seed) as plant:
        for reference in islice(endless_tasks(robot, seed), round(END_S * robot.control_rate_hz)):
            frame = plant.measure()
            plant.apply(runtime.tick(frame, reference, frame.stamp_ns).tau)
            rows.append(flat_row(frame, reference))
    assert not runtime.notes
    return Block(data=np.array(rows), actuators=1)


@cache
def calibrated(seed: int) -> Calibration:
    return calibrate(cartpole(), recorded(seed, "none").between(0.0, HEAD_S))


def parts(seed: int, fault: str) -> tuple[Block, Block]:
    """Telemetry around the onset, and after it."""
    block = recorded(seed, fault)
    return block.between(ONSET_S - 5.0, LOOK_S), block.between(LOOK_S, END_S)


@cache
def twin_of(seed: int, fault: str) -> Twin:
    around, after = parts(seed, fault)
    head = recorded(seed, fault).between(0.0, HEAD_S)
    return fit_twin(cartpole(), head, after, calibrated(seed), around)


@pytest.mark.parametrize("seed", [1, 2])
def test_calibration_finds_cart_and_pole_although_no_effort_is_measured_at_the_pole(seed: int) -> None:
    found = calibrated(seed).model(cartpole()).inertial_parameters()
    nominal, true = (
        physics.inertials for physics in (twin_of(seed, "none").physics(np.zeros(24)), hidden_physics(cartpole(), seed))
    )
    moment, inertia = 13, 16  # of the pole about its joint
    assert abs(found[moment] / true[moment] - 1) < 0.05
    assert abs(found[inertia] / true[inertia] - 1) < 0.05
    assert found[0] + found[10] == pytest.approx(true[0] + true[10], rel=0.03)
    ratio = inertia, moment
    error, before = (
        abs((values[ratio[0]] / values[ratio[1]]) / (true[ratio[0]] / true[ratio[1]]) - 1)
        for values in (found, nominal)
    )
    assert error < max(0.01, 0.5 * before)


def test_the_monitor_watches_the_pole_and_has_no_drive_channel_for_it() -> None:
    monitor = Monitor(cartpole(), recorded(1, "none").between(0.0, HEAD_S))
    assert monitor.channels == ("cart.torque", "pole.torque", "cart.drive", "cart.travel", "pole.travel")
    assert monitor.watch(recorded(1, "none").between(HEAD_S, END_S)) is None


@pytest.mark.parametrize(
    ("fault", "cause", "expected"),
    [
        ("friction:joint=1,scale=3", "friction", {"joint": 1, "viscous": 8.6}),
        ("sensor_bias:joint=2,rad=0.04", "sensor_bias", {"joint": 2, "rad": 0.04}),
        ("actuator_loss:gain=0.7", "actuator_loss", {"joint": 1, "gain": 0.7}),
        ("payload:mass=0.3", "payload", {"mass": 0.3}),
    ],
)
def test_the_twin_names_the_fault_and_its_size(fault: str, cause: str, expected: dict[str, float]) -> None:
    top = twin_of(1, fault).causes[0]
    assert top.cause == cause
    found = top.describe(top.theta)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=0.1)


@pytest.mark.parametrize("fault", ["friction:joint=1,scale=3", "sensor_bias:joint=2,rad=0.04", "actuator_loss"])
def test_the_twin_repeats_the_incident(fault: str) -> None:
    around, after = parts(1, fault)
    assert fidelity(twin_of(1, fault), find_law(cartpole(), cartpole().controller), after, around) > 0.75


def test_without_the_memory_of_the_law_the_twin_does_not_repeat_the_incident() -> None:
    """The integral stands at its limit and leans the pole; a law that starts at zero does something else."""
    fault = "sensor_bias:joint=2,rad=0.04"
    law, (_, after) = find_law(cartpole(), cartpole().controller), parts(1, fault)
    assert fidelity(twin_of(1, fault), law, after) < 0.6


@pytest.mark.parametrize("lean", [0.02, -0.011])
def test_the_integral_is_found_from_the_commands(lean: float) -> None:
    """Given to a robot that had been at work for hours, its integral is in no telemetry."""
    robot = cartpole()
    runtime, rows, kept = make_runtime(robot, find_law(robot, robot.controller)), [], []
    runtime.a.controller.states["integral"][:] = [lean]
    with open_plant(robot, hidden_physics(robot, 1), FaultCourse(), 1) as plant:
        for reference in islice(endless_tasks(robot, 1), 2 * robot.control_rate_hz):
            frame = plant.measure()
            plant.apply(runtime.tick(frame, reference, frame.stamp_ns).tau)
            rows.append(flat_row(frame, reference))
            kept.append(runtime.a.controller.states["integral"][0])
    found = recall(robot, find_law(robot, robot.controller), Block(data=np.array(rows), actuators=1))
    assert abs(kept[-1]) > 1e-3
    assert found["integral"][0] == pytest.approx(kept[-1], abs=1e-9)


def test_a_law_without_memory_has_none_to_find() -> None:
    robot = cartpole()
    assert recall(robot, find_law(robot, robot.safety_controller), recorded(1, "none").between(0.0, 3.0)) == {}
