"""Recordings come back bit for bit and are readable by tools that know MCAP and ROS 2."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader

from core.errors import BadInput
from core.frames import Frame, Reference, TelemetryRow, pack_frame
from core.records import Event
from telemetry.recording import is_recording, read_recording, write_recording

JOINTS = ("shoulder", "elbow")
EVENT = Event(
    detector="cusum_bank@1",
    channel="joint_2.torque_residual",
    kind="bias",
    onset_s=0.1,
    alarm_s=0.30000000000000004,
    test_ratio=1.0000000000000002,
    ranking=(("joint_2.torque_residual", 1.0000000000000002), ("joint_1.velocity", 0.3)),
)


def _row(seq: int, values: list[float]) -> TelemetryRow:
    q, qd, tau_meas, tau_cmd, q_ref, qd_ref, qdd_ref = (values[2 * k : 2 * k + 2] for k in range(7))
    return TelemetryRow(
        frame=Frame(seq=seq, stamp_ns=seq * 4_000_000, q=q, qd=qd, tau_meas=tau_meas, tau_cmd=tau_cmd),
        reference=Reference(q_ref=q_ref, qd_ref=qd_ref, qdd_ref=qdd_ref),
    )


def _bits(row: TelemetryRow) -> bytes:
    ref = row.reference
    return pack_frame(row.frame) + struct.pack("<6d", *ref.q_ref, *ref.qd_ref, *ref.qdd_ref)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.lists(st.floats(allow_nan=False), min_size=14, max_size=14), max_size=4))
def test_every_float_comes_back_bit_for_bit(tmp_path: Path, table: list[list[float]]) -> None:
    rows = [_row(i, values) for i, values in enumerate(table)]
    scores = np.array([values[0] for values in table])
    write_recording(
        tmp_path / "a.mcap", rows, JOINTS, JOINTS, scores, [EVENT], {"controller": "abc", "note": 'say "Infinity"'}
    )
    recording = read_recording(tmp_path / "a.mcap")
    assert [_bits(row) for row in recording.rows] == [_bits(row) for row in rows]
    assert recording.joint_names == recording.actuator_names == JOINTS
    assert (recording.scores is None) == (not rows)
    if recording.scores is not None:
        assert recording.scores.tobytes() == scores.tobytes()
    assert recording.events == (EVENT,)
    assert recording.metadata == {"controller": "abc", "note": 'say "Infinity"'}


def test_missing_measurement_is_nan_in_the_file_and_when_read(tmp_path: Path) -> None:
    path = tmp_path / "nan.mcap"
    write_recording(path, [_row(0, [math.nan, -math.inf, *[-0.0] * 12])], ("Infinity", "b"), ("c", "d"))
    row = read_recording(path).rows[0]
    assert math.isnan(row.frame.q[0])
    assert row.frame.q[1] == -math.inf
    assert math.copysign(1.0, row.frame.qd[0]) == -1.0


@pytest.mark.parametrize("mode", ["torque", "position"])
def test_rosbags_opens_a_recording_and_finds_standard_messages(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "incident.mcap"
    rows = [_row(i, [float(k + i) for k in range(14)]) for i in range(3)]
    actuators = ("motor_a", "motor_b")
    write_recording(path, rows, JOINTS, actuators, np.array([0.1, 0.2, 1.5]), [EVENT], {"robot": "arm-1"}, mode=mode)
    said: dict[str, list[Any]] = {}
    with AnyReader([path]) as reader:
        types = {connection.topic: connection.msgtype for connection in reader.connections}
        for connection, stamp_ns, data in reader.messages():
            said.setdefault(connection.topic, []).append((stamp_ns, reader.deserialize(data, connection.msgtype)))
    assert types == {
        "/joint_states": "sensor_msgs/msg/JointState",
        "/actuator_states": "sensor_msgs/msg/JointState",
        "/commands": "sensor_msgs/msg/JointState",
        "/reference": "sensor_msgs/msg/JointState",
        "/reference/acceleration": "std_msgs/msg/Float64MultiArray",
        "/remend/sequence": "std_msgs/msg/Int64",
        "/remend/score": "std_msgs/msg/Float64",
        "/remend/event": "diagnostic_msgs/msg/DiagnosticArray",
    }
    stamp_ns, state = said["/joint_states"][2]
    assert stamp_ns == 8_000_000 == state.header.stamp.nanosec
    assert (state.name, state.position.tolist(), state.velocity.tolist()) == (list(JOINTS), [2.0, 3.0], [4.0, 5.0])
    assert said["/actuator_states"][2][1].effort.tolist() == [6.0, 7.0]
    command = said["/commands"][2][1]
    given, empty = (command.position, command.effort) if mode == "position" else (command.effort, command.position)
    assert (command.name, given.tolist(), len(empty)) == (list(actuators), [8.0, 9.0], 0)
    assert said["/reference"][2][1].position.tolist() == [10.0, 11.0]
    assert said["/remend/score"][2][1].data == 1.5
    stamp_ns, diagnostics = said["/remend/event"][0]
    status = diagnostics.status[0]
    assert (stamp_ns, status.name, status.hardware_id, status.level) == (300_000_000, EVENT.channel, "arm-1", 2)
    assert "bias" in status.message
    again = read_recording(path)
    assert [_bits(row) for row in again.rows] == [_bits(row) for row in rows]
    assert (again.actuator_names, again.mode) == (actuators, mode)


def test_recordings_of_earlier_versions_are_still_read() -> None:
    recording = read_recording(Path(__file__).parent / "data" / "version_2.mcap")
    assert recording.joint_names == recording.actuator_names == JOINTS
    assert recording.events == (EVENT,)
    assert recording.metadata == {"robot": "arm-1"}
    assert recording.scores is not None
    assert recording.scores.tolist() == [0.0, 1 / 3, 2 / 3, 1.0]
    row = recording.rows[2]
    assert (row.frame.seq, row.frame.stamp_ns) == (9, 8_001_000)
    assert (row.frame.q[0], row.frame.qd[1], row.frame.tau_cmd) == (0.2, 2 / 3, [-math.inf, 5e-324])
    assert math.isnan(row.frame.q[1])
    assert math.copysign(1.0, row.frame.qd[0]) == -1.0
    assert (row.frame.tau_meas[0], row.reference.q_ref[0], row.reference.qdd_ref[1]) == (math.inf, 2e300, math.pi)


def test_same_incident_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = [_row(i, [0.1 * i] * 14) for i in range(5)]
    for name in ("a", "b"):
        write_recording(tmp_path / name, rows, JOINTS, JOINTS, np.arange(5.0), [EVENT], {"k": "v"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert is_recording(tmp_path / "a")


def test_bad_recordings_are_refused_in_one_sentence(tmp_path: Path) -> None:
    rows = [_row(i, [0.0] * 14) for i in range(50)]
    with pytest.raises(BadInput, match="one score per row"):
        write_recording(tmp_path / "x", rows, JOINTS, JOINTS, np.zeros(2))
    with pytest.raises(BadInput, match="no such recording"):
        read_recording(tmp_path / "absent.mcap")
    (tmp_path / "text.mcap").write_text("not an mcap file, only words that go on for a while")
    with pytest.raises(BadInput, match="not a complete Remend recording"):
        read_recording(tmp_path / "text.mcap")
    assert not is_recording(tmp_path / "text.mcap")
    write_recording(tmp_path / "whole.mcap", rows, JOINTS, JOINTS)
    (tmp_path / "cut.mcap").write_bytes((tmp_path / "whole.mcap").read_bytes()[:-300])
    with pytest.raises(BadInput, match=r"cut\.mcap"):
        read_recording(tmp_path / "cut.mcap")
