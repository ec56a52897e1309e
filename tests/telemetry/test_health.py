"""Health: what is wrong with the data is said before anything is said about the robot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.channels import Channel, Role, channels_by_name
from telemetry.health import HealthFinding, HealthKind, HealthMonitor
from telemetry.sources import Chunk

K = HealthKind
NOISE: Any = np.random.default_rng(0).standard_normal((400, 4))


def _stream(t_s: Any, values: Any = None, seq: Any = None, received_s: Any = None, publisher: Any = None) -> Chunk:
    n = len(t_s)
    return Chunk(
        stamp_s=np.array(t_s, dtype=np.float64),
        received_s=np.full(n, np.nan) if received_s is None else np.array(received_s, dtype=np.float64),
        values=NOISE[:n, :1] if values is None else values,
        seq=None if seq is None else np.array(seq, dtype=np.int64),
        publisher=None if publisher is None else np.array(publisher, dtype=np.int16),
    )


def _check(chunk: Chunk, channels: Sequence[Channel] | str = "abcdefgh", rows: int = 10**9) -> list[HealthFinding]:
    declared = channels_by_name(channels) if isinstance(channels, str) else channels
    monitor = HealthMonitor(declared[: chunk.values.shape[1]])
    for start in range(0, len(chunk), rows):
        monitor.update(chunk[start : start + rows])
    return monitor.findings()


def _kinds(found: list[HealthFinding]) -> dict[HealthKind, tuple[int, int]]:
    return {finding.kind: (finding.count, finding.first_row) for finding in found}


TICKS = np.arange(200) / 100.0


def test_healthy_telemetry_has_no_findings() -> None:
    assert _check(_stream(TICKS, NOISE[:200], np.arange(200), TICKS + 0.002)) == []


def test_gap_repetition_and_disorder_are_told_apart_by_stamps() -> None:
    found = _check(_stream([0.0, 0.1, 0.1, 0.2, 0.15, 0.9]))
    assert _kinds(found) == {K.GAP: (1, 6), K.STALE: (1, 3), K.OUT_OF_ORDER: (1, 5)}
    assert all(finding.channel == "" and f"row {finding.first_row}" in finding.detail for finding in found)


def test_gap_repetition_and_disorder_are_told_apart_by_sequence_numbers() -> None:
    found = _check(_stream(np.arange(6) / 10.0, seq=[0, 1, 2, 6, 6, 7]))
    assert _kinds(found) == {K.GAP: (1, 4), K.STALE: (1, 5)}
    assert found[0].detail.startswith("3 rows were lost")
    late = _check(_stream([0.0, 0.1, 0.3, 0.2, 0.4], seq=[0, 1, 3, 2, 4]))
    assert _kinds(late) == {K.GAP: (1, 3), K.OUT_OF_ORDER: (1, 4)}
    assert "0 rows" not in late[0].detail  # what came late was not lost


def test_clock_that_jumps_is_no_gap_and_no_disorder() -> None:
    back = TICKS.copy()
    back[100:] -= 5.0
    assert _kinds(_check(_stream(back))) == {K.CLOCK_JUMP: (1, 101)}
    assert _kinds(_check(_stream(back, seq=np.arange(200)))) == {K.CLOCK_JUMP: (1, 101)}
    ahead = TICKS.copy()
    ahead[100:] += 5.0
    assert _kinds(_check(_stream(ahead))) == {K.GAP: (1, 101)}  # nothing tells it from silence
    assert _kinds(_check(_stream(ahead, seq=np.arange(200)))) == {K.CLOCK_JUMP: (1, 101)}
    assert _kinds(_check(_stream(ahead, received_s=TICKS))) == {K.CLOCK_JUMP: (1, 101)}
    assert _kinds(_check(_stream(ahead, received_s=ahead + 0.01))) == {K.GAP: (1, 101)}
    restart = np.concatenate((np.arange(5000, 5100), np.arange(100)))
    assert _kinds(_check(_stream(TICKS, seq=restart))) == {K.CLOCK_JUMP: (1, 101)}


def test_data_that_was_old_when_it_arrived_is_stale() -> None:
    received = TICKS + 3600.0  # another clock: only the change of the difference says anything
    received[150:] += 0.8
    found = _check(_stream(TICKS, received_s=received))
    assert _kinds(found) == {K.STALE: (50, 151)}
    assert "later than the fastest" in found[0].detail


def test_clocks_of_different_publishers_are_not_compared() -> None:
    stamps = np.repeat(TICKS[:100], 2)
    stamps[1::2] += 77.0
    values = np.full((200, 2), np.nan)
    values[::2, 0], values[1::2, 1] = NOISE[:100, 0], NOISE[:100, 1]
    publishers = [0, 1] * 100
    assert _check(_stream(stamps, values, publisher=publishers)) == []
    values[20, 0] = np.nan  # said nothing in a row of its own
    assert _kinds(_check(_stream(stamps, values, publisher=publishers))) == {K.MISSING: (1, 21)}


def test_irregular_sampling_is_no_gap() -> None:
    t_s = np.cumsum(np.random.default_rng(1).uniform(0.005, 0.015, 400))
    assert _check(_stream(t_s, NOISE)) == []


def test_missing_infinite_and_frozen_channels_are_named_and_infinite_is_not_judged() -> None:
    values = NOISE[:200].copy()
    values[10:20, 1] = np.nan
    values[7, 2] = np.inf
    values[100:160, 3] = 0.25
    found = _check(_stream(TICKS, values))
    assert [(f.kind, f.channel, f.count, f.first_row) for f in found] == [
        (K.MISSING, "b", 10, 11),
        (K.INFINITE, "c", 1, 8),
        (K.FROZEN, "d", 1, 101),
    ]
    assert found[0].detail.startswith("10 of 200")
    assert "60 rows up to row 160" in found[2].detail
    fit = HealthMonitor(channels_by_name("abcd")).update(_stream(TICKS, values))
    assert np.isnan(fit[7, 2])
    assert np.isfinite(fit).sum() == 800 - 11


def test_missing_values_are_no_freeze_and_a_robot_at_rest_is_none_either() -> None:
    values = np.zeros((200, 2))
    assert _check(_stream(TICKS, values)) == []
    values[:, 0] = np.nan
    values[:, 1] = np.arange(200)
    assert _kinds(_check(_stream(TICKS, values))) == {K.MISSING: (200, 1)}


def test_commands_constants_and_slow_sensors_rest_without_being_frozen() -> None:
    values = NOISE[:400].copy()
    values[:, 1] = np.repeat(NOISE[:4, 1], 100)  # a reference that steps
    values[:, 2] = 4.2  # never moves: a setting
    values[:, 3] = np.repeat(NOISE[:10, 3], 40)  # a slow sensor, that then stops for long
    values[280:, 3] = values[280, 3]
    channels = [Channel(name="q"), Channel(name="q_ref", role=Role.REFERENCE), Channel(name="k"), Channel(name="temp")]
    found = _check(_stream(np.arange(400) / 100.0, values), channels)
    assert [(f.kind, f.channel, f.first_row) for f in found] == [(K.FROZEN, "temp", 281)]


def test_saturation_is_seen_at_declared_limits_and_at_an_extreme_that_comes_again() -> None:
    values = np.clip(NOISE, -1.5, 1.5)
    values[:, 1] = np.round(NOISE[:, 1])  # counts in steps
    values[:, 2] = NOISE[:, 2] > 0.0  # a switch
    values[:, 3] = np.maximum(NOISE[:, 3], 0.0)  # rests at zero
    values[:, 0] = np.convolve(NOISE[:, 0], np.ones(20) / 4.0, "same").clip(-1.0, 1.5)
    t_s = np.arange(400) / 100.0
    found = _check(_stream(t_s, values))
    assert {(f.kind, f.channel) for f in found} == {(K.SATURATED, "a")}
    assert "smallest value -1" in found[0].detail
    assert values[found[0].first_row - 1, 0] == values[found[0].first_row - 2, 0]
    limited = [Channel(name="tau", role=Role.COMMAND, low=-2.0, high=1.5), *channels_by_name("bcd")]
    (at_limit,) = _check(_stream(t_s, values), limited)
    assert at_limit.count == int((values[:, 0] >= 1.5).sum())
    assert at_limit.first_row == int(np.argmax(values[:, 0] >= 1.5)) + 1


def test_reference_that_waits_where_a_task_ends_is_not_saturated() -> None:
    values = np.convolve(NOISE[:, 0], np.ones(20) / 4.0, "same").clip(-1.0, 1.5)[:, None]
    t_s = np.arange(400) / 100.0
    for role, count in ((Role.REFERENCE, 0), (Role.COMMAND, 1), (Role.EFFORT, 1)):
        assert len(_check(_stream(t_s, values), [Channel(name="a", role=role)])) == count


def test_peaks_of_a_smooth_curve_in_a_coarse_file_are_no_saturation() -> None:
    t_s = np.arange(20_000) / 250.0
    values = np.round(np.sin(3.0 * t_s), 4)[:, None]
    assert (np.diff(values[:, 0]) == 0.0).sum() > 40
    assert _check(_stream(t_s, values)) == []


def test_row_without_a_time_is_counted_and_stops_nothing() -> None:
    t_s = TICKS.copy()
    t_s[[0, 50]] = np.nan
    assert _kinds(_check(_stream(t_s))) == {K.MISSING: (2, 1)}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_findings_do_not_depend_on_the_chunks(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    n = 300
    values = np.round(rng.standard_normal((n, 3)), 1).cumsum(axis=0).clip(-3.0, 3.0)
    values[rng.random((n, 3)) < 0.05] = np.nan
    values[rng.random((n, 3)) < 0.01] = np.inf
    start = rng.integers(0, 200)
    values[start : start + 90, 1] = 0.5
    t_s = np.cumsum(rng.choice([0.01, 0.01, 0.01, 0.0, 0.2, -0.05, 3.0], n))
    received = t_s + rng.choice([0.0, 0.9], n)
    chunk = _stream(t_s, values, np.cumsum(rng.integers(-1, 3, n)), received, rng.integers(0, 2, n))
    for part in (chunk, _stream(t_s, values), _stream(t_s, values, received_s=received)):
        assert _check(part, rows=rows) == _check(part)
        assert _check(part)


@pytest.mark.parametrize("channels", [1, 100])
def test_memory_does_not_grow_with_the_stream(channels: int) -> None:
    monitor = HealthMonitor(channels_by_name(f"c{i}" for i in range(channels)))

    def size() -> int:
        return sum(value.nbytes for value in vars(monitor).values() if isinstance(value, np.ndarray))

    monitor.update(_stream(TICKS, np.tile(NOISE[:200, :1], channels)))
    before = size()
    for k in range(1, 20):
        monitor.update(_stream(TICKS + 2.0 * k, np.tile(NOISE[:200, :1], channels)))
    assert size() == before
    assert monitor.rows == 4000
