"""Events: one per fault, with hysteresis, dwell and re-arm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from telemetry.detector import Detector, Evidence
from telemetry.events import EventTracker

Noise = Callable[..., NDArray[np.float64]]


def _evidence(channel: str = "joint_2") -> Callable[[], Evidence]:
    return lambda: Evidence(
        channel=channel, kind="bias", onset_s=0.5, test_ratio=1.2, ranking=((channel, 1.2), ("joint_1", 0.4))
    )


def _play(tracker: EventTracker, start_s: float, ratios: list[float], channel: str = "joint_2") -> list[bool]:
    alarms = []
    for i, ratio in enumerate(ratios):
        tracker.update(start_s + 0.1 * i, ratio, _evidence(channel))
        alarms.append(tracker.open)
    return alarms


def test_event_opens_at_one_and_closes_only_after_dwelling_below_half() -> None:
    tracker = EventTracker(dwell_s=0.25)
    alarms = _play(tracker, 10.0, [0.99, 1.0, 0.7, 0.4, 0.5, 0.4, 0.4, 0.4, 0.9])
    assert alarms == [False, True, True, True, True, True, True, False, False]
    (event,) = tracker.events
    assert (event.alarm_s, event.channel, event.kind, event.onset_s) == (10.1, "joint_2", "bias", 0.5)
    assert event.ranking == (("joint_2", 1.2), ("joint_1", 0.4))
    assert tracker.ends_s == [10.4]


def test_alarm_soon_after_the_close_continues_the_same_event() -> None:
    tracker = EventTracker(dwell_s=0.2)
    _play(tracker, 0.0, [1.5] + [0.0] * 4)
    assert tracker.ends_s == [0.0]
    _play(tracker, 1.0, [1.5], channel="joint_5")
    assert len(tracker.events) == 1
    assert tracker.ends_s == [None]


def test_only_the_same_channel_continues_an_event_until_the_tracker_is_armed_again() -> None:
    tracker = EventTracker(dwell_s=0.2, rearm_s=10.0)
    quiet = [1.5] + [0.0] * 4
    _play(tracker, 0.0, quiet)
    _play(tracker, 5.0, quiet)
    assert len(tracker.events) == 1
    _play(tracker, 9.0, quiet, channel="joint_6")
    _play(tracker, 30.0, quiet, channel="joint_6")
    assert [event.alarm_s for event in tracker.events] == [0.0, 9.0, 30.0]


def test_nothing_may_adapt_during_an_alarm_or_while_the_ratio_is_high() -> None:
    tracker = EventTracker(dwell_s=0.15)
    seen = []
    for i, ratio in enumerate([0.2, 0.8, 1.0, 0.7, 0.3, 0.3, 0.7, 0.3]):
        tracker.update(0.1 * i, ratio, _evidence())
        seen.append(tracker.may_adapt)
    assert seen == [True, False, False, False, False, True, False, True]


def test_lasting_fault_is_one_event_and_chunks_agree_with_rows(correlated_noise: Noise) -> None:
    stream = correlated_noise(8, 6000, 4)
    stream[3000:, 1] += 3.0
    t_s = np.arange(6000) / 100.0
    in_chunks, by_row = (Detector(list("abcd"), 100.0) for _ in range(2))
    chunked, single = EventTracker(), EventTracker()
    in_chunks.calibrate(stream[:2000])
    by_row.calibrate(stream[:2000])
    alarm = np.concatenate(
        [chunked.update_chunk(in_chunks.assess(stream[a : a + 700], t_s[a : a + 700])) for a in range(2000, 6000, 700)]
    )
    rows = []
    for row, t in zip(stream[2000:], t_s[2000:], strict=True):
        single.update(t, by_row.update(row, t), by_row.evidence)
        rows.append(single.open)
    assert alarm.tolist() == rows
    assert chunked.events == single.events
    (event,) = chunked.events
    assert event.channel == "b"
    assert 30.0 <= event.alarm_s < 30.3
    assert abs(event.onset_s - 30.0) < 0.3
    assert alarm[-1]
