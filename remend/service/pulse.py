"""What a caretaker tells the service while it works: nothing here is a record, and nothing is lost if it is lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A stretch of telemetry, thinned out for a screen."""

    t_s: tuple[float, ...]  # N, robot clock [s]
    error: tuple[tuple[float, ...], ...]  # N rows of n, reference - measured position
    command: tuple[tuple[float, ...], ...]  # N rows of m
    low: tuple[float, ...] = ()  # n, smallest error of all rows of the stretch, also of those that were thinned out
    high: tuple[float, ...] = ()  # n, largest
    variation: float = 0.0  # largest mean change of the command per tick over a moment, summed over actuators


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The largest test ratio of a stretch."""

    t_s: float  # its end, robot clock [s]
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What the caretaker does right now."""

    what: str  # such as "proving the patch in simulation"
    done: int = 0
    total: int = 0  # 0: not known
    note: str = ""
    cancellable: bool = False  # whether an operator may end it


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What the robot's host says of its controllers."""

    stage: str  # "committed", "shadow", "canary", ...
    share: float  # of the command that the candidate has
    active_sha: str
    missed_deadlines: int | None
    notes: tuple[str, ...]  # the last things of note, oldest first
    held: str | None = None  # why it is held, None while it is not


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """How the caretaker keeps up with the telemetry."""

    behind_s: float  # telemetry that has arrived and was not looked at yet [s]
    lost_rows: int  # that nobody will look at any more, since the caretaker began


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """How the detector keeps the rate that was asked for, since it learnt the robot."""

    count: int  # alarms that ended by themselves and were not confirmed
    healthy_h: float  # [h]
    admitted_per_hour: float
    basis: str  # of the threshold: "measured" or "extrapolated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One line that a person at a terminal would read."""

    text: str
    grave: bool = False  # a security event


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The names and units that samples are in."""

    title: str
    joints: tuple[str, ...]  # n
    units: tuple[str, ...]  # n, of errors
    actuators: tuple[str, ...]  # m
    command_unit: str


Pulse = Sample | Ratio | Doing | Condition | Intake | FalseAlarms | Said | Layout
