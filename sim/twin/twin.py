"""The twin of one robot: calibrated on its healthy telemetry, fitted to its incident, ready to be simulated.

It is a posterior, not a point: `sample` draws physics and fault together, so that evidence rests on every robot that
could have said what this one said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from core.block import Array, Block
from core.robot import Robot
from core.threads import one_thread
from sim.effect import Effect, combine
from sim.physics import Physics
from sim.twin.cause import Cause, causes_of
from sim.twin.drive import DriveResponse
from sim.twin.fit import Fit, fit_causes
from sim.twin.kinds import twin_kind_of
from sim.twin.parts import Corrections, Likelihood, Stretch
from sim.twin.readings import ReadingStatistics
from sim.twin.slip import SlipRows, jump_rows
from sim.twin.stack import Stack
from sim.twin.standstill import Standstill
from sim.twin.unseen import unobservable, why_unseen
from telemetry.drive import learn_drive

Z90 = 1.645  # half width of a two-sided 90 % interval, in standard deviations
_OUTSIDE = 0.01  # probability kept for causes that the catalogue does not have


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCause:
    """One hypothesis with its share of the evidence: no fault, one fault, or two joined by `+`."""

    cause: str
    label: str
    probability: float
    theta: Array  # (k,) posterior mean of the unknowns
    covariance: Array  # (k, k)
    effect: Callable[[Array], Effect]
    describe: Callable[[Array], dict[str, float]]
    unseen: str = ""  # why telemetry says little of the unknowns, in words; empty if it says enough

    @property
    def faults(self) -> tuple[str, ...]:
        """Names in the fault catalogue; none for a healthy robot."""
        return () if self.cause == "none" else tuple(self.cause.split("+"))

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
    calibration: Corrections
    causes: tuple[RankedCause, ...]
    unobservable: tuple[str, ...] = ()  # sentences on faults that this telemetry cannot show

    def physics(self, correction: Array | None = None) -> Physics:
        """Constants of the twin for one value of the calibration's corrections, by default their mean."""
        chosen = self.calibration.correction if correction is None else correction
        return twin_kind_of(self.robot).physics(self.robot, chosen)

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


@one_thread()
def fit_twin(
    robot: Robot,
    head: Block,
    after_onset: Block,
    calibration: Corrections | None = None,
    around_onset: Block | None = None,
) -> Twin:
    """Fit a twin to healthy telemetry and to the stretch right after an incident's onset.

    Args:
        head: healthy telemetry.
        after_onset: telemetry under the fault, at least a second.
        calibration: of the same head, if it is known already.
        around_onset: telemetry from before the fault until it was in force, for what an onset alone shows.

    Raises:
        BadInput: the head is too short, or no twin is known for this kind of robot.
    """
    kind = twin_kind_of(robot)
    calibration = kind.calibrate(robot, head) if calibration is None else calibration
    drive = learn_drive(robot, kind.rates(head))
    stretch = Stretch(robot=robot, head=head, after=after_onset, around=around_onset, drive=drive)
    moved = _in_rates(stretch, kind.rates)
    drives = DriveResponse(moved)
    stack = Stack([*kind.rows(stretch, calibration), SlipRows(moved), *jump_rows(moved)], drives)
    common = (drives, ReadingStatistics(moved), Standstill(stretch))
    likelihoods: list[Likelihood] = [*common, *kind.likelihoods(stretch, calibration)]
    fits = fit_causes(causes_of(robot), stack, likelihoods)
    weights = np.exp([fit.log_evidence - fits[0].log_evidence for fit in fits])
    weights *= (1.0 - _OUTSIDE) / weights.sum()
    causes = tuple(_ranked(fit, float(weight)) for fit, weight in zip(fits, weights, strict=True))
    return Twin(robot=robot, calibration=calibration, causes=causes, unobservable=unobservable(fits))


def _in_rates(stretch: Stretch, rates: Callable[[Block], Block]) -> Stretch:
    """The same telemetry with velocities that are the rates of its positions."""
    around = None if stretch.around is None else rates(stretch.around)
    return replace(stretch, head=rates(stretch.head), after=rates(stretch.after), around=around)


def _ranked(fit: Fit, probability: float) -> RankedCause:
    first, *others = fit.causes
    if not others:
        effect, describe = first.effect, first.describe
    else:
        effect, describe = _both(fit.causes)
    return RankedCause(
        cause="+".join(cause.fault for cause in fit.causes),
        label=" and ".join(cause.label for cause in fit.causes),
        probability=probability,
        theta=fit.theta,
        covariance=fit.covariance,
        effect=effect,
        describe=describe,
        unseen=why_unseen(fit),
    )


def _both(
    causes: tuple[Cause, ...],
) -> tuple[Callable[[Array], Effect], Callable[[Array], dict[str, float]]]:
    """Effect and estimate of two causes; estimates are named `fault.parameter`, a second of a kind `fault2`."""
    first, second = causes
    width = len(first.prior_std)
    names = (first.fault, second.fault if second.fault != first.fault else f"{second.fault}2")

    def describe(theta: Array) -> dict[str, float]:
        found = (first.describe(theta[:width]), second.describe(theta[width:]))
        return {f"{name}.{key}": value for name, each in zip(names, found, strict=True) for key, value in each.items()}

    return lambda theta: combine([(1.0, first.effect(theta[:width])), (1.0, second.effect(theta[width:]))]), describe
