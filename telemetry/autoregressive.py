"""Residuals for telemetry without a robot model: every channel predicted from its past, and from the other channels.

Two residuals per channel, because each is blind where the other sees. One step ahead (own lags, the others' lags,
commands now) sees what is sudden (noise, spikes, lost damping), but a lasting bias enters its own lags and vanishes.
Redundancy (commands and the other channels, no own lags) sees bias, friction and gain for as long as they last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from telemetry import predictor_kernels as kernels
from telemetry.residuals import Residuals
from telemetry.ridge import RidgeFolds

Array = NDArray[np.float64]

DECAYS_S = (
    0.02,
    0.08,
    0.32,
)  # chosen: smoothed commands stand for a drive's lag, as a Laguerre basis does (Wahlberg 1991)
BOUND = 8.0  # standard deviations; a broken sensor must not throw the predictions of healthy ones further than this
MIN_ROWS = 60  # as telemetry.baseline_fit
_COMMAND = re.compile(
    r"(^|[^a-z])(cmd|command|commanded|ref|reference|setpoint|desired|target|input|u)([^a-z]|$)", re.I
)


def command_columns(names: Sequence[str]) -> tuple[int, ...]:
    """Columns whose name says that they are commands: cmd, command, ref, setpoint, desired, target, input, u."""
    return tuple(i for i, name in enumerate(names) if _COMMAND.search(name))


class AutoregressiveResidual:
    """Linear predictors with ridge weights, fitted to the head and then frozen; a `ResidualModel`.

    Residual channels are "NAME.step" and "NAME.redundancy" for every channel that is no command and varies in the
    head. Predictors are clipped to 8 standard deviations of the head. A missing value lends its last one to the
    predictions of the others. Channels that are constant in the head have no residuals, and are listed in `constant`.
    """

    def __init__(self, channels: Sequence[str], rate_hz: float, commands: Iterable[str] | None = None) -> None:
        """Predictors for `channels`, R names in column order; `commands` defaults to what the names say."""
        self.channels = tuple(channels)
        wanted = {self.channels[i] for i in command_columns(self.channels)} if commands is None else set(commands)
        self.commands = tuple(name for name in self.channels if name in wanted)
        self.constant: tuple[str, ...] = ()
        self._rate_hz = rate_hz
        self._decays = np.exp(-1.0 / (rate_hz * np.array(DECAYS_S)))
        self._command_columns = np.array([self.channels.index(name) for name in self.commands], dtype=np.int64)
        self._count = 1 + 3 * len(self.channels) + len(self.commands) * len(DECAYS_S)  # of features
        self._size = -(-self._count // kernels.STRIDE) * kernels.STRIDE  # with the zeros that follow them
        self.watched: NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # (W,) columns with residuals; known after `fit`
        self._centre = np.zeros(len(self.channels))
        self._inverse_spread = np.zeros(len(self.channels))
        self._weights = np.zeros((self._size, 0))
        self._last = np.zeros(0)  # predictions of the row before
        self._forget()

    @property
    def residual_channels(self) -> tuple[str, ...]:
        return tuple(f"{self.channels[c]}.{kind}" for kind in ("step", "redundancy") for c in self.watched)

    def fit(self, t_s: Array, head: Array) -> Residuals:
        """Fit to (N, R) healthy rows at (N,) times; returns cross-fitted residuals in standard deviations.

        Raises:
            BadInput: fewer than 60 rows, or no channel beside the commands that varies.
        """
        head = self._rows(head)
        n = head.shape[0]
        if n < MIN_ROWS:
            raise BadInput(f"The healthy head has {n} rows, a fit needs {MIN_ROWS}; give a longer head or recording.")
        for c in range(len(self.channels)):
            self._standardise(c, head[np.isfinite(head[:, c]), c])
        moving = self._inverse_spread > 0.0
        self.constant = tuple(name for name, m in zip(self.channels, moving, strict=True) if not m)
        watched = [c for c in np.flatnonzero(moving).tolist() if c not in self._command_columns]
        if not watched:
            raise BadInput(
                "No measured channel varies in the healthy head, so nothing can be learnt; "
                "give a head in which the robot moves."
            )
        self.watched = np.array(watched, dtype=np.int64)
        self._weights = np.zeros((self._size, 2 * len(watched)))
        self._last = np.full(2 * len(watched), np.nan)
        features, predictions = self._features(head), np.empty((n, 2 * len(watched)))
        targets = (head - self._centre) * self._inverse_spread
        folds = RidgeFolds(features)
        for kind in range(2):
            for p, c in enumerate(watched, kind * len(watched)):
                columns = self._predictors(c, kind, moving)
                self._weights[columns, p], predictions[:, p] = folds.fit(columns, targets[:, c])
        value, rate = np.empty((2, *predictions.shape))
        kernels.left_over_of(
            head, self._centre, self._inverse_spread, self.watched, predictions, self._last, value, rate
        )
        return self._joined(t_s, head, predictions, value, rate)

    def residuals(self, t_s: Array, rows: Array) -> Residuals:
        """Residuals of the next (N, R) rows at (N,) times, in standard deviations of the head's channels."""
        rows = self._rows(rows)
        # In one piece: memory of this size that is given back and asked for again would come in new pages every time.
        expected, value, rate = np.empty((3, len(rows), self._last.size))
        kernels.predict_rows(
            rows,
            self._centre,
            self._inverse_spread,
            self._command_columns,
            self._decays,
            BOUND,
            self._weights,
            self.watched,
            self._seen,
            self._feature,
            self._last,
            expected,
            value,
            rate,
        )
        return self._joined(t_s, rows, expected, value, rate)

    def _joined(self, t_s: Array, rows: Array, expected: Array, value: Array, rate: Array) -> Residuals:
        readings = rows.take(self.watched, axis=1)[:, None]
        return Residuals(
            t_s=t_s, value=value, expected=expected, driven=expected, rate=rate, stir=rate, readings=readings
        )

    def _features(self, rows: Array) -> Array:
        """(N, F) for the fit; afterwards the features stand behind the last row."""
        self._forget()
        features = np.empty((len(rows), self._count))
        kernels.features_of(
            rows,
            self._centre,
            self._inverse_spread,
            self._command_columns,
            self._decays,
            BOUND,
            self._seen,
            self._feature,
            features,
        )
        return features

    def _rows(self, rows: Array) -> Array:
        matrix = np.ascontiguousarray(rows, dtype=np.float64)
        if matrix.ndim != 2 or matrix.shape[1] != len(self.channels):
            raise ValueError(f"rows have shape {matrix.shape}, the model has {len(self.channels)} channels")
        return matrix

    def _standardise(self, c: int, values: Array) -> None:
        self._centre[c], self._inverse_spread[c] = 0.0, 0.0
        if values.size < MIN_ROWS // 2:
            return
        self._centre[c] = values.mean()
        spread = float(values.std())
        # Summing equal numbers leaves rounding noise of some 1e-16 of their size, which is no movement.
        if np.isfinite(spread) and spread > max(1e-9 * abs(float(self._centre[c])), 1e-300):
            self._inverse_spread[c] = 1.0 / spread

    def _predictors(self, c: int, kind: int, moving: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Feature columns for channel `c`; kind 0 = one step ahead, 1 = redundancy."""
        count = len(self.channels)
        is_command = np.zeros(count, dtype=np.bool_)
        is_command[self._command_columns] = True
        others = moving.copy()
        others[c] = False
        now = others & is_command if kind == 0 else others
        past = moving if kind == 0 else others
        smoothed = np.repeat(moving[self._command_columns], len(DECAYS_S))
        return np.flatnonzero(np.concatenate(([True], now, past, past, smoothed)))

    def _forget(self) -> None:
        """Begin anew with the next row."""
        self._seen = np.zeros(1, dtype=np.int64)
        self._feature = np.zeros(self._size)
