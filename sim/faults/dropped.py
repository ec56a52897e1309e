"""Commands that never arrive: the drive keeps the last one.

Each tick independently with probability `share` (0 to 0.5).
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(drop_share=values["share"])


KIND = FaultKind(
    name="dropped",
    meaning="commands that never arrive",
    parameters=(
        Parameter(name="share", unit="1", default=0.2, low=0.0, high=0.5, meaning="share of commands that is lost"),
    ),
    target="robot",
    effect=_effect,
)
