"""Balances of a wheeled base: wheels against torque, and the way over ground against the wheels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.block import Block
from telemetry.calibration import smooth_sign
from telemetry.watch.common import all_of, drive_rows, travel_rows
from telemetry.watch.plain import PlainBalances
from telemetry.watch.row import Row

_DRY_RAD_S = (0.01, 0.05, 0.2, 1.0)  # speeds over which dry friction of a wheel may change sign: the head chooses


class DiffdriveBalances(PlainBalances):
    """Wheel torque, rolling, drive and travel. Coordinates: x, y, yaw, left and right wheel."""

    def rows(self, block: Block) -> Sequence[Row]:
        robot, average, begin = self._robot, self._average, self.history
        q, v, u = (block.group(name)[begin:] for name in ("q", "qd", "tau_meas"))
        wheels = v[:, 3:5]
        acceleration, speed = average.increment(wheels), average.mean(wheels)
        dry = [smooth_sign(wheels, np.array(dry_rad_s)) for dry_rad_s in _DRY_RAD_S]
        causes = np.concatenate(
            [
                average.under(u, late=1.0),
                average.under(np.concatenate([wheels, *dry], axis=1)),
                average.under((v[:, 2] * (wheels[:, 0] - wheels[:, 1]))[:, None]),
            ],
            axis=1,
        )
        turning = [
            Row(channel=f"{name}.torque", target=acceleration[:, k], features=causes, rate=speed[:, k])
            for k, name in enumerate(robot.joints[3:5])
        ]
        ahead = np.cos(q[:, 2]) * v[:, 0] + np.sin(q[:, 2]) * v[:, 1]
        aside = np.cos(q[:, 2]) * v[:, 1] - np.sin(q[:, 2]) * v[:, 0]
        rolling = [
            Row(channel=f"{name}.rolling", target=average.mean(way), features=speed, rate=average.mean(way))
            for name, way in (("ahead", ahead), ("aside", aside), ("yaw", v[:, 2]))
        ]
        travel = travel_rows(robot, q, v, average)
        return all_of(turning, rolling, drive_rows(robot, block, average, begin), travel)
