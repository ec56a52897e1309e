"""Balances of a robot on legs: drives against where their joints are held, travel of joints and trunk.

Joint speeds are means over the control period before, as encoders that count steps report them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.block import Block
from core.robot import Robot
from telemetry.watch.attitude import attitude_rates
from telemetry.watch.average import Average, ticks_per_row
from telemetry.watch.common import all_of, command_lags, drive_rows, travel_rows
from telemetry.watch.row import Row


class LeggedBalances:
    """Drive and travel. Coordinates: joints, then roll, pitch and yaw."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self.ticks = ticks_per_row(robot.control_rate_hz)
        self.history = command_lags(robot, self.ticks)[-1]
        self._average = Average(self.ticks, robot.dt_s)

    def learn(self, robot: Robot, head: Block) -> None:
        """Everything is a regression."""

    def rows(self, block: Block) -> Sequence[Row]:
        m, begin = len(self._robot.actuators), self.history
        q, v = block.group("q")[begin:], block.group("qd")[begin:]
        of_joints = travel_rows(self._robot, q, v, self._average, late=1.0)[:m]
        rates = np.concatenate([v[:, :m], attitude_rates(q[:, m:], v[:, m:])], axis=1)
        of_trunk = travel_rows(self._robot, q, rates, self._average)[m:]
        return all_of(drive_rows(self._robot, block, self._average, begin), of_joints, of_trunk)
