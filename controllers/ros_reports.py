"""What a host says about itself: ~/status and ~/incidents as JSON, /diagnostics with test ratios (1 is an alarm)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import String

from controllers.inline_messages import InlineStatus
from controllers.link_messages import status_body
from core.robot import Robot
from core.ros_node import LATCHED, RELIABLE

if TYPE_CHECKING:
    from controllers.ros_host import HostNode

_DIAGNOSTICS_S = 1.0
_WATCHED = ("stage", "active_sha", "rollback_reason", "killed", "held")  # of the host: a change is said at once


class Reports:
    """The reporting topics of one host."""

    def __init__(self, node: HostNode, robot: Robot) -> None:
        self._node, self._robot = node, robot
        self._status = node.create_publisher(String, "~/status", LATCHED)
        self._incidents = node.create_publisher(String, "~/incidents", RELIABLE)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self._said_s = self._diagnosed_s = -1e9
        self._last: InlineStatus | None = None
        self._notes = 0.0  # robot clock up to which notes have been said
        self._seen: set[tuple[int, str]] = set()

    def short(self, status: InlineStatus) -> dict[str, Any]:
        """What a person wants to know first."""
        return {
            "active_version": status.host.active_sha,
            "stage": status.host.stage.value,
            "killed": status.host.killed,
            "held": status.host.held,
            "frozen": status.frozen,
            "source": status.source,
        }

    def say_when_due(self, status: InlineStatus) -> None:
        """Publish at the set rate, and at once what has changed."""
        now_s, period_s = time.monotonic(), 1.0 / float(self._node.get_parameter("status_rate_hz").value or 5.0)
        if now_s - self._said_s >= period_s or self._has_changed(status):
            self.say(status)
        if now_s - self._diagnosed_s >= _DIAGNOSTICS_S:
            self._diagnosed_s = now_s
            self._diagnostics.publish(self._diagnosis(status))

    def say(self, status: InlineStatus) -> None:
        """Publish now."""
        self._say_notes(status)
        self._last, self._said_s = status, time.monotonic()
        body = status_body(status) | {"robot_id": self._node.robot_id, "boot": self._node.boot, **self._node.about()}
        self._status.publish(String(data=json.dumps(body)))

    def incident(self, what: str, why: str) -> None:
        """Publish that something happened which a person will want to know."""
        body: dict[str, Any] = {"robot_id": self._node.robot_id, "what": what, "why": why}
        if self._last is not None:
            body |= {"clock_s": self._last.clock_s, "active_version": self._last.host.active_sha}
        self._incidents.publish(String(data=json.dumps(body)))

    def _has_changed(self, status: InlineStatus) -> bool:
        before = self._last
        if before is None or before.frozen != status.frozen:
            return True
        return any(getattr(before.host, name) != getattr(status.host, name) for name in _WATCHED)

    def _say_notes(self, status: InlineStatus) -> None:
        """Notes of the loop that were not said yet."""
        notes = {(note.seq, note.what) for note in status.host.notes}
        for seq, what in sorted(notes - self._seen):
            self.incident("note", f"tick {seq}: {what}")
        self._seen = notes

    def _diagnosis(self, status: InlineStatus) -> DiagnosticArray:
        host, node = status.host, self._node
        age_s = node.measurement_age_s()
        ratio = age_s / self._robot.envelope.stale_after_s if age_s is not None else 0.0
        level, message = DiagnosticStatus.OK, f"{host.stage.value}, {host.active_sha[:12]} runs"
        for switch, why in (("frozen", status.frozen), ("held", host.held), ("killed", host.killed)):
            if why is not None:
                level, message = DiagnosticStatus.WARN, f"{switch}: {why}"
        if status.source == "safety":
            level, message = DiagnosticStatus.ERROR, "the safety law holds the robot"
        if age_s is None or ratio >= 1.0:
            level, message = DiagnosticStatus.STALE, "no fresh measurement comes"
        values: dict[str, Any] = {
            "test_ratio.measurement_age": ratio,  # age over the age at which the envelope takes over
            "missed_deadlines": host.missed_deadlines,
            "ticks": host.ticks,
            "stage": host.stage.value,
            "share": host.share,
            "source": status.source,
            "reference": status.reference,
            "active_version": host.active_sha,
            "rollback_reason": host.rollback_reason,
        }
        entry = DiagnosticStatus(
            level=level, name=f"remend: {node.get_name()}: control loop", message=message, hardware_id=node.robot_id
        )
        entry.values = [KeyValue(key=key, value=json.dumps(value)) for key, value in values.items()]
        array = DiagnosticArray(status=[entry])
        array.header.stamp = node.get_clock().now().to_msg()
        return array
