"""Incidents: which events are the same trouble again, how bad it is, and how much telemetry around them is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from core.block import Block
from core.ids import sha256_of
from core.records import Event
from core.robot import Robot

PRE_S = 10.0  # telemetry kept from before an alarm
POST_S = 10.0  # and from after it
_WORSE = 1.1  # tracking error that much above the one before is felt; chosen, as for what is worth a patch


class Severity(StrEnum):
    """What the trouble does to the robot's work, mildest first."""

    INFO = "info"  # seen, but tracking is as before
    DEGRADED = "degraded"  # tracking is worse by more than a tenth
    UNSAFE = "unsafe"  # a tracked coordinate was off its reference by the error at which it counts as lost

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One time that an incident showed. The first opens the incident; it counts up until a patch has healed it."""

    incident_id: str
    recording: str  # folder of its files
    number: int  # from 1
    fingerprint: str
    severity: Severity
    event: Event
    window_s: tuple[float, float]  # start and end of the telemetry that it was judged by [s, robot clock]
    telemetry_sha: str  # sha256 of that telemetry
    at_ns: int  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What all occurrences of an incident say together."""

    incident_id: str
    fingerprint: str
    severity: Severity  # the worst
    occurrences: int
    first_ns: int  # UTC
    last_ns: int  # UTC


def fingerprint(robot_id: str, event: Event) -> str:
    """The same for events that are the same trouble: of one robot, on one channel, of one kind."""
    return sha256_of([robot_id, event.channel, event.kind])[:16]


def recording_window(event: Event) -> tuple[float, float]:
    """Start and end of the telemetry that is recorded with an event [s, robot clock]."""
    return event.alarm_s - PRE_S, event.alarm_s + POST_S


def severity(robot: Robot, telemetry: Block, event: Event) -> Severity:
    """How bad an event is, from the tracking error before and after its onset.

    Args:
        telemetry: from before the onset to after the alarm.
    """
    tracked = list(robot.tracked)
    error = np.abs(telemetry.group("q_ref") - telemetry.group("q"))[:, tracked]
    after = telemetry.t_s >= event.onset_s
    lost = np.array(robot.lost_error)[tracked]
    if (error[after] >= lost).any():
        return Severity.UNSAFE
    if not after.any():
        return Severity.INFO
    if after.all():  # nothing to compare with: say the worse
        return Severity.DEGRADED
    scale = np.array(robot.tracking_scale)
    rms_after, rms_before = (float(np.sqrt(np.mean((error[rows] / scale) ** 2))) for rows in (after, ~after))
    return Severity.DEGRADED if rms_after > _WORSE * rms_before else Severity.INFO


def standing(occurrences: Sequence[Occurrence]) -> Standing:
    """The occurrences of one incident, at least one, oldest first, as one."""
    first, last = occurrences[0], occurrences[-1]
    return Standing(
        incident_id=first.incident_id,
        fingerprint=first.fingerprint,
        severity=max((occurrence.severity for occurrence in occurrences), key=lambda severity: severity.rank),
        occurrences=len(occurrences),
        first_ns=first.at_ns,
        last_ns=last.at_ns,
    )
