"""The detector: the same bits in chunks, quiet on healthy noise, quick on faults, and right about their kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import BadInput
from telemetry.assessment import Assessment
from telemetry.detector import Detector
from telemetry.residuals import Residuals
from tests.telemetry.streams import quiet

Array = NDArray[np.float64]
Noise = Callable[..., Array]
RATE_HZ = 100.0
HEAD = 3000


def _calibrated(stream: Array, head: int = HEAD) -> Detector:
    names = [f"c{i}" for i in range(stream.shape[1])]
    detector = Detector(names, RATE_HZ, raw_channels=[f"raw.{name}" for name in names])
    detector.calibrate(_both(stream[:head]))
    return detector


def _both(stream: Array, start_s: float = 0.0) -> Residuals:
    """Residuals that are their own readings."""
    return quiet(stream, start_s, stream)


def _moving(seed: int, rows: int) -> Residuals:
    """Three joints: noise about expectations that swing, at speeds that are the expectations' changes."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(rows) / RATE_HZ
    phase = rng.uniform(0.0, 6.0, 3)
    swing = 2.0 * np.pi * np.array([0.31, 0.47, 0.73])
    expected = np.sin(swing * t_s[:, None] + phase) + 0.5 * np.sin(2.3 * swing * t_s[:, None])
    rate = np.gradient(expected, 1.0 / RATE_HZ, axis=0)
    return Residuals(
        t_s=t_s,
        value=0.1 * rng.standard_normal((rows, 3)),
        expected=expected,
        driven=expected,
        rate=rate,
        stir=rate,
        readings=np.zeros((rows, 1, 0)),
    )


def test_chunks_give_the_bits_of_row_by_row(correlated_noise: Noise) -> None:
    stream = correlated_noise(1, HEAD + 2600, 4)
    stream[HEAD + 1300 : HEAD + 1500, 2] += 4.0
    stream[HEAD + 1200 : HEAD + 1210, 1] = np.nan
    rows = _both(stream[HEAD:])
    single, chunked = _calibrated(stream), _calibrated(stream)
    by_row = [single.watch(rows[i : i + 1]) for i in range(2600)]
    edges = [0, 1, 7, 300, 300, 1350, 2600]  # blocks of 1000 rows end within them
    pieces = [chunked.watch(rows[a:b]) for a, b in pairwise(edges)]
    one_by_one, joined = Assessment.join(by_row), Assessment.join(pieces)
    for name in ("t_s", "ratio", "strongest", "alarm"):
        assert getattr(one_by_one, name).tobytes() == getattr(joined, name).tobytes(), name
    assert one_by_one.alarm.any()
    assert single.tracker.events == chunked.tracker.events
    for name, value in single.state().items():
        assert value.tobytes() == chunked.state()[name].tobytes(), name


def test_alarms_that_come_and_go_within_a_chunk_are_the_events_of_row_by_row(correlated_noise: Noise) -> None:
    """Alarms that close, some to come back too soon to be another event, and looks at the evidence in between."""
    stream = correlated_noise(12, HEAD + 20_000, 3)
    rng = np.random.default_rng(5)
    for at in np.cumsum(rng.integers(60, 1500, 25)).tolist():
        frozen, channel = slice(HEAD + at, HEAD + at + int(rng.integers(5, 9))), rng.integers(3)
        stream[frozen, channel] = stream[HEAD + at, channel]
    rows = _both(stream[HEAD:])
    found = []
    for step in (1, 700, 20_000):
        detector = _calibrated(stream)
        alarm = np.concatenate([detector.watch(rows[a : a + step]).alarm for a in range(0, 20_000, step)])
        found.append((alarm.tobytes(), detector.tracker.events, detector.tracker.ends_s, detector.alarm_rate.level))
    assert found[0] == found[1] == found[2]
    opened = np.count_nonzero(np.diff(np.frombuffer(found[0][0], dtype=np.int8)) == 1)
    assert 5 <= len(found[0][1]) < opened


def test_another_number_of_channels_is_refused_before_anything_reads_beyond_them(correlated_noise: Noise) -> None:
    stream = correlated_noise(1, HEAD + 10, 3)
    with pytest.raises(ValueError, match="3 channels"):
        _calibrated(stream[:, :2]).watch(quiet(stream[HEAD:], 0.0, stream[HEAD:, :2]))


def test_restored_detector_continues_with_the_same_bits(correlated_noise: Noise) -> None:
    stream = correlated_noise(2, HEAD + 2400, 3)
    stream[HEAD + 1150 :, 0] += 2.0
    rows = _both(stream[HEAD:])
    first = _calibrated(stream)
    first.watch(rows[:1200])
    assert first.tracker.open
    saved = {name: value.copy() for name, value in first.state().items()}
    expected = first.watch(rows[1200:])
    second = Detector(first.residual_channels, RATE_HZ, raw_channels=first.raw_channels)
    second.restore(saved)
    assert second.watch(rows[1200:]).ratio.tobytes() == expected.ratio.tobytes()
    assert second.tracker.events == first.tracker.events
    assert second.alarm_rate.level == first.alarm_rate.level
    assert second.threshold_basis == first.threshold_basis == "extrapolated"
    with pytest.raises(BadInput, match="other channels"):
        Detector(["a", "b"], RATE_HZ).restore(saved)


def test_missing_values_hold_the_ratio_and_are_counted(correlated_noise: Noise) -> None:
    stream = correlated_noise(3, HEAD, 2)
    detector = _calibrated(stream)
    shifted = correlated_noise(4, 10, 2) + np.array([5.0, 0.0])
    before = detector.watch(_both(shifted)).ratio[-1]
    assert before > 0.5
    held = detector.watch(_both(np.full((500, 2), np.nan), 0.1)).ratio
    assert np.all(held == before)  # zeros would have let it decay
    assert detector.missing == {"c0": 500, "c1": 500}


@pytest.mark.parametrize("noise", [1.0, 0.1, 0.001])
def test_a_channel_may_be_far_quieter_than_the_shift_that_matters(correlated_noise: Noise, noise: float) -> None:
    """Noise of a fraction of the shift to be found must not make the detector deaf to it."""
    for size, found in ((3.0, True), (0.3, False)):
        stream = noise * correlated_noise(5, HEAD + 400, 1)
        stream[HEAD + 100 :] += size
        detector = Detector(["c0"], RATE_HZ, smallest_shift=[1.5])
        detector.calibrate(quiet(stream[:HEAD]))
        ratio = detector.watch(quiet(stream[HEAD:])).ratio
        assert ratio[:100].max() < 1.0
        assert bool(ratio.max() >= 1.0) is found


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_healthy_correlated_noise_raises_no_alarm_in_five_minutes(correlated_noise: Noise, memory: float) -> None:
    for seed in range(4):
        stream = correlated_noise(seed, HEAD + 30_000, 6, memory)
        detector = _calibrated(stream)
        detector.watch(_both(stream[HEAD:]))
        assert not detector.tracker.events


def _faulty(kind: str, rows: Residuals, at: int) -> Residuals:
    """Joint 1 changed from row `at` on."""
    value, after = rows.value.copy(), slice(at, None)
    expected, rate = rows.expected[after, 1], rows.rate[after, 1]
    rng = np.random.default_rng(99)
    match kind:
        case "bias":
            value[after, 1] += 0.3
        case "gain":
            value[after, 1] -= 0.4 * expected
        case "delay":
            value[after, 1] -= 0.1 * rate / rate.std() * 3.0
        case "friction":
            value[after, 1] -= 0.3 * np.sign(rate)
        case "oscillation":
            value[after, 1] += 0.4 * np.sin(2.0 * np.pi * 8.0 * rows.t_s[after])
        case "noise":
            value[after, 1] += 0.4 * rng.standard_normal(len(expected))
        case "spike":
            value[at, 1] += 4.0
    return replace(rows, value=value)


@pytest.mark.parametrize("kind", ["bias", "gain", "friction", "oscillation", "noise", "spike"])
def test_each_kind_of_change_is_found_in_its_channel_and_called_by_its_name(kind: str) -> None:
    right = 0
    for seed in range(6):
        rows = _faulty(kind, _moving(seed, HEAD + 3500), HEAD + 3000)
        detector = Detector(("j1", "j2", "j3"), RATE_HZ)
        detector.calibrate(rows[:HEAD])
        detector.watch(rows[HEAD:])
        (event,) = detector.tracker.events
        onset_s = (HEAD + 3000) / RATE_HZ
        assert event.channel == "j2"
        assert onset_s <= event.alarm_s < onset_s + 1.0
        assert abs(event.onset_s - onset_s) < 0.6
        assert event.kinds[0][0] == event.kind
        assert sum(belief for _, belief in event.kinds) == pytest.approx(1.0)
        right += event.kind == kind
    assert right >= 5


def test_a_repeated_value_is_a_freeze_and_a_repeated_zero_a_dropout(correlated_noise: Noise) -> None:
    for value, kind in ((None, "freeze"), (0.0, "dropout")):
        stream = correlated_noise(4, HEAD + 400, 3, 0.0)
        detector = _calibrated(stream)
        resting = np.repeat(stream[HEAD : HEAD + 1], 100, axis=0)
        assert (
            detector.watch(quiet(np.full((100, 3), np.nan), readings=resting)).ratio.max() < 1.0
        )  # everything stands still
        stream[HEAD + 100 :, 1] = stream[HEAD + 100, 1] if value is None else value
        detector.watch(quiet(stream[HEAD:] * [1.0, 0.0, 1.0], 1.0, stream[HEAD:]))
        assert [event.kind for event in detector.tracker.events] == [kind]
        assert detector.tracker.events[0].channel == "raw.c1"


def test_constant_channel_is_idle_and_never_alarms(correlated_noise: Noise) -> None:
    stream = correlated_noise(5, HEAD + 100, 2)
    stream[:, 1] = 0.1
    detector = _calibrated(stream)
    assert detector.idle_channels == ("c1",)
    stream[HEAD:, 1] = 50.0
    assert detector.watch(_both(stream[HEAD:])).ratio.max() < 1.0


def test_a_change_that_is_normal_now_no_longer_alarms_and_its_end_does() -> None:
    rows = _moving(7, HEAD + 6000)
    rows.value[HEAD:, 1] += 0.5  # a load that stays
    detector = Detector(("j1", "j2", "j3"), RATE_HZ)
    detector.calibrate(rows[:HEAD])
    detector.watch(rows[HEAD : HEAD + 1000])
    assert len(detector.tracker.events) == 1
    detector.restart(rows[HEAD + 100 : HEAD + 1000])
    detector.watch(rows[HEAD + 1000 : HEAD + 5000])
    assert not detector.tracker.events
    rows.value[HEAD + 5000 :, 1] -= 0.5  # it goes away
    detector.watch(rows[HEAD + 5000 :])
    assert [event.channel for event in detector.tracker.events] == ["j2"]


@pytest.mark.parametrize("confirmed", [False, True])
def test_an_alarm_that_passes_counts_as_false_unless_it_was_confirmed(correlated_noise: Noise, confirmed: bool) -> None:
    stream = correlated_noise(11, HEAD + 4000, 2)
    stream[HEAD + 1200 : HEAD + 1300, 0] += 4.0
    detector = _calibrated(stream)
    rows = _both(stream[HEAD:])
    detector.watch(rows[:1500])
    assert len(detector.tracker.events) == 1
    if confirmed:
        detector.confirm()
    blocks = detector.alarm_rate.blocks
    detector.watch(rows[1500:])
    assert detector.alarm_rate.false_alarms == (0 if confirmed else 1)
    # The block with the alarm taught nothing; the two after it did, and a false alarm counts as one more.
    assert detector.alarm_rate.blocks == blocks + (2 if confirmed else 3)


def test_a_fast_motion_beyond_the_head_is_allowed_a_larger_residual() -> None:
    """What a model gets wrong grows with the motion: the head shows how, and beyond it in proportion."""
    rng = np.random.default_rng(3)
    speed = np.concatenate([rng.uniform(0.2, 1.0, 60).repeat(100), np.full(2000, 2.0)])
    expected = np.cumsum(speed * np.sign(np.sin(np.arange(8000) / 40.0)))[:, None] / 20.0
    rate = np.gradient(expected, 1.0 / RATE_HZ, axis=0)
    value = rng.standard_normal((8000, 1)) * speed[:, None]
    rows = replace(quiet(value), expected=expected, driven=expected, rate=rate, stir=rate)
    detector = Detector(("joint",), RATE_HZ)
    detector.calibrate(rows[:6000])
    assert detector.watch(rows[6000:]).ratio.max() < 1.0
    still = quiet(value)
    blind = Detector(("joint",), RATE_HZ)  # it does not see that the motion is faster
    blind.calibrate(still[:6000])
    assert blind.watch(still[6000:]).ratio.max() >= 1.0


def test_bad_settings_are_refused_with_what_to_do_instead(correlated_noise: Noise) -> None:
    with pytest.raises(BadInput, match="at least one"):
        Detector([], RATE_HZ)
    with pytest.raises(BadInput, match="rows per second"):
        Detector(["c"], 0.0)
    with pytest.raises(BadInput, match="positive number"):
        Detector(["c"], RATE_HZ, false_alarms_per_hour=0.0)
    with pytest.raises(BadInput, match="longer head"):
        Detector(["c"], RATE_HZ).calibrate(quiet(correlated_noise(7, 59, 1)))
    with pytest.raises(BadInput, match="No channel varies"):
        Detector(["c"], RATE_HZ).calibrate(quiet(np.ones((500, 1))))
