"""Cogging: a torque that repeats with the joint angle.

a sin(N q) with a = share of the drive's effort limit (0 to 0.1) and N = 12 periods a turn, as worn gears and magnets
give (`sim.plant`).
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import JOINTED, FaultKind, Parameter, Values
from sim.faults.targets import efforts


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(ripple=efforts(robot, values["share"], targets))


KIND = FaultKind(
    name="ripple",
    meaning="torque that repeats with the joint angle",
    parameters=(
        Parameter(
            name="share",
            unit="1",
            default=0.03,
            low=0.0,
            high=0.1,
            meaning="amplitude as a share of the limit",
        ),
    ),
    target="joint",
    effect=_effect,
    kinds=JOINTED,
)
