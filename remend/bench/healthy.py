"""How often the detector alarms on robots that are healthy, hour after hour, at work that the head did not show.

Tasks are new, done at half to one and a half times the speed of the head, with a load within 20 % of the one that the
robot carried on the head, and the robot is switched off and on every two minutes. The head is recorded at two thirds of
the speed for which tasks are drawn: half as fast again as those, drives saturate and wheels slip, which is no false
alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.block import Block
from core.robot import Robot
from core.robot_toml import load_robot
from remend.bench.watching import HEAD_S, STARTS_S
from sim.faults.catalogue import faults_of
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.workday import work
from telemetry.monitor import Monitor

PACE = 2.0 / 3.0  # of the head
SPEEDS = (0.5 * PACE, 1.5 * PACE)
LOADS = (0.8, 1.2)
_CARRIED = 0.2  # of the payload that counts as a fault
_STRETCH_S = 120.0
_PAUSE_S = 5.0
_FIRST_DAY = 7000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Some hours of one hidden robot."""

    file: Path  # robot.toml
    seed: int
    hours: float
    rates_per_h: tuple[float, ...]  # admissible false alarms, one detector each


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a detector said in them."""

    robot: str
    rate_per_h: float
    hours: float
    alarms: tuple[str, ...]  # channel and kind of each


def keep_watch(shift: Shift) -> Sequence[Kept]:
    """Learn a head, then watch healthy work for some hours."""
    robot = load_robot(shift.file)
    rng = np.random.default_rng([shift.seed, 0x0EA1])
    carried_kg = _CARRIED * next(p.default for p in faults_of(robot)["payload"].parameters if p.name == "mass")
    head = _stretch(robot, shift.seed, shift.seed, STARTS_S + HEAD_S, carried_kg, (PACE, PACE))
    monitors = [Monitor(robot, head, rate) for rate in shift.rates_per_h]
    clock_s, watched_s = float(head.t_s[-1]), 0.0
    for number in range(round(shift.hours * 3600.0 / _STRETCH_S)):
        load_kg = carried_kg * float(rng.uniform(*LOADS))
        block = _stretch(robot, shift.seed, _FIRST_DAY + number, STARTS_S + _STRETCH_S, load_kg, SPEEDS)
        block.data[:, 1] += round((clock_s + _PAUSE_S - block.t_s[0]) * 1e9)
        clock_s, watched_s = float(block.t_s[-1]), watched_s + len(block) * robot.dt_s
        for monitor in monitors:
            monitor.watch(block)
    return [
        Kept(
            robot=robot.name,
            rate_per_h=rate,
            hours=watched_s / 3600.0,
            alarms=tuple(f"{event.channel} {event.kind}" for event in monitor.tracker.events),
        )
        for rate, monitor in zip(shift.rates_per_h, monitors, strict=True)
    ]


def _stretch(robot: Robot, hidden: int, day: int, seconds: float, load_kg: float, speeds: tuple[float, float]) -> Block:
    course = FaultCourse(faults=parse_faults(f"payload:mass={load_kg!r}", robot))
    block = work(robot, seconds, hidden=hidden, day=day, course=course, speeds=speeds)
    return Block(data=block.between(STARTS_S, seconds).data.copy(), actuators=block.actuators)
