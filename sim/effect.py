"""How a degraded robot differs from the healthy one: a sum of effects, each linear in its severity.

Half a fault is therefore a meaningful fault, two faults are the sum of their effects, and a posterior over effects can
be sampled. An empty tuple stands for zeros. n coordinates, m actuators as in `core.robot`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from core.rigid_body import Array

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Everything that a fault can change. Without arguments: the healthy robot."""

    # load
    payload_kg: float = 0.0  # mass at the payload point
    moment_kgm: Vector = ()  # (3,) first moment of the load about the payload point, in the payload link's frame
    # friction and elasticity at the coordinates
    viscous: Vector = ()  # (n,) added viscous friction [N*m*s/rad]
    coulomb: Vector = ()  # (n,) added Coulomb friction [N*m]
    stiction: Vector = ()  # (n,) added breakaway friction on top of Coulomb friction [N*m]
    stiffness: Vector = ()  # (n,) elastic drag towards home [N*m/rad]
    ripple: Vector = ()  # (n,) amplitude of cogging [N*m]
    brake: Vector = ()  # (n,) 1 where a brake holds the joint
    # motors and gears
    gain_loss: Vector = ()  # (m,) share of the effort that is missing
    limit_loss: Vector = ()  # (m,) share of the effort limit that is missing
    backlash: Vector = ()  # (m,) play between motor and link [rad]
    deadband: Vector = ()  # (m,) effort that is lost before anything moves [N*m]
    motor_lag_s: Vector = ()  # (m,) time constant that the drive needs on top of its own
    sag: float = 0.0  # share of all efforts that is missing when every drive is at its limit
    # bus
    delay_s: float = 0.0  # added command delay
    jitter_s: float = 0.0  # largest random delay on top
    drop_share: float = 0.0  # share of commands that never arrive
    # sensors
    offset: Vector = ()  # (n,) reading minus true position [rad]
    scale: Vector = ()  # (n,) reading = (1 + scale) * position
    noise: Vector = ()  # (n,) added position noise, in healthy standard deviations
    quantum: Vector = ()  # (n,) step of the position reading [rad]
    freeze: Vector = ()  # (n,) 1 where the position reading no longer changes
    dropout: Vector = ()  # (n,) share of position readings that repeat the last one
    rate_offset: Vector = ()  # (n,) velocity reading minus true velocity [rad/s]
    # surroundings
    wind_n: Vector = ()  # (3,) force on the body in the world frame [N]
    wheel_radius: Vector = ()  # (m,) share by which a wheel's radius has grown
    slip: Vector = ()  # (m,) share of a wheel's motion that the ground does not see
    ground_loss: float = 0.0  # share of the ground's friction that is missing

    def vector(self, name: str, size: int) -> Array:
        """(size,) entries of the field `name`, zeros where it is empty."""
        values = getattr(self, name)
        return np.array(values) if values else np.zeros(size)


NO_EFFECT = Effect()
FIELDS = tuple(spec.name for spec in fields(Effect))


def combine(effects: Iterable[tuple[float, Effect]]) -> Effect:
    """Weighted sum of effects: `(severity, effect)` pairs."""
    total: dict[str, float | Vector] = {}
    for weight, effect in effects:
        if not weight:
            continue
        for name in FIELDS:
            value = getattr(effect, name)
            if not value:
                continue
            before = total.get(name)
            if isinstance(value, tuple):
                known = before if isinstance(before, tuple) else (0.0,) * len(value)
                total[name] = tuple(a + weight * b for a, b in zip(known, value, strict=True))
            else:
                total[name] = (before if isinstance(before, float) else 0.0) + weight * value
    return Effect(**total)  # type: ignore[arg-type]


def on(targets: Iterable[int], size: int, value: float) -> Vector:
    """(size,) with `value` at `targets` and zero elsewhere."""
    chosen = set(targets)
    return tuple(value if i in chosen else 0.0 for i in range(size))


def touched(effect: Effect) -> frozenset[str]:
    """Fields of `effect` that are not those of a healthy robot."""
    values = [(name, getattr(effect, name)) for name in FIELDS]
    return frozenset(name for name, value in values if value and (not isinstance(value, tuple) or any(value)))
