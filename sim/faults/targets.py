"""Efforts and rates of the coordinates and actuators that a fault sits in."""

from __future__ import annotations

from collections.abc import Iterable

from core.robot import Robot
from sim.effect import Vector


def drive_efforts(robot: Robot, share: float, actuators: Iterable[int]) -> Vector:
    """(m,) `share` of the effort limit of `actuators`."""
    chosen = set(actuators)
    return tuple(share * effort if k in chosen else 0.0 for k, effort in enumerate(robot.limits.effort))


def efforts(robot: Robot, share: float, joints: Iterable[int]) -> Vector:
    """(n,) `share` of the effort limit of the drives behind `joints`; the largest drive's for a passive joint."""
    behind = {joint: robot.limits.effort[k] for k, joint in enumerate(robot.drives) if joint is not None}
    chosen = set(joints)
    strongest = max(robot.limits.effort)
    return tuple(share * behind.get(i, strongest) if i in chosen else 0.0 for i in range(robot.dof))
