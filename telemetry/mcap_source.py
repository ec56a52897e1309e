"""MCAP files: our own incident recordings, and messages in JSON or ROS 2's CDR without a rosbag2 folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mcap.reader import NonSeekingReader, SeekingReader
from mcap.records import Channel, Message, Schema
from mcap.summary import Summary

from telemetry.message_source import MessageSource, Said
from telemetry.recording import is_recording
from telemetry.recording_source import RecordingSource
from telemetry.ros_messages import READ_TYPES, MessageTypes, flatten, stamp_of
from telemetry.sources import Source

_LONGEST = 64  # numbers in a list of a JSON message; a longer one is a picture or a scan
Found = tuple[Schema | None, Channel, Message]


def open_mcap(path: Path) -> Source:
    """An incident recording (one row per telemetry row) or any other messages (one row per message, by log time).

    Raises:
        BadInput: damaged, or no message of a known type.
    """
    return RecordingSource(path) if is_recording(path) else McapSource(path)


class McapSource(MessageSource):
    """ROS 2 messages (CDR) and JSON messages of an MCAP file.

    A file that was cut off, so that its index is missing, is read in the order in which it was written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.where = str(path)
        self._path = path
        self._publishers: dict[int, int] = {}  # channel id -> publisher
        self._left_out: set[str] = set()
        self._discover()

    def count(self) -> int:
        with self._path.open("rb") as file:
            summary = _summary(SeekingReader(file))
        if summary is None or summary.statistics is None:
            return sum(1 for _ in self._intact())
        counts = summary.statistics.channel_message_counts
        wanted = [c for c in summary.channels.values() if _read(summary.schemas.get(c.schema_id), c)]
        return sum(counts.get(channel.id, 0) for channel in wanted)

    def _messages(self) -> Iterator[Said]:
        with self._path.open("rb") as file:
            yield from self._decoded(_stored(file, None))

    def _firsts(self, but: set[int]) -> Iterator[Said]:
        with self._path.open("rb") as file:
            summary = SeekingReader(file).get_summary()
            if summary is None:
                return
            topics = {c.topic for key, c in summary.channels.items() if self._publishers.get(key, -1) not in but}
            for topic in sorted(topics):
                yield from self._decoded(iter(list(_first(file, topic))))

    def _decoded(self, found: Iterator[Found]) -> Iterator[Said]:
        types = MessageTypes()
        for schema, channel, message in found:
            if not _read(schema, channel):
                self._leave_out(schema, channel)
                continue
            publisher = self._publishers.setdefault(channel.id, len(self._publishers))
            if channel.message_encoding == "json":
                content = json.loads(message.data)
                stamp_ns, values = _json_stamp(content), dict(_json_numbers(channel.topic, content))
            else:
                assert schema is not None
                decoded = types.decode(schema.name, schema.data.decode(), message.data)
                stamp_ns, values = stamp_of(decoded), flatten(channel.topic, schema.name, decoded)
            yield Said(publisher=publisher, received_ns=message.log_time, stamp_ns=stamp_ns, values=values)

    def _leave_out(self, schema: Schema | None, channel: Channel) -> None:
        if channel.topic in self._left_out:
            return
        self._left_out.add(channel.topic)
        if channel.message_encoding == "cdr" and schema is not None and schema.encoding == "ros2msg":
            self._notes.append(f"Topic {channel.topic} is left out: {schema.name} is not read.")
        else:
            self._notes.append(f"Topic {channel.topic} is left out: its encoding is {channel.message_encoding}.")

    def _advice(self, why: str) -> str:
        return f"damaged or not an MCAP file {why}; try `mcap recover` on it."


def _read(schema: Schema | None, channel: Channel) -> bool:
    if channel.message_encoding == "json":
        return True
    return (
        channel.message_encoding == "cdr"
        and schema is not None
        and schema.encoding == "ros2msg"
        and schema.name in READ_TYPES
    )


def _summary(reader: SeekingReader) -> Summary | None:
    """The index of a file; None where it has none or was cut off before it."""
    try:
        return reader.get_summary()
    except Exception:  # what stands at the end of such a file can be anything
        return None


def _stored(file: BinaryIO, topics: list[str] | None) -> Iterator[Found]:
    """Messages by log time; in the order of the file where it has no index, which then needs no memory."""
    reader = SeekingReader(file)
    summary = _summary(reader)
    if summary is None or not summary.chunk_indexes:
        file.seek(0)
        yield from NonSeekingReader(file).iter_messages(topics, log_time_order=False)
    else:
        yield from reader.iter_messages(topics)


def _first(file: BinaryIO, topic: str) -> Iterator[Found]:
    found = next(iter(_stored(file, [topic])), None)
    if found is not None:
        yield found


def _json_stamp(content: Any) -> int | None:
    """Stamp of a JSON message [ns]: `timestamp` as in Foxglove's schemas, or a ROS header."""
    if not isinstance(content, dict):
        return None
    header = content.get("header")
    stamp = content.get("timestamp", header.get("stamp") if isinstance(header, dict) else None)
    if not isinstance(stamp, dict) or not isinstance(stamp.get("sec"), int):
        return None
    return int(stamp["sec"]) * 10**9 + int(stamp.get("nsec") or stamp.get("nanosec") or 0) or None


def _json_numbers(path: str, content: Any, join: str = "/") -> Iterator[tuple[str, float]]:
    """Every number in a JSON message with its path; words and long lists are left out."""
    if isinstance(content, dict):
        for key, item in content.items():
            if key not in ("header", "timestamp"):
                yield from _json_numbers(f"{path}{join}{key}", item, ".")
    elif isinstance(content, list):
        for i, item in enumerate(content if len(content) <= _LONGEST else ()):
            yield from _json_numbers(f"{path}[{i}]", item, ".")
    elif isinstance(content, (bool, int, float)):
        yield path, float(content)
