"""A position sensor that has become noisy.

White noise with `factor` times the healthy standard deviation (1 to 50).
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(noise=on(targets, robot.dof, values["factor"] - 1.0))


KIND = FaultKind(
    name="sensor_noise",
    meaning="a noisy position sensor",
    parameters=(
        Parameter(name="factor", unit="1", default=10.0, low=1.0, high=50.0, meaning="factor on the healthy noise"),
    ),
    target="sensor",
    effect=_effect,
)
