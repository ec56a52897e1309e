"""Effort at the coordinates of a robot, from the effort of its drives, and how much of it counts as large."""

from __future__ import annotations

import numpy as np

from core.block import Array
from core.robot import Robot


def joint_effort(robot: Robot, effort: Array) -> Array:
    """(N, n) effort at the coordinates of `effort` (N, m) at the drives; zero where nothing drives."""
    at = np.zeros((len(effort), robot.dof))
    for k, joint in enumerate(robot.drives):
        if joint is not None:
            at[:, joint] = effort[:, k]
    return at


def effort_scale(robot: Robot) -> Array:
    """(n,) effort that counts as large at each coordinate [N*m or N]: its drive's limit.

    Where nothing drives there are bearings only: a tenth of the strongest drive.
    """
    effort = joint_effort(robot, np.array([robot.limits.effort]))[0]
    scale: Array = np.where(effort > 0, effort, 0.1 * effort.max())
    return scale
