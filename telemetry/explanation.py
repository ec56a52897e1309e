"""What a change looks like: each residual since the change began, against what each kind of change would do to it.

A shift raises the power as well, and sooner, so the strongest test alone does not say what changed; and the tests clip
what is large, which makes a slope look like a step. So the sums here take residuals as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.baseline import Baseline
from telemetry.kernels import compiled
from telemetry.residuals import Residuals

Array = NDArray[np.float64]

KINDS = ("bias", "gain", "delay", "friction", "oscillation", "noise")  # in the order of the tests
_KEEP, _FORGET = 0.998, 0.9  # leaks while something speaks for a change, and otherwise
_SPEAKS = 0.3  # test ratio from which on it does
_JUMP_ROWS = 20.0  # after a row out of reach, in which a reading that only spiked is back
_LANDS_ROWS = 2.0  # over which an increment of means spreads a jump
_CAUSES = 5  # constant, driven part, its change, direction of motion, speed
_POWER = 2 * _CAUSES  # where the residual squared is, then its products with the one and the two before
_SUMS = _POWER + 3  # before that: products with the residual, squares

# Rows of the state: last driven part and last two residuals; after a row out of reach that row, the sum and the rows
# since; the sums. What follows is of the last row: causes, residual, whether it counts, the same counted, leak.
_BEFORE, _JUMP, _SUM, _CAUSE = 0, 3, 6, 6 + _SUMS
_AWAY, _COUNTS, _COUNTED, _LEAK, _ROWS = range(_CAUSE + _CAUSES, _CAUSE + _CAUSES + 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What speaks for each kind of change in one channel."""

    kinds: tuple[float, ...]  # (K,) in the order of `KINDS`
    swing: float  # radians from row to row, if it is an oscillation


class Explanation:
    """Sums that say which regressor explains the residual.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        self._state = np.zeros((_ROWS, channels))
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._state[:] = 0.0
        self._state[_BEFORE] = np.nan
        self._state[_BEFORE + 1 : _BEFORE + 3] = 0.0
        self._state[_JUMP + 2] = 2.0 * _JUMP_ROWS
        self._state[_CAUSE] = 1.0

    def arrays(self) -> dict[str, Array]:
        """The state by name; a view, so that it can be written to."""
        return {"explanation": self._state}

    def advance(self, rows: Residuals, start: int, stop: int, base: Baseline, reached: Array) -> None:
        """Take rows `start` to `stop`.

        Args:
            reached: (stop - start, C) how close the score tests are to their thresholds after each row.
        """
        _explain(
            start,
            stop,
            rows.value,
            rows.driven,
            rows.rate,
            base.location,
            base.inverse_scale,
            base.inverse_rate,
            base.spike,
            reached,
            self._state,
        )

    def power(self) -> Array:
        """(C,) root mean square of each residual since the change began [standard deviations of the head]."""
        count, energy = self._state[_SUM + _CAUSES], self._state[_SUM + _POWER]
        mean: Array = np.divide(energy, count, out=np.zeros_like(count), where=count > 0.0)
        return np.sqrt(mean)

    def jumped(self, c: int) -> bool:
        """Whether channel `c` did not come back after a row out of reach."""
        return bool(abs(self._state[_JUMP + 1, c]) > 0.5 * abs(self._state[_JUMP, c]))

    def belief(self, c: int, of_test: Sequence[float], predictable_before: float) -> Belief:
        """What speaks for each kind in channel `c`.

        Args:
            of_test: (K,) how close each score test is to its threshold.
            predictable_before: share of the residual that followed from the two rows before on the head.
        """
        sums = self._state[_SUM : _SUM + _SUMS, c].tolist()
        bias, gain, delay, friction, viscous = (_share(sums, r) for r in range(_CAUSES))
        shares = (bias, gain, delay, max(friction, viscous))
        kinds = [share * min(test, 1.0) for share, test in zip(shares, of_test, strict=False)]
        most = max(shares)
        count, (energy, lag_one, lag_two) = sums[_CAUSES], sums[_POWER:]
        # Noise is as hard to tell from its past as it was on the head, or harder; a swing follows from it.
        follows = predictable(energy, lag_one, lag_two)
        regular = max(follows - predictable_before, 0.0) / max(1.0 - predictable_before, 0.1)
        grown = 1.0 - min(count / energy, 1.0) if energy > 1e-12 else 0.0
        # What swings is louder as well; at a quarter of the rate its product with the row before shows nothing.
        loud = min(of_test[-1], 1.0)
        swings = max(min(of_test[-2], 1.0), loud)
        kinds += [(1.0 - most) * regular * swings, (1.0 - most) * (1.0 - regular) * grown * loud]
        return Belief(kinds=tuple(kinds), swing=_swing(lag_one / count, lag_two / count) if count > 0.0 else 0.0)


def predictable(power: float, lag_one: float, lag_two: float) -> float:
    """Share of a series' power that its two last values predict, from its autocovariances (Levinson's recursion)."""
    if power <= 1e-12:
        return 0.0
    first = min(max(lag_one / power, -1.0), 1.0)
    left = 1.0 - first * first
    if left <= 1e-9:
        return 1.0
    second = min(max((lag_two / power - first * first) / left, -1.0), 1.0)
    return 1.0 - left * (1.0 - second * second)


def _swing(lag_one: float, lag_two: float) -> float:
    """Radians from row to row of a swing in white noise, from its autocovariances (Pisarenko 1973)."""
    root = math.sqrt(lag_two * lag_two + 8.0 * lag_one * lag_one)
    turn = (lag_two + root) / (4.0 * lag_one) if lag_one != 0.0 else 0.0
    return math.acos(min(max(turn, -1.0), 1.0))


def _share(sums: Sequence[float], r: int) -> float:
    """Share of the residual's power that one regressor explains."""
    size = sums[_CAUSES + r] * sums[_POWER]
    return min(sums[r] * sums[r] / size, 1.0) if size > 1e-300 else 0.0


@compiled
def _explain(
    start: int,
    stop: int,
    value: np.ndarray,
    driven: np.ndarray,
    rate: np.ndarray,
    location: np.ndarray,
    inverse_scale: np.ndarray,
    inverse_rate: np.ndarray,
    spike: np.ndarray,
    reached: np.ndarray,
    state: np.ndarray,
) -> None:
    """See `Explanation.advance`, and `telemetry.score_kernels` for the form of the loops."""
    channels = value.shape[1]
    for i in range(start, stop):
        for c in range(channels):
            e = (value[i, c] - location[c]) * inverse_scale[c]
            state[_AWAY, c] = e if math.isfinite(e) and inverse_scale[c] > 0.0 else math.nan
        for c in range(channels):
            x, before = driven[i, c], state[_BEFORE, c]
            state[_CAUSE + 1, c] = x if math.isfinite(x) else 0.0
            state[_CAUSE + 2, c] = x - before if math.isfinite(x) and math.isfinite(before) else 0.0
            state[_BEFORE, c] = x if math.isfinite(x) else before
        for c in range(channels):
            x = rate[i, c]
            speed = x * inverse_rate[c] if math.isfinite(x) else 0.0
            state[_CAUSE + 3, c], state[_CAUSE + 4, c] = speed / math.sqrt(1.0 + speed * speed), speed
        for c in range(channels):
            e, first, total, since = state[_AWAY, c], state[_JUMP, c], state[_JUMP + 1, c], state[_JUMP + 2, c]
            begins, lands = abs(e) >= spike[c] and since > _JUMP_ROWS, since <= _JUMP_ROWS and not math.isnan(e)
            state[_JUMP, c] = e if begins else first
            state[_JUMP + 1, c] = e if begins else (total + e if lands else total)
            state[_JUMP + 2, c] = 0.0 if begins else (since + 1.0 if lands else since)
        for c in range(channels):
            # The first rows of a jump are loud and say nothing about what comes after it.
            e, since = state[_AWAY, c], state[_JUMP + 2, c]
            counts = since >= _LANDS_ROWS and not math.isnan(e)
            state[_COUNTS, c] = 1.0 if counts else 0.0
            state[_COUNTED, c] = e if counts else 0.0
        for c in range(channels):
            e, leak = state[_AWAY, c], _KEEP if reached[i - start, c] >= _SPEAKS else _FORGET
            state[_LEAK, c] = 1.0 if math.isnan(e) else leak
        for r in range(_CAUSES):
            product, square = _SUM + r, _SUM + _CAUSES + r
            for c in range(channels):
                x, leak = state[_CAUSE + r, c], state[_LEAK, c]
                state[product, c] = leak * state[product, c] + state[_COUNTED, c] * x
                state[square, c] = leak * state[square, c] + state[_COUNTS, c] * x * x
        for lag in range(3):
            power, other = _SUM + _POWER + lag, _BEFORE + lag if lag > 0 else _COUNTED
            for c in range(channels):
                state[power, c] = state[_LEAK, c] * state[power, c] + state[_COUNTED, c] * state[other, c]
        for c in range(channels):
            e, counted, one, two = state[_AWAY, c], state[_COUNTED, c], state[_BEFORE + 1, c], state[_BEFORE + 2, c]
            state[_BEFORE + 2, c] = two if math.isnan(e) else one
            state[_BEFORE + 1, c] = one if math.isnan(e) else counted
