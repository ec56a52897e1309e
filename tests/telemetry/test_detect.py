"""`detect_file`: one output row per input row, quiet when healthy, one event per fault, clear refusals."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import BadInput
from telemetry import detect
from telemetry.detect import DetectSummary, HeadSize, detect_file
from telemetry.health import HealthKind
from telemetry.sources import open_source

Array = NDArray[np.float64]
Stream = Callable[..., Array]
RATE_HZ = 100.0
JOINT = "command,position,velocity,current"


def _write(path: Path, values: Array, names: str, t_s: Array | None = None) -> Path:
    times = np.arange(values.shape[0]) / RATE_HZ if t_s is None else t_s
    table = np.column_stack([times, values])
    np.savetxt(path, table, delimiter=",", header=f"t,{names}", comments="", fmt="%.12g")
    return path


def _run(
    tmp_path: Path, values: Array, names: str, head: str | None, t_s: Array | None = None
) -> tuple[DetectSummary, Array]:
    path = _write(tmp_path / "in.csv", values, names, t_s)
    summary = detect_file(path, head, 0.1, tmp_path / "out.csv", tmp_path / "events.json")
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        table = list(csv.reader(file))
    assert table[0] == ["t", "score", "alarm"]
    return summary, np.array(table[1:], dtype=np.float64)


def _head(tmp_path: Path, head: str | None, rows: int, rate_hz: float = 10.0) -> int:
    """How many rows of a file the head takes."""
    path = tmp_path / "head.csv"
    np.savetxt(path, np.column_stack([5.0 + np.arange(rows) / rate_hz] * 2), delimiter=",", header="t,a", comments="")
    source = open_source(path)
    start, rest = HeadSize.parse(head, source).split(source, source.chunks(64))
    assert len(start) + sum(len(chunk) for chunk in rest) == rows
    return len(start)


def test_head_is_rows_or_seconds_or_fifteen_percent_but_a_hundred_rows(tmp_path: Path) -> None:
    assert _head(tmp_path, "400", 1000) == 400
    assert _head(tmp_path, "20s", 1000) == 200
    assert _head(tmp_path, " 2.5S ", 1000) == 25
    assert _head(tmp_path, None, 1000) == 150
    assert _head(tmp_path, None, 300) == 100
    for bad in ("0", "-3", "0s", "nans", "soon", "4.5", ""):
        with pytest.raises(BadInput, match="neither rows nor seconds"):
            _head(tmp_path, bad, 1000)
    for head, rows in ((None, 100), ("1000", 1000), ("100s", 1000)):
        with pytest.raises(BadInput, match="none are left to judge"):
            _head(tmp_path, head, rows)


def test_head_that_nobody_asked_for_stays_small_enough_for_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "MAX_HEAD_VALUES", 120)
    assert _head(tmp_path, None, 1000) == 120
    assert _head(tmp_path, "400", 1000) == 400


def test_healthy_robot_raises_no_event_and_every_row_has_a_finite_score(tmp_path: Path, moving_joint: Stream) -> None:
    for seed in range(3):
        summary, table = _run(tmp_path, moving_joint(seed, 34_000, RATE_HZ, 10**9), JOINT, "40s")
        assert summary.events == ()
        assert summary.largest_ratio < 1.0
        assert table.shape == (34_000, 3)
        assert np.isfinite(table).all()
        assert not table[:4000, 1:].any()
        assert table[4000:, 1].any()
        assert summary.threshold_basis == "extrapolated"


@pytest.mark.parametrize("fault", ["gain", "friction", "bias", "freeze", "noise"])
def test_fault_of_a_moving_joint_is_one_event_within_a_second_or_so(
    tmp_path: Path, moving_joint: Stream, fault: str
) -> None:
    for seed in range(3):
        start = 7000 + 37 * seed
        severity = {"gain": {"gain": 0.6}, "friction": {"friction": 1.0}}.get(fault, {})
        values = moving_joint(20 + seed, 8500, RATE_HZ, start, **severity)
        match fault:
            case "bias":
                values[start:, 1] += 0.02
            case "freeze":
                values[start:, 1] = values[start, 1]
            case "noise":
                values[start:, 2] += np.random.default_rng(seed).normal(0.0, 0.03, 8500 - start)
        summary, table = _run(tmp_path, values, JOINT, "60s")
        assert not table[:start, 2].any()
        (event,) = summary.events
        assert 0.0 <= event.alarm_s - start / RATE_HZ < 1.5
        assert abs(event.onset_s - start / RATE_HZ) < 1.5
        first = int(np.argmax(table[:, 2]))
        assert table[first, 0] == pytest.approx(event.alarm_s)
        assert table[first, 1] >= 1.0
        saved = json.loads((tmp_path / "events.json").read_text())
        assert [(e["channel"], e["alarm_s"]) for e in saved] == [(event.channel, event.alarm_s)]


def test_result_does_not_depend_on_the_chunk(tmp_path: Path, moving_joint: Stream) -> None:
    values = moving_joint(30, 3000, RATE_HZ, 2200, gain=0.5)
    values[100:120, 2] = np.inf
    values[1800:1850, 3] = np.nan
    path = _write(tmp_path / "in.csv", values, JOINT)
    found = []
    for chunk_rows in (4096, 7, 1):
        summary = detect_file(path, "1500", 0.1, tmp_path / "out.csv", chunk_rows=chunk_rows)
        found.append((summary, (tmp_path / "out.csv").read_bytes()))
    assert found[0] == found[1] == found[2]
    assert found[0][0].events
    assert {HealthKind.INFINITE, HealthKind.MISSING} <= {finding.kind for finding in found[0][0].health}


def test_scores_are_causal(tmp_path: Path, moving_joint: Stream) -> None:
    values = moving_joint(31, 3000, RATE_HZ, 10**9)
    _, full = _run(tmp_path, values, JOINT, "1000")
    changed = values.copy()
    changed[2000:] += 5.0
    _, later = _run(tmp_path, changed, JOINT, "1000")
    assert full[:2000].tobytes() == later[:2000].tobytes()
    assert later[2100, 2] == 1.0


def test_missing_cells_irregular_and_backward_time_keep_one_row_each(tmp_path: Path, correlated_noise: Stream) -> None:
    values = correlated_noise(32, 4000, 3, 0.5)
    rng = np.random.default_rng(0)
    values[rng.random(values.shape) < 0.05] = np.nan
    values[3000:3300] = np.nan
    t_s = np.cumsum(rng.uniform(0.005, 0.015, 4000))
    t_s[2500] = t_s[2400]
    summary, table = _run(tmp_path, values, "a,b,c", "1500", t_s)
    assert table.shape == (4000, 3)
    assert table[:, 0] == pytest.approx(t_s)
    assert np.isfinite(table).all()
    assert summary.events == ()
    assert np.all(table[3000:3300, 1] == table[2999, 1])  # held, neither raised nor let down by zeros
    assert {HealthKind.MISSING, HealthKind.OUT_OF_ORDER} <= {finding.kind for finding in summary.health}


def test_useless_files_are_refused_in_one_sentence(tmp_path: Path, correlated_noise: Stream) -> None:
    noise = correlated_noise(33, 300, 2)
    for values, head, match in (
        (noise, "30", "longer head"),
        (noise[:50], None, "none are left to judge"),
        (np.ones((300, 2)), None, "robot moves"),
    ):
        with pytest.raises(BadInput, match=match):
            _run(tmp_path, values, "a,b", head)
    path = _write(tmp_path / "ok.csv", noise, "a,b")
    with pytest.raises(BadInput, match="cannot be written"):
        detect_file(path, None, 0.1, tmp_path / "absent" / "out.csv")
    with pytest.raises(BadInput, match="overwrite the recording"):
        detect_file(path, None, 0.1, path)
    with pytest.raises(BadInput, match="positive number"):
        detect_file(path, None, 0.0, tmp_path / "out.csv")
