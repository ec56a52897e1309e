"""Incident recordings: MCAP with standard ROS 2 messages, which Foxglove, PlotJuggler and bag readers open as they are.

`telemetry.ros_topics` lists the topics. `log_time` is the robot's stamp in ns. Names, mode and version are in a
metadata record, so that an empty recording still knows its robot. Every float comes back bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.writer import Writer
from numpy.typing import NDArray

from core.errors import BadInput
from core.frames import TelemetryRow
from core.records import Event
from telemetry import recording_json
from telemetry import ros_topics as ros
from telemetry.ros_topics import RosTelemetry

METADATA = "remend"
_ROW = "remend.recording"  # metadata record with names, mode and version


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a recording holds."""

    joint_names: tuple[str, ...]  # n
    actuator_names: tuple[str, ...]  # m
    rows: tuple[TelemetryRow, ...]
    scores: NDArray[np.float64] | None  # (N,) test ratio per row
    events: tuple[Event, ...]
    metadata: dict[str, str] = field(default_factory=dict)
    mode: str = "torque"  # what a command is, as in `core.robot.Robot`


def write_recording(
    path: Path,
    rows: Sequence[TelemetryRow],
    joint_names: Sequence[str],
    actuator_names: Sequence[str],
    scores: NDArray[np.float64] | None = None,
    events: Sequence[Event] = (),
    metadata: dict[str, str] | None = None,
    mode: str = "torque",
) -> None:
    """Write an incident to `path`; the same arguments give the same bytes.

    Args:
        rows: N rows in the order of time.
        scores: (N,) test ratio of each row, or None.
        metadata: hashes and settings, shown by Foxglove.
        mode: what a command is, as in `core.robot.Robot`.

    Raises:
        BadInput: a stamp before zero, or scores that do not match the rows.
    """
    if scores is not None and len(scores) != len(rows):
        raise BadInput(f"The recording has {len(rows)} rows and {len(scores)} scores; give one score per row.")
    about = dict(metadata or {})
    robot = RosTelemetry(
        joints=tuple(joint_names), actuators=tuple(actuator_names), mode=mode, hardware_id=about.get("robot", "")
    )
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2", library="remend")
        channel = {
            topic: writer.register_channel(topic, "cdr", _schema(writer, topic))
            for topic in ros.TYPES
            if topic != ros.ACTUATOR_STATES or not robot.same
        }
        names = {"joint_names": json.dumps(robot.joints), "actuator_names": json.dumps(robot.actuators)}
        writer.add_metadata(_ROW, {**names, "mode": mode, "version": "3"})
        writer.add_metadata(METADATA, about)

        def add(stamp_ns: int, sequence: int, message: tuple[str, bytes]) -> None:
            topic, data = message
            writer.add_message(channel[topic], stamp_ns, data, stamp_ns, sequence)

        for i, row in enumerate(rows):
            stamp_ns = row.frame.stamp_ns
            if stamp_ns < 0:
                raise BadInput(f"Row {i} has the stamp {stamp_ns} ns; MCAP needs stamps from 0 on.")
            for message in robot.row(row):
                add(stamp_ns, i, message)
            if scores is not None:
                add(stamp_ns, i, robot.score(float(scores[i])))
        for i, event in enumerate(events):
            add(max(0, round(event.alarm_s * 1e9)), i, robot.event(event))
        writer.finish()


def read_recording(path: Path) -> Recording:
    """Read what `write_recording` wrote, now or in an earlier version; rows are in the order of writing.

    Raises:
        BadInput: no such file, damaged, or an MCAP file of another kind.
    """
    found: dict[str, list[tuple[int, bytes]]] = {}
    metadata: dict[str, dict[str, str]] = {}
    try:
        with path.open("rb") as file:
            reader = make_reader(file)
            for record in reader.iter_metadata():
                metadata[record.name] = dict(record.metadata)
            for _, channel, message in reader.iter_messages(log_time_order=False):
                found.setdefault(channel.topic, []).append((message.log_time, message.data))
        about = metadata[_ROW]
        joints = tuple(json.loads(about["joint_names"]))
        actuators = tuple(json.loads(about["actuator_names"])) if "actuator_names" in about else joints  # version 1
        mode = about.get("mode", "torque")
        rows, scores, events = _from_ros(found, joints, actuators, mode) if "mode" in about else _from_json(found)
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such recording; give the path of an .mcap file.") from None
    except Exception as error:  # the parsers raise whatever a damaged byte leads to
        raise BadInput(
            f"{path}: not a complete Remend recording ({type(error).__name__}: {error}); record the incident again."
        ) from error
    return Recording(
        joint_names=joints,
        actuator_names=actuators,
        rows=rows,
        scores=np.array(scores, dtype=np.float64) if scores else None,
        events=events,
        metadata=metadata.get(METADATA, {}),
        mode=mode,
    )


def is_recording(path: Path) -> bool:
    """Whether the MCAP file at `path` was written by `write_recording`."""
    try:
        with path.open("rb") as file:
            return any(record.name == _ROW for record in make_reader(file).iter_metadata())
    except (McapError, OSError):
        return False


_Content = tuple[tuple[TelemetryRow, ...], list[float], tuple[Event, ...]]
_Found = dict[str, list[tuple[int, bytes]]]


def _from_ros(found: _Found, joints: tuple[str, ...], actuators: tuple[str, ...], mode: str) -> _Content:
    robot = RosTelemetry(joints=joints, actuators=actuators, mode=mode)

    def of(topic: str) -> Iterator[tuple[int, Any]]:
        return ((stamp_ns, ros.decode(topic, data)) for stamp_ns, data in found.get(topic, ()))

    topics = [ros.JOINT_STATES, ros.COMMANDS, ros.REFERENCE, ros.ACCELERATION, ros.SEQUENCE]
    topics += [] if robot.same else [ros.ACTUATOR_STATES]
    rows = []
    for messages in zip(*(of(topic) for topic in topics), strict=True):
        by_topic = {topic: message for topic, (_, message) in zip(topics, messages, strict=True)}
        rows.append(robot.read_row(by_topic[ros.SEQUENCE].data, messages[0][0], by_topic))
    scores = [message.data for _, message in of(ros.SCORE)]
    return tuple(rows), scores, tuple(ros.event_of(message) for _, message in of(ros.EVENT))


def _from_json(found: _Found) -> _Content:
    messages = {topic: [data for _, data in stamped] for topic, stamped in found.items()}
    old = recording_json
    return tuple(old.rows_of(messages)), old.scores_of(messages), tuple(old.events_of(messages))


def _schema(writer: Writer, topic: str) -> int:
    msgtype, text = ros.definition(topic)
    number: int = writer.register_schema(msgtype, "ros2msg", text)
    return number
