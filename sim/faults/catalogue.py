"""Every fault that Remend knows: the shipped ones and those of installed packages (entry points `remend.faults`)."""

from __future__ import annotations

from core.extensions import Registry
from core.robot import Robot
from sim.faults import (
    actuator_loss,
    backlash,
    com,
    coulomb,
    deadband,
    delay,
    dropout,
    dropped,
    freeze,
    friction,
    ground_friction,
    imu_bias,
    jitter,
    motor_lag,
    payload,
    quantisation,
    ripple,
    sag,
    sensor_bias,
    sensor_noise,
    sensor_scale,
    slip,
    spring,
    stiction,
    stuck,
    thrust_loss,
    torque_limit,
    velocity_bias,
    wheel_radius,
    wind,
)
from sim.faults.kind import FaultKind

_SHIPPED = (
    payload,
    com,
    friction,
    coulomb,
    stiction,
    spring,
    ripple,
    stuck,
    actuator_loss,
    thrust_loss,
    torque_limit,
    backlash,
    deadband,
    motor_lag,
    sag,
    delay,
    jitter,
    dropped,
    sensor_bias,
    sensor_scale,
    sensor_noise,
    quantisation,
    freeze,
    dropout,
    velocity_bias,
    imu_bias,
    wind,
    wheel_radius,
    slip,
    ground_friction,
)


CATALOGUE = Registry("remend.faults", FaultKind, (module.KIND for module in _SHIPPED))


def faults_of(robot: Robot) -> dict[str, FaultKind]:
    """The faults that this robot can have, in sizes that suit it."""
    return {name: kind.fitted_to(robot) for name, kind in CATALOGUE.items() if kind.applies_to(robot)}
