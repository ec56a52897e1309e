"""A frame from several topics: joint states start a tick; what is stamped alike belongs to it.

A source that has once had the very stamp of a joint state is waited for, until the next joint state at most. One that
runs on a clock of its own is taken as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.ros_frames import stamp_of

_MISSES = 3  # joint states in a row whose pair did not come: the source is on its own again


class Pairing:
    """The newest message of each source; the first source starts ticks."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._first, *self._others = sources
        self.latest: dict[str, Any] = {}
        self._paired: dict[str, int] = {}  # source -> misses in a row
        self._pending = False

    def take(self, source: str, message: Any) -> bool:
        """Keep a message; whether a frame is complete now."""
        self.latest[source] = message
        if source == self._first:
            if self._pending:  # its pair never came
                for late in self._late():
                    self._paired[late] += 1
                    if self._paired[late] >= _MISSES:
                        del self._paired[late]
            self._pending = True
        state = self.latest.get(self._first)
        if state is None or len(self.latest) <= len(self._others):
            return False
        stamp = stamp_of(state)
        for other in self._others:
            if stamp_of(self.latest[other]) == stamp:
                self._paired[other] = 0
        if not self._pending or any(True for _ in self._late()):
            return False
        self._pending = False
        return True

    def _late(self) -> list[str]:
        stamp = stamp_of(self.latest[self._first])
        return [other for other in list(self._paired) if stamp_of(self.latest[other]) < stamp]
