"""Commands that arrive at random times.

Each command is late by U(0, ms), 0 to 20 ms, on the grid of the physics steps; one that is overtaken is never applied.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(jitter_s=values["ms"] / 1000.0)


KIND = FaultKind(
    name="jitter",
    meaning="commands that arrive at random times",
    parameters=(Parameter(name="ms", unit="ms", default=8.0, low=0.0, high=20.0, meaning="largest random delay"),),
    target="robot",
    effect=_effect,
)
