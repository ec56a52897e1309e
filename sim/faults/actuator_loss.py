"""A motor that gives only a share of the effort it is asked for.

The measured torque, motor current times the nominal constant, still says what was asked: the loss is in the magnets
or the gear. gain 0.3 to 1.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import ALL, QUADROTOR, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(gain_loss=on(targets, len(robot.actuators), 1.0 - values["gain"]))


KIND = FaultKind(
    name="actuator_loss",
    meaning="a motor that gives too little",
    parameters=(
        Parameter(name="gain", unit="1", default=0.6, low=0.3, high=1.0, meaning="share of the effort that is left"),
    ),
    target="actuator",
    effect=_effect,
    kinds=ALL - {QUADROTOR},
)
