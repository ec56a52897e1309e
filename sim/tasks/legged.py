"""Tasks of legged robots: `stand`, `squat` and `walk`, planned on flat ground and turned into joint angles.

A plan is the motion of the trunk and the places of the feet. In `stand` and `squat` the feet stay where they are; in
`walk` they are lifted one at a time, on each side the hind foot before the front foot, the order with the largest
static stability (McGhee and Frank 1968), while the trunk sways over the feet that stand.
Every task starts at rest on the footprint of the home position and ends so.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pinocchio as pin

from core.errors import BadInput
from core.legs import Legs
from core.rigid_body import Array
from core.robot import Robot
from sim.tasks.task import TaskKind

# largest shift of the trunk about home [m, m, m, rad, rad, rad]: forward, left, up, roll, pitch, yaw
_SHIFT_LOW = np.array([-0.04, -0.04, -0.05, -0.12, -0.12, -0.15])
_SHIFT_HIGH = np.array([0.04, 0.04, 0.02, 0.12, 0.12, 0.15])
_SQUAT_M = (-0.09, 0.03)
_MOVE_S = 1.1  # of one shift or squat
_REST = 0.15  # share of a move in which nothing moves

_SPEED_M_S = (0.03, 0.05)
_CYCLE_S = 2.4  # four steps, at least; a task shorter than two cycles steps faster
_SHORTEST_CYCLE_S = 1.4
_SWING = 0.17  # share of the cycle in which a foot is in the air
_MIDDLE = {"RL": 0.165, "FL": 0.335, "RR": 0.665, "FR": 0.835}  # of each leg's swing, in cycles
_LIFT_M = 0.03
_SWAY_M = 0.055


@lru_cache(maxsize=8)
def _legs(robot: Robot) -> Legs:
    """Parsing a URDF takes longer than drawing a task."""
    return Legs(robot)


def walk(robot: Robot, start: Array, ticks: int, speed_m_s: float) -> tuple[Array, Array, Array]:
    """(ticks, n) position, velocity and acceleration of a walk at `speed_m_s` (backwards if negative).

    The first and the last half cycle only sway. A task too short for a cycle sways without steps.
    """
    pose, footprint = _standing_at(robot, start)
    order = _order(robot)
    t: Array = np.arange(1, ticks + 1, dtype=np.float64) * robot.dt_s
    end_s = ticks * robot.dt_s
    cycles = max(1, int(end_s / _CYCLE_S) - 1)
    cycle_s = end_s / (cycles + 1)
    if cycle_s < _SHORTEST_CYCLE_S:
        cycles, cycle_s, speed_m_s = 0, max(end_s, _SHORTEST_CYCLE_S), 0.0
    first_s, last_s = 0.5 * cycle_s, 0.5 * cycle_s + cycles * cycle_s
    envelope = smooth(t / first_s) * (1.0 - smooth((t - last_s) / (end_s - last_s)))
    quarter_s = 0.25 * cycle_s
    speed = speed_m_s * smooth((t - first_s) / quarter_s) * (1.0 - smooth((t - last_s + quarter_s) / quarter_s))
    ahead = np.cumsum(speed) * robot.dt_s
    trunk = np.tile(pose, (ticks, 1))
    trunk -= np.outer(smooth(t / first_s), pose)  # whatever shift there was at the start is gone before the first step
    trunk[:, 0] += ahead
    trunk[:, 1] -= _SWAY_M * envelope * np.sin(2 * np.pi * (t - first_s) / cycle_s)
    feet = np.tile(footprint, (ticks, 1, 1))
    for leg, middle in order:
        here = 0.0
        for cycle in range(cycles):
            middle_s = first_s + (cycle + middle) * cycle_s
            lands_s = middle_s + 0.5 * _SWING * cycle_s
            leaves_s = lands_s + (1.0 - _SWING) * cycle_s if cycle + 1 < cycles else end_s
            # A foot lands where it will be under its hip half way through its stance; the last ones at the footprint.
            goal = float(np.interp(0.5 * (lands_s + leaves_s) if cycle + 1 < cycles else end_s, t, ahead))
            phase = np.clip((t - middle_s) / (_SWING * cycle_s) + 0.5, 0.0, 1.0)
            feet[:, leg, 0] += (goal - here) * smooth(phase)
            feet[:, leg, 2] += _LIFT_M * (4 * phase * (1 - phase)) ** 3
            here = goal
    return _joint_angles(robot, trunk, feet, start)


def smooth(share: Array) -> Array:
    """Minimum-jerk step (Flash and Hogan 1985): 0 before share 0, 1 after share 1."""
    s = np.clip(share, 0.0, 1.0)
    result: Array = s**3 * (10 - 15 * s + 6 * s**2)
    return result


def _order(robot: Robot) -> list[tuple[int, float]]:
    """Legs with the middle of their swing [cycles], by the first letters of their hips' names."""
    legs = _legs(robot)
    names = [joint[:2] for joint in legs.joints[::3]]
    if sorted(names) != sorted(_MIDDLE):
        raise BadInput(f"{robot.name}: the walk needs the legs {', '.join(_MIDDLE)}, not {', '.join(names)}")
    return [(leg, _MIDDLE[name]) for leg, name in enumerate(names)]


def _standing_at(robot: Robot, start: Array) -> tuple[Array, Array]:
    """Trunk pose (6,) about home and footprint (k, 3) about the trunk at home, for coordinates `start` (n,).

    Where the feet of `start` do not lie on the footprint, the pose fits them best (Arun, Huang, Blostein 1987): a start
    that somebody drew joint by joint becomes one in which the robot can stand.
    """
    legs = _legs(robot)
    home = np.array(robot.home)
    height = legs.stand(home)[0][2]
    footprint = legs.foot_positions(home[: legs.m]) + np.array([0.0, 0.0, height])
    feet = legs.foot_positions(start[: legs.m])
    centre, middle = feet.mean(axis=0), footprint.mean(axis=0)
    u, _, vt = np.linalg.svd((feet - centre).T @ (footprint - middle))
    turn = vt.T @ np.diag([1.0, 1.0, np.linalg.det(vt.T @ u.T)]) @ u.T  # from the trunk's frame to the ground's
    position = middle - turn @ centre
    pose = np.concatenate([position - [0.0, 0.0, height], pin.rpy.matrixToRpy(turn)])
    pose[np.abs(pose) < 1e-9] = 0.0  # rounding would wander from task to task
    return pose, footprint


def _joint_angles(robot: Robot, trunk: Array, feet: Array, start: Array) -> tuple[Array, Array, Array]:
    """(N, n) coordinates for trunk poses (N, 6) about home and feet (N, k, 3) on the ground, at rest at both ends."""
    legs = _legs(robot)
    height = legs.stand(np.array(robot.home))[0][2]
    rotation = np.array([pin.rpy.rpyToMatrix(*row) for row in trunk[:, 3:]])
    place = feet - trunk[:, None, :3] - [0.0, 0.0, height]
    attitude = trunk[:, 3:].copy()
    attitude[:, 2] += start[legs.m + 2] - attitude[0, 2]  # the compass goes on from where it was
    q = np.concatenate([legs.leg_angles(np.einsum("nij,nki->nkj", rotation, place)), attitude], axis=1)
    padded = np.concatenate([q[:1], q[:1], q, q[-1:], q[-1:]])
    qd = np.gradient(padded, robot.dt_s, axis=0)
    qdd = np.gradient(qd, robot.dt_s, axis=0)
    return q, qd[2:-2], qdd[2:-2]


def _through(robot: Robot, start: Array, goals: list[Array], ticks: int) -> tuple[Array, Array, Array]:
    """From `start` through the trunk poses `goals` (6,) with the feet in place."""
    pose, footprint = _standing_at(robot, start)
    t: Array = np.arange(1, ticks + 1) / ticks * len(goals)
    trunk = np.tile(pose, (ticks, 1))
    for k, goal in enumerate(goals):
        trunk += np.outer(smooth((t - k) / (1.0 - _REST)), goal - pose)
        pose = goal
    return _joint_angles(robot, trunk, np.tile(footprint, (ticks, 1, 1)), start)


def _stand(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    moves = max(1, round(ticks * robot.dt_s / _MOVE_S))
    return _through(robot, start, [rng.uniform(_SHIFT_LOW, _SHIFT_HIGH) for _ in range(moves)], ticks)


def _squat(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    moves = max(1, round(ticks * robot.dt_s / _MOVE_S))
    goals = []
    for k in range(moves):
        low, high = (_SQUAT_M[0], 0.5 * _SQUAT_M[0]) if k % 2 == 0 else (0.0, _SQUAT_M[1])
        goals.append(np.array([0.0, 0.0, rng.uniform(low, high), 0.0, 0.0, 0.0]))
    return _through(robot, start, goals, ticks)


def _walk(robot: Robot, start: Array, ticks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    return walk(robot, start, ticks, rng.uniform(*_SPEED_M_S))


KINDS = (
    TaskKind(name="stand", meaning="shift and turn the trunk over standing feet", draw=_stand),
    TaskKind(name="squat", meaning="lower and raise the trunk", draw=_squat),
    TaskKind(name="walk", meaning="walk forward slowly, one foot at a time", draw=_walk),
)
