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
    gumbel_scale,
    gumbel_threshold,
    memory_of,
    noise_threshold,
)

Array = NDArray[np.float64]

MIN_ROWS = 60  # chosen: 30 rows give a scale within 25 % and 30 more to look at the statistics
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


def learn_baseline(head: Array, leaks: Array, clip: float, rate_per_row: float) -> Baseline:
    """Location, scale, slack and thresholds from healthy residuals.

    Location and scale come from the first half, the CUSUM bank then runs over the second half, which the location has
    not seen. Slack grows with what the mean of an autocorrelated head leaves uncertain, so that a slightly wrong mean
    does not add up for ever; thresholds grow with the autocorrelation (inflated, not decimated: every row counts).

    Args:
        head: (N, C) residuals, NaN = missing.
        leaks: (L,) of the bank.
        clip: bound of e.
        rate_per_row: admissible false alarms per row of one statistic.

    Raises:
        BadInput: fewer than 60 rows, or no channel that varies.
    """
    n, channels = head.shape
    if n < MIN_ROWS:
        raise BadInput(
            f"The healthy head has {n} rows and the detector needs {MIN_ROWS}; give a longer head or recording."
        )
    location, inverse_scale = np.zeros(channels), np.zeros(channels)
    power, spread = np.ones(channels), np.ones(channels)
    slack = np.full((channels, 2), SLACK)
    threshold = np.full((channels, leaks.size, kernels.STATISTICS), 1e300)
    half = n // 2
    for c in range(channels):
        first, second = _present(head[:half, c]), _present(head[half:, c])
        if min(first.size, second.size) < MIN_ROWS // 4:
            continue
        location[c] = np.median(first)
        scale = max(_scale(first), _scale(second))
        # Rounding noise of a constant column is no scale: 1e-9 of its size, or exactly nothing.
        if not np.isfinite(scale) or scale <= 1e-9 * abs(location[c]) or scale < 1e-300:
            continue
        inverse_scale[c] = 1.0 / scale
        e_first, e_second = (np.clip((part - location[c]) / scale, -clip, clip) for part in (first, second))
        e = np.concatenate((e_first, e_second))
        squares = e * e
        power[c] = max(float(squares.mean()), 1e-6)
        spread[c] = max(float(squares.std()) / power[c], 0.5)
        noise = (squares / power[c] - 1.0) / spread[c]
        memory, noise_memory = memory_of(e), memory_of(noise)
        noise_second = noise[e_first.size :]
        slack[c, 0] += _drift_allowance(memory, float(e_second.mean()), float(np.sqrt(power[c])))
        slack[c, 1] += _drift_allowance(noise_memory, max(0.0, float(noise_second.mean())), 1.0)
        unit = float(np.sqrt(power[c]))
        kurtosis = float(np.mean(squares**2) / power[c] ** 2 - 3.0)
        doubt = 1.0 + 1.0 / np.sqrt(noise_memory.independent_rows / 2.0)
        for j, leak in enumerate(leaks):
            bias = unit * doubt * bias_threshold(rate_per_row, leak, memory, kurtosis, clip / unit)
            largest = (clip * clip / power[c] - 1.0) / spread[c]
            threshold[c, j, : kernels.NOISE] = max(bias, 1.0)
            threshold[c, j, kernels.NOISE] = max(
                doubt * noise_threshold(rate_per_row, leak, noise_memory, float(spread[c]), largest), 1.0
            )
    if not inverse_scale.any():
        raise BadInput(
            "No channel varies in the healthy head, so nothing can be learnt; give a head in which the robot moves."
        )
    base = Baseline(
        location=location,
        inverse_scale=inverse_scale,
        power=power,
        power_spread=spread,
        slack=slack,
        threshold=threshold,
    )
    return _raise_to_measured(base, head[half:], leaks, clip, rate_per_row)


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
    return column[np.isfinite(column)]


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


def _raise_to_measured(base: Baseline, held_out: Array, leaks: Array, clip: float, rate_per_row: float) -> Baseline:
    """Lift thresholds that the held-out rows contradict, by Gumbel extrapolation of their block maxima."""
    threshold = base.threshold.copy()
    watched = np.flatnonzero(base.inverse_scale > 0.0)
    blocks = [
        round(2.0 / (1.0 - leak)) for leak in leaks
    ]  # twice the memory: maxima of two blocks are nearly independent
    largest = np.zeros_like(threshold)
    maxima = [np.zeros((held_out.shape[0] // rows, *threshold[:, 0].shape)) for rows in blocks]
    levels = np.zeros((held_out.shape[0], 1, leaks.size, kernels.STATISTICS))
    for c in watched:  # one channel at a time: a long head of many channels would not fit into memory at once
        one = slice(c, c + 1)
        kernels.record_bank(
            np.ascontiguousarray(held_out[:, one]),
            base.location[one],
            base.inverse_scale[one],
            base.power[one],
            base.power_spread[one],
            base.slack[one],
            leaks,
            clip,
            levels,
        )
        largest[c] = levels[:, 0].max(axis=0)
        for j, rows in enumerate(blocks):
            maxima[j][:, c] = block_maxima(levels[:, 0, j], rows)
    threshold = np.maximum(threshold, MARGIN * largest)
    for j, rows in enumerate(blocks):
        if maxima[j].shape[0] < MIN_BLOCKS:
            continue
        for k in range(kernels.STATISTICS):
            # A scale from few maxima scatters; the median over channels, relative to the threshold, steadies it.
            steady = float(np.median([gumbel_scale(maxima[j][:, c, k]) / threshold[c, j, k] for c in watched]))
            for c in watched:
                floor = 0.5 * steady * base.threshold[c, j, k]
                threshold[c, j, k] = max(
                    threshold[c, j, k], gumbel_threshold(maxima[j][:, c, k], rate_per_row * rows, floor)
                )
    return Baseline(**(base.arrays() | {"threshold": threshold}))
