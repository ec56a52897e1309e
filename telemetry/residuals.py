"""What a residual model is: healthy behaviour learnt once, then what each row adds to it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class ResidualModel(Protocol):
    """Turns telemetry into residuals that are small and alike while the robot is healthy.

    Rows come in order and once each; residuals of a chunk have the bits of row by row. A missing value (NaN) makes the
    residuals of its own channel NaN, never zero. Nothing is learnt after `fit`.
    """

    @property
    def residual_channels(self) -> tuple[str, ...]:
        """Names of the C residual channels, such as "joint_2.torque_residual"; known after `fit`."""
        ...

    def fit(self, head: Array) -> Array:
        """Learn from (N, R) healthy rows; afterwards the model stands behind the head's last row.

        Returns:
            (N, C) residuals of the head for `Detector.calibrate`, as honest as those of later rows: no row is
            predicted from parameters that were fitted to it.

        Raises:
            core.errors.BadInput: the head is too short or says nothing.
        """
        ...

    def residuals(self, rows: Array) -> Array:
        """(N, C) residuals of the next (N, R) rows."""
        ...
