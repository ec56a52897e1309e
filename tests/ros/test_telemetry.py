"""`remend ros telemetry` beside a robot that knows nothing of it: the event of a fault, and silence as health."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import String

from core.errors import BadInput
from core.ros_node import LATCHED, RELIABLE
from telemetry.ros_live import Topic
from telemetry.ros_messages import DIAGNOSTICS, flatten
from telemetry.ros_telemetry import parse_topic
from tests.ros.graph import Graph, listening, wait_for

pytestmark = [pytest.mark.ros, pytest.mark.xdist_group("ros")]

HEALTHY, FAULTY = 1500, 400
PARAMETERS = """
remend_telemetry:
  ros__parameters:
    topics: [arm, body]
    head_s: 12.0
    arm: {topic: /joint_states, type: sensor_msgs/msg/JointState, qos: reliable}
    body: {topic: /imu/offered, type: sensor_msgs/msg/Imu, qos: reliable, deadline_s: 0.5}
"""


def test_a_fault_is_told_and_silence_is_no_fault_of_the_robot(graph: Graph) -> None:
    file = graph.folder / "telemetry.yaml"
    file.write_text(PARAMETERS)
    plain = "/imu/plain:sensor_msgs/msg/Imu:reliable:0.5"
    graph.remend("telemetry", "telemetry", "--sim-time", "--topic", plain, "--ros-args", "--params-file", str(file))
    incidents: list[dict[str, Any]] = []
    statuses: dict[str, DiagnosticStatus] = {}

    def diagnosed(message: DiagnosticArray) -> None:
        statuses.update({status.name.removeprefix("remend: remend_telemetry: "): status for status in message.status})

    with listening(
        (String, "/remend_telemetry/incidents", lambda m: incidents.append(json.loads(m.data)), LATCHED),
        (DiagnosticArray, "/diagnostics", diagnosed, RELIABLE),
    ):
        graph.start("talker", str(Path(__file__).parent / "talker.py"), str(HEALTHY), str(FAULTY))
        event = wait_for(lambda: incidents and incidents[0], "the event")
        assert event["state"] == "open"
        assert event["channel"].startswith("hinge.effort")
        alarm, onset = (100.0 * (event["origin_s"] + event[when]) for when in ("alarm_s", "onset_s"))
        assert HEALTHY < alarm <= HEALTHY + FAULTY
        assert abs(onset - HEALTHY) < 50.0
        wait_for(lambda: b"\x02" in [statuses["detector"].level] if "detector" in statuses else None, "its diagnosis")
        for topic, said in (("/imu/offered", "deadline missed"), ("/imu/plain", "silent beyond its deadline")):
            wait_for(lambda t=topic, s=said: t in statuses and s in statuses[t].message, f"{topic}: {said}")
            assert statuses[topic].level == DiagnosticStatus.WARN
        assert "offers no such quality" in statuses["/imu/plain"].message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/joint_states", "NAME:TYPE"),
        ("/joint_states:sensor_msgs/msg/Image", "is not read"),
        ("/joint_states:sensor_msgs/msg/JointState:fast", "no qos 'fast'"),
        ("/joint_states:sensor_msgs/msg/JointState:reliable:soon", "no number"),
    ],
)
def test_a_topic_that_cannot_be_watched_is_one_sentence(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        parse_topic(text)


def test_a_topic_in_short() -> None:
    wanted = Topic(name="/imu", type="sensor_msgs/msg/Imu", qos="latest", deadline_s=0.2)
    assert parse_topic("/imu:sensor_msgs/msg/Imu:latest:0.2") == wanted


def test_diagnostics_are_channels_where_they_are_numbers() -> None:
    values = [KeyValue(key="temperature", value="41.5"), KeyValue(key="state", value="ready")]
    message = DiagnosticArray(status=[DiagnosticStatus(name="motor 1", level=b"\x01", values=values)])
    found = flatten("/diagnostics", DIAGNOSTICS, message)
    assert found == {"/diagnostics/motor 1.level": 1.0, "/diagnostics/motor 1/temperature": 41.5}
