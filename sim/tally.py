"""Running metrics of one episode, by the true state: what an environment reports in `info`."""

from __future__ import annotations

import math

import numpy as np

from core.rigid_body import Array
from core.robot import Robot


class Tally:
    """Counts up over the control ticks of an episode."""

    def __init__(self, robot: Robot) -> None:
        self._scale = np.array(robot.tracking_scale)
        self._lower, self._upper = np.array(robot.limits.lower), np.array(robot.limits.upper)
        self._speed = np.array(robot.limits.speed)
        self._ticks = self._commands = self._broken = 0
        self._squares = self._max_error = self._efforts = self._variation = 0.0
        self._last: Array | None = None

    def add_state(self, q: Array, v: Array, error: Array) -> None:
        """A tick began at true position `q` and velocity `v`, (n,) each, with `error` (k,) of what is tracked."""
        error = error / self._scale
        self._ticks += 1
        self._squares += float(error @ error) / len(error)
        self._max_error = max(self._max_error, float(np.abs(error).max()))
        self._broken += bool(((q < self._lower) | (q > self._upper) | (np.abs(v) > self._speed)).any())

    def add_command(self, command: Array, effort: Array) -> None:
        """The drives were sent `command`, inside the rated range, and gave `effort`; both (m,)."""
        if self._last is not None:
            self._variation += float(np.abs(command - self._last).sum())
        self._last = command
        self._commands += 1
        self._efforts += float(effort @ effort) / len(effort)

    def metrics(self) -> dict[str, float]:
        """So far.

        `rmse`, `max_error`: of the tracked coordinates [`robot.tracking_unit`].
        `constraint_violation`: share of ticks beyond a position or speed limit.
        `control_effort`: root mean square of the drives' effort [N*m or N].
        `torque_total_variation`: sum of all changes of a command from tick to tick [`robot.command_unit`].
        """
        return {
            "rmse": math.sqrt(self._squares / max(self._ticks, 1)),
            "max_error": self._max_error,
            "constraint_violation": self._broken / max(self._ticks, 1),
            "control_effort": math.sqrt(self._efforts / max(self._commands, 1)),
            "torque_total_variation": self._variation,
        }
