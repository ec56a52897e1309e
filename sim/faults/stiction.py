"""A joint that sticks: friction at breakaway above the friction in motion.

Stribeck curve c + s exp(-(v / v_s)^2), s = share of the drive's effort limit (0 to 0.2), v_s = 0.05 rad/s.
Source: Armstrong-Helouvry, Dupont, Canudas de Wit 1994.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import DIFFDRIVE, JOINTED, FaultKind, Parameter, Values
from sim.faults.targets import efforts


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(stiction=efforts(robot, values["share"], targets))


KIND = FaultKind(
    name="stiction",
    meaning="a joint that sticks before it moves",
    parameters=(
        Parameter(name="share", unit="1", default=0.05, low=0.0, high=0.2, meaning="share of the drive's effort limit"),
    ),
    target="joint",
    effect=_effect,
    kinds=JOINTED | {DIFFDRIVE},
)
