"""The loop process: it reads a measurement, asks the law, puts the envelope around it and writes the command.

Nothing else happens between a measurement and its command. What is left of a period goes to one piece of a law on its
way in, one request of the bridge, and a word with the helper. There is no import, no disk and no collection of garbage
here after the start; the kill switch is looked at in every tick.

Lockstep answers each measurement as it comes. In real time the loop keeps absolute deadlines of its own; a robot that
does not wait for it (`free_running`) is answered on the deadline with the newest measurement there is.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

from controllers import realtime
from controllers.controller import Controller
from controllers.helper import HelperClerk
from controllers.host import Host
from controllers.host_status import LoopState
from controllers.lines import FrameCode, Lines, Reply, Waiting
from controllers.parcel import Unpacking
from controllers.requests import AskStatus, Order, Stop
from controllers.slot import Slot
from controllers.timing import Stopwatch
from core.errors import BadInput, Refused
from core.frames import Frame, Reference
from core.robot import Robot

_LAW_BUDGET = 0.4  # of a period: processor time of one call of a law; evidence admits a fifth
_WARM_UP_CALLS, _CALLS_IN_A_TICK = 24, 4  # CPython specialises a function in its first dozen calls
_ASLEEP_PERIODS = 100  # a machine that was late by more slept: do not race to catch up


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPacing:
    """Run in real time from now on."""

    free_running: bool  # the robot does not wait for commands


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetTiming:
    """Count deadlines anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperAgain:
    """There is a new helper: ask it for what the old one has not done."""


class ControlLoop:
    """The loop of one robot, in its own process.

    Args:
        robot: the robot.
        host: its controllers; their clerk is the helper.
        clerk: the same clerk.
        lines: to bridge and helper.
    """

    def __init__(self, robot: Robot, host: Host, clerk: HelperClerk, lines: Lines, waiting: Waiting) -> None:
        self._robot, self._host, self._clerk, self._lines, self._waiting = robot, host, clerk, lines, waiting
        self._code = FrameCode(robot.ports)
        self._period_ns = round(robot.dt_s * 1e9)
        self._due_ns: int | None = None  # real time: when the next tick is due
        self._free_running = False
        self._overrun_ns = 0
        self._ahead: int | None = None  # ticks of the robot before those of the host
        self._frame = 0  # number of the last measurement that was answered
        self._request = self._piece = 0  # a loop's lines are new: what stands in them already is for it
        self._unpacking = Unpacking()
        self._arriving: Iterator[None] | None = None  # a law that is being warmed up
        self._state: LoopState | None = None
        self.stopwatch = Stopwatch(self._period_ns)
        self._running = True
        signal.signal(signal.SIGUSR1, lambda *_: host.kill("signal SIGUSR1"))

    def run(self) -> None:
        """Until told to end, or the bridge is gone."""
        self._tell_state()
        while self._running:
            if self._due_ns is None:
                self._answer_frame()
                self._rest()
                if self._running and self._arriving is None and self._lines.frames.number <= self._frame:
                    self._waiting.wait()
            else:
                self._keep_deadline(self._due_ns)

    def _keep_deadline(self, due_ns: int) -> None:
        realtime.sleep_until(due_ns)
        began_ns, cpu_ns = time.monotonic_ns(), time.thread_time_ns()
        if self._answer_frame():
            used_ns = time.thread_time_ns() - cpu_ns + self._overrun_ns
            late = self.stopwatch.count(due_ns, began_ns, time.monotonic_ns(), used_ns)
            if self._free_running:
                self._host.runtime.note_machine(late, self._host.ticks)
            self._rest()
            # What of this turn's own work reaches into the next period is no fault of the machine.
            over_ns = time.monotonic_ns() - due_ns - self._period_ns
            self._overrun_ns = max(min(over_ns, time.thread_time_ns() - cpu_ns), 0)
        else:  # the robot waits for this loop, and its measurement is late: answer it when it comes
            self._rest()
            self._waiting.wait((due_ns + self._period_ns - time.monotonic_ns()) * 1e-9)
            if time.monotonic_ns() < due_ns + self._period_ns:
                return  # look again: it was this measurement, or something else that rang
            self.stopwatch.count_missing()
        self._due_ns = due_ns + self._period_ns
        late_ns = time.monotonic_ns() - self._due_ns
        if late_ns > _ASLEEP_PERIODS * self._period_ns:
            self._due_ns += late_ns

    def _answer_frame(self) -> bool:
        """The tick: the newest measurement in, its command out; False if there is none to answer."""
        lines, host = self._lines, self._host
        found = lines.frames.read() if self._free_running else lines.frames.read_after(self._frame)
        if found is None:
            return False
        self._frame, data = found
        frame, reference = self._code.unpack(data)
        if self._ahead is None:  # a loop that was started again joins a robot that has been running
            self._ahead = frame.seq - host.ticks
        # The tick that should have come, on the robot's clock: a measurement that comes again, or late, is stale.
        now_ns = (
            time.monotonic_ns() if self._free_running else round((self._ahead + host.ticks) * self._robot.dt_s * 1e9)
        )
        command = host.step(frame, reference, now_ns)
        followed = host.reference or reference
        reply = Reply(frame.seq, command.tau, followed, host.held is not None)
        lines.commands.write(self._code.pack_reply(reply))
        lines.bridge_bell.ring()
        return True

    def _rest(self) -> None:
        """What the rest of a period is for: a little of each."""
        self._clerk.poll()
        if self._arriving is not None:
            if next(self._arriving, self) is self:
                self._arriving = None
        elif (found := self._lines.pieces.read_after(self._piece)) is not None:
            self._piece, data = found
            self._take_piece(data)
        if (found := self._lines.requests.read_after(self._request)) is not None:
            self._request, data = found
            self._lines.answers.write(pickle.dumps(self._answer(pickle.loads(data))))  # noqa: S301 from our bridge
            self._lines.bridge_bell.ring()
        self._tell_state()

    def _take_piece(self, piece: bytes) -> None:
        self._unpacking.add(piece)
        if self._unpacking.manifest is None:
            self._receipt(None)
        else:
            self._arriving = self._arrive()

    def _arrive(self) -> Iterator[None]:
        """Put the law together, warm it up and admit it, with a rest after each step."""
        manifest, unpacked = self._unpacking.manifest, self._unpacking
        assert manifest is not None
        self._unpacking = Unpacking()
        try:
            controller = Controller(unpacked.prepared())
            yield
            slot = Slot(self._robot, controller, like=self._host.runtime.a)
            yield
            frame, reference = self._at_home()
            for call in range(_WARM_UP_CALLS):
                with contextlib.suppress(ArithmeticError):
                    slot.compute(frame, reference)
                if call % _CALLS_IN_A_TICK == 0:
                    yield
            slot.reset()
            self._host.admit(slot, manifest)
        except (Refused, BadInput) as error:
            self._receipt(error)
        else:
            self._receipt(None)

    def _receipt(self, answer: Exception | None) -> None:
        self._tell_state()
        self._lines.receipts.write(pickle.dumps((self._piece, answer)))
        self._lines.helper_bell.ring()

    def _at_home(self) -> tuple[Frame, Reference]:
        """A measurement at rest, for warming up: no law may meet the real one before its shadow."""
        n, m = self._robot.dof, len(self._robot.actuators)
        home, still = list(self._robot.home), [0.0] * n
        frame = Frame(seq=0, stamp_ns=0, q=home, qd=still, tau_meas=[0.0] * m, tau_cmd=[0.0] * m)
        return frame, Reference(q_ref=home, qd_ref=still, qdd_ref=still)

    def _answer(self, request: object) -> object:
        host = self._host
        try:
            match request:
                case StartPacing(free_running=free):
                    self._start_pacing(free)
                case ForgetTiming():
                    self.stopwatch.reset()
                case HelperAgain():
                    self._clerk.start_again()
                case AskStatus():
                    timing = None if self._due_ns is None else self.stopwatch.read()
                    return host.status(None if timing is None else timing.missed, timing)
                case Stop():
                    host.close()
                    self._running = False
                case _:
                    assert isinstance(request, Order)
                    host.obey(request)
        except (Refused, BadInput) as error:
            return error
        return None

    def _start_pacing(self, free_running: bool) -> None:
        self._host.wait_for_disk = False
        granted = realtime.enter()
        self.stopwatch.fifo, self.stopwatch.locked = granted.fifo, granted.locked
        self._host.runtime.watchdog = realtime.CpuWatchdog(_LAW_BUDGET * self._robot.dt_s)
        self._free_running = free_running
        self._due_ns = time.monotonic_ns() + self._period_ns

    def _tell_state(self) -> None:
        """Tell the helper when something that it verifies against has changed."""
        state = self._host.loop_state()
        if state != self._state:
            self._state = state
            self._lines.state.write(pickle.dumps(state))


def loop_main(loop: ControlLoop) -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError):
        loop.run()
