"""Learn this robot from its healthy telemetry: what the URDF got wrong, and how much noise is normal.

    tau = ID(q, v, a) + Y(q, v, a) dpi + diag(v) dviscous + diag(tanh(v / v0)) coulomb + noise

is linear in the corrections, so the posterior is Gaussian. The prior keeps what the motion does not show at the URDF's
values. Later faults are measured against the calibrated model, or an arm that is 5 % heavier than its data sheet would
be taken for one that carries a load. Source: Atkeson, An, Hollerbach 1986; prior as in Wensing, Kim, Slotine 2018.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from core.block import Array, Block
from core.errors import BadInput
from core.rigid_body import RigidBodyModel
from core.robot import Robot
from telemetry.motion import Motion, smooth

DRY_RAD_S = 0.05  # speed over which dry friction changes sign; the usual Stribeck speed of geared joints
_SHARE = 0.1  # prior standard deviation of a link's mass and inertia, as a share of nominal
_COM_M = 0.01  # prior standard deviation of a centre of mass
_MIN_HEAD_S = 9.0  # 200 independent samples and the filter's edges


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The healthy robot: posterior mean and covariance of its corrections, and what the model leaves unexplained."""

    correction: Array  # (12 n,) dpi (10 n), dviscous (n), coulomb (n)
    covariance: Array  # (12 n, 12 n)
    noise_nm: Array  # (n,) standard deviation of the smoothed torque residual
    samples: int

    def model(self, robot: Robot) -> RigidBodyModel:
        """The rigid-body model with the corrected inertias and viscous friction."""
        model = RigidBodyModel(robot)
        n = robot.dof
        model.set_inertial_parameters(model.inertial_parameters() + self.correction[: 10 * n])
        model.damping = model.damping + self.correction[10 * n : 11 * n]
        return model

    @property
    def coulomb(self) -> Array:
        """(n,) Coulomb friction [N*m]."""
        return self.correction[-len(self.noise_nm) :]


def calibrate(robot: Robot, head: Block) -> Calibration:
    """Fit the corrections to a healthy stretch of telemetry.

    Raises:
        BadInput: the stretch is too short to learn from.
    """
    length_s = len(head) * robot.dt_s
    if length_s < _MIN_HEAD_S:
        raise BadInput(
            f"{length_s:.1f} s of healthy motion are too few to learn from; record at least {_MIN_HEAD_S:.0f} s"
        )
    motion = smooth(head, robot.control_rate_hz, torque_lag_s=0.5 * robot.dt_s)
    columns, target = linear_system(robot, RigidBodyModel(robot), motion)
    prior = 1.0 / np.square(_prior_scale(robot))
    noise = np.full(robot.dof, 1.0)
    for _ in range(3):  # noise and fit depend on each other; three rounds settle to under a per cent
        weights = np.tile(1.0 / noise, len(motion))
        rows = columns * weights[:, None]
        factor = cho_factor(rows.T @ rows + np.diag(prior))
        correction = cho_solve(factor, rows.T @ (target * weights))
        residual = (target - columns @ correction).reshape(len(motion), robot.dof)
        noise = np.maximum(residual.std(axis=0), 1e-3)
    covariance = cho_solve(factor, np.eye(len(prior)))
    return Calibration(correction=correction, covariance=covariance, noise_nm=noise, samples=len(motion))


def _prior_scale(robot: Robot) -> Array:
    """(12 n,) prior standard deviations around the URDF."""
    blocks = []
    for pi in RigidBodyModel(robot).inertial_parameters().reshape(-1, 10):
        mass, moment = pi[0], np.array([pi[4], pi[6], pi[9]]).mean()
        first = np.abs(pi[1:4]) * _SHARE + mass * _COM_M
        blocks.append(np.concatenate([[_SHARE * mass], first, np.full(6, _SHARE * moment)]))
    viscous = 0.3 * np.array(robot.limits.damping) + 0.02
    coulomb = 0.01 * np.array(robot.limits.effort)
    return np.concatenate([*blocks, viscous, coulomb])


def linear_system(robot: Robot, model: RigidBodyModel, motion: Motion) -> tuple[Array, Array]:
    """Regressor (N n, 12 n) and target (N n,): what the nominal model does not explain of the torque."""
    n = robot.dof
    columns = np.zeros((len(motion), n, 12 * n))
    target = np.zeros((len(motion), n))
    for k, (q, v, a, tau) in enumerate(zip(motion.q, motion.v, motion.a, motion.tau, strict=True)):
        columns[k, :, : 10 * n] = model.inertial_regressor(q, v, a)
        columns[k, :, 10 * n : 11 * n] = np.diag(v)
        columns[k, :, 11 * n :] = np.diag(np.tanh(v / DRY_RAD_S))
        target[k] = tau - model.inverse_dynamics(q, v, a)
    return columns.reshape(-1, 12 * n), target.reshape(-1)
