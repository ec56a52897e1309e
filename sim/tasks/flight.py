"""Tasks of quadrotors: `hover`, `waypoints` and `lemniscate`.

Place and heading are planned, attitude and body rates follow from them, since a quadrotor's thrust can only point where
the acceleration needs it (Mellinger and Kumar 2011). Moves from rest to rest are minimum-snap, so the rates start and
end at zero too. Tasks shrink about their start until speed, tilt and thrust of the nominal robot stay inside its task
space, and its place inside its room.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from core.rigid_body import Array
from core.robot import Robot
from sim.airframe import Mass, allocation, loaded, nominal_flyer
from sim.effect import Effect
from sim.plant import GRAVITY_M_S2
from sim.tasks.profile import SETTLE_S
from sim.tasks.task import TaskKind

Rows = tuple[Array, Array, Array]  # (N, 6) position, velocity, acceleration

_LIFT = np.array([0.0, 0.0, GRAVITY_M_S2])  # acceleration that a standing robot makes up for
_PLANNED = [0, 1, 2, 5]  # coordinates that a plan moves: x, y, z, yaw
_SHIFT = np.array([0.2, 0.2, 0.2, 0.3])  # largest shift of a hover [m, m, m, rad]
_HOVER_S, _WAYPOINT_S, _LOOP_S = 1.3, 1.6, 4.0  # about, for one shift, way and loop
_RAMP_S = 1.2  # in which a loop gets up to speed
_EDGE = 4  # ticks of rest on either side while derivatives are taken


@lru_cache(maxsize=8)
def _nominal(robot: Robot) -> tuple[Mass, Array]:
    """Mass, and thrust for lift and torque, of the robot of the data sheet."""
    physics = nominal_flyer(robot)
    mass = loaded(robot, physics, Effect())
    return mass, allocation(robot, physics, mass)


def flown(path: Array, dt_s: float) -> Rows:
    """All coordinates of a flight along `path` (N, 4): x, y, z, yaw, at rest at both ends."""
    padded = np.concatenate([np.repeat(path[:1], _EDGE, axis=0), path, np.repeat(path[-1:], _EDGE, axis=0)])
    place, yaw = padded[:, :3], padded[:, 3]
    velocity = np.gradient(place, dt_s, axis=0)
    acceleration = np.gradient(velocity, dt_s, axis=0)
    push = acceleration + _LIFT
    c, s = np.cos(yaw), np.sin(yaw)
    ahead, left = c * push[:, 0] + s * push[:, 1], c * push[:, 1] - s * push[:, 0]
    pitch = np.arctan2(ahead, push[:, 2])
    roll = np.arctan2(-left, np.hypot(ahead, push[:, 2]))
    roll_rate, pitch_rate, yaw_rate = np.gradient(np.stack([roll, pitch, yaw]), dt_s, axis=1)
    cr, sr, cp, sp = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch)
    rates = np.stack(
        [roll_rate - sp * yaw_rate, cr * pitch_rate + sr * cp * yaw_rate, cr * cp * yaw_rate - sr * pitch_rate], axis=1
    )
    rows = (
        np.column_stack([place, roll, pitch, yaw]),
        np.column_stack([velocity, rates]),
        np.column_stack([acceleration, np.gradient(rates, dt_s, axis=0)]),
    )
    return rows[0][_EDGE:-_EDGE], rows[1][_EDGE:-_EDGE], rows[2][_EDGE:-_EDGE]


def thrust(robot: Robot, rows: Rows) -> Array:
    """(N, 4) thrust of the nominal robot's rotors along `rows` in still air without drag [N]."""
    mass, rotors = _nominal(robot)
    _, qd, qdd = rows
    push = np.linalg.norm(qdd[:, :3] + _LIFT, axis=1)
    torque = qdd[:, 3:] @ mass.inertia + np.cross(qd[:, 3:], qd[:, 3:] @ mass.inertia)
    needed: Array = np.column_stack([mass.kg * push, torque]) @ rotors.T
    return needed


def _feasible(robot: Robot, rows: Rows) -> bool:
    q, qd, _ = rows
    low, high = np.array(robot.tasks.low), np.array(robot.tasks.high)
    if np.any(q < low - 1e-6) or np.any(q > high + 1e-6):
        return False
    if np.any(np.abs(qd) > robot.tasks.speed_fraction * np.array(robot.limits.speed)):
        return False
    least, most = np.array(robot.limits.effort_low), np.array(robot.limits.effort_high)
    share = (thrust(robot, rows) - least) / (most - least)
    return bool(np.all(share <= robot.tasks.effort_fraction) and np.all(share >= 1.0 - robot.tasks.effort_fraction))


def _shrunk(robot: Robot, start: Array, offset: Array) -> Rows:
    """The flight along `offset` (N, 4) from `start` (6,), made small enough."""
    begin, scale = start[_PLANNED], 1.0
    for _ in range(40):
        rows = flown(begin + scale * offset, robot.dt_s)
        if _feasible(robot, rows):
            break
        scale *= 0.85
    return rows


def minimum_snap(ticks: int) -> Array:
    """(ticks,) profile 0 to 1 whose first three derivatives vanish at both ends."""
    s = np.arange(1, ticks + 1) / ticks
    profile: Array = s**4 * (35 - 84 * s + 70 * s**2 - 20 * s**3)
    return profile


def _through(robot: Robot, start: Array, goals: Sequence[Array], ticks: int) -> Rows:
    """Rest-to-rest moves through `goals` (4,)."""
    share = ticks // len(goals)
    profile = minimum_snap(max(share - round(SETTLE_S / robot.dt_s), 2))
    offset, here = np.zeros((ticks, 4)), np.zeros(4)
    for k, goal in enumerate(goals):
        step, begin = goal - start[_PLANNED] - here, k * share
        end = begin + len(profile)
        offset[begin:end] = here + profile[:, None] * step
        here = here + step
        offset[end:] = here
    return _shrunk(robot, start, offset)


def _hover(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> Rows:
    moves = max(1, round(ticks * robot.dt_s / _HOVER_S))
    low, high = (np.array(limit)[_PLANNED] for limit in (robot.tasks.low, robot.tasks.high))
    middle = np.clip(start[_PLANNED], low + _SHIFT, high - _SHIFT)
    return _through(robot, start, [middle + _SHIFT * rng.uniform(-1.0, 1.0, 4) for _ in range(moves)], ticks)


def _waypoints(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> Rows:
    moves = max(1, round(ticks * robot.dt_s / _WAYPOINT_S))
    goals = [rng.uniform(robot.tasks.low, robot.tasks.high)[_PLANNED] for _ in range(moves)]
    return _through(robot, start, goals, ticks)


def _lemniscate(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> Rows:
    """Whole loops of Gerono's lemniscate, of any size, direction and climb, with the heading swinging along."""
    moving = ticks - round(SETTLE_S / robot.dt_s)
    ramp = minimum_snap(max(min(round(_RAMP_S / robot.dt_s), moving // 2), 2))
    pace = np.ones(moving)
    pace[: len(ramp)], pace[-len(ramp) :] = ramp, ramp[::-1]
    loops = max(1, round(moving * robot.dt_s / _LOOP_S))
    phase = np.full(ticks, 2.0 * np.pi * loops)
    phase[:moving] = 2.0 * np.pi * loops * np.cumsum(pace) / pace.sum()
    size, along, climb, swing = rng.uniform([0.5, 0.0, -0.3, -0.4], [1.0, 2.0 * np.pi, 0.3, 0.4])
    x, y = size * np.sin(phase), 0.5 * size * np.sin(2.0 * phase)
    c, s = np.cos(along), np.sin(along)
    offset = np.column_stack([c * x - s * y, s * x + c * y, climb * np.sin(phase), swing * np.sin(phase)])
    return _shrunk(robot, start, offset)


KINDS = (
    TaskKind(name="hover", meaning="stand in the air, with small shifts", draw=_hover),
    TaskKind(name="waypoints", meaning="from point to point in the room, with rests", draw=_waypoints),
    TaskKind(name="lemniscate", meaning="figures of eight", draw=_lemniscate),
)
