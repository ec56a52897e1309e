"""A drive that saturates below its rated effort: thermal derating, a current limit.

Effort is clipped at a share of the rated limit (0.001 to 1), and so is the measured effort. Limits of data sheets are
generous: left to itself, the drive stops at the effort that its tasks go beyond a tenth of the time.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter, Values

_SHARE = 0.4  # on a robot of whose tasks nothing is known


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(limit_loss=on(targets, len(robot.actuators), 1.0 - values["share"]))


def _binding(robot: Robot, place: int | None) -> float:
    if robot.uses is None or place is None:
        return _SHARE
    return robot.uses.effort_peak[place] / robot.limits.effort[place]


KIND = FaultKind(
    name="torque_limit",
    meaning="a drive that saturates early",
    parameters=(
        Parameter(
            name="share",
            unit="1",
            default=_SHARE,
            low=0.001,
            high=1.0,
            meaning="share of the limit that is left",
            sized=_binding,
        ),
    ),
    target="actuator",
    effect=_effect,
)
