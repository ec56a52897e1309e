"""Balances of a wheeled base: wheels against torque, and the way over ground against the wheels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.block import Block
from telemetry.calibration import smooth_sign
from telemetry.watch.common import all_of, drive_rows, travel_rows
from telemetry.watch.directions import COARSE
from telemetry.watch.plain import PlainBalances
from telemetry.watch.row import Row

_DRY_RAD_S = (0.01, 0.05, 0.2, 1.0)  # speeds over which dry friction of a wheel may change sign: the head chooses
_SCRUB_RAD_S = 0.2  # turning rate over which tyres that are dragged sideways change sign


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
                # A mass off the axle pulls outwards and resists the turn as the base moves on.
                average.under(v[:, 2:3] * np.stack([wheels[:, 0] - wheels[:, 1], wheels[:, 0] + wheels[:, 1]], axis=1)),
                average.under(smooth_sign(v[:, 2:3], np.array(_SCRUB_RAD_S))),
            ],
            axis=1,
        )
        turning = [
            Row(
                channel=f"{name}.torque",
                target=acceleration[:, k],
                features=causes,
                rate=speed[:, k],
                driven=2,
                coarse=COARSE,
            )
            for k, name in enumerate(robot.joints[3:5])
        ]
        ahead = np.cos(q[:, 2]) * v[:, 0] + np.sin(q[:, 2]) * v[:, 1]
        aside = np.cos(q[:, 2]) * v[:, 1] - np.sin(q[:, 2]) * v[:, 0]
        over_ground = average.mean(np.stack([ahead, v[:, 2]], axis=1))
        still = np.zeros(len(speed))
        rolling = [
            Row(channel=f"{name}.rolling", target=speed[:, k], features=over_ground, rate=still, stir=speed[:, k])
            for k, name in enumerate(robot.joints[3:5])
        ]
        sideways = Row(
            channel="aside.rolling", target=average.mean(aside), features=speed, rate=still, stir=over_ground[:, 1]
        )
        travel = travel_rows(robot, q, v, average)
        return all_of(turning, rolling, [sideways], drive_rows(robot, block, average, begin), travel)
