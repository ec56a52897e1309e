"""rosbag2 folders (sqlite3 or mcap inside), read without ROS."""

from __future__ import annotations

from pathlib import Path

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.typesys import Stores, get_typestore

from core.errors import BadInput
from telemetry.ros_messages import READ_TYPES, flatten
from telemetry.sources import Source, sparse_rows


def read_rosbag(path: Path) -> Source:
    """One row per message of a known type, in the order of the bag; time starts at 0 with the first such message.

    Raises:
        BadInput: no bag, damaged, or no message of a known type.
    """
    folder = path if path.is_dir() else path.parent
    if not (folder / "metadata.yaml").exists():
        raise BadInput(
            f"{folder}: no metadata.yaml, so not a rosbag2 folder; run `ros2 bag reindex` or give another file."
        )
    stamps_ns: list[int] = []
    rows: list[dict[str, float]] = []
    try:
        with AnyReader([folder], default_typestore=get_typestore(Stores.LATEST)) as reader:
            wanted = [connection for connection in reader.connections if connection.msgtype in READ_TYPES]
            notes = [
                f"Topic {connection.topic} is left out: {connection.msgtype} is not read."
                for connection in reader.connections
                if connection.msgtype not in READ_TYPES
            ]
            for connection, stamp_ns, data in reader.messages(connections=wanted) if wanted else ():
                values = flatten(connection.topic, connection.msgtype, reader.deserialize(data, connection.msgtype))
                if values is not None:
                    stamps_ns.append(stamp_ns)
                    rows.append(values)
    except (AnyReaderError, OSError, ValueError) as error:
        raise BadInput(
            f"{folder}: the bag cannot be read ({type(error).__name__}: {error}); run `ros2 bag reindex` on it."
        ) from error
    base_ns = stamps_ns[0] if stamps_ns else 0
    return sparse_rows(folder, [(stamp - base_ns) * 1e-9 for stamp in stamps_ns], rows, notes)
