"""Jobs to workers and answers back: limits kept from outside, and each failure the loss of one job alone."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.clock import Clock
from sim.workers.keeper import Keeper, Note
from sim.workers.limits import SLOTS, worker_user
from sim.workers.outcome import Lost, Reason, outcome, too_much
from sim.workers.progress import LOOK_S

_CHUNK = 1 << 20
_PATIENCE_NS = 600 * 10**9  # a zygote that has not prepared a job by then hangs
_MOST_DEATHS = 3  # of zygotes, in one call
_EXCHANGE_S = 10  # a law takes microseconds; a machine under any load gives it a turn by then
_NOT_NEEDED = Lost(reason=Reason.KILLED, what="the worker beside has ended")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One job as a zygote takes it."""

    work: int  # index of the work
    data: bytes
    most_answer: int  # bytes
    blind: bool = False  # its worker comes from the zygote that reads no scenario
    beside: Request | None = None  # for a second worker, at the other end of a wire; its answer is not asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What jobs cost [s of CPU time], besides the service itself."""

    zygote_s: float
    workers_s: tuple[float, ...]  # of each worker slot

    def __add__(self, other: Usage) -> Usage:
        pairs = zip(self.workers_s, other.workers_s, strict=True)
        return Usage(zygote_s=self.zygote_s + other.zygote_s, workers_s=tuple(a + b for a, b in pairs))


@dataclass(slots=True, kw_only=True)
class _Running:
    """A job that was handed over; it is over when the zygote says how its worker ended."""

    slot: int
    beside: int | None  # number of the worker at the other end of the wire
    reading: int  # descriptor of its answer
    most: int  # bytes of its answer
    handle: int | None = None  # descriptor of its process, once that has started
    until_ns: int | None = None  # when it is late: to start, or to end
    answer: bytearray = field(default_factory=bytearray)
    killed: Lost | None = None


class Dispatch:
    """One call: requests that wait, jobs that run, and what became of the others.

    Args:
        keeper: of the zygote; it is started again when it dies.
        count: workers at a time.
        timeout_s: wall time that a job may take from the start of its worker.
        wanted: raises as soon as nobody waits for the answers any more.
        done: told of every request, by its index, as it is answered.
    """

    def __init__(
        self,
        keeper: Keeper,
        requests: Sequence[Request],
        *,
        count: int,
        timeout_s: float,
        clock: Clock,
        wanted: Callable[[], None] = lambda: None,
        done: Callable[[int], None] = lambda request: None,
    ) -> None:
        self._keeper, self._requests, self._clock = keeper, requests, clock
        self._timeout_ns = round(timeout_s * 1e9)
        self._wanted, self._done = wanted, done
        self._waiting = deque(range(len(requests)))
        self._free = deque(range(count))
        self._running: dict[int, _Running] = {}  # by index of the request; of those beside, after the last of these
        self._found: dict[int, bytes | Lost] = {}
        self._usage = Usage(zygote_s=0.0, workers_s=(0.0,) * count)
        self._deaths = 0

    def run(self) -> tuple[list[bytes | Lost], Usage]:
        """The answer to each request, in their order, and what they cost.

        Raises:
            RobotFault: no zygote starts.
            Cancelled: nobody waits for the answers any more.
        """
        try:
            while self._waiting or self._running:
                self._keeper.layers()
                with selectors.DefaultSelector() as selector:
                    for line in self._keeper.lines:
                        selector.register(line, selectors.EVENT_READ)
                    if not self._serve(selector):
                        self._mourn()
        except BaseException:
            self._mourn()  # nobody waits for these workers any more
            raise
        return [self._told(job) for job in range(len(self._requests))], self._usage

    def _told(self, job: int) -> bytes | Lost:
        """The answer to a request; a worker beside is asked for none, but may be why there is none."""
        found, beside = self._found[job], self._found.get(job + len(self._requests))
        if not isinstance(found, Lost) or not isinstance(beside, Lost) or beside is _NOT_NEEDED:
            return found
        if found.reason is not Reason.EXCHANGE or beside.reason in (Reason.KILLED, Reason.MACHINE, Reason.INPUT):
            return beside
        return Lost(reason=Reason.EXCHANGE, what=f"{found.what} ({beside.reason}: {beside.what})")

    def _serve(self, selector: selectors.BaseSelector) -> bool:
        """Until all is done; False if the zygote has died."""
        while self._waiting or self._running:
            self._wanted()
            while self._waiting and self._free:
                if not self._start(selector):
                    return False
            for key, _ in selector.select(self._wait_s()):
                if key.data is not None:
                    self._read(selector, key.data)
                elif not self._hear(selector, key.fileobj):
                    return False
            if not self._kill_late():
                return False
        return True

    def _start(self, selector: selectors.BaseSelector) -> bool:
        job, slot = self._waiting[0], self._free[0]
        request, other = self._requests[job], job + len(self._requests)
        if request.beside is None:
            if not self._fork(selector, job, request, slot):
                return False
            self._waiting.popleft()
            self._free.popleft()
            return True
        ours, theirs = _wire()
        with ours, theirs:
            if not self._fork(selector, job, request, slot, other, ours.fileno()):
                return False
            self._waiting.popleft()
            self._free.popleft()
            return self._fork(selector, other, request.beside, slot, job, theirs.fileno())

    def _fork(
        self,
        selector: selectors.BaseSelector,
        number: int,
        request: Request,
        slot: int,
        beside: int | None = None,
        wire: int | None = None,
    ) -> bool:
        """Hand over one request; False if the zygote has died."""
        # A second worker has the user of a slot that is free as long as half of them are enough.
        user = _user(slot if number < len(self._requests) else SLOTS // 2 + slot)
        try:
            reading = self._keeper.fork(number, request.work, user, request.data, blind=request.blind, wire=wire)
        except OSError:
            return False
        until_ns = self._clock.monotonic_ns() + _PATIENCE_NS
        running = _Running(slot=slot, beside=beside, reading=reading, most=request.most_answer + 1, until_ns=until_ns)
        self._running[number] = running
        selector.register(reading, selectors.EVENT_READ, running)
        return True

    def _read(self, selector: selectors.BaseSelector, running: _Running) -> None:
        """Take what there is of an answer; more than there can be ends the worker."""
        if running.reading < 0:  # it has ended since the selector looked
            return
        if _pull(running) == 0 or len(running.answer) > running.most:
            selector.unregister(running.reading)
        if len(running.answer) > running.most:
            self._kill(running, too_much(running.most))

    def _hear(self, selector: selectors.BaseSelector, line: Any) -> bool:
        """Take a note of a zygote; False if it has died."""
        note = self._keeper.note(line)
        if note is None:
            return False
        running = self._running[note.job]
        if note.handle is not None:
            self._usage += Usage(zygote_s=note.cpu_s, workers_s=(0.0,) * len(self._usage.workers_s))
            running.handle, running.until_ns = note.handle, self._clock.monotonic_ns() + self._timeout_ns
            if running.killed is not None:
                self._kill(running, running.killed)
        else:
            while len(running.answer) <= running.most and _pull(running) > 0:
                pass
            if running.reading in selector.get_map():
                selector.unregister(running.reading)
            self._charge(running.slot, note.cpu_s)
            unneeded = running.killed is _NOT_NEEDED and note.exit_code != -signal.SIGKILL  # it had ended by itself
            self._found[note.job] = (None if unneeded else running.killed) or _outcome(note, running)
            self._release(note.job)
            if note.job < len(self._requests):
                self._done(note.job)
            if running.beside in self._running and note.job < len(self._requests):
                self._kill(self._running[running.beside], _NOT_NEEDED)
        return True

    def _charge(self, slot: int, cpu_s: float) -> None:
        costs = tuple(cpu_s if k == slot else 0.0 for k in range(len(self._usage.workers_s)))
        self._usage += Usage(zygote_s=0.0, workers_s=costs)

    def _release(self, job: int) -> None:
        running = self._running.pop(job)
        os.close(running.reading)
        running.reading = -1
        if running.handle is not None:
            os.close(running.handle)
        if running.beside not in self._running:
            self._free.append(running.slot)

    def _wait_s(self) -> float:
        ends = [running.until_ns for running in self._running.values() if running.until_ns is not None]
        left_s = 1e-9 * (min(ends) - self._clock.monotonic_ns()) if ends else LOOK_S
        return min(max(0.0, left_s), LOOK_S)

    def _kill_late(self) -> bool:
        """Kill the workers that are late; False if it is the zygote that hangs."""
        now_ns = self._clock.monotonic_ns()
        for running in self._running.values():
            if running.until_ns is not None and now_ns >= running.until_ns:
                if running.handle is None:
                    return False
                self._kill(running, Lost(reason=Reason.TIME, what=f"not done after {1e-9 * self._timeout_ns:g} s"))
        return True

    def _kill(self, running: _Running, why: Lost) -> None:
        running.killed, running.until_ns = why, None
        if running.handle is not None:
            with suppress(ProcessLookupError):  # it has ended, and the note of that is on its way
                signal.pidfd_send_signal(running.handle, signal.SIGKILL)

    def _mourn(self) -> None:
        """The zygote is dead, and its workers with it: their jobs are lost, and the others wait for the next one."""
        self._keeper.close()
        for job, running in list(self._running.items()):
            why = running.killed or Lost(reason=Reason.MACHINE, what="its zygote was killed")
            self._kill(running, why)
            self._found[job] = why
            self._release(job)
        self._deaths += 1
        while self._deaths >= _MOST_DEATHS and self._waiting:
            self._found[self._waiting.popleft()] = Lost(reason=Reason.MACHINE, what="the zygote dies again and again")


def _wire() -> tuple[socket.socket, socket.socket]:
    """Two ends, of which the first waits for the second no longer than an exchange may take."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", _EXCHANGE_S, 0))
    return ours, theirs


def _pull(running: _Running) -> int:
    """How many bytes of the answer there were to take; 0 at its end, -1 if there are none yet."""
    try:
        chunk = os.read(running.reading, _CHUNK)
    except BlockingIOError:
        return -1
    running.answer += chunk
    return len(chunk)


def _outcome(note: Note, running: _Running) -> bytes | Lost:
    if note.refused:
        return Lost(reason=Reason.INPUT if note.is_input else Reason.MACHINE, what=note.refused)
    assert note.exit_code is not None
    return outcome(note.exit_code, bytes(running.answer), running.most)


def _user(slot: int) -> int:
    return worker_user(os.getpid(), slot, Path("/proc/self/uid_map").read_text())
