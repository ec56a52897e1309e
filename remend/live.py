"""A live view: the robot's telemetry, scores and events for Foxglove, over a WebSocket on this machine alone."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from core.block import Array, Block
from core.errors import BadInput
from core.records import Event
from core.robot import Robot
from telemetry import ros_topics as ros
from telemetry.ros_topics import RosTelemetry

PORT = 8765  # the one that Foxglove suggests
HOST = "127.0.0.1"  # nobody else is asked who they are, so nobody else is let in
RATE_HZ = 50.0  # rows a second that are shown; a screen shows no more


class Viewer(Protocol):
    """Whoever looks on while a robot is watched."""

    def show(self, block: Block) -> None:
        """Telemetry, as it arrives."""
        ...

    def score(self, t_s: Array, ratio: Array) -> None:
        """(N,) test ratios at (N,) times [s, robot clock]."""
        ...

    def event(self, event: Event) -> None:
        """An alarm."""
        ...


class LiveView:
    """Sends what a recording would hold to every Foxglove that is connected. Use as a context manager.

    Args:
        robot: its model.
        robot_id: shown with events.
        port: 0 takes a free one; `url` says which.

    Raises:
        BadInput: the SDK is not installed, or the port is taken.
    """

    def __init__(self, robot: Robot, robot_id: str, port: int = PORT) -> None:
        try:
            import foxglove  # noqa: PLC0415 an extra, and fifty megabytes
        except ModuleNotFoundError:
            raise BadInput("--foxglove needs the Foxglove SDK; run pip install 'remend[live]'") from None
        self._every = max(1, round(robot.control_rate_hz / RATE_HZ))
        self._rows = 0
        self._scored_s = -np.inf
        self._messages = RosTelemetry(
            joints=robot.joints, actuators=robot.actuators, mode=robot.mode, hardware_id=robot_id
        )
        context = self._context = foxglove.Context()  # the server lets go of one that nobody holds
        try:
            self._server: Any = foxglove.start_server(name=robot_id, host=HOST, port=port, context=context)
        except (OSError, RuntimeError) as error:
            raise BadInput(f"--foxglove {port}: the port cannot be opened ({error}); give another one") from None
        self._channels = {
            topic: foxglove.Channel(topic, schema=_schema(topic), message_encoding="cdr", context=context)
            for topic in ros.TYPES
            if topic != ros.ACTUATOR_STATES or not self._messages.same
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What to open in Foxglove."""
        return f"ws://{HOST}:{self._server.port}"

    def show(self, block: Block) -> None:
        """Send some of the rows of a block: `RATE_HZ` of them per second."""
        start = -self._rows % self._every
        self._rows += len(block)
        for row in Block(data=block.data[start :: self._every], actuators=block.actuators).rows():
            for message in self._messages.row(row):
                self._send(row.frame.stamp_ns, message)

    def score(self, t_s: Array, ratio: Array) -> None:
        """Send the largest of (N,) test ratios at (N,) times [s, robot clock], as far as they are new."""
        new = slice(int(np.searchsorted(t_s, self._scored_s, side="right")), None)
        if ratio[new].size:
            self._scored_s = float(t_s[-1])
            self._send(round(self._scored_s * 1e9), self._messages.score(float(np.max(ratio[new]))))

    def event(self, event: Event) -> None:
        """Send an event."""
        self._send(max(0, round(event.alarm_s * 1e9)), self._messages.event(event))

    def close(self) -> None:
        """End the server."""
        self._server.stop()

    def _send(self, stamp_ns: int, message: tuple[str, bytes]) -> None:
        topic, data = message
        self._channels[topic].log(data, log_time=stamp_ns)


def _schema(topic: str) -> Any:
    import foxglove  # noqa: PLC0415

    msgtype, text = ros.definition(topic)
    return foxglove.Schema(name=msgtype, encoding="ros2msg", data=text)
