"""A drive that loses the first part of every effort: a worn coupling, a valve, an offset in the current loop.

Effort below `share` of the limit (0 to 0.2) gives nothing; above it that much is missing.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import FaultKind, Parameter, Values
from sim.faults.targets import drive_efforts


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(deadband=drive_efforts(robot, values["share"], targets))


KIND = FaultKind(
    name="deadband",
    meaning="small efforts that give nothing",
    parameters=(
        Parameter(name="share", unit="1", default=0.05, low=0.0, high=0.2, meaning="share of the limit that is lost"),
    ),
    target="actuator",
    effect=_effect,
)
