"""What a gear with play keeps from the link: the whole effort, for as long as the motor crosses the gap."""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array
from telemetry.kernels import compiled


def lost_in_play(effort: Array, inertia: Array, width: Array, dt_s: float) -> Array:
    """(W, M, m) effort [N*m] that does not arrive, for each of W widths.

    Dead-zone model: the motor crosses the gap with its own inertia and lands without bounce (Nordin and Gutman 2002).

    Args:
        effort: (M, m) motor effort at every tick.
        inertia: (m,) of the motor at the joint [kg*m^2].
        width: (W,) of the gap [rad].
        dt_s: tick.
    """
    half = 0.5 * width
    push = effort / np.where(inertia > 0, inertia, 0.01) * dt_s  # change of the motor's speed in a tick
    lost = np.zeros((len(width), *effort.shape))
    _cross(effort, push, half, dt_s, lost)
    return lost


@compiled
def _cross(effort: Array, push: Array, half: Array, dt_s: float, lost: Array) -> None:
    """Fill `lost` for gears that start at rest on the side that they push."""
    for w in range(len(half)):
        for k in range(effort.shape[1]):
            gap, speed = np.sign(effort[0, k]) * half[w], 0.0
            for tick in range(len(effort)):
                touches = effort[tick, k] * gap > 0.0 and abs(gap) >= half[w]
                speed = 0.0 if touches else speed + push[tick, k]
                moved = gap + speed * dt_s
                if abs(moved) >= half[w]:
                    speed = 0.0
                gap = min(max(moved, -half[w]), half[w])
                lost[w, tick, k] = 0.0 if touches or half[w] <= 0.0 else effort[tick, k]
