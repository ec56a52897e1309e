"""Makes a task small enough for its robot: speed and effort of the nominal model stay inside the task space."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot
from sim.tasks.task import Draw


@lru_cache(maxsize=8)
def nominal_model(robot: Robot) -> RigidBodyModel:
    """Parsing a URDF takes longer than drawing a task."""
    return RigidBodyModel(robot)


def within(shape: Draw) -> Draw:
    """The task of a `shape` that gives positions as offsets from the start, shrunk until it is feasible."""

    def draw(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        offset, qd, qdd = shape(robot, start, ticks, rng)
        scale = 1.0
        for _ in range(40):
            if _feasible(robot, start + scale * offset, scale * qd, scale * qdd):
                break
            scale *= 0.85
        return start + scale * offset, scale * qd, scale * qdd

    return draw


def _feasible(robot: Robot, q: Array, qd: Array, qdd: Array) -> bool:
    speed = robot.tasks.speed_fraction * np.array(robot.limits.speed)
    if np.any(np.abs(qd) > speed):
        return False
    driven = [(k, joint) for k, joint in enumerate(robot.drives) if joint is not None]
    limit = np.full(robot.dof, np.inf)
    for k, joint in driven:
        limit[joint] = robot.tasks.effort_fraction * robot.limits.effort[k]
    model = nominal_model(robot)
    return not any(np.any(np.abs(model.inverse_dynamics(q[k], qd[k], qdd[k])) > limit) for k in range(0, len(q), 25))
