"""How far each encoder has moved against the velocity sensor: an offset that set in between two moments.

Position and velocity come from two sensors (link side and motor side), so position minus integrated velocity stays put
however the robot moves. An encoder that slips shows as a step, in any joint and posture; gravity shows only some.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid

from core.block import Array, Block
from core.robot import Robot

_AVERAGE_S = 0.05  # position noise is averaged over this long at either end
_FLOOR = 1.7e-5  # of the range: below this the two sensors disagree for other reasons, backlash or flexible gears
_MOST_RANGE = 6.0  # rad or m of a coordinate that counts: a turn, or a large slide


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """Change of position minus integrated velocity over one stretch of telemetry."""

    rad: Array  # (n,)
    std_rad: Array  # (n,) what a healthy robot shows over as long a stretch

    @property
    def is_significant(self) -> bool:
        """Whether any encoder has certainly moved: six standard deviations."""
        return bool(np.any(np.abs(self.rad) > 6.0 * self.std_rad))


def measure_jump(robot: Robot, head: Block, block: Block) -> Jump:
    """The jump over `block`, judged by stretches of the same length of the healthy `head`."""
    length = len(block)
    starts = range(0, max(len(head) - length, 1), max(length // 4, 1))
    spread = np.array(robot.limits.upper) - np.array(robot.limits.lower)
    floor = _FLOOR * np.minimum(spread, _MOST_RANGE)
    healthy = np.array([_change(robot, head[at : at + length]) for at in starts])
    return Jump(rad=_change(robot, block), std_rad=np.maximum(healthy.std(axis=0), floor))


def _change(robot: Robot, block: Block) -> Array:
    travelled = cumulative_trapezoid(block.group("qd"), dx=robot.dt_s, axis=0, initial=0.0)
    slip = block.group("q") - travelled
    ends = max(1, min(round(_AVERAGE_S * robot.control_rate_hz), len(block) // 2))
    change: Array = slip[-ends:].mean(axis=0) - slip[:ends].mean(axis=0)
    return change
