"""A robot that knows nothing of Remend: joint states on simulated time, then a joint that pulls to one side; two IMUs.

Run as a process. Both IMUs fall silent when the fault sets in; one of them has offered a deadline.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState

from core.ros_frames import time_of

PERIOD_NS = 10**7


def main(healthy: int, faulty: int) -> None:
    rclpy.init()
    node = Node("talker")
    states = node.create_publisher(JointState, "/joint_states", QoSProfile(depth=500))
    clock = node.create_publisher(Clock, "/clock", 10)
    offered = QoSProfile(depth=10, deadline=Duration(nanoseconds=400_000_000))
    imus = [node.create_publisher(Imu, "/imu/offered", offered), node.create_publisher(Imu, "/imu/plain", 10)]
    while not (states.get_subscription_count() and imus[0].get_subscription_count()):
        rclpy.spin_once(node, timeout_sec=0.1)
    rng, speed = np.random.default_rng(7), 0.0
    for k in range(healthy + faulty):
        speed = 0.9 * speed + rng.normal(scale=0.1)
        pull = 0.6 if k >= healthy else 0.0
        message = JointState(name=["hinge"], position=[0.0], velocity=[speed], effort=[pull + rng.normal(scale=0.1)])
        message.header.stamp = time_of((k + 1) * PERIOD_NS)
        states.publish(message)
        if k % 10 == 0:
            clock.publish(Clock(clock=message.header.stamp))
        if k < healthy and k % 5 == 0:
            for imu in imus:
                imu.publish(Imu(header=message.header))
        time.sleep(0.001)
    while True:
        time.sleep(1.0)


main(*map(int, sys.argv[1:]))
