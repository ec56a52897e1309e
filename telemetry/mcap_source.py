"""MCAP files: our own incident recordings (JSON), and ROS 2 messages (CDR) in a file without a rosbag2 folder."""

from __future__ import annotations

from pathlib import Path

from mcap.exceptions import McapError
from mcap.reader import make_reader

from core.errors import BadInput
from telemetry.recording import is_recording, read_recording
from telemetry.ros_messages import MessageTypes, flatten
from telemetry.sources import Source, sparse_rows

_JOINT_VECTORS, _ACTUATOR_VECTORS = ("q", "qd"), ("tau_meas", "tau_cmd")
_REFERENCES = ("q_ref", "qd_ref", "qdd_ref")


def read_mcap(path: Path) -> Source:
    """Read an incident recording (one row per telemetry row) or ROS 2 messages (one row per message, by log time).

    Raises:
        BadInput: damaged, or no message of a known type.
    """
    return _from_recording(path) if is_recording(path) else _from_messages(path)


def _from_recording(path: Path) -> Source:
    recording = read_recording(path)
    if not recording.rows:
        raise BadInput(f"{path}: the recording holds no rows; record some seconds before the incident.")
    start_ns = recording.rows[0].frame.stamp_ns
    joints, actuators = recording.joint_names, recording.actuator_names
    rows = []
    for row in recording.rows:
        values: dict[str, float] = {}
        groups = ((row.frame, _JOINT_VECTORS, joints), (row.frame, _ACTUATOR_VECTORS, actuators))
        for part, fields, names in (*groups, (row.reference, _REFERENCES, joints)):
            for field in fields:
                values |= {f"{name}.{field}": x for name, x in zip(names, getattr(part, field), strict=False)}
        rows.append(values)
    # Seconds of a clock that began long ago would lose the last digits of a stamp in ns.
    base_ns = start_ns if start_ns > 10**17 else 0
    stamps_s = [(row.frame.stamp_ns - base_ns) * 1e-9 for row in recording.rows]
    return sparse_rows(path, stamps_s, rows, [])


def _from_messages(path: Path) -> Source:
    stamps_ns: list[int] = []
    rows: list[dict[str, float]] = []
    notes: list[str] = []
    types = MessageTypes()
    try:
        with path.open("rb") as file:
            for schema, channel, message in make_reader(file).iter_messages():
                if schema is None or channel.message_encoding != "cdr" or schema.encoding != "ros2msg":
                    notes.append(f"Topic {channel.topic} is left out: its encoding is {channel.message_encoding}.")
                    continue
                values = flatten(
                    channel.topic, schema.name, types.decode(schema.name, schema.data.decode(), message.data)
                )
                if values is None:
                    notes.append(f"Topic {channel.topic} is left out: {schema.name} is not read.")
                    continue
                stamps_ns.append(message.log_time)
                rows.append(values)
    except (McapError, OSError, ValueError, EOFError) as error:
        raise BadInput(
            f"{path}: damaged or not an MCAP file ({type(error).__name__}: {error}); try `mcap recover` on it."
        ) from error
    base_ns = stamps_ns[0] if stamps_ns else 0
    return sparse_rows(path, [(stamp - base_ns) * 1e-9 for stamp in stamps_ns], rows, notes)
