"""Learns a baseline from healthy residuals: scales, regimes, products and the reach of their sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from telemetry import score_kernels as scores
from telemetry.bank import Bank
from telemetry.baseline import Baseline
from telemetry.explanation import predictable
from telemetry.residuals import Residuals
from telemetry.tail import SLACK, Memory, bias_threshold, memory_of, noise_threshold

Array = NDArray[np.float64]

MIN_ROWS = 60  # chosen: 30 rows give a scale within 25 % and 30 more to look at the statistics
_MOST_SLACK = (
    2.0  # spreads of a product; chosen: twice as much is a shift worth an alarm, and no product is clipped there
)
_SPIKE_MARGIN = 1.5  # chosen: over the largest residual of the head
_SEEN_MARGIN = 1.6  # chosen: over the largest sum of the head
_TINY = 1e-300
_GROWS = 8.0  # a regime is at most this many times as loud as the quietest


def learn_baseline(head: Residuals, rate_per_row: float, smallest_shift: Array | None = None) -> Baseline:
    """Scales, products, slack and thresholds from healthy residuals.

    Slack grows with what the mean of an autocorrelated head leaves uncertain, so that a slightly wrong mean does not
    add up for ever; thresholds grow with the autocorrelation (inflated, not decimated: every row counts).

    Args:
        head: residuals of rows that the model was not fitted to.
        rate_per_row: admissible false alarms per row of one statistic.
        smallest_shift: (C,) shift of the mean that is worth an alarm, in the residual's unit; less is let pass.

    Raises:
        BadInput: fewer than 60 rows, or no channel that varies.
    """
    n, channels = head.value.shape
    if n < MIN_ROWS:
        raise BadInput(
            f"The healthy head has {n} rows and the detector needs {MIN_ROWS}; give a longer head or recording."
        )
    base = Baseline.idle(channels)
    base.slack[:] = SLACK
    least = np.zeros(channels) if smallest_shift is None else np.asarray(smallest_shift, dtype=np.float64)
    for c in range(channels):
        _scale_channel(base, c, head, float(least[c]))
    if not base.inverse_scale.any():
        raise BadInput(
            "No channel varies in the healthy head, so nothing can be learnt; give a head in which the robot moves."
        )
    _scale_regimes(base, head, least)
    product, _, standardised = _products(base, head)
    for c in np.flatnonzero(base.inverse_scale).tolist():
        present = np.isfinite(standardised[:, c])
        e = standardised[present, c]
        base.spike[c] = max(_SPIKE_MARGIN * float(np.abs(e).max()), 2.0 * scores.CLIP)
        base.predictable[c] = predictable(float(e @ e), float(e[1:] @ e[:-1]), float(e[2:] @ e[:-2]))
        for k in range(scores.TESTS):
            _reach(base, c, k, product[present, k, c], rate_per_row, float(least[c]))
    _raise_to_seen(base, product)
    return base


def moved_baseline(base: Baseline, normal: Residuals) -> Baseline:
    """`base` at the place of `normal` (N, C) residuals, as loud as they are, with thresholds that they keep."""
    moved = base.copy()
    for c in np.flatnonzero(base.inverse_scale).tolist():
        values = normal.value[np.isfinite(normal.value[:, c]), c]
        if values.size >= MIN_ROWS:
            moved.location[c] = np.median(values)
            moved.inverse_scale[c] = min(base.inverse_scale[c], 1.0 / max(_scale(values), _TINY))
    if len(normal) >= MIN_ROWS:
        product, _, _ = _products(moved, normal)
        # Where an expectation is far from the head's, its products scatter more than the head's did.
        wide = np.nan_to_num(np.nanstd(product, axis=0), nan=0.0)
        moved.inverse_spread[:] = np.minimum(base.inverse_spread, 1.0 / np.maximum(wide, 1e-12))
        _raise_to_seen(moved, product)
    return moved


def _scale_channel(base: Baseline, c: int, head: Residuals, least: float) -> None:
    """Location and scale of a residual and of its regressors; a channel that cannot be scaled stays switched off."""
    half = len(head) // 2
    halves = [x[np.isfinite(x)] for x in (head.value[:half, c], head.value[half:, c])]
    if min(x.size for x in halves) < MIN_ROWS // 4:
        return
    location, scale = float(np.median(np.concatenate(halves))), max(_scale(x) for x in halves)
    # Rounding noise of a constant column is no scale: below 1e-9 of its size there is nothing to watch.
    if not np.isfinite(scale) or scale <= max(1e-9 * abs(location), _TINY):
        return
    base.location[c] = location
    # A quiet channel is clipped only where its shift matters.
    base.inverse_scale[c] = 1.0 / max(scale, least / scores.CLIP)
    expected = head.expected[np.isfinite(head.expected[:, c]), c]
    if expected.size > MIN_ROWS // 2:
        base.centre[c] = expected.mean()
        base.inverse_expected[c] = _inverse(float(expected.std()))
        base.inverse_change[c] = _inverse(float(np.diff(expected).std()) * base.inverse_expected[c])
    rates = head.rate[np.isfinite(head.rate[:, c]), c]
    if rates.size > MIN_ROWS // 2:
        base.inverse_rate[c] = _inverse(0.3 * float(rates.std()))
    stirs = head.stir[np.isfinite(head.stir[:, c]), c]
    if stirs.size > MIN_ROWS // 2:
        base.inverse_stir[c] = _inverse(0.3 * float(np.sqrt(np.mean(np.square(stirs)))))


def _scale_regimes(base: Baseline, head: Residuals, least: Array) -> None:
    """How much louder each residual is while its robot moves fast: the scale at quantiles of the activity.

    Args:
        least: (C,) shift that is worth an alarm; no regime is so quiet that it would be clipped.
    """
    _, activities, _ = _products(base, head)
    for c in np.flatnonzero(base.inverse_scale).tolist():
        present = np.isfinite(head.value[:, c])
        a, e = activities[present, c], (head.value[present, c] - base.location[c]) * base.inverse_scale[c]
        edges = np.quantile(a, np.linspace(0.0, 1.0, scores.KNOTS + 1))
        if not np.all(np.diff(edges) > 0.0):
            base.knots[:, c] = np.inf  # it does not move: one regime
            continue
        bins = np.clip(np.searchsorted(edges, a, side="right") - 1, 0, scores.KNOTS - 1)
        loud = np.array([max(_scale(e[bins == j]), 1e-3) for j in range(scores.KNOTS)])
        base.knots[:, c] = [np.median(a[bins == j]) for j in range(scores.KNOTS)]
        quietest = max(loud.max() / _GROWS, float(least[c]) / scores.CLIP * base.inverse_scale[c])
        base.spread[:, c] = np.maximum.accumulate(np.clip(loud, quietest, None))


def _reach(base: Baseline, c: int, k: int, series: Array, rate_per_row: float, least: float) -> None:
    """Mean, spread, slack and thresholds of one product.

    Half of the shift that is worth an alarm is let pass (Page's reference value), in the quietest regime too, and so is
    its square where a product is one of two residuals.

    Args:
        least: shift of the residual that is worth an alarm, in its unit.
    """
    own = float(series.std())
    if own <= 1e-9:
        return
    passes = 0.5 * least * base.inverse_scale[c] / base.spread[:, c].min()
    passes = passes * passes if k in (scores.OSCILLATION, scores.NOISE) else passes
    spread = max(own, passes / _MOST_SLACK)
    mean, half = float(series.mean()), series.size // 2
    v = (series - mean) / own
    base.mean[k, c], base.inverse_spread[k, c] = mean, 1.0 / spread
    memory = memory_of(v)
    drift = max(2.0 / float(np.sqrt(memory.independent_rows)), 0.5 * abs(float(v[:half].mean() - v[half:].mean())))
    base.slack[k, c] = max(base.slack[k, c] + drift * own / spread, passes / spread)
    doubt = 1.0 + 3.0 / float(np.sqrt(memory.independent_rows))
    reach = doubt * own / spread * _thresholds(k, memory, v, mean, own, rate_per_row)
    base.threshold[:, k, c] = np.maximum(1.0, reach)


def _raise_to_seen(base: Baseline, product: Array) -> None:
    """Lift each threshold above what its own sum reaches on the head, where moments promised less."""
    n, _, channels = product.shape
    bank, seen = Bank(channels), np.zeros(base.threshold.shape)
    scores.largest_levels(
        product.reshape(n, -1), np.inf, channels, base.limits, bank.levels, seen.reshape(len(scores.LEAKS), -1)
    )
    base.set_threshold(np.maximum(base.threshold, _SEEN_MARGIN * seen))


def _products(base: Baseline, rows: Residuals) -> tuple[Array, Array, Array]:
    """(N, K, C) products, (N, C) activities and (N, C) standardised residuals."""
    n, channels = rows.value.shape
    bank = Bank(channels)
    product = np.empty((n, scores.TESTS * channels))
    activity, standardised = np.empty((n, channels)), np.empty((n, channels))
    scores.products_of(
        rows.value,
        rows.expected,
        rows.rate,
        rows.stir,
        base.table,
        bank.table,
        bank.levels,
        product,
        activity,
        standardised,
    )
    return product.reshape(n, scores.TESTS, channels), activity, standardised


def _thresholds(k: int, memory: Memory, v: Array, mean: float, spread: float, rate_per_row: float) -> Array:
    """(L,) levels that a healthy sum exceeds with probability `rate_per_row` per row."""
    if k == scores.NOISE:
        relative = max(spread / max(mean, 1e-9), 0.5)
        largest = (scores.CLIP**2 / max(mean, 1e-9) - 1.0) / relative
        return np.array([noise_threshold(rate_per_row, leak, memory, relative, largest) for leak in scores.LEAKS])
    kurtosis = float(np.mean(v**4)) - 3.0
    return np.array([bias_threshold(rate_per_row, leak, memory, kurtosis, 6.0) for leak in scores.LEAKS])


def _scale(values: Array) -> float:
    """Robust standard deviation: the larger of the middle half's and the middle nine tenths', or the plain one.

    The wider range keeps a residual that is quiet most of the time and moves in bursts from being scaled by its rest.
    """
    q05, q25, q75, q95 = np.quantile(values, (0.05, 0.25, 0.75, 0.95))
    scale = max(float(q75 - q25) / 1.349, float(q95 - q05) / 3.290)  # normal distribution's ranges
    return scale if scale > 0.0 else float(values.std())


def _inverse(spread: float) -> float:
    return 1.0 / spread if np.isfinite(spread) and spread > _TINY else 0.0
