"""A simulated robot with its host, each a process of its own, behind the same link as a real one."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from controllers.artefact import Artefact
from controllers.canary import CanaryLimits
from controllers.host_status import HostStatus
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
from controllers.signature import TrustStore
from core.block import Block
from core.errors import Refused, RobotFault, SignatureInvalid
from core.ports import Ports
from core.robot import Robot
from remend.links.host_process import ROWS_PER_MESSAGE, host_main
from remend.links.messages import Advance, HostSetup, Lost, Pace, Request
from sim.robot_process import robot_main
from telemetry.ring import Ring

_SILENCE_S = 60.0  # a host that says nothing for this long is gone
_KEPT_S = 600.0  # telemetry that waits while the service is busy or an operator thinks; memory is taken as needed


class SimulatedLink:
    """A robot that exists only in PyBullet. Use as a context manager.

    Args:
        robot: its model.
        robot_toml: where that was read from; the processes read it again.
        robot_id: name in signatures and records.
        baseline: the controller it is born with.
        trust: keys that it accepts.
        folder: its disk.
        spec: its hidden fault.
        seed: of its hidden physics, noise, fault onset and work.
        learnt_s: the fault sets in some seconds after this time on the robot's clock.
        tap: shown every block as it arrives, in the reader's thread, whether or not anybody reads it by then.
    """

    simulated = True

    def __init__(
        self,
        robot: Robot,
        robot_toml: Path,
        *,
        robot_id: str,
        baseline: Artefact,
        trust: TrustStore,
        folder: Path,
        spec: str,
        seed: int,
        learnt_s: float,
        tap: Callable[[Block], None] | None = None,
    ) -> None:
        self.robot_id = robot_id
        self._dt_s = robot.dt_s
        # Fresh interpreters: a fork would share this process's threads, descriptors and Bullet worlds.
        context = multiprocessing.get_context("spawn")
        self._link, host_end = context.Pipe()
        line_host, line_robot = context.Pipe()
        setup = HostSetup(
            robot_toml=robot_toml,
            robot_id=robot_id,
            baseline=baseline.name,
            baseline_files=dict(baseline.files),
            trust=trust.to_json(),
            folder=folder,
            task_seed=seed,
        )
        self._processes = [
            context.Process(target=robot_main, args=(line_robot, robot_toml, spec, seed, learnt_s), daemon=True),
            context.Process(target=host_main, args=(setup, host_end, line_host), daemon=True),
        ]
        for process in self._processes:
            process.start()
        for end in (host_end, line_host, line_robot):  # the children hold these now; ours would keep a dead line open
            end.close()
        self._ports = robot.ports
        width = 2 + 5 * robot.dof + 2 * len(robot.actuators)
        self._ring = Ring(_KEPT_S, robot.control_rate_hz, width)
        self._fault: list[RobotFault] = []  # why no more telemetry comes
        self._replies: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._paced = False
        self._asking, self._sending = threading.Lock(), threading.Lock()
        self._reader = threading.Thread(
            target=_sort, args=(self._link, robot.ports, self._ring, self._fault, self._replies, tap), daemon=True
        )
        self._reader.start()

    def __enter__(self) -> SimulatedLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def host_pid(self) -> int:
        """Process id of the robot's host: SIGUSR1 kills there."""
        pid = self._processes[1].pid
        assert pid is not None
        return pid

    def pace(self) -> None:
        """Run in real time from now on."""
        self._ask(Pace())
        self._paced = True

    @property
    def lost_rows(self) -> int:
        """Rows of telemetry that were overwritten before anybody read them."""
        return self._ring.tally.dropped

    @property
    def behind_s(self) -> float:
        """Telemetry that has arrived and was not read yet [s]."""
        return self._ring.tally.waiting * self._dt_s

    def read(self, seconds: float) -> Iterator[Block]:
        ticks = round(seconds / self._dt_s)
        while ticks > 0:
            most = min(ticks, ROWS_PER_MESSAGE)
            if not self._paced:  # little by little: whoever stops reading stops the robot
                self._send(Advance(ticks=most))
            block = self._take(most, _SILENCE_S)
            if block is None:
                raise RobotFault(f"{self.robot_id} has sent no telemetry for {_SILENCE_S:.0f} s")
            ticks -= len(block)
            yield block

    def drain(self) -> list[Block]:
        blocks: list[Block] = []
        while (block := self._take(ROWS_PER_MESSAGE, 0.0)) is not None:
            blocks.append(block)
        return blocks

    def _take(self, most: int, timeout_s: float) -> Block | None:
        rows = self._ring.take(most, timeout_s).rows
        if len(rows):
            return Block(data=rows, actuators=self._ports.actuators)
        if self._ring.ended:
            raise self._fault[0]
        return None

    def stage(self, signed: bytes, files: Mapping[str, bytes], now_ns: int) -> None:
        self._ask(StagePatch(signed=signed, files=dict(files), now_ns=now_ns))

    def begin_shadow(self, limits: CanaryLimits) -> None:
        self._ask(BeginShadow(limits=limits))

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
        answer = self._ask(AskStatus())
        assert isinstance(answer, HostStatus)
        return answer

    def _ask(self, request: Request) -> object:
        with self._asking:  # answers come in the order of the requests
            try:
                self._send(request)
                answer = self._replies.get(timeout=_SILENCE_S)
            except (queue.Empty, OSError):
                raise RobotFault(f"the host of {self.robot_id} does not answer") from None
        if isinstance(answer, Refusal):
            raise SignatureInvalid(answer.why) if answer.signature else Refused(answer.why)
        if isinstance(answer, RobotFault):
            raise answer
        assert isinstance(answer, (Done, HostStatus))
        return answer

    def _send(self, request: Request) -> None:
        with self._sending:
            self._link.send(request)

    def close(self) -> None:
        """End both processes."""
        with contextlib.suppress(OSError):
            self._send(Stop())
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.terminate()
                process.join(timeout=5)
            process.close()
        self._processes = []
        self._reader.join(timeout=5)
        self._link.close()


def _sort(
    link: Connection,
    ports: Ports,
    ring: Ring,
    ended: list[RobotFault],
    replies: queue.SimpleQueue[object],
    tap: Callable[[Block], None] | None,
) -> None:
    """Reader thread: telemetry to the ring, answers to a queue, so that a busy service never stalls the host."""
    why = "the host of the robot has ended"
    try:
        while True:
            message = link.recv()
            if isinstance(message, Rows):
                block = Block.from_bytes(message.data, ports.joints, ports.actuators)
                ring.write(block.data)
                if tap is not None:
                    tap(block)
            elif isinstance(message, Lost):
                why = message.why
            else:
                replies.put(message)
    except (EOFError, OSError):
        fault = RobotFault(why)
        ended.append(fault)
        ring.close()
        replies.put(fault)
