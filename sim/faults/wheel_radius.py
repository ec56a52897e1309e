"""A wheel whose radius has changed: wear, pressure, dirt.

radius = (1 + share) nominal, -0.1 to 0.1.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import DIFFDRIVE, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(wheel_radius=on(targets, len(robot.actuators), values["share"]))


KIND = FaultKind(
    name="wheel_radius",
    meaning="a wheel of another radius",
    parameters=(Parameter(name="share", unit="1", default=-0.05, low=-0.1, high=0.1, meaning="relative change"),),
    target="actuator",
    effect=_effect,
    kinds=frozenset({DIFFDRIVE}),
    key="wheel",
)
