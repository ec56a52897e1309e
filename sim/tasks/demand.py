"""What tasks ask of the motors of an arm, by its nominal model, and the heaviest load that leaves them possible."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot
from sim.tasks.catalogue import draw_task
from sim.tasks.task import Task

_EVERY = 10  # ticks from one look at the effort to the next
_TASKS = 24
_SHARE = (
    2 / 3
)  # of a limit that a task may ask for; the rest is left to control and to tasks that were not drawn. Chosen


def efforts(model: RigidBodyModel, task: Task) -> Array:
    """(rows, n) effort [N*m or N] that `model` needs along the task without any error."""
    rows = zip(task.q[::_EVERY], task.qd[::_EVERY], task.qdd[::_EVERY], strict=True)
    return np.array([model.inverse_dynamics(*row) for row in rows])


@lru_cache(maxsize=8)
def load_through_tasks(robot: Robot) -> float:
    """Load [kg] at the payload point up to which tasks as long as a run in the evidence ask two thirds of the motors.

    The least over 24 tasks of the robot's kinds, not below 0; infinite if no motor feels the load. Effort is linear in
    the mass of a load, so two models tell all.

    Raises:
        BadInput: the robot names a task that there is not.
    """
    bare, loaded = RigidBodyModel(robot), RigidBodyModel(robot, payload_kg=1.0)
    driven = [(k, joint) for k, joint in enumerate(robot.drives) if joint is not None]
    most = np.inf
    for k in range(_TASKS):
        rng = np.random.default_rng([k, 0x10AD])
        start = rng.uniform(robot.tasks.low, robot.tasks.high)
        task = draw_task(robot, robot.tasks.kinds[k % len(robot.tasks.kinds)], start, robot.tasks.run_s, rng)
        own = efforts(bare, task)
        per_kg = efforts(loaded, task) - own
        for drive, joint in driven:
            felt = np.abs(per_kg[:, joint]) > 1e-6
            left = _SHARE * robot.limits.effort[drive] - own[felt, joint] * np.sign(per_kg[felt, joint])
            most = min(most, float(np.min(left / np.abs(per_kg[felt, joint]), initial=np.inf)))
    return max(0.0, most)
