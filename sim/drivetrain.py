"""Motor, gear and joint friction between the drive's torque and the link.

Rotor inertia and friction act with the acceleration of the *coming* step, so they cannot blow up however large friction
is against inertia (explicit damping diverges beyond damping * dt / inertia = 2):

    (M + B + dt D) a = tau - h - D v                 predicted acceleration, M and h of the links
    link torque      = tau - B a - D (v + dt a)

with B the rotor inertia and D the friction slope. Dry friction enters D as its secant slope tau_f(v) / v.
Source: linearly implicit Euler, Hairer and Wanner, Solving ODEs II (1996), IV.7; Stribeck curve: Armstrong-Helouvry
1994.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv

from core.rigid_body import Array
from sim.physics import Physics

_SMOOTH_RAD_S = 0.01  # dry friction is regularised below this speed; chosen, about a tenth of the Stribeck speed


class Drivetrain:
    """Torque transmission of all joints of one robot.

    Args:
        rotor_inertia: (n,) reflected rotor inertia [kg*m^2].
        physics: supplies friction.
        dt_s: physics step.
    """

    def __init__(self, rotor_inertia: Array, physics: Physics, dt_s: float) -> None:
        self._rotor, self._physics, self._dt = rotor_inertia, physics, dt_s
        self._diagonal = np.diag_indices(len(rotor_inertia))
        self._viscous = physics.viscous
        self._coulomb, self._stiction = physics.coulomb, physics.stiction
        self._dry = False
        self.set_fault(np.zeros(len(rotor_inertia)), np.zeros(len(rotor_inertia)))

    def set_fault(self, viscous: Array, coulomb: Array) -> None:
        """Friction in force is the robot's own plus `viscous` [N*m*s/rad] and `coulomb` [N*m]."""
        self._viscous = self._physics.viscous + viscous
        self._coulomb = self._physics.coulomb + coulomb
        self._stiction = self._physics.stiction + coulomb
        self._dry = bool(np.any(self._stiction))

    def friction_slope(self, v: Array) -> Array:
        """(n,) friction torque over velocity at `v` [N*m*s/rad]; finite at rest."""
        if not self._dry:
            return self._viscous
        breakaway = np.exp(-np.square(v / self._physics.stribeck_rad_s))
        level = self._coulomb + (self._stiction - self._coulomb) * breakaway
        return self._viscous + level / np.sqrt(np.square(v) + _SMOOTH_RAD_S**2)

    def link_torque(self, motor: Array, v: Array, link_inertia: Array, nonlinear: Array) -> Array:
        """(n,) torque [N*m] on the links when the motors give `motor` [N*m] at velocity `v`.

        `link_inertia` (n, n) is overwritten.
        """
        slope = self.friction_slope(v)
        link_inertia[self._diagonal] += self._rotor + self._dt * slope
        _, acceleration, failed = dposv(link_inertia, motor - nonlinear - slope * v)
        if failed:
            raise FloatingPointError("the joint-space inertia is not positive definite: the simulation has diverged")
        torque: Array = motor - self._rotor * acceleration - slope * (v + self._dt * acceleration)
        return torque
