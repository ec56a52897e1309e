"""Single-fault hypotheses: what each would leave in the torque residual, and which fault effect it stands for.

All but the encoder bias are linear in their unknowns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot
from sim.effect import NO_EFFECT, Effect
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
        healthy = NO_EFFECT
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
        everywhere = list(range(n))
        for joints in (everywhere, *([j] for j in everywhere)):
            found += [self._friction(joints), self._actuator_loss(joints), self._sensor_bias(joints)]
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
            slip=np.zeros((self.robot.dof, flat.shape[1])),
            effect=effect,
            describe=describe,
        )

    def _friction(self, joints: list[int]) -> Hypothesis:
        n, v = self.robot.dof, self.motion.v
        columns = np.zeros((len(v), n, len(joints)))
        for k, j in enumerate(joints):
            columns[:, j, k] = v[:, j]
        damping = self.robot.limits.damping

        def effect(theta: Array) -> Effect:
            return replace(NO_EFFECT, viscous=_spread(np.maximum(theta, 0.0), joints, n))

        def describe(theta: Array) -> dict[str, float]:
            # A joint that had no friction has nothing to scale.
            scales = [1.0 + float(theta[k]) / damping[j] for k, j in enumerate(joints) if damping[j]]
            found = {"scale": float(np.mean(scales))} if len(scales) == len(joints) else {}
            if len(joints) == 1:
                return {"joint": joints[0] + 1.0, **found, "viscous": float(theta[0])}
            return {**found, **{f"viscous_{j + 1}": float(theta[k]) for k, j in enumerate(joints)}}

        return self._linear("friction", _label("friction", joints), columns, [5.0] * len(joints), effect, describe)

    def _actuator_loss(self, joints: list[int]) -> Hypothesis:
        n, tau = self.robot.dof, self.motion.tau
        columns = np.zeros((len(tau), n, len(joints)))
        for k, j in enumerate(joints):
            columns[:, j, k] = tau[:, j]

        def effect(theta: Array) -> Effect:
            lost = _spread(np.clip(theta, 0.0, 0.7), joints, n)
            return replace(NO_EFFECT, gain_loss=lost)

        return self._linear(
            "actuator_loss",
            _label("actuator loss", joints),
            columns,
            [0.5] * len(joints),
            effect,
            lambda theta: _describe("gain", 1.0 - theta, joints),
        )

    def _sensor_bias(self, joints: list[int]) -> Hypothesis:
        """Gravity and coupling are asked for at the wrong position: nonlinear, solved by Gauss-Newton."""
        n, m = self.robot.dof, self.motion
        axes = np.eye(n)[:, joints]

        def jacobian(theta: Array) -> Array:
            shifted = m.q - axes @ theta
            slope = [self.model.torque_by_position(*row)[:, joints] for row in zip(shifted, m.v, m.a, strict=True)]
            return np.array(slope).reshape(-1, len(joints))

        return Hypothesis(
            cause="sensor_bias",
            label=_label("encoder bias", joints),
            prior_std=np.full(len(joints), 0.1),
            residual=lambda theta: self._residual_at(m.q - axes @ theta).reshape(-1),
            jacobian=jacobian,
            slip=axes,
            effect=lambda theta: replace(NO_EFFECT, offset=_spread(theta, joints, n)),
            describe=lambda theta: _describe("rad", theta, joints),
        )


def _label(what: str, joints: list[int]) -> str:
    return what if len(joints) > 1 else f"{what} joint {joints[0] + 1}"


def _spread(theta: Array, joints: list[int], n: int) -> tuple[float, ...]:
    """(k,) values of `joints` as one entry per joint."""
    values = [0.0] * n
    for k, j in enumerate(joints):
        values[j] = float(theta[k])
    return tuple(values)


def _describe(name: str, values: Array, joints: list[int]) -> dict[str, float]:
    """An estimate in the catalogue's notation: one joint, or the mean of all with each of them."""
    if len(joints) == 1:
        return {"joint": joints[0] + 1.0, name: float(values[0])}
    return {name: float(values.mean()), **{f"{name}_{j + 1}": float(values[k]) for k, j in enumerate(joints)}}
