"""Residuals of a robot's balances: fitted to a healthy head, then streamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.block import Array, Block
from core.robot import Robot
from telemetry.head import short_head
from telemetry.kernels import compiled
from telemetry.residuals import Residuals
from telemetry.watch.directions import COARSE, Directions
from telemetry.watch.row import Balances, Row

FOLDS = 5  # a fifth of the head is predicted by what the other four fifths say
RIDGE = 1e-5  # of the rows: keeps features that the head does not move at zero
_READINGS = ("q", "qd", "tau_meas")  # groups of a block that are watched for values that repeat
_MIN_ROWS = 100
_UNEVEN = 0.5  # share of a control period by which a step of the clock may be off
_REMEMBERS = 3.0  # root of the rows that say as much as one independent one; chosen
_GIVE = 0.5  # share by which a slope may be another under a fault; chosen


class RegressionResidual:
    """Target minus prediction of every balance; after `fit` nothing is learnt but by `relearn`.

    Args:
        robot: the robot.
        balances: of its kind.
    """

    def __init__(self, robot: Robot, balances: Balances) -> None:
        self._robot, self._balances = robot, balances
        self._weights: list[Array] = []
        self._kept: Block | None = None
        self.channels: tuple[str, ...] = ()
        self.reading_channels = tuple(
            f"{name}.{group}"
            for group in _READINGS
            for name in (robot.actuators if group == "tau_meas" else robot.joints)
        )
        self.smallest_shift = np.zeros(0)
        self.increments: tuple[str, ...] = ()
        self.rate_hz = robot.control_rate_hz / balances.ticks

    def fit(self, head: Block) -> Residuals:
        """Learn from a healthy head; returns cross-fitted residuals of its rows.

        Raises:
            BadInput: the head is too short.
        """
        self._balances.learn(self._robot, head)
        self._kept = None
        head, t_s, rows = self._rows(head)
        if len(t_s) < _MIN_ROWS:
            raise short_head(self._robot, head, _MIN_ROWS / self.rate_hz + 1.0)
        self.increments = tuple(row.channel for row in rows if row.increment)
        fitted = [_cross_fit(row) for row in rows]
        self._weights = [weights for weights, _ in fitted]
        predicted = np.stack([prediction for _, prediction in fitted], axis=1)
        noise = np.std(np.stack([row.target for row in rows], axis=1) - predicted, axis=0)
        self._directions = Directions(self._robot, rows, self._weights, noise)
        self.channels = (*(row.channel for row in rows), *self._directions.channels)
        smallest = np.maximum([row.smallest for row in rows], [row.coarse for row in rows] * noise)
        self.smallest_shift = np.append(smallest, np.full(len(self._directions.channels), COARSE))
        return self._joined(head, t_s, rows, predicted)

    def residuals(self, block: Block) -> Residuals:
        """Residuals of the rows that the next ticks complete; after a gap or a leap of the clock rows begin anew."""
        parts = [self._residuals(piece) for piece in self._pieces(block)]  # one by one: each starts where it is cut off
        return Residuals.after(parts) if parts else self._residuals(block)

    def _residuals(self, block: Block) -> Residuals:
        block, t_s, rows = self._rows(block)
        if not rows:
            return self._nothing()
        predicted = np.empty((len(t_s), len(rows)))
        for c, (row, weights) in enumerate(zip(rows, self._weights, strict=True)):
            _predict(np.ascontiguousarray(row.features), weights, predicted[:, c])
        return self._joined(block, t_s, rows, predicted)

    def _joined(self, block: Block, t_s: Array, rows: Sequence[Row], predicted: Array) -> Residuals:
        driven = np.empty((len(t_s), len(rows)))
        for c, (row, weights) in enumerate(zip(rows, self._weights, strict=True)):
            count = row.features.shape[1] if row.driven is None else row.driven
            _predict(
                np.ascontiguousarray(row.features[:, :count]), np.append(0.0, weights[1 : 1 + count]), driven[:, c]
            )
        value = np.stack([row.target for row in rows], axis=1) - predicted
        rate = np.stack([row.rate for row in rows], axis=1)
        stir = np.stack([row.rate if row.stir is None else row.stir for row in rows], axis=1)
        if self._directions.channels:
            along, unit = self._directions.along(rows, value)
            effort = unit * self._of_ticks(block, t_s, "tau_meas")
            value, predicted = np.hstack([value, along]), np.hstack([predicted, effort])
            driven, rate = np.hstack([driven, effort]), np.hstack([rate, self._speeds(block, t_s)])
            stir = np.hstack([stir, np.repeat(self._directions.stir(rows)[:, None], along.shape[1], axis=1)])
        return Residuals(
            t_s=t_s,
            value=value,
            expected=np.ascontiguousarray(predicted),
            driven=driven,
            rate=rate,
            stir=stir,
            readings=self._readings(block, t_s),
        )

    def _of_ticks(self, block: Block, t_s: Array, group: str) -> Array:
        """(M, ...) means over the ticks of each row."""
        return np.asarray(block.group(group)[self._ticks(block, t_s)].mean(axis=1))

    def _speeds(self, block: Block, t_s: Array) -> Array:
        """(M, m) speed of what each actuator drives; 0 where that is no joint."""
        speeds = self._of_ticks(block, t_s, "qd")
        drives = self._robot.drives
        return np.stack([np.zeros(len(t_s)) if j is None else speeds[:, j] for j in drives], axis=1)

    def _readings(self, block: Block, t_s: Array) -> Array:
        """(M, D, R) what the sensors said in the ticks that each row adds."""
        ticks = self._ticks(block, t_s)
        return np.concatenate([block.group(name)[ticks] for name in _READINGS], axis=2)

    def _ticks(self, block: Block, t_s: Array) -> NDArray[np.int64]:
        """(M, D) rows of `block` that each row adds."""
        last = np.searchsorted(block.t_s, t_s - 0.5 * self._robot.dt_s)
        return np.asarray(last[:, None] + np.arange(1 - self._balances.ticks, 1))

    def _pieces(self, block: Block) -> Iterator[Block]:
        """Stretches of `block` without a hole; what waits from before a hole is dropped."""
        before = self._kept.t_s[-1:] if self._kept is not None and len(self._kept) else block.t_s[:1] - self._robot.dt_s
        steps = np.diff(np.concatenate([before, block.t_s]))
        broken = np.flatnonzero(np.abs(steps / self._robot.dt_s - 1.0) > _UNEVEN)
        edges = [0, *broken.tolist(), len(block)]
        for k, (begin, end) in enumerate(pairwise(edges)):
            if k > 0:
                self._kept = None
            if end > begin:
                yield block[begin:end]

    def relearn(self, block: Block) -> None:
        """Take what a fault has changed for normal, as far as `block` shows it; weights give way by half at most."""
        self.forget()
        _, _, rows = self._rows(max(self._pieces(block), key=len))
        for c, row in enumerate(rows):
            if not row.known:
                self._weights[c] = _revised(row, self._weights[c])

    def forget(self) -> None:
        """Begin anew with the next ticks; what was learnt stays."""
        self._kept = None

    def _rows(self, block: Block) -> tuple[Block, Array, Sequence[Row]]:
        """Times and channels of the rows that `block` completes, and it with the ticks that waited for it.

        What does not fill a row waits for the next block.
        """
        if self._kept is not None:
            block = Block.join([self._kept, block])
        d, history = self._balances.ticks, self._balances.history
        groups = max((len(block) - history) // d, 0)
        if groups < 2:
            self._kept = block
            return block, np.zeros(0), ()
        used = history + groups * d
        self._kept = block[used - history - d :]
        t_s = np.ascontiguousarray(block.t_s[history + 2 * d - 1 : used : d])
        return block, t_s, self._balances.rows(block[:used])

    def _nothing(self) -> Residuals:
        """No row."""
        none = np.zeros((0, len(self.channels)))
        readings = np.zeros((0, self._balances.ticks, len(self.reading_channels)))
        return Residuals(
            t_s=np.zeros(0), value=none, expected=none, driven=none, rate=none, stir=none, readings=readings
        )


@compiled
def _predict(features: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    for i in range(features.shape[0]):
        total = weights[0]
        for f in range(features.shape[1]):
            total += weights[1 + f] * features[i, f]
        out[i] = total


def _cross_fit(row: Row) -> tuple[Array, Array]:
    """(1 + F,) weights from all rows, and (M,) predictions by weights that have not seen the row's block of time."""
    if row.known:
        return np.array([0.0, 1.0]), row.features[:, 0].copy()
    count = len(row.target)
    centre, spread = row.features.mean(axis=0), row.features.std(axis=0)
    inverse = np.where(spread > 1e-9 * np.maximum(np.abs(centre), 1e-300), 1.0 / np.where(spread > 0, spread, 1.0), 0.0)
    z = np.concatenate([np.ones((count, 1)), (row.features - centre) * inverse], axis=1)
    edges = [k * count // FOLDS for k in range(FOLDS + 1)]
    grams = [z[a:b].T @ z[a:b] for a, b in pairwise(edges)]
    moments = [z[a:b].T @ row.target[a:b] for a, b in pairwise(edges)]
    if row.noise is not None:
        # Noise of a feature flattens its slope, by much where features are nearly alike (Fuller 1987, ch. 2).
        grams = [
            gram - np.diag((b - a) * _flattened(row.noise, inverse))
            for gram, (a, b) in zip(grams, pairwise(edges), strict=True)
        ]
    gram, moment = np.sum(grams, axis=0), np.sum(moments, axis=0)
    predicted = np.empty(count)
    for k, (a, b) in enumerate(pairwise(edges)):
        predicted[a:b] = z[a:b] @ _solve(gram - grams[k], moment - moments[k], RIDGE * count)
    w = _solve(gram, moment, RIDGE * count)
    slopes = w[1:] * inverse
    return np.concatenate([[w[0] - slopes @ centre], slopes]), predicted


def _flattened(noise: Array, inverse: Array) -> Array:
    """(1 + F,) variance of the noise of standardised features, the constant among them."""
    return np.concatenate([[0.0], np.square(noise * inverse)])


def _revised(row: Row, weights: Array) -> Array:
    """(1 + F,) weights that explain `row`, drawn to the present ones by a Gaussian prior."""
    x = np.concatenate([np.ones((len(row.target), 1)), row.features], axis=1)
    left = row.target - x @ weights
    # A constant may change by what the target varies, a slope by half of itself.
    give = np.concatenate([[row.target.std() + 1e-12], _GIVE * np.abs(weights[1:]) + 1e-12])
    noise = _REMEMBERS * np.median(np.abs(np.diff(left))) + 1e-12
    scaled = x * give / noise
    change = give * np.linalg.solve(scaled.T @ scaled + np.eye(len(give)), scaled.T @ (left / noise))
    return np.asarray(weights + change, dtype=np.float64)


def _solve(gram: Array, moment: Array, ridge: float) -> Array:
    penalised = gram + ridge * np.eye(len(gram))
    return np.asarray(np.linalg.solve(penalised, moment), dtype=np.float64)
