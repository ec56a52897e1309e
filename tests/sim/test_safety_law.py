"""The safety law of every shipped robot, from states reached at random ticks of its work: within limits, to rest."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.library import find_law
from controllers.runtime import Runtime
from controllers.slot import Slot
from core.frames import Frame, Reference
from core.robot_toml import load_robot
from sim.catalogue import shipped_robots
from sim.faults.course import FaultCourse
from sim.kinds import hidden_physics, open_plant
from sim.tasks.catalogue import endless_tasks

SEEDS = (0, 1)
LATEST_S, HELD_S = 5.0, 2.5  # of work before the failure; with the safety law after it
AT_REST = 0.05  # share of the speed limit
AT_REST_IN_AIR = 0.2  # level flight without a position loop drifts


class Failing(Slot):
    """The shipped controller, which gives no command from one tick on. For tests only."""

    fails = False

    def compute(self, frame: Frame, reference: Reference) -> list[float]:
        return [] if self.fails else super().compute(frame, reference)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", sorted(shipped_robots()))
def test_the_safety_law_brings_the_robot_to_rest_within_its_limits(name: str, seed: int) -> None:
    robot = load_robot(shipped_robots()[name])
    committed = Failing(robot, find_law(robot, robot.controller))
    runtime = Runtime(robot, committed, Slot(robot, find_law(robot, robot.safety_controller)))
    fails_at = round(float(np.random.default_rng([seed, 5]).uniform(1.0, LATEST_S)) / robot.dt_s)
    references = endless_tasks(robot, seed)
    lower, upper, fastest = (np.array(getattr(robot.limits, limit)) for limit in ("lower", "upper", "speed"))
    speeds = []
    with open_plant(robot, hidden_physics(robot, seed), FaultCourse(), seed) as plant:
        for tick in range(fails_at + round(HELD_S / robot.dt_s)):
            committed.fails = tick >= fails_at
            frame = plant.measure()
            command = runtime.tick(frame, next(references), frame.stamp_ns)
            plant.apply(command.tau)  # raises where the robot comes apart
            if committed.fails:
                assert command.source == "safety"
                position = plant.true_state()[0]
                assert np.all((lower <= position) & (position <= upper)), f"beyond its range at tick {tick}"
                speeds.append(np.abs(np.array(frame.qd)) / fastest)
                assert speeds[-1].max() <= 1.0, f"too fast at tick {tick}"
    assert np.max(speeds[-50:]) <= (AT_REST_IN_AIR if robot.mode == "thrust" else AT_REST)
