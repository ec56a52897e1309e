"""Single-fault hypotheses: what each would leave in the torque residual, and which fault effect it stands for.

All but the encoder bias are linear in their unknowns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot
from sim.faults import Effect, no_effect
from sim.twin.fit import Fit, Hypothesis
from telemetry.calibration import DRY_RAD_S, Calibration, linear_system
from telemetry.motion import Motion


class Evidence:
    """Telemetry after the onset, against the calibrated model: everything the hypotheses are built from."""

    def __init__(self, robot: Robot, calibration: Calibration, motion: Motion) -> None:
        self.robot, self.motion, self._calibration = robot, motion, calibration
        self._columns, _ = linear_system(robot, RigidBodyModel(robot), motion)
        self.model = calibration.model(robot)
        loaded = calibration.model(robot)
        loaded.set_payload(1.0)
        self._dry = np.tanh(motion.v / DRY_RAD_S) * calibration.coulomb
        self.unexplained = self._residual_at(motion.q)
        explained = self._explained(self.model, motion.q)
        self.per_kg = self._explained(loaded, motion.q) - explained

    def _explained(self, model: RigidBodyModel, q: Array) -> Array:
        m = self.motion
        return np.array([model.inverse_dynamics(*row) for row in zip(q, m.v, m.a, strict=True)])

    def _residual_at(self, q: Array) -> Array:
        """(N, n) torque that the model does not explain when the true position is `q`."""
        return self.motion.tau - self._explained(self.model, q) - self._dry

    def calibration_spread(self, fit: Fit) -> Array:
        """(k, k) what the calibration's own uncertainty adds to the covariance of a fit."""
        k = len(fit.theta)
        if not k:
            return np.zeros((0, 0))
        weights = np.tile(1.0 / fit.noise_nm, len(self.motion))[:, None]
        J = fit.hypothesis.jacobian(fit.theta) * weights
        gain = fit.covariance @ J.T @ (self._columns * weights)
        return np.asarray(gain @ self._calibration.covariance @ gain.T)

    def hypotheses(self) -> list[Hypothesis]:
        """Every single cause that rigid-body telemetry can tell apart."""
        n, m = self.robot.dof, self.motion
        healthy = no_effect(n)
        found = [self._linear("none", "none", np.zeros((len(m), n, 0)), [], lambda _: healthy, lambda _: {})]
        found.append(
            self._linear(
                "payload",
                "payload",
                self.per_kg[:, :, None],
                [5.0],
                lambda theta: replace(healthy, payload_kg=max(float(theta[0]), 0.0)),
                lambda theta: {"mass": float(theta[0])},
            )
        )
        found.append(self._friction(range(n)))
        for j in range(n):
            found += [self._friction([j]), self._actuator_loss(j), self._sensor_bias(j)]
        return found

    def _linear(
        self,
        cause: str,
        label: str,
        columns: Array,
        prior_std: list[float],
        effect: Callable[[Array], Effect],
        describe: Callable[[Array], dict[str, float]],
    ) -> Hypothesis:
        """A hypothesis whose `columns` (N, n, k) times theta is the extra torque."""
        flat = columns.reshape(columns.shape[0] * columns.shape[1], columns.shape[2])
        unexplained = self.unexplained.reshape(-1)
        return Hypothesis(
            cause=cause,
            label=label,
            prior_std=np.array(prior_std),
            residual=lambda theta: unexplained - flat @ theta,
            jacobian=lambda _: -flat,
            effect=effect,
            describe=describe,
        )

    def _friction(self, joints: range | list[int]) -> Hypothesis:
        n, v = self.robot.dof, self.motion.v
        columns = np.zeros((len(v), n, len(joints)))
        for k, j in enumerate(joints):
            columns[:, j, k] = v[:, j]
        damping = self.robot.limits.damping

        def effect(theta: Array) -> Effect:
            added = [0.0] * n
            for k, j in enumerate(joints):
                added[j] = max(float(theta[k]), 0.0)
            return replace(no_effect(n), viscous=tuple(added))

        def describe(theta: Array) -> dict[str, float]:
            # A joint that had no friction has nothing to scale.
            scales = [1.0 + float(theta[k]) / damping[j] for k, j in enumerate(joints) if damping[j]]
            found = {"scale": float(np.mean(scales))} if len(scales) == len(joints) else {}
            if len(joints) == 1:
                return {"joint": joints[0] + 1.0, **found, "viscous": float(theta[0])}
            return {**found, **{f"viscous_{j + 1}": float(theta[k]) for k, j in enumerate(joints)}}

        label = "friction" if len(joints) > 1 else f"friction joint {joints[0] + 1}"
        return self._linear("friction", label, columns, [5.0] * len(joints), effect, describe)

    def _actuator_loss(self, j: int) -> Hypothesis:
        n, tau = self.robot.dof, self.motion.tau
        columns = np.zeros((len(tau), n, 1))
        columns[:, j, 0] = tau[:, j]
        return self._linear(
            "actuator_loss",
            f"actuator loss joint {j + 1}",
            columns,
            [0.5],
            lambda theta: replace(
                no_effect(n), gain_loss=tuple(float(np.clip(theta[0], 0, 0.7)) if i == j else 0.0 for i in range(n))
            ),
            lambda theta: {"joint": j + 1.0, "gain": 1.0 - float(theta[0])},
        )

    def _sensor_bias(self, j: int) -> Hypothesis:
        """Gravity and coupling are asked for at the wrong position: nonlinear, solved by Gauss-Newton."""
        n, m = self.robot.dof, self.motion
        axis = np.eye(n)[j]

        def jacobian(theta: Array) -> Array:
            shifted = m.q - theta[0] * axis
            slope = [self.model.torque_by_position(*row)[:, j] for row in zip(shifted, m.v, m.a, strict=True)]
            return np.array(slope).reshape(-1, 1)

        return Hypothesis(
            cause="sensor_bias",
            label=f"encoder bias joint {j + 1}",
            prior_std=np.array([0.1]),
            residual=lambda theta: self._residual_at(m.q - theta[0] * axis).reshape(-1),
            jacobian=jacobian,
            effect=lambda theta: replace(
                no_effect(n), offset_rad=tuple(float(theta[0]) if i == j else 0.0 for i in range(n))
            ),
            describe=lambda theta: {"joint": j + 1.0, "rad": float(theta[0])},
        )
