"""Readings that repeat: frozen after a run, missing when too many do, and neither while everything stands still."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from telemetry.bank import CEILING
from telemetry.detector import Detector
from telemetry.repeats import RepeatRatios, Repeats
from tests.telemetry.streams import quiet

Array = NDArray[np.float64]
RATE_HZ, TICKS, HEAD, ROWS = 100.0, 5, 3000, 1000
RATE_PER_ROW = 1e-9


def _stream(seed: int, rows: int, channels: int = 3, rests: float = 0.0) -> Array:
    """(rows, TICKS, channels) readings; channel 0 stays where it is in a share `rests` of the ticks."""
    rng = np.random.default_rng(seed)
    flat = rng.standard_normal((rows * TICKS, channels))
    _repeat(flat, 0, rng.random(len(flat)) < rests)
    return flat.reshape(rows, TICKS, channels)


def _repeat(flat: Array, channel: int, missed: NDArray[np.bool_]) -> None:
    """Give the ticks in `missed` the reading before, in place."""
    for i in np.flatnonzero(missed[1:]) + 1:
        flat[i, channel] = flat[i - 1, channel]


def _watched(head: Array) -> Repeats:
    repeats = Repeats([f"r{c}" for c in range(head.shape[2])], CEILING)
    repeats.learn(head, RATE_PER_ROW, RATE_HZ)
    return repeats


def _times(rows: int) -> Array:
    return np.arange(rows) / RATE_HZ


def _play(repeats: Repeats, readings: Array) -> RepeatRatios:
    return repeats.advance(_times(len(readings)), readings)


def _faulty(kind: str, seed: int, at: int, rows: int = ROWS) -> Array:
    """Channel 1 is at fault from row `at` on."""
    readings = _stream(seed, rows)
    flat = readings.reshape(-1, readings.shape[2])
    if kind == "dropout":
        missed = np.random.default_rng(seed + 50).random(len(flat)) < 0.3
        missed[: at * TICKS] = False
        _repeat(flat, 1, missed)
    else:
        flat[at * TICKS :, 1] = flat[at * TICKS, 1] if kind == "freeze" else 0.0
    return readings


def test_a_reading_is_frozen_after_a_run_that_no_healthy_one_reaches() -> None:
    for seed in range(3):
        found = _play(_watched(_stream(seed, HEAD)), _faulty("freeze", 10 + seed, 500))
        assert found.ratio[:500].max() < 1.0
        assert found.ratio[:, [0, 2]].max() < 1.0
        assert found.ratio[503:, 1].min() >= 1.0
        assert found.missing[503:508, 1].all()  # a run of less than 0.1 s is no freeze yet, but something is missing
        assert not found.missing[512:, 1].any()
        assert found.onset_s[512:, 1] == pytest.approx(5.0)


def test_a_reading_that_stays_at_zero_is_missing() -> None:
    found = _play(_watched(_stream(1, HEAD)), _faulty("zero", 11, 500))
    assert found.ratio[515, 1] >= 1.0
    assert found.missing[515:, 1].all()


def test_samples_that_are_missing_now_and_then_are_found_in_a_few_hundredths_of_a_second() -> None:
    for seed in range(6):
        found = _play(_watched(_stream(seed, HEAD)), _faulty("dropout", 20 + seed, 500))
        assert found.ratio[:500].max() < 1.0
        assert found.ratio[:, [0, 2]].max() < 1.0
        alarm = int(np.argmax(found.ratio[:, 1] >= 1.0))
        assert 500 < alarm < 510
        assert found.missing[alarm:, 1].all()
        assert abs(found.onset_s[alarm, 1] - 5.0) < 0.05


def test_a_channel_that_repeats_now_and_then_by_nature_is_watched_for_more_of_it() -> None:
    head = _stream(1, HEAD, rests=0.2)
    assert _play(_watched(head), _stream(2, 20 * ROWS, rests=0.2)).ratio.max() < 1.0
    found = _play(_watched(head), _stream(3, ROWS, rests=0.5))
    assert found.ratio[200, 0] >= 1.0
    assert found.missing[200, 0]


def test_while_everything_repeats_nothing_is_frozen_or_missing() -> None:
    readings = _stream(2, ROWS)
    readings[300:] = readings[300, 0]
    standing = _play(_watched(_stream(1, HEAD)), readings)
    assert standing.ratio.max() < 1.0
    halting = _stream(3, ROWS)  # the whole stream skips a third of its samples
    flat = halting.reshape(-1, 3)
    for c in range(3):
        _repeat(flat, c, np.random.default_rng(4).random(len(flat)) < 0.3)
    assert _play(_watched(_stream(1, HEAD)), halting).ratio.max() < 1.0


def test_a_rest_of_the_whole_robot_during_the_head_makes_nobody_deaf() -> None:
    head = _stream(1, HEAD)
    head[1000:2500] = head[1000, 0]
    frozen = _play(_watched(head), _faulty("freeze", 11, 500))
    assert frozen.ratio[515, 1] >= 1.0
    missed = _play(_watched(head), _faulty("dropout", 12, 500))
    assert missed.ratio[510, 1] >= 1.0


def test_a_channel_that_rests_most_of_the_time_is_not_watched() -> None:
    repeats = _watched(_stream(1, HEAD, rests=0.99))
    readings = _stream(2, ROWS)
    readings[10:, :, 0] = 1.5
    readings[10:, :, 1] = 1.5
    found = _play(repeats, readings)
    assert found.ratio[:, 0].max() == 0.0
    assert found.ratio[:, 1].max() >= 1.0


def test_missing_values_neither_end_a_run_nor_count_as_one() -> None:
    readings = _faulty("freeze", 11, 500)
    gaps = readings.copy()
    gaps[500:, 1:4, 1] = np.nan
    gaps[:500, :, 2] = np.nan
    whole, found = (_play(_watched(_stream(1, HEAD)), each) for each in (readings, gaps))
    assert found.ratio[:500].max() < 1.0
    reached, later = (int(np.argmax(each.ratio[:, 1] >= 1.0)) - 500 for each in (whole, found))
    assert later == pytest.approx(reached * 5 / 2, abs=3)  # two readings in five came
    assert not found.missing[-1, 1]
    nothing = _play(_watched(_stream(1, HEAD)), np.full((ROWS, TICKS, 3), np.nan))
    assert nothing.ratio.max() == 0.0


@pytest.mark.parametrize("kind", ["freeze", "dropout"])
def test_chunks_give_the_bits_of_row_by_row_and_of_a_restored_state(kind: str) -> None:
    head, readings = _stream(1, HEAD), _faulty(kind, 11, 500)
    readings[100:120, :, 2] = np.nan
    t_s = _times(ROWS)
    whole = _watched(head).advance(t_s, readings)
    for edges in (range(ROWS + 1), [0, 1, 1, 7, 503, 504, 800, ROWS]):
        repeats, parts = _watched(head), []
        for a, b in pairwise(edges):
            saved = {name: value.copy() for name, value in repeats.arrays().items()}
            repeats = Repeats(repeats.channels, CEILING)
            for name, value in repeats.arrays().items():
                value[:] = saved[name]
            parts.append(repeats.advance(t_s[a:b], readings[a:b]))
        for name in ("ratio", "onset_s", "missing"):
            joined = np.concatenate([getattr(part, name) for part in parts])
            assert joined.tobytes() == getattr(whole, name).tobytes(), name
    assert whole.ratio.max() >= 1.0


def test_another_number_of_readings_is_refused_before_anything_reads_beyond_them() -> None:
    repeats = _watched(_stream(1, HEAD))
    with pytest.raises(ValueError, match="3 raw channels"):
        _play(repeats, _stream(2, 10, channels=4))
    detector = Detector(["c"], RATE_HZ, raw_channels=["r"])
    with pytest.raises(ValueError, match="1 raw channels"):
        detector.calibrate(quiet(np.random.default_rng(1).standard_normal((500, 1))))


@pytest.mark.parametrize("kind", ["freeze", "dropout"])
def test_the_detector_blames_the_reading_and_not_the_residual_that_it_upsets(kind: str) -> None:
    readings = np.concatenate([_stream(1, HEAD), _faulty(kind, 11, 500)])
    value = np.random.default_rng(7).standard_normal((len(readings), 3))
    value[HEAD + 500 :, 1] += 8.0
    rows = quiet(value, 0.0, readings[:, 0])
    rows = type(rows)(**{name: getattr(rows, name) for name in rows.__dataclass_fields__} | {"readings": readings})
    detector = Detector("abc", RATE_HZ, raw_channels=("a.q", "b.q", "c.q"))
    detector.calibrate(rows[:HEAD])
    detector.watch(rows[HEAD:])
    (event,) = detector.tracker.events
    assert (event.channel, event.kind) == ("b.q", kind)
    assert event.alarm_s < HEAD / RATE_HZ + 5.1
