"""Telemetry written by hand, for parts of the twin: motion, commands and efforts as the test wants them."""

from __future__ import annotations

from functools import cache

import numpy as np

from core.block import Array, Block
from core.robot import Robot
from sim.catalogue import find_robot
from sim.twin.parts import Stretch
from telemetry.drive import learn_drive


@cache
def robot_named(name: str) -> Robot:
    return find_robot(name)


def block_of(robot: Robot, q: Array, qd: Array, tau_meas: Array, tau_cmd: Array) -> Block:
    """Rows of a robot that wants to be where it is; N rows of n or m columns each."""
    rows = len(q)
    ticks = np.arange(rows)[:, None]
    data = [ticks, ticks * robot.dt_s * 1e9, q, qd, tau_meas, tau_cmd, q, qd, np.zeros_like(q)]
    return Block(data=np.concatenate(data, axis=1), actuators=len(robot.actuators))


def stretch_of(robot: Robot, head: Block, after: Block) -> Stretch:
    return Stretch(robot=robot, head=head, after=after, around=None, drive=learn_drive(robot, head))
