"""Elastic drag: a cable, hose or seal that pulls the joint towards its home position.

Torque -k (q - home), k in N*m/rad (0 to 100). Left to itself, 20, but no more than takes the joint's rated effort at
one radian from home.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import JOINTED, FaultKind, Parameter, Values
from sim.faults.targets import rated_effort

_STIFFNESS = 20.0


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(stiffness=on(targets, robot.dof, values["stiffness"]))


def _bearable(robot: Robot, place: int | None) -> float:
    return _STIFFNESS if place is None else min(_STIFFNESS, rated_effort(robot, place))


KIND = FaultKind(
    name="spring",
    meaning="a cable or hose that pulls towards home",
    parameters=(
        Parameter(
            name="stiffness",
            unit="N*m/rad",
            default=_STIFFNESS,
            low=0.0,
            high=100.0,
            meaning="torque per angle",
            sized=_bearable,
        ),
    ),
    target="joint",
    effect=_effect,
    kinds=JOINTED,
)
