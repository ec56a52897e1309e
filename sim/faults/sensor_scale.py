"""A position sensor with a wrong scale.

reading = (1 + share) truth, -0.2 to 0.2. Left to itself, 0.05, or what misreads a typical position of the tasks by five
standard deviations of the noise if that is more: what stays near zero hides a small error of scale.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter, Values

_SHARE, _NOISES = 0.05, 5.0


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(scale=on(targets, robot.dof, values["share"]))


def _read_wrong(robot: Robot, place: int | None) -> float:
    if robot.uses is None or place is None:
        return _SHARE
    return max(_SHARE, _NOISES * robot.sensors.position_noise[place] / max(robot.uses.position_typical[place], 1e-9))


KIND = FaultKind(
    name="sensor_scale",
    meaning="a position sensor with a wrong scale",
    parameters=(
        Parameter(
            name="share",
            unit="1",
            default=_SHARE,
            low=-0.2,
            high=0.2,
            meaning="relative error of the reading",
            sized=_read_wrong,
        ),
    ),
    target="sensor",
    effect=_effect,
)
