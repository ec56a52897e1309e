"""One residual channel of a robot: a quantity, and what it is a linear function of while the robot is healthy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.block import Array, Block
from core.robot import Robot


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """M rows of one channel."""

    channel: str  # such as "joint_2.torque"
    target: Array  # (M,)
    features: Array  # (M, F); F = 1 and `known` where nothing has to be learnt
    rate: Array  # (M,) speed of what it measures
    stir: Array | None = None  # (M,) how much the robot moves, where that says more than `rate`
    noise: Array | None = None  # (F,) standard deviation of what the sensors add to each feature; None: nothing
    driven: int | None = None  # features, from the first on, that effort brings about; None: all
    known: bool = False  # the single feature is the expectation itself
    lever: Array | None = None  # (M, m) what a unit of each actuator's effort does to it, times its weight if `driven`
    increment: bool = False  # of a reading: a jump in it is an offset
    smallest: float = 0.0  # shift of the target that is worth an alarm, in its unit
    coarse: float = 0.0  # the same, in standard deviations of its residual on the head


class Balances(Protocol):
    """What one kind of robot keeps in balance."""

    ticks: int  # control periods to a row
    history: int  # ticks before the first row's that the features reach back

    def learn(self, robot: Robot, head: Block) -> None:
        """Take from a healthy head what the features need, such as a calibrated model."""
        ...

    def rows(self, block: Block) -> Sequence[Row]:
        """Channels of M rows.

        Args:
            block: `history` ticks, then M + 1 groups of `ticks` ticks.
        """
        ...
