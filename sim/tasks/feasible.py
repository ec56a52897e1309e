"""Makes a task small enough for its robot: speed and effort of the nominal model stay inside the task space."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot
from sim.tasks.task import Draw

_EVERY = 25  # ticks from one look at the effort to the next


@lru_cache(maxsize=8)
def nominal_model(robot: Robot) -> RigidBodyModel:
    """Parsing a URDF takes longer than drawing a task."""
    return RigidBodyModel(robot)


def within(shape: Draw) -> Draw:
    """The task of a `shape` that gives positions as offsets from the start, shrunk until it is feasible."""

    def draw(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        offset, qd, qdd = shape(robot, start, ticks, rng)
        rows = slice(0, None, _EVERY)
        here, speed, acceleration, fastest = offset[rows], qd[rows], qdd[rows], np.abs(qd).max(axis=0)
        scale = 1.0
        for _ in range(40):
            slow = bool(np.all(scale * fastest <= robot.tasks.speed_fraction * np.array(robot.limits.speed)))
            if slow and _is_light(robot, start + scale * here, scale * speed, scale * acceleration):
                break
            scale *= 0.85
        return start + scale * offset, scale * qd, scale * qdd

    return draw


def _is_light(robot: Robot, q: Array, qd: Array, qdd: Array) -> bool:
    """Whether the nominal model moves through all rows with the effort of the task space."""
    limit = np.full(robot.dof, np.inf)
    for k, joint in enumerate(robot.drives):
        if joint is not None:
            limit[joint] = robot.tasks.effort_fraction * robot.limits.effort[k]
    model = nominal_model(robot)
    return all(np.all(np.abs(model.inverse_dynamics(*row)) <= limit) for row in zip(q, qd, qdd, strict=True))
