"""Messages: header stamp and log time apart, names that come late, files that were cut off, JSON and joint prefixes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as BagWriter
from rosbags.typesys import Stores, get_typestore

from core.errors import BadInput
from telemetry.channels import Role
from telemetry.message_source import MessageSource
from telemetry.sources import SAMPLE_ROWS, Clock, open_source

ROS: Any = get_typestore(Stores.ROS2_HUMBLE)
TYPES = ROS.types
T0_NS = 1_700_000_000_000_000_000
STATE, ARRAY, TWIST = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray", "geometry_msgs/msg/Twist"
Row = tuple[str, str, int, Any]  # topic, type, log time, message


def _state(joints: Sequence[str], position: float, stamp_ns: int = 0) -> Any:
    sec, nanosec = divmod(stamp_ns, 10**9)
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)
    return TYPES[STATE](
        header=TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id=""),
        name=list(joints),
        position=np.full(len(joints), float(position)),
        velocity=np.zeros(0),
        effort=np.zeros(0),
    )


def _twist(x: float) -> Any:
    vector = TYPES["geometry_msgs/msg/Vector3"]
    return TYPES[TWIST](linear=vector(x=x, y=0.0, z=0.0), angular=vector(x=0.0, y=0.0, z=0.5))


def _bag(path: Path, rows: Sequence[Row], storage: StoragePlugin = StoragePlugin.SQLITE3) -> Path:
    with BagWriter(path, version=9, storage_plugin=storage) as bag:
        connections = {
            topic: bag.add_connection(topic, msgtype, typestore=ROS)
            for topic, msgtype in {topic: msgtype for topic, msgtype, *_ in rows}.items()
        }
        for topic, msgtype, log_ns, message in rows:
            bag.write(connections[topic], log_ns, ROS.serialize_cdr(message, msgtype))
    return path


def _mcap(path: Path, rows: Sequence[Row], **options: Any) -> Path:
    with path.open("wb") as file:
        writer = McapWriter(file, **options)
        writer.start(profile="ros2", library="test")
        channels: dict[str, int] = {}
        for topic, msgtype, log_ns, message in rows:
            if topic not in channels:
                definition, _ = ROS.generate_msgdef(msgtype, ros_version=2)
                schema = writer.register_schema(msgtype, "ros2msg", definition.encode())
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            writer.add_message(channels[topic], log_ns, bytes(ROS.serialize_cdr(message, msgtype)), log_ns)
        writer.finish()
    return path


def _said(path: Path) -> list[dict[str, float]]:
    source = open_source(path)
    return [
        {name: x for name, x in zip(source.names, row.tolist(), strict=True) if not math.isnan(x)}
        for row in source.read().values
    ]


@pytest.mark.parametrize("form", ["sqlite3", "bag of mcap", "mcap"])
def test_header_stamp_and_log_time_are_kept_apart(tmp_path: Path, form: str) -> None:
    stamps = [T0_NS - 2_000_000, T0_NS + 8_000_000, 0]
    rows = [
        ("/joint_states", STATE, T0_NS + i * 10_000_000, _state(["elbow"], i, stamp)) for i, stamp in enumerate(stamps)
    ]
    if form == "mcap":
        path = _mcap(tmp_path / "a.mcap", rows)
    else:
        path = _bag(tmp_path / "bag", rows, StoragePlugin.SQLITE3 if form == "sqlite3" else StoragePlugin.MCAP)
    source = open_source(path)
    chunk = source.read()
    assert source.clock is Clock.RECEIVED
    assert chunk.received_s == pytest.approx([0.0, 0.01, 0.02])
    assert chunk.stamp_s[:2] == pytest.approx([-0.002, 0.008])
    assert np.isnan(chunk.stamp_s[2])  # nobody filled the header in
    assert source.count() == 3


def test_stamps_of_a_clock_with_another_origin_are_left_as_they_are(tmp_path: Path) -> None:
    rows = [("/joint_states", STATE, T0_NS + i, _state(["elbow"], i, 5_000_000_000 + i)) for i in range(2)]
    assert open_source(_bag(tmp_path / "bag", rows)).read().stamp_s == pytest.approx([5.0, 5.0])


def test_joints_of_two_robots_are_told_apart_and_commands_by_their_topic(tmp_path: Path) -> None:
    rows = [
        ("/joint_states", STATE, 0, _state(["elbow"], 1.0)),
        ("/left/joint_states", STATE, 1, _state(["elbow"], 2.0)),
        ("/commands", STATE, 2, _state(["elbow"], 3.0)),
        ("/cmd_vel", TWIST, 3, _twist(0.25)),
    ]
    path = _bag(tmp_path / "bag", rows)
    assert _said(path)[:3] == [
        {"elbow.position": 1.0},
        {"/left/elbow.position": 2.0},
        {"/commands/elbow.position": 3.0},
    ]
    assert _said(path)[3]["/cmd_vel/linear.x"] == 0.25
    roles = {channel.name: channel.role for channel in open_source(path).channels}
    assert roles["/left/elbow.position"] is Role.POSITION
    assert roles["/commands/elbow.position"] is roles["/cmd_vel/angular.z"] is Role.COMMAND


@pytest.mark.parametrize("form", ["bag", "mcap"])
def test_topic_that_begins_late_is_read_and_a_joint_that_begins_late_is_noted(tmp_path: Path, form: str) -> None:
    rows: list[Row] = [("/joint_states", STATE, i, _state(["elbow"], i)) for i in range(SAMPLE_ROWS + 5)]
    rows.append(("/u/joint_states", STATE, 10**6, _state(["wrist"], 7.0)))
    rows.append(("/joint_states", STATE, 10**6 + 1, _state(["finger"], 8.0)))
    path = _bag(tmp_path / "bag", rows) if form == "bag" else _mcap(tmp_path / "a.mcap", rows)
    source = open_source(path)
    values = source.read().values
    assert source.names == ("elbow.position", "/u/wrist.position")
    assert values[-2, 1] == 7.0
    assert np.isnan(values[-1]).all()
    assert source.notes == (
        f"Channel finger.position first came up in message {SAMPLE_ROWS + 7} and is left out (1 values).",
    )


def test_recording_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    rows = [("/joint_states", STATE, i * 10**7, _state(["elbow"], i)) for i in range(4000)]
    whole = _mcap(tmp_path / "whole.mcap", rows, chunk_size=10_000)
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = open_source(cut)
    chunk = source.read()
    assert 1000 < len(chunk) < 3000
    assert source.count() == len(chunk)
    assert chunk.values[:, 0].tolist() == list(range(len(chunk)))
    assert any(f"damaged after {len(chunk)} messages" in note for note in source.notes)


def test_json_messages_give_their_numbers_by_path(tmp_path: Path) -> None:
    path = tmp_path / "json.mcap"
    with path.open("wb") as file:
        writer = McapWriter(file)
        writer.start()
        schema = writer.register_schema("any", "jsonschema", b"{}")
        channel = writer.register_channel("/arm", "json", schema)
        content = {
            "timestamp": {"sec": 12, "nsec": 500_000_000},
            "mode": "run",
            "ok": True,
            "joints": [{"q": 1.5}, {"q": None}],
            "scan": [0.0] * 100,
        }
        writer.add_message(channel, 13 * 10**9, json.dumps(content).encode(), 0)
        writer.finish()
    assert _said(path) == [{"/arm/ok": 1.0, "/arm/joints[0].q": 1.5}]
    chunk = open_source(path).read()
    assert (chunk.received_s[0], chunk.stamp_s[0]) == (0.0, -0.5)


def test_any_chunk_size_gives_the_same_rows(tmp_path: Path) -> None:
    rows = [(f"/{i % 3}/joint_states", STATE, i * 10**6, _state(["a", "b"], i)) for i in range(100)]
    source = open_source(_bag(tmp_path / "bag", rows))
    assert isinstance(source, MessageSource)
    whole = source.read()
    for size in (1, 7):
        parts = list(source.chunks(size))
        assert max(len(part) for part in parts) == size
        for name in ("stamp_s", "received_s", "values", "publisher"):
            assert b"".join(getattr(part, name).tobytes() for part in parts) == getattr(whole, name).tobytes()
    assert whole.publisher is not None
    assert set(whole.publisher.tolist()) == {0, 1, 2}


def test_bag_that_is_damaged_in_the_middle_or_empty_is_refused_or_noted(tmp_path: Path) -> None:
    rows = [("/joint_states", STATE, i, _state(["elbow"], i)) for i in range(10)]
    path = _bag(tmp_path / "bag", rows)
    (db,) = path.glob("*.db3")
    db.write_bytes(db.read_bytes()[:100])
    with pytest.raises(BadInput, match="the bag cannot be read"):
        open_source(path)
