"""What somebody writes who has read docs/ros.md and nothing else. Run as a process; prints what it finds.

It reads the status and the active version, sends the arm on its way and waits until it is there, freezes and lifts the
freeze, and asks for the controller before.
"""

import json
import sys

import rclpy
from builtin_interfaces.msg import Duration
from rclpy.node import Node
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

GOAL = {"shoulder": 0.8, "elbow": 0.6}

rclpy.init()
node = Node("new_user")
seen = {"status": {}, "joints": {}}


def hear_status(message):
    seen["status"] = json.loads(message.data)


def hear_joints(message):
    seen["joints"] = dict(zip(message.name, message.position, strict=True))


latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
node.create_subscription(String, "/remend_host/status", hear_status, latched)
node.create_subscription(JointState, "/joint_states", hear_joints, qos_profile_sensor_data)
paths = node.create_publisher(JointTrajectory, "/remend_host/joint_trajectory", 10)


def wait_for(condition):
    while not condition():
        rclpy.spin_once(node, timeout_sec=0.1)


def call(name):
    client = node.create_client(Trigger, f"/remend_host/{name}")
    client.wait_for_service()
    future = client.call_async(Trigger.Request())
    rclpy.spin_until_future_complete(node, future)
    print(name, future.result().success)


def there():
    return seen["joints"] and all(abs(seen["joints"][name] - goal) < 0.01 for name, goal in GOAL.items())


wait_for(lambda: seen["status"] and seen["joints"] and paths.get_subscription_count())
print("reference", seen["status"]["reference"])
point = JointTrajectoryPoint(positions=list(GOAL.values()), time_from_start=Duration(sec=1))
paths.publish(JointTrajectory(joint_names=list(GOAL), points=[point]))
wait_for(lambda: seen["status"]["reference"] == "path")
wait_for(lambda: seen["status"]["reference"] == "hold" and there())
print("arrived")

parameters = AsyncParameterClient(node, "/remend_host")
parameters.wait_for_services()
future = parameters.get_parameters(["active_version"])
rclpy.spin_until_future_complete(node, future)
print("runs", future.result().values[0].string_value)

call("freeze")
wait_for(lambda: seen["status"]["frozen"])
call("rearm")
wait_for(lambda: not seen["status"]["frozen"])
call("rollback")
sys.exit(0)
