"""The stopwatch of the loop: what is late, and by whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controllers.timing import BOUNDS_US, Stopwatch

PERIOD_NS = 2_000_000


def test_late_is_what_ends_after_the_next_tick_was_due() -> None:
    watch = Stopwatch(PERIOD_NS)
    assert not watch.count(0, 10, PERIOD_NS, 0)
    assert watch.read().missed == 0
    assert watch.count(0, 10, PERIOD_NS + 1, PERIOD_NS // 2)
    assert (watch.read().late_by_law, watch.read().late_by_machine) == (0, 1)
    assert not watch.count(0, 10, PERIOD_NS + 1, PERIOD_NS // 2 + 1)
    assert (watch.read().late_by_law, watch.read().late_by_machine) == (1, 1)
    watch.count_missing()
    assert watch.read().missed == 3
    watch.reset()
    assert (watch.read().missed, watch.read().ticks, watch.read().wake_max_us) == (0, 0, 0.0)


@given(st.lists(st.tuples(st.integers(-1000, 10**9), st.integers(0, 10**9)), max_size=20))
def test_every_tick_is_in_one_bucket_of_each_histogram(ticks: list[tuple[int, int]]) -> None:
    watch = Stopwatch(PERIOD_NS)
    for wake_ns, tick_ns in ticks:
        watch.count(0, wake_ns, wake_ns + tick_ns, 0)
    timing = watch.read()
    assert timing.ticks == sum(timing.wake_us) == sum(timing.tick_us) == len(ticks)
    assert len(timing.wake_us) == len(timing.tick_us) == len(BOUNDS_US) + 1
    for k, bound in enumerate(BOUNDS_US):
        assert sum(timing.tick_us[: k + 1]) == sum(tick_ns // 1000 <= bound for _, tick_ns in ticks)
    assert timing.tick_max_us == max([0.0, *(tick_ns / 1000 for _, tick_ns in ticks)])
    assert timing.wake_max_us == max([0.0, *(wake_ns / 1000 for wake_ns, _ in ticks)])
