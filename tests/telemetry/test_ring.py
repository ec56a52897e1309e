"""The ring: history in fixed memory, and every row accounted for when the reader is too slow."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from telemetry.ring import Ring


def _rows(first: int, count: int, width: int = 2) -> np.ndarray:
    """Rows that know their number."""
    return np.repeat(np.arange(first, first + count, dtype=np.float64)[:, None], width, axis=1)


def test_rows_come_back_in_order_and_stay_as_history() -> None:
    ring = Ring(1.0, 10.0, 2)
    ring.write(_rows(0, 4))
    ring.write(_rows(4, 3))
    assert ring.take(5).rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert ring.take().rows[:, 0].tolist() == [5, 6]
    assert ring.take().rows.shape == (0, 2)
    ring.write(_rows(7, 6))
    assert ring.history()[:, 0].tolist() == list(range(3, 13))
    assert ring.history(2)[:, 1].tolist() == [11, 12]


def test_overwritten_rows_are_dropped_and_counted_once() -> None:
    ring = Ring(1.0, 10.0, 2)
    ring.write(_rows(0, 5))
    ring.take(2)
    ring.write(_rows(5, 30))  # more than fits at once
    tally = ring.tally
    assert (tally.written, tally.read, tally.dropped, tally.waiting) == (35, 2, 23, 10)
    taken = ring.take(4)
    assert (taken.first, taken.dropped, taken.rows[:, 0].tolist()) == (25, 23, [25, 26, 27, 28])
    assert ring.take().dropped == 0
    tally = ring.tally
    assert (tally.written, tally.read, tally.dropped, tally.waiting) == (35, 12, 23, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 25)), max_size=40), st.integers(1, 12))
def test_every_row_is_read_dropped_or_waiting_at_every_moment(steps: list[tuple[bool, int]], capacity: int) -> None:
    ring = Ring(float(capacity), 1.0, 2)
    written = 0
    got: list[float] = []
    lost = 0
    for write, count in steps:
        if write:
            ring.write(_rows(written, count))
            written += count
        else:
            taken = ring.take(count)
            lost += taken.dropped
            assert taken.first == len(got) + lost
            assert taken.rows[:, 0].tolist() == list(range(taken.first, taken.first + len(taken.rows)))
            got += taken.rows[:, 0].tolist()
        tally = ring.tally
        assert tally.written == written == tally.read + tally.dropped + tally.waiting
        assert tally.read == len(got)
        assert 0 <= tally.waiting <= capacity
    assert ring.history()[:, 0].tolist() == list(range(max(0, written - capacity), written))


def test_writer_in_another_thread_beyond_capacity_loses_nothing_silently() -> None:
    """A hundred channels at a hundred rows a second, a thousand times faster, and a reader that often looks away."""
    width, total = 100, 60_000
    ring = Ring(2.0, 100.0, width)
    looked = threading.Semaphore(0)

    def write() -> None:
        number = 0
        rng = np.random.default_rng(0)
        while number < total:
            count = min(int(rng.integers(1, 60)), total - number)
            ring.write(_rows(number, count, width))
            number += count
            if rng.random() < 0.05:
                looked.acquire(timeout=1.0)  # now and then the reader keeps up
        ring.close()

    thread = threading.Thread(target=write)
    thread.start()
    expected = read = dropped = 0
    while not ring.ended:
        taken = ring.take(37, timeout_s=5.0)
        assert taken.first == expected + taken.dropped
        assert np.array_equal(taken.rows, _rows(taken.first, len(taken.rows), width))  # no row is torn
        expected = taken.first + len(taken.rows)
        read += len(taken.rows)
        dropped += taken.dropped
        looked.release()
    thread.join()
    tally = ring.tally
    assert (tally.written, tally.read, tally.dropped, tally.waiting) == (total, read, dropped, 0)
    assert read + dropped == total
    assert read > 0
    assert dropped > 0


def test_reader_is_woken_by_news_and_by_the_end() -> None:
    ring = Ring(1.0, 10.0, 1)
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.extend(len(ring.take(timeout_s=60.0).rows) for _ in range(2)))
    thread.start()
    ring.write(_rows(0, 3, 1))
    while not got:
        pass
    ring.close()
    thread.join()
    assert got == [3, 0]
    with pytest.raises(ValueError, match="closed"):
        ring.write(_rows(3, 1, 1))


def test_ring_without_room_and_rows_of_another_width_are_refused() -> None:
    for seconds, rate_hz, width in ((0.0, 10.0, 1), (1.0, 10.0, 0), (np.inf, 1.0, 1), (np.nan, 1.0, 1)):
        with pytest.raises(BadInput, match="give it more time"):
            Ring(seconds, rate_hz, width)
    with pytest.raises(ValueError, match="the ring is 2 wide"):
        Ring(1.0, 1.0, 2).write(np.zeros((1, 3)))
