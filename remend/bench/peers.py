"""Detectors that users would take instead, on the same rows as ours: one score a row, larger means stranger.

All are learnt from the same healthy head and see the same channels. A threshold is chosen by the benchmark, alike for
all (`remend.bench.matched`).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from core.block import Array, Block
from telemetry.kernels import compiled

_TINY = 1e-12
_LOUD = 0.999  # quantile of the head's scores that counts as 1


class Peer(Protocol):
    """A detector that has learnt from a head; every series begins where the head left it."""

    name: str

    def scores(self, rows: Array) -> Array:
        """(N,) scores of (N, C) rows."""


def peers(head: Array) -> Sequence[Peer]:
    """Every peer, learnt from (N, C) healthy rows."""
    return [Ewma(head), PcaT2Q(head), VarCusum(head), HalfSpaceTrees(head)]


def rows_of(block: Block, ticks: int) -> tuple[Array, Array]:
    """(N,) time [s] and (N, C) means over `ticks` control periods: error, speed, wanted speed, effort."""
    values = np.hstack(
        [block.group("q") - block.group("q_ref"), block.group("qd"), block.group("qd_ref"), block.group("tau_meas")]
    )
    count = len(block) // ticks
    means = values[: count * ticks].reshape(count, ticks, -1).mean(axis=1)
    return block.t_s[ticks - 1 : count * ticks : ticks], means


class _Standard:
    """Centre and spread of each channel on the head; a channel that never varies is left out."""

    def __init__(self, head: Array) -> None:
        self.centre, spread = head.mean(axis=0), head.std(axis=0)
        self.inverse = np.where(spread > _TINY, 1.0 / np.maximum(spread, _TINY), 0.0)

    def __call__(self, rows: Array) -> Array:
        return np.asarray((rows - self.centre) * self.inverse)


class Ewma:
    """Control chart of exponentially weighted means (Roberts 1959), lambda 0.1: the loudest channel counts."""

    name = "EWMA chart"
    weight = 0.1

    def __init__(self, head: Array) -> None:
        self._standard = _Standard(head)

    def scores(self, rows: Array) -> Array:
        out = np.empty(len(rows))
        _ewma(self._standard(rows), self.weight, out)
        return out


@compiled
def _ewma(z: np.ndarray, weight: float, out: np.ndarray) -> None:
    mean = np.zeros(z.shape[1])
    spread = np.sqrt(weight / (2.0 - weight))
    for i in range(z.shape[0]):
        largest = 0.0
        for c in range(z.shape[1]):
            mean[c] += weight * (z[i, c] - mean[c])
            largest = max(largest, abs(mean[c]) / spread)
        out[i] = largest


class PcaT2Q:
    """Hotelling's T2 inside the principal components that hold 95 % of the variance, Q beyond them (Jackson 1979)."""

    name = "PCA T2+Q"
    held = 0.95

    def __init__(self, head: Array) -> None:
        self._standard = _Standard(head)
        values, vectors = np.linalg.eigh(np.cov(self._standard(head).T) + _TINY * np.eye(head.shape[1]))
        values, vectors = values[::-1], vectors[:, ::-1]
        kept = int(np.searchsorted(np.cumsum(values) / values.sum(), self.held)) + 1
        self._axes, self._variance = vectors[:, :kept], values[:kept]
        self._loud = np.ones(2)
        self._loud = np.quantile(self._both(head), _LOUD, axis=0) + _TINY

    def scores(self, rows: Array) -> Array:
        return np.asarray((self._both(rows) / self._loud).max(axis=1))

    def _both(self, rows: Array) -> Array:
        z = self._standard(rows)
        inside = z @ self._axes
        beyond = z - inside @ self._axes.T
        return np.stack([(inside**2 / self._variance).sum(axis=1), (beyond**2).sum(axis=1)], axis=1)


class VarCusum:
    """Vector autoregression of order 2; T2 of its innovations, summed by a CUSUM with leak.

    Without leak the sum runs away as soon as the head's mean is slightly wrong.
    """

    name = "VAR T2-CUSUM"
    leak, slack, ridge = 0.998, 0.25, 1e-4

    def __init__(self, head: Array) -> None:
        self._standard = _Standard(head)
        z = self._standard(head)
        x = self._past(z)
        self._weights = np.linalg.solve(x.T @ x + self.ridge * len(x) * np.eye(x.shape[1]), x.T @ z[2:])
        innovation = z[2:] - x @ self._weights
        self._precision = np.linalg.inv(np.cov(innovation.T) + 1e-9 * np.eye(z.shape[1]))
        t2 = self._t2(z)
        self._mean, self._spread = float(t2.mean()), float(t2.std()) + _TINY

    def scores(self, rows: Array) -> Array:
        out = np.empty(len(rows))
        _leaky_cusum((self._t2(self._standard(rows)) - self._mean) / self._spread, self.leak, self.slack, out)
        return out

    @staticmethod
    def _past(z: Array) -> Array:
        return np.hstack([np.ones((len(z) - 2, 1)), z[1:-1], z[:-2]])

    def _t2(self, z: Array) -> Array:
        e = z[2:] - self._past(z) @ self._weights
        t2 = np.einsum("ni,ij,nj->n", e, self._precision, e)
        return np.concatenate([np.full(2, self._mean if hasattr(self, "_mean") else float(t2.mean())), t2])


@compiled
def _leaky_cusum(v: np.ndarray, leak: float, slack: float, out: np.ndarray) -> None:
    level = 0.0
    for i in range(v.shape[0]):
        level = max(0.0, leak * level + min(v[i], 10.0) - slack)
        out[i] = level


class HalfSpaceTrees:
    """river's HalfSpaceTrees with its default settings, learning on as its documentation does (Tan et al. 2011)."""

    name = "river HalfSpaceTrees"

    def __init__(self, head: Array) -> None:
        from river import anomaly  # noqa: PLC0415 - of the benchmark alone

        self._low, high = head.min(axis=0), head.max(axis=0)
        self._inverse = 1.0 / np.maximum(high - self._low, _TINY)
        self._learnt = anomaly.HalfSpaceTrees(seed=1)
        self._judge(self._learnt, head)

    def scores(self, rows: Array) -> Array:
        return self._judge(copy.deepcopy(self._learnt), rows)

    def _judge(self, trees: object, rows: Array) -> Array:
        out = np.empty(len(rows))
        for i, row in enumerate(np.clip((rows - self._low) * self._inverse, 0.0, 1.0).tolist()):
            named = dict(enumerate(row))
            out[i] = trees.score_one(named)  # type: ignore[attr-defined]
            trees.learn_one(named)  # type: ignore[attr-defined]
        return out
