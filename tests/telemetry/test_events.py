"""Events: one per fault, with hysteresis, dwell and re-arm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.records import Event
from telemetry.detector import Detector
from telemetry.events import EventTracker
from telemetry.evidence import Evidence
from tests.telemetry.streams import quiet

Noise = Callable[..., NDArray[np.float64]]


def _evidence(channel: str = "joint_2", kind: str = "bias") -> Callable[[Event | None], Evidence]:
    return lambda _: Evidence(
        channel=channel,
        kind=kind,
        onset_s=0.5,
        test_ratio=1.2,
        ranking=((channel, 1.2), ("joint_1", 0.4)),
        kinds=((kind, 1.0),),
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


def test_evidence_is_looked_at_again_while_an_event_is_open() -> None:
    tracker = EventTracker()
    tracker.update(1.0, 1.2, _evidence("joint_2"))
    tracker.update(1.2, 1.5, _evidence("joint_3"))
    assert tracker.events[0].channel == "joint_2"
    tracker.update(1.3, 1.5, _evidence("joint_4"))
    assert tracker.events[0].channel == "joint_4"
    assert (tracker.events[0].alarm_s, tracker.events[0].onset_s) == (1.0, 0.5)
    for t_s, channel in ((1.9, "joint_5"), (2.0, "joint_6"), (4.0, "joint_7"), (9.0, "joint_1")):
        tracker.update(t_s, 1.5, _evidence(channel))
    assert tracker.events[0].channel == "joint_7"  # after 0.3, 1 and 3 s, and then no more
    assert len(tracker.events) == 1


def test_evidence_is_told_which_event_is_open() -> None:
    tracker, told = EventTracker(), []

    def evidence(event: Event | None) -> Evidence:
        told.append(event)
        return _evidence()(event)

    tracker.update(1.0, 1.2, evidence)
    (event,) = tracker.events
    tracker.update(1.4, 1.5, evidence)
    assert told == [None, event]


def test_what_has_passed_keeps_its_kind_unless_it_was_a_jump() -> None:
    for first, later, settled in (("spike", "bias", "bias"), ("noise", "bias", "noise"), ("spike", "spike", "spike")):
        tracker = EventTracker()
        tracker.update(1.0, 1.2, _evidence("joint_2", first))
        tracker.update(1.3, 0.1, _evidence("joint_3", later))  # nothing is in alarm by then
        assert tracker.events[0].kind == settled
        assert tracker.events[0].channel == ("joint_3" if settled != first else "joint_2")


def test_lasting_fault_is_one_event(correlated_noise: Noise) -> None:
    stream = correlated_noise(8, 7000, 4)
    stream[4000:, 1] += 3.0
    detector = Detector(list("abcd"), 100.0)
    detector.calibrate(quiet(stream[:3000]))
    alarm = detector.watch(quiet(stream[3000:], 30.0)).alarm
    (event,) = detector.tracker.events
    assert event.channel == "b"
    assert 40.0 <= event.alarm_s < 40.3
    assert abs(event.onset_s - 40.0) < 0.3
    assert alarm[-1]
    assert detector.tracker.ends_s == [None]
