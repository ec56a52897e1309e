"""The measurements of a robot, taken by a small node with a thread of its own: nothing else may make them late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Imu, JointState

from core.ros_node import RELIABLE

_TYPES = {"joint_states": JointState, "odom": Odometry, "imu": Imu}


class Intake:
    """Subscriptions to what a robot measures.

    Args:
        beside: the node that this one belongs to; it gets its name with `_intake`.
        sources: topics, of those in `core.ros_frames`.
        take: called from the thread with source and message.
        first: further topics with type and callback; of what has arrived, these are taken first.
    """

    def __init__(
        self,
        beside: Node,
        sources: Sequence[str],
        quality: QoSProfile,
        take: Callable[[str, Any], None],
        first: Sequence[tuple[Any, str, Callable[[Any], None]]] = (),
    ) -> None:
        name = f"{beside.get_name()}_intake"
        self._node = Node(
            name,
            cli_args=["--ros-args", "-r", f"__node:={name}", "-r", f"__ns:={beside.get_namespace()}"],
            start_parameter_services=False,
            enable_rosout=False,
            parameter_overrides=[Parameter("use_sim_time", value=False)],
        )
        for kind, topic, callback in first:
            self._node.create_subscription(kind, topic, callback, RELIABLE)
        for source in sources:
            self._node.create_subscription(_TYPES[source], source, lambda m, s=source: take(s, m), quality)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def close(self) -> None:
        """Stop taking."""
        self._executor.shutdown()
        self._thread.join(timeout=5.0)
        self._node.destroy_node()
