"""What a residual model is: healthy behaviour learnt once, then what each row adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """N rows of C residual channels, with what each kind of change would show along.

    Arrays are contiguous: the detector's loops are compiled for these, and would be anew for any other layout.
    """

    t_s: Array  # (N,)
    value: Array  # (N, C) measured minus expected; NaN = missing
    expected: Array  # (N, C) what the model expected
    driven: Array  # (N, C) the part of it that effort brings about: a gain shows along it, a delay along its change
    rate: Array  # (N, C) speed of what the channel measures, in any unit: friction shows along its sign
    stir: Array  # (N, C) how much moves around it, in any unit: what is stirred up is louder
    readings: Array  # (N, D, R) raw measurements of the D ticks of each row, watched for repeats; R may be 0

    def __len__(self) -> int:
        return len(self.t_s)

    def __getitem__(self, rows: slice) -> Residuals:
        return Residuals(
            t_s=self.t_s[rows],
            value=self.value[rows],
            expected=self.expected[rows],
            driven=self.driven[rows],
            rate=self.rate[rows],
            stir=self.stir[rows],
            readings=self.readings[rows],
        )

    @staticmethod
    def after(parts: Sequence[Residuals]) -> Residuals:
        """Rows of the same channels, one stretch after the other."""
        if len(parts) == 1:
            return parts[0]
        return Residuals(
            t_s=np.concatenate([part.t_s for part in parts]),
            value=np.concatenate([part.value for part in parts]),
            expected=np.concatenate([part.expected for part in parts]),
            driven=np.concatenate([part.driven for part in parts]),
            rate=np.concatenate([part.rate for part in parts]),
            stir=np.concatenate([part.stir for part in parts]),
            readings=np.concatenate([part.readings for part in parts]),
        )


class ResidualModel(Protocol):
    """Turns telemetry into residuals that are small and alike while the robot is healthy.

    Rows come in order and once each; residuals of a chunk have the bits of row by row. A missing value (NaN) makes the
    residuals of its own channel NaN, never zero. Nothing is learnt after `fit`.
    """

    @property
    def residual_channels(self) -> tuple[str, ...]:
        """Names of the C residual channels, such as "joint_2.torque"; known after `fit`."""
        ...

    def fit(self, t_s: Array, head: Array) -> Residuals:
        """Learn from (N, R) healthy rows at (N,) times; afterwards the model stands behind the head's last row.

        Returns:
            Residuals of the head for `Detector.calibrate`, as honest as those of later rows: no row is predicted from
            parameters that were fitted to it.

        Raises:
            core.errors.BadInput: the head is too short or says nothing.
        """
        ...

    def residuals(self, t_s: Array, rows: Array) -> Residuals:
        """Residuals of the next (N, R) rows."""
        ...
