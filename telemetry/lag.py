"""How late commands reach the motors: the shift at which the measured torque repeats the commanded one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.block import Array, Block
from core.robot import Robot

_LONGEST_S = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Lag of the torque behind the command in one stretch of telemetry."""

    ticks: float  # best shift, refined between ticks
    loss: Array  # (S,) half the sum of squared normalised residuals at 0, 1, 2 ... ticks
    std_ticks: float  # standard deviation of `ticks`


def command_noise(robot: Robot, head: Block) -> Array:
    """(n,) standard deviation of measured minus commanded torque on healthy telemetry, at its best shift [N*m]."""
    residuals = [_shifted(robot, head, shift) for shift in range(_shifts(robot))]
    best = min(residuals, key=lambda r: float(np.square(r).sum()))
    noise: Array = np.maximum(best.std(axis=0), 1e-3)
    return noise


def measure_lag(robot: Robot, block: Block, noise_nm: Array) -> Lag:
    """Scan shifts of the command against the measured torque.

    Args:
        noise_nm: (n,) from `command_noise`.
    """
    loss = np.array([0.5 * np.square(_shifted(robot, block, s) / noise_nm).sum() for s in range(_shifts(robot))])
    best = int(np.argmin(loss))
    ticks, std = float(best), 0.3
    if 0 < best < len(loss) - 1:  # parabola through the three lowest points
        left, mid, right = loss[best - 1 : best + 2]
        curvature = left - 2 * mid + right
        ticks += float(np.clip(0.5 * (left - right) / curvature, -0.5, 0.5))
        std = float(max(1.0 / np.sqrt(curvature), 0.05))
    return Lag(ticks=ticks, loss=loss, std_ticks=std)


def _shifts(robot: Robot) -> int:
    return round(_LONGEST_S * robot.control_rate_hz)


def _shifted(robot: Robot, block: Block, shift: int) -> Array:
    """(M, n) measured torque minus the command of `shift` ticks before; M is the same for every shift."""
    longest = _shifts(robot)
    limit = np.array(robot.limits.effort)
    command = np.clip(block.group("tau_cmd"), -limit, limit)
    end = len(block)
    return block.group("tau_meas")[longest:] - command[longest - shift : end - shift]
