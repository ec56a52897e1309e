"""Tasks of a cart that carries a pole: `balance`, `step` and `sway`.

Cart and pole get references that belong together. The pole's centre of percussion, at y = x + L theta, is a flat output
of the linearised pair (Fliess, Levine, Martin, Rouchon 1995):

    y'' = g theta        so that        theta = y'' / g,        x = y - L y'' / g

and any y with four derivatives is a motion that the pole can follow: before the cart goes right it goes a little left.
"""

from __future__ import annotations

from math import comb

import numpy as np

from core.rigid_body import Array
from core.robot import Robot
from sim.tasks.feasible import nominal_model, within
from sim.tasks.task import TaskKind

_SHIFT_S, _STEP_S = 1.4, 2.8  # one move of `balance` and of `step`, with the rest after it
_SHIFT_SHARE = 0.25  # of the task space that `balance` uses
_REST_SHARE = 0.1  # of a move
_FADE_S = 1.5
_SWAY_HZ = (0.2, 0.4)  # well below the 0.8 Hz of a pole of half a metre: faster motion is mostly lean
_ORDERS = 5  # y and its four derivatives

Offsets = tuple[Array, Array, Array]


def _pole(robot: Robot) -> tuple[float, float]:
    """Length L [m] of the equivalent simple pendulum, and the gravity [m/s^2] that acts on it.

    From the pole's row of the nominal equations about upright: m x'' + J theta'' - G theta = 0.
    """
    model = nominal_model(robot)
    upright, small = np.array(robot.home), np.array([0.0, 1e-4])
    moment, inertia = model.link_inertia(upright)[1].tolist()
    fall = float(model.gravity(upright - small)[1]) - float(model.gravity(upright + small)[1])
    return inertia / moment, fall / 2e-4 / moment


def _rise(ticks: int, dt_s: float) -> Array:
    """(5, ticks) profile 0 to 1 of ninth order with its derivatives; four of them vanish at both ends."""
    profile = np.polynomial.Polynomial([0, 0, 0, 0, 0, 126, -420, 540, -315, 70])
    s = np.arange(1, ticks + 1) / ticks
    return np.stack([profile.deriv(k)(s) / (ticks * dt_s) ** k for k in range(_ORDERS)])


def _moves(goals: Array, ticks: int, dt_s: float) -> Array:
    """(5, ticks) rest-to-rest moves from 0 through `goals` (k,) [m]."""
    out, here, begin = np.zeros((_ORDERS, ticks)), 0.0, 0
    share = ticks // len(goals)
    profile = _rise(round((1.0 - _REST_SHARE) * share), dt_s)
    for goal in goals.tolist():
        end = begin + profile.shape[1]
        out[:, begin:end] = (goal - here) * profile
        out[0, begin:end] += here
        out[0, end:] = here = goal
        begin += share
    return out


def _window(ticks: int, dt_s: float) -> Array:
    """(5, ticks) 0 to 1 and back to 0 with derivatives."""
    up = _rise(round(min(_FADE_S, ticks * dt_s / 3) / dt_s), dt_s)
    window = np.zeros((_ORDERS, ticks))
    window[0] = 1.0
    window[:, : up.shape[1]] = up
    window[:, -up.shape[1] :] = -up
    window[0, -up.shape[1] :] += 1.0
    return window


def _pair(robot: Robot, y: Array) -> Offsets:
    """(ticks, 2) offset, velocity and acceleration of cart and pole for the flat output `y` (5, ticks)."""
    length_m, gravity_m_s2 = _pole(robot)
    lean = y[2:] / gravity_m_s2
    cart = y[:3] - length_m * lean
    position, velocity, acceleration = np.stack([cart, lean], axis=2)
    return position, velocity, acceleration


def _balance(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> Offsets:
    moves = max(2, round(ticks * robot.dt_s / _SHIFT_S))
    reach = 0.5 * _SHIFT_SHARE * (robot.tasks.high[0] - robot.tasks.low[0])
    shifts = reach * rng.uniform(0.5, 1.0, moves) * rng.choice([-1.0, 1.0], moves)
    shifts[-1] = 0.0  # chained tasks do not wander off
    return _pair(robot, _moves(shifts, ticks, robot.dt_s))


def _step(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> Offsets:
    """Every move ends in the other half of the task space, an eighth of it or more from the middle."""
    low, high = robot.tasks.low[0], robot.tasks.high[0]
    middle, least, goals, here = 0.5 * (low + high), 0.125 * (high - low), [], start[0]
    for _ in range(max(1, round(ticks * robot.dt_s / _STEP_S))):
        here = rng.uniform(low, middle - least) if here > middle else rng.uniform(middle + least, high)
        goals.append(here)
    return _pair(robot, _moves(np.array(goals) - start[0], ticks, robot.dt_s))


def _sway(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> Offsets:
    """A sine about the middle of the task space; every point lies between it and the start."""
    low, high = robot.tasks.low[0], robot.tasks.high[0]
    t = np.arange(1, ticks + 1) * robot.dt_s
    omega, phase = 2 * np.pi * rng.uniform(*_SWAY_HZ), rng.uniform(0.0, 2 * np.pi)
    amplitude = 0.5 * (high - low) * rng.uniform(0.5, 1.0)
    order = np.arange(_ORDERS)[:, None]
    wave = amplitude * omega**order * np.sin(omega * t + phase + 0.5 * np.pi * order)
    wave[0] += 0.5 * (low + high) - start[0]
    window = _window(ticks, robot.dt_s)
    y = np.zeros((_ORDERS, ticks))
    for k in range(_ORDERS):  # product rule
        for j in range(k + 1):
            y[k] += comb(k, j) * window[j] * wave[k - j]
    return _pair(robot, y)


KINDS = (
    TaskKind(name="balance", meaning="small shifts of the cart, back to where it started", draw=within(_balance)),
    TaskKind(name="step", meaning="the cart from place to place, with rests", draw=within(_step)),
    TaskKind(name="sway", meaning="the cart to and fro", draw=within(_sway)),
)
