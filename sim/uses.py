"""What a healthy robot uses in its tasks, of what it has: measured once in simulation, kept in robot.toml."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.rigid_body import Array
from core.robot import Robot, Sensors, Uses
from sim.faults.course import FaultCourse
from sim.workday import work

_ROBOTS = 4  # off the production line: the data sheet knows no dry friction
_SECONDS, _SEGMENT_S = 8.5, 4.0  # two tasks each
_SETTLED_S = 0.5  # from power-on
_PEAK = 0.9  # share of the time
_DIGITS = 2  # another day differs in the second


def measure_uses(robot: Robot) -> Uses | None:
    """What some robots off the production line use at tasks of their own, with sensors that do not err.

    None if they cannot do their tasks.
    """
    n, m = robot.dof, len(robot.actuators)
    exact = replace(
        robot, sensors=Sensors(position_noise=(0.0,) * n, velocity_noise=(0.0,) * n, effort_noise=(0.0,) * m)
    )
    days = [
        work(exact, _SECONDS, hidden=k, day=k, course=FaultCourse(), segment_s=_SEGMENT_S).between(_SETTLED_S, _SECONDS)
        for k in range(_ROBOTS)
    ]
    if any(len(day) < round((_SECONDS - _SETTLED_S) * robot.control_rate_hz) for day in days):
        return None
    effort, position = (np.concatenate([day.group(name) for day in days]) for name in ("tau_meas", "q"))
    return Uses(
        effort_typical=_short(np.sqrt(np.mean(np.square(effort), axis=0))),
        effort_peak=_short(np.quantile(np.abs(effort), _PEAK, axis=0)),
        position_typical=_short(np.sqrt(np.mean(np.square(position), axis=0))),
    )


def _short(values: Array) -> tuple[float, ...]:
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values)
