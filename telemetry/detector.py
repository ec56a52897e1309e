"""The streaming detector: residuals in, one test ratio out (1 = alarm), calibrated on the stream's healthy head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import BadInput
from telemetry import kernels
from telemetry.baseline import Baseline, learn_baseline, learn_run_lengths

Array = NDArray[np.float64]

VERSION = "cusum_bank@1"
CLIP = 5.0  # sigma; chosen: beyond it a spike says no more, and one spike is no shift
LEAKS = np.array([0.9, 0.98, 0.998])  # memories of 10, 50 and 500 rows; chosen: shifts of about 2, 1 and 0.3 sigma
CEILING = 3.0  # chosen: levels stop at 3 thresholds, so that an alarm ends soon after its fault does
_KINDS = ("bias", "bias", "noise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for an alarm in one row. In the row of the alarm itself `kind` is a first guess: a few rows of loud
    noise can look like a shift, and some tenths of a second later they no longer do."""

    channel: str  # the channel with the largest test ratio
    kind: str  # "bias", "noise", "freeze" or "dropout"
    onset_s: float  # last time at which the winning statistic was zero
    test_ratio: float
    ranking: tuple[tuple[str, float], ...]  # (channel, test ratio), strongest first, at most 10, none below 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The detector's answer to a chunk of N rows; J = residual channels plus raw channels."""

    t_s: Array  # (N,)
    ratio: Array  # (N,) largest test ratio over all channels
    channels: tuple[str, ...]  # (J,) names
    channel_ratio: Array  # (N, J)
    onset_s: Array  # (N, J)
    winner: NDArray[np.int64]  # (N, J) 3 * leak + statistic for residual channels
    at_zero: NDArray[np.bool_]  # (N, R) raw channels whose last value is exactly zero

    def evidence(self, row: int) -> Evidence:
        """Why row `row` has its test ratio."""
        ratios = self.channel_ratio[row]
        order = np.argsort(-ratios, kind="stable")
        top = int(order[0])
        residual_channels = self.winner.shape[1]
        if top < residual_channels:
            kind = _KINDS[int(self.winner[row, top]) % kernels.STATISTICS]
        else:
            kind = "dropout" if self.at_zero[row, top - residual_channels] else "freeze"
        return Evidence(
            channel=self.channels[top],
            kind=kind,
            onset_s=float(self.onset_s[row, top]),
            test_ratio=float(self.ratio[row]),
            ranking=tuple((self.channels[j], float(ratios[j])) for j in order[:10] if ratios[j] >= 0.1),
        )


class Detector:
    """A bank of leaky CUSUMs over residual channels, and run lengths over raw channels.

    Per residual channel: rise, fall and noise, each at three memories. Thresholds are set by `calibrate` so that the
    union of all statistics alarms at most `false_alarms_per_hour` on telemetry like the head (Bonferroni over the
    statistics). Raw channels, where given, are watched for values that repeat to the last bit. A missing value (NaN) is
    never zero: its statistics hold still and `missing` counts it. Nothing adapts after calibration, so a slow fault
    cannot be learnt.

    Source: Page 1954, Continuous inspection schemes. The leak bounds what an ill-known mean can add up to, which an
    unbounded CUSUM does not survive on real telemetry.
    """

    def __init__(
        self,
        residual_channel_names: Sequence[str],
        rate_hz: float,
        false_alarms_per_hour: float = 0.1,
        raw_channel_names: Sequence[str] = (),
        smallest_shift: ArrayLike | None = None,
    ) -> None:
        """A detector for rows at `rate_hz`; it must be calibrated before its first update.

        `smallest_shift` (C,), in the residuals' unit, is the shift of a mean from which on an alarm is wanted.

        Raises:
            BadInput: no channels, or a rate that is not a positive number.
        """
        if not residual_channel_names:
            raise BadInput("The detector has no residual channels to watch; give it at least one numeric channel.")
        if not (np.isfinite(rate_hz) and rate_hz > 0.0):
            raise BadInput(f"A rate of {rate_hz} Hz is not a sampling rate; give a positive number of rows per second.")
        if not (np.isfinite(false_alarms_per_hour) and false_alarms_per_hour > 0.0):
            raise BadInput(
                f"{false_alarms_per_hour} false alarms per hour cannot be kept; give a positive number such as 0.1."
            )
        self.residual_channel_names = tuple(residual_channel_names)
        self.raw_channel_names = tuple(raw_channel_names)
        self.rate_hz = float(rate_hz)
        self.false_alarms_per_hour = float(false_alarms_per_hour)
        self._smallest_shift = None if smallest_shift is None else np.asarray(smallest_shift, dtype=np.float64)
        self.threshold_basis = ""  # "measured" or "extrapolated" once calibrated
        self._last: Assessment | None = None
        self._baseline: Baseline | None = None
        self._reset()

    @property
    def statistics(self) -> int:
        """How many statistics share the false-alarm rate."""
        return len(self.residual_channel_names) * LEAKS.size * kernels.STATISTICS + len(self.raw_channel_names)

    @property
    def missing(self) -> dict[str, int]:
        """Rows without a finite value since calibration, by residual channel; channels without a miss are left out."""
        return {
            name: int(count) for name, count in zip(self.residual_channel_names, self._missing, strict=True) if count
        }

    @property
    def idle_channels(self) -> tuple[str, ...]:
        """Channels that the head could not calibrate (constant or mostly missing); they never alarm."""
        base = self._calibrated()
        return tuple(name for name, s in zip(self.residual_channel_names, base.inverse_scale, strict=True) if s <= 0.0)

    def calibrate(self, head_residuals: ArrayLike, head_raw: ArrayLike | None = None) -> None:
        """Learn location, scale and thresholds from healthy rows, and start over.

        Args:
            head_residuals: (N, C) out-of-sample residuals of healthy rows, in order; NaN = missing.
            head_raw: (N, R) the measurements themselves, when raw channels were named.

        Raises:
            BadInput: the head is too short or no channel moves in it.
        """
        head = _matrix(head_residuals, len(self.residual_channel_names))
        rate_per_row = self.false_alarms_per_hour / 3600.0 / self.rate_hz / self.statistics
        self._baseline = learn_baseline(head, LEAKS, CLIP, rate_per_row, self._smallest_shift)
        raw = _matrix(np.zeros((0, 0)) if head_raw is None else head_raw, len(self.raw_channel_names))
        self._run_threshold = learn_run_lengths(raw, rate_per_row, self.rate_hz)
        held_out_h = (head.shape[0] / 2) / self.rate_hz / 3600.0
        self.threshold_basis = "measured" if held_out_h * self.false_alarms_per_hour >= 1.0 else "extrapolated"
        self._reset()

    def update(self, residual_row: ArrayLike, t_s: float, raw_row: ArrayLike | None = None) -> float:
        """Take a row of C residuals (and R raw values) at `t_s` [s, robot clock]; return the test ratio, 1 = alarm."""
        row = np.asarray(residual_row, dtype=np.float64).reshape(1, -1)
        raw = None if raw_row is None else np.asarray(raw_row, dtype=np.float64).reshape(1, -1)
        return float(self.assess(row, np.array([t_s], dtype=np.float64), raw).ratio[0])

    def update_chunk(self, rows: ArrayLike, t_s: ArrayLike, raw: ArrayLike | None = None) -> Array:
        """`update` for (N, C) rows at (N,) times; the (N,) test ratios are those of row by row, bit for bit."""
        return self.assess(rows, t_s, raw).ratio

    def assess(self, rows: ArrayLike, t_s: ArrayLike, raw: ArrayLike | None = None) -> Assessment:
        """`update_chunk` with everything an event needs beside the test ratio."""
        base = self._calibrated()
        residuals = _matrix(rows, len(self.residual_channel_names))
        times = np.ascontiguousarray(t_s, dtype=np.float64)
        n, c, r = residuals.shape[0], residuals.shape[1], len(self.raw_channel_names)
        if times.shape != (n,):
            raise ValueError(f"{n} rows need {n} times, not an array of shape {times.shape}")
        if n and not self._started[0]:
            self._zero_s[:] = times[0]
            self._run_start_s[:] = times[0]
            self._started[0] = 1
        ratio = np.empty((n, c))
        onset_s = np.empty((n, c))
        winner = np.empty((n, c), dtype=np.int64)
        at_zero = np.zeros((n, r), dtype=np.bool_)
        kernels.advance_bank(
            residuals,
            times,
            base.location,
            base.inverse_scale,
            base.power,
            base.power_spread,
            base.slack,
            LEAKS,
            base.threshold,
            CLIP,
            CEILING,
            self._level,
            self._zero_s,
            self._recent,
            self._missing,
            ratio,
            winner,
            onset_s,
        )
        if r and raw is not None:
            values = _matrix(raw, r)
            if values.shape[0] != n:
                raise ValueError(f"{n} residual rows came with {values.shape[0]} raw rows")
            run_ratio, run_onset_s = np.empty((n, r)), np.empty((n, r))
            kernels.advance_runs(
                values,
                times,
                self._run_threshold,
                CEILING,
                self._run_last,
                self._run,
                self._run_start_s,
                run_ratio,
                run_onset_s,
                at_zero,
            )
            ratio, onset_s = np.hstack((ratio, run_ratio)), np.hstack((onset_s, run_onset_s))
        self._last = Assessment(
            t_s=times,
            ratio=ratio.max(axis=1),
            channels=self.residual_channel_names + self.raw_channel_names,
            channel_ratio=ratio,
            onset_s=onset_s,
            winner=winner,
            at_zero=at_zero,
        )
        return self._last

    def evidence(self) -> Evidence:
        """Why the last row has its test ratio."""
        if self._last is None or self._last.ratio.size == 0:
            raise ValueError("no row has been assessed yet")
        return self._last.evidence(-1)

    def state(self) -> dict[str, Array | NDArray[np.int64]]:
        """Everything a restarted detector of the same channels needs, as named arrays (for `numpy.savez`)."""
        base = self._calibrated()
        arrays = {name: np.array(value) for name, value in self._arrays().items()}
        return arrays | base.arrays() | {"measured": np.array([int(self.threshold_basis == "measured")])}

    def restore(self, state: dict[str, Array | NDArray[np.int64]]) -> None:
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
        self.threshold_basis = "measured" if int(state["measured"][0]) else "extrapolated"
        self._last = None

    def _arrays(self) -> dict[str, Array | NDArray[np.int64]]:
        return {
            "level": self._level,
            "zero_s": self._zero_s,
            "recent": self._recent,
            "missing": self._missing,
            "run": self._run,
            "run_last": self._run_last,
            "run_start_s": self._run_start_s,
            "run_threshold": self._run_threshold,
            "started": self._started,
        }

    def _reset(self) -> None:
        channels, raw = len(self.residual_channel_names), len(self.raw_channel_names)
        self._level = np.zeros((channels, LEAKS.size, kernels.STATISTICS))
        self._zero_s = np.zeros_like(self._level)
        self._recent = np.zeros((channels, 2))
        self._missing = np.zeros(channels, dtype=np.int64)
        self._run = np.zeros(raw)
        self._run_last = np.full(raw, np.nan)
        self._run_start_s = np.zeros(raw)
        if self._baseline is None:
            self._run_threshold = np.full(raw, np.inf)
        self._started = np.zeros(1, dtype=np.int64)
        self._last = None

    def _calibrated(self) -> Baseline:
        if self._baseline is None:
            raise ValueError("calibrate the detector on a healthy head before its first row")
        return self._baseline


def _matrix(rows: ArrayLike, channels: int) -> Array:
    """`rows` as a contiguous (N, channels) array."""
    matrix = np.ascontiguousarray(rows, dtype=np.float64)
    if channels == 0:
        return np.zeros((matrix.shape[0], 0))
    if matrix.ndim != 2 or matrix.shape[1] != channels:
        raise ValueError(f"rows have shape {matrix.shape}, the detector has {channels} channels")
    return matrix
