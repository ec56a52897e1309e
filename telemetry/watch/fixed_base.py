"""Balances of joints on a fixed base: momentum against torque, by the calibrated rigid-body model.

    p(t) - p(t - dt) = (tau + C^T v - g - friction) dt        p = M(q) v

needs no acceleration (De Luca et al. 2006, eq. 5 to 7) and its residual has no memory beyond the averaging.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.block import Array, Block
from core.rigid_body import RigidBodyModel
from core.robot import Robot
from telemetry.calibration import Calibration, calibrate, smooth_sign
from telemetry.effort import effort_scale, joint_effort
from telemetry.watch.allowance import LoadAllowance, needed
from telemetry.watch.average import Average, ticks_per_row
from telemetry.watch.common import all_of, command_lags, drive_rows, travel_rows
from telemetry.watch.row import Row

FIT_SHARE = 2 / 3  # of the head fits the model; the rest shows how wrong it is on unseen motion
WORTH = 0.01  # of a motor's torque; half of it is let pass


class FixedBaseBalances:
    """Torque, drive and travel of each joint."""

    calibration: Calibration

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self.ticks = ticks_per_row(robot.control_rate_hz)
        self.history = command_lags(robot, self.ticks)[-1]
        self._average = Average(self.ticks, robot.dt_s)
        self._model = RigidBodyModel(robot)
        self._coulomb = np.zeros(robot.dof)
        self._dry_rad_s = np.full(robot.dof, 0.05)
        self._gain, self._offset = np.ones(len(robot.actuators)), np.zeros(robot.dof)
        self._late = 0
        self._load = LoadAllowance(robot, self._average)

    def learn(self, robot: Robot, head: Block) -> None:
        start, end = float(head.t_s[0]), float(head.t_s[-1])
        self.calibration = calibrate(robot, head.between(start, start + FIT_SHARE * (end - start)))
        self._model = self.calibration.model(robot)
        self._coulomb, self._dry_rad_s = self.calibration.coulomb, self.calibration.dry_rad_s
        self._load.learn(self._unexplained(head)[0])

    def expect(
        self, model: RigidBodyModel, coulomb: Array, motor_gain: Array, offset: Array, late_s: float = 0.0
    ) -> None:
        """From now on this is normal: the robot with what was patched.

        Args:
            model: with load and viscous friction.
            coulomb: (n,) [N*m].
            motor_gain: (m,) share of the measured torque that reaches the joint.
            offset: (n,) of the encoders, removed before the model is asked.
            late_s: added delay of commands.
        """
        self.history += round(late_s * self._robot.control_rate_hz) - self._late
        self._late = round(late_s * self._robot.control_rate_hz)
        self._model, self._coulomb, self._gain, self._offset = model, coulomb, motor_gain, offset

    def rows(self, block: Block) -> Sequence[Row]:
        robot, average, begin = self._robot, self._average, self.history
        unexplained, given, q, v = self._unexplained(block)
        target = given + unexplained - self._load.explained(unexplained, q, v)
        speed, worth = average.mean(v), WORTH * effort_scale(robot)
        torque = [
            Row(
                channel=f"{name}.torque",
                target=target[:, i],
                features=given[:, i : i + 1],
                rate=speed[:, i],
                known=True,
                smallest=float(worth[i]),
            )
            for i, name in enumerate(robot.joints)
        ]
        drives = drive_rows(robot, block, average, begin, self._late)
        return all_of(torque, drives, travel_rows(robot, block.group("q")[begin:], v, average))

    def _unexplained(self, block: Block) -> tuple[Array, Array, Array, Array]:
        """(M, n) torques that the model needs beyond the given; those given; the (N, n) motion that they rest on."""
        begin = self.history
        q, v = block.group("q")[begin:] - self._offset, block.group("qd")[begin:]
        reaching = joint_effort(self._robot, block.group("tau_meas")[begin:] * self._gain)
        dry = self._average.under(self._coulomb * smooth_sign(v, self._dry_rad_s))
        given = self._average.under(reaching, late=1.0)
        return needed(self._model, q, v, self._average) + dry - given, given, q, v
