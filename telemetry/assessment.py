"""The detector's answer to a chunk of rows, and what speaks for an alarm in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry import score_kernels as scores

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """N rows; J = C residual channels plus R raw channels, K tests."""

    channels: tuple[str, ...]  # (J,) names
    t_s: Array  # (N,)
    strongest: Array  # (N,) largest statistic / threshold before the alarm rate's level
    channel_ratio: Array  # (N, J) test ratio of each channel
    onset_s: Array  # (N, J)
    belief: Array  # (N, C, K)
    spike: NDArray[np.bool_]  # (N, C) the residual itself is out of reach
    at_zero: NDArray[np.bool_]  # (N, R) raw channels whose last value is exactly zero
    alarm: NDArray[np.bool_]  # (N,) whether an event is open; written by the tracker

    @property
    def ratio(self) -> Array:
        """(N,) largest test ratio."""
        largest: Array = self.channel_ratio.max(axis=1, initial=0.0)
        return largest

    def evidence(self, row: int) -> Evidence:
        """Why row `row` has its test ratio."""
        ratios = self.channel_ratio[row]
        order = np.argsort(-ratios, kind="stable")
        top, residual_channels = int(order[0]), self.belief.shape[1]
        kinds: tuple[tuple[str, float], ...]
        if top >= residual_channels:
            kinds = ((("dropout" if self.at_zero[row, top - residual_channels] else "freeze"), 1.0),)
        elif self.spike[row, top]:
            kinds = (("spike", 1.0),)
        else:
            kinds = _ranked(self.belief[row, top])
        return Evidence(
            channel=self.channels[top],
            kind=kinds[0][0],
            onset_s=float(self.onset_s[row, top]),
            test_ratio=float(ratios[top]),
            ranking=tuple((self.channels[j], float(ratios[j])) for j in order[:10] if ratios[j] >= 0.1),
            kinds=kinds,
        )

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
            belief=np.concatenate([part.belief for part in parts]),
            spike=np.concatenate([part.spike for part in parts]),
            at_zero=np.concatenate([part.at_zero for part in parts]),
            alarm=np.concatenate([part.alarm for part in parts]),
        )


def _ranked(belief: Array) -> tuple[tuple[str, float], ...]:
    total = float(belief.sum())
    shares = belief / total if total > 0.0 else np.full(scores.TESTS, 1.0 / scores.TESTS)
    order = np.argsort(-shares, kind="stable")
    return tuple((KINDS[k], float(shares[k])) for k in order)
