"""A reference trajectory, and how a kind of task draws one from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.frames import Reference
from core.rigid_body import Array
from core.robot import Robot


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A reference trajectory, one row per control tick."""

    kind: str
    q: Array  # (N, n) [rad or m]
    qd: Array  # (N, n) [rad/s or m/s]
    qdd: Array  # (N, n) [rad/s^2 or m/s^2]

    def references(self) -> list[Reference]:
        """The rows as plain lists, ready for the control loop."""
        return list(map(Reference, self.q.tolist(), self.qd.tolist(), self.qdd.tolist()))

    def at_speed(self, speed: float) -> Task:
        """The same path, `speed` times as fast."""
        count = len(self.q)
        at = np.minimum(np.arange(round(count / speed)) * speed, count - 1.0)

        def stretched(rows: Array) -> Array:
            return np.stack([np.interp(at, np.arange(count), column) for column in rows.T], axis=1)

        return Task(
            kind=self.kind,
            q=stretched(self.q),
            qd=speed * stretched(self.qd),
            qdd=speed**2 * stretched(self.qdd),
        )


Draw = Callable[[Robot, Array, int, np.random.Generator], tuple[Array, Array, Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKind:
    """One kind of task.

    `draw(robot, start, ticks, rng)` gives (N, n) position, velocity and acceleration that start and end at rest, from
    `start` (n,) on, inside the robot's task space, so that tasks can be chained.
    """

    name: str  # as in `tasks.kinds` of robot.toml
    meaning: str
    draw: Draw
