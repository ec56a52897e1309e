"""What speaks for an alarm, from all that is known in the row at which the detector stands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.records import Event
from telemetry.bank import Bank
from telemetry.baseline import Baseline
from telemetry.explanation import KINDS, Explanation
from telemetry.repeats import RepeatRatios

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for an alarm.

    In the row of the alarm itself the kind is a first guess: a few rows of loud noise can look like a shift, and some
    tenths of a second later they no longer do.
    """

    channel: str  # the channel with the largest test ratio
    kind: str  # one of `KINDS`, "spike", "freeze" or "dropout"
    onset_s: float  # last time at which the winning statistic was zero
    test_ratio: float
    ranking: tuple[tuple[str, float], ...]  # (channel, test ratio), strongest first, at most 10, none below 0.1
    kinds: tuple[tuple[str, float], ...]  # (kind, belief), likeliest first; beliefs add up to 1
    frequency_hz: float | None = None  # of an oscillation


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """All that is known in one row of C residual channels and R raw channels."""

    channels: tuple[str, ...]  # (C + R,) names
    increments: NDArray[np.bool_]  # (C,) whose residual is the increment of a reading: a jump is an offset
    rate_hz: float
    t_s: float
    level: float  # of the alarm rate
    baseline: Baseline
    bank: Bank
    reached: Array  # (C,) largest share of a threshold that the sums of each channel have
    explanation: Explanation
    repeats: RepeatRatios
    row: int  # of `repeats`

    def evidence(self, opened: Event | None = None) -> Evidence:
        """Why this row has its test ratio; with `opened`, what has become of the event that is open."""
        ratios = np.concatenate([np.maximum(self.reached, self.bank.spike) / self.level, self.repeats.ratio[self.row]])
        if opened is not None and opened.kind == "spike":
            jumped = self._jumped(opened.channel, ratios)
            if jumped or not np.any(ratios >= 1.0):
                # What is left of a spike says nothing of other kinds or channels, only whether the reading came back.
                kind = "bias" if jumped else "spike"
                return Evidence(
                    channel=opened.channel,
                    kind=kind,
                    onset_s=opened.onset_s,
                    test_ratio=opened.test_ratio,
                    ranking=opened.ranking,
                    kinds=((kind, 1.0),),
                )
        order = self._order(ratios)
        top = int(order[0])
        onset_s, kinds, frequency_hz = self._of_reading(top) if top >= len(self.reached) else self._of_residual(top)
        return Evidence(
            channel=self.channels[top],
            kind=kinds[0][0],
            onset_s=onset_s,
            test_ratio=float(ratios[top]),
            ranking=tuple((self.channels[j], float(ratios[j])) for j in order[:10] if ratios[j] >= 0.1),
            kinds=kinds,
            frequency_hz=frequency_hz if kinds[0][0] == "oscillation" else None,
        )

    def _of_reading(self, channel: int) -> tuple[float, tuple[tuple[str, float], ...], None]:
        at = self.row, channel - len(self.reached)
        kind = "dropout" if self.repeats.missing[at] else "freeze"
        return float(self.repeats.onset_s[at]), ((kind, 1.0),), None

    def _of_residual(self, c: int) -> tuple[float, tuple[tuple[str, float], ...], float | None]:
        """Onset, kinds and frequency."""
        if self.bank.spike[c] > self.reached[c] and self.reached[c] < self.level:  # what lasts is no spike
            return self.t_s, (("spike", 1.0),), None
        belief = self.explanation.belief(c, self.bank.of_test[:, c].tolist(), float(self.baseline.predictable[c]))
        frequency_hz = self.rate_hz * belief.swing / (2.0 * math.pi)
        return self._onset_s(c), _ranked(np.array(belief.kinds)), frequency_hz

    def _onset_s(self, c: int) -> float:
        """When the strongest sum of channel `c` was last zero."""
        if self.bank.spike[c] > self.reached[c]:
            return self.t_s
        share = self.bank.level[..., c] * self.baseline.inverse_threshold[:, None, :, c]
        share, zero_s = np.moveaxis(share, 2, 0), np.moveaxis(self.bank.zero_s[..., c], 2, 0)
        strongest = np.unravel_index(np.argmax(share), share.shape)  # among equals the first test, then memory
        return float(zero_s[strongest]) if share[strongest] > 0.0 else self.t_s

    def _jumped(self, channel: str, ratios: Array) -> bool:
        """Whether a reading jumped and stayed, nothing else being wrong with it."""
        at, readings = self.channels.index(channel), ratios[len(self.reached) :]
        if at >= self.increments.size or not self.increments[at] or np.any(readings >= 1.0):
            return False
        return self.explanation.jumped(at) and bool(ratios[at] < 1.0)

    def _order(self, ratios: Array) -> NDArray[np.int64]:
        """Channels, the one that changed first: a reading that repeats is the cause of what it upsets elsewhere; among
        residuals in alarm the one that is furthest off counts, as ratios stop at a ceiling."""
        rank, count = ratios.copy(), len(self.reached)
        residuals, readings, power = ratios[:count], ratios[count:], self.explanation.power()
        rank[:count] = np.where(residuals >= 1.0, 1.0 + power / (1.0 + power.max(initial=0.0)), residuals)
        rank[count:] += np.where(readings >= 1.0, 2.0, 0.0)
        return np.argsort(-rank, kind="stable")


def _ranked(belief: Array) -> tuple[tuple[str, float], ...]:
    total = float(belief.sum())
    shares = belief / total if total > 0.0 else np.full(len(KINDS), 1.0 / len(KINDS))
    order = np.argsort(-shares, kind="stable")
    return tuple((KINDS[k], float(shares[k])) for k in order)
