"""Balances of a robot on legs: drives against where their joints are held, travel of joints and trunk.

Joint speeds are means over the control period before, as encoders that count steps report them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.block import Block
from telemetry.watch.attitude import attitude_rates
from telemetry.watch.common import all_of, drive_rows, travel_rows
from telemetry.watch.plain import PlainBalances
from telemetry.watch.row import Row


class LeggedBalances(PlainBalances):
    """Drive and travel. Coordinates: joints, then roll, pitch and yaw."""

    def rows(self, block: Block) -> Sequence[Row]:
        m, begin = len(self._robot.actuators), self.history
        q, v = block.group("q")[begin:], block.group("qd")[begin:]
        of_joints = travel_rows(self._robot, q, v, self._average, late=1.0)[:m]
        rates = np.concatenate([v[:, :m], attitude_rates(q[:, m:], v[:, m:])], axis=1)
        of_trunk = travel_rows(self._robot, q, rates, self._average)[m:]
        return all_of(drive_rows(self._robot, block, self._average, begin), of_joints, of_trunk)
