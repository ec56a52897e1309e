"""Rest-to-rest motion: the minimum-jerk quintic (Flash and Hogan 1985) and chains of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.rigid_body import Array

SETTLE_S = 0.1  # rest after each move


def minimum_jerk(ticks: int, dt_s: float) -> tuple[Array, Array, Array]:
    """Profile 0 to 1 over `ticks`, with its first two time derivatives."""
    duration = ticks * dt_s
    s = np.arange(1, ticks + 1) / ticks
    position = s**3 * (10 - 15 * s + 6 * s**2)
    velocity = 30 * s**2 * (1 - s) ** 2 / duration
    acceleration = 60 * s * (1 - s) * (1 - 2 * s) / duration**2
    return position, velocity, acceleration


def through(start: Array, goals: Sequence[Array], ticks: int, dt_s: float) -> tuple[Array, Array, Array]:
    """(ticks, n) rest-to-rest moves from `start` (n,) through `goals`, as offsets from `start`."""
    rest = round(SETTLE_S / dt_s)
    share = ticks // len(goals)
    out = tuple(np.zeros((ticks, len(start))) for _ in range(3))
    profile = minimum_jerk(max(share - rest, 2), dt_s)
    begin, here = 0, np.zeros(len(start))
    for goal in goals:
        step = goal - start - here
        end = begin + len(profile[0])
        for rows, values in zip(out, profile, strict=True):
            rows[begin:end] = values[:, None] * step
        out[0][begin:end] += here
        here = here + step
        out[0][end:] = here
        begin += share
    return out[0], out[1], out[2]


def fade(ticks: int, dt_s: float) -> tuple[Array, Array, Array]:
    """(ticks,) window that rises from 0 to 1 within a second and falls again at the end, with its derivatives."""
    rise = min(1.0, ticks * dt_s / 4)
    up, upd, updd = minimum_jerk(round(rise / dt_s), dt_s)
    window, windowd, windowdd = np.ones(ticks), np.zeros(ticks), np.zeros(ticks)
    n = len(up)
    window[:n], windowd[:n], windowdd[:n] = up, upd, updd
    window[-n:], windowd[-n:], windowdd[-n:] = 1 - up, -upd, -updd
    return window, windowd, windowdd
