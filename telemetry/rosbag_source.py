"""rosbag2 folders and their files (sqlite3 or mcap inside), read without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from core.errors import BadInput
from telemetry.message_source import MessageSource, Said
from telemetry.ros_messages import READ_TYPES, flatten, stamp_of


class RosbagSource(MessageSource):
    """One row per message of a known type, in the order of the bag; time starts at 0 with the first such message.

    Raises:
        BadInput: no bag, damaged, or no message of a known type.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        folder = path if path.is_dir() else path.parent
        self.where = str(folder)
        self._folder = folder
        if not (folder / "metadata.yaml").exists():
            raise BadInput(
                f"{folder}: no metadata.yaml, so not a rosbag2 folder; run `ros2 bag reindex` or give another file."
            )
        try:
            with self._open() as reader:
                left_out = [c for c in reader.connections if c.msgtype not in READ_TYPES]
                self._count = sum(c.msgcount for c in reader.connections if c.msgtype in READ_TYPES)
        except Exception as error:  # the parsers raise whatever a damaged byte leads to
            raise BadInput(f"{folder}: {self._advice(f'({type(error).__name__}: {error})')}") from error
        self._notes += [f"Topic {c.topic} is left out: {c.msgtype} is not read." for c in left_out]
        self._discover()

    def count(self) -> int:
        return int(self._count)

    def _messages(self) -> Iterator[Said]:
        with self._open() as reader:
            yield from _read(reader, [c for c in reader.connections if c.msgtype in READ_TYPES])

    def _firsts(self, but: set[int]) -> Iterator[Said]:
        with self._open() as reader:
            for i, connection in enumerate(reader.connections):
                if i not in but and connection.msgtype in READ_TYPES and connection.msgcount:
                    yield next(_read(reader, [connection]))

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with AnyReader([self._folder], default_typestore=get_typestore(Stores.LATEST)) as reader:
            yield reader

    def _advice(self, why: str) -> str:
        return f"the bag cannot be read {why}; run `ros2 bag reindex` on it."


def _read(reader: Any, wanted: list[Any]) -> Iterator[Said]:
    publishers = {id(connection): i for i, connection in enumerate(reader.connections)}
    for connection, received_ns, data in reader.messages(connections=wanted) if wanted else ():
        message = reader.deserialize(data, connection.msgtype)
        yield Said(
            publisher=publishers[id(connection)],
            received_ns=received_ns,
            stamp_ns=stamp_of(message),
            values=flatten(connection.topic, connection.msgtype, message),
        )
