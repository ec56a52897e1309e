"""The bank of score tests as it stands: what the rows so far leave behind for the next one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry import score_kernels as scores
from telemetry.assessment import Assessment
from telemetry.baseline import Baseline
from telemetry.residuals import Residuals

Array = NDArray[np.float64]

CEILING = 3.0  # chosen: levels stop at 3 thresholds, so that an alarm ends soon after its fault does
_PIECE_ROWS = 512  # at a time: what they leave for the explanation stays in the cache of the processor


class Bank:
    """State for C channels, K tests and L leaks: two tables, as compiled loops take them, with names for their rows.

    `table` (BANK_ROWS, C) holds, row by row: the last standardised expectation and clipped residual (NaN before the
    first), the activity (NaN before the first row), the number of rows without a finite value, whether there was a row,
    the largest share of a threshold since `forget_largest` (both of all channels, in the first column), then what the
    last row left: its residual over what no healthy row reaches, the residual itself, clipped, its scale; the largest
    recent expectation, change and direction; the regressors. `levels` (LEVEL_ROWS, K C) holds products and scores of
    the last row, the largest share of a threshold of each test, the levels of the CUSUMs (leak by leak, up then down),
    and when each was last zero [s].

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        self.table = np.zeros((scores.BANK_ROWS, channels))
        self.levels = np.zeros((scores.LEVEL_ROWS, scores.TESTS * channels))
        self.table[[scores.EXPECTATION, scores.RESIDUAL, scores.ACTIVITY]] = np.nan
        self.table[scores.ALONG + scores.BIAS] = 1.0
        self.reached = np.empty(
            (_PIECE_ROWS, channels)
        )  # largest shares of a threshold in the rows of the last `advance`
        self.missing = self.table[scores.MISSING]  # (C,) views, as all that follows
        self.spike = self.table[scores.SPIKE]  # (C,)
        self.of_test = self.levels[scores.OF_TEST].reshape(scores.TESTS, channels)
        sums = (len(scores.LEAKS), scores.SIDES, scores.TESTS, channels)
        self.level = self.levels[scores.LEVEL : scores.ZERO_S].reshape(sums)
        self.zero_s = self.levels[scores.ZERO_S :].reshape(sums)

    def advance(
        self,
        rows: Residuals,
        repeated: Array,
        base: Baseline,
        level: float,
        start: int,
        stop: int,
        until: tuple[float, float],
        found: Assessment,
    ) -> int:
        """Take rows from `start` on: to `stop`, or up to one at or beyond `until`, or as many as there is room for.

        Args:
            repeated: (N,) largest test ratio of what repeats.
            level: of the alarm rate.
            until: test ratio, time [s].
            found: room for all rows.

        Returns:
            Where to go on.
        """
        return scores.advance(
            rows.t_s,
            rows.value,
            rows.expected,
            rows.rate,
            rows.stir,
            repeated,
            base.table,
            base.limits,
            self.table,
            self.levels,
            CEILING * level,
            level,
            start,
            min(stop, start + len(self.reached)),
            *until,
            self.reached,
            found.strongest,
            found.ratio,
        )

    @property
    def largest(self) -> float:
        """Largest share of a threshold since `forget_largest`."""
        return float(self.table[scores.LARGEST, 0])

    def forget_largest(self) -> None:
        """Begin anew with the next row."""
        self.table[scores.LARGEST, 0] = 0.0

    def arrays(self) -> dict[str, Array]:
        """The state by name; views, so that it can be written to."""
        return {"bank": self.table, "bank_levels": self.levels}
