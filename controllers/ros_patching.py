"""How patches reach a host over ROS 2: requests of a service that holds the lease, or the parameter `active_version`.

~/link/heartbeat  std_msgs/String  the session of a service, some times a second
~/link/request    std_msgs/String  JSON of `controllers.link_messages`, with session and number
~/link/reply      std_msgs/String  JSON with the same session and number
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from std_msgs.msg import String

from controllers.inline_messages import InlineStatus
from controllers.inline_process import Answered as Answering
from controllers.lease import Lease
from controllers.link_messages import Answered, Asked, answer, ask, read_asked, status_body
from controllers.requests import BeginCanary, BeginShadow, Kill, RollBack, StagePatch
from controllers.runtime import Stage
from controllers.signature import SignedManifest, TrustStore, verify
from core.clock import SystemClock
from core.errors import BadInput, Refused, RemendError, SignatureInvalid
from core.robot import Robot
from core.ros_node import EVERYTHING

if TYPE_CHECKING:
    from controllers.ros_host import HostNode

_PARAMETER = "active_version"


@dataclass(slots=True)
class _Bundle:
    """A patch that came by parameter, and how far it is."""

    patch: StagePatch
    shadow: BeginShadow
    step: str = "stage"  # then "shadow", "canary", "watch"
    since_s: float = 0.0  # robot clock
    answering: Answering | None = None


class Patching:
    """The patch side of one host."""

    def __init__(self, node: HostNode) -> None:
        self._node, self._clock = node, SystemClock()
        self._entities: list[Any] = []
        self._refusal = ""  # of the parameter that is being set
        self._bundle: _Bundle | None = None
        self._setting = False
        node.add_pre_set_parameters_callback(self._before_set)
        node.add_on_set_parameters_callback(self._on_set)

    def open(self, robot: Robot) -> None:
        """Listen."""
        node = self._node
        self._robot = robot
        self.lease = Lease(float(node.get_parameter("lease_s").value or 3.0))
        self._reply = node.create_publisher(String, "~/link/reply", EVERYTHING)
        self._entities = [
            node.create_subscription(String, "~/link/heartbeat", self._heartbeat, 10),
            node.create_subscription(String, "~/link/request", self._request, EVERYTHING),
        ]

    def close(self) -> None:
        """Stop listening."""
        self._node.let_go(self._entities)
        self._entities = []

    # requests

    def _heartbeat(self, message: String) -> None:
        self.lease.heartbeat(message.data[:100], time.monotonic())

    def _request(self, message: String) -> None:
        try:
            asked = read_asked(message.data)
        except BadInput as error:
            self._node.get_logger().warning(f"~/link/request: {error}", throttle_duration_sec=1.0)
            return
        if isinstance(asked.wish, Kill):  # a kill asks for no lease
            self._carry_out(asked)
            return
        if not self.lease.heartbeat(asked.session, time.monotonic()):
            why = f"{self._node.robot_id} is held by another service; wait until its lease runs out"
            self._say(Answered(session=asked.session, number=asked.number, kind="refused", why=why))
            return
        if not self.lease.is_new(asked.number):
            if (known := self.lease.answer_to(asked.number)) is not None:
                self._reply.publish(String(data=known))
            return
        self._carry_out(asked)

    def _carry_out(self, asked: Asked) -> None:
        process = self._node.process
        if process is None:
            why = f"the host of {self._node.robot_id} is not configured"
            self._say(Answered(session=asked.session, number=asked.number, kind="fault", why=why))
            return
        boot, robot_id = self._node.boot, self._node.robot_id

        def reply(answering: Answering) -> None:  # in the control process's thread
            error, status = answering.exception(), None
            if error is None and (told := answering.result()) is not None:
                status = status_body(told) | {"boot": boot, "robot_id": robot_id, **self._node.about()}
            kind = "done" if error is None else _kind(error)
            why = "" if error is None else str(error)
            self._say(Answered(session=asked.session, number=asked.number, kind=kind, why=why, status=status))

        process.ask(asked.wish).add_done_callback(reply)

    def _say(self, answered: Answered) -> None:
        text = answer(answered)
        self.lease.answered(answered.session, answered.number, text)
        self._reply.publish(String(data=text))

    # house-keeping

    def look(self, status: InlineStatus) -> None:
        """What is due with this status: an overdue lease, the next step of a patch that came by parameter."""
        under_way = status.host.stage is not Stage.COMMITTED
        if self.lease.is_over(time.monotonic()):
            if under_way and self._bundle is None and self._node.process is not None:
                reason = f"the service was silent for {self._lease_s():g} s: its lease has run out"
                self._node.process.ask(RollBack(reason=reason))
            self.lease.release()
        if self._bundle is not None:
            self._advance(self._bundle, status)
        if status.host.active_sha != self._node.text(_PARAMETER):
            self._setting = True
            try:
                self._node.set_parameters([Parameter(_PARAMETER, value=status.host.active_sha)])
            finally:
                self._setting = False

    def _lease_s(self) -> float:
        return float(self._node.get_parameter("lease_s").value or 0.0)

    def _advance(self, bundle: _Bundle, status: InlineStatus) -> None:
        process = self._node.process
        if process is None:
            self._bundle = None
            return
        if bundle.answering is not None:
            if not bundle.answering.done():
                return
            if error := bundle.answering.exception():
                self._node.get_logger().error(f"{_PARAMETER}: {error}")
                self._node.incident("patch refused", str(error))
                self._bundle = None
                return
            bundle.answering = None
        match bundle.step:
            case "stage":
                bundle.answering, bundle.step = process.ask(bundle.patch), "shadow"
            case "shadow":
                bundle.answering, bundle.step, bundle.since_s = process.ask(bundle.shadow), "canary", status.clock_s
            case "canary" if status.clock_s - bundle.since_s >= self._robot.canary.shadow_s:
                bundle.answering, bundle.step = process.ask(BeginCanary()), "watch"
            case "watch" if status.host.stage is Stage.COMMITTED:
                self._bundle = None

    # the parameter

    def _before_set(self, parameters: list[Parameter[Any]]) -> list[Parameter[Any]]:
        """A signed patch as value is taken out, and what runs is put in its place; `_on_set` says yes or no."""
        self._refusal, taken = "", []
        for parameter in parameters:
            runs = "" if self._node.status is None else self._node.status.host.active_sha
            if parameter.name == _PARAMETER and not self._setting and parameter.value != runs:
                try:
                    self._bundle = self._verified(str(parameter.value))
                except RemendError as error:
                    self._refusal = str(error)
                parameter = Parameter(_PARAMETER, value=runs)  # noqa: PLW2901 what is kept is what runs
            taken.append(parameter)
        return taken

    def _on_set(self, _: list[Parameter[Any]]) -> SetParametersResult:
        refusal, self._refusal = self._refusal, ""
        return SetParametersResult(successful=not refusal, reason=refusal)

    def _verified(self, text: str) -> _Bundle:
        """The patch in `text`, if it is signed for this robot and what it runs; the control process decides again."""
        node, status = self._node, self._node.status
        if node.process is None or status is None:
            raise Refused("the host is not configured; configure it first")
        if self._bundle is not None or status.host.stage is not Stage.COMMITTED:
            raise Refused(f"{node.robot_id} is in the middle of a swap; wait for its end or roll it back")
        patch, shadow = read_bundle(text)
        manifest = verify(
            SignedManifest.from_json(patch.signed),
            patch.files,
            TrustStore.from_json(node.trust),
            robot_id=node.robot_id,
            active_sha=status.host.active_sha,
            last_version=0,
            now_ns=self._clock.wall_ns(),
        )
        try:
            approved = manifest.canary_sha == shadow.limits.sha256
        except ValueError:  # a limit that is not finite is no limit
            approved = False
        if not approved:
            raise SignatureInvalid("the canary's limits are not those that were approved with the patch")
        return _Bundle(patch=patch, shadow=shadow)


def write_bundle(patch: StagePatch, shadow: BeginShadow) -> str:
    """A signed patch as the value of the parameter."""
    parts = (json.loads(ask(Asked(session="-", number=1, wish=wish))) for wish in (patch, shadow))
    body: dict[str, Any] = {}
    for part in parts:
        body |= {key: part[key] for key in ("signed", "files", "limits") if key in part}
    return json.dumps(body)


def read_bundle(text: str) -> tuple[StagePatch, BeginShadow]:
    """Inverse of `write_bundle`.

    Raises:
        BadInput: this is no signed patch.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadInput(f"{_PARAMETER}: is set by a signed patch, as JSON with signed, files and limits; give one")
    head = {"session": "-", "number": 1}
    patch = read_asked(json.dumps(head | {"verb": "stage", "signed": body.get("signed"), "files": body.get("files")}))
    shadow = read_asked(json.dumps(head | {"verb": "shadow", "limits": body.get("limits")}))
    assert isinstance(patch.wish, StagePatch)
    assert isinstance(shadow.wish, BeginShadow)
    return patch.wish, shadow.wish


def _kind(error: BaseException) -> str:
    if isinstance(error, SignatureInvalid):
        return "signature"
    if isinstance(error, BadInput):
        return "bad"
    return "refused" if isinstance(error, Refused) else "fault"
