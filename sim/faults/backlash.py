"""Play in a gear: after the effort changes sign the motor has to cross a gap before it pushes again.

Gap of `rad` (0 to 0.05 rad); the motor crosses it with its own inertia under its own torque, and lands without bounce.
Left to itself, the gap is 0.02, or what typical effort takes three control periods to cross if that is more: a shorter
break the control loop does not meet.
Source: Nordin and Gutman, Controlling mechanical systems with backlash, 2002 (dead-zone model).
"""

from __future__ import annotations

from core.robot import Robot
from sim.drive import crossing_inertia
from sim.effect import Effect, on
from sim.faults.kind import DIFFDRIVE, JOINTED, FaultKind, Parameter, Values

_GAP, _PERIODS = 0.02, 3.0


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(backlash=on(targets, len(robot.actuators), values["rad"]))


def _felt(robot: Robot, place: int | None) -> float:
    if robot.uses is None or place is None:
        return _GAP
    joint = robot.drives[place]
    inertia = crossing_inertia(0.0 if joint is None else robot.drive.rotor_inertia[joint])
    return max(_GAP, 0.5 * robot.uses.effort_typical[place] / inertia * (_PERIODS * robot.dt_s) ** 2)


KIND = FaultKind(
    name="backlash",
    meaning="play in a gear",
    parameters=(
        Parameter(name="rad", unit="rad", default=_GAP, low=0.0, high=0.05, meaning="width of the gap", sized=_felt),
    ),
    target="actuator",
    effect=_effect,
    kinds=JOINTED | {DIFFDRIVE},
)
