"""The streaming detector: residuals in, one test ratio out (1 = alarm), calibrated on the stream's healthy head."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import BadInput
from core.records import Event
from telemetry import score_kernels as scores
from telemetry.alarm_rate import BLOCK_S, AlarmRate
from telemetry.assessment import Assessment
from telemetry.bank import CEILING, Bank
from telemetry.baseline import Baseline
from telemetry.baseline_fit import learn_baseline, moved_baseline
from telemetry.events import USUAL, EventTracker, Silence
from telemetry.evidence import Evidence, Witness
from telemetry.explanation import Explanation
from telemetry.repeats import RepeatRatios, Repeats
from telemetry.residuals import Residuals

Array = NDArray[np.float64]

VERSION = "score_bank@2"


class Detector:
    """A bank of score tests over residual channels, and run lengths over raw channels.

    Each residual is multiplied by what each kind of change would do to it (bias: 1, gain: the expectation, delay: its
    change, friction: the direction of motion, oscillation: the residual before, noise: itself), and the products are
    summed in leaky CUSUMs of three memories. Thresholds follow from the head's autocorrelation and kurtosis for a share
    of the false-alarm rate each; `AlarmRate` then learns what healthy telemetry really reaches. Raw channels, where
    given, are watched for values that repeat to the last bit. A missing value (NaN) is never zero: its statistics hold
    still and `missing` counts it. Places and scales change after `calibrate` only by `restart`, so a slow fault cannot
    be learnt.

    Args:
        residual_channels: names of the C residual channels.
        rate_hz: rows per second.
        false_alarms_per_hour: what the user puts up with.
        raw_channels: names of the R raw channels.
        smallest_shift: (C,) shift of a residual's mean, in its unit, from which on an alarm is wanted.
        silence: how events are separated.
        increments: residual channels that are increments of a reading, so that a jump in one is an offset.

    Raises:
        BadInput: no channels, or a rate that is not a positive number.

    Source: Basseville, Nikiforov 1993, Detection of Abrupt Changes, ch. 4 (local approach) and Page 1954.
    """

    def __init__(
        self,
        residual_channels: Sequence[str],
        rate_hz: float,
        false_alarms_per_hour: float = 0.1,
        raw_channels: Sequence[str] = (),
        smallest_shift: ArrayLike | None = None,
        silence: Silence = USUAL,
        increments: Sequence[str] = (),
    ) -> None:
        if not residual_channels:
            raise BadInput("The detector has no residual channels to watch; give it at least one numeric channel.")
        if not (np.isfinite(rate_hz) and rate_hz > 0.0):
            raise BadInput(f"A rate of {rate_hz} Hz is not a sampling rate; give a positive number of rows per second.")
        if not (np.isfinite(false_alarms_per_hour) and false_alarms_per_hour > 0.0):
            raise BadInput(
                f"{false_alarms_per_hour} false alarms per hour cannot be kept; give a positive number such as 0.1."
            )
        self.residual_channels, self.raw_channels = tuple(residual_channels), tuple(raw_channels)
        self.rate_hz = float(rate_hz)
        self._increments = np.isin(self.residual_channels, increments)
        self._smallest_shift = None if smallest_shift is None else np.asarray(smallest_shift, dtype=np.float64)
        self.alarm_rate = AlarmRate(false_alarms_per_hour)
        self.tracker = EventTracker(silence.dwell_s, silence.merge_s, silence.rearm_s, VERSION)
        self._block_rows = max(1, round(BLOCK_S * self.rate_hz))
        self._baseline: Baseline | None = None
        self._explanation = Explanation(len(self.residual_channels))
        self._repeats = Repeats(self.raw_channels, CEILING)
        self._in_block, self._block_alarm, self._alarm_max, self._judged = 0, False, 0.0, 0
        self._reset()

    @property
    def statistics(self) -> int:
        """How many statistics share the false-alarm rate."""
        sides = scores.TESTS * scores.SIDES - 1
        return len(self.residual_channels) * len(scores.LEAKS) * sides + 2 * len(self.raw_channels)

    @property
    def threshold_basis(self) -> str:
        """Whether the false-alarm rate is "measured" or "extrapolated"."""
        return self.alarm_rate.basis

    @property
    def missing(self) -> dict[str, int]:
        """Rows without a finite value since calibration, by residual channel; channels without a miss are left out."""
        counts = zip(self.residual_channels, self._bank.missing.tolist(), strict=True)
        return {name: int(count) for name, count in counts if count}

    @property
    def idle_channels(self) -> tuple[str, ...]:
        """Channels that the head could not calibrate (constant or mostly missing); they never alarm."""
        scale = self._calibrated().inverse_scale
        return tuple(name for name, s in zip(self.residual_channels, scale, strict=True) if s <= 0.0)

    def calibrate(self, head: Residuals) -> None:
        """Learn scales and thresholds from healthy rows, and start over.

        Args:
            head: out-of-sample residuals of healthy rows, in order, with readings of the raw channels.

        Raises:
            BadInput: the head is too short or no channel moves in it.
        """
        rate_per_row = self.alarm_rate.per_hour / 3600.0 / self.rate_hz / self.statistics
        self._baseline = learn_baseline(head, rate_per_row, self._smallest_shift)
        self._repeats.learn(head.readings, rate_per_row, self.rate_hz)
        self._reset()
        found, n, at = self._room(head), len(head), 0
        while at < n:
            level = self.alarm_rate.level
            at = self._bank.advance(head, np.zeros(n), self._baseline, level, at, n, (np.inf, np.inf), found)
        strongest = found.strongest
        whole = len(strongest) // self._block_rows
        self.alarm_rate = AlarmRate(self.alarm_rate.per_hour)
        if whole:
            self.alarm_rate.learn(strongest[: whole * self._block_rows].reshape(whole, -1).max(axis=1))
        elif len(strongest):
            self.alarm_rate.learn(strongest.max(keepdims=True))
        self._reset()

    def watch(self, rows: Residuals) -> Assessment:
        """Take rows in order; events open and close in `tracker`. A chunk has the bits of row by row."""
        base, found, repeats = self._calibrated(), self._room(rows), self._repeats.advance(rows.t_s, rows.readings)
        at = 0
        while at < len(rows):
            until, stop = self.tracker.until, min(len(rows), at + self._block_rows - self._in_block)
            stop = self._bank.advance(rows, repeats.largest, base, self.alarm_rate.level, at, stop, until, found)
            self._explanation.advance(rows, at, stop, base, self._bank.reached)
            if self.tracker.open or found.ratio[stop - 1] >= until[0]:
                piece, evidence = slice(at, stop), partial(self._evidence, rows, repeats, at, stop)
                self.tracker.update_rows(found.t_s[piece], found.ratio[piece], found.alarm[piece], evidence)
                self._block_alarm = self._block_alarm or bool(found.alarm[piece].any())
            self._in_block += stop - at
            if self._in_block == self._block_rows:
                self._end_block()
            at = stop
        return found

    def restart(self, normal: Residuals) -> None:
        """Start over after a change that is normal from now on; what the head taught stays, but for place and scale.

        Args:
            normal: residuals since that change. Louder ones raise a channel's scale, none lowers it.
        """
        self._baseline = moved_baseline(self._calibrated(), normal)
        self.alarm_rate.changed()
        self.tracker.clear()
        self._reset()

    def confirm(self) -> None:
        """The last event was a fault: it says nothing about how often healthy telemetry alarms."""
        self._judged = len(self.tracker.events)

    def _end_block(self) -> None:
        """Let the alarm rate learn from a block that is over, unless an alarm was open in it."""
        largest = self._bank.largest
        if not self._block_alarm:
            self.alarm_rate.learn(np.array([largest]))
        if not self.tracker.open:
            for _ in range(self._judged, len(self.tracker.events)):
                self.alarm_rate.passed(max(self._alarm_max, largest))
            self._judged = len(self.tracker.events)
        self._alarm_max = max(self._alarm_max, largest) if self.tracker.open else 0.0
        self._in_block, self._block_alarm = 0, self.tracker.open
        self._bank.forget_largest()

    def _room(self, rows: Residuals) -> Assessment:
        """For what is found in `rows`."""
        if rows.value.shape[1] != len(self.residual_channels):
            raise ValueError(f"residuals of {rows.value.shape[1]} channels, there are {len(self.residual_channels)}")
        n = len(rows)
        return Assessment(t_s=rows.t_s, ratio=np.empty(n), strongest=np.empty(n), alarm=np.zeros(n, dtype=np.bool_))

    def _evidence(
        self, rows: Residuals, repeats: RepeatRatios, start: int, stop: int, opened: Event | None
    ) -> Evidence:
        """Of the row before `stop`, at which the state stands."""
        witness = Witness(
            channels=self.residual_channels + self.raw_channels,
            increments=self._increments,
            rate_hz=self.rate_hz,
            t_s=float(rows.t_s[stop - 1]),
            level=self.alarm_rate.level,
            baseline=self._calibrated(),
            bank=self._bank,
            reached=self._bank.reached[stop - 1 - start],
            explanation=self._explanation,
            repeats=repeats,
            row=stop - 1,
        )
        return witness.evidence(opened)

    def state(self) -> dict[str, Array]:
        """Everything a restarted detector of the same channels needs, as named arrays (for `numpy.savez`)."""
        base = self._calibrated()
        arrays = {name: np.array(value, dtype=np.float64) for name, value in self._arrays().items()}
        counters = np.array([self._in_block, self._block_alarm, self._judged, self._alarm_max], dtype=np.float64)
        return arrays | base.arrays() | self.alarm_rate.arrays() | self.tracker.arrays() | {"counters": counters}

    def restore(self, state: dict[str, Array]) -> None:
        """Continue from `state()`, bit for bit.

        Raises:
            BadInput: the state belongs to a detector with other channels.
        """
        own = self._arrays()
        if any(name not in state or np.shape(state[name]) != value.shape for name, value in own.items()):
            raise BadInput("The saved detector state belongs to other channels; calibrate on a healthy head instead.")
        self._baseline = Baseline.from_arrays(state)
        for name, value in own.items():
            value[:] = state[name]
        self.alarm_rate = AlarmRate.from_arrays(state)
        self.tracker.restore(state)
        in_block, alarm, judged, self._alarm_max = state["counters"].tolist()
        self._in_block, self._block_alarm, self._judged = int(in_block), bool(alarm), int(judged)

    def _arrays(self) -> dict[str, Array]:
        return self._bank.arrays() | self._explanation.arrays() | self._repeats.arrays()

    def _reset(self) -> None:
        self._bank = Bank(len(self.residual_channels))
        self._explanation.reset()
        self._repeats.reset()
        self._in_block, self._block_alarm, self._alarm_max = 0, False, 0.0
        self._judged = len(self.tracker.events)

    def _calibrated(self) -> Baseline:
        if self._baseline is None:
            raise ValueError("calibrate the detector on a healthy head before its first row")
        return self._baseline
