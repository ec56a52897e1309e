"""A load whose centre of mass is not where the load was meant to be.

A point mass of `mass` (kg) displaced from the payload point by x, y, z (m, up to 0.1 in sum) in the frame of the
payload link: m and m c enter the rigid-body equations, as in Atkeson, An, Hollerbach 1986.
"""

from __future__ import annotations

from core.robot import Robot
from sim.effect import Effect
from sim.faults.kind import FaultKind, Parameter, Values


def _effect(robot: Robot, values: Values, targets: tuple[int, ...]) -> Effect:
    return Effect(
        payload_kg=values["mass"],
        moment_kgm=(values["mass"] * values["x"], values["mass"] * values["y"], values["mass"] * values["z"]),
    )


KIND = FaultKind(
    name="com",
    meaning="a load that hangs off-centre",
    parameters=(
        Parameter(name="mass", unit="kg", default=2.0, low=0.0, high=10.0, meaning="mass of the load"),
        Parameter(name="x", unit="m", default=0.05, low=-0.1, high=0.1, meaning="offset along x"),
        Parameter(name="y", unit="m", default=0.0, low=-0.1, high=0.1, meaning="offset along y"),
        Parameter(name="z", unit="m", default=0.0, low=-0.1, high=0.1, meaning="offset along z"),
    ),
    target="robot",
    effect=_effect,
)
