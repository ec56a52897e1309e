"""How often somebody may try a password."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

from core.clock import Clock

MOST, WINDOW_S = 5, 60.0
_KEPT = 10_000  # addresses and names that are remembered


class TooMany(Exception):  # noqa: N818 it says what is the matter
    """Too many attempts; `wait_s` says how long to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many attempts; try again in {wait_s:.0f} s")
        self.wait_s = wait_s


class Attempts:
    """Counts attempts per address and name. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._times: OrderedDict[tuple[str, str], deque[int]] = OrderedDict()

    def count(self, address: str, name: str) -> None:
        """One more attempt.

        Raises:
            TooMany: there were `MOST` within the last `WINDOW_S`; this one did not count.
        """
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            times = self._times.setdefault((address, name), deque())
            self._times.move_to_end((address, name))
            while len(self._times) > _KEPT:
                self._times.popitem(last=False)
            while times and now_ns - times[0] > WINDOW_S * 1e9:
                times.popleft()
            if len(times) >= MOST:
                raise TooMany(WINDOW_S - (now_ns - times[0]) * 1e-9)
            times.append(now_ns)
