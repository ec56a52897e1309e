"""Model-based residuals of an arm: torque nobody commanded, and commands the drives did not follow.

A channel per joint and a channel per drive, zero on average while the robot is what calibration learned:

    torque_residual   generalised momentum observer: first-order response to any torque the model lacks, without
                      differentiating a velocity (De Luca et al. 2006, eq. 10)
    drive_residual    measured torque minus the command that was due, at the lag learned on the head
"""

from __future__ import annotations

import numpy as np

from core.block import Array, Block
from core.rigid_body import RigidBodyModel
from core.robot import Robot
from telemetry.calibration import Calibration, smooth_sign
from telemetry.effort import effort_scale, joint_effort

OBSERVER_RAD_S = 25.0  # bandwidth of the observer; chosen: settles in 0.1 s, filters velocity noise
ROWS_PER_SAMPLE = 5  # residual rows are kept at a fifth of the control rate: the observer has no more to say


class MomentumResidual:
    """Streams telemetry blocks into residual rows; a block's remainder waits for the next block.

    Args:
        robot: joint order, rates and rotor inertia.
        model: the calibrated rigid-body model; later the twin's, so that a fault that was patched is normal.
        coulomb: (n,) Coulomb friction [N*m].
        dry_rad_s: (n,) speed over which it changes sign.
        lag_ticks: ticks from command to measured torque.
        motor_gain: (m,) share of the measured torque that reaches the joint.
        offset: (n,) encoder offset, removed before the model is asked.
    """

    def __init__(
        self,
        robot: Robot,
        model: RigidBodyModel,
        coulomb: Array,
        dry_rad_s: Array,
        lag_ticks: int,
        motor_gain: Array | None = None,
        offset: Array | None = None,
    ) -> None:
        n, m = robot.dof, len(robot.actuators)
        self._robot = robot
        self._model, self._coulomb, self._dry_rad_s = model, coulomb, dry_rad_s
        self._lag, self._dt_s = lag_ticks, robot.dt_s
        self._gain = np.ones(m) if motor_gain is None else motor_gain
        self._offset = np.zeros(n) if offset is None else offset
        self._limit = np.array(robot.limits.effort)
        self._decay = 1.0 / (1.0 + OBSERVER_RAD_S * self._dt_s)
        self._residual = np.zeros(n)
        self._momentum: Array | None = None
        self._rate = np.zeros(n)
        self._commands: list[Array] = []
        self._count = 0
        self.rate_hz = robot.control_rate_hz / ROWS_PER_SAMPLE
        # Below half a per cent of a motor's torque the model is wrong more often than the robot.
        self.smallest_shift_nm = np.concatenate([0.005 * effort_scale(robot), np.zeros(m)])
        self.channels = tuple(f"{j}.torque_residual" for j in robot.joints) + tuple(
            f"{a}.drive_residual" for a in robot.actuators
        )

    def residuals(self, block: Block) -> tuple[Array, Array]:
        """(M,) time [s] and (M, n + m) residuals [N*m] of the rows that are due, about one in `ROWS_PER_SAMPLE`.

        The first rows, until the lag is filled, have drive residual zero.
        """
        times, rows = [], []
        reaching = joint_effort(self._robot, block.group("tau_meas") * self._gain)
        groups = (block.group("q"), block.group("qd"), reaching, block.group("tau_meas"), block.group("tau_cmd"))
        for t, q, v, torque, tau, command in zip(block.t_s, *groups, strict=True):
            self._observe(q - self._offset, v, torque)
            self._commands.append(np.clip(command, -self._limit, self._limit))
            if len(self._commands) > self._lag + 1:
                self._commands.pop(0)
            self._count += 1
            if self._count % ROWS_PER_SAMPLE == 0:
                drive = tau - self._commands[0] if len(self._commands) == self._lag + 1 else np.zeros(len(tau))
                times.append(t)
                rows.append(np.concatenate([self._residual, drive]))
        return np.array(times), np.array(rows).reshape(-1, len(self.channels))

    def _observe(self, q: Array, v: Array, tau: Array) -> None:
        """One step of r = K (p - integral of (tau + C^T v - g - friction + r)), implicit in r.

        `tau` acted since the previous row; the model terms are the mean of both rows: strong friction changes within a
        slow tick.
        """
        momentum = self._model.momentum(q, v)
        rate = self._model.momentum_rate_bias(q, v) - self._coulomb * smooth_sign(v, self._dry_rad_s)
        if self._momentum is not None:
            gained = (momentum - self._momentum) / self._dt_s - 0.5 * (self._rate + rate)
            self._residual = self._decay * (self._residual + OBSERVER_RAD_S * self._dt_s * (gained - tau))
        self._momentum, self._rate = momentum, rate


def calibrated_residual(robot: Robot, calibration: Calibration, lag_ticks: int) -> MomentumResidual:
    """The residual of the healthy robot."""
    return MomentumResidual(robot, calibration.model(robot), calibration.coulomb, calibration.dry_rad_s, lag_ticks)
