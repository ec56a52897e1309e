"""A position sensor that misses samples: its driver repeats the last reading.

Each tick independently with probability `share` (0 to 0.9).
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(dropout=on(targets, robot.dof, values["share"]))


KIND = FaultKind(
    name="dropout",
    meaning="a position sensor that misses samples",
    parameters=(
        Parameter(name="share", unit="1", default=0.3, low=0.0, high=0.9, meaning="share of repeated readings"),
    ),
    target="sensor",
    effect=_effect,
)
