"""A robot's own controller that knows nothing of Remend: a PD node with declared gains. Run as a process."""

from __future__ import annotations

import math
from array import array

import rclpy
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension

JOINTS, CENTRE, SWING = ("shoulder", "elbow"), (0.5, 0.9), (0.3, 0.3)
GAINS = {"p": (900.0, 120.0), "d": (60.0, 8.0)}


class Pd(Node):
    def __init__(self) -> None:
        super().__init__("pid")
        gains = ParameterDescriptor(floating_point_range=[FloatingPointRange(from_value=0.0, to_value=2000.0)])
        for letter, values in GAINS.items():
            for joint, value in zip(JOINTS, values, strict=True):
                self.declare_parameter(f"gains.{joint}.{letter}", value, gains)
        self.declare_parameter("stubborn", False)
        self.add_on_set_parameters_callback(self.decide)
        self.commands = self.create_publisher(Float64MultiArray, "/commands", 10)
        self.references = self.create_publisher(JointState, "/reference", 10)
        self.create_subscription(JointState, "/joint_states", self.answer, 10)

    def decide(self, parameters: list[object]) -> SetParametersResult:
        if self.get_parameter("stubborn").value and all(each.name != "stubborn" for each in parameters):
            return SetParametersResult(successful=False, reason="I am stubborn")
        return SetParametersResult(successful=True)

    def answer(self, state: JointState) -> None:
        t_s = state.header.stamp.sec + 1e-9 * state.header.stamp.nanosec
        q = [c + s * math.sin(2.0 * t_s) for c, s in zip(CENTRE, SWING, strict=True)]
        qd = [2.0 * s * math.cos(2.0 * t_s) for s in SWING]
        self.references.publish(JointState(header=state.header, name=list(JOINTS), position=q, velocity=qd))
        tau = []
        for i, joint in enumerate(JOINTS):
            p, d = (self.get_parameter(f"gains.{joint}.{letter}").value for letter in "pd")
            tau.append(p * (q[i] - state.position[i]) + d * (qd[i] - state.velocity[i]))
        message = Float64MultiArray(data=array("d", tau))
        stamp_ns = state.header.stamp.sec * 10**9 + state.header.stamp.nanosec
        message.layout.dim.append(MultiArrayDimension(label=str(stamp_ns), size=2, stride=2))
        self.commands.publish(message)


rclpy.init()
rclpy.spin(Pd())
