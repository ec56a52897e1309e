"""The host process of a simulated robot: the control loop between the robot's line and the service's link.

Lockstep advances tick by tick on request, faster than real time. Real time keeps absolute deadlines; a tick that ends
after the next one was due counts as missed.
"""

from __future__ import annotations

import gc
import signal
import struct
import time
from array import array
from multiprocessing.connection import Connection

from controllers.artefact import artefact_from_files
from controllers.host import Host
from controllers.library import find_law
from controllers.signature import TrustStore
from core.block import flat_row
from core.errors import BadInput, Refused, SignatureInvalid
from core.frames import unpack_frame
from core.robot_toml import load_robot
from remend.links.messages import (
    Advance,
    AskStatus,
    BeginCanary,
    BeginShadow,
    Done,
    HostSetup,
    Kill,
    Lost,
    Pace,
    Refusal,
    Request,
    RollBack,
    Rows,
    StagePatch,
    Stop,
)
from sim.tasks.catalogue import endless_tasks

ROWS_PER_MESSAGE = 50  # 0.1 s of telemetry at 500 Hz


class _HostProcess:
    """State of one host process."""

    def __init__(self, setup: HostSetup, link: Connection, line: Connection) -> None:
        self._link, self._line = link, line
        self._robot = robot = load_robot(setup.robot_toml)
        self._host = Host(
            robot,
            robot_id=setup.robot_id,
            baseline=artefact_from_files(setup.baseline, setup.baseline_files),
            safety=find_law(robot, robot.safety_controller),
            trust=TrustStore.from_json(setup.trust),
            folder=setup.folder,
            wait_for_disk=True,
            simulated=True,
        )
        self._references = endless_tasks(robot, setup.task_seed)
        self._command = struct.Struct(f"<{len(robot.actuators)}d")
        self._rows = array("d")
        self._row_count = 0
        self._owed_ticks = 0
        self._due_ns: int | None = None  # real time: when the next tick is due
        self._missed = 0  # since the last patch came
        self._owes_staging = False
        signal.signal(signal.SIGUSR1, lambda *_: self._host.kill("signal SIGUSR1"))

    def serve(self) -> None:
        """Run until the link or the robot hangs up."""
        while True:
            while self._link.poll(0 if self._running else None):
                self._answer(self._link.recv())
            if self._running:
                self._tick()

    @property
    def _running(self) -> bool:
        return self._due_ns is not None or self._owed_ticks > 0

    def _tick(self) -> None:
        if self._due_ns is not None:
            self._wait_until(self._due_ns)
        data = self._line.recv_bytes()
        if not data:
            self._link.send(Lost(why="the simulated robot came apart: its motion grew beyond all bounds"))
            raise EOFError
        frame = unpack_frame(data, self._robot.dof, len(self._robot.actuators))
        reference = next(self._references)
        # The tick that should have come, on the robot's clock: a frame that comes again, or late, is stale.
        command = self._host.step(frame, reference, round(self._host.ticks * self._robot.dt_s * 1e9))
        if self._owes_staging and not self._host.is_staging:
            self._owes_staging = False
            self._answer_staging()
        self._line.send_bytes(self._command.pack(*command.tau))
        self._rows.extend(flat_row(frame, reference))
        self._row_count += 1
        self._owed_ticks = max(self._owed_ticks - 1, 0)
        if self._row_count == ROWS_PER_MESSAGE or (self._due_ns is None and not self._owed_ticks):
            self._link.send(Rows(data=self._rows.tobytes()))
            self._rows, self._row_count = array("d"), 0
        if self._due_ns is not None:
            period_ns = round(self._robot.dt_s * 1e9)
            self._due_ns += period_ns
            late_ns = time.monotonic_ns() - self._due_ns
            if late_ns > 0:
                self._missed += 1
                if late_ns > 100 * period_ns:  # the machine slept: do not race to catch up
                    self._due_ns += late_ns

    @staticmethod
    def _wait_until(due_ns: int) -> None:
        left_s = (due_ns - time.monotonic_ns()) * 1e-9
        if left_s > 0:
            time.sleep(left_s)

    def _answer(self, request: Request) -> None:
        host = self._host
        try:
            match request:
                case Advance(ticks=ticks):
                    self._owed_ticks += ticks
                    return
                case Pace():
                    host.wait_for_disk = False
                    gc.freeze()
                    gc.disable()  # a collection in mid-tick is a missed deadline
                    self._due_ns = time.monotonic_ns()
                case StagePatch(signed=signed, files=files, now_ns=now_ns):
                    self._missed = 0
                    host.stage(signed, files, now_ns)
                    self._owes_staging = not host.wait_for_disk
                    if self._owes_staging:  # answered when the files are on disk; the loop goes on
                        return
                case BeginShadow(limits=limits):
                    host.begin_shadow(limits)
                case BeginCanary():
                    host.runtime.begin_canary()
                case RollBack(reason=reason):
                    host.runtime.roll_back(reason, host.ticks)
                case Kill(reason=reason):
                    host.kill(reason)
                case Stop():
                    host.close()
                    raise EOFError
                case AskStatus():
                    self._link.send(host.status(None if self._due_ns is None else self._missed))
                    return
        except (Refused, BadInput) as error:
            self._link.send(Refusal(why=str(error), signature=isinstance(error, SignatureInvalid)))
            return
        self._link.send(Done())

    def _answer_staging(self) -> None:
        try:
            self._host.finish_staging()
        except OSError as error:
            self._link.send(Refusal(why=f"the robot's disk refused the patch: {error}", signature=False))
        else:
            self._link.send(Done())


def host_main(setup: HostSetup, link: Connection, line: Connection) -> None:
    """Entry point of the process."""
    try:
        _HostProcess(setup, link, line).serve()
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        return
