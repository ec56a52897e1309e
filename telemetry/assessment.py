"""The detector's answer to a chunk of rows, and what speaks for an alarm in one of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.records import Event
from telemetry import score_kernels as scores
from telemetry.explanation import Belief, swing

Array = NDArray[np.float64]

KINDS = ("bias", "gain", "delay", "friction", "oscillation", "noise")  # in the order of the tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for an alarm in one row. In the row of the alarm itself the kind is a first guess: a few rows of loud
    noise can look like a shift, and some tenths of a second later they no longer do."""

    channel: str  # the channel with the largest test ratio
    kind: str  # one of `KINDS`, "spike", "freeze" or "dropout"
    onset_s: float  # last time at which the winning statistic was zero
    test_ratio: float
    ranking: tuple[tuple[str, float], ...]  # (channel, test ratio), strongest first, at most 10, none below 0.1
    kinds: tuple[tuple[str, float], ...]  # (kind, belief), likeliest first; beliefs add up to 1
    frequency_hz: float | None = None  # of an oscillation


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """N rows; J = C residual channels plus R raw channels, K tests."""

    channels: tuple[str, ...]  # (J,) names
    t_s: Array  # (N,)
    strongest: Array  # (N,) largest statistic / threshold before the alarm rate's level
    channel_ratio: Array  # (N, J) test ratio of each channel
    onset_s: Array  # (N, J)
    belief: Belief  # of (N, C)
    increments: NDArray[np.bool_]  # (C,) whose residual is the increment of a reading: a jump is an offset
    rate_hz: float
    spike: NDArray[np.bool_]  # (N, C) the residual itself is out of reach
    missing: NDArray[np.bool_]  # (N, R) samples are missing or zero, not frozen
    alarm: NDArray[np.bool_]  # (N,) whether an event is open; written by the tracker

    @property
    def ratio(self) -> Array:
        """(N,) largest test ratio."""
        largest: Array = self.channel_ratio.max(axis=1, initial=0.0)
        return largest

    def evidence(self, row: int, opened: Event | None = None) -> Evidence:
        """Why row `row` has its test ratio; with `opened`, what has become of the event that is open."""
        if opened is not None and opened.kind == "spike":
            jumped = self._jumped(row, opened.channel)
            if jumped or not np.any(self.channel_ratio[row] >= 1.0):
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
        ratios, residual_channels = self.channel_ratio[row], self.belief.power.shape[1]
        order = self._order(row)
        top, frequency_hz = int(order[0]), None
        kinds: tuple[tuple[str, float], ...]
        if top >= residual_channels:
            kinds = ((("dropout" if self.missing[row, top - residual_channels] else "freeze"), 1.0),)
        elif self.spike[row, top]:
            kinds = (("spike", 1.0),)
        else:
            kinds = _ranked(self.belief.kinds[row, top])
            if kinds[0][0] == "oscillation":
                frequency_hz = self.rate_hz * swing(*self.belief.lagged[row, top].tolist()) / (2.0 * math.pi)
        return Evidence(
            channel=self.channels[top],
            kind=kinds[0][0],
            onset_s=float(self.onset_s[row, top]),
            test_ratio=float(ratios[top]),
            ranking=tuple((self.channels[j], float(ratios[j])) for j in order[:10] if ratios[j] >= 0.1),
            kinds=kinds,
            frequency_hz=frequency_hz,
        )

    def _jumped(self, row: int, channel: str) -> bool:
        """Whether a reading jumped and stayed, nothing else being wrong with it."""
        at, readings = self.channels.index(channel), self.channel_ratio[row, self.belief.power.shape[1] :]
        if at >= self.increments.size or not self.increments[at] or np.any(readings >= 1.0):
            return False
        return bool(self.belief.jumped[row, at] and self.channel_ratio[row, at] < 1.0)

    def _order(self, row: int) -> NDArray[np.int64]:
        """Channels, the one that changed first: a reading that repeats is the cause of what it upsets elsewhere; among
        residuals in alarm the one that is furthest off counts, as ratios stop at a ceiling."""
        ratios, residual_channels = self.channel_ratio[row], self.belief.power.shape[1]
        rank = ratios.copy()
        alarmed = ratios[:residual_channels] >= 1.0
        power = self.belief.power[row]
        rank[:residual_channels] = np.where(
            alarmed, 1.0 + power / (1.0 + power.max(initial=0.0)), rank[:residual_channels]
        )
        rank[residual_channels:] += np.where(ratios[residual_channels:] >= 1.0, 2.0, 0.0)
        return np.argsort(-rank, kind="stable")

    @staticmethod
    def join(parts: Sequence[Assessment]) -> Assessment:
        """Consecutive chunks as one."""
        if len(parts) == 1:
            return parts[0]
        return Assessment(
            channels=parts[0].channels,
            t_s=np.concatenate([part.t_s for part in parts]),
            strongest=np.concatenate([part.strongest for part in parts]),
            channel_ratio=np.concatenate([part.channel_ratio for part in parts]),
            onset_s=np.concatenate([part.onset_s for part in parts]),
            belief=Belief.join([part.belief for part in parts]),
            increments=parts[0].increments,
            rate_hz=parts[0].rate_hz,
            spike=np.concatenate([part.spike for part in parts]),
            missing=np.concatenate([part.missing for part in parts]),
            alarm=np.concatenate([part.alarm for part in parts]),
        )


def _ranked(belief: Array) -> tuple[tuple[str, float], ...]:
    total = float(belief.sum())
    shares = belief / total if total > 0.0 else np.full(scores.TESTS, 1.0 / scores.TESTS)
    order = np.argsort(-shares, kind="stable")
    return tuple((KINDS[k], float(shares[k])) for k in order)
