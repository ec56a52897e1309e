"""How much the ground holds: wheels slide at the friction limit and nowhere else.

On ground with a share of its friction missing, wheels slide whenever the force that the motion needs comes near what is
left, and that force never goes beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pinocchio as pin
from scipy.special import expit

from core.rigid_body import Array
from core.robot import Robot
from sim.effect import Effect
from sim.plant import GRAVITY_M_S2
from sim.twin.parts import Stretch
from sim.twin.sliding import sliding
from sim.twin.travel import Travel, WheelCalibration, travel_of
from sim.wheeled_base import Base, constant, nominal_base

_NEAR, _WIDTH = 0.85, 0.1  # of the limit, from which wheels slide, and how sharply
_ODD = 0.01  # probability of sliding far from the limit, and of holding far beyond it
_BEYOND = 0.05  # share of the healthy limit by which a measured force misses, at most times
_CLUMP = 4.0  # instants for each independent one: a slide lasts


class Grip:
    """Likelihood of a loss of ground friction, from N instants of two wheels."""

    sees = frozenset({"ground_loss"})
    separable = True

    def __init__(self, stretch: Stretch, calibration: WheelCalibration) -> None:
        robot = stretch.robot
        base = calibration.base(robot)
        travel = travel_of(robot, stretch.after, stretch.after.group("tau_meas"))
        self._use = _use(robot, base, travel)
        self._sliding = sliding(travel, base, calibration.noise[2:])
        # Where a wheel stands, it may be held, and the wheels may push against each other unseen.
        self._weight = np.min(travel.turns(), axis=1, keepdims=True) / _CLUMP
        self._healthy = self._log(0.0)

    def _log(self, loss: float) -> float:
        """Log likelihood of what slid and what did not, and of the forces."""
        left = max(1.0 - loss, 1e-3)
        slides = _ODD + (1.0 - 2.0 * _ODD) * expit((self._use / left - _NEAR) / _WIDTH)
        beyond = np.maximum(self._use - left, 0.0) / _BEYOND
        each = np.log(np.where(self._sliding, slides, 1.0 - slides)) - 0.5 * np.square(beyond)
        return float((self._weight * each).sum())

    def gain(self, effect: Effect) -> float:
        """Log likelihood under `effect` minus that of healthy ground."""
        return self._log(effect.ground_loss) - self._healthy

    def settle(self, effect: Effect) -> bool:
        return False

    def resolution(self) -> Mapping[str, float]:
        return {"ground_loss": 0.05}

    def hints(self) -> Mapping[str, Array]:
        return {}


def _use(robot: Robot, base: Base, travel: Travel) -> Array:
    """(N, 2) force on the ground at either wheel, as a share of what healthy ground could hold."""
    motion, yaw = travel.motion, travel.motion.wide.reduce(travel.heading())
    c, s = np.cos(yaw), np.sin(yaw)
    ahead, across = c * motion.a[:, 0] + s * motion.a[:, 1], c * motion.a[:, 1] - s * motion.a[:, 0]
    v = c * motion.v[:, 0] + s * motion.v[:, 1]
    w, alpha = motion.v[:, 2], motion.a[:, 2]
    along = base.traction(
        base.mass_kg * ahead - base.moment_kgm * w * w, base.yaw_inertia * alpha + base.moment_kgm * v * w
    )
    sideways = 0.5 * (base.mass_kg * across + base.moment_kgm * alpha)
    loads = _loads(robot, base, ahead, across)
    use: Array = np.hypot(along, sideways[:, None]) / (constant(nominal_base(robot), "ground_friction")[0] * loads)
    return use


def _loads(robot: Robot, base: Base, ahead: Array, across: Array) -> Array:
    """(N, 2) weight on either wheel [N] under the accelerations ahead and across [m/s^2], which lean the base."""
    sheet = nominal_base(robot)
    body, *wheels = (pin.Inertia.FromDynamicParameters(block) for block in sheet.inertials.reshape(-1, 10))
    share = body.mass / (body.mass + sum(wheel.mass for wheel in wheels))
    height = float(base.radius.mean() + share * body.lever[2])
    caster = constant(sheet, "caster")[0]
    on_both = base.mass_kg * (GRAVITY_M_S2 + ahead * height / caster) - base.moment_kgm * GRAVITY_M_S2 / caster
    left, right = base.wheel_y
    leaning = base.mass_kg * across * height / (left - right)
    loads = np.stack([0.5 * on_both - leaning, 0.5 * on_both + leaning], axis=1)
    least: Array = np.maximum(loads, 0.1 * base.mass_kg * GRAVITY_M_S2)
    return least
