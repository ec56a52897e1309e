"""What a monitor has to expect once a fault is patched: the healthy robot as it was learnt, with the fault."""

from __future__ import annotations

import numpy as np

from core.robot import Robot
from sim.effect import Effect
from sim.twin.parts import Corrections
from telemetry.calibration import Calibration
from telemetry.monitor import Expected


def expected_with(robot: Robot, calibration: Corrections, effect: Effect) -> Expected | None:
    """The robot under `effect`; None for a kind whose monitor has no model to put it into and has to learn it."""
    if not isinstance(calibration, Calibration):
        return None
    n, m = robot.dof, len(robot.actuators)
    model = calibration.model(robot)
    lever_m = np.array(effect.moment_kgm) / effect.payload_kg if effect.payload_kg and effect.moment_kgm else None
    model.set_payload(effect.payload_kg, lever_m)
    model.damping = model.damping + effect.vector("viscous", n)
    return Expected(
        model=model,
        coulomb=calibration.coulomb + effect.vector("coulomb", n),
        motor_gain=1.0 - effect.vector("gain_loss", m),
        offset=effect.vector("offset", n),
        late_s=effect.delay_s,
    )
