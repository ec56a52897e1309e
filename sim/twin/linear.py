"""All rows of telemetry as one Gaussian linear problem, solved for thousands of hypotheses at once.

    y = f + J theta + L u + Z z + noise        theta ~ N(0, prior), u, z ~ N(0, 1), noise ~ N(0, 1 / weight^2)

y are the residuals of all parts, f + J theta what a cause shifts them by, L what it leaves open, Z what calibration
did. Integrating z out once (Woodbury) leaves inner products that every hypothesis shares, so one Gram matrix of all
columns makes each hypothesis a solve of its own few unknowns. The evidence is the marginal likelihood (MacKay,
Information Theory, Inference and Learning Algorithms, 2003, ch. 28): more unknowns pay for themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import log_ndtr

from core.rigid_body import Array
from sim.twin.parts import Mask
from sim.twin.stack import Stack

Indices = np.ndarray[Any, np.dtype[np.int_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """How a cause, or two, shift the rows near some theta: `fixed` + `slope` @ x + `loose` @ u, theta = origin + x.

    The origin is where the unknowns are most likely before the rows are asked: at no fault, or where another part has
    found them. There are no unknowns where the rows say nothing of them.
    """

    origin: Array  # (k,)
    at: Array  # (k,) theta around which it is true to first order
    prior_std: Array  # (k,) of x
    low: Array  # (k,) of x
    high: Array  # (k,) of x
    fixed: Array  # (R,)
    slope: Array  # (R, k)
    loose: Array  # (R, l) columns of unknowns u of unit variance, which are of no interest
    freed: Mask  # (G,) groups that it leaves undetermined


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The posterior of one hypothesis under the rows alone."""

    x: Array  # (k,) unknowns, each from the origin of its expansion
    covariance: Array  # (k, k)
    u: Array  # (l,) mean of what the hypothesis leaves open
    gain: float  # log evidence minus that of the healthy robot


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Noise of the R rows of a stack in its G groups."""

    level: Array  # (G,) standard deviation
    inflation: Array  # (G,) rows for each independent one
    doubt: Array  # (R,) standard deviation on top, of single rows


class Weighted:
    """The stack under one noise and without the groups that a hypothesis frees.

    Args:
        freed: (G,) groups that are left out; their rows are judged by the part's broad scale instead.
    """

    def __init__(self, stack: Stack, noise: Noise, freed: Mask) -> None:
        self._stack = stack
        group = stack.group
        level = np.hypot(noise.level[group], noise.doubt)  # (R,)
        self._weight = np.where(freed[group], 0.0, 1.0 / (level * np.sqrt(noise.inflation[group])))
        Z = stack.nuisance * self._weight[:, None]
        lower = np.linalg.cholesky(np.eye(Z.shape[1]) + Z.T @ Z)
        self._explained = solve_triangular(lower, Z.T, lower=True)  # (p, R)
        y = stack.residual * self._weight
        missed = self._explained @ y
        share = 1.0 / noise.inflation[group]  # (R,) of an independent row
        self._share, self._level = share, level
        broad = stack.broad[group]
        left_out = freed[group]
        self._healthy = -0.5 * float(y @ y - missed @ missed) - float(np.log(np.diag(lower)).sum())
        self._healthy -= float((share * np.log(level))[~left_out].sum())
        self._healthy -= float((share * (np.log(broad) + 0.5 * np.square(stack.residual / broad)))[left_out].sum())

    @property
    def healthy(self) -> float:
        """Log evidence of the healthy robot, up to a constant of the stack."""
        return self._healthy

    def weighted(self, columns: Array, rows: Mask) -> Array:
        """Columns of some `rows`, in units of their noise."""
        found: Array = columns * self._weight[rows][:, None]
        return found

    def without(self, rows: Mask) -> float:
        """What the healthy evidence gains if `rows`, which calibration leaves alone, are judged by the broad scale."""
        stack = self._stack
        y, weight, broad = stack.residual[rows], self._weight[rows], stack.broad[stack.group][rows]
        narrow = -0.5 * np.square(y * weight) - self._share[rows] * np.log(self._level[rows])
        return float((-self._share[rows] * (np.log(broad) + 0.5 * np.square(y / broad)) - narrow).sum())

    def inner(self, A: Array, B: Array) -> Array:
        """A' S^-1 B for columns A (R, a) and B (R, b), S the covariance of rows with calibration integrated out."""
        A, B = A * self._weight[:, None], B * self._weight[:, None]
        result: Array = A.T @ B - (self._explained @ A).T @ (self._explained @ B)
        return result

    def unexplained(self, fixed: Array) -> Array:
        """(R,) rows minus `fixed` and minus the most probable calibration."""
        stack = self._stack
        left = stack.residual - fixed
        Z = stack.nuisance * self._weight[:, None]
        z = np.linalg.solve(np.eye(Z.shape[1]) + Z.T @ Z, Z.T @ (left * self._weight))
        unexplained: Array = left - stack.nuisance @ z
        return unexplained


class Library:
    """Gram matrix of the columns of many expansions under one noise."""

    def __init__(self, stack: Stack, expansions: Sequence[Expansion], noise: Noise) -> None:
        self._stack, self._noise, self._expansions = stack, noise, list(expansions)
        self._own = [len(e.origin) for e in expansions]
        self._width = [own + e.loose.shape[1] for own, e in zip(self._own, expansions, strict=True)]
        ends = np.cumsum([2, *(w + 1 for w in self._width)])  # column 0: the residual; column 1: nothing
        self._fixed = ends[:-1]  # the slope stands behind it
        self._frees = [bool(np.any(e.freed)) for e in expansions]
        self._prior_std = np.ones(ends[-1])
        self._low, self._high = np.full(ends[-1], -np.inf), np.full(ends[-1], np.inf)
        for at, e in zip(ends[:-1], expansions, strict=True):
            own = slice(at + 1, at + 1 + len(e.origin))
            self._prior_std[own], self._low[own], self._high[own] = e.prior_std, e.low, e.high
        self._index = {id(expansion): i for i, expansion in enumerate(self._expansions)}
        columns = [stack.residual[:, None], np.zeros((len(stack.residual), 1))]
        for e in expansions:
            columns += [e.fixed[:, None], e.slope, e.loose]
        self._columns = np.concatenate(columns, axis=1)
        nothing = np.zeros(len(stack.noise), dtype=bool)
        self._whole = Weighted(stack, noise, nothing)
        self._gram = self._whole.inner(self._columns, self._columns)

    @property
    def healthy(self) -> float:
        """Log evidence of the healthy robot, up to a constant of the stack."""
        return self._whole.healthy

    def _under(self, freed: Mask, used: Array) -> tuple[Array, float]:
        """Gram matrix of the columns `used` without the groups that are freed, and the healthy evidence then."""
        if not np.any(freed):
            return self._gram[np.ix_(used, used)], 0.0
        out = freed[self._stack.group]
        if not np.any(self._stack.nuisance[out]):  # these rows stand for themselves: take their share off
            gone = self._whole.weighted(self._columns[np.ix_(out, used)], out)
            return self._gram[np.ix_(used, used)] - gone.T @ gone, self._whole.without(out)
        weighted = Weighted(self._stack, self._noise, freed)
        columns = self._columns[:, used]
        return weighted.inner(columns, columns), weighted.healthy - self._whole.healthy

    def solve(self, hypotheses: Sequence[tuple[Expansion, ...]]) -> list[Solution]:
        """Posterior of each hypothesis: expansions of this library together."""
        found: dict[int, Solution] = {}
        batches: dict[tuple[tuple[tuple[int, int], ...], bytes], list[int]] = {}
        members = [tuple(self._index[id(expansion)] for expansion in each) for each in hypotheses]
        for at, each in enumerate(members):
            freed = [self._expansions[i].freed for i in each if self._frees[i]]
            key = np.any(freed, axis=0).tobytes() if freed else b""
            batches.setdefault((tuple((self._own[i], self._width[i]) for i in each), key), []).append(at)
        nothing = np.zeros(len(self._stack.noise), dtype=bool)
        for (widths, key), batch in batches.items():
            out = np.frombuffer(key, dtype=bool) if key else nothing
            for at, solution in zip(
                batch, self._batch(widths, np.array([members[i] for i in batch]), out), strict=True
            ):
                found[at] = solution
        return [found[at] for at in range(len(hypotheses))]

    def _batch(self, widths: tuple[tuple[int, int], ...], members: Indices, freed: Mask) -> list[Solution]:
        """Solutions of hypotheses whose expansions, `members` (P, c), have so many unknowns each: of interest, all."""
        columns = self._fixed[members]
        own = np.concatenate([np.arange(width) < k for k, width in widths])
        k = len(own)
        each = [at[:, None] + 1 + np.arange(width) for at, (_, width) in zip(columns.T, widths, strict=True)]
        wanted = np.concatenate(each, axis=1)  # (P, k)
        used = np.unique(np.concatenate([[0, 1], columns.reshape(-1), wanted.reshape(-1)]))
        gram, healthy = self._under(freed, used)
        fixed, slope = np.searchsorted(used, columns), np.searchsorted(used, wanted)
        prior_std, low, high = self._prior_std[wanted], self._low[wanted], self._high[wanted]
        # y - f: the residual minus all fixed shifts
        left = (
            gram[0, 0] - 2.0 * gram[0, fixed].sum(axis=1) + gram[fixed[:, :, None], fixed[:, None, :]].sum(axis=(1, 2))
        )
        gain = -0.5 * (left - gram[0, 0]) + healthy
        if not k:
            return [Solution(x=np.zeros(0), covariance=np.zeros((0, 0)), u=np.zeros(0), gain=float(g)) for g in gain]
        prior = 1.0 / np.square(prior_std)
        b = gram[slope, 0] - gram[slope[:, :, None], fixed[:, None, :]].sum(axis=2)  # (P, k)
        precision = gram[slope[:, :, None], slope[:, None, :]]
        precision[:, np.arange(k), np.arange(k)] += prior
        covariance = np.linalg.inv(precision)
        x = np.einsum("pij,pj->pi", covariance, b)
        logdet = np.linalg.slogdet(precision)[1] - np.log(prior).sum(axis=1)
        gain = gain + 0.5 * (np.einsum("pi,pi->p", b, x) - logdet)
        std = np.sqrt(np.einsum("pii->pi", covariance))
        inside = log_inside(x[:, own], std[:, own], low[:, own], high[:, own])
        gain = gain + (inside - log_inside(0.0, prior_std[:, own], low[:, own], high[:, own])).sum(axis=1)
        of_interest = covariance[:, own][:, :, own]
        return [
            Solution(x=each[own], covariance=c, u=each[~own], gain=float(g))
            for each, c, g in zip(x, of_interest, gain, strict=True)
        ]


def log_inside(mean: Array | float, std: Array, low: Array, high: Array) -> Array:
    """Log probability that a Gaussian lies between `low` and `high`, without losing it far outside."""
    below, above = (low - mean) / std, (high - mean) / std
    flip = below > 0  # work in the lower tail, where the logarithm keeps its digits
    near, far = np.where(flip, -below, above), np.where(flip, -above, below)
    inside: Array = log_ndtr(near) + np.log1p(-np.exp(np.minimum(log_ndtr(far) - log_ndtr(near), -1e-12)))
    return inside
