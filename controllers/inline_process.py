"""The node's end of a control process: measurements go in, commands and telemetry come out, requests are answered."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from multiprocessing.connection import wait
from typing import Protocol

from controllers.inline_loop import inline_main
from controllers.inline_messages import HEAD, SOURCES, STILLBORN, InlineSetup, InlineStatus, Request
from controllers.requests import Refusal, Rows, Stop
from core.errors import BadInput, Refused, RemendError, RobotFault, SignatureInvalid

Answered = Future[InlineStatus | None]

_PATIENCE_S = 30.0  # for a process to start or to end, on a busy machine


class Process(Protocol):
    """What a node needs of whatever holds a robot's controllers."""

    @property
    def pid(self) -> int | None:
        """Process id of it."""
        ...

    def measured(self, stamp_ns: int, age_ns: int, values: Sequence[float]) -> None:
        """Hand over a measurement: q, qd and effort, (2 n + m,)."""
        ...

    def overdue(self, age_ns: int) -> None:
        """Say that no measurement has come, and how old the last one is."""
        ...

    def ask(self, request: Request) -> Answered:
        """Send a request; the future holds a status, or None for done, or raises what the robot refused it with."""
        ...

    def close(self) -> None:
        """End it; the robot keeps its committed controller."""
        ...


class InlineProcess:
    """One control process, and a thread that takes what it says.

    Args:
        setup: the robot.
        on_command: called from the thread with stamp [ns], command (m,) and its source.
        on_rows: called from the thread with telemetry, the bytes of a `core.block.Block`.
        on_end: called from the thread, once, when the process has ended without being asked to.
    """

    def __init__(
        self,
        setup: InlineSetup,
        on_command: Callable[[int, array[float], str], None],
        on_rows: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self._on_command, self._on_rows, self._on_end = on_command, on_rows, on_end
        context = multiprocessing.get_context("spawn")  # a fork would share the middleware's threads
        self._line, line_end = context.Pipe()
        self._link, link_end = context.Pipe()
        self._process = context.Process(target=inline_main, args=(setup, line_end, link_end), daemon=True)
        self._process.start()
        line_end.close()
        link_end.close()
        self._lock = threading.Lock()
        self._asked: dict[int, Answered] = {}
        self._number, self._closing = 0, False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Process id of the control process."""
        return self._process.pid

    def measured(self, stamp_ns: int, age_ns: int, values: Sequence[float]) -> None:
        """Hand over a measurement: q, qd and effort, (2 n + m,)."""
        with contextlib.suppress(OSError):  # a process that is gone has told `on_end`
            self._line.send_bytes(HEAD.pack(stamp_ns, age_ns) + array("d", values).tobytes())

    def overdue(self, age_ns: int) -> None:
        """Say that no measurement has come, and how old the last one is."""
        with contextlib.suppress(OSError):
            self._line.send_bytes(HEAD.pack(0, age_ns))

    def ask(self, request: Request) -> Answered:
        """Send a request; the future holds a status, or None for done, or raises what the robot refused it with."""
        future: Answered = Future()
        with self._lock:
            self._number += 1
            number = self._number
            self._asked[number] = future
        try:
            self._link.send((number, request))
        except OSError:
            self._fail(RobotFault("the control process has ended"))
        return future

    def close(self) -> None:
        """End the process; the robot keeps its committed controller."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._link.send((0, Stop()))
        self._process.join(timeout=_PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._thread.join(timeout=_PATIENCE_S)
        self._process.close()
        self._line.close()
        self._link.close()

    def _listen(self) -> None:
        try:
            while True:
                ready = wait([self._line, self._link])
                if self._line in ready:
                    data = self._line.recv_bytes()
                    stamp_ns, source = HEAD.unpack_from(data)
                    self._on_command(stamp_ns, array("d", data[HEAD.size :]), SOURCES[source])
                if self._link in ready:
                    number, answer = self._link.recv()
                    if isinstance(answer, Rows):
                        self._on_rows(answer.data)
                    else:
                        self._settle(number, answer)
        except (EOFError, OSError):
            self._fail(RobotFault("the control process has ended"))
            if not self._closing:
                self._on_end()

    def _settle(self, number: int, answer: object) -> None:
        if number == STILLBORN and isinstance(answer, Refusal):
            self._fail(BadInput(answer.why))
            return
        with self._lock:
            future = self._asked.pop(number, None)
        if future is None:
            return
        if isinstance(answer, Refusal):
            kind = SignatureInvalid if answer.signature else BadInput if answer.bad else Refused
            future.set_exception(kind(answer.why))
        else:
            future.set_result(answer if isinstance(answer, InlineStatus) else None)

    def _fail(self, fault: RemendError) -> None:
        with self._lock:
            waiting, self._asked = list(self._asked.values()), {}
        for future in waiting:
            future.set_exception(fault)
