"""Compiled loops of the linear predictors: features of a row, predictions from them, and what they leave over.

Sums run over features in their order, whatever the number of rows at a time; innermost loops run over predictions,
which lie side by side in memory, so that the processor takes several at once.
"""

from __future__ import annotations

import math

import numpy as np

from telemetry.kernels import compiled

STRIDE = 4  # features that are added in one pass over the predictions; their number is a multiple of it


@compiled
def advance_features(
    i: int,
    values: np.ndarray,
    centre: np.ndarray,
    inverse_spread: np.ndarray,
    commands: np.ndarray,
    decays: np.ndarray,
    bound: float,
    seen: np.ndarray,
    feature: np.ndarray,
) -> None:
    """Move the features on to row `i`: [1, x(t), x(t-1), x(t-2), each command smoothed with each decay, zeros].

    Args:
        values: (N, C) raw; a missing value keeps its last one.
        centre, inverse_spread: (C,); an inverse spread of 0 switches a channel off.
        commands: (U,) int64 columns that are commands.
        decays: (D,) decay per row of the smoothed commands.
        bound: standardised values are clipped to +-bound.
        seen: (1,) int64 state: rows so far.
        feature: (F,) state.
    """
    channels, now = values.shape[1], 1
    before, smooth = now + channels, now + 3 * channels
    for c in range(channels):
        feature[before + channels + c] = feature[before + c]
    for c in range(channels):
        feature[before + c] = feature[now + c]
    for c in range(channels):
        x = values[i, c]
        bounded = min(max((x - centre[c]) * inverse_spread[c], -bound), bound)
        feature[now + c] = bounded if math.isfinite(x) else feature[now + c]
    if seen[0] == 0:
        # The first row stands in for the two before it: a jump from the head's centre is not a fault.
        for c in range(channels):
            feature[before + c] = feature[now + c]
            feature[before + channels + c] = feature[now + c]
        for u in range(commands.size):
            for d in range(decays.size):
                feature[smooth + u * decays.size + d] = feature[now + commands[u]]
    seen[0] += 1
    feature[0] = 1.0
    for u in range(commands.size):
        x = feature[now + commands[u]]
        for d in range(decays.size):
            at = smooth + u * decays.size + d
            feature[at] = decays[d] * feature[at] + (1.0 - decays[d]) * x


@compiled
def features_of(
    values: np.ndarray,
    centre: np.ndarray,
    inverse_spread: np.ndarray,
    commands: np.ndarray,
    decays: np.ndarray,
    bound: float,
    seen: np.ndarray,
    feature: np.ndarray,
    out: np.ndarray,
) -> None:
    """Features of N rows, for the fit; see `advance_features`."""
    for i in range(values.shape[0]):
        advance_features(i, values, centre, inverse_spread, commands, decays, bound, seen, feature)
        for f in range(out.shape[1]):
            out[i, f] = feature[f]


@compiled
def left_over(
    i: int,
    values: np.ndarray,
    centre: np.ndarray,
    inverse_spread: np.ndarray,
    watched: np.ndarray,
    expected: np.ndarray,
    last: np.ndarray,
    value: np.ndarray,
    rate: np.ndarray,
) -> None:
    """What was measured minus what was expected in row `i`; an expectation that grows says where things move.

    Args:
        watched: (W,) int64 columns, each predicted one step ahead and by redundancy.
        expected: (N, 2 W), standardised.
        last: (2 W,) state: the expectation of the row before; NaN before the first.
        value, rate: (N, 2 W) out; no rate is known in the first row.
    """
    count = watched.size
    for w in range(count):
        measured = (values[i, watched[w]] - centre[watched[w]]) * inverse_spread[watched[w]]
        value[i, w] = measured - expected[i, w]
        value[i, count + w] = measured - expected[i, count + w]
    for p in range(2 * count):
        change = expected[i, p] - last[p]
        rate[i, p] = 0.0 if math.isnan(change) else change
    for p in range(2 * count):
        last[p] = expected[i, p]


@compiled
def left_over_of(
    values: np.ndarray,
    centre: np.ndarray,
    inverse_spread: np.ndarray,
    watched: np.ndarray,
    expected: np.ndarray,
    last: np.ndarray,
    value: np.ndarray,
    rate: np.ndarray,
) -> None:
    """`left_over` of N rows whose expectations are known already."""
    for i in range(values.shape[0]):
        left_over(i, values, centre, inverse_spread, watched, expected, last, value, rate)


@compiled
def predict_rows(
    values: np.ndarray,
    centre: np.ndarray,
    inverse_spread: np.ndarray,
    commands: np.ndarray,
    decays: np.ndarray,
    bound: float,
    weights: np.ndarray,
    watched: np.ndarray,
    seen: np.ndarray,
    feature: np.ndarray,
    last: np.ndarray,
    expected: np.ndarray,
    value: np.ndarray,
    rate: np.ndarray,
) -> None:
    """N rows: features, the predictions by (F, 2 W) `weights`, and what these leave over."""
    for i in range(values.shape[0]):
        advance_features(i, values, centre, inverse_spread, commands, decays, bound, seen, feature)
        for p in range(weights.shape[1]):
            expected[i, p] = 0.0
        for f in range(0, weights.shape[0], STRIDE):
            a, b, c, d = feature[f], feature[f + 1], feature[f + 2], feature[f + 3]
            for p in range(weights.shape[1]):
                total = expected[i, p] + weights[f, p] * a
                total += weights[f + 1, p] * b
                total += weights[f + 2, p] * c
                expected[i, p] = total + weights[f + 3, p] * d
        left_over(i, values, centre, inverse_spread, watched, expected, last, value, rate)
