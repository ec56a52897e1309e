"""Elastic drag: a cable, hose or seal that pulls the joint towards its home position.

Torque -k (q - home), k in N*m/rad (0 to 100).
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import JOINTED, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(stiffness=on(targets, robot.dof, values["stiffness"]))


KIND = FaultKind(
    name="spring",
    meaning="a cable or hose that pulls towards home",
    parameters=(
        Parameter(name="stiffness", unit="N*m/rad", default=20.0, low=0.0, high=100.0, meaning="torque per angle"),
    ),
    target="joint",
    effect=_effect,
    kinds=JOINTED,
)
