"""ROS 2 messages as named numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from operator import attrgetter
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

JOINT_STATE = "sensor_msgs/msg/JointState"
CONTROLLER_STATE = "control_msgs/msg/JointTrajectoryControllerState"
ARRAY = "std_msgs/msg/Float64MultiArray"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"


def _axes(names: str, axes: str = "xyz") -> tuple[str, ...]:
    return tuple(f"{name}.{axis}" for name in names.split() for axis in axes)


# Messages of fixed fields: the paths of their numbers, without covariances, and the part of the path that says nothing.
_FIELDS = {
    "sensor_msgs/msg/Imu": (_axes("orientation", "xyzw") + _axes("angular_velocity linear_acceleration"), ""),
    "nav_msgs/msg/Odometry": (
        _axes("pose.pose.position")
        + _axes("pose.pose.orientation", "xyzw")
        + _axes("twist.twist.linear twist.twist.angular"),
        "",
    ),
    "geometry_msgs/msg/PoseStamped": (_axes("pose.position") + _axes("pose.orientation", "xyzw"), "pose."),
    "geometry_msgs/msg/Twist": (_axes("linear angular"), ""),
    "geometry_msgs/msg/TwistStamped": (_axes("twist.linear twist.angular"), "twist."),
    "geometry_msgs/msg/Wrench": (_axes("force torque"), ""),
    "geometry_msgs/msg/WrenchStamped": (_axes("wrench.force wrench.torque"), "wrench."),
    "std_msgs/msg/Float64": (("data",), ""),
    "std_msgs/msg/Float32": (("data",), ""),
}
_READERS = {
    msgtype: [
        (path.removeprefix(dull).replace("pose.pose.", "pose.").replace("twist.twist.", "twist."), attrgetter(path))
        for path in paths
    ]
    for msgtype, (paths, dull) in _FIELDS.items()
}
READ_TYPES = frozenset({JOINT_STATE, CONTROLLER_STATE, ARRAY, DIAGNOSTICS, *_FIELDS})
# A controller's state has a point for what it wants, one for what is measured and one for what it commands.
_POINTS = (("reference", "reference"), ("feedback", "feedback"), ("output", "command"))
_POINT_FIELDS = (("positions", "position"), ("velocities", "velocity"), ("effort", "effort"))


class MessageTypes:
    """Message definitions found so far; decodes CDR with the definitions that a file brings along."""

    def __init__(self) -> None:
        self._store: Any = get_typestore(Stores.LATEST)
        self._known: set[str] = set()

    def decode(self, msgtype: str, definition: str, data: bytes) -> Any:
        """The message.

        Raises:
            ValueError: the bytes do not fit the definition, or there is none.
        """
        if msgtype not in self._known and definition:
            store = self._store if self._known else get_typestore(Stores.EMPTY)
            store.register(get_types_from_msg(definition, msgtype))
            self._store = store
            self._known.add(msgtype)
        try:
            return self._store.deserialize_cdr(data, msgtype)
        except Exception as error:
            raise ValueError(f"{msgtype} does not match its definition: {error}") from error


def stamp_of(message: Any) -> int | None:
    """Header stamp of a message [ns]; None where it has no header or nobody filled it in."""
    header = getattr(message, "header", None)
    if header is None:
        return None
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec) or None


def flatten(topic: str, msgtype: str, message: Any) -> dict[str, float]:
    """The numbers of a message of one of `READ_TYPES`, by channel name.

    A JointState on `/joint_states` gives `JOINT.position`, `.velocity` and `.effort`; on `/arm/joint_states`
    `/arm/JOINT.position` and so on; on another topic `TOPIC/JOINT.position`. A Float64MultiArray gives `TOPIC/data[0]`
    and on, a DiagnosticArray the values that are numbers and the levels, such as `TOPIC/motor 1/temperature` and
    `TOPIC/motor 1.level`, the others their fields, such as `TOPIC/angular_velocity.x`. What a message leaves empty is
    missing, not zero.
    """
    if msgtype == JOINT_STATE:
        base, last = topic.rsplit("/", 1) if "/" in topic else ("", topic)
        prefix = f"{base}/" if last == "joint_states" and base else "" if last == "joint_states" else f"{topic}/"
        return {
            f"{prefix}{name}.{field}": value
            for field in ("position", "velocity", "effort")
            for name, value in zip(message.name, getattr(message, field).tolist(), strict=False)
        }
    if msgtype == CONTROLLER_STATE:
        return dict(_controller_state(topic, message))
    if msgtype == DIAGNOSTICS:
        return dict(_diagnostics(topic, message))
    if msgtype == ARRAY:
        return {f"{topic}/data[{i}]": value for i, value in enumerate(message.data.tolist())}
    return {f"{topic}/{name}": float(read(message)) for name, read in _READERS[msgtype]}


def _diagnostics(topic: str, message: Any) -> Iterator[tuple[str, float]]:
    for status in message.status:
        level = status.level  # one byte, which rclpy gives as bytes
        yield f"{topic}/{status.name}.level", float(level[0] if isinstance(level, bytes) else level)
        for pair in status.values:
            with suppress(ValueError):
                yield f"{topic}/{status.name}/{pair.key}", float(pair.value)


def _controller_state(topic: str, message: Any) -> Iterator[tuple[str, float]]:
    for point, word in _POINTS:
        for field, quantity in _POINT_FIELDS:
            values = getattr(getattr(message, point, None), field, ())
            for joint, value in zip(message.joint_names, values, strict=False):
                yield f"{topic}/{joint}.{word}.{quantity}", float(value)
