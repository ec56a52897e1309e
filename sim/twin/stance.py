"""Forces and moments on a trunk that its legs do not explain, and what each fault adds to them.

What a drive gives and its joint does not get is missing at the foot, so it enters the balance (`sim.twin.balance`)
through the same matrix as torque does. A load adds its own weight and inertia. A leg whose angles are misread pushes
from another place in another direction.
"""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array
from sim.effect import Effect
from sim.plants.legged import COGGING_PERIODS
from sim.twin.balance import DRY_RAD_S, Balance, LegCalibration
from sim.twin.cause import touched
from sim.twin.parts import Mask, Stretch
from telemetry.calibration import smooth_sign

_STRIBECK_RAD_S = 0.05  # the usual speed over which breakaway friction fades; Armstrong-Helouvry et al. 1994
_STEP_M = 0.01  # of the derivative by the place of the load
_SENSORS = frozenset({"offset", "scale", "freeze"})


class StanceRows:
    """Rows of a legged robot: force [N] and moment [N*m] about the trunk's origin, in the trunk's axes."""

    linear = frozenset({"payload_kg", "moment_kgm", "viscous", "coulomb", "stiction", "stiffness", "ripple"}) | {
        "gain_loss"
    }
    sees = linear | _SENSORS | {"deadband", "brake"}

    def __init__(self, stretch: Stretch, calibration: LegCalibration) -> None:
        robot = self._robot = stretch.robot
        balance = self._balance = Balance(robot, stretch.after, stretch.drive)
        legs = self._legs = balance.legs
        m = legs.m
        columns, target = balance.system()
        self.residual = target - columns @ calibration.correction
        values, axes = np.linalg.eigh(calibration.covariance)
        self.nuisance = columns @ (axes * np.sqrt(np.maximum(values, 0.0)))
        self.noise, self.inflation = calibration.noise, calibration.inflation
        weight_n = 9.81 * sum(body.mass for body in legs.model.inertias)
        self.broad = np.array([weight_n] * 3 + [0.25 * weight_n] * 3)
        legs.set_inertials(legs.inertials() + calibration.correction[: 10 * (m + 1)])
        self._bare = balance.terms(balance.q)[1]
        self._per_kg = self._loaded(np.zeros(3))
        self._per_moment = [(self._loaded(_STEP_M * axis) - self._per_kg) / _STEP_M for axis in np.eye(3)]
        q, v = balance.q[:, :m], balance.v[:, :m]
        dry = smooth_sign(v, DRY_RAD_S)
        torque = {
            "viscous": v,
            "coulomb": dry,
            "stiction": dry * np.exp(-np.square(v / _STRIBECK_RAD_S)),
            "stiffness": q - np.array(robot.home[:m]),
            "ripple": np.sin(COGGING_PERIODS * q),
            "gain_loss": balance.tau,
        }
        self._per_joint = {name: balance.of_joints(each) for name, each in torque.items()}  # (N, 6, m)

    def _loaded(self, shift_m: Array) -> Array:
        """(N, 6) what 1 kg on the trunk, `shift_m` (3,) off the payload point, adds to the balance."""
        self._legs.set_payload(1.0, shift_m)
        w = self._balance.terms(self._balance.q)[1]
        self._legs.set_payload(0.0)
        return self._balance.reduce((w - self._bare)[:, :6])

    def shift(self, effect: Effect) -> Array:
        """(N, 6) what `effect` adds to the balance."""
        m, n = self._legs.m, self._robot.dof
        total = effect.payload_kg * self._per_kg
        for moment, column in zip(effect.moment_kgm, self._per_moment, strict=False):
            total = total + moment * column
        for name, column in self._per_joint.items():
            if getattr(effect, name):
                total = total + column @ effect.vector(name, m if name == "gain_loss" else n)[:m]
        dead = effect.vector("deadband", m)
        if np.any(dead):
            total = total + self._balance.of_joints(np.clip(self._balance.tau, -dead, dead)).sum(axis=2)
        shift: Array = total + self._misread(effect) if touched(effect) & _SENSORS else total
        return shift

    def by_effort(self, change: Array) -> Array:
        """(N, 6) shift when the drives gave `change` (M, m) more than healthy ones."""
        shift: Array = -self._balance.of_joints(change).sum(axis=2)
        return shift

    def freed(self, effect: Effect) -> Mask:
        """(6,) all of them where a brake holds a joint: the torque of its leg is no longer known."""
        return np.full(6, bool(np.any(effect.vector("brake", self._robot.dof) > 0)))

    def _misread(self, effect: Effect) -> Array:
        """(N, 6) balance at the angles that were read minus balance at the true ones."""
        n, balance = self._robot.dof, self._balance
        q = (balance.q - effect.vector("offset", n)) / (1.0 + effect.vector("scale", n))
        frozen = effect.vector("freeze", n) > 0
        if np.any(frozen):
            q = np.where(frozen, q + np.cumsum(balance.v, axis=0) * self._robot.dt_s, q)
        read = balance.missing(balance.P, self._bare)
        return balance.reduce(read - balance.missing(*balance.terms(q)))
