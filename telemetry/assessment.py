"""The detector's answer to a chunk of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """N rows. Why one of them alarms is in the event that it opened, see `telemetry.events`."""

    t_s: Array  # (N,)
    ratio: Array  # (N,) largest test ratio
    strongest: Array  # (N,) largest statistic / threshold of residuals, before the alarm rate's level
    alarm: NDArray[np.bool_]  # (N,) whether an event is open

    @staticmethod
    def join(parts: Sequence[Assessment]) -> Assessment:
        """Consecutive chunks as one."""
        return Assessment(
            **{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Assessment)}
        )
