"""A position sensor that has lost its low bits.

reading = step * round(truth / step), step 0 to 0.02 rad or m. Left to itself, 0.002, or ten standard deviations of the
noise if that is more: noise hides steps that are smaller than itself.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter, Values

_STEP, _NOISES = 0.002, 10.0


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(quantum=on(targets, robot.dof, values["rad"]))


def _coarse(robot: Robot, place: int | None) -> float:
    return _STEP if place is None else max(_STEP, _NOISES * robot.sensors.position_noise[place])


KIND = FaultKind(
    name="quantisation",
    meaning="a position sensor with coarse steps",
    parameters=(
        Parameter(
            name="rad", unit="rad", default=_STEP, low=0.0, high=0.02, meaning="step of the reading", sized=_coarse
        ),
    ),
    target="sensor",
    effect=_effect,
)
