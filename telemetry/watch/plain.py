"""Balances of any robot: drives follow their commands, positions their velocities."""

from __future__ import annotations

from collections.abc import Sequence

from core.block import Block
from core.robot import Robot
from telemetry.watch.average import Average, ticks_per_row
from telemetry.watch.common import all_of, command_lags, drive_rows, travel_rows
from telemetry.watch.row import Row


class PlainBalances:
    """Drive and travel; kinds of robot of which more is known add to it."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self.ticks = ticks_per_row(robot.control_rate_hz)
        self.history = command_lags(robot, self.ticks)[-1]
        self._average = Average(self.ticks, robot.dt_s)

    def learn(self, robot: Robot, head: Block) -> None:
        """Everything is a regression."""

    def rows(self, block: Block) -> Sequence[Row]:
        begin = self.history
        travel = travel_rows(self._robot, block.group("q")[begin:], block.group("qd")[begin:], self._average)
        return all_of(drive_rows(self._robot, block, self._average, begin), travel)
