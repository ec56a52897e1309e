"""The last seconds before a trigger: a bounded ring of telemetry rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from core.errors import BadInput

T = TypeVar("T")


class Ring(Generic[T]):
    """The newest `capacity_rows` rows, oldest first.

    `dropped` counts rows that were pushed out by newer ones since the start or the last `clear()`. It is no sign of a
    fault: a ring that never drops has not yet been filled. Rows that never arrived are not counted here; a gap in
    `Frame.seq` shows them (`telemetry.health`).
    """

    def __init__(self, capacity_rows: int) -> None:
        if capacity_rows < 1:
            raise BadInput(f"A ring of {capacity_rows} rows holds nothing; give a capacity of at least 1 row.")
        self.capacity_rows = capacity_rows
        self.dropped = 0
        self._rows: deque[T] = deque(maxlen=capacity_rows)

    def push(self, row: T) -> None:
        """Keep `row`; the oldest row leaves when the ring is full."""
        if len(self._rows) == self.capacity_rows:
            self.dropped += 1
        self._rows.append(row)

    def extend(self, rows: Iterable[T]) -> None:
        """`push` each row in order."""
        for row in rows:
            self.push(row)

    def snapshot(self) -> tuple[T, ...]:
        """The rows now held, oldest first; later pushes do not change it."""
        return tuple(self._rows)

    def clear(self) -> None:
        """Forget all rows and start counting drops anew."""
        self._rows.clear()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[T]:
        return iter(self.snapshot())
