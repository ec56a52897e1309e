"""Torque that the calibrated model of an arm does not explain, and what each fault adds to it.

Measured effort is what the drives say they give (motor current). Whatever is lost behind the motor, whatever drags at a
joint, and a model that is asked at the wrong position leave residuals of different shapes.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d

from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot
from sim.effect import Effect, touched
from sim.plants.fixed_base import COGGING_PERIODS
from sim.twin.parts import Mask, Stretch
from sim.twin.play import lost_in_play
from telemetry.calibration import Calibration, dry_friction, linear_system, smooth_sign
from telemetry.effort import joint_effort
from telemetry.motion import WIDE_HZ, Motion, smooth

_STRIBECK_RAD_S = 0.05  # the usual speed over which breakaway friction fades; Armstrong-Helouvry et al. 1994
_BREAKAWAY = 0.3  # standard deviation of the healthy breakaway friction beyond Coulomb, as a share of that
_MISTIMED = 0.25  # of a tick: standard deviation of when effort acts, which is held over a tick and read once
_MISTAKEN = 0.15  # share by which the speed over which dry friction changes sign may be wrong
_STOP, _MOST_STOP = 0.0025, 0.01  # of a joint's range, and at most so many rad or m before its end
_AT_REST = 5.0  # standard deviations of the velocity sensor
_MEMORY_PERIODS = 2.0  # of the filter, for which it remembers an impact to either side
_LEAST_KG = 0.5
_WIDTHS_RAD = np.array([0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05])  # of play; between them: linear
_SENSORS = frozenset({"offset", "scale", "rate_offset", "freeze"})


class TorqueRows:
    """Rows of a tree of joints on a fixed base: one signal for each of n joints [N*m]."""

    linear = frozenset({"payload_kg", "viscous", "coulomb", "stiction", "stiffness", "ripple", "gain_loss"})
    sees = linear | _SENSORS | {"moment_kgm", "deadband", "backlash", "brake"}

    def __init__(self, stretch: Stretch, calibration: Calibration) -> None:
        robot = self._robot = stretch.robot
        self._calibration = calibration
        expected = stretch.drive.expected(robot, stretch.after)
        effort = expected + calibration.trust * (stretch.after.group("tau_meas") - expected)
        self._ticks_s = stretch.after.t_s
        rate_hz, lag_s = robot.control_rate_hz, 0.5 * robot.dt_s
        motion = self._motion = smooth(stretch.after, rate_hz, lag_s, effort)
        self._travelled = _since_last_change(stretch)
        self._model = calibration.model(robot)
        wide, dry = motion.wide, dry_friction(motion, calibration.dry_rad_s)
        columns, _ = linear_system(robot, RigidBodyModel(robot), motion, dry)
        fast_dry = smooth_sign(wide.v, calibration.dry_rad_s)
        breakaway = wide.reduce(fast_dry * np.exp(-np.square(wide.v / _STRIBECK_RAD_S)))
        self._path = self._travelled + np.cumsum(wide.v, axis=0) / wide.rate_hz
        self._since_s = np.arange(1.0, len(wide.v) + 1.0)[:, None] / wide.rate_hz
        still = np.ptp(stretch.after.group("q"), axis=0) == 0.0
        position = np.where(still, wide.q + self._path, wide.q)  # a reading that stands still knows of no stop
        self._free = _free_of_stops(robot, motion, position)  # 0 where a row says nothing
        corrections = (columns @ _root(calibration.covariance)).reshape(len(motion), robot.dof, -1)
        unknown = (breakaway * _BREAKAWAY * np.abs(calibration.coulomb), self._mistimed())
        columns = np.concatenate([corrections, *map(_each_alone, unknown)], axis=2)
        self.nuisance = motion.calm(columns * self._free[:, :, None], calibration.cutoff_hz)
        self._rigid = self._rigid_torque(motion.q, motion.v)
        self._expected = self._rigid + dry * calibration.coulomb
        self.residual = self._rows(joint_effort(robot, motion.tau) - self._expected)
        self.noise, self.inflation = calibration.noise_nm, calibration.inflation
        limit = joint_effort(robot, np.array([robot.limits.effort]))[0]
        self.broad = np.where(limit > 0, limit, limit.max())
        self._per_joint = {
            "viscous": motion.v,
            "coulomb": dry,
            "stiction": breakaway,
            "stiffness": motion.q - np.array(robot.home),
            "ripple": wide.reduce(np.sin(COGGING_PERIODS * wide.q)),
        }
        unsteady = _unsteady(robot, motion, calibration.dry_rad_s, calibration.cutoff_hz)
        self._unsteady = np.sqrt(np.maximum(motion.calm(unsteady * self._free, calibration.cutoff_hz), 0.0))
        self._per_kg = self._loaded(1.0, np.zeros(3)) - self._rigid
        self._play: Array | None = None

    def _mistimed(self) -> Array:
        """(N, n) change of each joint's effort in the time to which it is not known when it acted."""
        wide = self._motion.wide
        rate = wide.reduce(np.gradient(wide.tau, axis=0) * wide.rate_hz)
        return joint_effort(self._robot, rate) * _MISTIMED * self._robot.dt_s

    def _load(self, mass_kg: float, moment_kgm: Array) -> Array:
        """(N, n) torque of a load: in proportion to its mass, and nearly so to its first moment."""
        if not np.any(moment_kgm):
            return mass_kg * self._per_kg
        heavy = max(mass_kg, _LEAST_KG)  # a moment without a mass is some mass further out
        return self._loaded(heavy, moment_kgm / heavy) - self._rigid - (heavy - mass_kg) * self._per_kg

    def _loaded(self, mass_kg: float, shift_m: Array) -> Array:
        """(N, n) torque under a point mass, `shift_m` (3,) off the payload point."""
        self._model.set_payload(mass_kg, shift_m)
        torque = self._rigid_torque(self._motion.q, self._motion.v)
        self._model.set_payload(0.0)
        return torque

    def _rigid_torque(self, q: Array, v: Array) -> Array:
        rows = zip(q, v, self._motion.a, strict=True)
        return np.array([self._model.inverse_dynamics(*row) for row in rows])

    def shift(self, effect: Effect) -> Array:
        """(N, n) torque that `effect` adds to the residual [N*m]."""
        robot, motion = self._robot, self._motion
        n, m = robot.dof, len(robot.actuators)
        total = self._load(effect.payload_kg, effect.vector("moment_kgm", 3))
        for name, column in self._per_joint.items():
            if getattr(effect, name):
                total = total + effect.vector(name, n) * column
        lost = effect.vector("gain_loss", m) * motion.tau
        dead, play = effect.vector("deadband", m), effect.vector("backlash", m)
        if np.any(dead):
            lost = lost + motion.wide.reduce(np.clip(motion.wide.tau, -dead, dead))
        if np.any(play):
            lost = lost + self._lost_in_play(play)
        if np.any(lost):
            total = total + joint_effort(robot, lost)
        if touched(effect) & _SENSORS:
            total = total + self._misread(effect)
        return self._rows(total)

    def doubt(self, effect: Effect) -> Array:
        """(N, n) standard deviation of dry friction at speeds that the sensor cannot tell from rest [N*m]."""
        n = self._robot.dof
        level = effect.vector("coulomb", n) + effect.vector("stiction", n)
        doubt: Array = level * self._unsteady
        return doubt

    def by_effort(self, change: Array) -> Array:
        """(N, n) torque residual of drives that give `change` more than the healthy ones that it was computed for."""
        later = self._ticks_s + 0.5 * self._robot.dt_s
        aligned = np.stack([np.interp(later, self._ticks_s, column) for column in change.T], axis=1)
        return self._rows(-joint_effort(self._robot, self._motion.wide.reduce(aligned)))

    def _rows(self, torque: Array) -> Array:
        """(N, n) rows of a torque (N, n): instants that say nothing left out, and calm where accelerations are noisy.

        Whatever is done here is linear and done to everything, so that it does not matter what is lost.
        """
        return self._motion.calm(torque * self._free, self._calibration.cutoff_hz)

    def freed(self, effect: Effect) -> Mask:
        """(n,) joints that a brake holds: any torque may stand against it."""
        return effect.vector("brake", self._robot.dof) > 0

    def _lost_in_play(self, width: Array) -> Array:
        """(N, m) effort that does not arrive through gears with play of `width` (m,)."""
        wide = self._motion.wide
        if self._play is None:
            inertia = np.array([0.0 if j is None else self._model.rotor_inertia[j] for j in self._robot.drives])
            self._play = np.array(
                [wide.reduce(lost) for lost in lost_in_play(wide.tau, inertia, _WIDTHS_RAD, 1.0 / wide.rate_hz)]
            )
        above = np.clip(np.searchsorted(_WIDTHS_RAD, width), 1, len(_WIDTHS_RAD) - 1)
        share = (width - _WIDTHS_RAD[above - 1]) / (_WIDTHS_RAD[above] - _WIDTHS_RAD[above - 1])
        drives = np.arange(len(width))
        low, high = self._play[above - 1, :, drives].T, self._play[above, :, drives].T
        lost: Array = low + share * (high - low)
        return lost

    def _misread(self, effect: Effect) -> Array:
        """(N, n) torque of the true motion minus torque of the motion that was read [N*m]."""
        n, motion, coulomb = self._robot.dof, self._motion, self._calibration.coulomb
        q = (motion.q - effect.vector("offset", n)) / (1.0 + effect.vector("scale", n))
        too_fast = effect.vector("rate_offset", n)
        frozen = effect.vector("freeze", n) > 0
        if np.any(frozen):
            q = np.where(frozen, q + motion.wide.reduce(self._path - self._since_s * too_fast), q)
        if not np.any(too_fast):
            return self._rigid_torque(q, motion.v) - self._rigid
        dry = motion.wide.reduce(smooth_sign(motion.wide.v - too_fast, self._calibration.dry_rad_s))
        return self._rigid_torque(q, motion.v - too_fast) + dry * coulomb - self._expected


def _free_of_stops(robot: Robot, motion: Motion, position: Array) -> Array:
    """(N, n) 0 where a joint leans on its stop, which holds it with an effort that nobody measures; 1 elsewhere.

    An impact upsets the other joints too: filtered accelerations no longer belong to filtered positions.
    """
    wide = motion.wide
    lower, upper = np.array(robot.limits.lower), np.array(robot.limits.upper)
    stop = np.minimum(_STOP * (upper - lower), _MOST_STOP)
    leans = (position < lower + stop) | (position > upper - stop)  # (M, n)
    moves = np.abs(wide.v) > _AT_REST * np.array(robot.sensors.velocity_noise)
    impact = np.any(leans & moves, axis=1, keepdims=True)
    width = 2 * round(_MEMORY_PERIODS * wide.rate_hz / wide.cutoff_hz) + 1
    return 1.0 - wide.sample(maximum_filter1d((leans | impact).astype(float), width, axis=0))


def _unsteady(robot: Robot, motion: Motion, dry_rad_s: Array, cutoff_hz: float) -> Array:
    """(N, n) variance of dry friction of 1 N*m at low speed: by noise, by timing, and by its very shape."""
    wide, noise = motion.wide, np.array(robot.sensors.velocity_noise) * np.sqrt(2.0 * WIDE_HZ / motion.wide.rate_hz)
    width = np.hypot(dry_rad_s, noise)  # noise wider than the step is no noisier than the step is high
    step = np.square(width) / np.power(np.hypot(wide.v, width), 3)  # of the sign, by speed
    averaged = cutoff_hz / WIDE_HZ  # the second filter averages over so many independent speeds
    changing = np.abs(np.gradient(wide.v, axis=0)) / np.hypot(wide.v, width)  # within a tick
    mistaken = _MISTAKEN * step * wide.v
    doubt = np.square(step * noise) * averaged + np.square(0.5 * changing) + np.square(mistaken)
    return wide.reduce(doubt)


def _each_alone(signals: Array) -> Array:
    """(N, n, n) columns of unknowns that each change one of the signals (N, n)."""
    columns = np.zeros((*signals.shape, signals.shape[1]))
    at = np.arange(signals.shape[1])
    columns[:, at, at] = signals
    return columns


def _root(covariance: Array) -> Array:
    """L with L L' = covariance, which may be singular to rounding."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    root: Array = vectors * np.sqrt(np.maximum(values, 0.0))
    return root


def _since_last_change(stretch: Stretch) -> Array:
    """(n,) way that each coordinate has gone, by its velocity, since its position reading last changed before `after`.

    Zero where nothing is known of the time before; only a reading that stands still makes use of it.
    """
    n = stretch.robot.dof
    if stretch.around is None or not len(stretch.around):
        return np.zeros(n)
    q, qd = stretch.around.group("q"), stretch.around.group("qd")
    still = np.cumprod(q[::-1] == q[-1], axis=0)[::-1]  # rows since which the reading has stood still
    way: Array = (still * qd).sum(axis=0) * stretch.robot.dt_s
    return way
