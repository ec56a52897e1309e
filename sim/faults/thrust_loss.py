"""A rotor that gives only a share of its thrust: a chipped blade, a weak motor.

Thrust and drag torque of the rotor scale together. gain 0.6 to 1; below that a quadrotor cannot hover.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import QUADROTOR, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(gain_loss=on(targets, len(robot.actuators), 1.0 - values["gain"]))


KIND = FaultKind(
    name="thrust_loss",
    meaning="a rotor that gives too little thrust",
    parameters=(
        Parameter(name="gain", unit="1", default=0.8, low=0.6, high=1.0, meaning="share of the thrust that is left"),
    ),
    target="actuator",
    effect=_effect,
    kinds=frozenset({QUADROTOR}),
    key="rotor",
)
