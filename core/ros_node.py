"""What every ROS 2 node of Remend needs: a start that says what is missing, a clean end, parameters, qualities."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rclpy.signals import SignalHandlerOptions

from core.errors import BadInput

_LOOK_S = 0.2  # between looks at whether the process was asked to end
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
LATEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
EVERYTHING = QoSProfile(history=HistoryPolicy.KEEP_ALL, reliability=ReliabilityPolicy.RELIABLE)
QUALITIES = {"sensor_data": qos_profile_sensor_data, "reliable": RELIABLE, "latest": LATEST, "latched": LATCHED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One parameter of a node."""

    name: str
    default: Any
    meaning: str
    low: float | None = None
    high: float | None = None
    read_only: bool = False


def declare(node: Node, settings: Sequence[Setting]) -> dict[str, Any]:
    """Declare parameters with their descriptions and ranges; returns their values."""
    for setting in settings:
        descriptor = ParameterDescriptor(description=setting.meaning, read_only=setting.read_only)
        if setting.low is not None and setting.high is not None:
            if isinstance(setting.default, int) and not isinstance(setting.default, bool):
                span = IntegerRange(from_value=int(setting.low), to_value=int(setting.high), step=0)
                descriptor.integer_range = [span]
            else:
                descriptor.floating_point_range = [FloatingPointRange(from_value=setting.low, to_value=setting.high)]
        node.declare_parameter(setting.name, setting.default, descriptor)
    return {setting.name: node.get_parameter(setting.name).value for setting in settings}


class Stop:
    """Whether the process was asked to end. ROS goes down afterwards, so that a node can still put things right."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        """The signal handler."""
        self.asked = True


@contextmanager
def ros(arguments: Sequence[str] = ()) -> Iterator[Stop]:
    """ROS 2 for this process; `arguments` are what follows `--ros-args` on a command line, with that word.

    Raises:
        BadInput: the arguments are none that ROS understands, or no middleware can be loaded.
    """
    stop = Stop()
    try:
        rclpy.init(args=["remend", *arguments], signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # rclpy raises what its C libraries say, in no type of its own
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        domain = os.environ.get("ROS_DOMAIN_ID", "0")
        raise BadInput(f"ROS 2 does not start ({first}); check --ros-args, and ROS_DOMAIN_ID={domain}") from error
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        rclpy.try_shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


def run(make: Callable[[], Node], arguments: Sequence[str] = ()) -> None:
    """Make a node and spin it until the process is asked to end; then `destroy_node` cleans up."""
    with ros(arguments) as stop:
        node = make()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            while not stop.asked and rclpy.ok():
                executor.spin_once(timeout_sec=_LOOK_S)
        finally:
            executor.shutdown()
            node.destroy_node()
