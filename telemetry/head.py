"""The healthy stretch that a robot is learnt from, and how long it has to be."""

from __future__ import annotations

from core.block import Block
from core.errors import BadInput
from core.robot import Robot

LEAST_S = 9.0  # 200 independent samples and the filter's edges


def require_head(robot: Robot, head: Block, least_s: float = LEAST_S) -> None:
    """Refuse a stretch that is too short to learn from.

    Raises:
        BadInput: it is shorter than `least_s`.
    """
    length_s = len(head) * robot.dt_s
    if length_s < least_s:
        raise short_head(robot, head, least_s)


def short_head(robot: Robot, head: Block, least_s: float) -> BadInput:
    """What is said of a stretch that is too short."""
    length_s = len(head) * robot.dt_s
    return BadInput(f"{length_s:.1f} s of healthy motion are too few to learn from; record at least {least_s:.0f} s")
