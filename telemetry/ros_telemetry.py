"""The node that watches topics of a running graph: channels, health, and the detector, learnt on their healthy start.

~/score       std_msgs/Float64                 test ratio of the newest rows, 1 is an alarm
~/incidents   std_msgs/String                  JSON of each event, when it opens and when it closes
/diagnostics  diagnostic_msgs/DiagnosticArray  the detector, and one status for each topic
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Float64, String

from core.errors import BadInput, RemendError
from core.ids import plain
from core.records import Event
from core.ros_node import LATCHED, RELIABLE, Setting, declare
from telemetry.channels import declare as declare_channels
from telemetry.channels import load_declaration
from telemetry.detect import FileDetector
from telemetry.events import CLOSE_BELOW
from telemetry.health import HealthMonitor
from telemetry.message_source import Said
from telemetry.ros_live import Listener, LiveSource, Topic

_PERIOD_S = 0.2  # between looks at what has arrived
_DIAGNOSTICS_S = 1.0
SETTINGS = (
    Setting(name="topics", default=[""], meaning="Names of the topics to watch; each has parameters.", read_only=True),
    Setting(
        name="head_s",
        default=60.0,
        meaning="How long the start counts as healthy, and is learnt [s].",
        low=1.0,
        high=86400.0,
        read_only=True,
    ),
    Setting(
        name="false_alarms_per_hour",
        default=0.1,
        meaning="What the user puts up with.",
        low=1e-4,
        high=1000.0,
        read_only=True,
    ),
    Setting(name="channels", default="", meaning="TOML file with roles, units and limits.", read_only=True),
)


class TelemetryNode(Node):
    """Watches some topics.

    Args:
        topics: watched besides those of the parameters.
        overrides: parameters that win over those of a file.

    Raises:
        BadInput: no topic, or one that cannot be watched.
    """

    def __init__(self, topics: tuple[Topic, ...], overrides: Mapping[str, Any]) -> None:
        given = [Parameter(name, value=value) for name, value in overrides.items()]
        super().__init__("remend_telemetry", parameter_overrides=given)
        values = declare(self, SETTINGS)
        named = [name for name in values["topics"] if name]
        topics = (*topics, *(self._declared(name) for name in named))
        if not topics:
            raise BadInput("no topic to watch; give --topic NAME:TYPE, or the parameter topics")
        self._head_s, self._rate_fa = float(values["head_s"]), float(values["false_alarms_per_hour"])
        self._declaration = load_declaration(Path(values["channels"])) if values["channels"] else {}
        self._score = self.create_publisher(Float64, "~/score", RELIABLE)
        self._incidents = self.create_publisher(String, "~/incidents", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self._listener = Listener(self, topics, self._is_mine)
        self._detector: FileDetector | None = None
        self._health: HealthMonitor | None = None
        self._source: LiveSource | None = None
        self._ratio, self._told, self._closed = 0.0, 0, 0
        self.why = ""  # it cannot learn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self.create_timer(_DIAGNOSTICS_S, self._diagnose, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy_node(self) -> None:
        """Stop watching too."""
        self._stop.set()
        self._thread.join(timeout=10.0)
        super().destroy_node()

    def _declared(self, name: str) -> Topic:
        """A topic from the parameters NAME.topic, NAME.type and so on."""
        settings = (
            Setting(name=f"{name}.topic", default=name, meaning="Name of the topic.", read_only=True),
            Setting(name=f"{name}.type", default="", meaning="Type of its messages.", read_only=True),
            Setting(name=f"{name}.qos", default="sensor_data", meaning="Quality of service.", read_only=True),
            Setting(name=f"{name}.deadline_s", default=0.0, meaning="Longest silence [s].", read_only=True),
            Setting(name=f"{name}.liveliness_s", default=0.0, meaning="Lease of publishers [s].", read_only=True),
        )
        values = declare(self, settings)
        return Topic(**{key.name.partition(".")[2].replace("topic", "name"): values[key.name] for key in settings})

    def _is_mine(self, message: Any) -> bool:
        return any(status.name.startswith(f"remend: {self.get_name()}") for status in message.status)

    # the detector's thread: learning takes seconds, in which no message may be lost

    def _work(self) -> None:
        waiting: list[Said] = []
        while not self._stop.wait(_PERIOD_S):
            waiting += self._listener.take()
            try:
                if self._detector is not None:
                    self._judge(waiting)
                    waiting = []
                elif waiting and waiting[-1].received_ns - waiting[0].received_ns >= self._head_s * 1e9:
                    self._learn(waiting)
                    waiting = []
            except RemendError as error:
                self.why = str(error)
                self.get_logger().error(self.why)
                waiting = []

    def _learn(self, said: list[Said]) -> None:
        source = LiveSource(self.get_name(), said)
        source.channels = declare_channels(source.channels, self._declaration, self.get_name())
        health = HealthMonitor(source.channels)
        chunk = source.chunk(said)
        detector = FileDetector(source, health.update(chunk), source.times(chunk), self._rate_fa)
        self._source, self._health, self._detector, self.why = source, health, detector, ""
        self.get_logger().info(f"learnt {len(detector.watched)} channels from {len(said)} messages")

    def _judge(self, said: list[Said]) -> None:
        if not said:
            return
        assert self._source is not None
        assert self._health is not None
        assert self._detector is not None
        chunk = self._source.chunk(said)
        ratio, _ = self._detector.judge(self._health.update(chunk), self._source.times(chunk))
        self._ratio = float(np.max(ratio))
        self._score.publish(Float64(data=self._ratio))
        tracker = self._detector.tracker
        for event in tracker.events[self._told :]:
            self._say("open", event, None)
        self._told = len(tracker.events)
        closed = [k for k, end in enumerate(tracker.ends_s) if end is not None and k >= self._closed]
        for k in closed:
            self._say("closed", tracker.events[k], tracker.ends_s[k])
            self._closed = k + 1

    def _say(self, state: str, event: Event, end_s: float | None) -> None:
        assert self._source is not None  # its times count from the first message; `origin_s` is that on ROS's clock
        body = {"state": state, **plain(event), "end_s": end_s, "origin_s": self._source.origin_s}
        self._incidents.publish(String(data=json.dumps(body)))

    # what everybody may know

    def _diagnose(self) -> None:
        message = DiagnosticArray(status=[self._of_detector(), *map(self._of_topic, self._listener.topics)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _of_detector(self) -> DiagnosticStatus:
        detector, health = self._detector, self._health
        status = DiagnosticStatus(name=f"remend: {self.get_name()}: detector", level=DiagnosticStatus.OK)
        if detector is None or health is None:
            status.level = DiagnosticStatus.ERROR if self.why else DiagnosticStatus.STALE
            status.message = self.why or f"learning from {self._head_s:g} s of healthy telemetry"
            return status
        status.message, ratio = "as learnt", self._ratio
        if detector.tracker.open:
            event = detector.tracker.events[-1]
            status.level, status.message = DiagnosticStatus.ERROR, f"{event.kind} in {event.channel}"
        elif ratio >= CLOSE_BELOW:
            status.level, status.message = DiagnosticStatus.WARN, "close to an alarm"
        values = {
            "test_ratio": ratio,
            "events": len(detector.tracker.events),
            "channels": len(detector.watched),
            "threshold": detector.threshold_basis,
            **{f"health.{finding.kind.value}.{finding.channel}": finding.detail for finding in health.findings()[:20]},
        }
        status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        return status

    def _of_topic(self, topic: Topic) -> DiagnosticStatus:
        wrong = {what: n for (name, what), n in self._listener.outcomes.items() if name == topic.name}
        heard = self._listener.heard[topic.name]
        level = DiagnosticStatus.OK if not wrong else DiagnosticStatus.WARN
        message = ", ".join(f"{what} ({n})" for what, n in wrong.items()) or "as it should be"
        if not heard:
            level, message = DiagnosticStatus.STALE, "nothing heard yet"
        values = [KeyValue(key=what, value=str(n)) for what, n in {"messages": heard, **wrong}.items()]
        return DiagnosticStatus(
            name=f"remend: {self.get_name()}: {topic.name}", level=level, message=message, values=values
        )


def parse_topic(text: str) -> Topic:
    """NAME:TYPE, NAME:TYPE:QOS or NAME:TYPE:QOS:DEADLINE_S.

    Raises:
        BadInput: it is none of these.
    """
    name, *rest = text.split(":")
    if not name or not 1 <= len(rest) <= 3:
        raise BadInput(f"--topic {text}: write NAME:TYPE, such as /joint_states:sensor_msgs/msg/JointState")
    try:
        deadline_s = float(rest[2]) if len(rest) == 3 else 0.0
    except ValueError:
        raise BadInput(f"--topic {text}: the deadline is no number of seconds; write one such as 0.1") from None
    return Topic(name=name, type=rest[0], qos=rest[1] if len(rest) > 1 else "sensor_data", deadline_s=deadline_s)
