"""What a kind of robot adds to the twin: the shipped kinds and those of installed packages (`remend.twins`).

A kind says how it learns a healthy robot, which rows of telemetry its equation of motion gives, and how corrections of
the data sheet become the physics that is simulated. Bus, drives and sensors are the same for every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.block import Block
from core.errors import BadInput
from core.extensions import Registry
from core.rigid_body import Array
from core.robot import Robot
from sim.kinds import nominal_physics
from sim.physics import Physics, physical_inertials
from sim.twin.balance import LegCalibration, calibrate_legs, leg_rates, legs_physics
from sim.twin.breakaway import Breakaway
from sim.twin.flight import FlightCalibration, calibrate_flight, coordinate_rates, flight_physics
from sim.twin.grip import Grip
from sim.twin.parts import Corrections, Likelihood, Rows, Stretch
from sim.twin.stance import StanceRows
from sim.twin.torque import TorqueRows
from sim.twin.traction import Traction
from sim.twin.travel import WheelCalibration, base_physics, calibrate_base
from sim.twin.wheels import GroundRows, WheelTorqueRows
from sim.twin.wrench import WrenchRows
from telemetry.calibration import Calibration, calibrate


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinKind:
    """One kind of robot, as the twin sees it."""

    name: str  # `kind` in robot.toml
    calibrate: Callable[[Robot, Block], Corrections]  # from healthy telemetry
    rows: Callable[[Stretch, Corrections], Sequence[Rows]]  # of its equation of motion
    physics: Callable[[Robot, Array], Physics]  # of one value of the calibration's corrections
    likelihoods: Callable[[Stretch, Corrections], Sequence[Likelihood]] = lambda stretch, corrections: ()
    # telemetry whose velocities are the rates of its positions, where they are not
    rates: Callable[[Block], Block] = lambda block: block


def _arm_rows(stretch: Stretch, corrections: Corrections) -> Sequence[Rows]:
    assert isinstance(corrections, Calibration)
    return [TorqueRows(stretch, corrections)]


def _arm_physics(robot: Robot, correction: Array) -> Physics:
    n = robot.dof
    nominal = nominal_physics(robot)
    coulomb = np.maximum(correction[11 * n :], 0.0)
    return replace(
        nominal,
        inertials=physical_inertials(nominal.inertials + correction[: 10 * n]),
        viscous=np.maximum(nominal.viscous + correction[10 * n : 11 * n], 0.0),
        coulomb=coulomb,
        stiction=coulomb,
    )


def _base_rows(stretch: Stretch, corrections: Corrections) -> Sequence[Rows]:
    assert isinstance(corrections, WheelCalibration)
    return [WheelTorqueRows(stretch, corrections), GroundRows(stretch, corrections)]


def _base_likelihoods(stretch: Stretch, corrections: Corrections) -> Sequence[Likelihood]:
    assert isinstance(corrections, WheelCalibration)
    return [Grip(stretch, corrections), Breakaway(stretch, corrections)]


def _flight_rows(stretch: Stretch, corrections: Corrections) -> Sequence[Rows]:
    assert isinstance(corrections, FlightCalibration)
    return [WrenchRows(stretch, corrections)]


def _leg_rows(stretch: Stretch, corrections: Corrections) -> Sequence[Rows]:
    assert isinstance(corrections, LegCalibration)
    return [StanceRows(stretch, corrections)]


def _leg_likelihoods(stretch: Stretch, corrections: Corrections) -> Sequence[Likelihood]:
    return [Traction(stretch)]


_SHIPPED = (
    TwinKind(
        name="fixed_base",
        calibrate=calibrate,
        rows=_arm_rows,
        physics=_arm_physics,
    ),
    TwinKind(
        name="diffdrive",
        calibrate=calibrate_base,
        rows=_base_rows,
        physics=base_physics,
        likelihoods=_base_likelihoods,
    ),
    TwinKind(
        name="quadrotor",
        calibrate=calibrate_flight,
        rows=_flight_rows,
        physics=flight_physics,
        rates=coordinate_rates,
    ),
    TwinKind(
        name="legged",
        calibrate=calibrate_legs,
        rows=_leg_rows,
        physics=legs_physics,
        likelihoods=_leg_likelihoods,
        rates=leg_rates,
    ),
)
TWINS = Registry("remend.twins", TwinKind, _SHIPPED)


def twin_kind_of(robot: Robot) -> TwinKind:
    """How the twin sees robots of this kind.

    Raises:
        BadInput: no twin can be fitted to such a robot.
    """
    if robot.kind not in TWINS:
        raise BadInput(f"{robot.name}: no twin is known for kind '{robot.kind}'; use one of {', '.join(TWINS)}")
    return TWINS[robot.kind]
