"""Readings that repeat to the last bit: for too long (freeze), too often (dropout), or for too long at zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.kernels import compiled

Array = NDArray[np.float64]

_MIN_READINGS = 30
_LATER_S = 0.1  # chosen: a value that repeats for less than this is no freeze whatever the head says
_SEEN_MARGIN = 3.0  # chosen: over the longest run of the head
_RESTS = 0.98  # share of repeats from which on a channel rests more than it moves, and is not watched
_MORE, _MOST = 0.05, 10.0  # share of missed readings that is worth an alarm, and how many times the head's

_RUN_LIMIT, _LEVEL_LIMIT, _REPEAT, _CHANGE = range(4)  # rows of the limits: the last two are steps of the level
_LAST, _RUN, _RUN_S, _LEVEL, _LEVEL_S = range(5)  # of the state: value, ticks it has repeated, since; level, last zero


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatRatios:
    """N rows of R raw channels."""

    ratio: Array  # (N, R) test ratio
    largest: Array  # (N,)
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
        self._limits, self._state = np.zeros((4, len(self.channels))), np.zeros((5, len(self.channels)))
        self._limits[: _LEVEL_LIMIT + 1] = np.inf
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
            self._limits[: _LEVEL_LIMIT + 1, r] = np.inf
            if repeats.size < _MIN_READINGS:
                continue
            share = (float(repeats.sum()) + 1.0) / (repeats.size + 2.0)
            if share > _RESTS:
                continue
            geometric = float(np.log(rate_per_row / ticks) / np.log(share))
            self._limits[_RUN_LIMIT, r] = max(
                _SEEN_MARGIN * (_longest(repeats) + 1), geometric, _LATER_S * rate_hz * ticks, 5.0
            )
            more = share + max(_MORE, min(_MOST * share, 0.5 * (1.0 - share)))
            if more >= 1.0:
                continue
            repeat, change = np.log(more / share), np.log((1.0 - more) / (1.0 - share))
            level_limit = max(-np.log(rate_per_row), 1.5 * _largest_sum(np.where(repeats, repeat, change)))
            self._limits[_LEVEL_LIMIT:, r] = level_limit, repeat, change

    def advance(self, t_s: Array, readings: Array) -> RepeatRatios:
        """Test ratios after each of (N, D, R) readings at (N,) times."""
        self._require(readings)
        n, count = len(t_s), len(self.channels)
        ratio, onset_s = np.empty((n, count)), np.empty((n, count))
        largest, missing = np.zeros(n), np.empty((n, count), dtype=np.bool_)
        if count:
            readings = np.ascontiguousarray(readings)
            _advance(readings, t_s, self._limits, self._ceiling, self._state, ratio, onset_s, missing, largest)
        return RepeatRatios(ratio=ratio, largest=largest, onset_s=onset_s, missing=missing)

    def reset(self) -> None:
        """Begin anew; limits stay."""
        self._state[:] = 0.0
        self._state[_LAST] = np.nan

    def _require(self, readings: Array) -> None:
        if readings.ndim != 3 or readings.shape[2] != len(self.channels):
            raise ValueError(f"readings have shape {readings.shape}, there are {len(self.channels)} raw channels")

    def arrays(self) -> dict[str, Array]:
        """Limits and state by name; views, so that they can be written to."""
        return {"repeats_limits": self._limits, "repeats": self._state}


@compiled
def _advance(
    readings: np.ndarray,
    t_s: np.ndarray,
    limits: np.ndarray,
    ceiling: float,
    state: np.ndarray,
    ratio: np.ndarray,
    onset_s: np.ndarray,
    missing: np.ndarray,
    largest: np.ndarray,
) -> None:
    """Advance run lengths and Bernoulli CUSUMs of bit-equal readings, in place.

    Args:
        readings: (N, D, R), D ticks to a row; missing values neither grow nor end a run.
        t_s: (N,) time of each row [s].
        limits, state: (4, R) and (5, R); an infinite limit switches its statistic off.
        ratio, onset_s, missing, largest: (N, R), (N, R), (N, R) and (N,) out, see `RepeatRatios`.
    """
    for i in range(readings.shape[0]):
        for d in range(readings.shape[1]):
            moved = False
            for r in range(readings.shape[2]):
                x = readings[i, d, r]
                moved |= math.isfinite(x) and x != state[_LAST, r]
            for r in range(readings.shape[2]):
                x = readings[i, d, r]
                if not math.isfinite(x):
                    continue
                step = 0.0
                if x != state[_LAST, r]:
                    state[_LAST, r], state[_RUN, r], state[_RUN_S, r] = x, 0.0, t_s[i]
                    step = limits[_CHANGE, r]
                elif moved:
                    state[_RUN, r] += 1.0
                    step = limits[_REPEAT, r]
                level = state[_LEVEL, r] + step
                if level <= 0.0:
                    level, state[_LEVEL_S, r] = 0.0, t_s[i]
                state[_LEVEL, r] = min(level, ceiling * limits[_LEVEL_LIMIT, r])
        for r in range(readings.shape[2]):
            of_run = min(state[_RUN, r] / limits[_RUN_LIMIT, r], ceiling)
            of_level = state[_LEVEL, r] / limits[_LEVEL_LIMIT, r]
            by_run = of_run >= 1.0 or of_run >= of_level
            ratio[i, r] = max(of_run, of_level)
            onset_s[i, r] = state[_RUN_S, r] if by_run else state[_LEVEL_S, r]
            missing[i, r] = state[_LAST, r] == 0.0 if by_run else True  # all zero, or changing at times
            largest[i] = max(largest[i], ratio[i, r])


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
