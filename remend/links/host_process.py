"""The host process of a simulated robot: between the robot's line and the service's link.

Lockstep advances tick by tick on request, faster than real time, with the loop in this process. In real time the loop
goes on in a process of its own, with deadlines of its own, and this one is its bridge (`remend/links/bridge.py`).
"""

from __future__ import annotations

import signal
import struct
from array import array
from multiprocessing.connection import Connection

from controllers.artefact import artefact_from_files
from controllers.library import find_law
from controllers.lines import Reply
from controllers.processes import Setup, start_host
from controllers.requests import (
    AskStatus,
    Done,
    Refusal,
    Rows,
    StagePatch,
    Stop,
)
from controllers.signature import TrustStore
from core.block import flat_row
from core.errors import BadInput, Refused, SignatureInvalid
from core.frames import Frame, Reference, unpack_frame
from core.robot_toml import load_robot
from remend.links.bridge import Bridge
from remend.links.messages import Advance, HostSetup, Lost, Pace, Request
from sim.tasks.catalogue import endless_tasks

ROWS_PER_MESSAGE = 50  # 0.1 s of telemetry at 500 Hz


class _HostProcess:
    """State of one host process."""

    def __init__(self, setup: HostSetup, link: Connection, line: Connection) -> None:
        self._link, self._line = link, line
        self._robot = robot = load_robot(setup.robot_toml)
        self._setup = Setup(
            robot=robot,
            robot_id=setup.robot_id,
            baseline=artefact_from_files(setup.baseline, setup.baseline_files),
            safety=find_law(robot, robot.safety_controller),
            trust=TrustStore.from_json(setup.trust),
            folder=setup.folder,
            simulated=True,
        )
        self._host = start_host(self._setup)
        self._references = endless_tasks(robot, setup.task_seed)
        self._reference = next(self._references)  # of the last tick
        self._held = True  # nothing has moved yet: the first tick takes the reference that is there
        self._command = struct.Struct(f"<{len(robot.actuators)}d")
        self._rows = array("d")
        self._row_count = 0
        self._owed_ticks = 0
        self._bridge: Bridge | None = None
        signal.signal(signal.SIGUSR1, lambda *_: self._host.kill("signal SIGUSR1"))

    def serve(self) -> None:
        """Run until the link or the robot hangs up."""
        while self._bridge is None:
            while self._bridge is None and self._link.poll(0 if self._owed_ticks else None):
                self._answer(self._link.recv())
            if self._owed_ticks:
                self._tick()
        self._bridge.serve()

    def measure(self) -> tuple[Frame, Reference]:
        """The robot's next measurement, with the reference of this tick. Waits for it."""
        data = self._line.recv_bytes()
        if not data:
            self._link.send(Lost(why="the simulated robot came apart: its motion grew beyond all bounds"))
            raise EOFError
        frame = unpack_frame(data, self._robot.dof, len(self._robot.actuators))
        if not self._held:  # the work of a robot that is held waits
            self._reference = next(self._references)
        self._frame = frame
        return frame, self._reference

    def reply(self, reply: Reply) -> None:
        """Give the robot its command, and the service its telemetry."""
        self._line.send_bytes(self._command.pack(*reply.tau))
        self._held = reply.held
        self._rows.extend(flat_row(self._frame, reply.reference))
        self._row_count += 1
        self._owed_ticks = max(self._owed_ticks - 1, 0)
        if self._row_count == ROWS_PER_MESSAGE or (self._bridge is None and not self._owed_ticks):
            self._link.send(Rows(data=self._rows.tobytes()))
            self._rows, self._row_count = array("d"), 0

    def _tick(self) -> None:
        frame, reference = self.measure()
        # The tick that should have come, on the robot's clock: a frame that comes again, or late, is stale.
        command = self._host.step(frame, reference, round(self._host.ticks * self._robot.dt_s * 1e9))
        followed = self._host.reference or reference
        self.reply(Reply(frame.seq, command.tau, followed, self._host.held is not None))

    def _answer(self, request: Request) -> None:
        host = self._host
        try:
            match request:
                case Advance(ticks=ticks):
                    self._owed_ticks += ticks
                    return
                case Pace():
                    self._bridge = Bridge(self._setup, host, self._link, self._line, self.measure, self.reply)
                case StagePatch(signed=signed, files=files):
                    host.stage(signed, files, request.judged_at_ns())
                case Stop():
                    host.close()
                    raise EOFError
                case AskStatus():
                    self._link.send(host.status(None))
                    return
                case _:
                    host.obey(request)
        except OSError as error:
            self._link.send(Refusal(why=f"the robot's disk refused the patch: {error}", signature=False))
            return
        except (Refused, BadInput) as error:
            self._link.send(Refusal(why=str(error), signature=isinstance(error, SignatureInvalid)))
            return
        self._link.send(Done())


def host_main(setup: HostSetup, link: Connection, line: Connection) -> None:
    """Entry point of the process."""
    try:
        _HostProcess(setup, link, line).serve()
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        return
