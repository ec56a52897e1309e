"""The parameters of another node: read, written in one atomic call, and read back. Calls wait for the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient

from controllers.foreign import Flat
from core.errors import BadInput, RobotFault

_TRIES, _AGAIN_S = 8, 1.0  # calls without an answer, and the seconds that each waits; then the controller is gone
_CONNECT_S = 60.0


class ForeignNode:
    """One node with parameters.

    Raises:
        RobotFault: it is not there.
    """

    def __init__(self, beside: Node, name: str) -> None:
        self.name = name
        called = f"{beside.get_name()}_parameters"
        self._node = Node(
            called,
            cli_args=["--ros-args", "-r", f"__node:={called}", "-r", f"__ns:={beside.get_namespace()}"],
            start_parameter_services=False,
            enable_rosout=False,
            parameter_overrides=[Parameter("use_sim_time", value=False)],
        )
        self._client = AsyncParameterClient(self._node, name)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        if not self._client.wait_for_services(_CONNECT_S):
            self.close()
            raise RobotFault(f"{name}: no such node with parameters; start it, or correct its name")

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def read(self, names: Sequence[str]) -> Flat:
        """The numbers of `names`.

        Raises:
            RobotFault: the node does not answer.
            BadInput: it has no such parameter, or it is no number.
        """
        found: dict[str, float | list[float]] = {}
        answer = self._ask(lambda: self._client.get_parameters(list(names)))
        for name, raw in zip(names, answer.values, strict=True):
            value: Any = parameter_value_to_python(raw)
            if isinstance(value, bool) or (not isinstance(value, (int, float, list)) and not hasattr(value, "tolist")):
                raise BadInput(f"{self.name}: {name} is no number; correct ros_parameter in the manifest")
            found[name] = float(value) if isinstance(value, (int, float)) else [float(each) for each in value]
        return found

    def write(self, values: Flat) -> Flat:
        """Set all of them in one call, all or nothing; what was read back.

        Raises:
            RobotFault: the node does not answer, or refuses.
        """
        parameters = [Parameter(name, value=value) for name, value in values.items()]
        result = self._ask(lambda: self._client.set_parameters_atomically(parameters)).result
        if not result.successful:
            raise RobotFault(f"{self.name}: {result.reason or 'it does not say why'}")
        return self.read(list(values))

    def _ask(self, call: Callable[[], Any]) -> Any:
        """Make a call until it is answered. Each is idempotent, and the first after a start may be lost: a service is
        known before the way back from it is matched."""
        for _ in range(_TRIES):
            done, future = threading.Event(), call()
            future.add_done_callback(lambda _, done=done: done.set())
            if done.wait(_AGAIN_S):
                return future.result()
        raise RobotFault(f"{self.name}: does not answer")

    def close(self) -> None:
        """Let go of the node."""
        self._executor.shutdown()
        self._thread.join(timeout=5.0)
        self._node.destroy_node()
