"""A steady wind: a force on the body in the world frame.

`force` along x and `side` along y (N), each up to three; a Crazyflie weighs 0.27 N, so keep it below a tenth there.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import QUADROTOR, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(wind_n=(values["force"], values["side"], 0.0))


KIND = FaultKind(
    name="wind",
    meaning="a steady force on the body",
    parameters=(
        Parameter(name="force", unit="N", default=0.05, low=-3.0, high=3.0, meaning="force along x"),
        Parameter(name="side", unit="N", default=0.0, low=-3.0, high=3.0, meaning="force along y"),
    ),
    target="robot",
    effect=_effect,
    kinds=frozenset({QUADROTOR}),
)
