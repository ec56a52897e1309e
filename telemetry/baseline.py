"""What healthy residuals look like: scale, regressors, products and the reach of their sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from telemetry import score_kernels as scores

Array = NDArray[np.float64]

OFF = 1e300  # a threshold out of reach
_LEAKS = len(scores.LEAKS)


class Baseline:
    """Result of calibration for C channels, K tests and L leaks; see `telemetry.score_kernels` for its use.

    Two tables, as compiled loops take them, with a name for each of their rows: what is named is a view, and is written
    to while a baseline is learnt.

    Args:
        table: (TABLE_ROWS, C).
        limits: (LIMIT_ROWS, K C), of all channels one test after the other.
    """

    def __init__(self, table: Array, limits: Array) -> None:
        self.table, self.limits = table, limits
        self.location = table[scores.LOCATION]  # (C,) unit of the residual
        self.inverse_scale = table[scores.INVERSE_SCALE]  # (C,) 1 / unit of the residual; 0 = channel not watched
        self.centre = table[scores.CENTRE]  # (C,) of the expectation
        self.inverse_expected = table[scores.INVERSE_EXPECTED]  # (C,)
        self.inverse_change = table[scores.INVERSE_CHANGE]  # (C,)
        self.inverse_rate = table[scores.INVERSE_RATE]  # (C,)
        self.inverse_stir = table[scores.INVERSE_STIR]  # (C,)
        self.predictable = table[scores.PREDICTABLE]  # (C,) share of the residual that follows from the two rows before
        self.spike = table[scores.REACHED]  # (C,) standardised residual that no healthy row reaches
        self.knots = table[scores.KNOT : scores.SPREAD]  # (KNOTS, C) activity
        self.spread = table[scores.SPREAD :]  # (KNOTS, C) scale at each knot, relative; it grows on beyond the last
        by_test = limits.reshape(scores.LIMIT_ROWS, scores.TESTS, -1)
        self.mean = by_test[scores.MEAN]  # (K, C) of the products
        self.inverse_spread = by_test[scores.INVERSE_SPREAD]  # (K, C)
        self.slack = by_test[scores.SLACK]  # (K, C)
        self.threshold = by_test[scores.THRESHOLD : scores.THRESHOLD + _LEAKS]  # (L, K, C); see `set_threshold`
        self.inverse_threshold = by_test[scores.INVERSE_THRESHOLD :]  # (L, K, C)

    @classmethod
    def idle(cls, channels: int) -> Baseline:
        """Of channels that are not watched."""
        base = cls(np.zeros((scores.TABLE_ROWS, channels)), np.zeros((scores.LIMIT_ROWS, scores.TESTS * channels)))
        base.spread[:] = 1.0
        base.spike[:] = OFF
        base.set_threshold(np.full(base.threshold.shape, OFF))
        return base

    def set_threshold(self, threshold: Array) -> None:
        """Take (L, K, C) thresholds, and what the loops multiply by instead of dividing."""
        self.threshold[:] = threshold
        self.inverse_threshold[:] = 1.0 / threshold

    def copy(self) -> Baseline:
        """One that may be written to."""
        return Baseline(self.table.copy(), self.limits.copy())

    def arrays(self) -> dict[str, Array]:
        """Both tables, copied."""
        return {"baseline": self.table.copy(), "baseline_limits": self.limits.copy()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Baseline:
        """Inverse of `arrays`; other keys are ignored."""
        return cls(*(np.array(arrays[name], dtype=np.float64) for name in ("baseline", "baseline_limits")))
