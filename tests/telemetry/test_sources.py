"""Files that robots and data sets really bring: CSV variants, recordings, bags; and one sentence for each bad one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as BagWriter
from rosbags.typesys import Stores, get_typestore

from core.errors import BadInput
from core.frames import Frame, Reference, TelemetryRow
from telemetry.recording import write_recording
from telemetry.sources import Chunk, Source, open_source

ROS: Any = get_typestore(Stores.ROS2_HUMBLE)
TYPES = ROS.types


@dataclass(frozen=True)
class _Table:
    """A source read whole, and read again in chunks of one row with the same result."""

    source: Source
    channels: tuple[str, ...]
    t_s: Any
    values: Any
    notes: tuple[str, ...]


def _read(path: Path) -> _Table:
    source = open_source(path)
    whole, notes = source.read(), source.notes
    single = Chunk.join(source.chunks(1))
    assert source.notes == notes
    for one, other in (
        (whole.stamp_s, single.stamp_s),
        (whole.received_s, single.received_s),
        (whole.values, single.values),
    ):
        assert one.tobytes() == other.tobytes()
    assert source.count() == len(whole) == len(single)
    return _Table(source, source.names, source.times(whole), whole.values, notes)


def _csv(tmp_path: Path, text: str) -> _Table:
    path = tmp_path / "log.csv"
    path.write_text(text, encoding="utf-8")
    return _read(path)


def test_plain_csv_gives_one_row_per_line_in_order(tmp_path: Path) -> None:
    source = _csv(tmp_path, "t,a,b\n0.0,1,2\n0.1,3,4e-3\n0.2,-5,6\n")
    assert source.channels == ("a", "b")
    assert source.t_s.tolist() == [0.0, 0.1, 0.2]
    assert source.values.tolist() == [[1, 2], [3, 4e-3], [-5, 6]]
    assert source.source.rate_hz == pytest.approx(10.0)
    assert source.notes == ()


def test_empty_cell_is_missing_and_never_zero(tmp_path: Path) -> None:
    source = _csv(tmp_path, "t,a,b\n0,,2\n1,NaN,\n2,3,0\n")
    assert np.isnan(source.values).tolist() == [[True, False], [True, True], [False, False]]
    assert source.values[2].tolist() == [3.0, 0.0]


@pytest.mark.parametrize(
    "text",
    [
        "time;a;b\n0;1,5;2\n1;2,5;3\n",
        "Time\ta\tb\n0\t1.5\t2\n1\t2.5\t3\n",
        "\ufefftimestamp,a,b\r\n0,1.5,2\r\n1,2.5,3\r\n",
    ],
)
def test_other_delimiters_decimal_commas_and_line_ends(tmp_path: Path, text: str) -> None:
    source = _csv(tmp_path, text)
    assert source.channels == ("a", "b")
    assert source.t_s.tolist() == [0.0, 1.0]
    assert source.values.tolist() == [[1.5, 2.0], [2.5, 3.0]]


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("datetime", ["2020-03-09 10:14:33", "2020-03-09 10:14:34", "2020-03-09T10:14:36.5"], [0.0, 1.0, 3.5]),
        ("stamp_ns", ["4000000", "8000000", "6000000"], [0.004, 0.008, 0.006]),
        ("timestamp", ["1700000000000000000", "1700000000004000001", "1700000001000000000"], [0.0, 0.004000001, 1.0]),
        ("time [ms]", ["0", "4", "8.5"], [0.0, 0.004, 0.0085]),
        ("t", ["1.7e9", "1.7e9", "3"], [1.7e9, 1.7e9, 3.0]),
    ],
)
def test_time_is_read_in_seconds_nanoseconds_and_dates(
    tmp_path: Path, name: str, cells: list[str], expected: list[float]
) -> None:
    source = _csv(tmp_path, f"{name},a\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)))
    assert source.channels == ("a",)
    assert source.t_s.tolist() == pytest.approx(expected, abs=1e-12)


def test_labels_words_and_missing_time_are_noted(tmp_path: Path) -> None:
    source = _csv(tmp_path, "a,mode,anomaly,changepoint,a,\n1,idle,0,0,7,3\n2,run,1,1,8,4\n")
    assert source.channels == ("a", "a#2", "column_6")
    assert source.t_s.tolist() == [0.0, 1.0]
    assert len(source.notes) == 4
    for word in ("No time column", "mode", "anomaly", "changepoint"):
        assert any(word in note for note in source.notes)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no rows below a header"),
        ("t,a\n", "no rows below a header"),
        ("0,1\n1,2\n", "holds numbers, not column names"),
        ("t,a\n0,1\n1\n", "row 2 has 1 cells"),
        ("t,mode\n0,idle\n1,run\n", "no column of numbers"),
        ("t,a\n0,1\nsoon,2\n", "row 2 has the time 'soon'"),
        ("t,a\n2020-01-01,1\nsoon,2\n", "row 2 has the time 'soon'"),
        ("t,a\n0,1\n2020-01-01,2\n", "mixes numbers and dates, first in row 2"),
    ],
)
def test_bad_tables_are_refused_with_file_and_place(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(BadInput, match=match) as caught:
        _csv(tmp_path, text)
    assert "log.csv" in str(caught.value)


def test_missing_binary_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        open_source(tmp_path / "absent.csv")
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\xff\xfe\x00\x01")
    with pytest.raises(BadInput, match="not a text file"):
        open_source(tmp_path / "image.csv")
    (tmp_path / "cut.mcap").write_bytes(b"\x89MCAP0\r\n" + b"\x01\x02\x03")
    with pytest.raises(BadInput, match=r"cut\.mcap"):
        open_source(tmp_path / "cut.mcap")
    with pytest.raises(BadInput, match="not a rosbag2 folder"):
        open_source(tmp_path)
    (tmp_path / "metadata.yaml").write_text("nothing: here\n")
    with pytest.raises(BadInput, match="cannot be read"):
        open_source(tmp_path)


def test_own_recording_is_a_source_with_one_row_per_telemetry_row(tmp_path: Path) -> None:
    rows = [
        TelemetryRow(
            frame=Frame(
                seq=i, stamp_ns=1_000_000_000 + i * 4_000_000, q=[0.1 * i], qd=[math.nan], tau_meas=[2.0], tau_cmd=[3.0]
            ),
            reference=Reference(q_ref=[4.0], qd_ref=[5.0], qdd_ref=[6.0]),
        )
        for i in range(3)
    ]
    write_recording(tmp_path / "incident.mcap", rows, ["elbow"], ["elbow"], np.ones(3))
    source = _read(tmp_path / "incident.mcap")
    names = ("q", "qd", "tau_meas", "tau_cmd", "q_ref", "qd_ref", "qdd_ref")
    assert source.channels == tuple(f"elbow.{name}" for name in names)
    assert source.t_s.tolist() == pytest.approx([1.0, 1.004, 1.008])
    assert source.values[2].tolist()[0] == 0.2
    assert np.isnan(source.values[:, 1]).all()


def _joint_state(position: list[float], velocity: list[float]) -> Any:
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
    return TYPES["sensor_msgs/msg/JointState"](
        header=TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id=""),
        name=["shoulder", "elbow"],
        position=np.array(position),
        velocity=np.array(velocity),
        effort=np.zeros(0),
    )


def _array(data: list[float]) -> Any:
    layout = TYPES["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
    return TYPES["std_msgs/msg/Float64MultiArray"](layout=layout, data=np.array(data))


def _imu() -> Any:
    vector, unit = TYPES["geometry_msgs/msg/Vector3"], TYPES["geometry_msgs/msg/Quaternion"]
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
    return TYPES["sensor_msgs/msg/Imu"](
        header=TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id=""),
        orientation=unit(x=0.0, y=0.0, z=0.0, w=1.0),
        orientation_covariance=np.zeros(9),
        angular_velocity=vector(x=0.1, y=0.2, z=0.3),
        angular_velocity_covariance=np.zeros(9),
        linear_acceleration=vector(x=0.0, y=0.0, z=9.81),
        linear_acceleration_covariance=np.zeros(9),
    )


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_rosbag2_gives_one_row_per_message_and_nothing_for_what_was_not_said(
    tmp_path: Path, storage: StoragePlugin
) -> None:
    messages = [
        ("/joint_states", "sensor_msgs/msg/JointState", _joint_state([0.1, 0.2], [])),
        ("/command", "std_msgs/msg/Float64MultiArray", _array([7.0, 8.0])),
        ("/imu", "sensor_msgs/msg/Imu", _imu()),
        ("/chatter", "std_msgs/msg/String", TYPES["std_msgs/msg/String"](data="hello")),
        ("/joint_states", "sensor_msgs/msg/JointState", _joint_state([0.3, 0.4], [1.0, 2.0])),
    ]
    with BagWriter(tmp_path / "bag", version=9, storage_plugin=storage) as bag:
        types = {topic: msgtype for topic, msgtype, _ in messages}
        connections = {t: bag.add_connection(t, m, typestore=ROS) for t, m in types.items()}
        for i, (topic, msgtype, message) in enumerate(messages):
            bag.write(
                connections[topic], 1_700_000_000_000_000_000 + i * 10_000_000, ROS.serialize_cdr(message, msgtype)
            )
    source = _read(tmp_path / "bag")
    assert source.t_s.tolist() == pytest.approx([0.0, 0.01, 0.02, 0.04])
    row = [
        {name: x for name, x in zip(source.channels, v.tolist(), strict=True) if not math.isnan(x)}
        for v in source.values
    ]
    assert row[0] == {"shoulder.position": 0.1, "elbow.position": 0.2}
    assert row[1] == {"/command/data[0]": 7.0, "/command/data[1]": 8.0}
    assert (row[2]["/imu/linear_acceleration.z"], row[2]["/imu/orientation.w"], len(row[2])) == (9.81, 1.0, 10)
    assert row[3] == {
        "shoulder.position": 0.3,
        "elbow.position": 0.4,
        "shoulder.velocity": 1.0,
        "elbow.velocity": 2.0,
    }
    assert any("/chatter" in note for note in source.notes)


def test_mcap_file_of_ros2_messages_is_read_without_a_bag_folder(tmp_path: Path) -> None:
    path = tmp_path / "single.mcap"
    with path.open("wb") as file:
        writer = McapWriter(file)
        writer.start(profile="ros2", library="test")
        channels = {}
        for topic, msgtype in (
            ("/joint_states", "sensor_msgs/msg/JointState"),
            ("/u", "std_msgs/msg/Float64MultiArray"),
        ):
            definition, _ = ROS.generate_msgdef(msgtype, ros_version=2)
            schema = writer.register_schema(msgtype, "ros2msg", definition.encode())
            channels[topic] = (writer.register_channel(topic, "cdr", schema), msgtype)
        for i, (topic, message) in enumerate(
            [("/joint_states", _joint_state([1.0, 2.0], [3.0, 4.0])), ("/u", _array([5.0]))]
        ):
            channel, msgtype = channels[topic]
            writer.add_message(channel, i * 1000, bytes(ROS.serialize_cdr(message, msgtype)), i * 1000)
        writer.finish()
    source = _read(path)
    assert source.channels[0] == "shoulder.position"
    assert source.channels[-1] == "/u/data[0]"
    assert source.values[0, :4].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert np.isnan(source.values[0, 4])
    assert source.values[1, 4] == 5.0


def test_bag_without_numbers_says_what_to_record(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", version=9) as bag:
        connection = bag.add_connection("/chatter", "std_msgs/msg/String", typestore=ROS)
        bag.write(connection, 1, ROS.serialize_cdr(TYPES["std_msgs/msg/String"](data="x"), "std_msgs/msg/String"))
    with pytest.raises(BadInput, match="record sensor_msgs/JointState"):
        open_source(tmp_path / "bag")
