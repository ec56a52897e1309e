"""Zero-phase smoothed motion: position, velocity, acceleration and torque that belong to the same instant.

Identification needs accelerations, and differentiated encoder noise drowns them. One Butterworth filter run forward and
backward over *every* signal keeps them aligned (Gautier, Janot, Vandanjon 2013, section III). What is not linear in the
signals, such as dry friction, has to be computed before that filter and go through it like the rest.

The cut-off is as high as noise allows: least squares takes noise in a regressor for a smaller coefficient (errors in
variables; Soderstrom 2007), by the square of the share that noise has in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from scipy.signal import butter, sosfiltfilt, sosfreqz

from core.block import Array, Block

CUTOFF_HZ = 10.0  # above the tasks' bandwidth, below the loop's; chosen between 5 and 20 Hz on simulated arms
_LOWER_HZ = (5.0, 3.0)  # for robots whose acceleration drowns in the noise of their speed
_NOISE_SHARE = 0.05  # of an acceleration that may be noise: a load that hides in it is found too small by its square
SAMPLE_HZ = 25.0  # rows kept: about independent after a 10 Hz filter
WIDE_HZ = 100.0  # keeps the moment at which a stuck joint breaks away, and loses half of the noise
_SHORT = 2000  # rows up to which a matrix of the filter is worth its memory
_EDGE_PERIODS = 1.0  # of the cut-off: the filter's transient at either end


@dataclass(frozen=True, slots=True, kw_only=True)
class Wide:
    """The same signals at the full rate, M rows, smoothed lightly."""

    q: Array  # (M, n) [rad or m]
    v: Array  # (M, n) [rad/s or m/s]
    tau: Array  # (M, m) [N*m or N]
    rate_hz: float
    cutoff_hz: float  # of the `Motion`

    def sample(self, signal: Array) -> Array:
        """(N, k) rows of `signal` (M, k) at the instants of `Motion`, as they are."""
        return signal[_kept(len(signal), self.rate_hz, self.cutoff_hz)]

    def reduce(self, signal: Array) -> Array:
        """(N, k) rows of `signal` (M, k), smoothed and sampled like `Motion`."""
        kept = _kept(len(signal), self.rate_hz, self.cutoff_hz)
        reduced = np.zeros_like(signal[kept])
        some = np.any(signal, axis=0)  # what a fault changes sits in one joint most of the time
        if len(signal) > _SHORT:
            reduced[:, some] = low_pass(signal[:, some], self.cutoff_hz, self.rate_hz)[kept]
        else:
            reduced[:, some] = _reduction(len(signal), self.rate_hz, self.cutoff_hz) @ signal[:, some]
        return reduced


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Smoothed samples, N rows of n coordinates and m actuators."""

    t_s: Array  # (N,)
    q: Array  # (N, n) [rad or m]
    v: Array  # (N, n) [rad/s or m/s]
    a: Array  # (N, n) [rad/s^2 or m/s^2]
    tau: Array  # (N, m) [N*m or N], effort of the drives
    wide: Wide

    def __len__(self) -> int:
        return len(self.t_s)

    def calm(self, rows: Array, cutoff_hz: float) -> Array:
        """(N', ...) `rows` (N, ...) at all instants but the first and last, without what is faster than `cutoff_hz`.

        Torque is not linear in fast motion: filtered before it is computed, a pole that whirls is another pole. So a
        noisy robot's torque is computed from motion as fast as it is, and calmed afterwards.
        """
        if cutoff_hz >= self.wide.cutoff_hz:
            return rows
        rate_hz = self.wide.rate_hz / _stride(self.wide.rate_hz)
        sections = _sections(cutoff_hz, rate_hz)
        padding = min(3 * (2 * len(sections) + 1), len(rows) - 1)
        calmed = np.asarray(sosfiltfilt(sections, rows, axis=0, padlen=padding))
        edge = round((1.0 / cutoff_hz - 1.0 / self.wide.cutoff_hz) * _EDGE_PERIODS * rate_hz)
        return calmed[edge : len(calmed) - edge]


def best_cutoff_hz(block: Block, rate_hz: float) -> float:
    """The highest cut-off at which noise is a small share of the acceleration of every coordinate that moves."""
    qd = block.group("qd")
    noise = np.diff(qd, n=2, axis=0).std(axis=0) / np.sqrt(6.0)  # second differences leave white noise, times root 6

    def shares(cutoff_hz: float) -> Array:
        # White noise through an ideal low-pass filter and a derivative.
        expected = noise * 2 * np.pi * cutoff_hz * np.sqrt(2 * cutoff_hz / (3 * rate_hz))
        acceleration = np.gradient(low_pass(qd, cutoff_hz, rate_hz), 1.0 / rate_hz, axis=0)
        share: Array = expected / np.maximum(acceleration.std(axis=0), 1e-12)
        return share

    moves = shares(_LOWER_HZ[-1]) < 0.5  # at rest an acceleration is all noise
    for cutoff_hz in (CUTOFF_HZ, *_LOWER_HZ[:-1]):
        if np.all(shares(cutoff_hz)[moves] < _NOISE_SHARE):
            return cutoff_hz
    return _LOWER_HZ[-1]


def smooth(
    block: Block,
    rate_hz: float,
    torque_lag_s: float = 0.0,
    effort: Array | None = None,
    cutoff_hz: float = CUTOFF_HZ,
) -> Motion:
    """Smoothed motion of a gap-free block, sampled at about `SAMPLE_HZ`.

    Args:
        block: telemetry at `rate_hz`.
        torque_lag_s: how much later than position the torque reading comes; half a tick where torque is held over a
        tick.
        effort: (M, m) effort of the drives if it is known better than it is measured [N*m or N].
        cutoff_hz: of the filter.
    """
    t, tau = block.t_s, block.group("tau_meas") if effort is None else effort
    if torque_lag_s:
        tau = np.stack([np.interp(t + torque_lag_s, t, column) for column in tau.T], axis=1)
    q, qd = block.group("q"), block.group("qd")
    wide = Wide(
        q=low_pass(q, WIDE_HZ, rate_hz),
        v=low_pass(qd, WIDE_HZ, rate_hz),
        tau=low_pass(tau, WIDE_HZ, rate_hz),
        rate_hz=rate_hz,
        cutoff_hz=cutoff_hz,
    )
    v = low_pass(qd, cutoff_hz, rate_hz)
    keep = _kept(len(block), rate_hz, cutoff_hz)
    return Motion(
        t_s=t[keep],
        q=low_pass(q, cutoff_hz, rate_hz)[keep],
        v=v[keep],
        a=np.gradient(v, 1.0 / rate_hz, axis=0)[keep],
        tau=low_pass(tau, cutoff_hz, rate_hz)[keep],
        wide=wide,
    )


def low_pass(signal: Array, cutoff_hz: float, rate_hz: float) -> Array:
    """`signal` (M, k) without what is faster than `cutoff_hz`, and without delay."""
    if cutoff_hz >= 0.45 * rate_hz:  # a slow robot's samples hold nothing above it
        return np.array(signal)
    return np.asarray(sosfiltfilt(_sections(cutoff_hz, rate_hz), signal, axis=0))


def share_passed(cutoff_hz: float, rate_hz: float, turn: Array) -> Array:
    """(k,) share of the amplitude that `low_pass` lets through at frequencies of `turn` (k,) rad from tick to tick."""
    if cutoff_hz >= 0.45 * rate_hz:
        return np.ones(len(turn))
    share: Array = np.square(np.abs(sosfreqz(_sections(cutoff_hz, rate_hz), turn)[1]))
    return share


@cache
def _sections(cutoff_hz: float, rate_hz: float) -> Array:
    return np.asarray(butter(3, cutoff_hz, fs=rate_hz, output="sos"))


@lru_cache(maxsize=4)
def _reduction(rows: int, rate_hz: float, cutoff_hz: float) -> Array:
    """(N, M) the filter and the choice of rows as one matrix: a tenth of the filter's time for what is done often."""
    return np.ascontiguousarray(low_pass(np.eye(rows), cutoff_hz, rate_hz)[_kept(rows, rate_hz, cutoff_hz)])


def _kept(rows: int, rate_hz: float, cutoff_hz: float) -> slice:
    edge = round(_EDGE_PERIODS / cutoff_hz * rate_hz)
    return slice(edge, rows - edge, _stride(rate_hz))


def _stride(rate_hz: float) -> int:
    return max(1, round(rate_hz / SAMPLE_HZ))
