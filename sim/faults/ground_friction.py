"""A slippery ground.

Friction coefficient = share * nominal, 0.1 to 1.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import DIFFDRIVE, LEGGED, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(ground_loss=1.0 - values["share"])


KIND = FaultKind(
    name="ground_friction",
    meaning="a slippery ground",
    parameters=(
        Parameter(name="share", unit="1", default=0.3, low=0.1, high=1.0, meaning="share of the friction that is left"),
    ),
    target="robot",
    effect=_effect,
    kinds=frozenset({DIFFDRIVE, LEGGED}),
)
