"""Fit every hypothesis of an incident's cause, weigh them by evidence, and keep the posterior of each.

Evidence is the marginal likelihood of a Gaussian linear model (MacKay, Information Theory, Inference and Learning
Algorithms, 2003, ch. 28): a hypothesis with more unknowns pays for them. Noise is what the calibrated model left
unexplained on healthy data, raised to what the best hypothesis leaves now, so that model error does not pass for
certainty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.rigid_body import Array
from sim.effect import Effect
from telemetry.calibration import Calibration
from telemetry.jump import Jump

_GAUSS_NEWTON_STEPS = 4  # converges quadratically; the bias is a few hundredths of a radian


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One possible cause with k unknowns theta and a Gaussian prior around "no fault"."""

    cause: str  # name in the fault catalogue, or "none"
    label: str  # cause and joint, for people
    prior_std: Array  # (k,)
    residual: Callable[[Array], Array]  # theta -> (N n,) unexplained torque [N*m]
    jacobian: Callable[[Array], Array]  # theta -> (N n, k)
    slip: Array  # (n, k) encoder offset per theta [rad]
    effect: Callable[[Array], Effect]  # theta -> what the twin simulates
    describe: Callable[[Array], dict[str, float]]  # theta -> estimate in the catalogue's notation


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The posterior of one hypothesis."""

    hypothesis: Hypothesis
    theta: Array  # (k,) mean
    covariance: Array  # (k, k)
    log_evidence: float
    residual_nm: Array  # (n,) standard deviation of what stays unexplained
    noise_nm: Array  # (n,) noise level that the fit assumed


def fit_all(hypotheses: list[Hypothesis], calibration: Calibration, jump: Jump | None = None) -> list[Fit]:
    """Posterior of every hypothesis, most probable first, under one common noise level.

    A significant `jump` is one more measurement of the encoders' offsets. One that is not says nothing: the offset may
    have set in before the stretch that was looked at.
    """
    seen = jump if jump is not None and jump.is_significant else None
    noise = calibration.noise_nm
    for _ in range(3):
        fits = sorted((_fit(h, noise, seen) for h in hypotheses), key=lambda fit: -fit.log_evidence)
        noise = np.maximum(calibration.noise_nm, fits[0].residual_nm)
    return fits


def _fit(hypothesis: Hypothesis, noise_nm: Array, jump: Jump | None) -> Fit:
    k, n = len(hypothesis.prior_std), len(noise_nm)
    precision = np.diag(1.0 / np.square(hypothesis.prior_std))
    theta = np.zeros(k)
    weights = np.tile(1.0 / noise_nm, len(hypothesis.residual(theta)) // n)

    def weighted(theta: Array) -> tuple[Array, Array]:
        J, r = hypothesis.jacobian(theta) * weights[:, None], hypothesis.residual(theta) * weights
        if jump is None:
            return J, r
        scale = 1.0 / jump.std_rad
        slipped = (jump.rad - hypothesis.slip @ theta) * scale
        return np.concatenate([J, -hypothesis.slip * scale[:, None]]), np.concatenate([r, slipped])

    for _ in range(_GAUSS_NEWTON_STEPS if k else 0):
        J, r = weighted(theta)
        theta = theta - np.linalg.solve(J.T @ J + precision, J.T @ r + precision @ theta)
    raw = hypothesis.residual(theta)
    J, r = weighted(theta)
    posterior = J.T @ J + precision
    log_determinant = np.linalg.slogdet(posterior)[1] + 2 * np.log(hypothesis.prior_std).sum()
    log_evidence = -0.5 * (r @ r + theta @ precision @ theta + log_determinant) - len(raw) / n * np.log(noise_nm).sum()
    return Fit(
        hypothesis=hypothesis,
        theta=theta,
        covariance=np.asarray(np.linalg.inv(posterior), dtype=np.float64),
        log_evidence=float(log_evidence),
        residual_nm=raw.reshape(-1, n).std(axis=0),
        noise_nm=noise_nm,
    )
