"""Commands that never arrive: the drive keeps the last one.

Each tick independently with probability `share` p (0 to 0.9); what a drive goes by is then p / (1 - p) control periods
old on average. Left to itself, that is as old as with the default delay, at any control rate.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.delay import DELAY_MS
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(drop_share=values["share"])


def _as_late(robot: Robot, place: int | None) -> float:
    return DELAY_MS / (DELAY_MS + 1000.0 * robot.dt_s)


KIND = FaultKind(
    name="dropped",
    meaning="commands that never arrive",
    parameters=(
        Parameter(
            name="share",
            unit="1",
            default=0.5,
            low=0.0,
            high=0.9,
            meaning="share of commands that is lost",
            sized=_as_late,
        ),
    ),
    target="robot",
    effect=_effect,
)
