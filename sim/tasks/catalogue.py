"""Every kind of task: the shipped ones and those of installed packages (entry points `remend.tasks`)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.errors import BadInput
from core.extensions import Registry
from core.frames import Reference
from core.rigid_body import Array
from core.robot import Robot
from sim.tasks import cart, flight, joint, legged, wheeled
from sim.tasks.task import Task, TaskKind

_SHIPPED = (*joint.KINDS, *cart.KINDS, *flight.KINDS, *legged.KINDS, *wheeled.KINDS)
TASKS = Registry("remend.tasks", TaskKind, _SHIPPED)


def require_task(robot: Robot, name: str) -> None:
    """See that `robot` can be given the task `name`: one of its own kinds, or of an installed package.

    Raises:
        BadInput: it is neither.
    """
    known = (*robot.tasks.kinds, *(added for added in TASKS.added if added not in robot.tasks.kinds))
    if name not in known:
        raise BadInput(f"{robot.name} does not work on '{name}'; use one of {', '.join(known)}")


def task_kind(robot: Robot, name: str) -> TaskKind:
    """The kind of task `name`, for `robot` or any other.

    Raises:
        BadInput: there is no such kind of task.
    """
    if name not in TASKS:
        raise BadInput(f"{robot.name}: there is no task '{name}'; use one of {', '.join(TASKS)}")
    return TASKS[name]


def draw_task(robot: Robot, kind: str, start: Array, duration_s: float, rng: np.random.Generator) -> Task:
    """A task of `kind` that starts and ends at rest, from `start` (n,) on, inside the robot's task space.

    Raises:
        BadInput: there is no such kind of task.
    """
    q, qd, qdd = task_kind(robot, kind).draw(robot, start, round(duration_s * robot.control_rate_hz), rng)
    return Task(kind=kind, q=q, qd=qd, qdd=qdd)


def endless_tasks(
    robot: Robot, seed: int, segment_s: float = 6.0, speeds: tuple[float, float] | None = None
) -> Iterator[Reference]:
    """The working day of a robot: tasks of all its kinds, one after the other, for ever.

    Args:
        segment_s: how long a task takes.
        speeds: slowest and fastest at which one is done, as a multiple; drawn anew for each.
    """
    rng, pace = np.random.default_rng([seed, 0x7A5C]), np.random.default_rng([seed, 0x9ACE])
    start = np.array(robot.home)
    while True:
        for kind in rng.permutation(robot.tasks.kinds):
            task = draw_task(robot, str(kind), start, segment_s, rng)
            yield from (task if speeds is None else task.at_speed(float(pace.uniform(*speeds)))).references()
            start = task.q[-1]
