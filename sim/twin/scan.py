"""The posterior of one unknown whose likelihood is no Gaussian: looked at on a grid, then closely around its peak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from core.rigid_body import Array
from sim.twin.linear import log_inside

_ZOOMS = 10  # each looks at a third of what the one before looked at
_FLAT = 0.1  # differences of the log posterior that are not worth a closer look
_DROP = 2.0  # fall of the log posterior, in which its width is measured: two standard deviations
_HOPELESS = 1.0  # a peak this little above "no fault" needs no closer look


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Posterior of one unknown, and the evidence for it against "no fault"."""

    theta: float
    std: float
    gain: float  # log evidence minus that of the healthy robot
    peak: float  # log likelihood gain at `theta`


def scan(
    gain: Callable[[float], float],
    prior_std: float,
    low: float,
    high: float,
    hints: Sequence[float] = (),
    resolution: float = 0.0,
    points: int = 16,
) -> Scan:
    """Scan `gain`, a log likelihood that is zero at zero, between `low` and `high`.

    Args:
        prior_std: of a Gaussian prior around zero, cut off at `low` and `high`.
        hints: values at which to look first.
        resolution: standard deviation below which values cannot be told apart whatever the likelihood says.
        points: of the grid over the range.
    """
    normal = -0.5 * np.log(2 * np.pi * prior_std**2) - float(log_inside(0.0, *map(np.array, (prior_std, low, high))))
    seen: dict[float, float] = {}

    def posterior(theta: float) -> float:
        if theta not in seen:
            seen[theta] = gain(theta)
        return seen[theta] - 0.5 * (theta / prior_std) ** 2 + float(normal)

    grid = np.linspace(low, high, points)
    pitch = float(grid[1] - grid[0])
    values = np.array([posterior(float(theta)) for theta in grid])
    best = float(grid[int(np.argmax(values))])
    for hint in hints:
        if low <= hint <= high and hint != 0.0 and posterior(hint) > posterior(best):
            best = hint
    step = pitch
    clear = seen[best] > _HOPELESS
    if clear:
        for _ in range(_ZOOMS):
            near = [float(np.clip(best + share * step, low, high)) for share in (-0.7, -0.35, 0.35, 0.7)]
            best = max([best, *near], key=posterior)
            step *= 0.35
            if max(posterior(best) - posterior(each) for each in near) < _FLAT:
                break
    std = _width(posterior, best, low, high, pitch, 0.1 * step) if clear else pitch
    if std > 0.5 * pitch:  # broad: the grid itself is the integral
        weight = np.exp(values - values.max()) * _trapezoid(points)
        mean = float(weight @ grid / weight.sum())
        std = float(np.sqrt(weight @ np.square(grid - mean) / weight.sum()))
        evidence = float(logsumexp(values, b=_trapezoid(points) * pitch))
        return Scan(theta=mean, std=max(std, resolution), gain=evidence, peak=gain(mean))
    inside = float(log_inside(best, *map(np.array, (std, low, high))))
    evidence = posterior(best) + 0.5 * float(np.log(2 * np.pi * std**2)) + inside
    return Scan(theta=best, std=max(std, resolution), gain=evidence, peak=seen[best])


def _trapezoid(points: int) -> Array:
    """(points,) weights of the trapezoidal rule, in steps of the grid."""
    weights = np.ones(points)
    weights[[0, -1]] = 0.5
    return weights


def _width(
    posterior: Callable[[float], float], best: float, low: float, high: float, pitch: float, first: float
) -> float:
    """Standard deviation at the peak: the mean of the distances to either side at which `posterior` has fallen."""
    top = posterior(best)
    sides = []
    for side, end in ((-1.0, low), (1.0, high)):
        step = first
        while abs(step) < 4 * pitch and (end - best) * side > step and top - posterior(best + side * step) < _DROP:
            step *= 2.0
        if (end - best) * side > step:
            fall = top - posterior(best + side * step)
            sides.append(step * np.sqrt(_DROP / fall) / np.sqrt(2 * _DROP) if np.isfinite(fall) else step / 4.0)
    return float(np.mean(sides)) if sides else 0.5 * (high - low)
