"""Every shipped robot, held at a random tick of its work, comes to rest within its limits, and then goes on."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.hold import Hold
from controllers.library import find_law
from controllers.runtime import Runtime
from controllers.slot import Slot
from core.robot_toml import load_robot
from sim.catalogue import shipped_robots
from sim.faults.course import FaultCourse
from sim.kinds import hidden_physics, open_plant
from sim.tasks.catalogue import endless_tasks

LATEST_S, HELD_S, AFTER_S = 5.0, 3.0, 4.0
AT_REST = 0.05  # share of the speed limit
WORSE = 4.0  # error that a hold may bring, times that of the work before


@pytest.mark.parametrize("name", sorted(shipped_robots()))
def test_a_held_robot_rests_within_its_limits_and_goes_on(name: str) -> None:
    robot = load_robot(shipped_robots()[name])
    safety = Slot(robot, find_law(robot, robot.safety_controller))
    runtime = Runtime(robot, Slot(robot, find_law(robot, robot.controller)), safety)
    hold, references = Hold(robot), endless_tasks(robot, seed=3)
    begins = round(float(np.random.default_rng([3, 6]).uniform(1.0, LATEST_S)) / robot.dt_s)
    ends = begins + round(HELD_S / robot.dt_s)
    lower, upper, fastest = (np.array(getattr(robot.limits, limit)) for limit in ("lower", "upper", "speed"))
    tracked = list(robot.tracked)
    speeds, errors = [], []
    asked = next(references)
    with open_plant(robot, hidden_physics(robot, 3), FaultCourse(), 3) as plant:
        for tick in range(ends + round(AFTER_S / robot.dt_s)):
            if tick == begins:
                hold.begin("a visitor")
            if tick == ends:
                hold.end()
            frame = plant.measure()
            asked = asked if hold.why is not None else next(references)
            reference = hold.at(frame.q, asked)
            command = runtime.tick(frame, reference, frame.stamp_ns)
            assert command.source == "a", f"the safety law took over at tick {tick}"
            plant.apply(command.tau)
            position = plant.true_state()[0]
            assert np.all((lower <= position) & (position <= upper)), f"beyond its range at tick {tick}"
            speeds.append(np.abs(np.array(frame.qd)) / fastest)
            errors.append(np.abs(np.array(frame.q) - reference.q_ref)[tracked])
    assert np.max(speeds[ends - 50 : ends]) <= AT_REST
    assert np.all(np.max(errors[begins:], axis=0) <= WORSE * np.max(errors[:begins], axis=0) + 0.01)
    assert reference == asked
