"""Causes taken together as one explanation, and its posterior under the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.rigid_body import Array
from sim.twin.linear import Expansion, Solution
from sim.twin.pairs import Together
from sim.twin.scan import Scan
from sim.twin.single import Single

LOG_PAIR = float(np.log(0.2))  # two faults at once are so much less likely than the product of their shares says
_TOLD = 0.9  # share of the prior variance that is left where the rows say anything at all
_WHERE = ("origin", "at", "prior_std")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """Causes, what was found of them outside the rows, and how they shift the rows."""

    members: tuple[Single, ...]
    scans: tuple[Scan | None, ...]  # of each member
    expansions: tuple[Expansion, ...]  # one for each member, or one for both
    outside: float  # log evidence outside the rows, and prior

    @property
    def is_linear(self) -> bool:
        return all(single.is_linear for single in self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A hypothesis and its posterior."""

    hypothesis: Hypothesis
    solution: Solution

    @property
    def log_evidence(self) -> float:
        return self.hypothesis.outside + self.solution.gain


def one(single: Single) -> Hypothesis:
    """A cause alone."""
    return Hypothesis(
        members=(single,),
        scans=(single.scan,),
        expansions=(single.expansion,),
        outside=single.gain + single.cause.log_prior,
    )


def two(a: Single, b: Single, together: Together | None) -> Hypothesis:
    """Two causes at once."""
    prior = a.cause.log_prior + b.cause.log_prior + LOG_PAIR
    if together is None:
        return Hypothesis(
            members=(a, b),
            scans=(a.scan, b.scan),
            expansions=(a.expansion, b.expansion),
            outside=a.gain + b.gain + prior,
        )
    return Hypothesis(
        members=(a, b), scans=together.scans, expansions=(together.expansion,), outside=together.gain + prior
    )


def mean_of(found: Found) -> Array:
    """(k,) posterior mean of all unknowns in the rows.

    One of which the rows say nothing stays where it was looked at: more of a dead band that swallows all effort is no
    reason to believe that there is none.
    """
    expansions = found.hypothesis.expansions
    origin, at, prior_std = (np.concatenate([getattr(e, name) for e in expansions]) for name in _WHERE)
    told = np.diag(found.solution.covariance) < _TOLD * np.square(prior_std)
    mean: Array = np.where(told, origin + found.solution.x, at)
    return mean


def theta_of(found: Found) -> list[Array]:
    """Unknowns of each member, inside their ranges; empty for one that has none in the rows."""
    hypothesis = found.hypothesis
    mean = mean_of(found)
    if not len(mean):
        return [np.zeros(0)] * len(hypothesis.members)
    low = np.concatenate([expansion.origin + expansion.low for expansion in hypothesis.expansions])
    high = np.concatenate([expansion.origin + expansion.high for expansion in hypothesis.expansions])
    return list(np.split(np.clip(mean, low, high), np.cumsum(widths(hypothesis))[:-1]))


def widths(hypothesis: Hypothesis) -> list[int]:
    """Unknowns of each member in the rows."""
    if len(hypothesis.expansions) == len(hypothesis.members):
        return [len(expansion.origin) for expansion in hypothesis.expansions]
    return [1] * len(hypothesis.members)  # two that were scanned together
