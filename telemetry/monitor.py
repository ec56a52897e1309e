"""Watches one robot: learns its healthy head, then turns telemetry into events, one per fault.

After a patch is committed the monitor expects the robot with the fault that was patched, so that a load that stays does
not alarm for ever, and one that goes away does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.block import Array, Block
from core.records import Event
from core.rigid_body import RigidBodyModel
from core.robot import Robot
from telemetry.alarm_rate import RateSoFar
from telemetry.detector import Detector
from telemetry.events import EventTracker
from telemetry.watch.fixed_base import FixedBaseBalances
from telemetry.watch.kinds import balances_of
from telemetry.watch.regression import RegressionResidual


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A joint robot as it is from now on, fault included."""

    model: RigidBodyModel  # with load and viscous friction
    coulomb: Array  # (n,) [N*m]
    motor_gain: Array  # (m,) share of the measured torque that reaches the joint
    offset: Array  # (n,) of the encoders
    late_s: float  # added delay of commands


class Monitor:
    """The detector of one robot.

    Args:
        robot: the robot.
        head: healthy telemetry to learn from.
        false_alarms_per_hour: what the user puts up with.

    Raises:
        BadInput: the head is too short.
    """

    def __init__(self, robot: Robot, head: Block, false_alarms_per_hour: float = 0.1) -> None:
        self._balances = balances_of(robot)
        self._residual = RegressionResidual(robot, self._balances)
        healthy = self._residual.fit(head)
        self._detector = Detector(
            self._residual.channels,
            self._residual.rate_hz,
            false_alarms_per_hour,
            raw_channels=self._residual.reading_channels,
            smallest_shift=self._residual.smallest_shift,
            increments=self._residual.increments,
        )
        self._detector.calibrate(healthy)
        self.scores = np.zeros(0), np.zeros(0)  # (M,) times [s] and (M,) test ratios of the rows of the last `watch`

    @property
    def channels(self) -> tuple[str, ...]:
        """What is watched."""
        return self._residual.channels

    @property
    def tracker(self) -> EventTracker:
        """Events so far; since the last `expect` or `relearn`."""
        return self._detector.tracker

    @property
    def threshold_basis(self) -> str:
        """Whether the false-alarm rate is "measured" or "extrapolated"."""
        return self._detector.threshold_basis

    @property
    def alarm_rate(self) -> RateSoFar:
        """How the false-alarm rate that was asked for has been kept since the head."""
        return self._detector.alarm_rate.so_far

    def watch(self, block: Block) -> Event | None:
        """Take telemetry in order; the event that it opens, if it opens one."""
        rows = self._residual.residuals(block)
        known = len(self.tracker.events)
        assessment = self._detector.watch(rows)
        self.scores = assessment.t_s, assessment.ratio
        return self.tracker.events[known] if len(self.tracker.events) > known else None

    def confirm(self) -> None:
        """The last event was a fault, not a false alarm."""
        self._detector.confirm()

    def expect(self, expected: Expected | None, recent: Block) -> None:
        """From now on this is normal: the robot with the fault that was patched.

        Args:
            expected: for joints on a fixed base.
            recent: telemetry under that fault: how loud it is, and what it changed in balances without a model.
        """
        if expected is None:
            self._residual.relearn(recent)
        elif isinstance(self._balances, FixedBaseBalances):
            self._balances.expect(
                expected.model, expected.coulomb, expected.motor_gain, expected.offset, expected.late_s
            )
        self._residual.forget()
        self._detector.restart(self._residual.residuals(recent))
        self._residual.forget()
