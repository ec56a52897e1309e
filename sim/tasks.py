"""Joint-space tasks drawn from a seed: where the joints should be at every control tick.

Three kinds: `reach` (point to point with rests), `weave` (a sum of sines that excites every joint at once) and `pick`
(the same two poses over and over). Every task starts and ends at rest, so tasks can be chained; moves follow the
minimum-jerk quintic (Flash and Hogan 1985). Amplitude shrinks until the nominal model says that speed and torque stay
inside the robot's task space.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.frames import Reference
from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot

KINDS = ("reach", "weave", "pick")
_SETTLE_S = 0.1  # rest at both ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A reference trajectory, one row per control tick."""

    kind: str
    q: Array  # (N, n) [rad]
    qd: Array  # (N, n) [rad/s]
    qdd: Array  # (N, n) [rad/s^2]

    def references(self) -> list[Reference]:
        """The rows as plain lists, ready for the control loop."""
        rows = zip(self.q.tolist(), self.qd.tolist(), self.qdd.tolist(), strict=True)
        return [Reference(q_ref=q, qd_ref=qd, qdd_ref=qdd) for q, qd, qdd in rows]


def draw_task(robot: Robot, kind: str, start: Array, duration_s: float, rng: np.random.Generator) -> Task:
    """A task of `kind` that starts and ends at rest, from `start` ((n,) [rad]) on, inside the robot's task space."""
    model = RigidBodyModel(robot)
    ticks = round(duration_s * robot.control_rate_hz)
    draw = {"reach": _reach, "weave": _weave, "pick": _pick}[kind]
    shape = draw(robot, start, ticks, rng)
    scale = 1.0
    for _ in range(40):
        q, qd, qdd = (start + scale * shape[0], scale * shape[1], scale * shape[2])
        if _feasible(robot, model, q, qd, qdd):
            break
        scale *= 0.85
    return Task(kind=kind, q=q, qd=qd, qdd=qdd)


def endless_tasks(robot: Robot, seed: int, segment_s: float = 6.0) -> Iterator[Reference]:
    """The working day of a robot: tasks of all kinds, one after the other, for ever."""
    rng = np.random.default_rng([seed, 0x7A5C])
    start = np.array(robot.home)
    while True:
        for kind in rng.permutation(KINDS):
            task = draw_task(robot, str(kind), start, segment_s, rng)
            yield from task.references()
            start = task.q[-1]


def _feasible(robot: Robot, model: RigidBodyModel, q: Array, qd: Array, qdd: Array) -> bool:
    speed = robot.tasks.speed_fraction * np.array(robot.limits.speed)
    torque = robot.tasks.effort_fraction * np.array(robot.limits.effort)
    if np.any(np.abs(qd) > speed):
        return False
    return not any(np.any(np.abs(model.inverse_dynamics(q[k], qd[k], qdd[k])) > torque) for k in range(0, len(q), 25))


def _pose(robot: Robot, rng: np.random.Generator) -> Array:
    return rng.uniform(robot.tasks.low, robot.tasks.high)


def _move(ticks: int, dt_s: float) -> tuple[Array, Array, Array]:
    """Minimum-jerk profile 0 to 1 over `ticks`, with its first two time derivatives."""
    duration = ticks * dt_s
    s = np.arange(1, ticks + 1) / ticks
    position = s**3 * (10 - 15 * s + 6 * s**2)
    velocity = 30 * s**2 * (1 - s) ** 2 / duration
    acceleration = 60 * s * (1 - s) * (1 - 2 * s) / duration**2
    return position, velocity, acceleration


def _through(robot: Robot, start: Array, goals: list[Array], ticks: int) -> tuple[Array, Array, Array]:
    """Rest-to-rest moves from `start` through `goals`, as offsets from `start`."""
    rest = round(_SETTLE_S * robot.control_rate_hz)
    share = ticks // len(goals)
    out = tuple(np.zeros((ticks, robot.dof)) for _ in range(3))
    profile = _move(max(share - rest, 2), robot.dt_s)
    begin, here = 0, np.zeros(robot.dof)
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


def _reach(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    moves = max(1, round(ticks * robot.dt_s / 1.1))
    return _through(robot, start, [_pose(robot, rng) for _ in range(moves)], ticks)


def _pick(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    moves = max(2, round(ticks * robot.dt_s / 0.9))
    poses = [_pose(robot, rng), _pose(robot, rng)]
    return _through(robot, start, [poses[k % 2] for k in range(moves)], ticks)


def _weave(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Three sines per joint about the middle of the task space, faded in from and out to rest at `start`.

    Every point lies between `start` and the sines, so it stays in the task space when `start` does.
    """
    t = np.arange(1, ticks + 1) * robot.dt_s
    duration = ticks * robot.dt_s
    rise = min(1.0, duration / 4)
    up, upd, updd = _move(round(rise * robot.control_rate_hz), robot.dt_s)
    window, windowd, windowdd = np.ones(ticks), np.zeros(ticks), np.zeros(ticks)
    n = len(up)
    window[:n], windowd[:n], windowdd[:n] = up, upd, updd
    window[-n:], windowd[-n:], windowdd[-n:] = 1 - up, -upd, -updd
    centre = 0.5 * (np.array(robot.tasks.low) + robot.tasks.high) - start
    reach = 0.5 * (np.array(robot.tasks.high) - robot.tasks.low)
    out = np.zeros((3, ticks, robot.dof))
    for j in range(robot.dof):
        omega = 2 * np.pi * rng.uniform([0.25, 0.5, 0.8], [0.4, 0.7, 1.1])
        phase = rng.uniform(0, 2 * np.pi, 3)
        amplitude = reach[j] * rng.uniform(0.5, 1.0) * np.array([0.5, 0.3, 0.2])
        wave = amplitude * np.sin(np.outer(t, omega) + phase)
        waved = amplitude * omega * np.cos(np.outer(t, omega) + phase)
        f = wave.sum(1) + centre[j]
        fd = waved.sum(1)
        fdd = -(wave * omega**2).sum(1)
        out[0, :, j] = window * f
        out[1, :, j] = windowd * f + window * fd
        out[2, :, j] = windowdd * f + 2 * windowd * fd + window * fdd
    return out[0], out[1], out[2]
