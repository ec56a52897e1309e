"""The twin of one robot: calibrated on its healthy telemetry, fitted to its incident, ready to be simulated.

It is a posterior, not a point: `sample` draws physics and fault together, so that evidence rests on every robot that
could have said what this one said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from controllers.artefact import Artefact
from core.block import Array, Block
from core.robot import Robot
from sim.effect import NO_EFFECT, Effect
from sim.faults.course import FaultCourse
from sim.kinds import nominal_physics, open_plant
from sim.physics import Physics, physical_inertials
from sim.rollout import make_runtime, run
from sim.twin.fit import fit_all
from sim.twin.hypotheses import Evidence
from telemetry.calibration import Calibration, calibrate
from telemetry.jump import measure_jump
from telemetry.lag import command_noise, measure_lag
from telemetry.motion import smooth

Z90 = 1.645  # half width of a two-sided 90 % interval, in standard deviations
_OUTSIDE = 0.01  # probability kept for causes that the catalogue does not have
_REPLAY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCause:
    """One hypothesis with its share of the evidence."""

    cause: str
    label: str
    probability: float
    theta: Array  # (k,) posterior mean of the unknowns
    covariance: Array  # (k, k)
    effect: Callable[[Array], Effect]
    describe: Callable[[Array], dict[str, float]]

    def interval(self) -> dict[str, tuple[float, float]]:
        """90 % interval of each estimate, in the order low, high."""
        low: dict[str, float] = {}
        high: dict[str, float] = {}
        for k in range(len(self.theta)):
            step = np.zeros(len(self.theta))
            step[k] = Z90 * np.sqrt(self.covariance[k, k])
            ends = [self.describe(self.theta - step), self.describe(self.theta + step)]
            centre = self.describe(self.theta)
            for name, value in centre.items():
                values = [end[name] for end in ends]
                if values[0] != values[1]:
                    low[name] = min(low.get(name, value), *values)
                    high[name] = max(high.get(name, value), *values)
        return {name: (low[name], high[name]) for name in low}


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A robot model, what its healthy telemetry taught, and the causes of its incident, most probable first."""

    robot: Robot
    calibration: Calibration
    causes: tuple[RankedCause, ...]

    def physics(self, correction: Array | None = None) -> Physics:
        """Constants of the twin for one value of the calibration's corrections, by default their mean."""
        n = self.robot.dof
        c = self.calibration.correction if correction is None else correction
        nominal = nominal_physics(self.robot)
        coulomb = np.maximum(c[11 * n :], 0.0)
        return replace(
            nominal,
            inertials=physical_inertials(nominal.inertials + c[: 10 * n]),
            viscous=np.maximum(nominal.viscous + c[10 * n : 11 * n], 0.0),
            coulomb=coulomb,
            stiction=coulomb,
        )

    @property
    def effect(self) -> Effect:
        """The most probable fault at its mean."""
        top = self.causes[0]
        return top.effect(top.theta)

    def sample(self, rng: np.random.Generator) -> tuple[Physics, Effect]:
        """One robot and fault from the posterior of the first cause."""
        top = self.causes[0]
        c = self.calibration
        return self.physics(_draw(rng, c.correction, c.covariance)), top.effect(_draw(rng, top.theta, top.covariance))


def _draw(rng: np.random.Generator, mean: Array, covariance: Array) -> Array:
    """One sample of a Gaussian; by eigenvalues, which a covariance that is singular to rounding does not upset."""
    if not len(mean):
        return mean
    symmetric = 0.5 * (covariance + covariance.T)
    return rng.multivariate_normal(mean, symmetric, method="eigh", check_valid="ignore")


def fit_twin(
    robot: Robot,
    head: Block,
    after_onset: Block,
    calibration: Calibration | None = None,
    around_onset: Block | None = None,
) -> Twin:
    """Fit a twin to healthy telemetry and to the stretch right after an incident's onset.

    Args:
        head: healthy telemetry.
        after_onset: telemetry under the fault, at least a second.
        calibration: of the same head, if it is known already.
        around_onset: telemetry from before the fault until it was in force, for what an onset alone shows.
    """
    calibration = calibration or calibrate(robot, head)
    motion = smooth(after_onset, robot.control_rate_hz, torque_lag_s=0.5 * robot.dt_s)
    evidence = Evidence(robot, calibration, motion)
    jump = None if around_onset is None else measure_jump(robot, head, around_onset)
    fits = fit_all(evidence.hypotheses(), calibration, jump)
    noise = command_noise(robot, head)
    before, now = measure_lag(robot, head, noise), measure_lag(robot, after_onset, noise)
    on_time = -now.loss[round(before.ticks)]
    scored = []
    for fit in fits:
        h = fit.hypothesis
        covariance = fit.covariance + evidence.calibration_spread(fit)
        scored.append((fit.log_evidence + on_time, h.cause, h.label, fit.theta, covariance, h.effect, h.describe))
        if h.cause == "none":
            delay_s = np.array([(now.ticks - before.ticks) * robot.dt_s])
            spread = np.array([[(now.std_ticks**2 + before.std_ticks**2) * robot.dt_s**2]])
            late = fit.log_evidence - float(now.loss.min()) - 3.0  # the price of one more unknown
            scored.append((late, "delay", "delay", delay_s, spread, _delayed(robot.dof), _describe_delay))
    top = max(score[0] for score in scored)
    weights = np.exp([score[0] - top for score in scored])
    weights *= (1.0 - _OUTSIDE) / weights.sum()
    causes = [
        RankedCause(
            cause=cause,
            label=label,
            probability=float(weight),
            theta=theta,
            covariance=covariance,
            effect=effect,
            describe=describe,
        )
        for weight, (_, cause, label, theta, covariance, effect, describe) in zip(weights, scored, strict=True)
    ]
    return Twin(robot=robot, calibration=calibration, causes=tuple(sorted(causes, key=lambda c: -c.probability)))


def _delayed(dof: int) -> Callable[[Array], Effect]:
    return lambda theta: replace(NO_EFFECT, delay_s=max(float(theta[0]), 0.0))


def _describe_delay(theta: Array) -> dict[str, float]:
    return {"ms": 1000.0 * float(theta[0])}


def fidelity(twin: Twin, incumbent: Artefact, after_onset: Block) -> float:
    """How well the fitted twin repeats the incident: 1 minus the error of its tracking error, relative, at least 0.

    The twin starts in the measured state and follows the recorded references under the incumbent.
    """
    robot, effect = twin.robot, twin.effect
    rows = after_onset.between(after_onset.t_s[0], after_onset.t_s[0] + _REPLAY_S)
    first = rows.rows()[0]
    q = np.array(first.frame.q) - effect.vector("offset", robot.dof)
    course = FaultCourse.constant(effect)
    with open_plant(robot, twin.physics(), course, seed=0) as plant:
        plant.reset(q, np.array(first.frame.qd), np.array(first.frame.tau_cmd))
        trace = run(plant, make_runtime(robot, incumbent), [row.reference for row in rows.rows()])
    measured = rows.group("q_ref") - rows.group("q")
    if trace.diverged or len(trace.measured_error) != len(measured):
        return 0.0
    miss = np.sqrt(np.mean(np.square(trace.measured_error - measured)))
    return float(np.clip(1.0 - miss / np.sqrt(np.mean(np.square(measured))), 0.0, 1.0))
