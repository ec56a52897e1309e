"""Commands that reach the drives later than they used to.

Constant, 0 to 20 ms, on the grid of the physics steps.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import FaultKind, Parameter, Values

DELAY_MS = 6.0


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(delay_s=values["ms"] / 1000.0)


KIND = FaultKind(
    name="delay",
    meaning="commands that arrive late",
    parameters=(Parameter(name="ms", unit="ms", default=DELAY_MS, low=0.0, high=20.0, meaning="added delay"),),
    target="robot",
    effect=_effect,
)
