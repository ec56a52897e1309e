"""The host of a base, as somebody with rclpy sees it: speeds, switches, lifecycle, parameters, a patch by parameter."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

from controllers.artefact import with_params
from controllers.canary import CanaryLimits
from controllers.controller import Controller
from controllers.library import find_law
from controllers.requests import BeginShadow, StagePatch
from controllers.ros_patching import write_bundle
from core.ros_frames import stamp_of
from core.ros_node import LATCHED, RELIABLE
from sim.catalogue import find_robot
from tests.ros.graph import PATIENCE_S, Graph, listening, wait_for
from tests.ros.signing import signed

pytestmark = [pytest.mark.ros, pytest.mark.e2e, pytest.mark.xdist_group("ros")]

ROBOT = find_robot("diffdrive")
N = ROBOT.dof
WIDE = CanaryLimits(offset=(0.0,) * N, ramp_error=(1e9,) * N, settled_error=(1e9,) * N, settle_s=0.1, variation_nm=1e3)
HOST = "/remend_host"


class Operator:
    """A node that hears everything, and calls."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {}
        self.x = 0.0
        self.commands = 0
        self.diagnosis = ""
        self.node: Node

    def hear_status(self, message: String) -> None:
        self.status = json.loads(message.data)

    def hear_pose(self, message: Odometry) -> None:
        self.x = message.pose.pose.position.x

    def hear_command(self, _: Float64MultiArray) -> None:
        self.commands += 1

    def hear_diagnosis(self, message: DiagnosticArray) -> None:
        self.diagnosis = message.status[0].message

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client, done = self.node.create_client(kind, f"{HOST}/{name}"), threading.Event()
        assert client.wait_for_service(PATIENCE_S), name
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        assert done.wait(PATIENCE_S), name
        return future.result()

    def trigger(self, name: str) -> tuple[bool, str]:
        response = self.call(Trigger, name, Trigger.Request())
        return response.success, response.message

    def set(self, name: str, value: Any) -> tuple[bool, str]:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        (result,) = self.call(SetParameters, "set_parameters", request).results
        return result.successful, result.reason

    def get(self, name: str) -> str:
        (value,) = self.call(GetParameters, "get_parameters", GetParameters.Request(names=[name])).values
        return str(value.string_value)

    def change(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.call(ChangeState, "change_state", request).success)


@contextmanager
def operating(graph: Graph) -> Iterator[Operator]:
    graph.sim("diffdrive")
    graph.host("diffdrive", "--robot-id", "base-1")
    operator = Operator()
    with listening(
        (String, f"{HOST}/status", operator.hear_status, LATCHED),
        (Odometry, "/odom", operator.hear_pose, qos_profile_sensor_data),
        (Float64MultiArray, "/commands", operator.hear_command, RELIABLE),
        (DiagnosticArray, "/diagnostics", operator.hear_diagnosis, RELIABLE),
    ) as operator.node:
        wait_for(lambda: operator.commands, "the first command")
        wait_for(lambda: operator.status, "the first status")
        yield operator


def test_an_operator_drives_patches_freezes_and_kills_a_base(graph: Graph) -> None:
    with operating(graph) as operator:
        speed = operator.node.create_publisher(Twist, f"{HOST}/cmd_vel", 10)
        ahead = Twist()
        ahead.linear.x = 0.3

        def driven() -> bool:
            speed.publish(ahead)
            return operator.x > 0.2

        wait_for(driven, "the base to move")
        wait_for(lambda: operator.status["reference"] == "hold", "the base to stop when nobody speaks any more")
        wait_for(lambda: "runs" in operator.diagnosis, "a diagnosis")

        done, why = operator.set("robot_id", "base-2")
        assert not done
        assert "read-only" in why
        assert operator.set("status_rate_hz", 1000.0)[0] is False
        described = DescribeParameters.Request(names=["lease_s"])
        (lease,) = operator.call(DescribeParameters, "describe_parameters", described).descriptors
        assert lease.read_only
        assert lease.description
        assert (lease.floating_point_range[0].from_value, lease.floating_point_range[0].to_value) == (0.5, 60.0)

        base = find_law(ROBOT, ROBOT.controller)
        assert operator.get("active_version") == base.sha256
        kp = Controller.from_artefact(base, ROBOT.ports).params["k_along"]
        assert isinstance(kp, float)
        better = with_params(base, {"k_along": 1.05 * kp})
        approved = signed(graph.home, better, WIDE, base.sha256, robot_id="base-1")
        shadow = BeginShadow(limits=WIDE)
        for value, words in (
            ("latest", "is set by a signed patch"),
            (write_bundle(StagePatch(signed=approved, files=dict(base.files)), shadow), "is not the file"),
        ):
            done, why = operator.set("active_version", value)
            assert not done
            assert words in why
        assert operator.set(
            "active_version", write_bundle(StagePatch(signed=approved, files=dict(better.files)), shadow)
        )[0]

        def patched() -> bool:
            speed.publish(ahead if operator.x < 5.0 else Twist())  # the canary's clock runs while the base moves
            return operator.get("active_version") == better.sha256

        wait_for(patched, "the commit")
        assert operator.status["host"]["stages_run"][-1] == "commit"
        assert operator.trigger("rollback")[0]
        wait_for(lambda: operator.get("active_version") == base.sha256, "the controller before")

        assert operator.trigger("hold")[0]
        wait_for(lambda: operator.status["host"]["held"] is not None, "the hold")
        assert operator.trigger("resume")[0]
        wait_for(lambda: operator.status["host"]["held"] is None, "its end")
        assert operator.trigger("freeze")[0]
        wait_for(lambda: operator.status["frozen"] is not None, "the freeze")
        assert operator.trigger("rearm")[0]
        wait_for(lambda: operator.status["frozen"] is None, "its end")
        assert operator.trigger("kill")[0]
        wait_for(lambda: operator.status["host"]["killed"], "the kill")
        done, why = operator.trigger("rearm")
        assert not done
        assert "remend rearm" in why

        assert operator.call(GetState, "get_state", GetState.Request()).current_state.label == "active"
        able = operator.call(GetAvailableTransitions, "get_available_transitions", GetAvailableTransitions.Request())
        assert {each.transition.label for each in able.available_transitions} == {"deactivate", "shutdown"}
        configure = (Transition.TRANSITION_CLEANUP, Transition.TRANSITION_CONFIGURE)
        for steps in ((), configure):
            assert operator.change(Transition.TRANSITION_DEACTIVATE)
            assert all(operator.change(step) for step in steps)
            before = operator.commands
            assert operator.change(Transition.TRANSITION_ACTIVATE)
            wait_for(lambda n=before: operator.commands > n, "commands after the activation")
        assert operator.node.count_publishers("/commands") == 1


def test_a_simulated_robot_is_no_faster_than_real_time_unless_it_is_told_to(graph: Graph) -> None:
    graph.remend("sim", "sim", "--robot", "arm2")
    graph.remend("host", "host", "--robot", "arm2", "--simulated", "--sim-time")
    heard: list[tuple[float, float]] = []  # wall time, stamp [s]

    def hear(state: JointState) -> None:
        heard.append((time.monotonic(), 1e-9 * stamp_of(state)))

    with listening((JointState, "/joint_states", hear, qos_profile_sensor_data)):
        wait_for(lambda: heard and heard[-1][1] - heard[0][1] > 1.5, "a second and a half")
    (wall_0, stamp_0), (wall_1, stamp_1) = heard[0], heard[-1]
    assert stamp_1 - stamp_0 < 1.2 * (wall_1 - wall_0) + 0.1
