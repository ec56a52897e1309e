"""What a simulated robot is made of: inertias, friction, constants of its kind, and the physics step.

Three makes exist for every kind of robot (`sim.kinds`): nominal, as the data sheet says; a twin's, fitted to telemetry;
and hidden, the robot that nobody may look into, off by up to 10 % and on a finer physics step, so that neither
controller, fault model nor twin holds the equation it obeys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pinocchio as pin

from core.rigid_body import Array
from core.robot import Robot


@dataclass(frozen=True, slots=True, kw_only=True)
class Physics:
    """Constants of one simulated robot; vectors have one entry per coordinate."""

    substeps: int  # physics steps per control tick
    inertials: Array  # (10 b,) inertial parameters of the b moving bodies about their joint frames
    viscous: Array  # viscous friction [N*m*s/rad]
    coulomb: Array  # Coulomb friction [N*m]
    stiction: Array  # friction at breakaway, at least Coulomb [N*m]
    stribeck_rad_s: float = 0.05  # speed over which stiction falls to Coulomb friction
    constants: Mapping[str, float | tuple[float, ...]] = field(default_factory=dict)  # as in `robot.toml`


def from_data_sheet(robot: Robot, inertials: Array) -> Physics:
    """The robot as `robot.toml` and URDF describe it."""
    return Physics(
        substeps=robot.substeps,
        inertials=inertials,
        viscous=np.array(robot.limits.damping),
        coulomb=np.zeros(robot.dof),
        stiction=np.zeros(robot.dof),
        constants=dict(robot.constants),
    )


def off_the_line(robot: Robot, nominal: Physics, rng: np.random.Generator) -> Physics:
    """A robot off the production line.

    Body mass =U(0.9, 1.1) and inertia =U(0.9, 1.1) of nominal, viscous friction *U(0.8, 1.2), Coulomb friction =U(0.1,
    0.3) % of the drive's effort limit at driven coordinates, stiction =U(1.1, 1.4) of that. Twice the physics steps.
    """
    inertials = []
    for block in nominal.inertials.reshape(-1, 10):
        body = pin.Inertia.FromDynamicParameters(block)
        mass = body.mass * rng.uniform(0.9, 1.1)
        inertials.append(pin.Inertia(mass, body.lever, body.inertia * rng.uniform(0.9, 1.1)).toDynamicParameters())
    effort = np.zeros(robot.dof)
    for k, joint in enumerate(robot.drives):
        if joint is not None:
            effort[joint] = robot.limits.effort[k]
    coulomb = effort * rng.uniform(0.001, 0.003, robot.dof)
    return Physics(
        substeps=2 * nominal.substeps,
        inertials=np.concatenate(inertials),
        viscous=nominal.viscous * rng.uniform(0.8, 1.2, robot.dof),
        coulomb=coulomb,
        stiction=coulomb * rng.uniform(1.1, 1.4, robot.dof),
        constants=nominal.constants,
    )


def closed_inertials(parameters: Array) -> Array:
    """(10 b,) parameters as they are, but where rounding leaves a largest moment above the other two together."""
    blocks = parameters.reshape(-1, 10)
    moments = [np.linalg.eigvalsh(pin.Inertia.FromDynamicParameters(block).inertia) for block in blocks]
    open_ = [largest > first + second for first, second, largest in moments]
    closed = [physical_inertials(block) if is_open else block for block, is_open in zip(blocks, open_, strict=True)]
    return np.concatenate(closed)


def physical_inertials(parameters: Array) -> Array:
    """The nearest (10 b,) parameters that rigid bodies can have: positive masses, valid inertias.

    A least-squares fit knows nothing of that; Bullet needs it. Principal moments are raised to a thousandth of the
    largest and to the triangle inequality (Wensing, Kim, Slotine 2018, section III).
    """
    result = []
    for block in parameters.reshape(-1, 10):
        body = pin.Inertia.FromDynamicParameters(np.concatenate([[max(block[0], 1e-3)], block[1:]]))
        moments, axes = np.linalg.eigh(body.inertia)
        moments = np.maximum(moments, max(1e-6, 1e-3 * float(moments.max())))
        moments[2] = min(moments[2], 0.999 * (moments[0] + moments[1]))  # Bullet zeroes what rounds above the sum
        body = pin.Inertia(body.mass, body.lever, axes @ np.diag(moments) @ axes.T)
        result.append(body.toDynamicParameters())
    return np.concatenate(result)
