"""A supply that sags: the more all drives together give, the less each one gives.

effort *= 1 - share * (sum |effort| / sum of the limits); share 0 to 0.6. The measured effort sags too.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(sag=values["share"])


KIND = FaultKind(
    name="sag",
    meaning="a supply that sags under load",
    parameters=(
        Parameter(name="share", unit="1", default=0.4, low=0.0, high=0.6, meaning="share that is missing at full load"),
    ),
    target="robot",
    effect=_effect,
)
