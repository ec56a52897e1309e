"""Holding a robot: its reference comes to a stop where the robot is, and stays there until somebody says go on.

The committed controller goes on tracking, so nothing switches and every limit holds as before. The reference leaves its
path along a quintic that begins with the position, velocity and acceleration it had, and ends at rest a second later at
the measured position plus the way that it takes to stop. Coordinates that nothing drives and no pose of a base holds,
such as a pole, come to where they are at rest; a robot that stands on its joints comes to its stance, because with a
foot in the air it would tip over. Going on is the way back, to whatever is asked for by then, at no more than the speed
of the robot's tasks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from controllers.setpoint import Row, quintic
from core.frames import Reference
from core.robot import Robot

STOP_S = 1.0
_POSE = ("x", "y", "z", "yaw")  # of a base
_PEAK = 1.875  # largest slope of a smooth step, times its duration


class Hold:
    """The hold of one robot.

    Args:
        why: it is held from the start, where it is measured first; None where it is not.
    """

    def __init__(self, robot: Robot, why: str | None = None) -> None:
        self._robot, self.why = robot, why
        self._still = (0.0,) * robot.dof
        driven = {i for i in robot.drives if i is not None}
        stands = bool(driven) and "pitch" in robot.joints
        self._kept = [not stands and (i in driven or name in _POSE) for i, name in enumerate(robot.joints)]
        self._last: Row | None = None  # the reference in force
        self._from: Row | None = None  # where the way to rest began
        self._rest: Row | None = None  # where the robot is held
        self._ticks = 0  # since then
        self._back_ticks: int | None = None  # since the way back began; None where there is none
        self._back_s = STOP_S

    def begin(self, why: str) -> None:
        """Come to a stop from the next tick on; a robot that is held stays where it is."""
        if self.why is None:
            self.why, self._rest, self._back_ticks = why, None, None

    def end(self) -> None:
        """Go on with what is asked for, from the next tick on."""
        if self.why is not None:
            self.why = None
            self._back_ticks = None if self._rest is None else 0

    def forget(self) -> None:
        """The robot may be anywhere by now: what held it holds it where it is measured next."""
        self._last = self._from = self._rest = None
        self._back_ticks = None

    def at(self, measured: Sequence[float], asked: Reference) -> Reference:
        """The reference of this tick.

        Args:
            measured: (n,) position.
            asked: what the robot would follow if it were not held.
        """
        if self.why is not None:
            if self._rest is None and all(map(math.isfinite, measured)):
                self._come_to_rest(measured)
            row = self._stopping()
        else:
            row = self._returning(asked)
        self._last = row or (tuple(asked.q_ref), tuple(asked.qd_ref), tuple(asked.qdd_ref))
        return asked if row is None else Reference(*map(list, row))

    def _come_to_rest(self, measured: Sequence[float]) -> None:
        self._from = self._last or (tuple(measured), self._still, self._still)
        robot, velocity = self._robot, self._from[1]
        rest = []
        for i, position in enumerate(measured):
            end = position + 0.5 * STOP_S * velocity[i] if self._kept[i] else robot.home[i]
            rest.append(min(max(end, robot.limits.lower[i]), robot.limits.upper[i]))
        self._rest = (tuple(rest), self._still, self._still)
        self._ticks = 0

    def _stopping(self) -> Row | None:
        if self._rest is None or self._from is None:  # no whole measurement yet: stay, if only for this tick
            return None if self._last is None else (self._last[0], self._still, self._still)
        self._ticks += 1
        u = self._ticks * self._robot.dt_s / STOP_S
        return self._rest if u >= 1.0 else quintic(self._from, self._rest, u, STOP_S)

    def _returning(self, asked: Reference) -> Row | None:
        """The way back, None at its end; it may begin before the robot has come to rest."""
        if self._back_ticks is None or self._rest is None:
            return None
        if self._back_ticks == 0:
            fastest = self._robot.tasks.speed_fraction
            away_s = [
                abs(there - here) / (fastest * speed)
                for here, there, speed in zip(self._rest[0], asked.q_ref, self._robot.limits.speed, strict=True)
            ]
            self._back_s = max(STOP_S, _PEAK * max(away_s))
        self._back_ticks += 1
        u = self._back_ticks * self._robot.dt_s / self._back_s
        stopping = self._stopping()
        if u >= 1.0 or stopping is None:
            self._back_ticks = None
            return None
        return _between(stopping, asked, u, self._back_s)


def _between(stopping: Row, asked: Reference, u: float, span_s: float) -> Row:
    """A share of the way from one motion to another; the share is a smooth step."""
    w = u * u * u * (10.0 + u * (6.0 * u - 15.0))
    wd = 30.0 * u * u * (1.0 - u) * (1.0 - u) / span_s
    wdd = 60.0 * u * (1.0 - u) * (1.0 - 2.0 * u) / (span_s * span_s)
    q, qd, qdd = [], [], []
    for q0, qd0, qdd0, q1, qd1, qdd1 in zip(*stopping, *asked, strict=True):
        q.append(q0 + w * (q1 - q0))
        qd.append(qd0 + w * (qd1 - qd0) + wd * (q1 - q0))
        qdd.append(qdd0 + w * (qdd1 - qdd0) + 2.0 * wd * (qd1 - qd0) + wdd * (q1 - q0))
    return tuple(q), tuple(qd), tuple(qdd)
