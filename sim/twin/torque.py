"""Torque that the calibrated model of an arm does not explain, and what each fault adds to it.

Measured effort is what the drives say they give (motor current). Whatever is lost behind the motor, whatever drags at a
joint, and a model that is asked at the wrong position leave residuals of different shapes.
"""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array, RigidBodyModel
from sim.effect import Effect
from sim.plants.fixed_base import COGGING_PERIODS
from sim.twin.cause import touched
from sim.twin.parts import Mask, Stretch
from sim.twin.play import lost_in_play
from telemetry.calibration import Calibration, dry_friction, joint_effort, linear_system
from telemetry.drive import given_effort
from telemetry.motion import smooth

_STRIBECK_RAD_S = 0.05  # the usual speed over which breakaway friction fades; Armstrong-Helouvry et al. 1994
_STEP_M = 0.01  # of the derivative by the place of the load
_WIDTHS_RAD = np.array([0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05])  # of play; between them: linear
_SENSORS = frozenset({"offset", "scale", "rate_offset", "freeze"})


class TorqueRows:
    """Rows of a tree of joints on a fixed base: one signal for each of n joints [N*m]."""

    linear = frozenset({"payload_kg", "moment_kgm", "viscous", "coulomb", "stiction", "stiffness", "ripple"}) | {
        "gain_loss"
    }
    sees = linear | _SENSORS | {"deadband", "backlash", "brake"}

    def __init__(self, stretch: Stretch, calibration: Calibration) -> None:
        robot = self._robot = stretch.robot
        self._calibration = calibration
        effort = given_effort(robot, stretch.drive, stretch.after, calibration.trust)
        rate_hz, lag_s = robot.control_rate_hz, 0.5 * robot.dt_s
        motion = self._motion = smooth(stretch.after, rate_hz, lag_s, effort, calibration.cutoff_hz)
        self._travelled = _since_last_change(stretch)
        self._model = calibration.model(robot)
        wide, dry = motion.wide, dry_friction(motion, calibration.dry_rad_s)
        columns, _ = linear_system(robot, RigidBodyModel(robot), motion, dry)
        self.nuisance = (columns @ _root(calibration.covariance)).reshape(len(motion), robot.dof, -1)
        self._rigid = self._rigid_torque(motion.q, motion.v)
        self._expected = self._rigid + dry * calibration.coulomb
        self.residual = joint_effort(robot, motion.tau) - self._expected
        self.noise, self.inflation = calibration.noise_nm, calibration.inflation
        limit = joint_effort(robot, np.array([robot.limits.effort]))[0]
        self.broad = np.where(limit > 0, limit, limit.max())
        fast_dry = np.tanh(wide.v / calibration.dry_rad_s)
        self._per_joint = {
            "viscous": motion.v,
            "coulomb": dry,
            "stiction": wide.reduce(fast_dry * np.exp(-np.square(wide.v / _STRIBECK_RAD_S))),
            "stiffness": motion.q - np.array(robot.home),
            "ripple": wide.reduce(np.sin(COGGING_PERIODS * wide.q)),
        }
        self._per_kg = self._loaded(np.zeros(3)) - self._rigid
        self._per_moment = [(self._loaded(_STEP_M * axis) - self._rigid - self._per_kg) / _STEP_M for axis in np.eye(3)]
        self._play: Array | None = None

    def _loaded(self, shift_m: Array) -> Array:
        """(N, n) torque under 1 kg, `shift_m` (3,) off the payload point."""
        self._model.set_payload(1.0, shift_m)
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
        total = effect.payload_kg * self._per_kg
        for moment, column in zip(effect.moment_kgm, self._per_moment, strict=False):
            total = total + moment * column
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
        return total + self._misread(effect) if touched(effect) & _SENSORS else total

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
            path = np.cumsum(motion.wide.v - too_fast, axis=0) / motion.wide.rate_hz
            q = np.where(frozen, q + motion.wide.reduce(self._travelled + path), q)
        if not np.any(too_fast):
            return self._rigid_torque(q, motion.v) - self._rigid
        dry = motion.wide.reduce(np.tanh((motion.wide.v - too_fast) / self._calibration.dry_rad_s))
        return self._rigid_torque(q, motion.v - too_fast) + dry * coulomb - self._expected


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
