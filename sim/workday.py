"""The working day of a simulated robot, recorded: telemetry as the robot would have sent it."""

from __future__ import annotations

from itertools import islice

import numpy as np

from controllers.artefact import Artefact
from controllers.library import find_law
from core.block import Block, flat_row
from core.robot import Robot
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics
from sim.rollout import make_runtime
from sim.tasks.catalogue import endless_tasks
from sim.worlds import borrow


def record(robot: Robot, seconds: float, *, fault: str = "none", seed: int = 0, law: Artefact | None = None) -> Block:
    """Telemetry of the hidden robot `seed` at its daily work; shorter than asked for if the simulation diverges.

    Args:
        seconds: how long, from power-on.
        fault: in the notation of `sim.faults.notation`; `onset=` counts from power-on, and is 0 unless given.
        seed: of the robot, its work and its noise.
        law: what controls it; by default the robot's own.

    Raises:
        BadInput: the fault or the law does not fit the robot.
    """
    course = FaultCourse(faults=parse_faults(fault, robot))
    return work(robot, seconds, hidden=seed, day=seed, course=course, law=law)


def work(
    robot: Robot,
    seconds: float,
    *,
    hidden: int,
    day: int,
    course: FaultCourse,
    law: Artefact | None = None,
    segment_s: float = 6.0,
    speeds: tuple[float, float] | None = None,
) -> Block:
    """Telemetry of the hidden robot `hidden` at the tasks and with the noise of `day`.

    Args:
        seconds: how long, from power-on; less if the simulation diverges.
        course: faults, on the clock of the robot.
        law: what controls it; by default the robot's own.
        segment_s, speeds: of its tasks; see `endless_tasks`.
    """
    rows = []
    runtime = make_runtime(robot, law or find_law(robot, robot.controller))
    plant = borrow(robot, hidden_physics(robot, hidden))
    plant.restart(course, seed=day)
    tasks = endless_tasks(robot, day, segment_s, speeds)
    for reference in islice(tasks, round(seconds * robot.control_rate_hz)):
        frame = plant.measure()
        rows.append(flat_row(frame, reference))
        try:
            plant.apply(runtime.tick(frame, reference, frame.stamp_ns).tau)
        except FloatingPointError:
            break
    return Block(data=np.array(rows), actuators=len(robot.actuators))
