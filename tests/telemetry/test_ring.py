"""The ring keeps the newest rows and says how many it let go."""

from __future__ import annotations

import pytest

from core.errors import BadInput
from telemetry.ring import Ring


def test_ring_keeps_the_newest_rows_in_order_and_counts_what_left() -> None:
    ring: Ring[int] = Ring(3)
    ring.extend(range(2))
    assert (ring.snapshot(), ring.dropped) == ((0, 1), 0)
    kept = ring.snapshot()
    ring.extend(range(2, 7))
    assert (list(ring), len(ring), ring.dropped) == ([4, 5, 6], 3, 4)
    assert kept == (0, 1)
    ring.clear()
    assert (ring.snapshot(), ring.dropped) == ((), 0)


def test_ring_without_room_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 1 row"):
        Ring(0)
