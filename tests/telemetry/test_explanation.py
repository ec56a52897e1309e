"""Which kind of change an event is called, where several tests speak at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from telemetry.detector import Detector
from telemetry.residuals import Residuals
from tests.telemetry.streams import quiet

Array = NDArray[np.float64]
RATE_HZ, HEAD, AT = 100.0, 3000, 1000
CHANNELS = ("a", "b", "c")


def _driven(seed: int, rows: int) -> Residuals:
    """Effort that swings about 1 and speeds of their own: what a gain and what friction do differ."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(rows)[:, None] / RATE_HZ
    phase = rng.uniform(0.0, 6.0, (2, 3))
    effort = 1.0 + np.sin(2.0 * np.pi * np.array([0.31, 0.47, 0.73]) * t_s + phase[0])
    rate = np.sin(2.0 * np.pi * np.array([0.83, 0.61, 0.37]) * t_s + phase[1])
    rows_ = quiet(0.1 * rng.standard_normal((rows, 3)))
    return replace(rows_, expected=effort, driven=effort, rate=rate, stir=rate)


def _judged(rows: Residuals, increments: tuple[str, ...] = ()) -> Detector:
    detector = Detector(CHANNELS, RATE_HZ, increments=increments)
    detector.calibrate(rows[:HEAD])
    detector.watch(rows[HEAD:])
    return detector


def _changed(rows: Residuals, change: Callable[[Residuals], Array]) -> Residuals:
    """Channel b changed AT rows after the head."""
    value, after = rows.value.copy(), slice(HEAD + AT, len(rows))
    value[after, 1] += change(rows[after])
    return replace(rows, value=value)


def _jumping(rows: int, back_after: int | None, seed: int, spread: bool = False) -> Residuals:
    """Increments of a noisy reading that is 8 off from row AT on, and comes back after `back_after` rows."""
    offset = np.zeros(rows + 1)
    end = None if back_after is None else HEAD + AT + 1 + back_after
    offset[HEAD + AT + 1 : end] = 8.0
    if spread:  # the jump came in the middle of a row
        offset = 0.5 * (offset + np.concatenate([[0.0], offset[:-1]]))
    reading = np.zeros((rows + 1, 3))
    reading[:, 1] = offset
    reading += 0.1 * np.random.default_rng(seed).standard_normal(reading.shape)
    return quiet(np.diff(reading, axis=0))


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize(("back_after", "kind"), [(None, "bias"), (1, "spike"), (5, "spike")])
def test_a_jump_that_stays_is_an_offset_and_one_that_comes_back_a_spike(
    back_after: int | None, kind: str, spread: bool
) -> None:
    for seed in range(4):
        rows = _jumping(HEAD + AT + 500, back_after, seed, spread)
        detector = _judged(rows, increments=("b",))
        (event,) = detector.tracker.events
        assert (event.channel, event.kind) == ("b", kind)
        assert event.kinds[0][0] == kind
        assert event.alarm_s == pytest.approx((HEAD + AT) / RATE_HZ, abs=0.011)


def test_a_jump_in_what_is_no_increment_is_over_in_the_next_row() -> None:
    (event,) = _judged(_jumping(HEAD + AT + 500, None, 1)).tracker.events
    assert event.kind == "spike"


def test_a_jump_is_first_called_a_spike_and_an_offset_once_it_has_stayed() -> None:
    rows = _jumping(HEAD + AT + 500, None, 1)
    detector = Detector(CHANNELS, RATE_HZ, increments=("b",))
    detector.calibrate(rows[:HEAD])
    detector.watch(rows[HEAD : HEAD + AT + 20])
    assert detector.tracker.events[0].kind == "spike"
    detector.watch(rows[HEAD + AT + 20 : HEAD + AT + 40])
    assert detector.tracker.events[0].kind == "bias"


@pytest.mark.parametrize("size", [0.3, 1.0, 5.0])
def test_a_large_loss_of_gain_is_not_called_friction_nor_friction_a_loss(size: float) -> None:
    """Residuals of many standard deviations, where clipped products of all tests are at their ceiling."""
    for seed in range(4):
        healthy = _driven(seed, HEAD + AT + 500)
        loss = _changed(healthy, lambda rows: -size * rows.driven[:, 1])
        (event,) = _judged(loss).tracker.events
        assert (event.channel, event.kind) == ("b", "gain")
        drag = _changed(healthy, lambda rows: -size * np.sign(rows.rate[:, 1]))
        (event,) = _judged(drag).tracker.events
        assert (event.channel, event.kind) == ("b", "friction")
        viscous = _changed(healthy, lambda rows: -2.0 * size * rows.rate[:, 1])
        (event,) = _judged(viscous).tracker.events
        assert (event.channel, event.kind) == ("b", "friction")


def test_a_gain_shows_along_what_effort_brings_about_and_not_along_the_rest_of_what_is_expected() -> None:
    rows = _driven(1, HEAD + AT + 500)
    rest = 20.0 * np.cos(np.arange(len(rows)) / 70.0)[:, None]  # gravity, say
    rows = replace(rows, expected=rows.driven + rest)
    (event,) = _judged(_changed(rows, lambda each: -1.0 * each.driven[:, 1])).tracker.events
    assert (event.channel, event.kind) == ("b", "gain")


def test_effort_that_comes_late_is_a_delay() -> None:
    for seed in range(4):
        rows = _driven(seed, HEAD + AT + 500)
        late = _changed(rows, lambda each: -6.0 * np.gradient(each.driven[:, 1]))
        (event,) = _judged(late).tracker.events
        assert (event.channel, event.kind) == ("b", "delay")


@pytest.mark.parametrize("frequency_hz", [3.0, 8.0, 12.0, 20.0, 25.0, 35.0, 45.0])
def test_an_oscillation_has_its_frequency(frequency_hz: float) -> None:
    rows = _driven(1, HEAD + AT + 500)
    swinging = _changed(rows, lambda each: 0.8 * np.sin(2.0 * np.pi * frequency_hz * each.t_s))
    (event,) = _judged(swinging).tracker.events
    assert (event.channel, event.kind) == ("b", "oscillation")
    assert event.frequency_hz == pytest.approx(frequency_hz, rel=0.1)


def test_what_does_not_swing_has_no_frequency() -> None:
    rows = _changed(_driven(1, HEAD + AT + 500), lambda each: np.full(len(each), 1.0))
    (event,) = _judged(rows).tracker.events
    assert (event.kind, event.frequency_hz) == ("bias", None)


def test_the_channel_that_is_furthest_off_leads_where_ratios_stop_at_their_ceiling() -> None:
    rows = _driven(1, HEAD + AT + 500)
    value = rows.value.copy()
    value[HEAD + AT :] += [2.0, 6.0, 3.0]
    detector = _judged(replace(rows, value=value))
    (event,) = detector.tracker.events
    assert event.channel == "b"
    assert [name for name, _ in event.ranking] == ["b", "c", "a"]


def test_beliefs_of_chunks_are_those_of_row_by_row() -> None:
    rows = _changed(_driven(1, HEAD + AT + 500), lambda each: -1.0 * each.driven[:, 1])
    rows.value[HEAD + 300 : HEAD + 320, 0] = np.nan
    found = []
    for edges in (range(HEAD, len(rows) + 1), [HEAD, HEAD, HEAD + 7, HEAD + AT + 3, len(rows)]):
        detector = Detector(CHANNELS, RATE_HZ)
        detector.calibrate(rows[:HEAD])
        for a, b in pairwise(edges):
            detector.watch(rows[a:b])
        found.append(detector)
    (by_row,), (in_chunks,) = (detector.tracker.events for detector in found)
    assert by_row.kind == "gain"
    assert by_row == in_chunks  # to the last bit of every belief
    assert found[0].state()["explanation"].tobytes() == found[1].state()["explanation"].tobytes()
