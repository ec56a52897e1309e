"""A bounded ring per robot: seconds of history, one writer, one reader, and a count for every row that was lost."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import BadInput

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the rows of a ring: written = read + dropped + waiting, at every moment."""

    written: int
    read: int
    dropped: int  # overwritten before the reader came
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a reader got."""

    rows: Array  # (N, width), a copy, oldest first
    first: int  # number of the first of them since the ring began, from 0
    dropped: int  # rows that were lost right before it


class Ring:
    """The newest rows of a robot, in memory that was set aside at the start.

    A writer never waits: where the reader is too slow the oldest rows go, and the reader is told how many. Rows that
    were read stay as history until they are overwritten. `write` and the others may be called from different threads.

    Args:
        seconds: history that is kept.
        rate_hz: rows per second.
        width: numbers in a row.

    Raises:
        BadInput: no room for a single row.
    """

    def __init__(self, seconds: float, rate_hz: float, width: int) -> None:
        rows = int(np.ceil(seconds * rate_hz)) if np.isfinite(seconds * rate_hz) else 0
        if rows < 1 or width < 1:
            raise BadInput(
                f"A ring of {seconds:g} s at {rate_hz:g} Hz with {width} channels holds nothing; give it more time."
            )
        self._data = np.empty((rows, width))
        self._written = self._read = self._dropped = 0
        self._next = 0  # number of the first row that the reader has not seen
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._closed = False

    @property
    def capacity(self) -> int:
        """Rows that fit."""
        return int(self._data.shape[0])

    @property
    def tally(self) -> Tally:
        """The account of all rows so far."""
        with self._lock:
            lost = max(0, self._oldest() - self._next)
            waiting = self._written - self._next - lost
            return Tally(written=self._written, read=self._read, dropped=self._dropped + lost, waiting=waiting)

    def write(self, rows: ArrayLike) -> None:
        """Append (N, width) rows, oldest first; of more than fit, the newest stay.

        Raises:
            ValueError: rows of another width, or the ring was closed.
        """
        block = np.asarray(rows, dtype=np.float64)
        if block.ndim != 2 or block.shape[1] != self._data.shape[1]:
            raise ValueError(f"rows have shape {block.shape}, the ring is {self._data.shape[1]} wide")
        with self._news:
            if self._closed:
                raise ValueError("the ring was closed; open another one")
            kept = block[-self.capacity :]
            first = self._written + len(block) - len(kept)
            start = first % self.capacity
            end = min(len(kept), self.capacity - start)
            self._data[start : start + end] = kept[:end]
            self._data[: len(kept) - end] = kept[end:]
            self._written += len(block)
            self._news.notify_all()

    def take(self, most: int | None = None, timeout_s: float = 0.0) -> Taken:
        """The oldest rows that were not read yet, at most `most` of them; empty if none come within `timeout_s`."""
        with self._news:
            if timeout_s > 0.0:
                self._news.wait_for(lambda: self._closed or self._written > self._next, timeout_s)
            lost = max(0, self._oldest() - self._next)
            self._dropped += lost
            self._next += lost
            first = self._next
            count = self._written - first
            count = count if most is None else min(count, most)
            self._next += count
            self._read += count
            return Taken(rows=self._between(first, first + count), first=first, dropped=lost)

    def history(self, rows: int | None = None) -> Array:
        """The newest (N, width) rows, read or not, oldest first; all that are kept by default."""
        with self._lock:
            oldest = self._oldest()
            if rows is not None:
                oldest = max(oldest, self._written - rows)
            return self._between(oldest, self._written)

    def close(self) -> None:
        """No more rows will come; wakes a reader that waits."""
        with self._news:
            self._closed = True
            self._news.notify_all()

    @property
    def ended(self) -> bool:
        """Whether the ring was closed and everything in it read."""
        with self._lock:
            return self._closed and self._next >= self._written

    def _oldest(self) -> int:
        return max(0, self._written - self.capacity)

    def _between(self, first: int, end: int) -> Array:
        return self._data[np.arange(first, end) % self.capacity]
