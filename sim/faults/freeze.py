"""A position reading that no longer changes while everything else goes on."""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(freeze=on(targets, robot.dof, 1.0))


KIND = FaultKind(
    name="freeze",
    meaning="a position reading that stands still",
    parameters=(),
    target="sensor",
    effect=_effect,
)
