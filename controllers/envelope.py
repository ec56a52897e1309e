"""The safety envelope: the last thing a command passes, and nothing a patch can change.

Default deny. A command that is merely too large is clipped, as a drive would do; a command that no healthy controller
gives, or one that would carry the robot out of its limits, is rejected and must be replaced by the caller in the same
tick.

    clipped    torque beyond the motor's limit, change of torque beyond the drive's rate
    rejected   missing or not finite, far beyond the limit, too fast a joint, no room left to stop, too much power,
               a measurement that is missing, not finite or too old
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.frames import Frame
from core.robot import Robot


class Breach(StrEnum):
    """Why a command was rejected."""

    STALE = "stale measurement"
    BAD_MEASUREMENT = "measurement is not finite"
    NOT_FINITE = "command is not finite"
    FAR_BEYOND_LIMIT = "command far beyond the torque limit"
    OVERSPEED = "joint faster than its limit"
    JOINT_LIMIT = "no room left to stop before a joint limit"
    POWER = "mechanical power beyond the limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The envelope's answer: a command that may go out, or the reason why none may."""

    tau: list[float] | None  # [N*m]; None when rejected
    breach: Breach | None
    joint: int | None  # index of the offending joint, if one
    clipped: bool


class Envelope:
    """Limits of one robot, applied command by command.

    Args:
        robot: supplies the limits.
        inertia_kgm2: (n,) inertia that each joint has to brake, for the stopping distance.
    """

    def __init__(self, robot: Robot, inertia_kgm2: Sequence[float]) -> None:
        self._inertia = tuple(inertia_kgm2)
        limits, settings = robot.limits, robot.envelope
        self._lower, self._upper = limits.lower, limits.upper
        self._torque = limits.effort
        self._reject = tuple(settings.reject_factor * torque for torque in limits.effort)
        self._speed = tuple(settings.speed_fraction * speed for speed in limits.speed)
        self._step = tuple(rate * robot.dt_s for rate in robot.drive.command_rate)
        self._braking = tuple(settings.braking_fraction * torque for torque in limits.effort)
        self._power_w = settings.power_w
        self._stale_ns = round(settings.stale_after_s * 1e9)
        self._dof = robot.dof

    def rule(self, tau: Sequence[float] | None, frame: Frame, previous: Sequence[float], now_ns: int) -> Ruling:
        """Judge `tau` [N*m] against the measurement `frame` that it answers.

        Args:
            previous: the command of the last tick [N*m].
            now_ns: time on the clock that stamped the frame.
        """
        if not 0 <= now_ns - frame.stamp_ns <= self._stale_ns:
            return _reject(Breach.STALE, None)
        if tau is None or len(tau) != self._dof:
            return _reject(Breach.NOT_FINITE, None)
        out, clipped, power = [], False, 0.0
        for i, value in enumerate(tau):
            q, qd = frame.q[i], frame.qd[i]
            breach = self._judge(i, value, q, qd)
            if breach is not None:
                return _reject(breach, i)
            allowed = self.clip(i, value, previous[i])
            clipped = clipped or allowed != value
            power += abs(allowed * qd)
            out.append(allowed)
        if power > self._power_w:
            return _reject(Breach.POWER, None)
        return Ruling(tau=out, breach=None, joint=None, clipped=clipped)

    def clip(self, i: int, tau: float, previous: float) -> float:
        """`tau` [N*m] as the drive of joint `i` would follow it from `previous`: its rate, and above all its limit."""
        reached = min(max(tau, previous - self._step[i]), previous + self._step[i])
        return min(max(reached, -self._torque[i]), self._torque[i])

    def _judge(self, i: int, tau: float, q: float, qd: float) -> Breach | None:
        """The first rule that joint `i` breaks, or None."""
        if not (math.isfinite(q) and math.isfinite(qd)):
            return Breach.BAD_MEASUREMENT
        if not math.isfinite(tau):
            return Breach.NOT_FINITE
        if abs(tau) > self._reject[i]:
            return Breach.FAR_BEYOND_LIMIT
        if abs(qd) > self._speed[i]:
            return Breach.OVERSPEED
        stopping_rad = 0.5 * self._inertia[i] * qd * qd / self._braking[i]
        if (qd > 0 and q + stopping_rad > self._upper[i]) or (qd < 0 and q - stopping_rad < self._lower[i]):
            return Breach.JOINT_LIMIT
        return None


def _reject(breach: Breach, joint: int | None) -> Ruling:
    return Ruling(tau=None, breach=breach, joint=joint, clipped=False)
