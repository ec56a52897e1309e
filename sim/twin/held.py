"""Dry friction in joints at rest: it holds any torque up to its own, and much the same one for a while.

How much it holds is not known, but to what it adds: one unknown torque for each joint and moment, which fades into the
next. Rows in which joints rest are worth less for it, and errors that no resting joint can make still count in full.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded
from scipy.optimize import nnls

from core.rigid_body import Array
from telemetry.calibration import correlation_time

WHILE_S = 0.15  # for which a healthy joint at rest holds much the same torque
_ROUNDS = 4
_LEAST = 0.2  # of what is left unexplained, that is noise at the least and not friction


def kept_sign(q: Array, turn_rad: float) -> Array:
    """(M, m) dry friction at angles `q` (M, m), from -1 to 1: a spring that slips (Prandtl's stop; Visintin 1994).

    Args:
        turn_rad: way that takes it from nothing to all.
    """
    sign = np.zeros_like(q)
    for k in range(1, len(q)):
        sign[k] = np.clip(sign[k - 1] + (q[k] - q[k - 1]) / turn_rad, -1.0, 1.0)
    return sign


def held_columns(by_torque: Array, held_nm: Array, rate_hz: float, while_s: float = WHILE_S) -> Array:
    """(N, r, m K) columns of unit variance: what unknown torques in resting joints add to N instants of r rows.

    Args:
        by_torque: (N, r, m) rows by 1 N*m in each joint, as far as it rests.
        held_nm: (m,) standard deviation of the torque that each joint holds.
        rate_hz: of the instants.
        while_s: for which a joint holds much the same torque.
    """
    moments = _moments(len(by_torque), rate_hz, while_s)
    columns = (by_torque * held_nm)[..., None] * moments[:, None, None, :]
    return np.asarray(columns.reshape(*by_torque.shape[:2], -1))


def _moments(count: int, rate_hz: float, while_s: float) -> Array:
    """(N, K) windows, one for each while, that fade into each other and whose squares add up to one."""
    tick = np.arange(count)[:, None] / (while_s * rate_hz)
    apart = np.abs(tick - np.arange(int(np.ceil(tick[-1, 0])) + 1))
    return np.where(apart < 1.0, np.cos(0.5 * np.pi * np.minimum(apart, 1.0)), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowNoise:
    """Noise of N instants of r rows: white in each row, and what resting joints hold."""

    level: Array  # (r,) standard deviation of the white part
    inflation: Array  # (r,) instants for each independent one, at least 1
    held_nm: Array  # (m,)

    def solve(self, by_torque: Array, columns: Array, rate_hz: float) -> Array:
        """(N r, k) `columns` (N r, k) times the inverse of the covariance of the rows, which is a band matrix."""
        count, width, _ = by_torque.shape
        loaded, moments = by_torque * self.held_nm, _moments(count, rate_hz, WHILE_S)
        reach = min(int(2 * WHILE_S * rate_hz), count - 1)
        band = np.zeros((width * (reach + 1), count, width))  # [d, n, j]: row d below the diagonal of column (n, j)
        for lag in range(reach + 1):
            shared = (moments[: count - lag] * moments[lag:]).sum(axis=1)
            block = np.einsum("nik,njk->nij", loaded[lag:], loaded[: count - lag]) * shared[:, None, None]
            for i in range(width):
                for j in range(width):
                    below = width * lag + i - j
                    if below >= 0:
                        band[below, : count - lag, j] = block[:, i, j]
        band[0] += np.square(self.level) * self.inflation
        return np.asarray(solveh_banded(band.reshape(len(band), -1), columns, lower=True, check_finite=False))

    def learnt(self, by_torque: Array, left: Array, dry_nm: Array, rate_hz: float) -> RowNoise:
        """The noise that explains how `left` (N, r) scatters, instant by instant, where joints rest and where not.

        Args:
            dry_nm: (m,) dry friction of each joint in motion; what it holds at rest is a share of that.
        """
        by_friction = np.square(by_torque * dry_nm).sum(axis=2)  # (N, r) variance if it held as much as in motion
        scale = np.mean(np.square(left), axis=0)
        width = len(scale)
        system = np.zeros((*left.shape, width + 1))
        system[:, range(width), range(width)] = 1.0
        system[..., -1] = by_friction / scale
        seen, expected = np.square(left) / scale, np.ones(left.shape)
        for _ in range(_ROUNDS):  # a square scatters by as much as is expected of it
            weighted = (system / expected[..., None]).reshape(-1, width + 1)
            shares, _ = nnls(weighted, (seen / expected).reshape(-1))
            expected = np.maximum(system @ shares, _LEAST**2)
        level = np.sqrt(np.maximum(shares[:-1], _LEAST**2) * scale)
        known = RowNoise(level=level, inflation=self.inflation, held_nm=np.sqrt(shares[-1]) * dry_nm)
        weighted = known.solve(by_torque, left.reshape(-1), rate_hz).reshape(left.shape)
        white = np.square(level) * self.inflation * weighted  # the most probable white part
        return RowNoise(level=level, inflation=correlation_time(white), held_nm=known.held_nm)
