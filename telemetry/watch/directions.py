"""Which actuator a disturbance of several balances points to.

A rotor that gives less than it says shows in one force and three moments, a weak leg joint in all six rows of the
trunk. Each actuator has its own direction in the space of these balances; the residual along it, weighed by how noisy
each balance is, is the matched filter for that actuator, and louder than any single balance if it is to blame
(Kay 1998, Detection Theory, 4.4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.block import Array
from core.robot import Robot
from telemetry.watch.row import Row

COARSE = 1.0  # standard deviations of a balance that nobody knows better than its noise; chosen
_TINY = 1e-12


class Directions:
    """Channels "ACTUATOR.output", in standard deviations of the head.

    Args:
        robot: the robot.
        rows: of the head; those with levers count.
        weights: (1 + F,) of each row.
        noise: (C,) standard deviation of each row's residual on the head.
    """

    def __init__(self, robot: Robot, rows: Sequence[Row], weights: Sequence[Array], noise: Array) -> None:
        self._rows = [c for c, row in enumerate(rows) if row.lever is not None]
        count = len(robot.actuators)
        self._gains = [weights[c][1 : 1 + count] if rows[c].driven == count else np.ones(count) for c in self._rows]
        self._weight = 1.0 / np.square(np.maximum(noise[self._rows], _TINY))
        self.channels = tuple(f"{name}.output" for name in robot.actuators) if self._rows else ()

    def stir(self, rows: Sequence[Row]) -> Array:
        """(M,) how much the robot moves, as the first of the balances says."""
        first = rows[self._rows[0]]
        return first.rate if first.stir is None else first.stir

    def along(self, rows: Sequence[Row], residual: Array) -> tuple[Array, Array]:
        """(M, m) residual along each direction, and (M, m) what one unit of effort would be there.

        Args:
            residual: (M, C) of `rows`.
        """
        along, size = np.zeros((len(residual), len(self.channels))), np.zeros((len(residual), len(self.channels)))
        for c, gain, weight in zip(self._rows, self._gains, self._weight.tolist(), strict=True):
            lever = rows[c].lever
            assert lever is not None
            column = lever * gain
            along += weight * column * residual[:, c : c + 1]
            size += weight * column * column
        norm = np.sqrt(np.maximum(size, _TINY))
        return along / norm, norm
