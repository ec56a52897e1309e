"""What healthy residuals look like: location, scale, slack and thresholds of each channel, learnt from the head."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from telemetry import kernels
from telemetry.tail import (
    MARGIN,
    MIN_BLOCKS,
    SLACK,
    Memory,
    bias_threshold,
    block_maxima,
    gumbel_threshold,
    memory_of,
    noise_threshold,
)

Array = NDArray[np.float64]

MIN_ROWS = 60  # chosen: 30 rows give a scale within 25 % and 30 more to look at the statistics
CONTRADICTION = 1.15  # chosen: maxima of healthy rows scatter by about 10 % about the tail's prediction
_OFF = 1e300  # a threshold out of reach
_LATER_S = 0.1  # chosen: a value that repeats for less than this is no freeze whatever the head says


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Result of calibration for C channels and L leaks; standardised e = (residual - location) * inverse_scale."""

    location: Array  # (C,) unit of the residual
    inverse_scale: Array  # (C,) 1 / unit of the residual; 0 = channel not watched
    power: Array  # (C,) mean of e^2
    power_spread: Array  # (C,) standard deviation of e^2 / power
    slack: Array  # (C, 2) of the bias and noise statistics
    threshold: Array  # (C, L, 3)

    def arrays(self) -> dict[str, Array]:
        """The fields by name, copied."""
        return {f.name: np.array(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array | NDArray[np.int64]]) -> Baseline:
        """Inverse of `arrays`; other keys are ignored."""
        return cls(**{f.name: np.array(arrays[f.name], dtype=np.float64) for f in fields(cls)})


def learn_baseline(
    head: Array, leaks: Array, clip: float, rate_per_row: float, smallest_shift: Array | None = None
) -> Baseline:
    """Location, scale, slack and thresholds from healthy residuals.

    Location and scale come from the first half, the CUSUM bank then runs over the second half, which the location has
    not seen. Slack grows with what the mean of an autocorrelated head leaves uncertain, so that a slightly wrong mean
    does not add up for ever; thresholds grow with the autocorrelation (inflated, not decimated: every row counts).

    Args:
        head: (N, C) residuals, NaN = missing.
        leaks: (L,) of the bank.
        clip: bound of e.
        rate_per_row: admissible false alarms per row of one statistic.
        smallest_shift: (C,) shift of the mean that is worth an alarm, in the residual's unit; less is let pass.

    Raises:
        BadInput: fewer than 60 rows, or no channel that varies.
    """
    n, channels = head.shape
    if n < MIN_ROWS:
        raise BadInput(
            f"The healthy head has {n} rows and the detector needs {MIN_ROWS}; give a longer head or recording."
        )
    base = Baseline(
        location=np.zeros(channels),
        inverse_scale=np.zeros(channels),
        power=np.ones(channels),
        power_spread=np.ones(channels),
        slack=np.full((channels, 2), SLACK),
        threshold=np.full((channels, leaks.size, kernels.STATISTICS), _OFF),
    )
    half = n // 2
    for c in range(channels):
        first, second = _present(head[:half, c]), _present(head[half:, c])
        if min(first.size, second.size) < MIN_ROWS // 4:
            continue
        location, scale = float(np.median(first)), max(_scale(first), _scale(second))
        # Rounding noise of a constant column is no scale: below 1e-9 of its size there is nothing to watch.
        if not np.isfinite(scale) or scale <= max(1e-9 * abs(location), 1e-300):
            continue
        if smallest_shift is not None:  # a quiet channel is clipped only where its shift is worth an alarm
            scale = max(scale, float(smallest_shift[c]) / clip)
        e = np.clip((np.concatenate((first, second)) - location) / scale, -clip, clip)
        tails = _tails(e, clip)
        base.location[c], base.inverse_scale[c] = location, 1.0 / scale
        base.power[c], base.power_spread[c] = tails.power, tails.spread
        base.slack[c, 0] += _drift_allowance(tails.memory, float(e[first.size :].mean()), float(np.sqrt(tails.power)))
        if smallest_shift is not None:  # Page's reference value: half the shift to be found
            base.slack[c, 0] = max(base.slack[c, 0], 0.5 * smallest_shift[c] / scale)
        drift = float((e[first.size :] ** 2).mean() / tails.power - 1.0) / tails.spread
        base.slack[c, 1] += _drift_allowance(tails.noise_memory, max(0.0, drift), 1.0)
        if smallest_shift is not None:
            power_shift = (0.5 * smallest_shift[c] / scale) ** 2 / (tails.power * tails.spread)
            base.slack[c, 1] = max(base.slack[c, 1], 0.5 * power_shift)
        base.threshold[c] = tails.thresholds(rate_per_row, leaks) * tails.doubt
        held_out = np.ascontiguousarray(head[half:, c : c + 1])
        base.threshold[c] = _raise_to_measured(base, c, held_out, leaks, clip, rate_per_row, tails)
    if not base.inverse_scale.any():
        raise BadInput(
            "No channel varies in the healthy head, so nothing can be learnt; give a head in which the robot moves."
        )
    return base


def learn_run_lengths(raw: Array, rate_per_row: float, rate_hz: float) -> Array:
    """(R,) rows for which a raw channel may repeat its value; infinite where repeating is what it does.

    Three times the head's longest run, and the run that a channel repeating at the head's share reaches at the
    admissible rate (geometric tail).
    """
    limits = np.full(raw.shape[1], np.inf)
    for c in range(raw.shape[1]):
        values = _present(raw[:, c])
        if values.size < MIN_ROWS // 2:
            continue
        repeats = values[1:] == values[:-1]
        share = (float(repeats.sum()) + 1.0) / (repeats.size + 2.0)
        if share > 0.98:
            continue
        edges = np.flatnonzero(np.concatenate(([True], ~repeats, [True])))
        longest = int(np.diff(edges).max()) - 1
        geometric = float(np.log(rate_per_row) / np.log(share))
        limits[c] = max(3.0 * (longest + 1), geometric, _LATER_S * rate_hz, 5.0)
    return limits


def _present(column: Array) -> Array:
    return np.asarray(column[np.isfinite(column)], dtype=np.float64)


def _scale(values: Array) -> float:
    """Robust standard deviation: the larger of the middle half's and the middle nine tenths', or the plain one.

    The wider range keeps a residual that is quiet most of the time and moves in bursts from being scaled by its rest.
    """
    q05, q25, q75, q95 = np.quantile(values, (0.05, 0.25, 0.75, 0.95))
    scale = max(float(q75 - q25) / 1.349, float(q95 - q05) / 3.290)  # normal distribution's ranges
    return scale if scale > 0.0 else float(values.std())


def _drift_allowance(memory: Memory, seen_mean: float, unit: float) -> float:
    """How far the true mean may lie from the head's: two standard errors, or what the second half showed."""
    return max(2.0 * unit / float(np.sqrt(memory.independent_rows / 2.0)), abs(seen_mean))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tails:
    """What one channel's standardised residual says about the reach of its statistics."""

    memory: Memory  # of e
    noise_memory: Memory  # of e^2
    power: float
    spread: float
    kurtosis: float  # excess
    clip: float

    @property
    def doubt(self) -> Array:
        """(3,) factor on the thresholds for an ill-known scale: three standard errors of the power, four for noise."""
        error = 1.0 / float(np.sqrt(self.noise_memory.independent_rows / 2.0))
        return 1.0 + error * np.array([3.0, 3.0, 4.0])

    def thresholds(self, rate_per_row: float, leaks: Array) -> Array:
        """(L, 3) levels exceeded with probability `rate_per_row` per row if the head's moments are the truth."""
        unit = float(np.sqrt(self.power))
        largest = (self.clip**2 / self.power - 1.0) / self.spread
        out = np.empty((leaks.size, kernels.STATISTICS))
        for j, leak in enumerate(leaks.tolist()):
            bias = bias_threshold(rate_per_row, leak, self.memory, self.kurtosis, self.clip / unit)
            out[j, : kernels.NOISE] = unit * bias
            out[j, kernels.NOISE] = noise_threshold(rate_per_row, leak, self.noise_memory, self.spread, largest)
        return np.maximum(out, 1.0)


def _tails(e: Array, clip: float) -> _Tails:
    squares = e * e
    power = max(float(squares.mean()), 1e-6)
    memory = memory_of(e)
    return _Tails(
        memory=memory,
        # The squares of a normal series remember as rho^2, and a short head shows rho much better than theirs.
        noise_memory=memory_of(squares, at_least=memory.lag_one**2),
        power=power,
        spread=max(float(squares.std()) / power, 0.5),
        kurtosis=float(np.mean(squares**2)) / power**2 - 3.0,
        clip=clip,
    )


def _raise_to_measured(
    base: Baseline, c: int, held_out: Array, leaks: Array, clip: float, rate_per_row: float, tails: _Tails
) -> Array:
    """(L, 3) thresholds of channel `c`, lifted where its held-out rows contradict them.

    Where the rows reached further than the tail predicts for as many rows, the residual is not what its moments say
    (bursts, changing regimes): then at least 1.5 times what was reached, and what Gumbel extrapolation of block maxima
    asks for. A statistic whose memory is too long for the held-out rows is switched off.
    """
    one = slice(c, c + 1)
    levels = np.zeros((held_out.shape[0], 1, leaks.size, kernels.STATISTICS))
    kernels.record_bank(
        held_out,
        base.location[one],
        base.inverse_scale[one],
        base.power[one],
        base.power_spread[one],
        base.slack[one],
        leaks,
        clip,
        levels,
    )
    threshold: Array = base.threshold[c].copy()
    n = held_out.shape[0]
    largest = levels[:, 0].max(axis=0)
    expected = tails.thresholds(1.0 / n, leaks)
    for j, leak in enumerate(leaks.tolist()):
        if n * (1.0 - leak) < 1.99:
            threshold[j] = _OFF  # remembers longer than half of the held-out rows: nothing here can vouch for it
            continue
        rows = round(2.0 / (1.0 - leak))  # twice the memory, so that neighbouring maxima are nearly independent
        maxima = block_maxima(levels[:, 0, j], rows)
        for k in np.flatnonzero(largest[j] > CONTRADICTION * expected[j]):
            threshold[j, k] = max(threshold[j, k], MARGIN * largest[j, k])
            if maxima.shape[0] >= MIN_BLOCKS:
                threshold[j, k] = max(threshold[j, k], gumbel_threshold(maxima[:, k], rate_per_row * rows))
    return threshold
