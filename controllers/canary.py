"""Is the candidate doing on the robot what simulation promised? Judged on what the robot can observe.

The raw tracking error is a bad judge: a correct patch for a biased encoder makes it larger. So the error is taken after
removing the sensor offset that the diagnosis found, and compared with what paired simulation showed for this robot:
while authority ramps up, the worst the incumbent does under the fault; once the candidate has settled, the worst the
candidate does. One outlier is noise; three bad ticks in ten are a verdict.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from core.frames import Frame, Reference
from core.ids import sha256_of
from core.robot import Robot

_BAD_TICKS, _OF_LAST = 3, 10  # (m, k) rule: 20 ms at 500 Hz to notice, deaf to single outliers
CHATTER_TICKS = 25  # window of the command-variation test
_STILL = 0.02  # rad/s or m/s, or a share of a slower joint's speed limit; below it nothing shows about a controller


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryLimits:
    """What paired simulation predicted; lists have one entry per coordinate, of which the tracked ones count."""

    offset: tuple[float, ...]  # diagnosed encoder offset, removed before judging
    ramp_error: tuple[float, ...]  # largest tracking error while authority ramps up
    settled_error: tuple[float, ...]  # largest tracking error with full authority
    settle_s: float  # full authority needs this long before it is held to `settled_error`
    variation_nm: float  # largest mean change of the command per tick, summed over actuators, in the command's unit

    @property
    def sha256(self) -> str:
        """What a signature vouches for; ValueError if a limit is not finite."""
        return sha256_of(self)


class CanaryMonitor:
    """Watches one candidate from its first share of authority on."""

    def __init__(self, limits: CanaryLimits, robot: Robot) -> None:
        self._limits = limits
        self._tracked, self._unit = robot.tracked, robot.command_unit
        self._still = tuple(_STILL * min(1.0, speed) for speed in robot.limits.speed)
        self._settle_ticks = round(limits.settle_s / robot.dt_s)
        self._bad: deque[bool] = deque([False] * _OF_LAST, maxlen=_OF_LAST)
        self._variation: deque[float] = deque([0.0] * CHATTER_TICKS, maxlen=CHATTER_TICKS)
        self._full_ticks = 0

    def judge(
        self, frame: Frame, reference: Reference, share: float, command: Sequence[float], previous: Sequence[float]
    ) -> str | None:
        """A sentence why the candidate must go, or None. `share` is its present authority in [0, 1]."""
        limits = self._limits
        self._full_ticks = self._full_ticks + 1 if share >= 1.0 else 0
        allowed = limits.settled_error if self._full_ticks > self._settle_ticks else limits.ramp_error
        worst, joint = 0.0, 0
        for i in self._tracked:
            error = abs(reference.q_ref[i] - frame.q[i] + limits.offset[i])
            comparable = math.isfinite(error) and allowed[i] > 0.0
            ratio = error / allowed[i] if comparable else math.inf  # what nobody can compare counts as the worst
            if ratio > worst:
                worst, joint = ratio, i
        self._bad.append(worst > 1.0)
        change = sum(abs(a - b) for a, b in zip(command, previous, strict=True))
        self._variation.append(change)
        if sum(self._bad) >= _BAD_TICKS:
            return f"tracking error of joint {joint + 1} is {worst:.2f} times what simulation allows"
        variation = sum(self._variation) / CHATTER_TICKS
        if not variation <= limits.variation_nm:
            allowed_here = f"simulation allows {limits.variation_nm:.3g}"
            return f"the command changes by {variation:.3g} {self._unit} per tick, {allowed_here}"
        return None

    def is_excited(self, reference: Reference) -> bool:
        """Whether the robot moves enough for this tick to count as evidence."""
        return any(abs(speed) > still for speed, still in zip(reference.qd_ref, self._still, strict=True))
