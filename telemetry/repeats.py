"""Readings that repeat to the last bit: for too long (freeze), too often (dropout), or for too long at zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.kernels import advance_repeats

Array = NDArray[np.float64]

_MIN_READINGS = 30
_LATER_S = 0.1  # chosen: a value that repeats for less than this is no freeze whatever the head says
_SEEN_MARGIN = 3.0  # chosen: over the longest run of the head
_RESTS = 0.98  # share of repeats from which on a channel rests more than it moves, and is not watched
_MORE, _MOST = 0.05, 10.0  # share of missed readings that is worth an alarm, and how many times the head's


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatRatios:
    """N rows of R raw channels."""

    ratio: Array  # (N, R) test ratio
    onset_s: Array  # (N, R)
    missing: NDArray[np.bool_]  # (N, R) samples are missing or zero; otherwise the reading is frozen


class Repeats:
    """Runs of equal readings, and a Bernoulli CUSUM of how often readings equal the one before.

    A repeat counts only in ticks in which some other channel changed: when everything repeats, the robot rests or the
    stream stands still, and that is for `telemetry.health` to say.

    Args:
        channels: names of the R raw channels.
        ceiling: largest test ratio.

    Source: Reynolds and Stoumbos 1999, A CUSUM Chart for Monitoring a Proportion; a log-likelihood CUSUM exceeds
    -log(p) with probability of at most about p per row.
    """

    def __init__(self, channels: Sequence[str], ceiling: float) -> None:
        self.channels, self._ceiling = tuple(channels), ceiling
        self._run_limit = np.full(len(self.channels), np.inf)
        self._weight = np.zeros((len(self.channels), 2))  # of a repeat and of a change
        self._level_limit = np.full(len(self.channels), np.inf)
        self.reset()

    def learn(self, readings: Array, rate_per_row: float, rate_hz: float) -> None:
        """Limits from (N, D, R) healthy readings, `rate_hz` rows a second."""
        self._require(readings)
        ticks = readings.shape[1]
        flat = readings.reshape(len(readings) * ticks, readings.shape[2])
        held = _held(flat)
        present = np.isfinite(flat[1:])
        same = held[1:] == held[:-1]
        moved = np.any(present & ~same, axis=1)  # otherwise everything rests, which says nothing of one channel
        for r in range(len(self.channels)):
            repeats = same[present[:, r] & moved, r]
            self._run_limit[r], self._level_limit[r] = np.inf, np.inf
            if repeats.size < _MIN_READINGS:
                continue
            share = (float(repeats.sum()) + 1.0) / (repeats.size + 2.0)
            if share > _RESTS:
                continue
            geometric = float(np.log(rate_per_row / ticks) / np.log(share))
            self._run_limit[r] = max(_SEEN_MARGIN * (_longest(repeats) + 1), geometric, _LATER_S * rate_hz * ticks, 5.0)
            more = share + max(_MORE, min(_MOST * share, 0.5 * (1.0 - share)))
            if more >= 1.0:
                continue
            self._weight[r] = np.log(more / share), np.log((1.0 - more) / (1.0 - share))
            seen = _largest_sum(np.where(repeats, self._weight[r, 0], self._weight[r, 1]))
            self._level_limit[r] = max(-np.log(rate_per_row), 1.5 * seen)

    def advance(self, t_s: Array, readings: Array) -> RepeatRatios:
        """Test ratios after each of (N, D, R) readings at (N,) times."""
        self._require(readings)
        n, count = len(t_s), len(self.channels)
        ratio, onset_s = np.zeros((n, count)), np.zeros((n, count))
        missing = np.zeros((n, count), dtype=np.bool_)
        if count:
            advance_repeats(
                np.ascontiguousarray(readings),
                t_s,
                self._run_limit,
                self._weight,
                self._level_limit,
                self._ceiling,
                self._last,
                self._run,
                self._level,
                self._start_s,
                ratio,
                onset_s,
                missing,
            )
        return RepeatRatios(ratio=ratio, onset_s=onset_s, missing=missing)

    def reset(self) -> None:
        """Begin anew; limits stay."""
        count = len(self.channels)
        self._last, self._run, self._level = np.full(count, np.nan), np.zeros(count), np.zeros(count)
        self._start_s = np.zeros((count, 2))

    def _require(self, readings: Array) -> None:
        if readings.ndim != 3 or readings.shape[2] != len(self.channels):
            raise ValueError(f"readings have shape {readings.shape}, there are {len(self.channels)} raw channels")

    def arrays(self) -> dict[str, Array]:
        """Limits and state by name; views, so that they can be written to."""
        return {
            "repeats_run_limit": self._run_limit,
            "repeats_weight": self._weight,
            "repeats_level_limit": self._level_limit,
            "repeats_last": self._last,
            "repeats_run": self._run,
            "repeats_level": self._level,
            "repeats_start_s": self._start_s,
        }


def _held(flat: Array) -> Array:
    """(N, R) with the value before in the place of each missing one."""
    rows = np.where(np.isfinite(flat), np.arange(len(flat))[:, None], 0)
    held: Array = np.take_along_axis(flat, np.maximum.accumulate(rows, axis=0), axis=0)
    return held


def _longest(repeats: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.concatenate(([True], ~repeats, [True])))
    return int(np.diff(edges).max()) - 1


def _largest_sum(steps: Array) -> float:
    """Largest value of max(0, level + step) over a series: the largest rise of its running sum."""
    total = np.concatenate(([0.0], np.cumsum(steps)))
    return float((total - np.minimum.accumulate(total)).max())
