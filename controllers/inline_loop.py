"""The control process of a robot that Remend drives inline: each measurement that comes in is answered by a command.

No middleware is imported here. Measurements carry the stamp of their message; the robot's clock counts from the first.
A stamp that comes twice is answered as before, without a tick; one that is older than the last is left out. After a
silence, or where the clock of the messages starts over, the reference is where the robot stands.
"""

from __future__ import annotations

import gc
import math
import signal
import time
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from controllers.host import Host
from controllers.inline_messages import (
    HEAD,
    SOURCES,
    STILLBORN,
    Answer,
    Drive,
    Follow,
    Freeze,
    InlineSetup,
    InlineStatus,
    Request,
    StayHere,
    Thaw,
)
from controllers.library import find_law
from controllers.mark import FREEZE, Mark
from controllers.requests import (
    AskStatus,
    BeginCanary,
    BeginShadow,
    Done,
    Hold,
    KeepHead,
    Kill,
    Refusal,
    Resume,
    RollBack,
    Rows,
    StagePatch,
    Stop,
)
from controllers.setpoint import Setpoints
from controllers.signature import TrustStore
from core.block import flat_row
from core.clock import SystemClock
from core.errors import BadInput, Refused, RemendError, SignatureInvalid
from core.frames import Frame
from core.robot_toml import load_robot

ROWS_PER_MESSAGE = 50
_FLUSH_S = 0.1  # rows that wait longer are sent
_SILENCE_NS = 10**9  # after that the robot may be anywhere
_POLL_S = 0.02


class InlineLoop:
    """The controllers of one robot behind two pipes."""

    def __init__(self, setup: InlineSetup, line: Connection, link: Connection) -> None:
        self._setup, self._line, self._link = setup, line, link
        setup.folder.mkdir(parents=True, exist_ok=True)
        self._robot = robot = load_robot(setup.robot_toml)
        self._host = Host(
            robot,
            robot_id=setup.robot_id,
            baseline=find_law(robot, setup.controller),
            safety=find_law(robot, robot.safety_controller),
            trust=TrustStore.from_json(setup.trust),
            folder=setup.folder,
            wait_for_disk=False,
            simulated=setup.simulated,
        )
        self._freezer, self._writer = Mark(folder=setup.folder, name=FREEZE), ThreadPoolExecutor(max_workers=1)
        self._frozen = self._freezer.why()
        self._setpoints = Setpoints(robot)
        self._clock = SystemClock()
        self._origin_ns: int | None = None
        self._last_stamp_ns = 0  # of the messages
        self._frame: Frame | None = None
        self._reply = b""  # to the last measurement
        self._source, self._missed = "", 0
        self._rows, self._row_count, self._row_since_s = array("d"), 0, 0.0
        self._staging: int | None = None  # number of the request that waits for the disk

    def serve(self) -> None:
        """Run until the node hangs up."""
        while True:
            busy = self._row_count or self._staging is not None
            ready = wait([self._line, self._link], _POLL_S if busy else None)
            if self._link in ready:
                number, request = self._link.recv()
                self._answer(number, request)
            if self._line in ready:
                self._measured(self._line.recv_bytes())
            if self._staging is not None and not self._host.is_staging:
                number, self._staging = self._staging, None
                self._link.send((number, self._finish_staging()))
            if self._row_count and time.monotonic() - self._row_since_s > _FLUSH_S:
                self._flush()

    def kill(self, reason: str) -> None:
        """The built-in baseline from the next tick on; from any thread or signal handler."""
        self._host.kill(reason)

    # measurements

    def _measured(self, data: bytes) -> None:
        began_ns = time.monotonic_ns()
        stamp_ns, age_ns = HEAD.unpack_from(data)
        if len(data) == HEAD.size:
            self._overdue(age_ns)
            return
        values: list[float] = array("d", data[HEAD.size :]).tolist()
        n = self._robot.dof
        q, qd, effort = values[:n], values[n : 2 * n], values[2 * n :]
        step_ns = stamp_ns - self._last_stamp_ns
        if self._frame is not None and step_ns == 0:
            if self._reply:
                self._line.send_bytes(self._reply)
            return
        if self._frame is not None and -_SILENCE_NS < step_ns < 0:
            return
        if self._frame is None or abs(step_ns) > _SILENCE_NS:
            if not all(map(math.isfinite, (*q, *qd))):
                return  # nothing to begin with
            self._begin(stamp_ns, q)
        self._last_stamp_ns = stamp_ns
        self._tick(self._frame_of(stamp_ns, q, qd, effort), max(age_ns, 0))
        if not self._setup.sim_time and time.monotonic_ns() - began_ns > self._robot.dt_s * 1e9:
            self._missed += 1

    def _begin(self, stamp_ns: int, q: Sequence[float]) -> None:
        """The first measurement, or the first after a silence: the reference is where the robot stands."""
        clock_ns = 0 if self._frame is None else self._frame.stamp_ns + round(self._robot.dt_s * 1e9)
        if self._frame is None or stamp_ns < self._last_stamp_ns:
            self._origin_ns = stamp_ns - clock_ns
        self._setpoints.hold(q)
        self._host.forget_where()

    def _frame_of(self, stamp_ns: int, q: list[float], qd: list[float], effort: list[float]) -> Frame:
        assert self._origin_ns is not None
        clock_ns = stamp_ns - self._origin_ns
        seq = round(clock_ns * 1e-9 / self._robot.dt_s)
        if self._frame is None:
            held = effort
            if self._robot.mode == "position":
                held = [math.nan if i is None else q[i] for i in self._robot.drives]
        else:
            seq, held = max(seq, self._frame.seq + 1), self._held
        return Frame(seq, clock_ns, q, qd, effort, held)

    def _tick(self, frame: Frame, age_ns: int) -> None:
        reference = self._setpoints.at(frame.stamp_ns, frame.q)
        command = self._host.step(frame, reference, frame.stamp_ns + age_ns)
        self._frame, self._held, self._source = frame, command.tau, command.source
        self._reply = self._packed(command.tau)
        self._line.send_bytes(self._reply)
        if not self._row_count:
            self._row_since_s = time.monotonic()
        self._rows.extend(flat_row(frame, self._host.reference or reference))
        self._row_count += 1
        if self._row_count == ROWS_PER_MESSAGE:
            self._flush()

    def _overdue(self, age_ns: int) -> None:
        """No measurement came: the last one gets old, until the envelope hands over to the safety law."""
        if self._frame is None:
            return
        reference = self._setpoints.at(self._frame.stamp_ns, self._frame.q)
        command = self._host.step(self._frame, reference, self._frame.stamp_ns + age_ns)
        self._held, self._source = command.tau, command.source
        self._reply = self._packed(command.tau)
        self._line.send_bytes(self._reply)

    def _packed(self, tau: Sequence[float]) -> bytes:
        return HEAD.pack(self._last_stamp_ns, SOURCES.index(self._source)) + array("d", tau).tobytes()

    def _flush(self) -> None:
        self._link.send((0, Rows(data=self._rows.tobytes())))
        self._rows, self._row_count = array("d"), 0

    # requests

    def _answer(self, number: int, request: Request) -> None:
        try:
            answer = self._obey(number, request)
        except (Refused, BadInput) as error:
            signature = isinstance(error, SignatureInvalid)
            answer = Refusal(why=str(error), signature=signature, bad=isinstance(error, BadInput))
        if answer is not None:
            self._link.send((number, answer))
        if isinstance(request, Stop):
            raise EOFError

    def _obey(self, number: int, request: Request) -> Answer | None:  # noqa: PLR0912 one branch for each request
        host = self._host
        match request:
            case StagePatch(signed=signed, files=files):
                self._refuse_if_frozen()
                host.stage(signed, files, self._clock.wall_ns())
                self._missed = 0
                self._staging = number
                return None  # answered when the files are on disk; the loop goes on
            case BeginShadow() | BeginCanary():
                self._refuse_if_frozen()
                host.obey(request)
            case RollBack() | Kill() | Hold() | KeepHead():
                host.obey(request)
            case Resume():
                if host.held is not None and host.reference is not None:  # a path from before may be anywhere by now
                    self._setpoints.hold(host.reference.q_ref)
                host.obey(request)
            case Freeze(reason=reason):
                self._frozen = reason
                if host.runtime.b is not None:
                    host.runtime.roll_back(f"frozen: {reason}", host.ticks)
                self._writer.submit(self._freezer.set, reason)
            case Thaw():
                if (why := host.status(None).killed) is not None:
                    raise Refused(f"{self._setup.robot_id} is killed ({why}); re-arm it with remend rearm on the robot")
                self._frozen = None
                self._writer.submit(self._freezer.lift)
            case Follow(way=way):
                self._follow(way)
            case Drive(speed=speed):
                self._refuse_if_held()
                self._setpoints.drive(speed, 0 if self._frame is None else self._frame.stamp_ns)
            case StayHere():
                if self._frame is not None:
                    self._setpoints.hold(self._frame.q)
            case AskStatus():
                return self._status()
            case Stop():
                self._writer.shutdown()
                host.close()
        return Done()

    def _refuse_if_frozen(self) -> None:
        if self._frozen is not None:
            raise Refused(f"{self._setup.robot_id} is frozen ({self._frozen}); thaw it with ~/rearm first")

    def _refuse_if_held(self) -> None:
        if (why := self._host.held) is not None:
            raise Refused(f"{self._setup.robot_id} is held ({why}); let it go on with ~/resume first")

    def _follow(self, way: Any) -> None:
        self._refuse_if_held()
        if way.start_ns is not None:
            if self._origin_ns is None:
                raise BadInput("path: the robot has said nothing yet; send it again when it has")
            way = replace(way, start_ns=way.start_ns - self._origin_ns)
        self._setpoints.follow(way)

    def _finish_staging(self) -> Answer:
        try:
            self._host.finish_staging()
        except OSError as error:
            return Refusal(why=f"the robot's disk refused the patch: {error}")
        return Done()

    def _status(self) -> InlineStatus:
        return InlineStatus(
            host=self._host.status(None if self._setup.sim_time else self._missed),
            frozen=self._frozen,
            reference="hold" if self._host.held is not None else self._setpoints.mode,
            clock_s=0.0 if self._frame is None else self._frame.stamp_ns * 1e-9,
            source=self._source,
        )


def inline_main(setup: InlineSetup, line: Connection, link: Connection) -> None:
    """Entry point of the process. The signal SIGUSR1 kills, as it does with every host."""
    with suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        try:
            loop = InlineLoop(setup, line, link)
        except RemendError as error:
            link.send((STILLBORN, Refusal(why=str(error), bad=True)))
            return
        signal.signal(signal.SIGUSR1, lambda *_: loop.kill("signal SIGUSR1"))
        gc.freeze()
        gc.disable()  # a collection in mid-tick is a missed deadline
        loop.serve()
