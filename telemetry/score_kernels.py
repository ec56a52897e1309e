"""Compiled row loop of the detector: each residual against what each kind of change would do to it, and sums of that.

Rows come one after the other and no sum runs across channels, so that a chunk of n rows gives the bits of n single
rows. Nothing is allocated, and the lock of the interpreter is released. Innermost loops run over channels, which lie
side by side in memory. They are short, and read before they select instead of branching: the compiler then turns them
into vector instructions. All that a row needs is in this file, because numba keeps machine code until the file of the
outermost function changes.
"""
# ruff: noqa: PLR0912 - one loop for each step

from __future__ import annotations

import math
import sys

import numpy as np

from telemetry.kernels import compiled

Array = np.ndarray

BIAS, GAIN, DELAY, FRICTION, OSCILLATION, NOISE = range(6)
TESTS = 6  # accumulated ones; a spike is judged row by row
SIDES = 2  # up and down; noise only grows, and is the last test
KNOTS = 4  # of the scale over activity
CLIP = 5.0  # standard deviations; chosen: beyond it a residual says no more
LEAKS = (0.9, 0.98, 0.998)  # memories of 10, 50 and 500 rows; chosen: shifts of about 2, 1 and 0.3 sigma
_CLIP_PRODUCT = 6.0  # standard deviations of a product, chosen: no single row decides
_LEAST_REACH = 0.5  # standard deviations of a regressor, chosen: less is none
_SHRINKS = 0.99  # leak of its reach: a hundred rows
_CALM = 0.8  # leak of the activity: five rows
_MOST = sys.float_info.max

# Rows of `telemetry.baseline.Baseline.table` and `limits`; see there.
LOCATION, INVERSE_SCALE, CENTRE, INVERSE_EXPECTED, INVERSE_CHANGE, INVERSE_RATE, INVERSE_STIR, REACHED = range(8)
PREDICTABLE, KNOT, SPREAD, TABLE_ROWS = 8, 9, 9 + KNOTS, 9 + 2 * KNOTS
MEAN, INVERSE_SPREAD, SLACK, THRESHOLD = range(4)
INVERSE_THRESHOLD, LIMIT_ROWS = THRESHOLD + len(LEAKS), THRESHOLD + 2 * len(LEAKS)

# Rows of `telemetry.bank.Bank.table` and `levels`; see there.
EXPECTATION, RESIDUAL, ACTIVITY, MISSING, STARTED, LARGEST, SPIKE, RAW, CLIPPED, WIDE, REACH = range(11)
ALONG, BANK_ROWS = REACH + FRICTION, REACH + FRICTION + NOISE
PRODUCT, SCORE, OF_TEST, LEVEL = range(4)
ZERO_S, LEVEL_ROWS = LEVEL + SIDES * len(LEAKS), LEVEL + 2 * SIDES * len(LEAKS)


@compiled
def _within(x: float, bound: float) -> float:
    """`x` between +-`bound`; NaN stays NaN."""
    return -bound if x < -bound else (bound if x > bound else x)


@compiled
def regress(
    i: int, value: Array, expected: Array, rate: Array, stir: Array, base: Array, bank: Array, levels: Array
) -> None:
    """Products of row `i` with the regressors of each test; those of a missing value are NaN."""
    channels, last = value.shape[1], KNOTS - 1
    for c in range(channels):
        x = expected[i, c]
        place = (x - base[CENTRE, c]) * base[INVERSE_EXPECTED, c]
        bank[ALONG + GAIN, c] = place if math.isfinite(x) else 0.0
    for c in range(channels):
        x, place, before = expected[i, c], bank[ALONG + GAIN, c], bank[EXPECTATION, c]
        change = (place - before) * base[INVERSE_CHANGE, c]
        bank[ALONG + DELAY, c] = change if math.isfinite(x) and math.isfinite(before) else 0.0
        bank[EXPECTATION, c] = place if math.isfinite(x) else before
    for c in range(channels):
        x = rate[i, c]
        speed = x * base[INVERSE_RATE, c] if math.isfinite(x) else 0.0
        bank[ALONG + FRICTION, c] = speed / math.sqrt(1.0 + speed * speed)
    for c in range(channels):
        x, active, change = stir[i, c], bank[ACTIVITY, c], bank[ALONG + DELAY, c]
        stirred = min(abs(x * base[INVERSE_STIR, c]), 1e3) if math.isfinite(x) else 0.0
        now = 0.5 * (abs(change) + stirred)
        bank[ACTIVITY, c] = active + (1.0 - _CALM) * (now - active) if math.isfinite(active) else now
    for r in range(GAIN, FRICTION + 1):
        # Relative to how far it reaches these days: where a regressor is large for long, such as in a pose that the
        # head held briefly, products would otherwise scatter more than they did on the head.
        for c in range(channels):
            x = bank[ALONG + r, c]
            reach = max(_SHRINKS * bank[REACH + r - GAIN, c], abs(x), _LEAST_REACH)
            bank[REACH + r - GAIN, c] = reach
            bank[ALONG + r, c] = x / reach
    for c in range(channels):
        # Faster than anything on the head: what the model gets wrong is taken to grow in proportion.
        a, slow, fast, knot = bank[ACTIVITY, c], base[SPREAD, c], base[SPREAD + last, c], base[KNOT + last, c]
        bank[WIDE, c] = (fast * (a / knot) if knot > 0.0 else fast) if a >= knot else slow
    for j in range(last):
        for c in range(channels):
            a, otherwise = bank[ACTIVITY, c], bank[WIDE, c]
            left, right = base[KNOT + j, c], base[KNOT + j + 1, c]
            low, high = base[SPREAD + j, c], base[SPREAD + j + 1, c]
            wide = low + (a - left) / (right - left) * (high - low)
            bank[WIDE, c] = wide if left <= a < right else otherwise
    for c in range(channels):
        x, inverse_scale, wide = value[i, c], base[INVERSE_SCALE, c], bank[WIDE, c]
        raw = (x - base[LOCATION, c]) * inverse_scale / wide
        bank[RAW, c] = raw if math.isfinite(x) and inverse_scale > 0.0 else math.nan
    for c in range(channels):
        raw, before = bank[RAW, c], bank[RESIDUAL, c]
        bank[CLIPPED, c] = _within(raw, CLIP)
        bank[ALONG + OSCILLATION, c] = before if math.isfinite(before) else 0.0
        bank[RESIDUAL, c] = before if math.isnan(raw) else _within(raw, CLIP)
    for c in range(channels):
        raw, reached = bank[RAW, c], base[REACHED, c]
        bank[SPIKE, c] = 0.0 if math.isnan(raw) else min(abs(raw), _MOST) / reached
        bank[MISSING, c] += 1.0 if math.isnan(raw) and base[INVERSE_SCALE, c] > 0.0 else 0.0
    for k in range(NOISE):
        for c in range(channels):
            levels[PRODUCT, k * channels + c] = bank[CLIPPED, c] * bank[ALONG + k, c]
    for c in range(channels):
        levels[PRODUCT, NOISE * channels + c] = bank[CLIPPED, c] * bank[CLIPPED, c]


@compiled
def add_up(t_s: float, ceiling: float, channels: int, limits: Array, levels: Array) -> None:
    """Leaky CUSUMs of the products of one row: levels, and the largest share of its threshold that each test reached.

        level = min(ceiling * threshold, max(0, leak * level +- (product - mean) / spread - slack))

    A missing product (NaN) holds the levels of its channel still.

    Source: Page 1954; the leak bounds what an ill-known mean can add up to.
    """
    size = levels.shape[1]
    for m in range(size):
        v = (levels[PRODUCT, m] - limits[MEAN, m]) * limits[INVERSE_SPREAD, m]
        levels[SCORE, m] = _within(v, _CLIP_PRODUCT)
        levels[OF_TEST, m] = 0.0
    for j in range(len(LEAKS)):
        for side in range(SIDES):
            level, zero_s = LEVEL + SIDES * j + side, ZERO_S + SIDES * j + side
            sign, count = 1.0 - 2.0 * side, size - side * channels
            for m in range(count):
                was, was_zero_s = levels[level, m], levels[zero_s, m]
                moved = LEAKS[j] * was + sign * levels[SCORE, m] - limits[SLACK, m]
                bounded = min(max(moved, 0.0), ceiling * limits[THRESHOLD + j, m])
                levels[zero_s, m] = t_s if moved <= 0.0 else was_zero_s
                levels[level, m] = was if math.isnan(moved) else bounded
            for m in range(count):
                of_test = levels[level, m] * limits[INVERSE_THRESHOLD + j, m]
                levels[OF_TEST, m] = max(levels[OF_TEST, m], of_test)


@compiled
def advance(
    t_s: Array,
    value: Array,
    expected: Array,
    rate: Array,
    stir: Array,
    repeated: Array,
    base: Array,
    limits: Array,
    bank: Array,
    levels: Array,
    ceiling: float,
    level: float,
    start: int,
    stop: int,
    until_ratio: float,
    until_s: float,
    reached: Array,
    strongest: Array,
    ratio: Array,
) -> int:
    """Rows `start` to `stop`, or up to the first one that reaches `until_ratio` or `until_s`; where to go on.

    Args:
        t_s, value, expected, rate, stir: of `telemetry.residuals.Residuals`.
        repeated: (N,) largest test ratio of what repeats.
        base, limits, bank, levels: tables of the baseline, and of the state, which is written to.
        ceiling, level: at which levels stop, and of the alarm rate, in thresholds.
        reached: (stop - start, C) out: largest share of a threshold that the sums of each channel have.
        strongest, ratio: (N,) out: the largest of all and of single rows, and the largest test ratio.
    """
    channels = value.shape[1]
    if bank[STARTED, 0] == 0.0 and start < stop:
        bank[STARTED, 0] = 1.0
        for row in range(ZERO_S, LEVEL_ROWS):
            for m in range(levels.shape[1]):
                levels[row, m] = t_s[start]
    for i in range(start, stop):
        regress(i, value, expected, rate, stir, base, bank, levels)
        add_up(t_s[i], ceiling, channels, limits, levels)
        for c in range(channels):
            reached[i - start, c] = levels[OF_TEST, c]
        for k in range(1, TESTS):
            for c in range(channels):
                of_test = levels[OF_TEST, k * channels + c]
                reached[i - start, c] = max(reached[i - start, c], of_test)
        top = 0.0
        for c in range(channels):
            top = max(top, reached[i - start, c], bank[SPIKE, c])
        strongest[i], ratio[i] = top, max(top / level, repeated[i])
        bank[LARGEST, 0] = max(bank[LARGEST, 0], top)
        if ratio[i] >= until_ratio or t_s[i] >= until_s:
            return i + 1
    return stop


@compiled
def products_of(
    value: Array,
    expected: Array,
    rate: Array,
    stir: Array,
    base: Array,
    bank: Array,
    levels: Array,
    product: Array,
    activity: Array,
    raw: Array,
) -> None:
    """Products (N, K C), activities and standardised residuals (N, C) of N rows, to learn from."""
    for i in range(value.shape[0]):
        regress(i, value, expected, rate, stir, base, bank, levels)
        for m in range(product.shape[1]):
            product[i, m] = levels[PRODUCT, m]
        for c in range(raw.shape[1]):
            activity[i, c], raw[i, c] = bank[ACTIVITY, c], bank[RAW, c]


@compiled
def largest_levels(product: Array, ceiling: float, channels: int, limits: Array, levels: Array, largest: Array) -> None:
    """(L, K C) largest levels on either side that N rows of products (N, K C) reach, to learn from."""
    for i in range(product.shape[0]):
        for m in range(product.shape[1]):
            levels[PRODUCT, m] = product[i, m]
        add_up(0.0, ceiling, channels, limits, levels)
        for j in range(largest.shape[0]):
            for m in range(largest.shape[1]):
                up, down = levels[LEVEL + SIDES * j, m], levels[LEVEL + SIDES * j + 1, m]
                largest[j, m] = max(largest[j, m], up, down)
