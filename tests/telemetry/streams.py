"""Made-up residuals for the tests of this folder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry.residuals import Residuals

Array = NDArray[np.float64]


def quiet(values: Array, start_s: float = 0.0, readings: Array | None = None) -> Residuals:
    """(N, C) `values` at 100 Hz as residuals of a model that expects nothing and of things that stand still."""
    zero, n = np.zeros_like(values), len(values)
    raw = np.zeros((n, 0)) if readings is None else readings
    return Residuals(
        t_s=start_s + np.arange(n) / 100.0,
        value=values,
        expected=zero,
        rate=zero,
        driven=zero,
        stir=zero,
        readings=raw[:, None],
    )
