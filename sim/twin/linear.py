"""All rows of telemetry as one Gaussian linear problem, solved for thousands of hypotheses at once.

    y = f + J theta + Z z + noise        theta ~ N(0, prior), z ~ N(0, 1), noise ~ N(0, 1 / weight^2)

y are the residuals of all parts, f + J theta what a cause shifts them by, Z what calibration left open. Integrating z
out once (Woodbury) leaves inner products that every hypothesis shares, so one Gram matrix of all columns makes each
hypothesis a solve of its own few unknowns. The evidence is the marginal likelihood (MacKay, Information Theory,
Inference and Learning Algorithms, 2003, ch. 28): more unknowns pay for themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import log_ndtr

from core.rigid_body import Array
from sim.effect import Effect
from sim.twin.cause import Cause, touched
from sim.twin.parts import Mask, Rows


class Stack:
    """Rows of several parts, one below the other; a signal of a part is a group of rows that share their noise.

    R rows in G groups.
    """

    def __init__(self, parts: Sequence[Rows]) -> None:
        self.parts = tuple(parts)
        self.sees = frozenset[str]().union(*(part.sees for part in parts))
        self.residual = _flat([part.residual for part in parts])
        self.noise = np.concatenate([part.noise for part in parts])  # (G,)
        self.inflation = np.concatenate([part.inflation for part in parts])  # (G,)
        self.broad = np.concatenate([part.broad for part in parts])  # (G,)
        first = np.cumsum([0, *(part.residual.shape[1] for part in parts)])
        groups = [
            np.tile(np.arange(part.residual.shape[1]) + at, len(part.residual))
            for part, at in zip(parts, first[:-1], strict=True)
        ]
        self.group = np.concatenate(groups)  # (R,) group of each row
        self.count = np.bincount(self.group, minlength=len(self.noise))  # (G,) rows of each group
        width = sum(part.nuisance.shape[2] for part in parts)
        self.nuisance = np.zeros((len(self.residual), width))
        row = column = 0
        for part in parts:
            size, p = part.residual.size, part.nuisance.shape[2]
            self.nuisance[row : row + size, column : column + p] = part.nuisance.reshape(size, p)
            row, column = row + size, column + p

    def shift(self, effect: Effect) -> Array:
        """(R,) rows under `effect`."""
        fields = touched(effect)
        return _flat([p.shift(effect) if fields & p.sees else np.zeros(p.residual.shape) for p in self.parts])

    def freed(self, effect: Effect) -> Mask:
        """(G,) groups that `effect` leaves undetermined."""
        return np.concatenate([part.freed(effect) for part in self.parts])

    def is_linear(self, fields: frozenset[str]) -> bool:
        """Whether every part is shifted in proportion to `fields`."""
        return all(fields & part.sees <= part.linear for part in self.parts)

    def level(self, residual: Array) -> Array:
        """(G,) root mean square of each group of `residual` (R,)."""
        return np.sqrt(np.bincount(self.group, np.square(residual), len(self.noise)) / np.maximum(self.count, 1))


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([array.reshape(-1) for array in arrays])


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """How a cause shifts the rows near some theta: `fixed` + `slope` @ theta.

    The slope has no columns where the unknowns are not measured by rows.
    """

    cause: Cause
    fixed: Array  # (R,)
    slope: Array  # (R, k) or (R, 0)
    freed: Mask  # (G,) groups that it leaves undetermined


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The posterior of one hypothesis under the rows alone."""

    theta: Array  # (k,)
    covariance: Array  # (k, k)
    gain: float  # log evidence minus that of the healthy robot


class Weighted:
    """The stack under one noise level and without the groups that a hypothesis frees.

    Args:
        noise: (G,) standard deviation of each group.
        freed: (G,) groups that are left out; their rows are judged by the part's broad scale instead.
    """

    def __init__(self, stack: Stack, noise: Array, freed: Mask) -> None:
        self._stack = stack
        self._weight = np.where(freed, 0.0, 1.0 / (noise * np.sqrt(stack.inflation)))[stack.group]
        Z = stack.nuisance * self._weight[:, None]
        lower = np.linalg.cholesky(np.eye(Z.shape[1]) + Z.T @ Z)
        self._explained = solve_triangular(lower, Z.T, lower=True)  # (p, R)
        y = stack.residual * self._weight
        missed = self._explained @ y
        share = stack.count / stack.inflation  # (G,) independent rows
        square = np.square(stack.level(stack.residual) / stack.broad)
        self._healthy = -0.5 * float(y @ y - missed @ missed) - float(np.log(np.diag(lower)).sum())
        self._healthy -= float((share * np.log(noise))[~freed].sum())
        self._healthy -= float((share * (np.log(stack.broad) + 0.5 * square))[freed].sum())

    @property
    def healthy(self) -> float:
        """Log evidence of the healthy robot, up to a constant of the stack."""
        return self._healthy

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
    """Gram matrix of the columns of many expansions under one weighting."""

    def __init__(self, stack: Stack, expansions: Sequence[Expansion], noise: Array) -> None:
        self._stack, self._noise = stack, noise
        self.expansions = list(expansions)
        width = [e.slope.shape[1] for e in expansions]
        ends = np.cumsum([2, *(w + 1 for w in width)])  # column 0: the residual; column 1: nothing
        self._fixed = ends[:-1]
        self._slope = [np.arange(at + 1, at + 1 + w) for at, w in zip(ends, width, strict=False)]
        columns = [stack.residual[:, None], np.zeros((len(stack.residual), 1))]
        for e in expansions:
            columns += [e.fixed[:, None], e.slope]
        self._columns = np.concatenate(columns, axis=1)
        bounds = [
            (e.cause.prior_std[:w], e.cause.low[:w], e.cause.high[:w]) for e, w in zip(expansions, width, strict=True)
        ]
        self._prior, self._low, self._high = ([each[k] for each in bounds] for k in range(3))
        self._grams: dict[bytes, tuple[Array, float]] = {}
        self._reference = self._gram(np.zeros(len(noise), dtype=bool))[1]

    def _gram(self, freed: Mask) -> tuple[Array, float]:
        key = freed.tobytes()
        if key not in self._grams:
            weighted = Weighted(self._stack, self._noise, freed)
            self._grams[key] = weighted.inner(self._columns, self._columns), weighted.healthy
        return self._grams[key]

    def solve(self, hypotheses: Sequence[tuple[int, ...]]) -> list[Solution]:
        """Posterior of each hypothesis: the expansions of these indices together."""
        found: dict[int, Solution] = {}
        batches: dict[tuple[int, int, bytes], list[int]] = {}
        for at, members in enumerate(hypotheses):
            freed = np.any([self.expansions[i].freed for i in members], axis=0)
            k = sum(len(self._slope[i]) for i in members)
            batches.setdefault((k, len(members), freed.tobytes()), []).append(at)
        for (k, _, key), batch in batches.items():
            freed = np.frombuffer(key, dtype=bool)
            for at, solution in zip(batch, self._batch(k, [hypotheses[at] for at in batch], freed), strict=True):
                found[at] = solution
        return [found[at] for at in range(len(hypotheses))]

    def _batch(self, k: int, hypotheses: list[tuple[int, ...]], freed: Mask) -> list[Solution]:
        gram, healthy = self._gram(freed)
        fixed = np.array([[self._fixed[i] for i in members] for members in hypotheses])  # (P, c)
        slope = np.array([np.concatenate([self._slope[i] for i in members]) for members in hypotheses], dtype=int)
        prior_std, low, high = (
            np.array([np.concatenate([values[i] for i in members]) for members in hypotheses])
            for values in (self._prior, self._low, self._high)
        )
        prior = 1.0 / np.square(prior_std)
        # y - f: the residual minus all fixed shifts
        left = (
            gram[0, 0] - 2.0 * gram[0, fixed].sum(axis=1) + gram[fixed[:, :, None], fixed[:, None, :]].sum(axis=(1, 2))
        )
        gain = -0.5 * (left - gram[0, 0]) + healthy - self._reference
        if not k:
            return [Solution(theta=np.zeros(0), covariance=np.zeros((0, 0)), gain=float(g)) for g in gain]
        b = gram[slope, 0] - gram[slope[:, :, None], fixed[:, None, :]].sum(axis=2)  # (P, k)
        precision = gram[slope[:, :, None], slope[:, None, :]]
        precision[:, np.arange(k), np.arange(k)] += prior
        covariance = np.linalg.inv(precision)
        theta = np.einsum("pij,pj->pi", covariance, b)
        logdet = np.linalg.slogdet(precision)[1] - np.log(prior).sum(axis=1)
        gain = gain + 0.5 * (np.einsum("pi,pi->p", b, theta) - logdet)
        std = np.sqrt(np.einsum("pii->pi", covariance))
        gain = gain + (log_inside(theta, std, low, high) - log_inside(0.0, prior_std, low, high)).sum(axis=1)
        return [Solution(theta=t, covariance=c, gain=float(g)) for t, c, g in zip(theta, covariance, gain, strict=True)]


def log_inside(mean: Array | float, std: Array, low: Array, high: Array) -> Array:
    """Log probability that a Gaussian lies between `low` and `high`, without losing it far outside."""
    below, above = (low - mean) / std, (high - mean) / std
    flip = below > 0  # work in the lower tail, where the logarithm keeps its digits
    near, far = np.where(flip, -below, above), np.where(flip, -above, below)
    inside: Array = log_ndtr(near) + np.log1p(-np.exp(np.minimum(log_ndtr(far) - log_ndtr(near), -1e-12)))
    return inside
