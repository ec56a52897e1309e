"""One measured figure, its target and its peer. Whether the target is met is computed, never typed in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.stats import rate_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of a benchmark."""

    bench: str
    figure: str
    value: float | None  # None: could not be measured, and `note` says why
    unit: str
    interval: tuple[float, float] | None
    n: int
    target: float | None = None
    sense: str = ">="  # how `value` has to stand to `target`: ">=" or "<="
    peer: str | None = None
    peer_value: float | None = None
    note: str | None = None

    @classmethod
    def share(
        cls, bench: str, figure: str, hits: int, n: int, target: float | None = None, note: str | None = None
    ) -> Figure:
        """How many of `n` cases came out right, with the exact interval of that rate."""
        interval = rate_interval(hits, n)
        return cls(
            bench=bench, figure=figure, value=hits / n, unit="1", interval=interval, n=n, target=target, note=note
        )

    @property
    def ratio(self) -> float | None:
        """Value over the peer's."""
        if self.value is None or not self.peer_value:
            return None
        return self.value / self.peer_value

    @property
    def met(self) -> bool:
        """Whether the value reaches the target; one without a target is met by being measured."""
        if self.value is None or not math.isfinite(self.value):
            return False
        if self.target is None:
            return True
        return self.value >= self.target if self.sense == ">=" else self.value <= self.target

    def to_json(self) -> dict[str, object]:
        """The row as other programs read it."""
        row: dict[str, object] = {
            "bench": self.bench,
            "figure": self.figure,
            "value": self.value,
            "unit": self.unit,
            "interval": None if self.interval is None else list(self.interval),
            "n": self.n,
            "peer": self.peer,
            "peer_value": self.peer_value,
            "ratio": self.ratio,
            "target": self.target,
            "sense": self.sense,
            "met": self.met,
        }
        return row if self.note is None else {**row, "note": self.note}


def median_interval(samples: Sequence[float], level: float = 0.95) -> tuple[float, tuple[float, float]]:
    """Median of `samples` and its distribution-free interval by order statistics.

    Source: David and Nagaraja, Order Statistics (2003), 7.1. With fewer than six samples it is their whole range.
    """
    ordered = np.sort(np.asarray(samples, dtype=float))
    n = len(ordered)
    rank = math.floor(0.5 * n - 0.98 * math.sqrt(n) * (level / 0.95)) if n > 5 else 0
    rank = max(rank, 0)
    return float(np.median(ordered)), (float(ordered[rank]), float(ordered[n - 1 - rank]))
