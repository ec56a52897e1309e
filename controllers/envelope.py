"""The safety envelope: the last thing a command passes, and nothing a patch can change.

Default deny. A command that is merely too large is clipped, as a drive would do; a command that no healthy controller
gives, or one that would carry the robot out of its limits, is rejected and must be replaced by the caller in the same
tick.

    clipped    a command beyond its range, a change of it beyond the drive's rate
    rejected   missing or not finite, far beyond the limit, too fast a joint, no room left to stop, too much power,
               a measurement that is missing, not finite or too old
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from core.frames import Frame
from core.robot import EnvelopeLimits, Robot

_INF = math.inf


# Around a swap. Shipped robots at work, healthy or with a fault that a controller can answer, do not come near these.
_TIGHT = 0.9  # of the speed, the power and the braking that are counted on otherwise
_TIGHT_ROOM = 0.5  # of the room between a command's range and what is rejected


class Breach(StrEnum):
    """Why a command was rejected."""

    STALE = "stale measurement"
    BAD_MEASUREMENT = "measurement is not finite"
    NOT_FINITE = "command is not finite"
    FAR_BEYOND_LIMIT = "command far beyond its limit"
    OVERSPEED = "joint faster than its limit"
    JOINT_LIMIT = "no room left to stop before a joint limit"
    POWER = "mechanical power beyond the limit"


class Ruling(NamedTuple):
    """The envelope's answer: a command that may go out, or the reason why none may. Made in every tick."""

    tau: list[float] | None  # (m,) in the unit of the robot's mode; None when rejected
    breach: Breach | None
    joint: int | None  # index of the offending coordinate, or of the actuator for a command; if one
    clipped: bool


class Envelope:
    """Limits of one robot with n coordinates and m actuators, applied command by command.

    Args:
        robot: supplies the limits.
        inertia: (n,) inertia that each coordinate has to brake, for the stopping distance; zero where nothing is known.
    """

    def __init__(self, robot: Robot, inertia: Sequence[float]) -> None:
        limits, settings = robot.limits, robot.envelope
        brake = [0.0] * robot.dof  # stopping distance over speed squared
        for k, joint in enumerate(robot.drives):
            if joint is not None:
                brake[joint] = 0.5 * inertia[joint] / (settings.braking_fraction * limits.effort[k])
        # One tuple for each coordinate and actuator: this runs in every tick.
        self._coordinates = tuple(
            (i, limits.lower[i], limits.upper[i], settings.speed_fraction * limits.speed[i], brake[i])
            for i in range(robot.dof)
        )
        self._actuators = tuple(self._range(robot, k) for k in range(len(robot.actuators)))
        self._driven = tuple((k, joint) for k, joint in enumerate(robot.drives) if joint is not None)
        self._power_w = settings.power_w if robot.mode == "torque" else math.inf
        self._stale_ns = round(settings.stale_after_s * 1e9)

    @staticmethod
    def _range(robot: Robot, k: int) -> tuple[int, float, float, float, float, float]:
        """Index, range, largest step, and the range beyond which a command is rejected."""
        low, high = robot.limits.effort_low[k], robot.limits.effort_high[k]
        far = robot.envelope.reject_factor * 0.5 * (high - low)
        middle = 0.5 * (low + high)
        return k, low, high, robot.drive.command_rate[k] * robot.dt_s, middle - far, middle + far

    def rule(  # noqa: PLR0911 one return for each rule, in the order in which they count
        self, tau: Sequence[float] | None, frame: Frame, previous: Sequence[float], now_ns: int
    ) -> Ruling:
        """Judge the command `tau` (m,) against the measurement `frame` that it answers.

        Args:
            previous: (m,) the command of the last tick.
            now_ns: time on the clock that stamped the frame.
        """
        if not 0 <= now_ns - frame.stamp_ns <= self._stale_ns:
            return _reject(Breach.STALE, None)
        q, qd = frame.q, frame.qd
        if len(q) != len(self._coordinates) or len(qd) != len(self._coordinates):
            return _reject(Breach.BAD_MEASUREMENT, None)
        if tau is None or len(tau) != len(self._actuators):
            return _reject(Breach.NOT_FINITE, None)
        for i, lower, upper, speed, brake in self._coordinates:
            position, velocity = q[i], qd[i]
            if not (-speed <= velocity <= speed and -_INF < position < _INF):  # a NaN is inside nothing
                if not (math.isfinite(position) and math.isfinite(velocity)):
                    return _reject(Breach.BAD_MEASUREMENT, i)
                return _reject(Breach.OVERSPEED, i)
            reach = brake * velocity * velocity
            if (velocity > 0.0 and position + reach > upper) or (velocity < 0.0 and position - reach < lower):
                return _reject(Breach.JOINT_LIMIT, i)
        out, clipped = [], False
        for k, low, high, step, far_low, far_high in self._actuators:
            value = tau[k]
            if not far_low <= value <= far_high:
                if not math.isfinite(value):
                    return _reject(Breach.NOT_FINITE, k)
                return _reject(Breach.FAR_BEYOND_LIMIT, k)
            slowest, fastest = previous[k] - step, previous[k] + step  # if these are NaN they bind nothing
            allowed = slowest if value < slowest else fastest if value > fastest else value
            allowed = low if allowed < low else high if allowed > high else allowed
            clipped = clipped or allowed != value
            out.append(allowed)
        power = 0.0
        for k, i in self._driven:
            power += abs(out[k] * qd[i])
        if power > self._power_w:
            return _reject(Breach.POWER, None)
        return Ruling(out, None, None, clipped)

    def clip(self, k: int, value: float, previous: float) -> float:
        """`value` as the drive of actuator `k` would follow it from `previous`: its rate, and above all its range."""
        _, low, high, step, _, _ = self._actuators[k]
        return min(max(min(max(value, previous - step), previous + step), low), high)


def tightened(limits: EnvelopeLimits) -> EnvelopeLimits:
    """What a candidate is held to, and a controller in its first seconds: what gets faster and wilder goes early."""
    return EnvelopeLimits(
        power_w=_TIGHT * limits.power_w,
        speed_fraction=_TIGHT * limits.speed_fraction,
        braking_fraction=_TIGHT * limits.braking_fraction,
        reject_factor=1.0 + _TIGHT_ROOM * (limits.reject_factor - 1.0),
        stale_after_s=limits.stale_after_s,
    )


def _reject(breach: Breach, joint: int | None) -> Ruling:
    return Ruling(tau=None, breach=breach, joint=joint, clipped=False)
