"""The threshold that keeps a false-alarm rate: extrapolated at first, measured once there is enough healthy telemetry.

The strongest test ratio of every block of ten seconds is kept. Its tail is taken as exponential beyond the block's
upper tenth (peaks over threshold, Pickands 1975, with shape 0: sums of bounded products have no heavier tail), which
gives the level that healthy blocks exceed at the admissible rate. Before there are blocks enough the level rests on the
head's autocorrelation and kurtosis alone (`telemetry.tail`), which asks for too much rather than too little.

Only what passed as healthy is learnt from: never a block with an alarm that is still open. An alarm that ended by
itself and that nobody has confirmed counts as one healthy block, with all that it reached; a confirmed one does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BLOCK_S = 10.0  # chosen: longer than the longest memory, so that neighbouring blocks are nearly independent
MEASURED_AFTER = 3.0  # false alarms that healthy time would have held at the admissible rate
_TAIL_SHARE = 0.1  # chosen: of the blocks, beyond which the tail is fitted
_LEAST_TAIL = 10  # blocks in the tail
_KEPT = 512  # largest blocks that are remembered, so that memory is bounded
_PRIOR = 0.12  # scale of the tail before it is known, in thresholds; chosen: healthy robots showed 0.05 to 0.15
_PRIOR_WEIGHT = 5.0  # blocks in the tail that this belief is worth
_LEAST, _MOST = 0.5, 5.0  # bounds of the level
_DOUBT, _DOUBT_BLOCKS = 0.5, 20.0  # added share after a change, and how soon it fades; chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSoFar:
    """How the admissible rate was kept until now."""

    admitted_per_hour: float
    false_alarms: int  # alarms that ended by themselves and were not confirmed
    healthy_h: float  # time without a confirmed alarm, the head included [h]
    basis: str  # of the level: "measured" or "extrapolated"

    @property
    def realised_per_hour(self) -> float:
        """False alarms per hour of healthy time; NaN before there was any."""
        return self.false_alarms / self.healthy_h if self.healthy_h else float("nan")


@dataclass(slots=True)
class AlarmRate:
    """Level of the strongest test ratio at which an alarm opens.

    Args:
        per_hour: admissible false alarms.
    """

    per_hour: float
    blocks: int = 0  # healthy ones so far
    largest: Array = None  # type: ignore[assignment] # (<= _KEPT,) maxima, descending
    false_alarms: int = 0  # alarms that ended by themselves and were not confirmed
    since_change: int = _KEPT  # healthy blocks since the robot became another one
    level: float = 1.0

    def __post_init__(self) -> None:
        if self.largest is None:
            self.largest = np.zeros(0)
        self._settle()

    @property
    def healthy_h(self) -> float:
        """Healthy time so far [h]."""
        return self.blocks * BLOCK_S / 3600.0

    @property
    def basis(self) -> str:
        """Whether the rate was measured on healthy telemetry or extrapolated from it."""
        return "measured" if self.healthy_h * self.per_hour >= MEASURED_AFTER else "extrapolated"

    @property
    def so_far(self) -> RateSoFar:
        """What was counted until now."""
        return RateSoFar(
            admitted_per_hour=self.per_hour,
            false_alarms=self.false_alarms,
            healthy_h=self.healthy_h,
            basis=self.basis,
        )

    def learn(self, maxima: Array) -> None:
        """Take the strongest ratios of (B,) healthy blocks."""
        self.blocks += len(maxima)
        self.since_change += len(maxima)
        self.largest = np.sort(np.concatenate([self.largest, maxima]))[::-1][:_KEPT]
        self._settle()

    def passed(self, strongest: float) -> None:
        """An alarm that reached `strongest` ended by itself, and nobody confirmed it."""
        self.false_alarms += 1
        self.learn(np.array([max(strongest, self.level)]))

    def changed(self) -> None:
        """The robot is another one from now on: what the head said is less certain for some minutes."""
        self.since_change = 0
        self._settle()

    def _settle(self) -> None:
        """The level from what is known."""
        self.level = (1.0 + _DOUBT * np.exp(-self.since_change / _DOUBT_BLOCKS)) * self._from_tail()

    def _from_tail(self) -> float:
        rate = min(self.per_hour * BLOCK_S / 3600.0, 0.5)
        count = min(max(_LEAST_TAIL, round(_TAIL_SHARE * self.blocks)), len(self.largest) - 1)
        if self.blocks < 2 * _LEAST_TAIL or count < _LEAST_TAIL:
            # From the largest so far on, which one block in `blocks` reaches, by the tail that is usual.
            if not len(self.largest):
                return 1.0
            rarer = max(np.log(1.0 / (self.blocks * rate)), 0.0)
            return float(min(max(1.0, 1.1 * float(self.largest[0]), float(self.largest[0]) + _PRIOR * rarer), _MOST))
        beyond = float(self.largest[count])
        scale = float(np.mean(self.largest[:count] - beyond))
        scale = (count * scale + _PRIOR_WEIGHT * _PRIOR) / (count + _PRIOR_WEIGHT)
        return float(np.clip(beyond + scale * np.log(count / (self.blocks * rate)), _LEAST, _MOST))

    def arrays(self) -> dict[str, Array]:
        """Everything, as named arrays."""
        numbers = np.array([self.per_hour, self.blocks, self.false_alarms, self.since_change])
        return {"alarm_rate": numbers, "alarm_rate_largest": self.largest.copy()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> AlarmRate:
        """Inverse of `arrays`; other keys are ignored."""
        per_hour, blocks, false_alarms, since_change = arrays["alarm_rate"].tolist()
        largest = arrays["alarm_rate_largest"].copy()
        return cls(per_hour, int(blocks), largest, int(false_alarms), int(since_change))
