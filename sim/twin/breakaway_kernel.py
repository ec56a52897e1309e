"""Compiled observer of two wheels that stick and slip: predicts each reading from the one before."""

from __future__ import annotations

import math

import numpy as np

from telemetry.kernels import compiled

_SWEEPS = 3  # of Gauss and Seidel over the friction of the two wheels


@compiled
def observe(
    q: np.ndarray,
    v: np.ndarray,
    effort: np.ndarray,
    gain: np.ndarray,
    mobility: np.ndarray,
    part: np.ndarray,
    moment_kgm: float,
    viscous: np.ndarray,
    coulomb: np.ndarray,
    sticks: np.ndarray,
    stribeck_rad_s: float,
    step_s: float,
    steps: int,
    late_steps: int,
) -> np.ndarray:
    """(M - 1, 4) angle and speed of either wheel, as read minus as predicted.

    Args:
        q, v, effort: (M, 2) readings at the end of each tick.
        gain: (2, 2) of the observer.
        mobility: (2, 2) inverse of the wheels' mass matrix.
        part: (2, 2) of a force on the base, and a moment about the axle's middle, that each wheel's torque stands for.
        late_steps: physics steps of a tick in which the effort of the tick before is still in force.
    """
    missed = np.zeros((len(q) - 1, 4))
    angle, rate = q[0].copy(), v[0].copy()
    impulse, level, free = np.zeros(2), np.zeros(2), np.zeros(2)
    for k in range(1, len(q)):
        for step in range(steps):
            given = effort[k - 1] if step < late_steps else effort[k]
            ahead = part[0, 0] * rate[0] + part[1, 0] * rate[1]
            turning = part[0, 1] * rate[0] + part[1, 1] * rate[1]
            force, moment = -moment_kgm * turning * turning, moment_kgm * ahead * turning
            for i in range(2):
                free[i] = step_s * (given[i] - part[i, 0] * force - part[i, 1] * moment)
                speed = abs(rate[i])
                most = coulomb[i] + viscous[i] * speed + sticks[i] * math.exp(-((speed / stribeck_rad_s) ** 2))
                level[i] = step_s * most
                impulse[i] = 0.0
            start0 = rate[0] + mobility[0, 0] * free[0] + mobility[0, 1] * free[1]
            start1 = rate[1] + mobility[1, 0] * free[0] + mobility[1, 1] * free[1]
            for _ in range(_SWEEPS):
                wanted = -(start0 + mobility[0, 1] * impulse[1]) / mobility[0, 0]
                impulse[0] = min(max(wanted, -level[0]), level[0])
                wanted = -(start1 + mobility[1, 0] * impulse[0]) / mobility[1, 1]
                impulse[1] = min(max(wanted, -level[1]), level[1])
            rate[0] = start0 + mobility[0, 0] * impulse[0] + mobility[0, 1] * impulse[1]
            rate[1] = start1 + mobility[1, 0] * impulse[0] + mobility[1, 1] * impulse[1]
            for i in range(2):
                angle[i] += step_s * rate[i]
        for i in range(2):
            off, too_slow = q[k, i] - angle[i], v[k, i] - rate[i]
            missed[k - 1, i], missed[k - 1, 2 + i] = off, too_slow
            angle[i] += gain[0, 0] * off + gain[0, 1] * too_slow
            rate[i] += gain[1, 0] * off + gain[1, 1] * too_slow
    return missed
