"""ROS 2 messages as named numbers."""

from __future__ import annotations

from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

JOINT_STATE = "sensor_msgs/msg/JointState"
IMU = "sensor_msgs/msg/Imu"
ARRAY = "std_msgs/msg/Float64MultiArray"
READ_TYPES = frozenset({JOINT_STATE, IMU, ARRAY})


class MessageTypes:
    """Message definitions found so far; decodes CDR with the definitions that a file brings along."""

    def __init__(self) -> None:
        self._store: Any = get_typestore(Stores.LATEST)
        self._known: set[str] = set()

    def decode(self, msgtype: str, definition: str, data: bytes) -> Any:
        """The message, or None when its type is not one that `flatten` reads.

        Raises:
            ValueError: the bytes do not fit the definition.
        """
        if msgtype not in READ_TYPES:
            return None
        if msgtype not in self._known and definition:
            store = get_typestore(Stores.EMPTY)
            store.register(get_types_from_msg(definition, msgtype))
            self._store = store if not self._known else self._store
            if self._known:
                self._store.register(get_types_from_msg(definition, msgtype))
            self._known.add(msgtype)
        try:
            return self._store.deserialize_cdr(data, msgtype)
        except Exception as error:
            raise ValueError(f"{msgtype} does not match its definition: {error}") from error


def flatten(topic: str, msgtype: str, message: Any) -> dict[str, float] | None:
    """The numbers of a message by channel name, or None for a type that is not read.

    JointState gives `JOINT.position`, `.velocity` and `.effort`; Imu `TOPIC/angular_velocity.x` and the like;
    Float64MultiArray `TOPIC/data[0]` and on. A vector that a JointState leaves empty is missing, not zero.
    """
    if msgtype == JOINT_STATE:
        return {
            f"{name}.{field}": float(value)
            for field in ("position", "velocity", "effort")
            for name, value in zip(message.name, getattr(message, field), strict=False)
        }
    if msgtype == IMU:
        return {
            f"{topic}/{field}.{axis}": float(getattr(getattr(message, field), axis))
            for field, axes in (("orientation", "xyzw"), ("angular_velocity", "xyz"), ("linear_acceleration", "xyz"))
            for axis in axes
        }
    if msgtype == ARRAY:
        return {f"{topic}/data[{i}]": float(value) for i, value in enumerate(message.data)}
    return None
