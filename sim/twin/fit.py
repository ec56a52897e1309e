"""Fit every cause and every likely pair of causes to an incident, and weigh them by evidence.

Noise is what the calibrated robot left unexplained on healthy telemetry, raised to what the best explanation leaves
now, so that what no cause explains does not pass for certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.rigid_body import Array
from sim.effect import combine
from sim.twin.cause import Cause
from sim.twin.drive import DriveResponse
from sim.twin.linear import Expansion, Library, Noise, Solution, Weighted
from sim.twin.pairs import Together, likely_pairs, shared_scans
from sim.twin.parts import Likelihood
from sim.twin.scan import Scan
from sim.twin.single import Preparation, Single
from sim.twin.stack import Stack
from telemetry.calibration import correlation_time

LOG_PAIR = float(np.log(0.1))  # two faults at once are so much less likely than the product of their shares says
_ROUNDS = 3  # noise and best explanation settle each other
# Share of what a cause changes that its model gets wrong: filters, timing and the physics step for all; the speed over
# which friction changes sign or breakaway friction fades, what a motor does while it crosses a gap, and the moment at
# which a command was in force.
_INEXACT = 0.002
_VERY_INEXACT = {"stiction": 0.1, "backlash": 0.03, "coulomb": 0.01} | dict.fromkeys(DriveResponse.sees, 0.05)
_REFINED = 6  # causes that are not linear and are expanded again where they landed
_SHARP = 0.25  # of the prior: a scan this narrow is the measurement of its unknown
_FORGOTTEN = -20.0  # log evidence, against the best, below which a pair is not kept
_POLISHED = 6  # hypotheses, among the best, whose members are expanded again where they landed together


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The posterior of one cause, or of two together."""

    causes: tuple[Cause, ...]
    theta: Array  # (k,) mean, cause after cause
    covariance: Array  # (k, k)
    log_evidence: float  # prior of the causes included


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hypothesis:
    """Causes, what was found of them outside the rows, and how they shift the rows."""

    members: tuple[Single, ...]
    scans: tuple[Scan | None, ...]  # of each member
    expansions: tuple[Expansion, ...]  # one for each member, or one for both
    outside: float  # log evidence outside the rows, and prior

    @property
    def is_linear(self) -> bool:
        return all(single.is_linear for single in self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A hypothesis and its posterior."""

    hypothesis: _Hypothesis
    solution: Solution

    @property
    def log_evidence(self) -> float:
        return self.hypothesis.outside + self.solution.gain


def fit_causes(causes: Sequence[Cause], stack: Stack, likelihoods: Sequence[Likelihood]) -> list[Fit]:
    """Posterior of every cause and of the likely pairs, most probable first."""
    preparation = Preparation(stack, likelihoods)
    singles = preparation.singles(causes)
    shared = shared_scans(singles, preparation)
    noise = Noise(level=stack.noise, inflation=stack.inflation, doubt=np.zeros(len(stack.residual)))
    _choose_starts(singles, preparation, stack, noise)
    joint = [each.expansion for each in shared.values()]
    alone: list[_Found] = []
    ranked: list[_Found] = []
    for _ in range(_ROUNDS):
        if ranked:
            noise = _noise_under(ranked[0], stack, noise)
            _refine(alone, preparation)
        library = Library(stack, [*(single.expansion for single in singles), *joint], noise)
        alone = _solve([_alone(single) for single in singles], library)
        evidence = np.array([found.log_evidence for found in alone])
        pairs = likely_pairs(singles, evidence, shared, preparation)
        together = _solve([_pair(singles[i], singles[j], shared.get((i, j))) for i, j in pairs], library)
        ranked = sorted([*alone, *together], key=lambda found: -found.log_evidence)
    ranked[:_POLISHED] = [_polish(found, preparation, stack, noise) for found in ranked[:_POLISHED]]
    ranked.sort(key=lambda found: -found.log_evidence)
    enough = ranked[0].log_evidence + _FORGOTTEN
    return [_fit(f) for f in ranked if len(f.hypothesis.members) == 1 or f.log_evidence > enough]


def _alone(single: Single) -> _Hypothesis:
    return _Hypothesis(
        members=(single,),
        scans=(single.scan,),
        expansions=(single.expansion,),
        outside=single.gain + single.cause.log_prior,
    )


def _pair(a: Single, b: Single, together: Together | None) -> _Hypothesis:
    prior = a.cause.log_prior + b.cause.log_prior + LOG_PAIR
    if together is None:
        return _Hypothesis(
            members=(a, b),
            scans=(a.scan, b.scan),
            expansions=(a.expansion, b.expansion),
            outside=a.gain + b.gain + prior,
        )
    return _Hypothesis(
        members=(a, b), scans=together.scans, expansions=(together.expansion,), outside=together.gain + prior
    )


def _solve(hypotheses: Sequence[_Hypothesis], library: Library) -> list[_Found]:
    solutions = library.solve([hypothesis.expansions for hypothesis in hypotheses])
    return [_Found(hypothesis=h, solution=s) for h, s in zip(hypotheses, solutions, strict=True)]


def _choose_starts(singles: Sequence[Single], preparation: Preparation, stack: Stack, noise: Noise) -> None:
    """Let each cause that is not linear begin where it explains most."""
    tried = [(single, start) for single in singles if not single.is_linear for start in preparation.starts(single)]
    solutions = Library(stack, [start for _, start in tried], noise).solve([(start,) for _, start in tried])
    best: dict[int, float] = {}
    for (single, start), solution in zip(tried, solutions, strict=True):
        if solution.gain > best.get(id(single), -np.inf):
            best[id(single)] = solution.gain
            single.expansion = start


def _refine(alone: Sequence[_Found], preparation: Preparation) -> None:
    """Expand the best causes that are not linear again where they landed."""
    bent = [found for found in alone if not found.hypothesis.is_linear and len(found.solution.x)]
    for found in sorted(bent, key=lambda found: -found.log_evidence)[:_REFINED]:
        (single,), (theta,) = found.hypothesis.members, _theta(found)
        single.expansion = preparation.expand_again(single, theta)


def _theta(found: _Found) -> list[Array]:
    """Unknowns of each member, inside their ranges; empty for one that has none in the rows."""
    hypothesis = found.hypothesis
    origin = np.concatenate([expansion.origin for expansion in hypothesis.expansions])
    if not len(origin):
        return [np.zeros(0)] * len(hypothesis.members)
    low = np.concatenate([expansion.low for expansion in hypothesis.expansions])
    high = np.concatenate([expansion.high for expansion in hypothesis.expansions])
    theta = origin + np.clip(found.solution.x, low, high)
    return list(np.split(theta, np.cumsum(_widths(hypothesis))[:-1]))


def _widths(hypothesis: _Hypothesis) -> list[int]:
    """Unknowns of each member in the rows."""
    if len(hypothesis.expansions) == len(hypothesis.members):
        return [len(expansion.origin) for expansion in hypothesis.expansions]
    return [1] * len(hypothesis.members)  # two that were scanned together


def _noise_under(found: _Found, stack: Stack, noise: Noise) -> Noise:
    """The healthy noise, raised to what the best explanation leaves, and to how exact an explanation can be."""
    members, thetas = found.hypothesis.members, _theta(found)
    fixed = np.zeros(len(stack.residual))
    freed = np.zeros(len(stack.noise), dtype=bool)
    at = 0
    for expansion in found.hypothesis.expansions:
        width = len(expansion.origin)
        fixed = fixed + expansion.fixed + expansion.slope @ found.solution.x[at : at + width]
        freed |= expansion.freed
        at += width
    left = Weighted(stack, noise, freed).unexplained(fixed)
    inexact = max(_inexact(single) for single in members) * stack.level(fixed)
    effects = [single.cause.effect(theta) for single, theta in zip(members, thetas, strict=True) if len(theta)]
    doubt = stack.doubt(combine((1.0, effect) for effect in effects))
    sure = (
        left * stack.noise[stack.group] / np.hypot(stack.noise[stack.group], doubt)
    )  # doubt is no reason to doubt more
    level = np.hypot(np.maximum(stack.noise, stack.level(sure)), inexact)
    inflation = np.maximum(stack.inflation, stack.by_group(correlation_time, sure))
    return Noise(
        level=np.where(freed, stack.noise, level),
        inflation=np.where(freed, stack.inflation, inflation),
        doubt=doubt,
    )


def _inexact(single: Single) -> float:
    """Share of what a cause changes that its model gets wrong."""
    return max((_VERY_INEXACT.get(name, _INEXACT) for name in single.fields), default=0.0)


def _polish(found: _Found, preparation: Preparation, stack: Stack, noise: Noise) -> _Found:
    """The same hypothesis with its members expanded where they landed together."""
    hypothesis = found.hypothesis
    if hypothesis.is_linear or len(hypothesis.expansions) < len(hypothesis.members):
        return found
    for _ in range(2):
        expansions = tuple(
            expansion if single.is_linear or not len(theta) else preparation.expand_again(single, theta)
            for single, expansion, theta in zip(hypothesis.members, hypothesis.expansions, _theta(found), strict=True)
        )
        hypothesis = replace(hypothesis, expansions=expansions)
        found = _solve([hypothesis], Library(stack, expansions, noise))[0]
    return found


def _fit(found: _Found) -> Fit:
    """The posterior of all unknowns: those that the rows have measured, and those that only a scan has."""
    hypothesis, solution = found.hypothesis, found.solution
    in_rows = _widths(hypothesis)
    at = np.cumsum([0, *in_rows])
    theta = [np.zeros(0)]
    only_scanned: list[float] = []  # variances
    origin = np.concatenate([expansion.origin for expansion in hypothesis.expansions])
    order: list[int] = []  # of the rows' unknowns first, then the scanned ones, in the order of the causes
    size = int(at[-1])
    for k, (single, scan) in enumerate(zip(hypothesis.members, hypothesis.scans, strict=True)):
        if scan is not None and scan.std < _SHARP * single.cause.prior_std[0]:
            in_rows[k] = 0  # the scan says more of when and how much, and the rows only that it is so
        if in_rows[k]:
            theta.append((origin + solution.x)[at[k] : at[k + 1]])
            order += range(at[k], at[k + 1])
        elif scan is not None:
            theta.append(np.array([scan.theta]))
            order.append(size)
            only_scanned.append(scan.std**2)
            size += 1
        assert len(theta[-1]) == len(single.cause.prior_std) or not len(single.cause.prior_std)
    covariance = np.zeros((size, size))
    covariance[: at[-1], : at[-1]] = solution.covariance
    covariance[np.arange(at[-1], size), np.arange(at[-1], size)] = only_scanned
    covariance = covariance[np.ix_(order, order)]
    inexact = [share for single in hypothesis.members for share in [_inexact(single)] * len(single.cause.prior_std)]
    covariance += np.diag(np.square(np.array(inexact) * np.concatenate(theta)))
    return Fit(
        causes=tuple(single.cause for single in hypothesis.members),
        theta=np.concatenate(theta),
        covariance=covariance,
        log_evidence=found.log_evidence,
    )
