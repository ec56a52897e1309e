"""Ticks to rows: averages over a few control periods, and increments that belong to the same instant.

With D ticks to a row, the increment of two neighbouring means is the mean rate under a triangle of 2 D - 1 ticks. What
has to balance that rate is averaged under the same triangle, so nothing is differentiated that is not averaged first.

Sums run in a fixed order, so that a chunk of ticks gives the bits of tick by tick.
"""

from __future__ import annotations

import numpy as np

from core.block import Array

ROWS_HZ = 100.0  # chosen: a fault of a tenth of a second shows in ten rows


def ticks_per_row(control_rate_hz: float) -> int:
    """D."""
    return max(1, round(control_rate_hz / ROWS_HZ))


class Average:
    """Rows of M + 1 groups of D ticks: M rows, one for each group but the first.

    Args:
        ticks: D.
        dt_s: control period.
    """

    def __init__(self, ticks: int, dt_s: float) -> None:
        self.ticks, self.dt_s = ticks, dt_s
        up = np.arange(1, ticks + 1)
        self._triangle = (np.concatenate([up, up[-2::-1]]) / ticks**2).tolist()  # 2 D - 1 weights that add up to 1

    def mean(self, signal: Array) -> Array:
        """(M, ...) means over the ticks of each row."""
        return self._means(signal)[1:]

    def increment(self, signal: Array) -> Array:
        """(M, ...) mean rate of change of `signal` [1/s]."""
        means = self._means(signal)
        rate: Array = (means[1:] - means[:-1]) / (self.ticks * self.dt_s)
        return rate

    def under(self, rate: Array, late: float = 0.5) -> Array:
        """(M, ...) the average of `rate` that an increment over the same ticks shows.

        Args:
            late: 1 if the change up to tick t is due to what was measured at t, 0 if it is due to what was measured
                at the tick before, 0.5 for both in equal parts (trapezoidal rule).
        """
        count, d = len(rate) // self.ticks, self.ticks
        total = np.zeros((count - 1, *rate.shape[1:]))
        for j, weight in enumerate(self._triangle):
            if late < 1.0:
                total = total + (1.0 - late) * weight * rate[j : j + (count - 1) * d : d]
            if late > 0.0:
                total = total + late * weight * rate[j + 1 : j + 1 + (count - 1) * d : d]
        return total

    def _means(self, signal: Array) -> Array:
        count, d = len(signal) // self.ticks, self.ticks
        total = np.zeros((count, *signal.shape[1:]))
        for j in range(d):
            total = total + signal[j : count * d : d]
        means: Array = total / d
        return means
