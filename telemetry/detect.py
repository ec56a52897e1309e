"""`remend detect`: the streaming detector over a file of any length, one output row per input row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from core.ids import plain
from core.records import Event
from telemetry.autoregressive import AutoregressiveResidual
from telemetry.channels import declare, load_declaration
from telemetry.detector import Detector
from telemetry.events import Silence
from telemetry.health import HealthFinding, HealthMonitor
from telemetry.sources import CHUNK_ROWS, Chunk, Source, open_source, rate_of

Array = NDArray[np.float64]

HEAD_SHARE = 0.15  # chosen, as the data sets of the Numenta benchmark do
MIN_HEAD_ROWS = 100
MAX_HEAD_VALUES = 2_000_000  # of a head that nobody asked for: rows times channels; a fit needs some 100 bytes for each


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSize:
    """How much of the start counts as healthy: rows, or seconds of the source's clock."""

    rows: int | None = None
    seconds: float | None = None

    @staticmethod
    def parse(head: str | None, source: Source) -> HeadSize:
        """`head` is rows ("400") or seconds ("20s").

        Without it the head is 15 % of the rows, but at least 100 rows and at most two million values.

        Raises:
            BadInput: not a positive number of rows or seconds.
        """
        if head is None:
            most = max(MIN_HEAD_ROWS, MAX_HEAD_VALUES // len(source.channels))
            return HeadSize(rows=min(most, max(MIN_HEAD_ROWS, int(HEAD_SHARE * (source.count() or 0)))))
        text = head.strip().lower()
        try:
            if text.endswith("s") and float(text[:-1]) > 0.0:
                return HeadSize(seconds=float(text[:-1]))
            if not text.endswith("s") and int(text) > 0:
                return HeadSize(rows=int(text))
        except ValueError:
            pass
        raise BadInput(f"--head {head!r} is neither rows nor seconds; give rows such as 400 or seconds such as 20s.")

    def split(self, source: Source, chunks: Iterator[Chunk]) -> tuple[Chunk, Iterator[Chunk]]:
        """The head of a stream, whole, and what comes after it.

        Raises:
            BadInput: nothing comes after it.
        """
        taken: list[Chunk] = []
        rows, start_s = 0, np.nan
        for chunk in chunks:
            times = source.times(chunk)
            if np.isnan(start_s) and np.isfinite(times).any():
                start_s = float(times[np.isfinite(times)][0])
            if self.rows is not None:
                mine = self.rows - rows
            else:
                late = np.flatnonzero(times - start_s >= (self.seconds or 0.0))
                mine = int(late[0]) if late.size else len(chunk)
            taken.append(chunk[:mine])
            rows += min(mine, len(chunk))
            if mine < len(chunk):
                return Chunk.join(taken), _after(chunk[mine:], chunks)
        raise BadInput(
            f"{source.where}: {rows} rows, and the healthy head takes the first {rows}, so none are left to judge; "
            "give a longer recording or a shorter --head."
        )


class FileDetector:
    """The detector for a series of channels without a robot model, learnt from a head.

    Args:
        source: for names, roles and clock.
        head: (N, C) values of healthy rows, fit for statistics.
        head_s: (N,) their times [s].
        rate_fa: admissible false alarms per hour.

    Raises:
        BadInput: too short a head, or no measured channel varies in it.
    """

    def __init__(self, source: Source, head: Array, head_s: Array, rate_fa: float) -> None:
        self.rate_hz = rate_of(head_s)
        inputs = [channel.name for channel in source.channels if channel.is_input]
        self._model = AutoregressiveResidual(source.names, self.rate_hz, inputs)
        residuals = self._model.fit(head_s, head)
        self.watched = tuple(source.names[i] for i in self._model.watched)
        # Slow loggers need some rows, not half a second, before an alarm may be called over.
        dwell_s, merge_s, rearm_s = (max(s, n / self.rate_hz) for s, n in ((0.5, 5.0), (1.0, 10.0), (10.0, 20.0)))
        silence = Silence(dwell_s=dwell_s, merge_s=merge_s, rearm_s=rearm_s)
        self._detector = Detector(
            self._model.residual_channels, self.rate_hz, rate_fa, raw_channels=self.watched, silence=silence
        )
        self._detector.calibrate(residuals)
        self.ignored = tuple(dict.fromkeys(self._model.constant + self._detector.idle_channels))
        self.tracker = self._detector.tracker
        known = head_s[np.isfinite(head_s)]
        self._newest_s = float(known.max()) if known.size else 0.0

    def judge(self, values: Array, times_s: Array) -> tuple[Array, NDArray[np.bool_]]:
        """(N,) test ratio and (N,) alarm of the next rows; times that run back or are missing stand still."""
        forward = np.maximum.accumulate(np.where(np.isfinite(times_s), times_s, -np.inf))
        clock_s = np.maximum(forward, self._newest_s)
        self._newest_s = float(clock_s[-1])
        assessment = self._detector.watch(self._model.residuals(clock_s, values))
        return assessment.ratio, assessment.alarm

    @property
    def threshold_basis(self) -> str:
        """Whether the false-alarm rate is "measured" or "extrapolated" by now."""
        return self._detector.threshold_basis


def detect_file(
    path: Path,
    head: str | None,
    rate_fa: float,
    out: Path,
    events: Path | None = None,
    declaration: Path | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> DetectSummary:
    """Judge every row of a recording causally and write `t,score,alarm`; memory grows with the head alone.

    `score` is the test ratio (1 = alarm) and always finite; rows of the head, from which the detector learns, have 0.
    `alarm` is 1 while an event is open. Rows whose time runs back or is missing keep their place.

    Args:
        head: see `HeadSize.parse`.
        rate_fa: admissible false alarms per hour.
        events: JSON file for the events, if wanted.
        declaration: TOML file with roles, units and limits of channels; see `telemetry.channels`.
        chunk_rows: rows at a time; the result does not depend on it.

    Raises:
        BadInput: unreadable input, too short a head, nothing that varies, or no way to write the output.
    """
    if out.exists() and path.exists() and out.samefile(path):
        raise BadInput(f"{out}: the scores would overwrite the recording; give another path with --out.")
    source = open_source(path)
    if declaration is not None:
        source.channels = declare(source.channels, load_declaration(declaration), str(path))
    health = HealthMonitor(source.channels)
    start, rest = HeadSize.parse(head, source).split(source, source.chunks(chunk_rows))
    start_s = source.times(start)
    detector = FileDetector(source, health.update(start), start_s, rate_fa)
    largest = 0.0
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            file.write("t,score,alarm\n")
            _write(file, start_s, np.zeros(len(start)), np.zeros(len(start), dtype=np.bool_))
            for chunk in rest:
                times_s = source.times(chunk)
                score, alarm = detector.judge(health.update(chunk), times_s)
                largest = max(largest, float(score.max()))
                _write(file, times_s, score, alarm)
        if events is not None:
            tracker = detector.tracker
            found = [plain(event) | {"end_s": end} for event, end in zip(tracker.events, tracker.ends_s, strict=True)]
            events.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{error.filename}: cannot be written ({error.strerror}); give another path.") from error
    return DetectSummary(
        rows=health.rows,
        head_rows=len(start),
        rate_hz=detector.rate_hz,
        channels=detector.watched,
        ignored=detector.ignored,
        events=tuple(detector.tracker.events),
        largest_ratio=largest,
        threshold_basis=detector.threshold_basis,
        health=tuple(health.findings()),
        notes=source.notes,
    )


def _after(first: Chunk, others: Iterator[Chunk]) -> Iterator[Chunk]:
    yield first
    yield from others


def _write(file: TextIO, t_s: Array, score: Array, alarm: NDArray[np.bool_]) -> None:
    rows = zip(t_s.tolist(), score.tolist(), alarm.tolist(), strict=True)
    file.write("".join(f"{t!r},{s:.6g},{a:d}\n" for t, s, a in rows))
