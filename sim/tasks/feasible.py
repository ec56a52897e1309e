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
        most, model, effort = (
            robot.tasks.speed_fraction * np.array(robot.limits.speed),
            nominal_model(robot),
            _effort(robot),
        )

        def is_light(row: int) -> bool:
            torque = model.inverse_dynamics(start + scale * here[row], scale * speed[row], scale * acceleration[row])
            return bool(np.all(np.abs(torque) <= effort))

        scale, order = 1.0, list(range(len(here)))
        for _ in range(40):
            if np.all(scale * fastest <= most):
                heavy = next((row for row in order if not is_light(row)), None)
                if heavy is None:
                    break
                order.remove(heavy)
                order.insert(0, heavy)  # the row to look at first in the next round
            scale *= 0.85
        return start + scale * offset, scale * qd, scale * qdd

    return draw


def _effort(robot: Robot) -> Array:
    """(n,) effort of the task space; none where nothing drives."""
    limit = np.full(robot.dof, np.inf)
    for k, joint in enumerate(robot.drives):
        if joint is not None:
            limit[joint] = robot.tasks.effort_fraction * robot.limits.effort[k]
    return limit
