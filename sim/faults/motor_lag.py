"""A drive that follows slowly: first order, on top of its own.

tau_dot = (command - tau) / T, T in ms (0 to 100), solved exactly over a physics step.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(motor_lag_s=on(targets, len(robot.actuators), values["ms"] / 1000.0))


KIND = FaultKind(
    name="motor_lag",
    meaning="a drive that follows slowly",
    parameters=(Parameter(name="ms", unit="ms", default=15.0, low=0.0, high=100.0, meaning="added time constant"),),
    target="actuator",
    effect=_effect,
)
