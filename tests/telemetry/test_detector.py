"""The detector: one scale, the same bits in chunks, quiet on healthy noise, quick on faults."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import BadInput
from telemetry.detector import Detector

Array = NDArray[np.float64]
Noise = Callable[..., Array]
RATE_HZ = 100.0
HEAD = 2000


def _calibrated(stream: Array, head: int = HEAD) -> Detector:
    names = [f"c{i}" for i in range(stream.shape[1])]
    detector = Detector(names, RATE_HZ, raw_channel_names=[f"raw.{name}" for name in names])
    detector.calibrate(stream[:head], stream[:head])
    return detector


def _times(rows: int) -> Array:
    return np.arange(rows) / RATE_HZ


def test_chunks_give_the_bits_of_row_by_row(correlated_noise: Noise) -> None:
    stream = correlated_noise(1, HEAD + 600, 4)
    stream[HEAD + 300 :, 2] += 4.0
    stream[HEAD + 200 : HEAD + 210, 1] = np.nan
    rows, t_s = stream[HEAD:], _times(600)
    single, chunked = _calibrated(stream), _calibrated(stream)
    one_by_one = np.array([single.update(row, t, row) for row, t in zip(rows, t_s, strict=True)])
    edges = [0, 1, 7, 300, 300, 599, 600]
    pieces = [chunked.update_chunk(rows[a:b], t_s[a:b], rows[a:b]) for a, b in pairwise(edges)]
    assert one_by_one.tobytes() == np.concatenate(pieces).tobytes()
    assert one_by_one.max() > 1.0
    assert single.evidence() == chunked.evidence()
    for name, value in single.state().items():
        assert value.tobytes() == chunked.state()[name].tobytes(), name


def test_restored_detector_continues_with_the_same_bits(correlated_noise: Noise) -> None:
    stream = correlated_noise(2, HEAD + 400, 3)
    stream[HEAD + 150 :, 0] += 2.0
    rows, t_s = stream[HEAD:], _times(400)
    first = _calibrated(stream)
    first.update_chunk(rows[:170], t_s[:170], rows[:170])
    saved = {name: value.copy() for name, value in first.state().items()}
    expected = first.update_chunk(rows[170:], t_s[170:], rows[170:])
    second = Detector(first.residual_channel_names, RATE_HZ, raw_channel_names=first.raw_channel_names)
    second.restore(saved)
    assert second.update_chunk(rows[170:], t_s[170:], rows[170:]).tobytes() == expected.tobytes()
    assert second.evidence() == first.evidence()
    assert second.threshold_basis == first.threshold_basis == "extrapolated"
    with pytest.raises(BadInput, match="other channels"):
        Detector(["a", "b"], RATE_HZ).restore(saved)


def test_missing_values_hold_the_ratio_and_are_counted(correlated_noise: Noise) -> None:
    stream = correlated_noise(3, HEAD + 200, 2)
    detector = _calibrated(stream)
    shifted = stream[HEAD : HEAD + 10] + np.array([5.0, 0.0])
    before = detector.update_chunk(shifted, _times(10))[-1]
    assert before > 0.5
    held = detector.update_chunk(np.full((500, 2), np.nan), 0.1 + _times(500))
    assert np.all(held == before)  # zeros would have let it decay
    assert detector.missing == {"c0": 500, "c1": 500}


@pytest.mark.parametrize("quiet", [1.0, 0.1, 0.001])
def test_a_channel_may_be_far_quieter_than_the_shift_that_matters(correlated_noise: Noise, quiet: float) -> None:
    """Noise of a fraction of the shift to be found must not make the detector deaf to it."""
    for size, found in ((3.0, True), (0.3, False)):
        stream = quiet * correlated_noise(5, HEAD + 400, 1)
        stream[HEAD + 100 :] += size
        detector = Detector(["c0"], RATE_HZ, smallest_shift=[1.5])
        detector.calibrate(stream[:HEAD])
        ratio = detector.update_chunk(stream[HEAD:], _times(400))
        assert ratio[:100].max() < 1.0
        assert bool(ratio.max() >= 1.0) is found


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_healthy_correlated_noise_raises_no_alarm_in_five_minutes(correlated_noise: Noise, memory: float) -> None:
    for seed in range(4):
        stream = correlated_noise(seed, HEAD + 30_000, 6, memory)
        assert _calibrated(stream).update_chunk(stream[HEAD:], _times(30_000)).max() < 1.0


@pytest.mark.parametrize(
    ("fault", "kind"), [("shift", "bias"), ("drop", "bias"), ("noise", "noise"), ("freeze", "freeze")]
)
def test_clear_faults_alarm_within_a_second_with_kind_channel_and_onset(
    correlated_noise: Noise, fault: str, kind: str
) -> None:
    right_kind = 0
    for seed in range(8):
        stream = correlated_noise(10 + seed, HEAD + 1000, 6, 0.3)
        faulty = stream[HEAD + 500 :, 4]
        match fault:
            case "shift":
                faulty += 3.0
            case "drop":
                faulty -= 3.0
            case "noise":
                faulty *= 2.0
            case "freeze":
                faulty[:] = faulty[0]
        detector = _calibrated(stream)
        rows, t_s = stream[HEAD:], _times(1000)
        assessment = detector.assess(rows, t_s, rows)
        alarm = int(np.argmax(assessment.ratio >= 1.0))
        assert 500 <= alarm < 600, (seed, alarm)
        evidence = assessment.evidence(alarm)
        right_kind += assessment.evidence(alarm + 20).kind == kind
        assert evidence.channel.removeprefix("raw.") == "c4"
        assert evidence.ranking[0] == (evidence.channel, evidence.test_ratio)
        assert abs(evidence.onset_s - 5.0) < 0.5
    assert right_kind >= 6  # a few rows of loud noise can look like a shift; 0.2 s later it shows


def test_stuck_at_zero_is_a_dropout_and_a_stream_at_rest_is_not(correlated_noise: Noise) -> None:
    stream = correlated_noise(4, HEAD + 100, 3)
    detector = _calibrated(stream)
    resting = np.repeat(stream[HEAD : HEAD + 1], 100, axis=0)
    assert detector.assess(np.full((100, 3), np.nan), _times(100), resting).ratio.max() < 1.0
    stream[HEAD:, 1] = 0.0
    dropped = detector.assess(stream[HEAD:], 1.0 + _times(100), stream[HEAD:])
    assert dropped.ratio[-1] >= 1.0
    assert dropped.channel_ratio[-1].argmax() == 4
    assert dropped.evidence(-1).kind == "dropout"


def test_kind_of_a_row_does_not_depend_on_what_came_later_in_its_chunk(correlated_noise: Noise) -> None:
    stream = correlated_noise(9, HEAD + 200, 3)
    stream[HEAD + 50 : HEAD + 150, 1] = 0.0
    rows, t_s = stream[HEAD:], _times(200)
    whole = _calibrated(stream).assess(rows, t_s, rows)
    single = _calibrated(stream)
    for i in range(200):
        single.update(rows[i], t_s[i], rows[i])
        assert single.evidence() == whole.evidence(i)
    assert whole.evidence(140).kind == "dropout"


def test_constant_channel_is_idle_and_never_alarms(correlated_noise: Noise) -> None:
    stream = correlated_noise(5, HEAD + 100, 2)
    stream[:, 1] = 0.1
    detector = _calibrated(stream)
    assert detector.idle_channels == ("c1",)
    stream[HEAD:, 1] = 50.0
    assert np.isfinite(detector.update_chunk(stream[HEAD:], _times(100))).all()
    assert detector.evidence().test_ratio < 1.0


def test_threshold_is_measured_only_when_the_head_is_long_enough(correlated_noise: Noise) -> None:
    stream = correlated_noise(6, HEAD, 1)
    often = Detector(["c"], RATE_HZ, false_alarms_per_hour=600.0)
    often.calibrate(stream)
    assert often.threshold_basis == "measured"
    assert _calibrated(stream).threshold_basis == "extrapolated"


def test_bad_settings_are_refused_with_what_to_do_instead(correlated_noise: Noise) -> None:
    with pytest.raises(BadInput, match="at least one"):
        Detector([], RATE_HZ)
    with pytest.raises(BadInput, match="rows per second"):
        Detector(["c"], 0.0)
    with pytest.raises(BadInput, match="positive number"):
        Detector(["c"], RATE_HZ, false_alarms_per_hour=0.0)
    with pytest.raises(BadInput, match="longer head"):
        Detector(["c"], RATE_HZ).calibrate(correlated_noise(7, 59, 1))
    with pytest.raises(BadInput, match="No channel varies"):
        Detector(["c"], RATE_HZ).calibrate(np.ones((500, 1)))
