"""How feet stand on the ground: what they press, and how far they slide.

Feet that stand keep their distances, but for rolling: a foot is a ball. Only the joints of the legs say so, and neither
the trunk's place nor the forces, so a slide of half a millimetre shows.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.ndimage import minimum_filter1d

from core.block import Block
from core.legs import Legs, up_in_trunk
from core.rigid_body import Array
from sim.kinds import nominal_physics
from sim.twin.balance import foot_forces
from sim.twin.parts import Mask
from telemetry.motion import low_pass

_CUTOFF_HZ = 10.0
WHILE_S = 0.05  # over which a slide is measured
_STANDS_N = 8.0  # a foot that carries less may be in the air
_AROUND_S = 0.15  # before and after which it has to stand as well: feet slide as they are put down


class Tread:
    """The feet of a robot over a stretch of telemetry of M ticks."""

    def __init__(self, legs: Legs, block: Block) -> None:
        robot, m = legs.robot, legs.m
        self._legs, self._size = legs, round(WHILE_S * robot.control_rate_hz)
        friction = float(np.asarray(nominal_physics(robot).constants["ground_friction"]))
        q, torque = (low_pass(block.group(name), _CUTOFF_HZ, robot.control_rate_hz) for name in ("q", "tau_meas"))
        self._q, self._up = q, up_in_trunk(q[:, m:])
        push = foot_forces(legs, q, torque - legs.weight(q)[:, 6:])
        self.onto: Array = np.einsum("nki,ni->nk", push, self._up)  # (M, k) force onto the ground [N]
        across = np.linalg.norm(push - self.onto[..., None] * self._up[:, None], axis=2)
        self.use: Array = across / (friction * np.maximum(self.onto, 1.0))  # (M, k) share of the nominal friction
        self._step = low_pass(block.group("qd")[:, :m], _CUTOFF_HZ, robot.control_rate_hz) * robot.dt_s
        self._pairs = list(combinations(range(legs.feet), 2))

    def slides(self) -> tuple[Array, Array]:
        """(B, p) by how much p pairs of feet have slid apart in each of B whiles [m], by the angles and by the speeds.

        The angles are read more closely. A position sensor that slips, sticks or has a wrong scale takes no foot
        anywhere, and the speeds know.
        """
        legs = self._legs
        points, by_joint = legs.contacts(self._q)
        turned = np.diff(self._q[:, : legs.m], axis=0, prepend=self._q[:1, : legs.m])
        way = []
        for step in (turned, self._step):
            moved = np.einsum("nkij,nkj->nki", by_joint, step.reshape(-1, legs.feet, 3))
            each = []
            for i, j in self._pairs:
                apart = points[:, i] - points[:, j]
                each.append(((moved[:, i] - moved[:, j]) * apart).sum(axis=1) / np.linalg.norm(apart, axis=1))
            way.append(self._sums(np.stack(each, axis=1)))
        return way[0], way[1]

    def stands(self) -> Mask:
        """(B, p) whether both feet of a pair stand all the while."""
        around = 2 * round(_AROUND_S * self._legs.robot.control_rate_hz) + 1
        stands = minimum_filter1d((self.onto > _STANDS_N).astype(float), around, axis=0)
        both = np.stack([stands[:, i] * stands[:, j] for i, j in self._pairs], axis=1)
        return np.asarray(self._sums(both) > self._size - 0.5)

    def pair_use(self) -> Array:
        """(B, p) share of the nominal friction that the foot of a pair uses which uses more."""
        larger = np.stack([np.maximum(self.use[:, i], self.use[:, j]) for i, j in self._pairs], axis=1)
        return self._sums(larger) / self._size

    def _sums(self, signal: Array) -> Array:
        """(B, ...) sums of `signal` (M, ...) over whiles."""
        whole = len(signal) // self._size * self._size
        sums: Array = signal[:whole].reshape(-1, self._size, *signal.shape[1:]).sum(axis=1)
        return sums
