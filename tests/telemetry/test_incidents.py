"""Incidents: the same trouble has one fingerprint, and its severity is what it does to tracking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.block import Block
from core.records import Event
from core.robot_toml import load_robot
from sim.catalogue import robot_file
from telemetry.incidents import Occurrence, Severity, fingerprint, recording_window, severity, standing

IIWA = load_robot(robot_file("iiwa"))
EVENT = Event(detector="d@1", channel="joint_2.q", kind="bias", onset_s=4.0, alarm_s=4.5, test_ratio=1.2)


def _telemetry(before: float, after: float) -> Block:
    """10 s with an error of joint 3 of `before` and, from 4 s on, `after` [rad]."""
    data = np.zeros((100, 2 + 5 * IIWA.dof + 2 * len(IIWA.actuators)))
    data[:, 1] = np.arange(100) * 1e8
    block = Block(data=data, actuators=len(IIWA.actuators))
    block.group("q_ref")[:, 2] = np.where(block.t_s >= 4.0 - 1e-9, after, before)
    return block


def test_fingerprint_is_robot_channel_and_kind_and_nothing_else() -> None:
    mark = fingerprint("arm-1", EVENT)
    assert mark == fingerprint("arm-1", replace(EVENT, onset_s=90.0, alarm_s=91.0, test_ratio=3.0))
    others = [("arm-2", EVENT), ("arm-1", replace(EVENT, channel="joint_3.q")), ("arm-1", replace(EVENT, kind="noise"))]
    assert mark not in {fingerprint(robot, event) for robot, event in others}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.002, 0.00215, Severity.INFO),
        (0.002, 0.0023, Severity.DEGRADED),
        (0.002, IIWA.lost_error[2], Severity.UNSAFE),
        (IIWA.lost_error[2], 0.002, Severity.INFO),  # it was lost before, for another reason
    ],
)
def test_severity_is_what_the_trouble_does_to_tracking(before: float, after: float, expected: Severity) -> None:
    assert severity(IIWA, _telemetry(before, after), EVENT) is expected
    assert severity(IIWA, _telemetry(-before, -after), EVENT) is expected


def test_trouble_from_the_first_row_on_is_not_called_harmless() -> None:
    assert severity(IIWA, _telemetry(0.002, 0.002), replace(EVENT, onset_s=-1.0)) is Severity.DEGRADED
    assert severity(IIWA, _telemetry(0.002, 0.002), replace(EVENT, onset_s=99.0)) is Severity.INFO


def test_recording_is_ten_seconds_before_and_after_the_alarm() -> None:
    assert recording_window(EVENT) == (-5.5, 14.5)


def test_occurrences_stand_together_under_the_worst_severity() -> None:
    def at(number: int, how_bad: Severity) -> Occurrence:
        return Occurrence(
            incident_id="inc_1",
            recording=f"inc_{number}",
            number=number,
            fingerprint="f",
            severity=how_bad,
            event=EVENT,
            window_s=(0.0, 8.0),
            telemetry_sha="s",
            at_ns=100 * number,
        )

    now = standing([at(1, Severity.INFO), at(2, Severity.UNSAFE), at(3, Severity.DEGRADED)])
    assert (now.severity, now.occurrences, now.first_ns, now.last_ns) == (Severity.UNSAFE, 3, 100, 300)
