"""Viscous friction of a joint, grown by a factor, by an amount, or both.

Torque -b v with b = scale * nominal + viscous. Applied with the velocity at the end of the step, so that it brakes and
never pushes, however large it is against the inertia (`sim.plants.fixed_base`).
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import DIFFDRIVE, JOINTED, FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(
        viscous=tuple(
            (values["scale"] - 1.0) * damping + values["viscous"] if i in targets else 0.0
            for i, damping in enumerate(robot.limits.damping)
        )
    )


KIND = FaultKind(
    name="friction",
    meaning="viscous joint friction, grown",
    parameters=(
        Parameter(name="scale", unit="1", default=10.0, low=1.0, high=20.0, meaning="factor on the nominal damping"),
        Parameter(name="viscous", unit="N*m*s/rad", default=0.0, low=0.0, high=100.0, meaning="added on top"),
    ),
    target="joint",
    effect=_effect,
    kinds=JOINTED | {DIFFDRIVE},
)
