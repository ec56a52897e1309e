"""The two law folders of an own robot: the shipped laws with its number of joints, gains and ranges."""

from __future__ import annotations

import numpy as np

from controllers.arm_laws import Setting, fit_law
from controllers.artefact import Artefact, load_artefact, shipped_laws
from core.rigid_body import Array
from remend.own_robot.chain import Chain
from remend.own_robot.sizing import Sizing

CONTROLLER, SAFETY = "computed_torque", "joint_pd"
_ROOM = 4.0  # a patch may move a gain from a quarter to four times its value
_MOST_OFFSET_RAD, _MOST_OFFSET_SHARE = 0.2, 0.1  # encoder offset that a patch may compensate: angle, share of the range
_MOST_FRICTION, _MOST_DAMPING = 0.3, 0.2  # friction that a patch may compensate, as a share of the effort limit


def own_laws(chain: Chain, sizing: Sizing) -> tuple[Artefact, Artefact]:
    """The controller and the safety law for `chain`."""
    n, units = len(chain.joints), list(chain.units)
    effort, speed = chain.each("effort"), chain.each("speed")
    span = chain.each("upper") - chain.each("lower")
    offset = np.minimum(_MOST_OFFSET_SHARE * span, np.where(chain.slides, np.inf, _MOST_OFFSET_RAD))
    zero, one = np.zeros(n), np.ones(n)
    most_kg = max(sizing.carried_kg, 2.0 * sizing.load_kg)
    settings = {
        "kp": _gain(sizing.bandwidth**2 * one, "1/s^2"),
        "kd": _gain(2.0 * sizing.bandwidth * one, "1/s"),
        "mass": Setting.of(0.0, 0.0, _short(most_kg), "kg"),
        "viscous": _term(zero, zero, _MOST_DAMPING * effort / speed, _each(units, "N*m*s/rad", "N*s/m")),
        "coulomb": _term(zero, zero, _MOST_FRICTION * effort, _each(units, "N*m", "N")),
        "gain": Setting.of(one.tolist(), 0.3, 1.5, "1"),
        "encoder_offset": _term(zero, -offset, offset, _each(units, "rad", "m")),
    }
    command = _each(units, "N*m", "N")
    controller = fit_law(
        load_artefact(shipped_laws()[CONTROLLER]),
        n,
        settings,
        command,
        f"Computed torque control with payload, friction, actuator and encoder terms for {chain.words()}",
    )
    gains = {
        "kp": _gain(sizing.kp, _each(units, "N*m/rad", "N/m")),
        "kd": _gain(sizing.kd, _each(units, "N*m*s/rad", "N*s/m")),
    }
    safety = fit_law(
        load_artefact(shipped_laws()[SAFETY]),
        n,
        gains,
        command,
        f"Joint PD control with gravity compensation for {chain.words()}",
    )
    return controller, safety


def _each(units: list[str], turning: str, sliding: str) -> list[str]:
    return [sliding if unit == "m" else turning for unit in units]


def _short(value: float) -> float:
    """The number with three figures: more would claim a precision that no rule here has."""
    return float(f"{value:.3g}")


def _listed(values: Array) -> list[float]:
    return [_short(value) for value in values]


def _gain(values: Array, unit: str | list[str]) -> Setting:
    return _term(values, values / _ROOM, values * _ROOM, unit)


def _term(values: Array, low: Array, high: Array, unit: str | list[str]) -> Setting:
    return Setting.of(_listed(values), _listed(low), _listed(high), unit)
