"""A load at the tool that the model does not know.

A point mass at the payload point of the robot (kg, 0 to 10); on a quadrotor, base or trunk at the body's payload point.
Its weight and its inertia act; its own rotational inertia is neglected.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(payload_kg=values["mass"])


KIND = FaultKind(
    name="payload",
    meaning="a load that the model does not know",
    parameters=(Parameter(name="mass", unit="kg", default=5.0, low=0.0, high=10.0, meaning="mass of the load"),),
    target="robot",
    effect=_effect,
)
