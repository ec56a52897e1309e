"""A joint that no longer moves: a brake that failed closed, or a seized bearing.

Friction of 10^4 N*m*s/rad, implicit, so that nothing can blow up; severity below 1 is a brake that drags.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import DIFFDRIVE, JOINTED, FaultKind, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(brake=on(targets, robot.dof, 1.0))


KIND = FaultKind(
    name="stuck",
    meaning="a joint that no longer moves",
    parameters=(),
    target="joint",
    effect=_effect,
    kinds=JOINTED | {DIFFDRIVE},
)
