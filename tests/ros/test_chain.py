"""Everything as processes of its own over DDS: a fault, its detection, an approval over HTTP, the swap, the way back.

Somebody else on the graph counts the commands meanwhile (`remend.bench.ros_ear`). The robot's time waits for each
answer, so that a busy machine makes a test slower and nothing else.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from std_msgs.msg import String

from core.ros_node import LATCHED
from remend.bench import ros_ear
from remend.bench.heard import read_heard
from remend.web.resources import PatchWhole
from tests.ros.graph import Graph, listening, wait_for
from tests.ros.served import Served, serving, settings

pytestmark = [pytest.mark.ros, pytest.mark.e2e, pytest.mark.xdist_group("ros")]

LEARN_S = 30.0
STAGES = ("shadow", "canary 10%", "canary 30%", "canary 100%", "commit")


class Listener:
    """What somebody sees who only listens."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []

    def hear_status(self, message: String) -> None:
        self.status = json.loads(message.data)

    def hear_event(self, message: String) -> None:
        self.events.append(json.loads(message.data))

    def runs(self) -> str:
        return str(self.status["host"]["active_sha"])


def pace(rate: int, spare_s: float) -> tuple[str, ...]:
    """A multiple of real time, where the machine can, and the fault so long after the head."""
    return "--rate", str(rate), "--lockstep", "--learn", str(LEARN_S + spare_s)


def heal(served: Served, listener: Listener, ear: Path) -> PatchWhole:
    """From a robot whose fault is still to come to one that runs what it ran before the patch."""
    served.wait_for(lambda: next(served.client.incidents(), None), "an incident")
    patch = served.approve()
    start_ns = time.monotonic_ns()
    served.wait_for_status(patch, "active")
    end_ns = time.monotonic_ns()
    served.wait_for(lambda: served.robot().active_sha == patch.candidate.result_sha, "the patch on the board")
    assert listener.runs() == patch.candidate.result_sha
    (outcome,) = served.wait_for(lambda: served.client.patch(patch.summary.id).outcomes, "what became of it")
    assert (outcome.deployed, outcome.rolled_back, outcome.stages) == (True, False, STAGES)
    rate_is_kept(ear, start_ns, end_ns)

    served.roll_back()
    served.wait_for(lambda: served.robot().active_sha == patch.candidate.base_sha, "the controller before")
    wait_for(lambda: listener.runs() == patch.candidate.base_sha, "it on the robot")
    served.wait_for_status(patch, "rolled_back")
    return patch


def rate_is_kept(ear: Path, start_ns: int, end_ns: int) -> None:
    """During a swap every measurement is answered, and no later than in the time of equal length after it."""
    last_ns = 2 * end_ns - start_ns
    wait_for(lambda: (came := read_heard(ear).came_ns).size and came[-1] > last_ns, "as much time after the swap")
    heard = read_heard(ear)
    swap, after = heard.between(start_ns, end_ns), heard.between(end_ns, last_ns)
    assert len(swap) > 100
    assert swap.unanswered == 0
    assert np.median(swap.delays_s) < 2.0 * np.median(after.delays_s)
    assert swap.rate_hz(start_ns, end_ns) > 0.8 * len(swap) / ((end_ns - start_ns) * 1e-9)


def test_a_fault_is_patched_on_the_running_node_and_the_patch_taken_back(graph: Graph) -> None:
    robot, ear, listener = "cartpole", graph.folder / "ear", Listener()
    settings(graph.home, LEARN_S)
    graph.host(robot, "--robot-id", "cart-7")
    topic = "/joint_states:sensor_msgs/msg/JointState"
    graph.remend("telemetry", "telemetry", "--topic", topic, "--head", str(LEARN_S), "--sim-time")
    graph.start("ear", ros_ear.__file__, str(ear))
    with (
        listening(
            (String, "/remend_host/status", listener.hear_status, LATCHED),
            (String, "/remend_telemetry/incidents", listener.hear_event, LATCHED),
        ),
        serving(graph, "cart-7", "--robot", robot) as served,
    ):
        served.wait_for(served.learns, "the link")
        work = ("--work", "/remend_host/joint_trajectory")
        fault = ("--fault", "actuator_loss:gain=0.6")
        graph.remend("sim", "sim", "--robot", robot, *fault, *pace(4, 3.0), *work)
        patch = heal(served, listener, ear)
        incident = served.client.incident(patch.candidate.incident_id)
        assert incident.diagnoses[-1].causes[0].cause == "actuator_loss"
        assert listener.events, "the node that watches topics saw nothing"
        assert listener.events[0]["alarm_s"] > LEARN_S
