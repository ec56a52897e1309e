"""Rows of a quadrotor: force and torque that the calibrated robot does not explain, and how faults shift them."""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array
from sim.airframe import ROTORS, rotor_wrenches
from sim.effect import Effect, touched
from sim.twin.flight import FlightCalibration, coordinate_rates, flight_of, flight_physics, turned
from sim.twin.parts import Mask, Stretch

_LEAST_LOAD = 0.02  # share of the body's mass that an off-centre load weighs at least
_SENSORS = frozenset({"offset", "scale", "freeze", "rate_offset"})


class WrenchRows:
    """Six signals: force [N] and torque about the origin [N*m] along the body's axes."""

    linear = frozenset({"payload_kg", "gain_loss", "wind_n"})
    sees = linear | {"moment_kgm", "deadband"} | _SENSORS

    def __init__(self, stretch: Stretch, calibration: FlightCalibration) -> None:
        robot = self._robot = stretch.robot
        physics = self._physics = flight_physics(robot, calibration.correction)
        flight = self._flight = flight_of(robot, stretch.after, stretch.drive.expected(robot, stretch.after))
        motion = flight.motion
        self._rigid = flight.rigid(flight.expected_felt(), motion.v[:, 3:])
        self._rotors = rotor_wrenches(robot, physics)
        self.residual = flight.left_over(robot, physics, motion.q, motion.v)
        self.noise, self.inflation = calibration.noise, calibration.inflation
        spread = flight.columns(robot, physics) @ _root(calibration.spread)
        larger = calibration.scale_std * self._explicable(calibration)
        self.nuisance = np.concatenate([spread, larger[:, :, None]], axis=2)
        self.broad = np.abs(self._rotors * np.array(robot.limits.effort)[:, None]).sum(axis=0)
        self.broad[:2] = self.broad[2]
        self._path = motion.wide.reduce(_path(stretch))

    def _explicable(self, calibration: FlightCalibration) -> Array:
        """(N, 6) the part of the residual that loads, wind and weak rotors can make.

        A robot that is larger in everything leaves a larger residual. Noise stays as it is.
        """
        motion, wind = self._flight.motion, np.zeros((len(self._rigid), 6, 3))
        for axis, direction in enumerate(np.eye(3)):
            wind[:, :3, axis] = turned(motion.q, np.tile(direction, (len(motion), 1)))
        weak = motion.tau[:, None, :] * self._rotors.T
        columns = np.concatenate([self._rigid[:, :, :4], wind, weak], axis=2)
        flat = (columns / calibration.noise[:, None]).reshape(-1, columns.shape[2])
        best = np.linalg.lstsq(flat, (self.residual / calibration.noise).reshape(-1), rcond=None)[0]
        part: Array = columns @ best
        return part

    def shift(self, effect: Effect) -> Array:
        """(N, 6) what `effect` adds to the residual [N, N*m]."""
        motion = self._flight.motion
        total: Array = -self._rigid @ self._load(effect)
        lost = effect.vector("gain_loss", ROTORS) * motion.tau
        dead = effect.vector("deadband", ROTORS)
        if np.any(dead):
            lost = lost + motion.wide.reduce(np.minimum(motion.wide.tau, dead))
        total = total - lost @ self._rotors
        if effect.wind_n:
            total[:, :3] += turned(motion.q, np.tile(effect.wind_n, (len(motion), 1)))
        return total + self._misread(effect) if touched(effect) & _SENSORS else total

    def by_effort(self, change: Array) -> Array:
        """(N, 6) residual of rotors that give `change` more than the healthy ones that it was computed for."""
        pushed: Array = self._flight.motion.wide.reduce(change) @ self._rotors
        return pushed

    def freed(self, effect: Effect) -> Mask:
        """(6,) no fault leaves a force or torque undetermined."""
        return np.zeros(6, dtype=bool)

    def _load(self, effect: Effect) -> Array:
        """(10,) inertial parameters of the load."""
        mass, p, moment = effect.payload_kg, np.array(self._robot.payload_point_m), effect.vector("moment_kgm", 3)
        first = mass * p + moment
        # a moment with hardly any mass is some mass further out
        about = mass * np.outer(p, p) + np.outer(p, moment) + np.outer(moment, p)
        about += np.outer(moment, moment) / max(mass, _LEAST_LOAD * self._physics.inertials[0])
        inertia = np.trace(about) * np.eye(3) - about
        return np.array([mass, *first, *inertia[[0, 0, 1, 0, 1, 2], [0, 1, 1, 2, 2, 2]]])

    def _misread(self, effect: Effect) -> Array:
        """(N, 6) wrench left over of the motion that was read minus that of the true motion."""
        robot, motion, n = self._robot, self._flight.motion, self._robot.dof
        q = (motion.q - effect.vector("offset", n)) / (1.0 + effect.vector("scale", n))
        q = np.where(effect.vector("freeze", n) > 0, q + self._path, q)
        true = self._flight.left_over(robot, self._physics, q, motion.v - effect.vector("rate_offset", n))
        return self.residual - true


def _path(stretch: Stretch) -> Array:
    """(M, n) way that each coordinate has gone, by its velocity, since its reading last changed before the stretch."""
    dt_s = stretch.robot.dt_s
    way = np.cumsum(coordinate_rates(stretch.after).group("qd"), axis=0) * dt_s
    if stretch.around is None or not len(stretch.around):
        return way
    before = coordinate_rates(stretch.around)
    q = before.group("q")
    still = np.cumprod(q[::-1] == q[-1], axis=0)[::-1]  # rows since which the reading has stood still
    gone: Array = way + (still * before.group("qd")).sum(axis=0) * dt_s
    return gone


def _root(covariance: Array) -> Array:
    """L with L L' = covariance, which may be singular to rounding."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    root: Array = vectors * np.sqrt(np.maximum(values, 0.0))
    return root
