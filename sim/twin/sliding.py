"""Where the wheels of a base slide: what no constant error explains of the way over ground.

A wheel of another size, a constant slip, a heading or a velocity sensor that is off leave a residual that is linear in
the motion. A slide comes and goes. Nothing that the wheels say of the motion holds while it lasts.
"""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array
from sim.twin.parts import Mask
from sim.twin.travel import Travel
from sim.wheeled_base import Base

_SLIDES = 4.0  # standard deviations of the healthy residual
_ROUNDS = 20  # of reweighting


def sliding(travel: Travel, base: Base, noise: Array) -> Mask:
    """(N, 2) whether either wheel slides.

    Args:
        noise: (3,) standard deviation of the healthy way over ground, ahead at either wheel and across [m/s].
    """
    left = _unsteady(travel.over_ground(base), _steady(travel.ground_columns(base)), noise)
    astray: Mask = np.abs(left) > _SLIDES * noise
    return astray[:, :2] | astray[:, 2:]


def holding(travel: Travel, base: Base, noise: Array) -> Array:
    """(N, 1) 1 where no wheel slides, nor did or will an instant away; 0 elsewhere."""
    slides = np.any(sliding(travel, base, noise), axis=1, keepdims=True)
    around = np.pad(slides, ((1, 1), (0, 0)))
    near = around[:-2] | around[1:-1] | around[2:]
    return np.where(near, 0.0, 1.0)


def _steady(columns: Array) -> Array:
    """(N, 3, 7) way over ground per constant error: of radii and track, of the three speeds, of the heading."""
    rows = len(columns)
    skewed = np.zeros((rows, 3, 1))  # where the heading is off, speed across grows with speed
    skewed[:, 2, 0] = columns[:, 0, 0] + columns[:, 1, 1]
    return np.concatenate([columns, np.broadcast_to(np.eye(3), (rows, 3, 3)), skewed], axis=2)


def _unsteady(passed: Array, steady: Array, noise: Array) -> Array:
    """(N, 3) what no constant error explains of `passed`; least absolute deviations, so that slides do not count."""
    width = steady.shape[2]
    rows, target = (steady / noise[:, None]).reshape(-1, width), (passed / noise).reshape(-1)
    weight = np.ones(len(target))
    for _ in range(_ROUNDS):
        weighted = rows * weight[:, None]
        fit = np.linalg.solve(weighted.T @ rows + 1e-6 * np.eye(width), weighted.T @ target)
        weight = 1.0 / np.maximum(np.abs(target - rows @ fit), 1.0)
    left: Array = passed - steady @ fit
    return left
