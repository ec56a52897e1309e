"""Fit every cause and every likely pair of causes to an incident, and weigh them by evidence.

Noise and the best explanation settle each other (`sim.twin.doubt`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.rigid_body import Array
from sim.twin.cause import Cause
from sim.twin.doubt import doubter, inexact, noise_under, own_evidence
from sim.twin.hypothesis import Found, Hypothesis, mean_of, one, theta_of, two, widths
from sim.twin.linear import Expansion, Library, Noise
from sim.twin.pairs import likely_pairs, shared_scans
from sim.twin.parts import Likelihood
from sim.twin.single import Preparation, Single
from sim.twin.stack import Stack

_ROUNDS = 3  # noise and best explanation settle each other
_REFINED = 8  # causes that are not linear and are expanded again where they landed
_SHARP = 0.25  # of the prior: a scan this narrow is the measurement of its unknown
_FORGOTTEN = -20.0  # log evidence, against the best, below which a pair is not kept
_POLISHED = (
    60  # of the best hypotheses that are not linear, whose members are expanded again where they landed together
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The posterior of one cause, or of two together."""

    causes: tuple[Cause, ...]
    theta: Array  # (k,) mean, cause after cause
    covariance: Array  # (k, k)
    log_evidence: float  # prior of the causes included


def fit_causes(causes: Sequence[Cause], stack: Stack, likelihoods: Sequence[Likelihood]) -> list[Fit]:
    """Posterior of every cause and of the likely pairs, most probable first."""
    preparation = Preparation(stack, likelihoods)
    singles = preparation.singles(causes)
    shared = shared_scans(singles, preparation)
    noise = Noise(level=stack.noise, inflation=stack.inflation, doubt=np.zeros(len(stack.residual)))
    _choose_starts(singles, preparation, stack, noise)
    joint = [each.expansion for each in shared.values()]

    def judge(noise: Noise) -> tuple[list[Found], list[Found]]:
        """Every cause alone, and all hypotheses, best first."""
        library = Library(stack, [*(single.expansion for single in singles), *joint], noise)
        alone = _solve([one(single) for single in singles], library)
        pairs = likely_pairs(singles, np.array([found.log_evidence for found in alone]), shared, preparation)
        together = _solve([two(singles[i], singles[j], shared.get((i, j))) for i, j in pairs], library)
        return alone, sorted([*alone, *together], key=lambda found: -found.log_evidence)

    alone, ranked = judge(noise)
    for _ in range(_ROUNDS - 1):
        noise = noise_under(ranked[0], stack, noise)
        _refine(alone, preparation)
        alone, ranked = judge(noise)
    doubting = doubter(ranked, stack, noise)
    if doubting is not None:
        kinder = noise_under(doubting, stack, noise)
        again = judge(kinder)[1]
        if own_evidence(again[0], stack, kinder) > own_evidence(ranked[0], stack, noise):
            noise, ranked = kinder, again
    ranked = _polish(ranked, preparation, stack, noise)
    enough = ranked[0].log_evidence + _FORGOTTEN
    return [_fit(f) for f in ranked if len(f.hypothesis.members) == 1 or f.log_evidence > enough]


def _solve(hypotheses: Sequence[Hypothesis], library: Library) -> list[Found]:
    solutions = library.solve([hypothesis.expansions for hypothesis in hypotheses])
    return [Found(hypothesis=h, solution=s) for h, s in zip(hypotheses, solutions, strict=True)]


def _choose_starts(singles: Sequence[Single], preparation: Preparation, stack: Stack, noise: Noise) -> None:
    """Let each cause that is not linear begin where it explains most."""
    tried = [(single, start) for single in singles if not single.is_linear for start in preparation.starts(single)]
    solutions = Library(stack, [start for _, start in tried], noise).solve([(start,) for _, start in tried])
    best: dict[int, float] = {}
    for (single, start), solution in zip(tried, solutions, strict=True):
        if solution.gain > best.get(id(single), -np.inf):
            best[id(single)] = solution.gain
            single.expansion = start


def _refine(alone: Sequence[Found], preparation: Preparation) -> None:
    """Expand the best causes that are not linear again where they landed, and let priors follow what they hang on."""
    for found in alone:
        (single,) = found.hypothesis.members
        if single.cause.prior_at is not None and len(found.solution.x):
            (theta,) = theta_of(found)
            single.expansion = replace(single.expansion, prior_std=single.cause.prior_at(theta))
    bent = [found for found in alone if not found.hypothesis.is_linear and len(found.solution.x)]
    for found in sorted(bent, key=lambda found: -found.log_evidence)[:_REFINED]:
        (single,), (theta,) = found.hypothesis.members, theta_of(found)
        single.expansion = preparation.expand_again(single, theta, found.solution.u)


def _polish(ranked: Sequence[Found], preparation: Preparation, stack: Stack, noise: Noise) -> list[Found]:
    """The same hypotheses, the best of them with their members expanded where they landed together."""
    some = [found for found in ranked if _can_be_polished(found.hypothesis)][:_POLISHED]
    rest = [found for found in ranked if not any(found is each for each in some)]
    for _ in range(2):
        again = [replace(found.hypothesis, expansions=tuple(_where_it_landed(found, preparation))) for found in some]
        some = _solve(again, Library(stack, [each for h in again for each in h.expansions], noise))
    return sorted([*some, *rest], key=lambda found: -found.log_evidence)


def _can_be_polished(hypothesis: Hypothesis) -> bool:
    return not hypothesis.is_linear and len(hypothesis.expansions) == len(hypothesis.members)


def _where_it_landed(found: Found, preparation: Preparation) -> Iterator[Expansion]:
    """The expansions of a hypothesis, around its own posterior."""
    hypothesis = found.hypothesis
    at = np.cumsum([expansion.loose.shape[1] for expansion in hypothesis.expansions])[:-1]
    parts = (hypothesis.members, hypothesis.expansions, theta_of(found), np.split(found.solution.u, at))
    for single, expansion, theta, u in zip(*parts, strict=True):
        keep = single.is_linear or not len(theta)
        yield expansion if keep else preparation.expand_again(single, theta, u)


def _fit(found: Found) -> Fit:
    """The posterior of all unknowns: those that the rows have measured, and those that only a scan has."""
    hypothesis, solution = found.hypothesis, found.solution
    in_rows = widths(hypothesis)
    at = np.cumsum([0, *in_rows])
    theta = [np.zeros(0)]
    only_scanned: list[float] = []  # variances
    mean = mean_of(found)
    order: list[int] = []  # of the rows' unknowns first, then the scanned ones, in the order of the causes
    size = int(at[-1])
    for k, (single, scan) in enumerate(zip(hypothesis.members, hypothesis.scans, strict=True)):
        if scan is not None and scan.std < _SHARP * single.cause.prior_std[0]:
            in_rows[k] = 0  # the scan says more of when and how much, and the rows only that it is so
        if in_rows[k]:
            theta.append(mean[at[k] : at[k + 1]])
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
    shares = [share for single in hypothesis.members for share in [inexact(single)] * len(single.cause.prior_std)]
    covariance += np.diag(np.square(np.array(shares) * np.concatenate(theta)))
    return Fit(
        causes=tuple(single.cause for single in hypothesis.members),
        theta=np.concatenate(theta),
        covariance=covariance,
        log_evidence=found.log_evidence,
    )
