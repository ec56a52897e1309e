"""Watches one arm: learns its healthy head, then turns telemetry into events, one per fault.

After a patch is committed the monitor expects the twin with its fault, so that a load that stays does not alarm for
ever.
"""

from __future__ import annotations

import numpy as np

from core.block import Array, Block
from core.errors import BadInput
from core.records import Event
from core.rigid_body import RigidBodyModel
from core.robot import FIXED_BASE, Robot
from telemetry.calibration import Calibration, calibrate
from telemetry.detector import Detector
from telemetry.events import EventTracker
from telemetry.lag import command_noise, measure_lag
from telemetry.momentum import MomentumResidual, calibrated_residual

_FIT_SHARE = 2 / 3  # of the head fits the model; the rest shows the detector how wrong that model is on unseen motion


def require_watchable(robot: Robot) -> None:
    """Say before any work begins that this detector cannot watch a robot.

    Raises:
        BadInput: its residuals need the equations of motion of joints on a fixed base.
    """
    if robot.kind != FIXED_BASE:
        raise BadInput(
            f"{robot.name} is a robot of kind {robot.kind}, and the detector watches robots on a fixed base only; "
            "simulate it and fit twins to it from Python (docs/python-api.md), or take an arm"
        )


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
        start, end = float(head.t_s[0]), float(head.t_s[-1])
        self._robot = robot
        self.calibration: Calibration = calibrate(robot, head.between(start, start + _FIT_SHARE * (end - start)))
        self._lag_ticks = round(measure_lag(robot, head, command_noise(robot, head)).ticks)
        self._residual = calibrated_residual(robot, self.calibration, self._lag_ticks)
        self._false_alarms_per_hour = false_alarms_per_hour
        self._head_rows = self._residual.residuals(head)[1]
        self._times: list[Array] = []
        self._ratios: list[Array] = []
        self._restart()

    def _restart(self) -> None:
        self._detector = Detector(
            self._residual.channels,
            self._residual.rate_hz,
            self._false_alarms_per_hour,
            smallest_shift=self._residual.smallest_shift_nm,
        )
        self._detector.calibrate(self._head_rows)
        self.tracker = EventTracker()

    @property
    def threshold_basis(self) -> str:
        """Whether the false-alarm rate was measured on the head or extrapolated from it."""
        return self._detector.threshold_basis

    def watch(self, block: Block) -> Event | None:
        """Take telemetry in order; the event that it opens, if it opens one."""
        t_s, rows = self._residual.residuals(block)
        if not len(t_s):
            return None
        assessment = self._detector.assess(rows, t_s)
        self._times.append(t_s)
        self._ratios.append(assessment.ratio)
        known = len(self.tracker.events)
        self.tracker.update_chunk(assessment)
        return self.tracker.events[known] if len(self.tracker.events) > known else None

    @property
    def history(self) -> tuple[Array, Array]:
        """(M,) time [s] and (M,) test ratio since the head."""
        if not self._times:
            return np.zeros(0), np.zeros(0)
        return np.concatenate(self._times), np.concatenate(self._ratios)

    def expect(self, model: RigidBodyModel, coulomb: Array, motor_gain: Array, offset: Array, late_s: float) -> None:
        """From now on this is normal: the twin with the fault that was patched.

        Args:
            model: rigid-body model with load and viscous friction.
            coulomb: (n,) [N*m].
            motor_gain: (n,) share of the measured torque that reaches the joint.
            offset: (n,) encoder offset.
            late_s: added command delay.
        """
        lag = self._lag_ticks + round(late_s / self._robot.dt_s)
        dry_rad_s = self.calibration.dry_rad_s
        self._residual = MomentumResidual(self._robot, model, coulomb, dry_rad_s, lag, motor_gain, offset)
        self._restart()
