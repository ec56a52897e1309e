"""Compiled inner loops of the detector: one row costs the same at row one and at row ten million.

Plain loops in row order without fused or reordered arithmetic, so that a chunk of n rows gives the bits of n single
rows. The lock of the interpreter is released while they run. Nothing is allocated per row.

The machine code is cached beside the source. Where that folder is read-only numba falls back to the user's cache
folder; where there is none either (a container without a home) it would refuse to import, so the cache is then left out
and the first call compiles for some seconds.
"""
# ruff: noqa: PLR0912 - compiled loops take plain arrays by position and branch where they must

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """`function` as machine code, cached on disk where some folder can be written."""
    try:
        return njit(function, cache=True, nogil=True)  # type: ignore[no-any-return]
    except RuntimeError:  # "cannot cache function: no locator available"
        return njit(function, cache=False, nogil=True)  # type: ignore[no-any-return]


@compiled
def advance_repeats(
    readings: np.ndarray,
    t_s: np.ndarray,
    run_limit: np.ndarray,
    weight: np.ndarray,
    level_limit: np.ndarray,
    ceiling: float,
    last: np.ndarray,
    run: np.ndarray,
    level: np.ndarray,
    start_s: np.ndarray,
    ratio: np.ndarray,
    onset_s: np.ndarray,
    missing: np.ndarray,
) -> None:
    """Advance run lengths and Bernoulli CUSUMs of bit-equal readings, in place; see `telemetry.repeats`.

    Args:
        readings: (N, D, R), D ticks to a row; missing values neither grow nor end a run.
        t_s: (N,) time of each row [s].
        run_limit, level_limit: (R,) ticks, and level; infinite switches one off.
        weight: (R, 2) step of the level for a repeat and for a change.
        last, run, level: (R,) state: last value seen, ticks in the run, level.
        start_s: (R, 2) state: time of the run's first row, and of the level's last zero [s].
        ratio, onset_s, missing: (N, R) out; `missing`: the repeated value is exactly zero, or values change at times.
    """
    for i in range(readings.shape[0]):
        for d in range(readings.shape[1]):
            moved = False
            for r in range(readings.shape[2]):
                x = readings[i, d, r]
                if math.isfinite(x) and x != last[r]:
                    moved = True
            for r in range(readings.shape[2]):
                x = readings[i, d, r]
                if not math.isfinite(x):
                    continue
                step = 0.0
                if x != last[r]:
                    last[r] = x
                    run[r] = 0.0
                    start_s[r, 0] = t_s[i]
                    step = weight[r, 1]
                elif moved:
                    run[r] += 1.0
                    step = weight[r, 0]
                level[r] += step
                if level[r] <= 0.0:
                    level[r] = 0.0
                    start_s[r, 1] = t_s[i]
                level[r] = min(level[r], ceiling * level_limit[r])
        for r in range(readings.shape[2]):
            of_run, of_level = min(run[r] / run_limit[r], ceiling), level[r] / level_limit[r]
            if of_run >= 1.0 or of_run >= of_level:
                ratio[i, r], onset_s[i, r], missing[i, r] = max(of_run, of_level), start_s[r, 0], last[r] == 0.0
            else:
                ratio[i, r], onset_s[i, r], missing[i, r] = of_level, start_s[r, 1], True


@compiled
def predict_rows(
    values: np.ndarray,
    centre: np.ndarray,
    inverse_spread: np.ndarray,
    commands: np.ndarray,
    decays: np.ndarray,
    weights: np.ndarray,
    bound: float,
    lag: np.ndarray,
    smooth: np.ndarray,
    seen: np.ndarray,
    feature: np.ndarray,
    features_out: np.ndarray,
    predictions: np.ndarray,
) -> None:
    """Predictions of linear predictors over N rows of C channels, in place; see `telemetry.autoregressive`.

    Features: [1, x(t), x(t-1), x(t-2), each command smoothed with each decay], all standardised and bounded.

    Args:
        values: (N, C) raw; a missing value keeps its last one as a predictor and its own prediction goes on.
        centre, inverse_spread: (C,); an inverse spread of 0 switches a channel off.
        commands: (U,) int64 columns that are commands.
        decays: (D,) decay per row of the smoothed commands.
        weights: (2, C, F) for the two residuals of each channel.
        bound: standardised values are clipped to +-bound as predictors.
        lag, smooth, seen, feature: state (3, C), (U, D), (1,) int64 and scratch (F,).
        features_out: (N, F) or (0, F): written when the caller fits.
        predictions: (N, 2 * C) out, standardised: C one step ahead, then C by redundancy; NaN where a channel is off.
    """
    channels = values.shape[1]
    for i in range(values.shape[0]):
        for c in range(channels):
            lag[2, c] = lag[1, c]
            lag[1, c] = lag[0, c]
            x = values[i, c]
            if math.isfinite(x):
                lag[0, c] = min(max((x - centre[c]) * inverse_spread[c], -bound), bound)
        if seen[0] == 0:
            # The first row stands in for the two before it: a jump from the head's centre is not a fault.
            for c in range(channels):
                lag[1, c] = lag[0, c]
                lag[2, c] = lag[0, c]
            for u in range(commands.shape[0]):
                for d in range(decays.shape[0]):
                    smooth[u, d] = lag[0, commands[u]]
        seen[0] += 1
        feature[0] = 1.0
        at = 1
        for k in range(3):
            for c in range(channels):
                feature[at] = lag[k, c]
                at += 1
        for u in range(commands.shape[0]):
            for d in range(decays.shape[0]):
                smooth[u, d] = decays[d] * smooth[u, d] + (1.0 - decays[d]) * lag[0, commands[u]]
                feature[at] = smooth[u, d]
                at += 1
        if features_out.shape[0] > 0:
            for f in range(feature.shape[0]):
                features_out[i, f] = feature[f]
        for c in range(channels):
            for kind in range(2):
                if inverse_spread[c] > 0.0:
                    prediction = 0.0
                    for f in range(feature.shape[0]):
                        prediction += weights[kind, c, f] * feature[f]
                    predictions[i, kind * channels + c] = prediction
                else:
                    predictions[i, kind * channels + c] = math.nan
