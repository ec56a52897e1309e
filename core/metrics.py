"""What a run was worth: pure functions from arrays to one number, with unit and direction beside them.

Arrays are (N, n): N control ticks, n joints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.robot import Robot

Array = np.ndarray[Any, np.dtype[np.float64]]


def rms_tracking_error(error_rad: Array) -> float:
    """Root mean square of the joint tracking error over all ticks and joints [rad, m or 1]."""
    return float(np.sqrt(np.mean(np.square(error_rad))))


def max_tracking_error(error_rad: Array) -> float:
    """Largest tracking error of any joint at any tick [rad, m or 1]."""
    return float(np.max(np.abs(error_rad)))


def rms_effort(torque_nm: Array) -> float:
    """Root mean square of the joint torques over all ticks and joints [N*m]."""
    return float(np.sqrt(np.mean(np.square(torque_nm))))


def torque_variation(torque_nm: Array) -> float:
    """Mean change of the command from tick to tick, summed over joints [N*m]: chatter, wear and heat."""
    return float(np.mean(np.sum(np.abs(np.diff(torque_nm, axis=0)), axis=1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number by which controllers are compared. Lower is better for every one."""

    name: str
    of: str  # which array it reads: "error" or "torque"
    compute: Callable[[Array], float]

    def unit(self, robot: Robot) -> str:
        """Its unit on a robot."""
        return robot.tracking_unit if self.of == "error" else robot.command_unit


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="rms_tracking_error", of="error", compute=rms_tracking_error),
        Metric(name="max_tracking_error", of="error", compute=max_tracking_error),
        Metric(name="rms_effort", of="torque", compute=rms_effort),
        Metric(name="torque_variation", of="torque", compute=torque_variation),
    )
}


def recovery_ratio(nominal: float, faulted: float, patched: float) -> float | None:
    """Share of the lost performance that came back, clipped to [-1, 1]; None where little was lost.

    Below faulted / nominal = 1.5 the ratio divides by noise and says nothing.
    """
    if not faulted / nominal >= 1.5:
        return None
    return float(np.clip((faulted - patched) / (faulted - nominal), -1.0, 1.0))
