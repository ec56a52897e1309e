"""Dry friction of a joint: a constant torque against the motion.

-c sign(v) with c = share of the drive's effort limit (0 to 0.2), regularised below 0.01 rad/s and applied implicitly
(`sim.plants.fixed_base`). Breakaway friction grows by the same amount.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import DIFFDRIVE, JOINTED, FaultKind, Parameter, Values
from sim.faults.targets import efforts


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(coulomb=efforts(robot, values["share"], targets))


KIND = FaultKind(
    name="coulomb",
    meaning="dry joint friction",
    parameters=(
        Parameter(name="share", unit="1", default=0.05, low=0.0, high=0.2, meaning="share of the drive's effort limit"),
    ),
    target="joint",
    effect=_effect,
    kinds=JOINTED | {DIFFDRIVE},
)
