"""Efforts and rates of the coordinates and actuators that a fault sits in."""

from __future__ import annotations

from collections.abc import Iterable

from core.rigid_body import weight_about
from core.robot import Robot
from sim.effect import Vector


def drive_efforts(robot: Robot, share: float, actuators: Iterable[int]) -> Vector:
    """(m,) `share` of the effort limit of `actuators`."""
    chosen = set(actuators)
    return tuple(share * effort if k in chosen else 0.0 for k, effort in enumerate(robot.limits.effort))


def efforts(robot: Robot, share: float, joints: Iterable[int]) -> Vector:
    """(n,) `share` of the rated effort of `joints`."""
    chosen = set(joints)
    return tuple(share * rated_effort(robot, i) if i in chosen else 0.0 for i in range(robot.dof))


def rated_effort(robot: Robot, joint: int) -> float:
    """The limit of the drive behind a joint; of a passive one the most that weight asks of it [N*m or N]."""
    if joint in robot.drives:
        return robot.limits.effort[robot.drives.index(joint)]
    return weight_about(robot, joint) or max(robot.limits.effort)
