"""How far the statistics reach on healthy telemetry: thresholds for a false-alarm rate nobody could wait for.

At one false alarm in ten hours a head of one minute holds none, so the threshold rests on two extrapolations and takes
the larger: the tail that the head's variance, autocorrelation and kurtosis imply, and a Gumbel fit to block maxima of
the statistics on held-out rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Array = NDArray[np.float64]

SLACK = 0.25  # half of the smallest shift worth an alarm, 0.5 sigma (Page 1954: slack = half the shift)
MARGIN = 1.5  # chosen: a head that breaks the tail's prediction once will do so again, and further
MIN_BLOCKS = 10  # chosen: a Gumbel scale from fewer block maxima has a relative error above 25 %
BLOCK_ROWS = (10, 30, 100, 300, 1000)  # scales at which block means are looked at
_EULER = 0.5772156649015329
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
        lags = np.arange(1, self.correlation.size + 1)
        measured = 1.0 + 2.0 * float(np.sum(self.correlation * leak**lags))
        first_order = (1.0 + self.lag_one * leak) / (1.0 - self.lag_one * leak)
        means = [ratio for rows, ratio in self.blocks if rows * (1.0 - leak) <= 2.0]
        return max(1.0, measured, first_order, *means)

    @property
    def independent_rows(self) -> float:
        """How many independent rows say as much about the mean."""
        return max(2.0, self.rows / self.inflation(1.0))


def memory_of(series: Array, at_least: float = 0.0) -> Memory:
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


def block_maxima(levels: Array, rows: int) -> Array:
    """(N, ...) levels as (blocks, ...) maxima over blocks of `rows` rows; the incomplete last block is left out."""
    blocks = levels.shape[0] // rows
    return levels[: blocks * rows].reshape(blocks, rows, *levels.shape[1:]).max(axis=1)  # type: ignore[no-any-return]


def gumbel_threshold(maxima: Array, rate_per_block: float) -> float:
    """Level that a block maximum exceeds with probability `rate_per_block`, from a Gumbel fit to (B,) block maxima.

    Source: Hosking 1985, probability-weighted moments; Gumbel is the limit for maxima with exponential or lighter tails
    (Fisher & Tippett 1928), so it errs towards fewer alarms for the lighter, normal-like tail of a leaky sum.
    """
    scale = gumbel_scale(maxima)
    location = float(maxima.mean()) - _EULER * scale
    return location - scale * float(np.log(-np.log1p(-rate_per_block)))


def gumbel_scale(maxima: Array) -> float:
    """Scale of a Gumbel distribution by probability-weighted moments (Hosking 1985)."""
    ordered = np.sort(maxima)
    n = ordered.size
    second = float(np.sum(np.arange(n) * ordered)) / (n * (n - 1))
    return max(0.0, (2.0 * second - float(ordered.mean())) / float(np.log(2.0)))
