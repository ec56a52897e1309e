"""A gyroscope with an offset, as temperature and shocks leave it.

The angular-rate reading about the yaw axis or, with `joint=roll` and so on, about another one is off by `rate` (-0.3 to
0.3 rad/s). Without `joint` all body rates are.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import DIFFDRIVE, LEGGED, QUADROTOR, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(rate_offset=on(targets, robot.dof, values["rate"]))


KIND = FaultKind(
    name="imu_bias",
    meaning="a gyroscope with an offset",
    parameters=(Parameter(name="rate", unit="rad/s", default=0.1, low=-0.3, high=0.3, meaning="reading minus truth"),),
    target="gyro",
    effect=_effect,
    kinds=frozenset({QUADROTOR, DIFFDRIVE, LEGGED}),
)
