"""A load that may be there or not: what it explains of a row, within its tolerance, is not held against the robot.

    m <- clip(m + g (L^T W e) / (L^T W L), -tolerance, tolerance)        e = r - L m,  W = 1 / noise^2

g is small, so that neither noise nor a fault that comes and goes is followed, and 1 where a row is clearly off: loads
are picked up and put down at once. Beyond the tolerance nothing is explained, so no fault is learnt away.
"""

from __future__ import annotations

import math

import numpy as np

from core.block import Array
from core.rigid_body import RigidBodyModel
from core.robot import Robot
from telemetry.kernels import compiled
from telemetry.watch.average import Average

_FOLLOWS = 0.02  # share of a row: half a second; chosen
_CLEARLY = 4.0  # standard deviations; chosen


class LoadAllowance:
    """Follows the load of one arm, in kg more than while it was learnt.

    Args:
        robot: says how much loads may differ.
        average: of the rows.
    """

    def __init__(self, robot: Robot, average: Average) -> None:
        self._tolerance_kg, self._average = robot.payload_tolerance_kg, average
        self._load_kg = np.zeros(1)
        self._noise = np.ones(robot.dof)
        self._kilogram = RigidBodyModel(robot)
        self._kilogram.set_weightless()
        self._kilogram.set_payload(1.0)
        self._kilogram.rotor_inertia = np.zeros(robot.dof)
        self._kilogram.damping = np.zeros(robot.dof)

    def learn(self, unexplained: Array) -> None:
        """Take the noise from (M, n) healthy torques that nothing explains [N*m or N]."""
        self._noise = unexplained.std(axis=0) + 1e-12
        self._load_kg[:] = 0.0

    def explained(self, unexplained: Array, q: Array, v: Array) -> Array:
        """(M, n) torque that the load of each row explains [N*m or N]; follows the load.

        Args:
            unexplained: (M, n) torque that the model does not explain.
            q, v: motion, tick by tick.
        """
        if not self._tolerance_kg:
            return np.zeros_like(unexplained)
        per_kg = needed(self._kilogram, q, v, self._average)
        explained = np.empty_like(unexplained)
        _follow(unexplained, per_kg, 1.0 / np.square(self._noise), self._tolerance_kg, self._load_kg, explained)
        return explained


def needed(model: RigidBodyModel, q: Array, v: Array, average: Average) -> Array:
    """(M, n) torque that a motion takes, dry friction left out, row by row [N*m or N]."""
    momentum, gained = np.empty_like(q), np.empty_like(q)
    for t in range(len(q)):
        momentum[t] = model.momentum(q[t], v[t])
        gained[t] = model.momentum_rate_bias(q[t], v[t])
    return np.asarray(average.increment(momentum) - average.under(gained))


@compiled
def _follow(
    unexplained: np.ndarray, per_kg: np.ndarray, weight: np.ndarray, tolerance: float, load: np.ndarray, out: np.ndarray
) -> None:
    for i in range(unexplained.shape[0]):
        said = heard = 0.0
        for c in range(unexplained.shape[1]):
            if math.isfinite(unexplained[i, c]) and math.isfinite(per_kg[i, c]):
                said += per_kg[i, c] * weight[c] * (unexplained[i, c] - per_kg[i, c] * load[0])
                heard += per_kg[i, c] * weight[c] * per_kg[i, c]
        if heard > 0.0:
            share = 1.0 if abs(said) > _CLEARLY * math.sqrt(heard) else _FOLLOWS
            load[0] = min(max(load[0] + share * said / heard, -tolerance), tolerance)
        for c in range(unexplained.shape[1]):
            out[i, c] = per_kg[i, c] * load[0]
