"""Somebody else on a ROS 2 graph, who counts: which measurements were answered by a command, and when each came.

A process of its own that imports nothing of Remend: `python ros_ear.py FILE` adds a line to FILE for each message:
`m` (a measurement) or `c` (a command), its stamp, and when it came on this machine's monotonic clock, both in ns. The
stamp of a command is that of the measurement which it answers.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from typing import TextIO

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

_DEEP = QoSProfile(depth=5000, reliability=ReliabilityPolicy.RELIABLE)  # what is missing was never sent
_WRITE_S = 0.2


class Ear(Node):
    """Hears measurements and commands."""

    def __init__(self, file: TextIO) -> None:
        super().__init__("ear")
        self._file = file
        self.create_subscription(JointState, "/joint_states", self._measured, _DEEP)
        self.create_subscription(Float64MultiArray, "/commands", self._commanded, _DEEP)
        self.create_timer(_WRITE_S, file.flush)

    def _measured(self, state: JointState) -> None:
        stamp = state.header.stamp
        self._file.write(f"m {stamp.sec * 10**9 + stamp.nanosec} {time.monotonic_ns()}\n")

    def _commanded(self, command: Float64MultiArray) -> None:
        self._file.write(f"c {command.layout.dim[0].label} {time.monotonic_ns()}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    rclpy.init()
    with (
        open(sys.argv[1], "w", encoding="ascii") as out,
        contextlib.suppress(KeyboardInterrupt, ExternalShutdownException),
    ):
        rclpy.spin(Ear(out))
