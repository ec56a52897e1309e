"""The lifecycle node for a robot that keeps its own controller: a patch is one atomic step of that one's parameters.

Topics, services and the link are those of the inline host (`controllers.ros_host`), but it commands nothing. It listens
to the measurements, to the controller's commands and to its reference. Before the first patch the law that stands for
the controller has to reproduce its recorded commands.
"""

from __future__ import annotations

import math
import os
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from controllers.artefact import Artefact, load_artefact
from controllers.foreign import Fit, Mirror, reproduce
from controllers.inline_messages import Answer, Freeze, InlineSetup, InlineStatus, Request, Thaw
from controllers.inline_process import Answered, Process
from controllers.parameter_host import MISSING, ParameterHost
from controllers.requests import (
    AskStatus,
    BeginCanary,
    BeginShadow,
    Hold,
    KeepHead,
    Kill,
    Resume,
    RollBack,
    StagePatch,
    Stop,
)
from controllers.ros_foreign import ForeignNode
from controllers.ros_host import SETTINGS, HostNode
from controllers.signature import TrustStore
from core.block import flat_row
from core.clock import SystemClock
from core.errors import BadInput, Refused, RemendError
from core.frames import Frame, Reference
from core.robot import Robot
from core.ros_frames import stamp_of
from core.ros_node import Setting

T = TypeVar("T")
_KEPT = 256  # commands and references, of which the right one is chosen by stamp
_DELAY_TICKS = 3  # for what a controller without stamps says of a measurement to come
_MOST_PENDING = 200  # measurements that wait for an answer; then the controller is silent
_ROWS_PER_MESSAGE = 50
_LOOK_S = 2.0  # between looks at what the controller has
_RETRY_S = 0.5
_END_S = 10.0  # for the former values to come back when the host ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A robot's own controller, as the parameters of the node name it."""

    law: Artefact
    node: str
    record_s: float


class ParameterProcess:
    """Stands where the control process of an inline robot stands; a thread writes parameters.

    Args:
        setup: the robot.
        robot: its model.
        foreign: its controller.
        node: that one's parameters.
        on_rows: called with telemetry, the bytes of a `core.block.Block`.
        say: called with sentences for the log.
    """

    pid = os.getpid()

    def __init__(
        self,
        setup: InlineSetup,
        robot: Robot,
        foreign: Foreign,
        node: ForeignNode,
        on_rows: Callable[[bytes], None],
        say: Callable[[str], None],
    ) -> None:
        self._robot, self._foreign, self._node = robot, foreign, node
        self._on_rows, self._say, self._clock = on_rows, say, SystemClock()
        mirror = Mirror(robot, foreign.law)
        setup.folder.mkdir(parents=True, exist_ok=True)
        self._host = ParameterHost(
            robot,
            robot_id=setup.robot_id,
            mirror=mirror,
            found=node.read(mirror.names),
            trust=TrustStore.from_json(setup.trust),
            folder=setup.folder,
            simulated=setup.simulated,
        )
        self._names = mirror.names
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)
        self._commands: deque[tuple[int, list[float]]] = deque(maxlen=_KEPT)
        self._references: deque[tuple[int, Reference]] = deque(maxlen=_KEPT)
        self._stamped = [False, False]  # whether commands and references say which measurement they are for
        self._pending: deque[tuple[int, list[float]]] = deque()
        self._frame: Frame | None = None
        self._origin_ns = self._last_ns = 0
        self._recorded: list[tuple[Frame, Reference]] = []
        self._fit: Fit | None = None
        self._is_compared = False
        self._done_ns = 0  # stamp of the measurement that was completed last
        self._rows, self._row_count = array("d"), 0
        self._ends = False
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    # what is heard

    def commanded(self, values: Sequence[float], stamp_ns: int | None) -> None:
        """A command of the controller, with the stamp of the measurement that it answers where it says so."""
        if len(values) == len(self._robot.actuators) and all(map(math.isfinite, values)):
            with self._lock:
                self._commands.append((self._last_ns if stamp_ns is None else stamp_ns, list(values)))
                self._stamped[0] = stamp_ns is not None

    def referred(self, q_ref: Sequence[float], qd_ref: Sequence[float], stamp_ns: int | None) -> None:
        """Where the controller wants the joints to be, with the stamp of the measurement that it is for."""
        with self._lock:
            reference = Reference(list(q_ref), list(qd_ref), [0.0] * len(q_ref))
            self._references.append((self._last_ns if stamp_ns is None else stamp_ns, reference))
            self._stamped[1] = stamp_ns is not None

    def measured(self, stamp_ns: int, age_ns: int, values: Sequence[float]) -> None:
        """A measurement. Those before it that the controller has answered are complete."""
        with self._lock:
            if self._pending and stamp_ns <= self._last_ns < stamp_ns + 10**9:
                return  # again, or late
            self._pending.append((stamp_ns, list(values)))
            self._last_ns = stamp_ns
            while self._pending and self._is_due(self._pending[0][0]):
                self._complete(*self._pending.popleft())

    def _is_due(self, stamp_ns: int) -> bool:
        """Whether the controller's answer to this measurement has come, or will not come any more."""
        if len(self._pending) > _MOST_PENDING:
            return True
        answered = all(
            bool(said) and said[-1][0] >= stamp_ns
            for said, stamped in ((self._commands, self._stamped[0]), (self._references, self._stamped[1]))
            if stamped
        )
        return answered and (all(self._stamped) or len(self._pending) > _DELAY_TICKS)

    def _complete(self, stamp_ns: int, values: list[float]) -> None:
        wanted_then, said_before = _newest(self._references, stamp_ns), _newest(self._commands, stamp_ns - 1)
        if wanted_then is None or said_before is None:
            return  # the controller does nothing yet
        (for_ns, reference), (answers_ns, command) = wanted_then, said_before
        # a message that was lost on the way says nothing about the model
        whole = (not self._stamped[1] or for_ns == stamp_ns) and (not self._stamped[0] or answers_ns == self._done_ns)
        self._done_ns = stamp_ns
        n, before = self._robot.dof, self._frame
        if before is None:
            self._origin_ns = stamp_ns
        elif stamp_ns - self._origin_ns <= before.stamp_ns:  # the clock of the messages starts over
            self._origin_ns = stamp_ns - before.stamp_ns - round(self._robot.dt_s * 1e9)
        clock_ns = stamp_ns - self._origin_ns
        seq = round(clock_ns * 1e-9 / self._robot.dt_s)
        seq = seq if before is None else max(seq, before.seq + 1)
        frame = Frame(seq, clock_ns, values[:n], values[n : 2 * n], values[2 * n :], command)
        self._frame, wanted = frame, self._host.wanted
        self._host.observe(frame, reference, command if before is None else before.tau_cmd)
        if whole:
            self._record(frame, reference)
        if self._host.wanted is not wanted:
            self._news.notify_all()
        self._rows.extend(flat_row(frame, reference))
        self._row_count += 1
        if self._row_count == _ROWS_PER_MESSAGE:
            rows, self._rows, self._row_count = self._rows.tobytes(), array("d"), 0
            self._on_rows(rows)

    def overdue(self, age_ns: int) -> None:
        """Nothing: the controller is not ours."""

    def _record(self, frame: Frame, reference: Reference) -> None:
        if not self._is_compared:
            self._recorded.append((frame, reference))
            if len(self._recorded) * self._robot.dt_s >= self._foreign.record_s:
                self._news.notify_all()

    # requests

    def ask(self, request: Request) -> Answered:
        """Carried out at once."""
        future: Answered = Future()
        try:
            with self._lock:
                answer = self._obey(request)
                self._news.notify_all()
            future.set_result(answer if isinstance(answer, InlineStatus) else None)
        except (RemendError, OSError) as error:
            future.set_exception(error)
        return future

    def _obey(self, request: Request) -> Answer | None:
        host = self._host
        match request:
            case StagePatch(signed=signed, files=files):
                host.stage(signed, files, self._clock.wall_ns())
            case BeginShadow(limits=limits):
                host.begin_shadow(limits)
            case BeginCanary():
                host.begin_canary()
            case RollBack(reason=reason):
                host.roll_back(reason)
            case Freeze(reason=reason):
                host.freeze(reason)
            case Kill(reason=reason):
                host.kill(reason)
            case Thaw():
                host.thaw()
            case KeepHead(head=head):
                host.keep_head(head)
            case AskStatus():
                return self._status()
            case Stop():
                self.close()
            case Hold() | Resume():
                raise Refused("Remend cannot hold a robot that keeps its own controller; stop it by that controller")
            case _:
                raise Refused("the robot's own controller follows its own references; send them there")
        return None

    def _status(self) -> InlineStatus:
        return InlineStatus(
            host=self._host.status(),
            frozen=self._host.frozen,
            reference="its own",
            clock_s=0.0 if self._frame is None else self._frame.stamp_ns * 1e-9,
            source="" if self._frame is None else "a",
        )

    def about(self) -> dict[str, object]:
        """What a person should know of this mode, for the status."""
        with self._lock:
            return {
                "mode": "parameters",
                "controller": self._foreign.node,
                "values": self._host.values,
                "model": "not compared yet" if self._fit is None else self._fit.sentence(),
                "objection": self._host.objection,
                "missing_protections": list(MISSING),
            }

    def close(self) -> None:
        """Put the former values back, if a swap is under way, and end."""
        with self._lock:
            self._host.close()
            self._ends = True
            self._news.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=_END_S)

    # the thread that writes

    def _write(self) -> None:
        deadline_s, looked_s = math.inf, time.monotonic()
        while True:
            with self._lock:
                if not self._has_work():
                    if self._ends:
                        return
                    self._news.wait(_RETRY_S)
                ends, wanted, owes = self._ends, self._host.wanted, self._host.owes_a_write
                record = None
                if not self._is_compared and len(self._recorded) * self._robot.dt_s >= self._foreign.record_s:
                    record = list(self._recorded)
            if ends:
                deadline_s = min(deadline_s, time.monotonic() + _END_S)
                if time.monotonic() > deadline_s:
                    self._say("the former values could not be put back: the next start tries again")
                    return
            if record is not None:
                self._compare(record)
            if owes:
                self._write_once(wanted)
            elif time.monotonic() - looked_s > _LOOK_S:
                looked_s = time.monotonic()
                self._look()

    def _has_work(self) -> bool:
        return self._host.owes_a_write

    def _write_once(self, wanted: object) -> None:
        failure, seen = None, None
        try:
            seen = self._node.write(self._host.wanted)
        except RemendError as error:
            failure = str(error)
        with self._lock:
            if self._host.wanted is wanted:  # nobody has changed his mind meanwhile
                self._host.written(failure, seen)
        if failure is not None:
            self._say(failure)
            time.sleep(_RETRY_S)

    def _look(self) -> None:
        try:
            found = self._node.read(self._names)
        except RemendError:
            return  # it comes back, or the next write says so
        with self._lock:
            self._host.seen(found)

    def _compare(self, recorded: list[tuple[Frame, Reference]]) -> None:
        fit = reproduce(self._robot, self._host.active, recorded)
        with self._lock:
            self._fit, self._recorded, self._is_compared = fit, [], fit.is_good  # else another recording is made
            self._host.objection = None if fit.is_good else f"the model is wrong: {fit.sentence()}"
        self._say(fit.sentence())


class ParamsNode(HostNode):
    """One robot with a controller of its own."""

    called = "remend_params"
    _foreign_node: ForeignNode | None = None
    settings = (
        *SETTINGS,
        Setting(name="law", default="", meaning="Folder of the law that models the controller.", read_only=True),
        Setting(name="controller", default="", meaning="Node whose parameters are patched.", read_only=True),
        Setting(name="record_s", default=5.0, meaning="Recording that the model has to reproduce [s].", low=0.5,
                high=600.0, read_only=True),
    )  # fmt: skip

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen no more; a swap that is under way goes."""
        if self.process is not None:
            self.process.ask(RollBack(reason="the host was deactivated"))
        return super().on_deactivate(state)

    def about(self) -> dict[str, object]:
        """What a person should know of this mode."""
        return self.process.about() if isinstance(self.process, ParameterProcess) else {}

    def _open_drives(self) -> None:
        """None: the controller is not ours."""

    def _first_of_all(self) -> Sequence[tuple[Any, str, Callable[[Any], None]]]:
        return (JointState, "reference", self._heard_reference), (Float64MultiArray, "commands", self._heard_command)

    def _make_process(self) -> Process:
        law, controller = self.text("law"), self.text("controller")
        if not law or not controller:
            raise BadInput("parameters law and controller: give the folder of the model, and the controller's node")
        foreign = Foreign(
            law=load_artefact(Path(law)),
            node=controller,
            record_s=float(self.get_parameter("record_s").value or 5.0),
        )
        self._foreign_node = ForeignNode(self, controller)
        log = self.get_logger()

        def say(what: str) -> None:
            log.info(what)

        return ParameterProcess(self._setup, self.robot, foreign, self._foreign_node, self._rows, say)

    def _close(self) -> None:
        super()._close()
        if self._foreign_node is not None:
            self._foreign_node.close()
            self._foreign_node = None

    def _heard_command(self, message: Float64MultiArray) -> None:
        label = message.layout.dim[0].label if message.layout.dim else ""
        if isinstance(self.process, ParameterProcess):
            self.process.commanded(message.data, int(label) if label.isdecimal() else None)

    def _heard_reference(self, message: JointState) -> None:
        at = {name: i for i, name in enumerate(message.name)}
        if isinstance(self.process, ParameterProcess) and all(name in at for name in self.robot.joints):
            q = [message.position[at[name]] for name in self.robot.joints]
            qd = [message.velocity[at[name]] if message.velocity else 0.0 for name in self.robot.joints]
            self.process.referred(q, qd, stamp_of(message) or None)


def _newest(said: Iterable[tuple[int, T]], stamp_ns: int) -> tuple[int, T] | None:
    """The last thing that was said for a stamp up to this one, with its stamp."""
    found = None
    for each in said:
        if each[0] <= stamp_ns:
            found = each
    return found
