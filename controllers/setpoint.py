"""Where a robot should be at each tick: a path of points, a speed of its base, or the place where it stands.

Paths are interpolated with quintics through position, velocity and acceleration, as far as their points give them. A
path begins where the reference is: at the measured position of a robot that holds. At its end the robot holds, and so
does a base whose speed command is older than `SPEED_TIMEOUT_S`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from core.errors import BadInput
from core.frames import Reference
from core.robot import FIXED_BASE, Robot

SPEED_TIMEOUT_S = 0.5  # as the diff_drive_controller of ros2_control has it
MOST_POINTS = 100_000
MOST_WAITING = 16  # paths that begin later
_RAMP_S = 1.0  # from rest to the fastest speed that the robot's tasks use

Row = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]  # (n,) position, velocity, acceleration


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Points of some coordinates over time."""

    start_ns: int | None  # robot clock; None begins now
    joints: tuple[str, ...]  # k names
    t_s: tuple[float, ...]  # P times after the start, rising
    q: tuple[tuple[float, ...], ...]  # (P, k) [rad or m]
    qd: tuple[tuple[float, ...], ...]  # (P, k), or empty
    qdd: tuple[tuple[float, ...], ...]  # (P, k), or empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What a base should do from now on."""

    ahead_m_s: float
    turn_rad_s: float


class _Leg(NamedTuple):
    """A path under way: rows at times [ns, robot clock]."""

    times_ns: list[int]
    rows: list[Row]


def check_path(robot: Robot, path: Path) -> str | None:
    """Why `path` cannot be driven by `robot`, in one sentence; None if it can."""
    k, count, times = len(path.joints), len(path.t_s), path.t_s
    unknown = next((name for name in path.joints if name not in robot.joints), None)
    if unknown is not None:
        return f"{robot.name} has no joint '{unknown}'; it has {', '.join(robot.joints)}"
    if not k or len(set(path.joints)) != k or not 0 < count <= MOST_POINTS:
        return f"a path names each joint once and has 1 to {MOST_POINTS} points"
    rises = all(a < b for a, b in pairwise(times))
    if not (rises and times[0] >= 0.0 and math.isfinite(times[-1])):
        return "the times of a path are finite, start at 0 or later, and rise"
    return _check_rows(path) or _check_range(robot, path)


def _check_rows(path: Path) -> str | None:
    k, count = len(path.joints), len(path.t_s)
    for rows, what in ((path.q, "positions"), (path.qd, "velocities"), (path.qdd, "accelerations")):
        if (rows or what == "positions") and (len(rows) != count or any(len(row) != k for row in rows)):
            return f"each point of a path has {k} {what}, or no point has any velocities or accelerations"
        if not all(math.isfinite(value) for row in rows for value in row):
            return f"the {what} of a path must be finite numbers"
    return None


def _check_range(robot: Robot, path: Path) -> str | None:
    for place, name in enumerate(path.joints):
        i = robot.joints.index(name)
        low, high = robot.limits.lower[i], robot.limits.upper[i]
        if not all(low <= row[place] <= high for row in path.q):
            return f"the path leaves the range of {name}, {low:g} to {high:g}"
    return None


class Setpoints:
    """The reference of one robot over time."""

    def __init__(self, robot: Robot) -> None:
        self._robot, self._n = robot, robot.dof
        self._still = (0.0,) * self._n
        self._row: Row | None = None  # where the reference is
        self._leg: _Leg | None = None
        self._waiting: list[Path] = []
        self._speed, self._speed_ns, self._now_ns = Speed(ahead_m_s=0.0, turn_rad_s=0.0), -1, -1
        self._base = None if robot.kind == FIXED_BASE or "yaw" not in robot.joints else self._base_of(robot)
        self._driving = False

    @staticmethod
    def _base_of(robot: Robot) -> tuple[int, int, int] | None:
        if not {"x", "y", "yaw"} <= set(robot.joints):
            return None
        x, y, yaw = (robot.joints.index(name) for name in ("x", "y", "yaw"))
        return x, y, yaw

    @property
    def mode(self) -> str:
        """ "hold", "path" or "speed"."""
        return "path" if self._leg is not None else "speed" if self._driving else "hold"

    def hold(self, q: Sequence[float]) -> None:
        """Stay at `q` (n,) from now on."""
        self._row, self._leg, self._driving = (tuple(q), self._still, self._still), None, False
        self._waiting.clear()

    def follow(self, path: Path) -> None:
        """Take `path` from its start on; until then what is under way goes on.

        Raises:
            BadInput: it does not fit the robot.
        """
        if why := check_path(self._robot, path):
            raise BadInput(f"path: {why}; send another one")
        if path.start_ns is None:
            self._waiting = [path]
        else:
            self._waiting = sorted([*self._waiting, path], key=lambda each: each.start_ns or 0)[-MOST_WAITING:]

    def drive(self, speed: Speed, now_ns: int) -> None:
        """Move the base at `speed` until another one comes, at most `SPEED_TIMEOUT_S`.

        Raises:
            BadInput: the robot has no base that drives, or this is no speed.
        """
        if self._base is None:
            raise BadInput(f"speed: {self._robot.name} has no base that drives; send a path of its joints")
        if not (math.isfinite(speed.ahead_m_s) and math.isfinite(speed.turn_rad_s)):
            raise BadInput("speed: must be finite numbers; send another one")
        self._speed, self._speed_ns, self._driving, self._leg = speed, now_ns, True, None
        self._waiting.clear()

    def at(self, now_ns: int, measured: Sequence[float]) -> Reference:
        """The reference at `now_ns` on the robot's clock; `measured` (n,) is where a robot without one stays."""
        if self._row is None:
            self.hold(measured)
        while self._waiting and (self._waiting[0].start_ns is None or self._waiting[0].start_ns <= now_ns):
            self._begin(self._waiting.pop(0), now_ns)
        if self._leg is not None:
            self._row = self._along(self._leg, now_ns)
        elif self._driving:
            self._row = self._driven(now_ns)
        self._now_ns = now_ns
        assert self._row is not None
        return Reference(*map(list, self._row))

    def _begin(self, path: Path, now_ns: int) -> None:
        assert self._row is not None
        start_ns = now_ns if path.start_ns is None else path.start_ns
        at = [self._robot.joints.index(name) for name in path.joints]

        def whole(rows: tuple[tuple[float, ...], ...], k: int, rest: Sequence[float]) -> tuple[float, ...]:
            values = list(rest)
            for place, i in enumerate(at):
                values[i] = rows[k][place] if rows else 0.0
            return tuple(values)

        times = [start_ns + round(t_s * 1e9) for t_s in path.t_s]
        qd = path.qd or _slopes(path)
        rows = [
            (whole(path.q, k, self._row[0]), whole(qd, k, self._still), whole(path.qdd, k, self._still))
            for k in range(len(times))
        ]
        if path.t_s[0] > 0.0:
            times.insert(0, min(start_ns, now_ns))
            rows.insert(0, self._row)
        self._leg, self._driving = _Leg(times, rows), False

    def _along(self, leg: _Leg, now_ns: int) -> Row:
        k = bisect_right(leg.times_ns, now_ns)
        if k == len(leg.times_ns):
            self._leg = None
            return leg.rows[-1][0], self._still, self._still
        if k == 0:
            return leg.rows[0]
        if now_ns == leg.times_ns[k - 1]:
            return leg.rows[k - 1]
        span_s = (leg.times_ns[k] - leg.times_ns[k - 1]) * 1e-9
        u = (now_ns - leg.times_ns[k - 1]) * 1e-9 / span_s
        return quintic(leg.rows[k - 1], leg.rows[k], u, span_s)

    def _driven(self, now_ns: int) -> Row:
        """The base's pose after this tick at the speed it has, which ramps to the one that is asked for."""
        assert self._row is not None
        assert self._base is not None
        (x, y, yaw), tasks, limits = self._base, self._robot.tasks, self._robot.limits
        dt_s = (now_ns - self._now_ns) * 1e-9 if 0 <= self._now_ns < now_ns else 0.0
        dt_s = min(dt_s, 0.1)
        asked = self._speed
        if now_ns - self._speed_ns > SPEED_TIMEOUT_S * 1e9:
            asked = Speed(ahead_m_s=0.0, turn_rad_s=0.0)
        q, qd = list(self._row[0]), self._row[1]
        ahead = qd[x] * math.cos(q[yaw]) + qd[y] * math.sin(q[yaw])
        fast, quick = tasks.speed_fraction * limits.speed[x], tasks.speed_fraction * limits.speed[yaw]
        v = _towards(ahead, min(max(asked.ahead_m_s, -fast), fast), fast * dt_s / _RAMP_S)
        w = _towards(qd[yaw], min(max(asked.turn_rad_s, -quick), quick), quick * dt_s / _RAMP_S)
        a, alpha = ((v - ahead) / dt_s, (w - qd[yaw]) / dt_s) if dt_s else (0.0, 0.0)
        middle = q[yaw] + 0.5 * w * dt_s
        q[x], q[y], q[yaw] = q[x] + v * math.cos(middle) * dt_s, q[y] + v * math.sin(middle) * dt_s, q[yaw] + w * dt_s
        c, s = math.cos(q[yaw]), math.sin(q[yaw])
        speed, rate = list(self._still), list(self._still)
        speed[x], speed[y], speed[yaw] = v * c, v * s, w
        rate[x], rate[y], rate[yaw] = a * c - v * w * s, a * s + v * w * c, alpha
        if v == 0.0 and w == 0.0 and asked.ahead_m_s == 0.0 and asked.turn_rad_s == 0.0:
            self._driving = False
        return tuple(q), tuple(speed), tuple(rate)


def _towards(value: float, goal: float, step: float) -> float:
    return min(max(goal, value - step), value + step)


def _slopes(path: Path) -> tuple[tuple[float, ...], ...]:
    """Velocities where a path has none: central differences, rest at its ends."""
    count, k = len(path.t_s), len(path.joints)
    still = (0.0,) * k
    inner = (
        tuple((path.q[p + 1][j] - path.q[p - 1][j]) / (path.t_s[p + 1] - path.t_s[p - 1]) for j in range(k))
        for p in range(1, count - 1)
    )
    return (still, *inner, still)[:count] if count > 1 else (still,)


def quintic(before: Row, after: Row, u: float, span_s: float) -> Row:
    """Position, velocity and acceleration at the share `u` of a segment of `span_s`."""
    q, qd, qdd = [], [], []
    u2 = u * u
    u3 = u2 * u
    for p0, v0, a0, p1, v1, a1 in zip(*before, *after, strict=True):
        b, c = v0 * span_s, 0.5 * a0 * span_s * span_s
        rest_p = p1 - p0 - b - c
        rest_v = v1 * span_s - b - 2.0 * c
        rest_a = a1 * span_s * span_s - 2.0 * c
        d = 10.0 * rest_p - 4.0 * rest_v + 0.5 * rest_a
        e = -15.0 * rest_p + 7.0 * rest_v - rest_a
        f = 6.0 * rest_p - 3.0 * rest_v + 0.5 * rest_a
        q.append(p0 + b * u + c * u2 + u3 * (d + e * u + f * u2))
        qd.append((b + 2.0 * c * u + u2 * (3.0 * d + 4.0 * e * u + 5.0 * f * u2)) / span_s)
        qdd.append((2.0 * c + u * (6.0 * d + 12.0 * e * u + 20.0 * f * u2)) / (span_s * span_s))
    return tuple(q), tuple(qd), tuple(qdd)
