"""A velocity sensor with an offset.

reading = truth + rate (-0.5 to 0.5 rad/s or m/s); the position stays right.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FIXED_BASE, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(rate_offset=on(targets, robot.dof, values["rate"]))


KIND = FaultKind(
    name="velocity_bias",
    meaning="a velocity sensor with an offset",
    parameters=(Parameter(name="rate", unit="rad/s", default=0.1, low=-0.5, high=0.5, meaning="reading minus truth"),),
    target="sensor",
    effect=_effect,
    kinds=frozenset({FIXED_BASE}),
)
