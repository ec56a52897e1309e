"""Balances of a robot on legs: forces and moments on the trunk, drives, travel of joints and trunk.

Each foot pushes with the force that the torques of its leg say, standing or swinging (Featherstone 2008, ch. 9), so the
sum carries the trunk without any knowledge of the contacts. Weights are those of the data sheet; what the robot at hand
weighs beyond them, how its parts are accelerated and what friction takes is linear, and a healthy head teaches it.

Joint speeds are means over the control period before, as encoders that count steps report them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.block import Block
from core.legs import ATTITUDE, Legs, up_in_trunk
from core.robot import Robot
from telemetry.calibration import smooth_sign
from telemetry.watch.attitude import attitude_rates
from telemetry.watch.common import all_of, drive_rows, travel_rows
from telemetry.watch.directions import COARSE
from telemetry.watch.plain import PlainBalances
from telemetry.watch.row import Row

_DRY_RAD_S = 0.2  # speed over which dry friction of a leg joint changes sign


class LeggedBalances(PlainBalances):
    """Force, moment, drive and travel. Coordinates: joints, then roll, pitch and yaw."""

    def __init__(self, robot: Robot) -> None:
        super().__init__(robot)
        self._legs = Legs(robot)

    def rows(self, block: Block) -> Sequence[Row]:
        m, begin = len(self._robot.actuators), self.history
        q, v = block.group("q")[begin:], block.group("qd")[begin:]
        of_joints = travel_rows(self._robot, q, v, self._average, late=1.0)[:m]
        rates = np.concatenate([v[:, :m], attitude_rates(q[:, m:], v[:, m:])], axis=1)
        of_trunk = travel_rows(self._robot, q, rates, self._average)[m:]
        drives = drive_rows(self._robot, block, self._average, begin)
        return all_of(self._carrying(block[begin:]), drives, of_joints, of_trunk)

    def _carrying(self, block: Block) -> list[Row]:
        """Force along and moment about the axes of the trunk, beyond what carries legs and trunk of the data sheet."""
        m, average = self._legs.m, self._average
        q, v, torque = block.group("q"), block.group("qd"), block.group("tau_meas")
        lever = -self._legs.push(q)  # (ticks, 6, m) on the trunk
        weight = self._legs.weight(q)
        beyond = np.einsum("tij,tj->ti", lever, torque - weight[:, 6:]) - weight[:, :6]
        dry = lever * smooth_sign(v[:, :m], np.full(m, _DRY_RAD_S))[:, None, :]
        # A trunk that weighs more than nominal adds along the vertical; friction of the joints is no load.
        shared = np.concatenate([average.mean(up_in_trunk(q[:, m:])), average.increment(v)], axis=1)
        stir = average.mean(np.sqrt(np.square(v[:, :m]).sum(axis=1)))
        names = (*(f"{axis}.force" for axis in "xyz"), *(f"{angle}.moment" for angle in ATTITUDE))
        return [
            Row(
                channel=name,
                target=average.mean(beyond[:, k]),
                features=np.concatenate([shared, average.mean(dry[:, k])], axis=1),
                rate=average.mean(v[:, m + k % 3]),
                driven=0,
                coarse=COARSE,
                stir=stir,
                lever=average.mean(lever[:, k]),
            )
            for k, name in enumerate(names)
        ]
