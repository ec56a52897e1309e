"""A drive that saturates below its rated effort: thermal derating, a current limit.

Effort is clipped at a share of the rated limit (0.1 to 1), and so is the measured effort.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(limit_loss=on(targets, len(robot.actuators), 1.0 - values["share"]))


KIND = FaultKind(
    name="torque_limit",
    meaning="a drive that saturates early",
    parameters=(
        Parameter(name="share", unit="1", default=0.4, low=0.1, high=1.0, meaning="share of the limit that is left"),
    ),
    target="actuator",
    effect=_effect,
)
