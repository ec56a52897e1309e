"""Balances of a flying robot: forces along the world's axes and moments about the body's.

    v' = R e3 (c . u) - drag + g        w' = B u + gyroscopic moments

are linear in what a data sheet would have to say (mass, thrust factors, drag, inertia), so a healthy head teaches them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.block import Block
from telemetry.watch.attitude import attitude_rates, rotation
from telemetry.watch.common import all_of, drive_rows, travel_rows
from telemetry.watch.plain import PlainBalances
from telemetry.watch.row import Row


class QuadrotorBalances(PlainBalances):
    """Force, moment, drive and travel."""

    def rows(self, block: Block) -> Sequence[Row]:
        robot, average, begin = self._robot, self._average, self.history
        q, v, u = (block.group(name)[begin:] for name in ("q", "qd", "tau_meas"))
        body = rotation(q[:, 3:6])
        linear, turn = average.increment(v), average.mean(v)
        forces, moments = [], []
        stir = average.mean(np.sqrt(np.square(v[:, 3:]).sum(axis=1)))
        along = np.stack([sum(body[:, j, i] * v[:, j] for j in range(3)) for i in range(3)], axis=1)
        for k, axis in enumerate("xyz"):
            thrust = average.under(u * body[:, k, 2:3], late=1.0)
            drag = average.under(body[:, k, :] * along)
            forces.append(
                Row(
                    channel=f"{axis}.force",
                    target=linear[:, k],
                    features=np.concatenate([thrust, drag], axis=1),
                    rate=turn[:, k],
                    lever=np.repeat(average.mean(body[:, k, 2:3]), len(robot.actuators), axis=1),
                    driven=len(robot.actuators),
                    stir=stir,
                )
            )
        p, w, r = v[:, 3], v[:, 4], v[:, 5]
        for k, (name, gyroscopic) in enumerate(zip(robot.joints[3:6], (w * r, p * r, p * w), strict=True)):
            others = average.under(np.stack([gyroscopic, v[:, 3 + k]], axis=1))
            moments.append(
                Row(
                    channel=f"{name}.moment",
                    target=linear[:, 3 + k],
                    features=np.concatenate([average.under(u, late=1.0), others], axis=1),
                    rate=turn[:, 3 + k],
                    lever=np.ones((len(turn), len(robot.actuators))),
                    driven=len(robot.actuators),
                    stir=stir,
                )
            )
        rates = np.concatenate([v[:, :3], attitude_rates(q[:, 3:6], v[:, 3:6])], axis=1)
        travel = travel_rows(robot, q, rates, average)
        return all_of(forces, moments, drive_rows(robot, block, average, begin), travel)
