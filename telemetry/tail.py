"""How far the statistics reach on healthy telemetry: thresholds for a false-alarm rate nobody could wait for.

At one false alarm in ten hours a head of one minute holds none, so a threshold rests on the tail that the head's
variance, autocorrelation and kurtosis imply. `telemetry.alarm_rate` later measures what they amount to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Array = NDArray[np.float64]

SLACK = 0.25  # half of the smallest shift worth an alarm, 0.5 sigma (Page 1954: slack = half the shift)
BLOCK_ROWS = (10, 30, 100, 300, 1000)  # scales at which block means are looked at
_ALTERNATES = -0.2  # correlation with the row before, from which on a series is taken to alternate
_LEAST_INFLATION = 0.05  # of its variance; chosen: nothing cancels better than that for long
_SHORT_BLOCKS = 2.0  # chosen: block means of a short head may be half of what they are
_LARGEST_KURTOSIS = 60.0  # keeps the Student tail's degrees of freedom above 4.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """How strongly one standardised series remembers itself."""

    correlation: Array  # (K,) autocorrelation at lags 1..K, cut at its first zero
    lag_one: float  # autocorrelation at lag 1, corrected for the bias of short series
    blocks: tuple[tuple[int, float], ...]  # (rows, variance of block means over that of white noise)
    rows: int  # rows it was estimated on

    def inflation(self, leak: float) -> float:
        """Variance of a leaky sum over the variance it would have on white noise.

        The largest of three estimates counts, as each misses something: the sum over measured lags loses slow
        components below the noise, the closed form of a first-order process knows only one time constant, and block
        means (Conway 1963) exist only where the series has 16 blocks. A leak of 1 gives the long-run variance.
        """
        means = [ratio for rows, ratio in self.blocks if rows * (1.0 - leak) <= 2.0]
        if self.lag_one < _ALTERNATES and means:
            # Differenced noise: its sums grow slower than those of white noise, and only block means show by how much.
            return max(_LEAST_INFLATION, _SHORT_BLOCKS * max(means[-2:]))
        lags = np.arange(1, self.correlation.size + 1)
        measured = 1.0 + 2.0 * float(np.sum(self.correlation * leak**lags))
        first_order = (1.0 + self.lag_one * leak) / (1.0 - self.lag_one * leak)
        return max(1.0, measured, first_order, *means)

    @property
    def independent_rows(self) -> float:
        """How many independent rows say as much about the mean."""
        return max(2.0, self.rows / self.inflation(1.0))


def memory_of(series: Array, at_least: float = -1.0) -> Memory:
    """Autocorrelation of a (N,) series without NaN; its first lag is taken as `at_least` that much.

    The sum stops at the first lag that is not positive (Geyer 1992, initial positive sequence, simplified); lag 1 is
    corrected by (1 + 3 rho) / N (Kendall 1954).
    """
    n = series.size
    centred = series - series.mean()
    power = float(centred @ centred)
    if n < 8 or power <= 0.0:
        return Memory(correlation=np.zeros(0), lag_one=0.0, blocks=(), rows=n)
    longest = max(1, n // 4)
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    rho = np.fft.irfft(spectrum * np.conj(spectrum), size)[1 : longest + 1] / power
    below = np.flatnonzero(rho <= 0.0)
    lag_one = float(rho[0]) + (1.0 + 3.0 * float(rho[0])) / n
    return Memory(
        correlation=rho[: below[0]] if below.size else rho,
        lag_one=min(max(lag_one, at_least), 0.999),
        blocks=tuple(
            (b, float(b * n / power * np.var(centred[: n // b * b].reshape(-1, b).mean(axis=1))))
            for b in BLOCK_ROWS
            if n // b >= 16
        ),
        rows=n,
    )


def _window(leak: float) -> tuple[Array, Array]:
    """Sum of weights and of squared weights over the last j rows, for j on a log grid."""
    j = np.unique(np.geomspace(1.0, 6.0 / (1.0 - leak), 60).round())
    return (1.0 - leak**j) / (1.0 - leak), (1.0 - leak ** (2.0 * j)) / (1.0 - leak**2)


def bias_threshold(rate: float, leak: float, memory: Memory, kurtosis: float, clip: float) -> float:
    """Level that the bias CUSUM of unit-variance residuals exceeds with probability `rate` per row.

    The CUSUM is the largest leaky sum over its last j rows, less the slack; for each j the sum has a Student tail with
    the kurtosis left after j rows are added, and the worst j counts (most probable path to the threshold).
    """
    weight, square = _window(leak)
    excess = min(max(kurtosis, 0.0), _LARGEST_KURTOSIS) * square / weight**2
    freedom = 4.0 + 6.0 / np.maximum(excess, 1e-3)  # Student degrees of freedom of that kurtosis
    z = stats.t.isf(rate, freedom) * np.sqrt(1.0 - 2.0 / freedom)
    reach = np.minimum(z * np.sqrt(memory.inflation(leak) * square), clip * weight)
    return float(np.max(reach - SLACK * weight))


def noise_threshold(rate: float, leak: float, memory: Memory, spread: float, largest: float) -> float:
    """Level that the noise CUSUM exceeds with probability `rate` per row.

    Sums of squares are taken as gamma distributed with matched mean and variance (Satterthwaite 1946).

    Args:
        spread: standard deviation of e^2 / power.
        largest: largest value that the unit-variance statistic can take because residuals are clipped.
    """
    weight, square = _window(leak)
    mean = weight / spread
    variance = memory.inflation(leak) * square
    shape = mean**2 / variance
    reach = np.minimum(special.gammainccinv(shape, rate) * variance / mean - mean, largest * weight)
    return float(np.max(reach - SLACK * weight))
