"""Faults of hidden robots as a detector meets them: at a random moment of a day whose tasks the head has not seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.block import Block
from core.robot import Robot
from core.robot_toml import load_robot
from remend.bench.matched import Series
from remend.bench.peers import Peer, peers, rows_of
from sim.faults.catalogue import CATALOGUE, faults_of
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.workday import work
from telemetry.monitor import Monitor
from telemetry.watch.average import ticks_per_row

OURS = "remend"
HEAD_S = 60.0
STARTS_S = 2.0  # a robot that has just been switched on settles
WATCHED_S = 10.0  # an alarm that comes later is none
_BEFORE_S = (6.0, 12.0)  # onset, uniform, from power-on
_OTHER_DAY = 1000

# Kinds of change that are right for a fault; the others (a load, a loose gear, a stuck joint ...) look like several.
KINDS_OF = {
    "sensor_bias": ("bias",),
    "velocity_bias": ("bias",),
    "imu_bias": ("bias",),
    "actuator_loss": ("gain",),
    "thrust_loss": ("gain",),
    "sensor_scale": ("gain",),
    "wheel_radius": ("gain",),
    "sag": ("gain",),
    "delay": ("delay",),
    "motor_lag": ("delay",),
    "friction": ("friction",),
    "coulomb": ("friction",),
    "stiction": ("friction",),
    "sensor_noise": ("noise",),
    "quantisation": ("noise", "dropout"),  # coarse steps are noise, and repeat
    "freeze": ("freeze",),
    "dropout": ("dropout",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One fault on one hidden robot, and what the detectors made of it."""

    robot: str
    fault: str
    spec: str
    severity: float
    onset_s: float
    lost: bool  # the robot went out of control before a detector had a tenth of a second
    early: int  # own alarms before the onset
    alarm_s: float | None  # own first alarm after the onset, at the configured rate
    channel: str = ""
    kind: str = ""
    place_right: bool | None = None  # None: the fault has no place, or there was no alarm
    kind_right: bool | None = None  # None: more than one kind would do, or there was no alarm
    scores: dict[str, Series] = field(default_factory=dict)  # by detector

    @property
    def delay_s(self) -> float:
        """From onset to the own alarm; infinite without one."""
        return np.inf if self.alarm_s is None else self.alarm_s - self.onset_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one process does: one hidden robot, learnt once."""

    file: Path  # robot.toml
    seed: int
    faults: tuple[tuple[str, float], ...]  # name and severity
    rate_per_h: float  # admissible false alarms
    healthy_s: float  # unseen healthy telemetry, to match thresholds on; 0 for none
    with_peers: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What came of it."""

    robot: str
    healthy: dict[str, Series]  # by detector
    meetings: tuple[Meeting, ...]


def watch(todo: Work) -> Watched:
    """Record a head, unseen healthy work and every fault, and show them to every detector."""
    robot = load_robot(todo.file)
    head = day(robot, todo.seed, todo.seed, STARTS_S + HEAD_S, FaultCourse())
    rivals = list(peers(rows_of(head, ticks_per_row(robot.control_rate_hz))[1])) if todo.with_peers else []
    healthy = {}
    if todo.healthy_s:
        unseen = day(robot, todo.seed, 2 * _OTHER_DAY + todo.seed, STARTS_S + todo.healthy_s, FaultCourse())
        healthy = _scores(robot, Monitor(robot, head, todo.rate_per_h), rivals, unseen)
    meetings = tuple(
        _meet(robot, todo, Monitor(robot, head, todo.rate_per_h), rivals, name, severity)
        for name, severity in todo.faults
    )
    return Watched(robot=robot.name, healthy=healthy, meetings=meetings)


def day(robot: Robot, hidden: int, number: int, seconds: float, course: FaultCourse) -> Block:
    """A day's telemetry without what comes right after power-on."""
    return work(robot, seconds, hidden=hidden, day=number, course=course).between(STARTS_S, seconds)


def _meet(robot: Robot, todo: Work, monitor: Monitor, rivals: list[Peer], name: str, severity: float) -> Meeting:
    rng = np.random.default_rng([todo.seed, *name.encode()])
    onset_s = float(rng.uniform(*_BEFORE_S))
    kind = faults_of(robot)[name]
    places = kind.targets(robot)
    place = int(rng.choice(places)) if places else None
    numbers = [f"severity={severity:g}"] if place is None else [f"{kind.key}={place + 1}", f"severity={severity:g}"]
    spec = f"{name}:{','.join(numbers)}"
    course = FaultCourse(faults=parse_faults(spec, robot), onset_s=onset_s)
    block = day(robot, todo.seed, int(rng.integers(_OTHER_DAY, 2 * _OTHER_DAY)), onset_s + WATCHED_S, course)
    scores = _scores(robot, monitor, rivals, block)
    early = [event for event in monitor.tracker.events if event.alarm_s < onset_s]
    found = next((event for event in monitor.tracker.events if event.alarm_s >= onset_s), None)
    right_kinds = KINDS_OF.get(name)
    return Meeting(
        robot=robot.name,
        fault=name,
        spec=spec,
        severity=severity,
        onset_s=onset_s,
        lost=bool(block.t_s[-1] < onset_s + 0.1),
        early=len(early),
        alarm_s=None if found is None else found.alarm_s,
        channel="" if found is None else found.channel,
        kind="" if found is None else found.kind,
        place_right=None
        if found is None or place is None
        else found.channel.split(".")[0] in _names(robot, name, place),
        kind_right=None if found is None or right_kinds is None else found.kind in right_kinds,
        scores=scores,
    )


def _names(robot: Robot, fault: str, place: int) -> set[str]:
    """What a channel may be called that is in the place of the fault."""
    if CATALOGUE[fault].target != "actuator":
        return {robot.joints[place]}
    joint = robot.drives[place]
    return {robot.actuators[place]} | ({robot.joints[joint]} if joint is not None else set())


def _scores(robot: Robot, monitor: Monitor, rivals: list[Peer], block: Block) -> dict[str, Series]:
    monitor.watch(block)
    t_s, rows = rows_of(block, ticks_per_row(robot.control_rate_hz))
    return {OURS: monitor.scores} | {peer.name: (t_s, peer.scores(rows)) for peer in rivals}
