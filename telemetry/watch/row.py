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
    known: bool = False  # the single feature is the expectation itself
    smallest: float = 0.0  # shift of the target that is worth an alarm, in its unit


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
