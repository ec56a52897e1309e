"""Commands that come at random behind drives that lag: how likely the effort is that was measured.

What is in force deviates from the mean command by a random d that hangs together from tick to tick, for where nothing
comes the last command stays; a drive of first order follows it:

    d' = keeps * d + white        y' = fades * y + (1 - fades) * d'        measured = expected + y + noise

The likelihood is that of the innovations of a Kalman filter (Harvey 1989, 3.4).
"""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array
from telemetry.kernels import compiled


def scattered_likelihood(missed: Array, spread: Array, noise: Array, fades: Array, keeps: float) -> Array:
    """(m,) log likelihood of each drive, up to that of its noise alone where nothing is missed.

    Args:
        missed: (N, m) measured minus expected effort.
        spread: (N, m) variance of the command in force.
        noise: (N, m) variance of the measurement.
        fades: (m,) share of a deviation that is left after a tick.
        keeps: correlation of what is in force from tick to tick.
    """
    found = np.zeros(missed.shape[1])
    _filter(missed, spread, noise, fades, keeps, found)
    return found


@compiled
def _filter(missed: Array, spread: Array, noise: Array, fades: Array, keeps: float, found: Array) -> None:
    for k in range(missed.shape[1]):
        fade, follow = fades[k], 1.0 - fades[k]
        y = d = yy = yd = 0.0  # mean and covariance of y and d
        dd = spread[0, k]
        total = 0.0
        for t in range(missed.shape[0]):
            d *= keeps
            dd = keeps * keeps * dd + (1.0 - keeps * keeps) * spread[t, k]
            yd *= keeps
            y = fade * y + follow * d
            yy = fade * fade * yy + 2.0 * fade * follow * yd + follow * follow * dd
            yd = fade * yd + follow * dd
            seen = yy + noise[t, k]
            error = missed[t, k] - y
            total -= 0.5 * (error * error / seen + np.log(seen / noise[t, k]))
            y, d = y + yy / seen * error, d + yd / seen * error
            dd -= yd * yd / seen
            yd -= yd * yy / seen
            yy -= yy * yy / seen
        found[k] = total
