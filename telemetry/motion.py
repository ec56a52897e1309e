"""Zero-phase smoothed motion: position, velocity, acceleration and torque that belong to the same instant.

Identification needs accelerations, and differentiated encoder noise drowns them. One Butterworth filter run forward and
backward over *every* signal keeps them aligned (Gautier, Janot, Vandanjon 2013, section III).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from core.block import Array, Block

CUTOFF_HZ = 10.0  # above the tasks' bandwidth, below the loop's; chosen between 5 and 20 Hz on simulated arms
SAMPLE_HZ = 25.0  # rows kept: about independent after a 10 Hz filter
_EDGE_S = 0.1  # the filter's transient at either end


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Smoothed samples, (N, n) each."""

    t_s: Array  # (N,)
    q: Array  # [rad]
    v: Array  # [rad/s]
    a: Array  # [rad/s^2]
    tau: Array  # [N*m], from motor current

    def __len__(self) -> int:
        return len(self.t_s)

    def between(self, start_s: float, end_s: float) -> Motion:
        """Samples with start <= t < end."""
        keep = (self.t_s >= start_s) & (self.t_s < end_s)
        return Motion(t_s=self.t_s[keep], q=self.q[keep], v=self.v[keep], a=self.a[keep], tau=self.tau[keep])


def smooth(block: Block, rate_hz: float, torque_lag_s: float = 0.0) -> Motion:
    """Smoothed motion of a gap-free block, sampled at about `SAMPLE_HZ`.

    Args:
        block: telemetry at `rate_hz`.
        torque_lag_s: how much later than position the torque reading comes; half a tick where torque is held over a
        tick.
    """
    sos = butter(3, CUTOFF_HZ, fs=rate_hz, output="sos")

    def low_pass(signal: Array) -> Array:
        return np.asarray(sosfiltfilt(sos, signal, axis=0))

    v = low_pass(block.group("qd"))
    a = np.gradient(v, 1.0 / rate_hz, axis=0)
    t = block.t_s
    tau = low_pass(block.group("tau_meas"))
    if torque_lag_s:
        tau = np.stack([np.interp(t + torque_lag_s, t, column) for column in tau.T], axis=1)
    edge, step = round(_EDGE_S * rate_hz), max(1, round(rate_hz / SAMPLE_HZ))
    keep = slice(edge, len(block) - edge, step)
    return Motion(t_s=t[keep], q=low_pass(block.group("q"))[keep], v=v[keep], a=a[keep], tau=tau[keep])
