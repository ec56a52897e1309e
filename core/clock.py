"""Time. Every module takes a `Clock`; nothing else in the packages reads the system time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Source of time. Wall time labels records; monotonic time measures durations."""

    def wall_ns(self) -> int:
        """UTC time in ns since the epoch. May jump; never used for a duration."""
        ...

    def monotonic_ns(self) -> int:
        """Time in ns that never goes backwards; the zero point has no meaning."""
        ...


class SystemClock:
    """The clock of this machine."""

    def wall_ns(self) -> int:
        return time.time_ns()  # noqa: TID251 this is the Clock

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class ManualClock:
    """A clock that stands still until it is told otherwise: simulated time, and tests."""

    def __init__(self, start_ns: int = 0) -> None:
        self.now_ns = start_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def advance_s(self, seconds: float) -> None:
        """Move time forward by `seconds`; a negative step is a programming error."""
        if seconds < 0:
            raise ValueError("time does not go backwards")
        self.now_ns += round(seconds * 1e9)
