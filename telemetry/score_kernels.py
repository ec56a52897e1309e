"""Compiled inner loop of the score tests: each residual against what each kind of change would do to it.

Plain loops in row order, so that a chunk of n rows gives the bits of n single rows. Nothing is allocated per row, and
the lock of the interpreter is released.
"""

from __future__ import annotations

import math

import numpy as np

from telemetry.kernels import compiled

BIAS, GAIN, DELAY, FRICTION, OSCILLATION, NOISE, SPIKE = range(7)
TESTS = 6  # accumulated ones; a spike is judged row by row
SIDES = 2  # up and down; noise only grows
KNOTS = 4  # of the scale over activity
_CLIP_PRODUCT = 6.0  # standard deviations of a product, chosen: no single row decides
_LEAST_REACH = 0.5  # standard deviations of a regressor, chosen: less is none
_SHRINKS = 0.99  # leak of its reach: a hundred rows
_CALM = 0.8  # leak of the activity: five rows


@compiled
def _reached(x: float, reach: np.ndarray, r: int) -> float:
    """A regressor as a share of the largest recent one."""
    reach[r] = max(_SHRINKS * reach[r], abs(x), _LEAST_REACH)
    return float(x / reach[r])


@compiled
def products(
    value: np.ndarray,
    expected: np.ndarray,
    rate: np.ndarray,
    stir: np.ndarray,
    location: np.ndarray,
    inverse_scale: np.ndarray,
    knots: np.ndarray,
    spread: np.ndarray,
    centre: np.ndarray,
    inverse_expected: np.ndarray,
    inverse_change: np.ndarray,
    inverse_rate: np.ndarray,
    inverse_stir: np.ndarray,
    clip: float,
    previous: np.ndarray,
    activity: np.ndarray,
    reach: np.ndarray,
    out: np.ndarray,
    activities: np.ndarray,
    standardised: np.ndarray,
) -> None:
    """Products of N rows of C residuals with the regressors of each test, in place.

    Args:
        value, expected, rate, stir: (N, C) of `telemetry.residuals.Residuals`. A missing value makes its products NaN.
        location, inverse_scale: (C,) of the residual; an inverse scale of 0 switches a channel off.
        knots, spread: (C, KNOTS) scale relative to `inverse_scale` over activity; beyond the last knot it grows on.
        centre, inverse_expected, inverse_change, inverse_rate, inverse_stir: (C,) of the regressors.
        clip: bound of the standardised residual.
        previous: (C, 2) state: last standardised residual and last standardised expectation (NaN before the first).
        activity: (C,) state; NaN before the first row.
        reach: (C, 3) state: largest recent expectation, change and direction, at least `_LEAST_REACH`.
        out: (N, C, TESTS).
        activities: (N, C).
        standardised: (N, C) residual before it is clipped; NaN where missing.
    """
    for i in range(value.shape[0]):
        for c in range(value.shape[1]):
            z = dz = 0.0
            if math.isfinite(expected[i, c]):
                z = (expected[i, c] - centre[c]) * inverse_expected[c]
                dz = (z - previous[c, 1]) * inverse_change[c] if math.isfinite(previous[c, 1]) else 0.0
                previous[c, 1] = z
            moving = rate[i, c] * inverse_rate[c] if math.isfinite(rate[i, c]) else 0.0
            direction = moving / math.sqrt(1.0 + moving * moving)
            stirred = abs(stir[i, c] * inverse_stir[c]) if math.isfinite(stir[i, c]) else 0.0
            now = 0.5 * (abs(dz) + min(stirred, 1e3))
            activity[c] = activity[c] + (1.0 - _CALM) * (now - activity[c]) if math.isfinite(activity[c]) else now
            activities[i, c] = activity[c]
            # Relative to how far it reaches these days: where a regressor is large for long, such as in a pose that the
            # head held briefly, products would otherwise scatter more than they did on the head.
            z, dz = _reached(z, reach[c], 0), _reached(dz, reach[c], 1)
            direction = _reached(direction, reach[c], 2)
            x = value[i, c]
            if not math.isfinite(x) or inverse_scale[c] <= 0.0:
                standardised[i, c] = math.nan
                for k in range(TESTS):
                    out[i, c, k] = math.nan
                continue
            a, last = activity[c], KNOTS - 1
            wide = spread[c, 0]
            if a >= knots[c, last]:
                # Faster than anything on the head: what the model gets wrong is taken to grow in proportion.
                wide = spread[c, last] * (a / knots[c, last] if knots[c, last] > 0.0 else 1.0)
            else:
                for j in range(last):
                    if knots[c, j] <= a < knots[c, j + 1]:
                        share = (a - knots[c, j]) / (knots[c, j + 1] - knots[c, j])
                        wide = spread[c, j] + share * (spread[c, j + 1] - spread[c, j])
            raw = (x - location[c]) * inverse_scale[c] / wide
            e = min(max(raw, -clip), clip)
            before = previous[c, 0] if math.isfinite(previous[c, 0]) else 0.0
            standardised[i, c] = raw
            out[i, c, BIAS], out[i, c, GAIN], out[i, c, DELAY] = e, e * z, e * dz
            out[i, c, FRICTION], out[i, c, OSCILLATION], out[i, c, NOISE] = e * direction, e * before, e * e
            previous[c, 0] = e


@compiled
def accumulate(
    product: np.ndarray,
    t_s: np.ndarray,
    mean: np.ndarray,
    inverse_spread: np.ndarray,
    slack: np.ndarray,
    leaks: np.ndarray,
    threshold: np.ndarray,
    ceiling: float,
    level: np.ndarray,
    zero_s: np.ndarray,
    ratio: np.ndarray,
    test_ratio: np.ndarray,
    onset_s: np.ndarray,
) -> None:
    """Leaky CUSUMs of N rows of products, in place: (C, L, TESTS, SIDES) levels, and the strongest of each channel.

        level = min(ceiling * threshold, max(0, leak * level +- (product - mean) / spread - slack))

    Source: Page 1954; the leak bounds what an ill-known mean can add up to.

    Args:
        product: (N, C, TESTS); NaN holds the levels of its channel still.
        t_s: (N,).
        mean, inverse_spread, slack: (C, TESTS).
        leaks: (L,).
        threshold: (C, L, TESTS).
        level, zero_s: (C, L, TESTS, SIDES) state: levels, and when each was last zero [s].
        ratio, test_ratio, onset_s: (N, C), (N, C, TESTS) and (N, C) out: largest level / threshold of all tests and of
            each, and when the largest was last zero.
    """
    inverse = 1.0 / threshold
    for i in range(product.shape[0]):
        for c in range(product.shape[1]):
            present = math.isfinite(product[i, c, 0])
            best, best_zero = 0.0, t_s[i]
            for k in range(TESTS):
                v = of_test = 0.0
                if present:
                    v = (product[i, c, k] - mean[c, k]) * inverse_spread[c, k]
                    v = min(max(v, -_CLIP_PRODUCT), _CLIP_PRODUCT)
                for j in range(leaks.shape[0]):
                    for side in range(1 if k == NOISE else SIDES):
                        s = level[c, j, k, side]
                        if present:
                            s = leaks[j] * s + (v if side == 0 else -v) - slack[c, k]
                            # No branch: half of all levels are at zero, and nobody could predict which.
                            zero_s[c, j, k, side] = t_s[i] if s <= 0.0 else zero_s[c, j, k, side]
                            s = min(max(s, 0.0), ceiling * threshold[c, j, k])
                            level[c, j, k, side] = s
                        of = s * inverse[c, j, k]
                        of_test = max(of_test, of)
                        if of > best:
                            best, best_zero = of, zero_s[c, j, k, side]
                test_ratio[i, c, k] = of_test
            ratio[i, c], onset_s[i, c] = best, best_zero
