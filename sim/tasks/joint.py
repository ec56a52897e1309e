"""Joint-space tasks of arms: `reach`, `weave` and `pick`.

`reach` goes from point to point with rests, `weave` is a sum of sines that excites every joint at once, `pick` goes
between the same two poses over and over. Amplitude shrinks until the nominal model says that speed and torque stay
inside the robot's task space.
"""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array
from core.robot import Robot
from sim.tasks.feasible import within
from sim.tasks.profile import fade, through
from sim.tasks.task import TaskKind


def _pose(robot: Robot, rng: np.random.Generator) -> Array:
    return rng.uniform(robot.tasks.low, robot.tasks.high)


def _reach(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    moves = max(1, round(ticks * robot.dt_s / 1.1))
    return through(start, [_pose(robot, rng) for _ in range(moves)], ticks, robot.dt_s)


def _pick(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    moves = max(2, round(ticks * robot.dt_s / 0.9))
    poses = [_pose(robot, rng), _pose(robot, rng)]
    return through(start, [poses[k % 2] for k in range(moves)], ticks, robot.dt_s)


def _weave(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Three sines per joint about the middle of the task space, faded in from and out to rest at `start`.

    Every point lies between `start` and the sines, so it stays in the task space when `start` does.
    """
    t = np.arange(1, ticks + 1) * robot.dt_s
    window, windowd, windowdd = fade(ticks, robot.dt_s)
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


KINDS = (
    TaskKind(name="reach", meaning="point to point, with rests", draw=within(_reach)),
    TaskKind(name="weave", meaning="a sum of sines in every joint", draw=within(_weave)),
    TaskKind(name="pick", meaning="between two poses, over and over", draw=within(_pick)),
)
