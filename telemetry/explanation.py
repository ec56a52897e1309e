"""What a change looks like: each residual since the change began, against what each kind of change would do to it.

A shift raises the power as well, and sooner, so the strongest test alone does not say what changed; and the tests clip
what is large, which makes a slope look like a step. So the sums here take residuals as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from telemetry import score_kernels as scores
from telemetry.kernels import compiled
from telemetry.residuals import Residuals

Array = NDArray[np.float64]

_KEEP, _FORGET = 0.998, 0.9  # leaks while something speaks for a change, and otherwise
_SPEAKS = 0.3  # test ratio from which on it does
_JUMP_ROWS = 20.0  # after a row out of reach, in which a reading that only spiked is back
_LANDS_ROWS = 2.0  # over which an increment of means spreads a jump
_REGRESSORS = 5  # constant, driven part, its change, direction of motion, speed
_POWER = 2 * _REGRESSORS  # where the residual squared is, then its products with the one and the two before
SUMS = _POWER + 3  # before that: products with the residual, squares


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """N rows of C channels."""

    kinds: Array  # (N, C, TESTS)
    power: Array  # (N, C) root mean square of the residual since the change began [standard deviations of the head]
    lagged: Array  # (N, C, 2) mean product of the residual with the one before, and with the one before that
    jumped: NDArray[np.bool_]  # (N, C) after a row out of reach it did not come back

    @staticmethod
    def join(parts: Sequence[Belief]) -> Belief:
        """Consecutive chunks as one."""
        return Belief(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Belief)})


class Explanation:
    """Sums that say which regressor explains the residual.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        self._count = channels
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._sums, self._before = np.zeros((self._count, SUMS)), np.zeros((self._count, 3))
        self._before[:, 0] = np.nan
        self._jump = np.tile([0.0, 0.0, 2.0 * _JUMP_ROWS], (self._count, 1))  # first row, sum since, rows since

    def arrays(self) -> dict[str, Array]:
        """The state by name; views, so that it can be written to."""
        return {"explanation": self._sums, "explanation_before": self._before, "explanation_jump": self._jump}

    def advance(
        self,
        rows: Residuals,
        location: Array,
        inverse_scale: Array,
        inverse_rate: Array,
        spike: Array,
        predictable_before: Array,
        test_ratio: Array,
    ) -> Belief:
        """What speaks for each kind after each row.

        Args:
            location, inverse_scale, inverse_rate, spike, predictable_before: (C,) of the baseline.
            test_ratio: (N, C, TESTS).
        """
        n, channels = rows.value.shape
        kinds = np.empty((n, channels, scores.TESTS))
        power, lagged = np.empty((n, channels)), np.empty((n, channels, 2))
        jumped = np.zeros((n, channels), dtype=np.bool_)
        _explain(
            rows.value,
            rows.driven,
            rows.rate,
            location,
            inverse_scale,
            inverse_rate,
            spike,
            predictable_before,
            test_ratio,
            self._sums,
            self._before,
            self._jump,
            kinds,
            power,
            lagged,
            jumped,
        )
        return Belief(kinds=kinds, power=power, lagged=lagged, jumped=jumped)


@compiled
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


def swing(lag_one: float, lag_two: float) -> float:
    """Radians from row to row of a swing in white noise, from its autocovariances (Pisarenko 1973)."""
    root = math.sqrt(lag_two * lag_two + 8.0 * lag_one * lag_one)
    turn = (lag_two + root) / (4.0 * lag_one) if lag_one != 0.0 else 0.0
    return math.acos(min(max(turn, -1.0), 1.0))


@compiled
def _explain(
    value: np.ndarray,
    driven: np.ndarray,
    rate: np.ndarray,
    location: np.ndarray,
    inverse_scale: np.ndarray,
    inverse_rate: np.ndarray,
    spike: np.ndarray,
    predictable_before: np.ndarray,
    test_ratio: np.ndarray,
    sums: np.ndarray,
    before: np.ndarray,
    jump: np.ndarray,
    kinds: np.ndarray,
    power: np.ndarray,
    lagged: np.ndarray,
    jumped: np.ndarray,
) -> None:
    """See `Explanation.advance`; `before` holds the last driven part and the last two residuals."""
    regressor = np.zeros(_REGRESSORS)
    for i in range(value.shape[0]):
        for c in range(value.shape[1]):
            strongest = 0.0
            for k in range(scores.TESTS):
                strongest = max(strongest, test_ratio[i, c, k])
            e = (value[i, c] - location[c]) * inverse_scale[c]
            x = driven[i, c]
            change = x - before[c, 0] if math.isfinite(x) and math.isfinite(before[c, 0]) else 0.0
            if math.isfinite(x):
                before[c, 0] = x
            if math.isfinite(e) and inverse_scale[c] > 0.0:
                moving = rate[i, c] * inverse_rate[c] if math.isfinite(rate[i, c]) else 0.0
                regressor[0], regressor[1], regressor[2] = 1.0, x if math.isfinite(x) else 0.0, change
                regressor[3], regressor[4] = moving / math.sqrt(1.0 + moving * moving), moving
                if abs(e) >= spike[c] and jump[c, 2] > _JUMP_ROWS:
                    jump[c, 0], jump[c, 1], jump[c, 2] = e, e, 0.0
                elif jump[c, 2] <= _JUMP_ROWS:
                    jump[c, 1] += e
                    jump[c, 2] += 1.0
                # The first rows of a jump are loud and say nothing about what comes after it.
                counts = 0.0 if jump[c, 2] < _LANDS_ROWS else 1.0
                leak = _KEEP if strongest >= _SPEAKS else _FORGET
                for m in range(SUMS):
                    sums[c, m] *= leak
                for r in range(_REGRESSORS):
                    sums[c, r] += counts * e * regressor[r]
                    sums[c, _REGRESSORS + r] += counts * regressor[r] * regressor[r]
                e *= counts
                sums[c, _POWER] += e * e
                sums[c, _POWER + 1] += e * before[c, 1]
                sums[c, _POWER + 2] += e * before[c, 2]
                before[c, 2], before[c, 1] = before[c, 1], e
            jumped[i, c] = abs(jump[c, 1]) > 0.5 * abs(jump[c, 0])
            count, energy = sums[c, _REGRESSORS], sums[c, _POWER]
            power[i, c] = math.sqrt(energy / count) if count > 0.0 else 0.0
            for lag in range(2):
                lagged[i, c, lag] = sums[c, _POWER + 1 + lag] / count if count > 0.0 else 0.0
            most = 0.0
            for k in range(4):
                share = _share(sums, c, k)
                if k == scores.FRICTION:
                    share = max(share, _share(sums, c, k + 1))
                most = max(most, share)
                kinds[i, c, k] = share * min(test_ratio[i, c, k], 1.0)
            # Noise is as hard to tell from its past as it was on the head, or harder; a swing follows from it.
            follows = predictable(energy, sums[c, _POWER + 1], sums[c, _POWER + 2])
            regular = max(follows - predictable_before[c], 0.0) / max(1.0 - predictable_before[c], 0.1)
            grown = 1.0 - min(count / energy, 1.0) if energy > 1e-12 else 0.0
            # What swings is louder as well; at a quarter of the rate its product with the row before shows nothing.
            loud = min(test_ratio[i, c, scores.NOISE], 1.0)
            swings = max(min(test_ratio[i, c, scores.OSCILLATION], 1.0), loud)
            kinds[i, c, scores.OSCILLATION] = (1.0 - most) * regular * swings
            kinds[i, c, scores.NOISE] = (1.0 - most) * (1.0 - regular) * grown * loud


@compiled
def _share(sums: np.ndarray, c: int, r: int) -> float:
    """Share of the residual's power that one regressor explains."""
    size = sums[c, _REGRESSORS + r] * sums[c, _POWER]
    return min(sums[c, r] * sums[c, r] / size, 1.0) if size > 1e-300 else 0.0
