"""Thresholds at which detectors alarm equally often on healthy telemetry, so that their delays can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.block import Array

CLOSES_AFTER_S = 0.5  # below half the threshold
SAME_WITHIN_S = 10.0  # an alarm that comes back sooner is the same one
_STEPS = 40

Series = tuple[Array, Array]  # (N,) time [s] and (N,) score


def alarms_s(series: Series, threshold: float) -> list[float]:
    """When alarms open [s]: at the threshold, by the rules of `telemetry.events`, alike for every detector."""
    t_s, score = series
    found: list[float] = []
    last_s, is_open = -np.inf, False
    near = np.flatnonzero(score >= 0.5 * threshold)
    for time_s, value in zip(t_s[near].tolist(), score[near].tolist(), strict=True):
        is_open = is_open and time_s - last_s < CLOSES_AFTER_S
        if not is_open and value >= threshold:
            if time_s - last_s > CLOSES_AFTER_S + SAME_WITHIN_S:
                found.append(time_s)
            is_open = True
        if is_open:
            last_s = time_s
    return found


def matched_threshold(healthy: Sequence[Series], alarms: float) -> float:
    """The lowest threshold, within 1 %, at which all of `healthy` together alarm at most `alarms` times."""
    low, high = _TINY, 1.01 * max(float(score.max()) for _, score in healthy) + _TINY
    for _ in range(_STEPS):
        middle = float(np.sqrt(low * high)) if low > _TINY else 0.5 * high
        if sum(len(alarms_s(series, middle)) for series in healthy) > alarms or _always(healthy, middle):
            low = middle
        else:
            high = middle
        if high < 1.01 * low:
            break
    return high


_TINY = 1e-9


def _always(healthy: Sequence[Series], threshold: float) -> bool:
    """A threshold so low that one alarm lasts for ever is none."""
    return float(np.mean(np.concatenate([score for _, score in healthy]) >= threshold)) > 0.05
