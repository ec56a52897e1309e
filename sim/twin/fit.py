"""Fit every cause and every likely pair of causes to an incident, and weigh them by evidence.

Noise is what the calibrated robot left unexplained on healthy telemetry, raised to what the best explanation leaves
now, so that what no cause explains does not pass for certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from core.rigid_body import Array
from sim.twin.cause import Cause
from sim.twin.linear import Library, Solution, Stack, Weighted
from sim.twin.pairs import Together, likely_pairs, shared_scans
from sim.twin.parts import Likelihood
from sim.twin.single import Preparation, Single

LOG_PAIR = float(np.log(0.1))  # two faults at once are so much less likely than the product of their shares says
_ROUNDS = 3  # noise and best explanation settle each other
_INEXACT = 0.01  # share of what a cause changes that its model gets wrong: filters, timing, the physics step
_REFINED = 6  # causes that are not linear and are expanded again where they landed
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
class _Found:
    """One hypothesis: members, what the rows say of it, and the evidence of everything."""

    members: tuple[int, ...]
    solution: Solution
    log_evidence: float


def fit_causes(causes: Sequence[Cause], stack: Stack, likelihoods: Sequence[Likelihood]) -> list[Fit]:
    """Posterior of every cause and of the likely pairs, most probable first."""
    preparation = Preparation(stack, likelihoods)
    singles = preparation.singles(causes)
    shared = shared_scans(singles, preparation)
    noise = stack.noise
    ranked: list[_Found] = []
    _choose_starts(singles, preparation, stack, noise)
    for _ in range(_ROUNDS):
        noise = _noise_under(ranked[0], singles, stack, noise) if ranked else stack.noise
        alone = _solve(singles, [(i,) for i in range(len(singles))], stack, noise, shared)
        bent = [f for f in sorted(alone, key=lambda f: -f.solution.gain) if not singles[f.members[0]].is_linear]
        for found in bent[:_REFINED]:
            single = singles[found.members[0]]
            single.expansion = preparation.expand(single.cause, _inside(single, found.solution.theta))
        alone = _solve(singles, [(i,) for i in range(len(singles))], stack, noise, shared)
        evidence = np.array([found.log_evidence for found in alone])
        pairs = likely_pairs(singles, evidence, shared, preparation)
        ranked = sorted([*alone, *_solve(singles, pairs, stack, noise, shared)], key=lambda found: -found.log_evidence)
    for k, found in enumerate(ranked[:_POLISHED]):
        ranked[k] = _polish(found, singles, preparation, stack, noise, shared)
    ranked.sort(key=lambda found: -found.log_evidence)
    enough = ranked[0].log_evidence + _FORGOTTEN
    return [_fit(f, singles, shared) for f in ranked if len(f.members) == 1 or f.log_evidence > enough]


def _choose_starts(singles: Sequence[Single], preparation: Preparation, stack: Stack, noise: Array) -> None:
    """Let each cause that is not linear begin where it explains most."""
    tried = [(single, start) for single in singles if not single.is_linear for start in preparation.starts(single)]
    if not tried:
        return
    library = Library(stack, [start for _, start in tried], noise)
    solutions = library.solve([(i,) for i in range(len(tried))])
    best: dict[int, float] = {}
    for (single, start), solution in zip(tried, solutions, strict=True):
        if solution.gain > best.get(id(single), -np.inf):
            best[id(single)] = solution.gain
            single.expansion = start


def _solve(
    singles: Sequence[Single],
    hypotheses: Sequence[tuple[int, ...]],
    stack: Stack,
    noise: Array,
    shared: dict[tuple[int, int], Together],
    library: Library | None = None,
) -> list[_Found]:
    library = library or Library(stack, [single.expansion for single in singles], noise)
    found = []
    for members, solution in zip(hypotheses, library.solve(hypotheses), strict=True):
        prior = sum(singles[i].cause.log_prior for i in members) + (LOG_PAIR if len(members) > 1 else 0.0)
        together = shared.get(members) if len(members) == 2 else None
        outside = sum(singles[i].gain for i in members) if together is None else together.gain
        found.append(_Found(members=members, solution=solution, log_evidence=solution.gain + outside + prior))
    return found


def _inside(single: Single, theta: Array) -> Array:
    return np.clip(theta, single.cause.low, single.cause.high)


def _split(members: tuple[int, ...], singles: Sequence[Single], theta: Array) -> list[Array]:
    """The part of the rows' solution that belongs to each member; empty for one that is scanned."""
    widths = [singles[i].expansion.slope.shape[1] for i in members]
    return np.split(theta, np.cumsum(widths)[:-1])


def _noise_under(found: _Found, singles: Sequence[Single], stack: Stack, noise: Array) -> Array:
    """(G,) noise level: the healthy one, raised to what the best explanation leaves, and to how exact it can be."""
    fixed = np.zeros(len(stack.residual))
    freed = np.zeros(len(noise), dtype=bool)
    for i, theta in zip(found.members, _split(found.members, singles, found.solution.theta), strict=True):
        expansion = singles[i].expansion
        fixed = fixed + expansion.fixed + expansion.slope @ theta
        freed |= expansion.freed
    left = stack.level(Weighted(stack, noise, freed).unexplained(fixed))
    inexact = _INEXACT * stack.level(fixed)
    return np.where(freed, stack.noise, np.hypot(np.maximum(stack.noise, left), inexact))


def _polish(
    found: _Found,
    singles: Sequence[Single],
    preparation: Preparation,
    stack: Stack,
    noise: Array,
    shared: dict[tuple[int, int], Together],
) -> _Found:
    """The same hypothesis with its members expanded where they landed together."""
    for _ in range(2):
        expansions = []
        for i, theta in zip(found.members, _split(found.members, singles, found.solution.theta), strict=True):
            bent = not singles[i].is_linear and len(theta)
            expansions.append(
                preparation.expand(singles[i].cause, _inside(singles[i], theta)) if bent else singles[i].expansion
            )
        library = Library(stack, expansions, noise)
        solution = library.solve([tuple(range(len(expansions)))])[0]
        found = _Found(
            members=found.members,
            solution=solution,
            log_evidence=found.log_evidence + solution.gain - found.solution.gain,
        )
    return found


def _fit(found: _Found, singles: Sequence[Single], shared: dict[tuple[int, int], Together]) -> Fit:
    together = shared.get(found.members) if len(found.members) == 2 else None
    theta, spread = [], []
    at = 0
    for k, i in enumerate(found.members):
        single = singles[i]
        width = single.expansion.slope.shape[1]
        scan = together.scans[k] if together is not None else single.scan
        if scan is not None:
            theta.append(np.array([scan.theta]))
            spread.append(np.array([[scan.std**2]]))
        else:
            theta.append(found.solution.theta[at : at + width])
            spread.append(found.solution.covariance[at : at + width, at : at + width])
        at += width
    covariance = block_diag(*spread) if len(spread) > 1 else spread[0]
    if len(spread) == 2 and all(singles[i].scan is None for i in found.members):
        covariance = found.solution.covariance  # the two are measured together
    return Fit(
        causes=tuple(singles[i].cause for i in found.members),
        theta=np.concatenate(theta),
        covariance=np.asarray(covariance, dtype=np.float64),
        log_evidence=found.log_evidence,
    )
