"""`remend detect`: the streaming detector over a file, one output row per input row."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from core.ids import plain
from core.records import Event
from telemetry.autoregressive import AutoregressiveResidual
from telemetry.detector import Detector
from telemetry.events import EventTracker
from telemetry.health import HealthFinding, check_health
from telemetry.sources import Source, open_source

Array = NDArray[np.float64]

HEAD_SHARE = 0.15  # chosen, as the data sets of the Numenta benchmark do
MIN_HEAD_ROWS = 100
CHUNK_ROWS = 4096  # rows at a time; the result does not depend on it


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSummary:
    """What a run over a file found."""

    rows: int
    head_rows: int
    rate_hz: float
    channels: tuple[str, ...]  # measured channels that were watched
    ignored: tuple[str, ...]  # channels that the head could not calibrate
    events: tuple[Event, ...]
    largest_ratio: float
    threshold_basis: str  # "measured" or "extrapolated"
    health: tuple[HealthFinding, ...]
    notes: tuple[str, ...]


def head_rows(head: str | None, source: Source) -> int:
    """How many rows at the start count as healthy.

    `head` is rows ("400") or seconds ("20s"); without it the first 15 % of the file, but at least 100 rows.

    Raises:
        BadInput: not a positive number of rows or seconds, or nothing is left to judge after it.
    """
    n = source.t_s.size
    if head is None:
        rows = max(MIN_HEAD_ROWS, int(HEAD_SHARE * n))
    else:
        text = head.strip().lower()
        try:
            if text.endswith("s"):
                seconds = float(text[:-1])
                late = np.flatnonzero(source.t_s - source.t_s[0] >= seconds)
                rows = int(late[0]) if late.size else n
                wrong = not seconds > 0.0
            else:
                rows = int(text)
                wrong = rows <= 0
        except ValueError:
            wrong, rows = True, 0
        if wrong:
            raise BadInput(
                f"--head {head!r} is neither rows nor seconds; give rows such as 400 or seconds such as 20s."
            )
    if rows >= n:
        raise BadInput(
            f"{source.path}: {n} rows, and the healthy head takes the first {rows}, so none are left to judge; "
            "give a longer recording or a shorter --head."
        )
    return rows


def detect_file(path: Path, head: str | None, rate_fa: float, out: Path, events: Path | None = None) -> DetectSummary:
    """Judge every row of a recording causally and write `t,score,alarm`.

    `score` is the test ratio (1 = alarm) and always finite; rows of the head, from which the detector learns, have 0.
    `alarm` is 1 while an event is open. Rows whose time runs back keep their place.

    Args:
        head: see `head_rows`.
        rate_fa: admissible false alarms per hour.
        events: JSON file for the events, if wanted.

    Raises:
        BadInput: unreadable input, too short a head, nothing that varies, or no way to write the output.
    """
    source = open_source(path)
    count = head_rows(head, source)
    rate_hz = source.rate_hz
    model = AutoregressiveResidual(source.channels, rate_hz)
    residuals = model.fit(source.values[:count])
    measured = [i for i, name in enumerate(source.channels) if f"{name}.step" in model.residual_channels]
    watched = tuple(source.channels[i] for i in measured)
    detector = Detector(model.residual_channels, rate_hz, rate_fa, raw_channel_names=watched)
    detector.calibrate(residuals, source.values[:count][:, measured])
    # Slow loggers need some rows, not half a second, before an alarm may be called over.
    tracker = EventTracker(
        dwell_s=max(0.5, 5.0 / rate_hz), merge_s=max(1.0, 10.0 / rate_hz), rearm_s=max(10.0, 20.0 / rate_hz)
    )
    clock_s = _forward(source.t_s)
    score, alarm = np.zeros(source.t_s.size), np.zeros(source.t_s.size, dtype=np.bool_)
    for start in range(count, source.t_s.size, CHUNK_ROWS):
        chunk = slice(start, start + CHUNK_ROWS)
        rows = source.values[chunk]
        assessment = detector.assess(model.residuals(rows), clock_s[chunk], rows[:, measured])
        score[chunk] = assessment.ratio
        alarm[chunk] = tracker.update_chunk(assessment)
    summary = DetectSummary(
        rows=source.t_s.size,
        head_rows=count,
        rate_hz=rate_hz,
        channels=watched,
        ignored=tuple(dict.fromkeys(model.constant + detector.idle_channels)),
        events=tuple(tracker.events),
        largest_ratio=float(score.max()),
        threshold_basis=detector.threshold_basis,
        health=tuple(check_health(source.t_s, source.values, source.channels)),
        notes=source.notes,
    )
    try:
        _write_scores(out, source.t_s, score, alarm)
        if events is not None:
            found = [plain(event) | {"end_s": end} for event, end in zip(tracker.events, tracker.ends_s, strict=True)]
            events.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{error.filename}: cannot be written ({error.strerror}); give another path.") from error
    return summary


def _forward(t_s: Array) -> Array:
    """Times that never run back and are never missing, for onset and dwell."""
    filled = np.where(np.isfinite(t_s), t_s, -np.inf)
    forward: Array = np.maximum.accumulate(filled)
    return np.where(np.isfinite(forward), forward, 0.0)


def _write_scores(out: Path, t_s: Array, score: Array, alarm: NDArray[np.bool_]) -> None:
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("t", "score", "alarm"))
        for t, s, a in zip(t_s.tolist(), score.tolist(), alarm.tolist(), strict=True):
            writer.writerow((repr(t), f"{s:.6g}", int(a)))
