"""What a gear with play keeps from the link: the whole effort, for as long as the motor crosses the gap."""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array


def lost_in_play(effort: Array, inertia: Array, width: Array, dt_s: float) -> Array:
    """(W, M, m) effort [N*m] that does not arrive, for each of W widths.

    Dead-zone model: the motor crosses the gap with its own inertia and lands without bounce (Nordin and Gutman 2002).

    Args:
        effort: (M, m) motor effort at every tick.
        inertia: (m,) of the motor at the joint [kg*m^2].
        width: (W,) of the gap [rad].
        dt_s: tick.
    """
    half = 0.5 * width[:, None]
    push = effort / np.where(inertia > 0, inertia, 0.01) * dt_s  # change of the motor's speed in a tick
    gap = np.sign(effort[0]) * half
    speed = np.zeros_like(gap)
    lost = np.zeros((len(width), *effort.shape))
    for tick in range(len(effort)):
        touches = (effort[tick] * gap > 0) & (np.abs(gap) >= half)
        speed = np.where(touches, 0.0, speed + push[tick])
        moved = gap + speed * dt_s
        speed = np.where(np.abs(moved) >= half, 0.0, speed)
        gap = np.clip(moved, -half, half)
        lost[:, tick] = np.where(touches | (half <= 0), 0.0, effort[tick])
    return lost
