"""Several robots in one domain: name spaces and other topics keep them apart, down to the clock and the link."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Duration
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from core.errors import BadInput
from core.ros_node import RELIABLE
from remend.links.ros_link import RosLink
from sim.catalogue import find_robot
from tests.ros.graph import PATIENCE_S, Graph, listening, wait_for

pytestmark = [pytest.mark.ros, pytest.mark.e2e, pytest.mark.xdist_group("ros")]

ROBOT = find_robot("arm2")
EFFORT = "effort_controller/commands"


def start(graph: Graph, name: str, *remappings: str) -> None:
    """A simulated arm and its host in a name space, with a clock of their own."""
    rules = [word for rule in (f"__ns:=/{name}", f"/clock:=/{name}/clock", *remappings) for word in ("-r", rule)]
    sim = ("sim", "--robot", "arm2", "--rate", "0", "--lockstep", "--ros-args", *rules)
    host = ("host", "--robot", "arm2", "--robot-id", name, "--sim-time", "--simulated", "--ros-args", *rules)
    graph.remend(f"{name}-sim", *sim)
    graph.remend(f"{name}-host", *host)


def test_two_robots_in_one_domain_do_not_hear_each_other(graph: Graph) -> None:
    start(graph, "left", f"commands:={EFFORT}")
    start(graph, "right")
    shoulder: dict[str, float] = {}
    commands = {"left": 0, "right": 0}

    def hear(name: str, state: JointState) -> None:
        shoulder[name] = state.position[0]

    def count(name: str, _: Float64MultiArray) -> None:
        commands[name] += 1

    with listening(
        (JointState, "/left/joint_states", lambda m: hear("left", m), qos_profile_sensor_data),
        (JointState, "/right/joint_states", lambda m: hear("right", m), qos_profile_sensor_data),
        (Float64MultiArray, f"/left/{EFFORT}", lambda m: count("left", m), RELIABLE),
        (Float64MultiArray, "/right/commands", lambda m: count("right", m), RELIABLE),
    ) as node:
        wait_for(lambda: all(commands.values()), "commands for both")
        assert node.count_publishers("/left/commands") == node.count_publishers("/commands") == 0
        paths = node.create_publisher(JointTrajectory, "/left/remend_host/joint_trajectory", 10)
        wait_for(paths.get_subscription_count, "the left host")
        point = JointTrajectoryPoint(positions=[1.0, 0.6], time_from_start=Duration(sec=1))
        paths.publish(JointTrajectory(joint_names=["shoulder", "elbow"], points=[point]))
        wait_for(lambda: abs(shoulder["left"] - 1.0) < 0.01, "the left arm to arrive")
        assert abs(shoulder["right"] - ROBOT.home[0]) < 0.05, "the right arm has moved"

        for name in ("left", "right"):
            with RosLink(ROBOT, robot_id=name, namespace=f"/{name}", simulated=True, connect_s=PATIENCE_S) as link:
                assert link.status().killed is None
        with (
            pytest.raises(BadInput, match="is the host of right, not of left"),
            RosLink(ROBOT, robot_id="left", namespace="/right", simulated=True, connect_s=PATIENCE_S),
        ):
            pass
