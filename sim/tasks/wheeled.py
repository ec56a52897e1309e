"""Tasks of wheeled bases: `shuttle`, `eight` and `slalom`.

Each is a chain of moves that start and end at rest: turns on the spot, straight lines and curves. A move is a shape,
heading over progress, with the minimum-jerk profile as its course over time; forward or backward, so that the wheels
never have to slip sideways. Moves shrink until the nominal model says that speed and torque stay inside the robot's
task space and the base inside its room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from core.rigid_body import Array
from core.robot import Robot
from sim.tasks.profile import SETTLE_S, minimum_jerk
from sim.tasks.task import TaskKind
from sim.wheeled_base import Base, nominal_base

Rows = tuple[Array, Array, Array]  # (N, 5) position, velocity, acceleration
Heading = Callable[[Array], tuple[Array, Array, Array]]  # of progress 0 to 1: turned angle [rad] and two derivatives

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)  # in each tick; a heading is smooth over one
_CLOSED = 2.404825557695773  # first zero of Bessel's J0: an eight of this swing [rad] ends where it began


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move from rest to rest; its size shrinks with `scale`."""

    length_m: float  # of the way; negative backward, 0 for a turn on the spot
    turn_rad: float  # what `heading` is multiplied by
    heading: Heading
    ticks: int

    def rows(self, start: Array, base: Base, dt_s: float, scale: float) -> Rows:
        """The move from `start` (5,) on."""
        length, turn = scale * self.length_m, scale * self.turn_rad
        p, pd, pdd = minimum_jerk(self.ticks, dt_s)
        f, fd, fdd = (turn * part for part in self.heading(p))
        before = np.concatenate([[0.0], p[:-1]])
        nodes = before[:, None] + (p - before)[:, None] * (1.0 + _NODES) / 2.0
        along = start[2] + turn * self.heading(nodes)[0]
        share = length * (p - before)[:, None] * _WEIGHTS / 2.0
        yaw, v, a = start[2] + f, length * pd, length * pdd
        w, alpha = fd * pd, fdd * pd**2 + fd * pdd
        c, s = np.cos(yaw), np.sin(yaw)
        wheels = [base.wheel_rate(*pair) for pair in ((length * p, f), (v, w), (a, alpha))]
        place = np.stack([np.cumsum((np.cos(along) * share).sum(1)), np.cumsum((np.sin(along) * share).sum(1))], axis=1)
        return (
            np.column_stack([start[:2] + place, yaw, start[3:] + wheels[0]]),
            np.column_stack([v * c, v * s, w, wheels[1]]),
            np.column_stack([a * c - v * w * s, a * s + v * w * c, alpha, wheels[2]]),
        )


def _even(p: Array) -> tuple[Array, Array, Array]:
    return p, np.ones_like(p), np.zeros_like(p)


def _swing(p: Array) -> tuple[Array, Array, Array]:
    k = 2.0 * np.pi
    return 1.0 - np.cos(k * p), k * np.sin(k * p), k**2 * np.cos(k * p)


def _waves(count: int) -> Heading:
    def heading(p: Array) -> tuple[Array, Array, Array]:
        k = 2.0 * np.pi * count
        return np.sin(k * p), k * np.cos(k * p), -(k**2) * np.sin(k * p)

    return heading


@lru_cache(maxsize=8)
def _base(robot: Robot) -> Base:
    """Parsing a URDF takes longer than drawing a task."""
    return Base.of(robot, nominal_base(robot))


def _feasible(robot: Robot, rows: Rows) -> bool:
    q, qd, qdd = rows
    tasks, limits = robot.tasks, robot.limits
    if np.any(np.abs(qd) > tasks.speed_fraction * np.array(limits.speed)):
        return False
    if np.any(q[:, :2] < tasks.low[:2]) or np.any(q[:, :2] > tasks.high[:2]):
        return False
    c, s = np.cos(q[:, 2]), np.sin(q[:, 2])
    v, a = c * qd[:, 0] + s * qd[:, 1], c * qdd[:, 0] + s * qdd[:, 1]
    torque = _base(robot).wheel_torque(v, qd[:, 2], a, qdd[:, 2])
    wheels = [robot.drives.index(3 + i) for i in range(2)]
    return bool(np.all(np.abs(torque) <= tasks.effort_fraction * np.array(limits.effort)[wheels]))


def _fitted(robot: Robot, start: Array, move: Move) -> Rows:
    """The largest feasible size of a move."""
    scale = 1.0
    for _ in range(40):
        rows = move.rows(start, _base(robot), robot.dt_s, scale)
        if _feasible(robot, rows):
            break
        scale *= 0.85
    return rows


def _chain(robot: Robot, start: Array, ticks: int, steps: Sequence[Callable[[Array], Move]]) -> Rows:
    """Moves with a rest before and after each; a move is planned where the last one has ended."""
    rest = round(SETTLE_S / robot.dt_s)
    parts, here = [], np.array(start, dtype=float)
    for step in steps:
        parts.append(_standing(here, rest))
        parts.append(_fitted(robot, here, step(here)))
        here = parts[-1][0][-1]
    parts.append(_standing(here, ticks - sum(len(part[0]) for part in parts)))
    position, velocity, acceleration = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    return position, velocity, acceleration


def _standing(here: Array, ticks: int) -> Rows:
    still = np.zeros((ticks, 5))
    return still + here, still, still


def _towards(here: Array, goals: Array) -> tuple[float, float]:
    """Turn [rad] and signed distance [m] to the farthest of `goals` (k, 2): backward where that is the smaller turn."""
    away = max(goals - here[:2], key=lambda way: float(way @ way))
    bearing = np.arctan2(away[1], away[0]) - here[2]
    turn = float((bearing + np.pi / 2) % np.pi - np.pi / 2)
    ahead = np.cos(here[2] + turn) * away[0] + np.sin(here[2] + turn) * away[1]
    return turn, float(ahead)


def _visit(robot: Robot, ticks: int, rng: np.random.Generator, waves: int) -> list[Callable[[Array], Move]]:
    """Turn towards a far point of the room, then go there: straight, or in `waves`."""
    rest = round(SETTLE_S / robot.dt_s)
    turning = round(0.35 * (ticks - 2 * rest))
    driving = ticks - 2 * rest - turning
    goals = rng.uniform(robot.tasks.low[:2], robot.tasks.high[:2], (3, 2))
    swing = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 0.9))

    def turn(here: Array) -> Move:
        return Move(length_m=0.0, turn_rad=_towards(here, goals)[0], heading=_even, ticks=turning)

    def drive(here: Array) -> Move:
        distance = _towards(here, goals)[1]
        if not waves:
            return Move(length_m=distance, turn_rad=0.0, heading=_even, ticks=driving)
        return Move(length_m=1.2 * distance, turn_rad=swing, heading=_waves(waves), ticks=driving)

    return [turn, drive]


def _shuttle(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> Rows:
    legs = max(1, round(ticks * robot.dt_s / 2.0))
    steps = [step for _ in range(legs) for step in _visit(robot, ticks // legs, rng, waves=0)]
    return _chain(robot, start, ticks, steps)


def _slalom(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> Rows:
    legs = max(1, round(ticks * robot.dt_s / 3.0))
    steps = [step for _ in range(legs) for step in _visit(robot, ticks // legs, rng, waves=1)]
    return _chain(robot, start, ticks, steps)


def _eight(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> Rows:
    """One eight in one go; of the four ways to begin it, the one that stays best in the room."""
    length = rng.uniform(2.0, 4.0)
    moving = ticks - round(SETTLE_S / robot.dt_s)
    ways = rng.permutation([(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)])
    low, high = np.array(robot.tasks.low[:2]), np.array(robot.tasks.high[:2])

    def move(here: Array) -> Move:
        moves = [Move(length_m=a * length, turn_rad=b * _CLOSED, heading=_swing, ticks=moving) for a, b in ways]
        paths = [candidate.rows(here, _base(robot), robot.dt_s, 1.0)[0][:, :2] for candidate in moves]
        outside = [float(np.maximum(low - path, path - high).max()) for path in paths]
        return moves[int(np.argmin(np.maximum(outside, 0.0)))]

    return _chain(robot, start, ticks, [move])


KINDS = (
    TaskKind(name="shuttle", meaning="straight lines between stops, turning on the spot", draw=_shuttle),
    TaskKind(name="eight", meaning="a figure of eight", draw=_eight),
    TaskKind(name="slalom", meaning="waves about a straight line", draw=_slalom),
)
