"""An encoder that reads a constant angle too much: a slipped coupling, a lost index.

reading = truth + rad (-0.2 to 0.2 rad or m). The velocity comes from another sensor and stays right.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(offset=on(targets, robot.dof, values["rad"]))


KIND = FaultKind(
    name="sensor_bias",
    meaning="a position sensor with an offset",
    parameters=(Parameter(name="rad", unit="rad", default=0.05, low=-0.2, high=0.2, meaning="reading minus truth"),),
    target="sensor",
    effect=_effect,
)
