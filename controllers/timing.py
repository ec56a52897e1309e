"""How a loop kept time: histograms of its ticks, and who was late, the law or the machine."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

BOUNDS_US = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)  # upper ends; one more above
_OWN_SHARE = 0.5  # of a period: a late tick that has computed for longer is late by its laws, or by a swap


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopTiming:
    """Ticks of a loop in real time since it was last asked to forget."""

    ticks: int
    late_by_law: int  # or by what a swap adds: by the loop's own work
    late_by_machine: int
    wake_us: tuple[int, ...]  # ticks by how late they began, per bucket of `BOUNDS_US`
    tick_us: tuple[int, ...]  # ticks by how long they took
    wake_max_us: float
    tick_max_us: float
    fifo: bool  # real-time priority was granted
    locked: bool  # memory is locked

    @property
    def missed(self) -> int:
        """Ticks that ended after the next one was due."""
        return self.late_by_law + self.late_by_machine


class Stopwatch:
    """Collects the timing of a loop.

    Args:
        period_ns: of the loop.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self.fifo = self.locked = False
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.ticks = self.late_by_law = self.late_by_machine = 0
        self._wake, self._tick = [0] * (len(BOUNDS_US) + 1), [0] * (len(BOUNDS_US) + 1)
        self._wake_max_ns = self._tick_max_ns = 0

    def count(self, due_ns: int, began_ns: int, ended_ns: int, cpu_ns: int) -> bool:
        """Count one tick; True if it was late, and not by its laws.

        Args:
            due_ns: when it should have begun.
            began_ns: when it began.
            ended_ns: when its command was out.
            cpu_ns: processor time that it took, and what the turn before took of its period.
        """
        wake_ns, tick_ns = max(began_ns - due_ns, 0), ended_ns - began_ns
        self.ticks += 1
        self._wake[bisect_left(BOUNDS_US, wake_ns // 1000)] += 1
        self._tick[bisect_left(BOUNDS_US, tick_ns // 1000)] += 1
        self._wake_max_ns, self._tick_max_ns = max(self._wake_max_ns, wake_ns), max(self._tick_max_ns, tick_ns)
        if ended_ns <= due_ns + self._period_ns:
            return False
        if cpu_ns > _OWN_SHARE * self._period_ns:
            self.late_by_law += 1
            return False
        self.late_by_machine += 1
        return True

    def count_missing(self) -> None:
        """A period passed without a measurement to answer."""
        self.late_by_machine += 1

    def read(self) -> LoopTiming:
        """What was collected."""
        return LoopTiming(
            ticks=self.ticks,
            late_by_law=self.late_by_law,
            late_by_machine=self.late_by_machine,
            wake_us=tuple(self._wake),
            tick_us=tuple(self._tick),
            wake_max_us=self._wake_max_ns / 1000,
            tick_max_us=self._tick_max_ns / 1000,
            fifo=self.fifo,
            locked=self.locked,
        )
