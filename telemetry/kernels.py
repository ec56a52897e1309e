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

BIAS_UP, BIAS_DOWN, NOISE = 0, 1, 2  # last axis of the bank
STATISTICS = 3
RECENT = 0.85  # chosen: some six rows, the time in which a clear shift alarms
SHIFT_SHARE = 0.4  # chosen: over two standard deviations of what pure noise shows over these rows


def compiled(function: _F) -> _F:
    """`function` as machine code, cached on disk where some folder can be written."""
    try:
        return njit(function, cache=True, nogil=True)  # type: ignore[no-any-return]
    except RuntimeError:  # "cannot cache function: no locator available"
        return njit(function, cache=False, nogil=True)  # type: ignore[no-any-return]


@compiled
def advance_bank(
    residuals: np.ndarray,
    t_s: np.ndarray,
    location: np.ndarray,
    inverse_scale: np.ndarray,
    power: np.ndarray,
    power_spread: np.ndarray,
    slack: np.ndarray,
    leaks: np.ndarray,
    threshold: np.ndarray,
    clip: float,
    ceiling: float,
    level: np.ndarray,
    zero_s: np.ndarray,
    recent: np.ndarray,
    missing: np.ndarray,
    channel_ratio: np.ndarray,
    winner: np.ndarray,
    onset_s: np.ndarray,
) -> None:
    """Advance the bank of leaky CUSUMs over N rows of C residuals, in place.

    For every channel, leak and statistic s:  level = min(ceiling * threshold, max(0, leak * level + s - slack)), with
    s = e, -e and (e^2 / power - 1) / power_spread, where e = clip((residual - location) * inverse_scale).

    Args:
        residuals: (N, C); NaN or infinite = missing: the levels are held and the miss is counted in `missing`.
        t_s: (N,) time of each row [s].
        location, inverse_scale, power, power_spread: (C,); an inverse scale of 0 switches a channel off.
        slack: (C, 2) subtracted from the bias and the noise statistics.
        leaks: (L,).
        threshold, level, zero_s: (C, L, 3); zero_s is the last time [s] at which the level was zero.
        recent: (C, 2) mean of e and of e^2 over some six rows, to tell a shift from noise.
        missing: (C,) int64.
        channel_ratio: (N, C) out, largest level / threshold of each channel.
        winner: (N, C) int64 out, leak * 3 + statistic of that largest ratio.
        onset_s: (N, C) out, `zero_s` of that largest ratio.
    """
    for i in range(residuals.shape[0]):
        now_s = t_s[i]
        for c in range(residuals.shape[1]):
            x = residuals[i, c]
            best, best_at, best_zero = 0.0, 0, now_s
            moved, moved_at, moved_zero = 0.0, 0, now_s  # the best bias statistic
            if inverse_scale[c] > 0.0:
                present = math.isfinite(x)
                rise = noise = 0.0
                if present:
                    e = min(max((x - location[c]) * inverse_scale[c], -clip), clip)
                    rise = e
                    recent[c, 0] += (1.0 - RECENT) * (e - recent[c, 0])
                    recent[c, 1] += (1.0 - RECENT) * (e * e - recent[c, 1])
                    noise = (e * e / power[c] - 1.0) / power_spread[c] - slack[c, 1]
                else:
                    missing[c] += 1
                for j in range(leaks.shape[0]):
                    for k in range(STATISTICS):
                        if present:
                            if k == BIAS_UP:
                                step = rise - slack[c, 0]
                            elif k == BIAS_DOWN:
                                step = -rise - slack[c, 0]
                            else:
                                step = noise
                            s = leaks[j] * level[c, j, k] + step
                            if s <= 0.0:
                                s = 0.0
                                zero_s[c, j, k] = now_s
                            s = min(s, ceiling * threshold[c, j, k])
                            level[c, j, k] = s
                        ratio = level[c, j, k] / threshold[c, j, k]
                        if ratio > best:
                            best, best_at, best_zero = ratio, j * STATISTICS + k, zero_s[c, j, k]
                        if k != NOISE and ratio > moved:
                            moved, moved_at, moved_zero = ratio, j * STATISTICS + k, zero_s[c, j, k]
            # A shift raises e^2 as well, and sooner. It is a shift if the recent mean explains the recent power.
            if recent[c, 0] * recent[c, 0] > SHIFT_SHARE * recent[c, 1] and moved > 0.0:
                best_at, best_zero = moved_at, moved_zero
            channel_ratio[i, c] = best
            winner[i, c] = best_at
            onset_s[i, c] = best_zero


@compiled
def record_bank(
    residuals: np.ndarray,
    location: np.ndarray,
    inverse_scale: np.ndarray,
    power: np.ndarray,
    power_spread: np.ndarray,
    slack: np.ndarray,
    leaks: np.ndarray,
    clip: float,
    levels: np.ndarray,
) -> None:
    """The levels of `advance_bank` without thresholds, for calibration: (N, C, L, 3) into `levels`, from zero."""
    for i in range(residuals.shape[0]):
        for c in range(residuals.shape[1]):
            x = residuals[i, c]
            present = math.isfinite(x) and inverse_scale[c] > 0.0
            e = min(max((x - location[c]) * inverse_scale[c], -clip), clip) if present else 0.0
            for j in range(leaks.shape[0]):
                for k in range(STATISTICS):
                    before = levels[i - 1, c, j, k] if i > 0 else 0.0
                    if not present:
                        levels[i, c, j, k] = before
                        continue
                    if k == BIAS_UP:
                        step = e - slack[c, 0]
                    elif k == BIAS_DOWN:
                        step = -e - slack[c, 0]
                    else:
                        step = (e * e / power[c] - 1.0) / power_spread[c] - slack[c, 1]
                    levels[i, c, j, k] = max(0.0, leaks[j] * before + step)


@compiled
def advance_runs(
    values: np.ndarray,
    t_s: np.ndarray,
    threshold: np.ndarray,
    ceiling: float,
    last: np.ndarray,
    run: np.ndarray,
    start_s: np.ndarray,
    channel_ratio: np.ndarray,
    onset_s: np.ndarray,
    at_zero: np.ndarray,
) -> None:
    """Advance the run lengths of bit-equal measurements over N rows of R raw channels, in place.

    A run grows only in rows in which some other channel changed: when everything repeats, the robot rests or the stream
    stands still, and that is for `telemetry.health` to say.

    Args:
        values: (N, R); missing values neither grow nor end a run.
        t_s: (N,) time of each row [s].
        threshold: (R,) rows; infinite switches a channel off.
        last, run, start_s: (R,) last value seen, rows in the run, time of the run's first row [s].
        channel_ratio, onset_s, at_zero: (N, R) out; `at_zero` says whether the repeated value is exactly zero.
    """
    channels = values.shape[1]
    for i in range(values.shape[0]):
        moved = False
        for c in range(channels):
            x = values[i, c]
            if math.isfinite(x) and x != last[c]:
                moved = True
        for c in range(channels):
            x = values[i, c]
            if math.isfinite(x):
                if x != last[c]:
                    last[c] = x
                    run[c] = 0
                    start_s[c] = t_s[i]
                elif moved:
                    run[c] += 1
            channel_ratio[i, c] = min(run[c] / threshold[c], ceiling)
            onset_s[i, c] = start_s[c]
            at_zero[i, c] = last[c] == 0.0


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
    residuals: np.ndarray,
) -> None:
    """Residuals of linear predictors over N rows of C channels, in place; see `telemetry.autoregressive`.

    Features: [1, x(t), x(t-1), x(t-2), each command smoothed with each decay], all standardised and bounded.

    Args:
        values: (N, C) raw; a missing value keeps its last one as a predictor and makes its own residuals NaN.
        centre, inverse_spread: (C,); an inverse spread of 0 switches a channel off.
        commands: (U,) int64 columns that are commands.
        decays: (D,) decay per row of the smoothed commands.
        weights: (2, C, F) for the two residuals of each channel.
        bound: standardised values are clipped to +-bound as predictors.
        lag, smooth, seen, feature: state (3, C), (U, D), (1,) int64 and scratch (F,).
        features_out: (N, F) or (0, F): written when the caller fits.
        residuals: (N, 2 * C) out: C one-step residuals, then C redundancy residuals.
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
            x = values[i, c]
            for kind in range(2):
                if inverse_spread[c] > 0.0 and math.isfinite(x):
                    prediction = 0.0
                    for f in range(feature.shape[0]):
                        prediction += weights[kind, c, f] * feature[f]
                    residuals[i, kind * channels + c] = (x - centre[c]) * inverse_spread[c] - prediction
                else:
                    residuals[i, kind * channels + c] = math.nan
