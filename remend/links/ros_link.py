"""A robot behind a ROS 2 graph: the link that a service holds to a host node (`remend ros host`).

Requests are numbered and repeated until they are answered; the host carries out each at most once. Heartbeats hold the
lease: when they stop, the host takes an uncommitted patch back. A host that starts over is noticed by its boot: its
telemetry goes on after the last row that came, and a swap that was under way counts as rolled back.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64MultiArray, String

from controllers.artefact import Artefact
from controllers.canary import CanaryLimits
from controllers.foreign import Mirror
from controllers.host_status import HostStatus
from controllers.link_messages import Answered, Asked, Wish, ask, read_answer, read_host_status
from controllers.requests import AskStatus, BeginCanary, BeginShadow, Hold, KeepHead, Kill, Resume, RollBack, StagePatch
from controllers.runtime import Stage
from controllers.signature import SignedManifest
from core.block import Block
from core.errors import BadInput, Refused, RobotFault, SignatureInvalid
from core.robot import Robot
from core.ros_node import EVERYTHING, RELIABLE
from telemetry.ring import Ring

ROWS_PER_BLOCK = 50
_KEPT_S = 600.0  # telemetry that waits while the service is busy or an operator thinks
_ASK_AGAIN_S = 0.5
_HEARTBEAT_S = 0.25


class RosLink:
    """One robot on this machine's ROS 2 domain. Use as a context manager.

    Args:
        robot: its model.
        robot_id: the name that it must have.
        namespace: of the host node, such as "/arm".
        host: name of the host node.
        enclave: of SROS 2, whose keys this link has; by default that of the process.
        simulated: whether nobody can come to harm; the robot has to be started as simulated, too.
        silence_s: a robot that answers nothing, or sends no telemetry, for so long is gone.
        connect_s: how long `__enter__` waits for the lease of a service before, and at least for the robot.

    Raises:
        RobotFault: it does not answer.
        BadInput: another robot answers.
        Refused: another service holds it.
    """

    def __init__(
        self,
        robot: Robot,
        *,
        robot_id: str,
        namespace: str = "",
        host: str = "remend_host",
        enclave: str = "",
        simulated: bool = False,
        silence_s: float = 10.0,
        connect_s: float = 30.0,
    ) -> None:
        self.robot_id, self.simulated = robot_id, simulated
        self._robot, self._silence_s, self._connect_s = robot, silence_s, connect_s
        self._enclave = ["--ros-args", "--enclave", enclave] if enclave else []
        self._topic = f"{namespace.rstrip('/')}/{host}"
        self._session = f"{robot_id[:40]}-{secrets.token_hex(6)}"
        self._width = 2 + 5 * robot.dof + 2 * len(robot.actuators)
        self._ring = Ring(_KEPT_S, robot.control_rate_hz, self._width)
        self._boot, self._next_row, self._missing = "", 0, 0
        self._shift_seq = self._shift_ns = 0.0
        self._last = np.zeros(0)  # last row, and when it came
        self._last_s = 0.0
        self._turn = threading.Lock()  # one request at a time
        self._news = threading.Condition()
        self._number = 0
        self._answer: Answered | None = None
        self._staged_sha, self._begun = "", False
        self._closing = threading.Event()

    def __enter__(self) -> RosLink:
        self._context = Context()
        rclpy.init(context=self._context, args=self._enclave, signal_handler_options=SignalHandlerOptions.NO)
        name = f"remend_link_{secrets.token_hex(4)}"
        self._node = node = Node(name, context=self._context, start_parameter_services=False)
        self._heart = node.create_publisher(String, f"{self._topic}/link/heartbeat", 10)
        self._requests = node.create_publisher(String, f"{self._topic}/link/request", EVERYTHING)
        node.create_subscription(String, f"{self._topic}/link/reply", self._hear, EVERYTHING)
        node.create_subscription(Float64MultiArray, f"{self._topic}/telemetry", self._take, RELIABLE)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(node)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._spin, self._beat)]
        for thread in self._threads:
            thread.start()
        try:
            self._connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the robot; it keeps its committed controller."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._executor.shutdown()
        for thread in self._threads:
            thread.join(timeout=5.0)
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _connect(self) -> None:
        deadline_s = time.monotonic() + self._connect_s
        while True:
            try:
                body = self._ask(AskStatus(), max(deadline_s - time.monotonic(), self._silence_s))
                break
            except Refused:
                if time.monotonic() > deadline_s:
                    raise
                self._closing.wait(_ASK_AGAIN_S)  # until the lease of a service before runs out
        name = (body.status or {}).get("robot_id")
        if name != self.robot_id:
            raise BadInput(f"{self._topic}: is the host of {name}, not of {self.robot_id}; give another name space")

    # telemetry

    @property
    def lost_rows(self) -> int:
        """Rows that were lost on the way, or overwritten before anybody read them."""
        return self._missing + self._ring.tally.dropped

    @property
    def behind_s(self) -> float:
        """Telemetry that has arrived and was not read yet [s]."""
        return self._ring.tally.waiting * self._robot.dt_s

    def read(self, seconds: float) -> Iterator[Block]:
        ticks = round(seconds / self._robot.dt_s)
        while ticks > 0:
            block = self._block(min(ticks, ROWS_PER_BLOCK), self._silence_s)
            if block is None:
                raise RobotFault(f"{self.robot_id} has sent no telemetry for {self._silence_s:g} s")
            ticks -= len(block)
            yield block

    def drain(self) -> list[Block]:
        blocks: list[Block] = []
        while (block := self._block(ROWS_PER_BLOCK, 0.0)) is not None:
            blocks.append(block)
        return blocks

    def _block(self, most: int, timeout_s: float) -> Block | None:
        rows = self._ring.take(most, timeout_s).rows
        return Block(data=rows, actuators=len(self._robot.actuators)) if len(rows) else None

    def _take(self, message: Float64MultiArray) -> None:
        """Rows in order, each once; what another service's robot or version sends is left out."""
        if len(message.layout.dim) != 2 or len(message.data) % self._width or not len(message.data):
            return
        boot, _, number = message.layout.dim[0].label.partition(":")
        if not number.isdecimal():
            return
        first, rows = int(number), np.array(message.data).reshape(-1, self._width)
        if boot != self._boot:
            self._start_over(boot, first, rows[0])
        known = self._next_row - first
        if known >= len(rows):
            return
        self._missing += max(-known, 0)
        rows = rows[max(known, 0) :]
        self._next_row = first + max(known, 0) + len(rows)
        rows[:, 0] += self._shift_seq
        rows[:, 1] += self._shift_ns
        self._last, self._last_s = rows[-1].copy(), time.monotonic()
        self._ring.write(rows)

    def _start_over(self, boot: str, first: int, row: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        """Rows of a host that has started again: clock and numbers go on after the time that has passed."""
        if self._boot:
            away_s = max(time.monotonic() - self._last_s, self._robot.dt_s)
            self._shift_seq = self._last[0] + round(away_s / self._robot.dt_s) - row[0]
            self._shift_ns = self._last[1] + round(away_s * 1e9) - row[1]
        self._boot, self._next_row = boot, first

    # requests

    def stage(self, signed: bytes, files: Mapping[str, bytes], now_ns: int) -> None:
        self._staged_sha, self._begun = json.loads(SignedManifest.from_json(signed).manifest)["result_sha"], False
        self._ask(StagePatch(signed=signed, files=dict(files)))

    def begin_shadow(self, limits: CanaryLimits) -> None:
        self._ask(BeginShadow(limits=limits))
        self._begun = True

    def begin_canary(self) -> None:
        self._ask(BeginCanary())

    def roll_back(self, reason: str) -> None:
        self._ask(RollBack(reason=reason))

    def kill(self, reason: str) -> None:
        self._ask(Kill(reason=reason))

    def hold(self, reason: str) -> None:
        self._ask(Hold(reason=reason))

    def resume(self) -> None:
        self._ask(Resume())

    def keep_head(self, head: bytes) -> None:
        self._ask(KeepHead(head=head))

    def status(self) -> HostStatus:
        answered = self._ask(AskStatus())
        status = read_host_status(answered.status or {})
        fell = status.stage is Stage.COMMITTED and status.active_sha != self._staged_sha
        if self._begun and fell and status.rollback_reason is None:
            return replace(status, rollback_reason="the robot's host has started over; it runs what was committed")
        return status

    def model(self, law: Artefact) -> Artefact:
        """The law that models a controller which the robot keeps, under the values that its host has committed.

        Raises:
            BadInput: the host models another controller, or by another law.
            RobotFault: it does not answer.
        """
        body = self._ask(AskStatus()).status or {}
        values = body.get("values")
        if not isinstance(values, dict):
            raise BadInput(f"{self._topic}: says nothing of a controller; give both sides the same version")
        model = Mirror(self._robot, law).law_with(values)
        if model.sha256 != read_host_status(body).active_sha:
            raise BadInput(f"{self._topic}: models the robot's controller by another law; give both the same --law")
        return model

    def _ask(self, wish: Wish, patience_s: float | None = None) -> Answered:
        deadline_s = time.monotonic() + (self._silence_s if patience_s is None else patience_s)
        answered = self._ask_once(wish, deadline_s)
        while answered.kind == "fault" and time.monotonic() < deadline_s:  # the host is starting its loop again
            self._closing.wait(_ASK_AGAIN_S)
            answered = self._ask_once(wish, deadline_s)
        if answered.kind == "done":
            return answered
        kinds = {"refused": Refused, "signature": SignatureInvalid, "bad": BadInput}
        raise kinds.get(answered.kind, RobotFault)(answered.why)

    def _ask_once(self, wish: Wish, deadline_s: float) -> Answered:
        """The answer to one numbered request, which is repeated until it comes."""
        with self._turn, self._news:
            self._number += 1
            text = ask(Asked(session=self._session, number=self._number, wish=wish))
            self._answer = None
            while self._answer is None:
                if time.monotonic() > deadline_s or self._closing.is_set():
                    raise RobotFault(f"the host of {self.robot_id} does not answer on {self._topic}")
                self._requests.publish(String(data=text))
                self._news.wait_for(lambda: self._answer is not None, _ASK_AGAIN_S)
            return self._answer

    def _hear(self, message: String) -> None:
        try:
            answered = read_answer(message.data)
        except BadInput:
            return
        with self._news:
            if answered.session == self._session and answered.number == self._number:
                self._answer = answered
                self._news.notify_all()

    # threads

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def _beat(self) -> None:
        while not self._closing.wait(_HEARTBEAT_S):
            self._heart.publish(String(data=self._session))
