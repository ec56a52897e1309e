"""Causes taken together as one explanation, and its posterior under the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.rigid_body import Array
from sim.twin.linear import Expansion, Solution
from sim.twin.pairs import Together
from sim.twin.scan import Scan
from sim.twin.single import Single

LOG_PAIR = float(np.log(0.1))  # two faults at once are so much less likely than the product of their shares says


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


def theta_of(found: Found) -> list[Array]:
    """Unknowns of each member, inside their ranges; empty for one that has none in the rows."""
    hypothesis = found.hypothesis
    origin = np.concatenate([expansion.origin for expansion in hypothesis.expansions])
    if not len(origin):
        return [np.zeros(0)] * len(hypothesis.members)
    low = np.concatenate([expansion.low for expansion in hypothesis.expansions])
    high = np.concatenate([expansion.high for expansion in hypothesis.expansions])
    theta = origin + np.clip(found.solution.x, low, high)
    return list(np.split(theta, np.cumsum(widths(hypothesis))[:-1]))


def widths(hypothesis: Hypothesis) -> list[int]:
    """Unknowns of each member in the rows."""
    if len(hypothesis.expansions) == len(hypothesis.members):
        return [len(expansion.origin) for expansion in hypothesis.expansions]
    return [1] * len(hypothesis.members)  # two that were scanned together
