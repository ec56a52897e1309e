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
from telemetry import kernels
from telemetry.residuals import Residuals

Array = NDArray[np.float64]

DECAYS_S = (
    0.02,
    0.08,
    0.32,
)  # chosen: smoothed commands stand for a drive's lag, as a Laguerre basis does (Wahlberg 1991)
FOLDS = 5  # chosen: a fifth of the head is predicted by what the other four fifths say
RIDGES = (1e-4, 1e-2, 1e-1, 1.0)  # of the rows; chosen by the folds, per residual
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
        self._size = 1 + 3 * len(self.channels) + len(self.commands) * len(DECAYS_S)
        self._kept: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._centre = np.zeros(len(self.channels))
        self._inverse_spread = np.zeros(len(self.channels))
        self._weights = np.zeros((2, len(self.channels), self._size))
        self._last = np.zeros(0)  # predictions of the row before
        self._forget()

    @property
    def watched(self) -> NDArray[np.int64]:
        """(W,) columns that have residuals; their readings go with them."""
        return self._kept[: len(self._kept) // 2]

    @property
    def residual_channels(self) -> tuple[str, ...]:
        count = len(self.channels)
        return tuple(f"{self.channels[k % count]}.{'redundancy' if k >= count else 'step'}" for k in self._kept)

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
        self._last = np.full(2 * len(watched), np.nan)
        self._kept = np.array(watched + [c + len(self.channels) for c in watched], dtype=np.int64)
        features = np.empty((n, self._size))
        self._weights[:] = 0.0
        self._forget()
        self._advance(head, features)
        predictions = np.full((n, 2 * len(self.channels)), np.nan)
        targets = (head - self._centre) * self._inverse_spread
        folds = _RidgeFolds(features)
        for c in watched:
            for kind in range(2):
                columns = self._predictors(c, kind, moving)
                self._weights[kind, c, columns], predicted = folds.fit(columns, targets[:, c])
                predictions[:, kind * len(self.channels) + c] = predicted
        self._forget()
        self._advance(head, np.empty((0, self._size)))
        self._last[:] = np.nan
        honest = self._residuals(t_s, head, predictions)
        self._last[:] = predictions[-1, self._kept]
        return honest

    def residuals(self, t_s: Array, rows: Array) -> Residuals:
        """Residuals of the next (N, R) rows at (N,) times, in standard deviations of the head's channels."""
        rows = self._rows(rows)
        return self._residuals(t_s, rows, self._advance(rows, np.empty((0, self._size))))

    def _residuals(self, t_s: Array, rows: Array, predictions: Array) -> Residuals:
        """What was measured minus what was predicted; a prediction that grows says in which direction things move."""
        expected = np.ascontiguousarray(predictions[:, self._kept])
        standardised = (rows - self._centre) * self._inverse_spread
        rate = np.diff(expected, axis=0, prepend=self._last[None])
        if len(rows):
            self._last[:] = expected[-1]
        return Residuals(
            t_s=t_s,
            value=np.tile(standardised, 2)[:, self._kept] - expected,
            expected=expected,
            driven=expected,
            rate=np.nan_to_num(rate, nan=0.0),
            stir=np.nan_to_num(rate, nan=0.0),
            readings=rows[:, None, self.watched],
        )

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
        self._lag = np.zeros((3, len(self.channels)))
        self._smooth = np.zeros((len(self.commands), len(DECAYS_S)))
        self._seen = np.zeros(1, dtype=np.int64)
        self._feature = np.zeros(self._size)

    def _advance(self, rows: Array, features: Array) -> Array:
        out = np.empty((rows.shape[0], 2 * len(self.channels)))
        kernels.predict_rows(
            rows,
            self._centre,
            self._inverse_spread,
            self._command_columns,
            self._decays,
            self._weights,
            BOUND,
            self._lag,
            self._smooth,
            self._seen,
            self._feature,
            features,
            out,
        )
        return out


class _RidgeFolds:
    """Ridge regressions of many targets on choices of the same features, cross-fitted over blocks of time.

    Blocks, not every fifth row: neighbours are too alike to test each other. Products of features are shared by all
    targets without a missing row, which is what makes 100 channels bearable.
    """

    def __init__(self, features: Array) -> None:
        self._features = features
        n = features.shape[0]
        self._blocks = [slice(k * n // FOLDS, (k + 1) * n // FOLDS) for k in range(FOLDS)]
        self._grams = [features[block].T @ features[block] for block in self._blocks]

    def fit(self, columns: NDArray[np.int64], target: Array) -> tuple[Array, Array]:
        """(F,) weights from all rows with a target, and (N,) predictions by weights fitted without the row's block."""
        present = np.isfinite(target)
        whole = bool(present.all())
        chosen = self._features[:, columns]
        grams, moments = [], []
        for block, gram in zip(self._blocks, self._grams, strict=True):
            x, y = chosen[block][present[block]], target[block][present[block]]
            grams.append(gram[np.ix_(columns, columns)] if whole else x.T @ x)
            moments.append(x.T @ y)
        gram, moment = np.sum(grams, axis=0), np.sum(moments, axis=0)
        scale = max(1, int(present.sum()))
        best_error, best_ridge, best = np.inf, RIDGES[-1], np.zeros(target.size)
        for ridge in RIDGES:
            predicted = np.empty(target.size)
            for block, g, m in zip(self._blocks, grams, moments, strict=True):
                predicted[block] = chosen[block] @ _solve(gram - g, moment - m, ridge * scale)
            error = float(np.mean((target[present] - predicted[present]) ** 2))
            if error < best_error:
                best_error, best_ridge, best = error, ridge, predicted
        return _solve(gram, moment, best_ridge * scale), best


def _solve(gram: Array, moment: Array, ridge: float) -> Array:
    penalised = gram.copy()
    # Column 0 is the constant, which is not shrunk beyond what keeps the matrix regular.
    penalised[np.diag_indices_from(penalised)] += np.where(np.arange(gram.shape[0]) == 0, 1e-9, ridge)
    return np.asarray(np.linalg.solve(penalised, moment), dtype=np.float64)
