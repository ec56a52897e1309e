"""Play in a gear: after the effort changes sign the motor has to cross a gap before it pushes again.

Gap of `rad` (0 to 0.05 rad); the motor crosses it with its own inertia under its own torque, and lands without bounce.
Source: Nordin and Gutman, Controlling mechanical systems with backlash, 2002 (dead-zone model).
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect, on
from sim.faults.kind import DIFFDRIVE, JOINTED, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(backlash=on(targets, len(robot.actuators), values["rad"]))


KIND = FaultKind(
    name="backlash",
    meaning="play in a gear",
    parameters=(Parameter(name="rad", unit="rad", default=0.02, low=0.0, high=0.05, meaning="width of the gap"),),
    target="actuator",
    effect=_effect,
    kinds=JOINTED | {DIFFDRIVE},
)
