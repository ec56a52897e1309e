"""What the simulated robot is made of: link inertias, joint friction and the physics step.

Three kinds exist. `nominal_physics` is what the URDF says. A twin's physics carries inertias fitted to telemetry.
`hidden_physics` is the robot that nobody may look into: its links are off by up to 10 %, its joints have Stribeck
friction and its physics runs on a finer step, so that neither controller, fault model nor twin holds the equation it
obeys.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pinocchio as pin

from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot


@dataclass(frozen=True, slots=True, kw_only=True)
class Physics:
    """Constants of one simulated robot; vectors have one entry per joint."""

    substeps: int  # physics steps per control tick
    inertials: Array  # (10 n,) inertial parameters of the links about their joint frames
    viscous: Array  # viscous friction [N*m*s/rad]
    coulomb: Array  # Coulomb friction [N*m]
    stiction: Array  # friction at breakaway, at least Coulomb [N*m]
    stribeck_rad_s: float = 0.05  # speed over which stiction falls to Coulomb friction


def nominal_physics(robot: Robot, substeps: int = 1) -> Physics:
    """The robot as its URDF describes it."""
    zero = np.zeros(robot.dof)
    return Physics(
        substeps=substeps,
        inertials=RigidBodyModel(robot).inertial_parameters(),
        viscous=np.array(robot.limits.damping),
        coulomb=zero,
        stiction=zero,
    )


def hidden_physics(robot: Robot, seed: int) -> Physics:
    """A robot off the production line, drawn from `seed`.

    Link mass =U(0.9, 1.1) and inertia =U(0.9, 1.1) of nominal, viscous friction *U(0.8, 1.2), Coulomb friction =U(0.1,
    0.3) % of the torque limit, stiction =U(1.1, 1.4) of Coulomb friction. Two physics steps per control tick.
    """
    rng = np.random.default_rng([seed, 0xB0D7])
    inertials = []
    for inertia in list(RigidBodyModel(robot).model.inertias)[1:]:
        mass = inertia.mass * rng.uniform(0.9, 1.1)
        body = pin.Inertia(mass, inertia.lever, inertia.inertia * rng.uniform(0.9, 1.1))
        inertials.append(body.toDynamicParameters())
    coulomb = np.array(robot.limits.effort) * rng.uniform(0.001, 0.003, robot.dof)
    return Physics(
        substeps=2,
        inertials=np.concatenate(inertials),
        viscous=np.array(robot.limits.damping) * rng.uniform(0.8, 1.2, robot.dof),
        coulomb=coulomb,
        stiction=coulomb * rng.uniform(1.1, 1.4, robot.dof),
    )


def physical_inertials(parameters: Array) -> Array:
    """The nearest (10 n,) parameters that rigid bodies can have: positive masses, valid inertias.

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
