"""A position sensor that has lost its low bits.

reading = step * round(truth / step), step 0 to 0.02 rad or m.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(quantum=on(targets, robot.dof, values["rad"]))


KIND = FaultKind(
    name="quantisation",
    meaning="a position sensor with coarse steps",
    parameters=(Parameter(name="rad", unit="rad", default=0.002, low=0.0, high=0.02, meaning="step of the reading"),),
    target="sensor",
    effect=_effect,
)
