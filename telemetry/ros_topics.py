"""Telemetry, scores and events as standard ROS 2 messages: the same on a robot's graph, in a recording and live.

    /joint_states            sensor_msgs/JointState     position, velocity and effort of the joints
    /actuator_states         sensor_msgs/JointState     effort of the actuators, where these are not the joints
    /commands                sensor_msgs/JointState     what the drives were told: effort, or position in position mode
    /reference               sensor_msgs/JointState     where the joints should be
    /reference/acceleration  std_msgs/Float64MultiArray in the order of the joints; a JointState has no place for it
    /remend/sequence         std_msgs/Int64             number of the frame
    /remend/score            std_msgs/Float64           test ratio, 1 is an alarm
    /remend/event            diagnostic_msgs/DiagnosticArray

The score has a topic of its own, so that the raw telemetry stays raw. In an event's key-value pairs each value is JSON,
which restores every bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from core.frames import Frame, Reference, TelemetryRow
from core.ids import plain
from core.records import Event

JOINT_STATES, ACTUATOR_STATES, COMMANDS = "/joint_states", "/actuator_states", "/commands"
REFERENCE, ACCELERATION, SEQUENCE = "/reference", "/reference/acceleration", "/remend/sequence"
SCORE, EVENT = "/remend/score", "/remend/event"
_JOINT_STATE, _ARRAY = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray"
_INT, _FLOAT, _DIAGNOSTICS = "std_msgs/msg/Int64", "std_msgs/msg/Float64", "diagnostic_msgs/msg/DiagnosticArray"
TYPES = {
    JOINT_STATES: _JOINT_STATE,
    ACTUATOR_STATES: _JOINT_STATE,
    COMMANDS: _JOINT_STATE,
    REFERENCE: _JOINT_STATE,
    ACCELERATION: _ARRAY,
    SEQUENCE: _INT,
    SCORE: _FLOAT,
    EVENT: _DIAGNOSTICS,
}
_ERROR = 2  # diagnostic_msgs/DiagnosticStatus.ERROR
_EMPTY = np.zeros(0)


@cache
def _ros() -> Any:
    # Imported when it is needed: type definitions take a tenth of a second. One distribution, so that the same incident
    # gives the same bytes whatever version of the library comes next.
    from rosbags.typesys import Stores, get_typestore  # noqa: PLC0415

    return get_typestore(Stores.ROS2_HUMBLE)


def definition(topic: str) -> tuple[str, bytes]:
    """Type of a topic, and its definition in the form that MCAP calls ros2msg."""
    text, _ = _ros().generate_msgdef(TYPES[topic], ros_version=2)
    return TYPES[topic], text.encode()


def decode(topic: str, data: bytes) -> Any:
    """A message of one of these topics.

    Raises:
        Exception: whatever damaged bytes lead to.
    """
    return _ros().deserialize_cdr(data, TYPES[topic])


@dataclass(frozen=True, slots=True, kw_only=True)
class RosTelemetry:
    """The messages of one robot."""

    joints: tuple[str, ...]  # n
    actuators: tuple[str, ...]  # m
    mode: str = "torque"  # what a command is, as in `core.robot.Robot`
    hardware_id: str = ""  # of diagnostics

    @property
    def same(self) -> bool:
        """Whether the actuators are the joints, so that one JointState holds all that is measured."""
        return self.joints == self.actuators

    def row(self, row: TelemetryRow) -> Iterator[tuple[str, bytes]]:
        """Topic and CDR of the messages of one row."""
        frame, reference, stamp_ns = row.frame, row.reference, row.frame.stamp_ns
        effort = frame.tau_meas if self.same else []
        yield JOINT_STATES, self._state(stamp_ns, self.joints, frame.q, frame.qd, effort)
        if not self.same:
            yield ACTUATOR_STATES, self._state(stamp_ns, self.actuators, [], [], frame.tau_meas)
        position, effort = (frame.tau_cmd, []) if self.mode == "position" else ([], frame.tau_cmd)
        yield COMMANDS, self._state(stamp_ns, self.actuators, position, [], effort)
        yield REFERENCE, self._state(stamp_ns, self.joints, reference.q_ref, reference.qd_ref, [])
        layout = self._new("std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
        yield ACCELERATION, self._cdr(ACCELERATION, layout=layout, data=_array(reference.qdd_ref))
        yield SEQUENCE, self._cdr(SEQUENCE, data=frame.seq)

    def score(self, ratio: float) -> tuple[str, bytes]:
        """Topic and CDR of a test ratio."""
        return SCORE, self._cdr(SCORE, data=ratio)

    def event(self, event: Event) -> tuple[str, bytes]:
        """Topic and CDR of an event."""
        pairs = [
            self._new("diagnostic_msgs/msg/KeyValue", key=key, value=json.dumps(value))
            for key, value in plain(event).items()
        ]
        status = self._new(
            "diagnostic_msgs/msg/DiagnosticStatus",
            level=_ERROR,
            name=event.channel,
            message=f"{event.kind} since {event.onset_s:.3f} s, test ratio {event.test_ratio:.2f}",
            hardware_id=self.hardware_id,
            values=pairs,
        )
        header = self._header(max(0, round(event.alarm_s * 1e9)))
        return EVENT, self._cdr(EVENT, header=header, status=[status])

    def read_row(self, seq: int, stamp_ns: int, messages: dict[str, Any]) -> TelemetryRow:
        """Inverse of `row`, from decoded messages by topic."""
        states, command, wanted = messages[JOINT_STATES], messages[COMMANDS], messages[REFERENCE]
        effort = states if self.same else messages[ACTUATOR_STATES]
        tau_cmd = command.position if self.mode == "position" else command.effort
        return TelemetryRow(
            frame=Frame(
                seq=seq,
                stamp_ns=stamp_ns,
                q=states.position.tolist(),
                qd=states.velocity.tolist(),
                tau_meas=effort.effort.tolist(),
                tau_cmd=tau_cmd.tolist(),
            ),
            reference=Reference(
                q_ref=wanted.position.tolist(),
                qd_ref=wanted.velocity.tolist(),
                qdd_ref=messages[ACCELERATION].data.tolist(),
            ),
        )

    def _state(
        self,
        stamp_ns: int,
        names: Sequence[str],
        position: Sequence[float],
        velocity: Sequence[float],
        effort: Sequence[float],
    ) -> bytes:
        return self._cdr(
            JOINT_STATES,
            header=self._header(stamp_ns),
            name=list(names),
            position=_array(position),
            velocity=_array(velocity),
            effort=_array(effort),
        )

    def _header(self, stamp_ns: int) -> Any:
        sec, nanosec = divmod(stamp_ns, 10**9)
        stamp = self._new("builtin_interfaces/msg/Time", sec=sec % 2**31, nanosec=nanosec)
        return self._new("std_msgs/msg/Header", stamp=stamp, frame_id="")

    @staticmethod
    def _new(msgtype: str, **fields: Any) -> Any:
        return _ros().types[msgtype](**fields)

    def _cdr(self, topic: str, **fields: Any) -> bytes:
        return bytes(_ros().serialize_cdr(self._new(TYPES[topic], **fields), TYPES[topic]))


def event_of(message: Any) -> Event:
    """Inverse of `RosTelemetry.event`."""
    return Event(**{pair.key: _tuples(json.loads(pair.value)) for pair in message.status[0].values})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _array(values: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64) if values else _EMPTY
