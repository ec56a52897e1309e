"""A wheel that slips: the ground sees only part of its motion.

Ground speed = (1 - share) radius * wheel speed while the wheel drives, share 0 to 0.5.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import DIFFDRIVE, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(slip=on(targets, len(robot.actuators), values["share"]))


KIND = FaultKind(
    name="slip",
    meaning="a wheel that slips",
    parameters=(
        Parameter(name="share", unit="1", default=0.15, low=0.0, high=0.5, meaning="share of the motion that is lost"),
    ),
    target="actuator",
    effect=_effect,
    kinds=frozenset({DIFFDRIVE}),
    key="wheel",
)
