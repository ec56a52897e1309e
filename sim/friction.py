"""Joint friction as a slope: torque over velocity at the present speed.

A slope can be applied with the velocity at the *end* of the step, where friction can only brake (linearly implicit
Euler, Hairer and Wanner, Solving ODEs II, 1996, IV.7). Explicit damping diverges beyond damping * dt / inertia = 2.
Dry friction enters as its secant slope tau_f(v) / v; Stribeck curve: Armstrong-Helouvry 1994.
"""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array
from sim.effect import Effect
from sim.physics import Physics

_SMOOTH_RAD_S = 0.01  # dry friction is regularised below this speed; chosen, about a tenth of the Stribeck speed
_BRAKE = 1e4  # N*m*s/rad: creeps a milliradian in a second under 10 N*m


class Friction:
    """Friction of all coordinates of one robot: its own plus what a fault adds."""

    def __init__(self, physics: Physics) -> None:
        self._physics = physics
        self.take(Effect())

    def take(self, effect: Effect) -> None:
        """Bring an effect into force."""
        own, n = self._physics, len(self._physics.viscous)
        self._viscous = own.viscous + effect.vector("viscous", n) + _BRAKE * effect.vector("brake", n)
        self._coulomb = own.coulomb + effect.vector("coulomb", n)
        self._excess = own.stiction - own.coulomb + effect.vector("stiction", n)  # breakaway above Coulomb
        self._sticks = bool(np.any(self._excess))
        self.is_constant = not self._sticks and not np.any(self._coulomb)

    def slope(self, v: Array) -> Array:
        """(n,) friction torque over velocity at `v` [N*m*s/rad]; finite at rest. Not to be changed by the caller."""
        if self.is_constant:
            return self._viscous
        slope: Array = self._viscous + self._dry(v) / np.sqrt(v * v + _SMOOTH_RAD_S**2)
        return slope

    def level(self, v: Array) -> Array:
        """(n,) largest friction torque at speed `v` [N*m], for a solver that finds out how much of it is needed."""
        level: Array = self._viscous * np.abs(v) + self._dry(v)
        return level

    def _dry(self, v: Array) -> Array:
        if not self._sticks:
            return self._coulomb
        return self._coulomb + self._excess * np.exp(v * v / -(self._physics.stribeck_rad_s**2))
