"""What somebody else on a ROS 2 graph heard of a robot (`remend.bench.ros_ear`): rates, gaps and delays over a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.block import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Measurements in the order in which they came first, and the first command that answered each.

    Args:
        came_ns: (N,) when each measurement came, on the machine's monotonic clock.
        answered_ns: (N,) when its command came; NaN where none did.
    """

    came_ns: Array
    answered_ns: Array

    def __len__(self) -> int:
        return len(self.came_ns)

    @property
    def unanswered(self) -> int:
        """Measurements that no command answered."""
        return int(np.isnan(self.answered_ns).sum())

    @property
    def delays_s(self) -> Array:
        """From each measurement to its command [s], as this listener saw it."""
        return 1e-9 * (self.answered_ns - self.came_ns)[~np.isnan(self.answered_ns)]

    @property
    def gaps_s(self) -> Array:
        """From each command to the next [s]."""
        return 1e-9 * np.diff(np.sort(self.answered_ns[~np.isnan(self.answered_ns)]))

    def between(self, start_ns: float, end_ns: float) -> Heard:
        """The measurements that came from `start_ns` until before `end_ns`."""
        inside = (self.came_ns >= start_ns) & (self.came_ns < end_ns)
        return Heard(came_ns=self.came_ns[inside], answered_ns=self.answered_ns[inside])

    def rate_hz(self, start_ns: float, end_ns: float) -> float:
        """Commands a second that came in a time, whichever measurements they answer [Hz]."""
        count = int(((self.answered_ns >= start_ns) & (self.answered_ns < end_ns)).sum())
        return count / ((end_ns - start_ns) * 1e-9)

    def rates_hz(self, spans_ns: Sequence[tuple[float, float]]) -> list[float]:
        """`rate_hz` of each time."""
        return [self.rate_hz(*span) for span in spans_ns]


def read_heard(file: Path) -> Heard:
    """What `remend.bench.ros_ear` has written so far."""
    came: dict[int, int] = {}
    answered: dict[int, int] = {}
    text = file.read_text(encoding="ascii")
    for line in text[: text.rfind("\n") + 1].splitlines():  # the last line may be half written
        kind, stamp, when = line.split()
        if stamp.isdecimal():
            (came if kind == "m" else answered).setdefault(int(stamp), int(when))
    return Heard(
        came_ns=np.array(list(came.values()), dtype=float),
        answered_ns=np.array([answered.get(stamp, np.nan) for stamp in came], dtype=float),
    )
