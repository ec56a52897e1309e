"""A position sensor with a wrong scale.

reading = (1 + share) truth, -0.2 to 0.2.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(scale=on(targets, robot.dof, values["share"]))


KIND = FaultKind(
    name="sensor_scale",
    meaning="a position sensor with a wrong scale",
    parameters=(
        Parameter(name="share", unit="1", default=0.05, low=-0.2, high=0.2, meaning="relative error of the reading"),
    ),
    target="sensor",
    effect=_effect,
)
