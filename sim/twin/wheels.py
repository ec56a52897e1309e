"""Rows of a base with two wheels: torque that its motion does not explain, and way that the ground did not see.

A changed wheel shows in both: the ground passes at another speed, and the same torque pushes harder or less. Instants
in which a wheel slides say nothing here; `sim.twin.grip` judges those.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from core.rigid_body import Array
from core.robot import Robot
from sim.effect import Effect, touched
from sim.twin.parts import Mask, Stretch
from sim.twin.play import lost_in_play
from sim.twin.sliding import holding
from sim.twin.travel import WheelCalibration, lateness, quantities, travel_of
from sim.wheeled_base import axle
from telemetry.drive import given_effort

_WIDTHS_RAD = np.array([0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05])  # of play; between them: linear
_BROAD_M_S = 0.5  # how far ground and wheels may part where the heading is not read
_BOTH = np.ones(2)
_LATE = frozenset({"delay_s", "jitter_s", "motor_lag_s"})


class WheelTorqueRows:
    """Two signals: torque at the left and the right wheel [N*m]."""

    linear = frozenset({"payload_kg", "moment_kgm", "viscous", "coulomb", "gain_loss"})
    sees = linear | {"wheel_radius", "slip", "deadband", "backlash", "brake", *_LATE}

    def __init__(self, stretch: Stretch, calibration: WheelCalibration) -> None:
        robot = self._robot = stretch.robot
        self._motors = [robot.drives.index(3 + wheel) for wheel in range(2)]
        effort = given_effort(robot, stretch.drive, stretch.after, np.zeros(2))
        travel = self._travel = travel_of(robot, stretch.after, effort)
        self._base = calibration.base(robot)
        self._turns = travel.turns() * holding(travel, self._base, calibration.noise[2:])
        self._columns = travel.torque_columns(self._base, _BOTH, _BOTH)
        self._quantities = quantities(self._base)
        self.residual = self._turns * (travel.effort - self._columns @ self._quantities)
        self.noise, self.inflation = calibration.noise[:2], calibration.inflation[:2]
        self.nuisance = self._turns[:, :, None] * (self._columns @ _root(calibration.covariance[:-3, :-3]))
        self.broad = np.array(robot.limits.effort)[self._motors]
        self._at_wheels = {"viscous": travel.rate, "coulomb": travel.dry()}
        self._asked = stretch.drive.asked(robot, stretch.after)[:, self._motors]
        self._load_at = np.array(robot.payload_point_m) - axle(robot)
        self._play: Array | None = None

    def shift(self, effect: Effect) -> Array:
        """(N, 2) torque that `effect` adds to the residual [N*m]."""
        added = self._load(effect)
        grown, kept = _wheels(self._robot, self._motors, effect)
        total: Array = self._columns @ added
        if np.any(grown != 1.0) or np.any(kept != 1.0):
            changed = self._travel.torque_columns(self._base, grown, grown * kept)
            total = changed @ (self._quantities + added) - self._columns @ self._quantities
        for name, column in self._at_wheels.items():
            if getattr(effect, name):
                total = total + effect.vector(name, 5)[3:] * column
        return self._turns * (total + self._lost(effect))

    def freed(self, effect: Effect) -> Mask:
        """(2,) wheels that a brake slows; one at rest needs no freedom."""
        held: Mask = (effect.vector("brake", 5)[3:] > 0) & self._turns.any(axis=0)
        return held

    def _load(self, effect: Effect) -> Array:
        """(10,) quantities of what the base carries."""
        x, y, _ = self._load_at
        dx, dy, _ = effect.vector("moment_kgm", 3)
        mass = effect.payload_kg
        plane = [mass, mass * x + dx, mass * y + dy, mass * (x * x + y * y) + 2.0 * (x * dx + y * dy)]
        return np.array([*plane, *np.zeros(len(self._quantities) - 4)])

    def _lost(self, effect: Effect) -> Array:
        """(N, 2) torque that does not arrive at the wheels."""
        travel, wide = self._travel, self._travel.motion.wide
        weak, dead, play = (effect.vector(name, 2)[self._motors] for name in ("gain_loss", "deadband", "backlash"))
        fast = wide.tau[:, self._motors]
        total: Array = weak * travel.effort
        if touched(effect) & _LATE:
            total = total + wide.reduce(self._late(fast, effect))
        if np.any(dead):
            total = total + wide.reduce(np.clip(fast, -dead, dead))
        if np.any(play):
            if self._play is None:
                rotor = np.array(self._robot.drive.rotor_inertia[3:])
                lost = lost_in_play(fast, rotor, _WIDTHS_RAD, 1.0 / wide.rate_hz)
                self._play = np.array([wide.reduce(each) for each in lost])
            of_wheels = [_between(self._play[:, :, wheel], width) for wheel, width in enumerate(play)]
            total = total + np.stack(of_wheels, axis=1)
        return total

    def _late(self, fast: Array, effect: Effect) -> Array:
        """(M, 2) torque that its reading, at the end of each tick, shows and the tick as a whole did not have.

        A drive that lags gives its average over the tick. When within a tick a command arrives that comes later than
        usual is not known, so half a tick is taken.
        """
        dt_s, healthy = self._robot.dt_s, lateness(self._robot)
        ticks = (effect.delay_s + 0.5 * effect.jitter_s) / dt_s
        lost: Array = (0.5 - healthy) * min(ticks, 1.0) * np.diff(fast, axis=0, prepend=fast[:1])
        lag = effect.vector("motor_lag_s", len(self._motors))[self._motors]
        for wheel in np.flatnonzero(lag > 0):
            lost[:, wheel] = _lag_loss(self._asked[:, wheel], float(lag[wheel]) / dt_s, healthy)
        return lost


def _lag_loss(asked: Array, lag: float, late: float) -> Array:
    """(M,) effort at the end of each tick, less the share `late` of its change in it, minus the average over it.

    Args:
        asked: (M,) effort asked for in each tick.
        lag: time constant in ticks.
        late: share of the tick after which it is asked for.
    """
    before, after = np.exp(-late / lag), np.exp(-(1.0 - late) / lag)
    first = asked[0]
    end = first + lfilter([1.0 - after, after * (1.0 - before)], [1.0, -before * after], asked - first)
    begin, last = np.concatenate([[first], end[:-1]]), np.concatenate([[first], asked[:-1]])
    switched = last + (begin - last) * before
    average = last * late + (begin - last) * lag * (1.0 - before)
    average = average + asked * (1.0 - late) + (switched - asked) * lag * (1.0 - after)
    lost: Array = end - late * (end - begin) - average
    return lost


class GroundRows:
    """Three signals [m/s]: how much faster the ground passes than each wheel rolls, and speed across the base."""

    linear = frozenset({"rate_offset", "wheel_radius", "slip", "offset"})
    sees = linear | {"scale", "freeze", "brake"}

    def __init__(self, stretch: Stretch, calibration: WheelCalibration) -> None:
        robot = self._robot = stretch.robot
        self._motors = [robot.drives.index(3 + wheel) for wheel in range(2)]
        travel = self._travel = travel_of(robot, stretch.after, stretch.after.group("tau_meas"))
        base = self._base = calibration.base(robot)
        self._holds = holding(travel, base, calibration.noise[2:])
        self.residual = self._holds * travel.over_ground(base)
        self.noise, self.inflation = calibration.noise[2:], calibration.inflation[2:]
        self.nuisance = self._holds[:, :, None] * travel.ground_columns(base) @ _root(calibration.covariance[-3:, -3:])
        self.broad = np.full(3, _BROAD_M_S)
        self._ahead = base.radius * travel.rate  # (N, 2)
        left, right = base.wheel_y
        self._speed = self._ahead @ np.array([-right, left]) / (left - right)

    def shift(self, effect: Effect) -> Array:
        """(N, 3) what `effect` adds to the residual [m/s]."""
        yaw, base = self._travel.motion.q[:, 2], self._base
        grown, kept = _wheels(self._robot, self._motors, effect)
        total = np.zeros_like(self.residual)
        total[:, :2] = (grown - 1.0 + kept - 1.0) * self._ahead
        too_fast = effect.vector("rate_offset", 5)
        if np.any(too_fast):
            c, s = np.cos(yaw), np.sin(yaw)
            total[:, :2] += (c * too_fast[0] + s * too_fast[1])[:, None] - base.wheel_y * too_fast[2]
            total[:, :2] -= base.radius * too_fast[3:]
            total[:, 2] += c * too_fast[1] - s * too_fast[0]
        offset, scale = effect.vector("offset", 5)[2], effect.vector("scale", 5)[2]
        total[:, 2] -= self._speed * offset
        if scale:
            away = yaw * scale / (1.0 + scale)
            total[:, 2] -= self._speed * np.sin(away)
            total[:, :2] += (self._speed * (np.cos(away) - 1.0))[:, None]
        return self._holds * total

    def freed(self, effect: Effect) -> Mask:
        """(3,) everything where the heading is not read; a stuck wheel scrapes sideways."""
        blind = bool(effect.vector("freeze", 5)[2] > 0)
        scrapes = bool(np.any(effect.vector("brake", 5)[3:] > 0))
        return np.array([blind, blind, blind or scrapes])


def _wheels(robot: Robot, motors: list[int], effect: Effect) -> tuple[Array, Array]:
    """(2,) true over nominal radius, and share of the motion that the ground sees, left and right."""
    m = len(robot.actuators)
    return 1.0 + effect.vector("wheel_radius", m)[motors], 1.0 - effect.vector("slip", m)[motors]


def _between(curves: Array, width: float) -> Array:
    """(N,) of `curves` (W, N) at `width` of `_WIDTHS_RAD`."""
    above = int(np.clip(np.searchsorted(_WIDTHS_RAD, width), 1, len(_WIDTHS_RAD) - 1))
    share = (width - _WIDTHS_RAD[above - 1]) / (_WIDTHS_RAD[above] - _WIDTHS_RAD[above - 1])
    found: Array = curves[above - 1] + share * (curves[above] - curves[above - 1])
    return found


def _root(covariance: Array) -> Array:
    """L with L L' = covariance, which may be singular to rounding."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    root: Array = vectors * np.sqrt(np.maximum(values, 0.0))
    return root
