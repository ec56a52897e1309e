"""The processes of one robot, as its bridge sees them: the loop and the helper, forked from it and watched by it.

The bridge may stall, the helper may be slow or be killed: the loop goes on. If the loop ends, a new one starts on what
is committed, and says that a swap was interrupted. If the bridge ends, so do the others, and what is committed stays.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path

from controllers import realtime
from controllers.artefact import Artefact
from controllers.desk import Clerk, Desk
from controllers.helper import Helper, HelperClerk, helper_main
from controllers.host import Host
from controllers.lines import FrameCode, Reply, Waiting, make_lines
from controllers.loop import ControlLoop, HelperAgain, StartPacing, loop_main
from controllers.requests import StagePatch, Stop
from controllers.signature import TrustStore
from core.errors import Refused, RobotFault
from core.frames import Frame, Reference
from core.robot import Robot

_PATIENCE_S = 30.0  # for an answer of the loop, which gives one in every period
_MOST_RESTARTS = 5  # of one process; what falls so often falls for ever
INTERRUPTED = "interrupted: the control loop ended and has started again on the committed controller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a robot's processes need to start."""

    robot: Robot
    robot_id: str
    baseline: Artefact
    safety: Artefact
    trust: TrustStore
    folder: Path
    simulated: bool


class Processes:
    """Loop and helper of one robot. The process that makes this is their bridge, and has one thread.

    Args:
        setup: what to start with, at first and again.
        host: goes on in the loop as it stands; without it, the loop starts on what is committed.
    """

    def __init__(self, setup: Setup, host: Host | None = None) -> None:
        self._setup, self._host = setup, host
        self._code = FrameCode(setup.robot.ports)
        self._pacing: StartPacing | None = None
        self._restarts = 0
        self.was_staged = False  # whether the last patch got to the loop
        self._interrupted: str | None = None
        self._last_frame: bytes | None = None  # as long as it has no command
        self._start()

    def _start(self) -> None:
        self.lines = make_lines(self._setup.robot.ports)
        self._answered = self._commanded = 0
        self._start_helper()
        self.loop_pid = _fork(self._run_loop, self._shared)
        self._loop = os.pidfd_open(self.loop_pid)

    @property
    def _shared(self) -> set[int]:
        """What loop and helper keep open of what this process has: not its side of the lifeline, and no other line."""
        lines = self.lines
        bells = (lines.loop_bell, lines.bridge_bell, lines.helper_bell)
        return {lines.lifeline[0], *(bell.descriptor for bell in bells)}

    def _desk(self) -> Desk:
        setup = self._setup
        return Desk(setup.robot_id, setup.trust, setup.folder, simulated=setup.simulated)

    def _start_helper(self) -> None:
        self.helper, theirs = Pipe()

        def run() -> None:
            setup = self._setup
            helper_main(Helper(setup.robot.ports, self._desk(), setup.baseline, self.lines, theirs, ordered))

        ordered = self.lines.orders.number
        self.helper_pid = _fork(run, self._shared | {theirs.fileno()})
        theirs.close()
        self.staging = False  # whether the helper owes an answer

    def _run_loop(self) -> None:
        setup, lines = self._setup, self.lines
        waiting = Waiting(lines.loop_bell, lines.lifeline[0])
        clerk = HelperClerk(lines, waiting)
        host = self._host
        if host is None:
            host = start_host(setup, clerk)
            host.runtime.rollback_reason = self._interrupted
        else:
            host.go_on(clerk)
        loop_main(ControlLoop(setup.robot, host, clerk, lines, waiting))

    def send_frame(self, frame: Frame, reference: Reference) -> None:
        """Give the loop a measurement."""
        self._last_frame = self._code.pack(frame, reference)
        self.lines.frames.write(self._last_frame)
        self.lines.loop_bell.ring()

    def take_reply(self) -> Reply | None:
        """The answer that the loop gave since the last look, if it gave one."""
        found = self.lines.commands.read_after(self._commanded)
        if found is None:
            return None
        self._commanded, data = found
        self._last_frame = None
        return self._code.unpack_reply(data)

    @property
    def descriptors(self) -> tuple[int, int, int]:
        """What to wait on besides: the loop's bell, the helper's answers, the loop's end."""
        return self.lines.bridge_bell.descriptor, self.helper.fileno(), self._loop

    def wait(self, *others: int, timeout_s: float | None = None) -> set[int]:
        """Wait until the loop, the helper or one of `others` has something to say; which descriptors have.

        A loop or a helper that has ended is started again in here.

        Raises:
            RobotFault: one of them ends again and again.
        """
        poll = select.poll()
        for descriptor in (*self.descriptors, *others):
            poll.register(descriptor, select.POLLIN | select.POLLHUP)
        ready = {found for found, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)}
        self.lines.bridge_bell.quieten()
        if self._loop in ready:
            self._restart_loop()
        return ready

    def ask(self, request: object, while_waiting: Callable[[], None] = lambda: None) -> object:
        """What the loop answers; `while_waiting` passes commands on meanwhile.

        Raises:
            RemendError: the loop refuses.
            RobotFault: it has ended, or does not answer.
        """
        self._answered = self.lines.answers.number
        self.lines.requests.write(pickle.dumps(request))
        self.lines.loop_bell.ring()
        lines = self.lines
        while True:
            while_waiting()
            found = self.lines.answers.read_after(self._answered)
            if found is not None:
                break
            if not self.wait(timeout_s=_PATIENCE_S):
                raise RobotFault(f"{self._setup.robot_id}: the control loop does not answer")
            if self.lines is not lines:
                raise Refused(f"{self._setup.robot_id}: the control loop ended over this, and has started again")
        self._answered, data = found
        answer = pickle.loads(data)  # noqa: S301 from our loop
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pace(self, *, free_running: bool) -> None:
        """Real time from now on."""
        self._pacing = StartPacing(free_running=free_running)
        self.ask(self._pacing)

    def begin_staging(self, patch: StagePatch) -> None:
        """Give a patch to the helper; `end_staging` says what became of it."""
        if self.staging:
            raise Refused(f"{self._setup.robot_id} is in the middle of a swap; wait for its end or roll it back")
        self.helper.send(patch)
        self.lines.helper_bell.ring()
        self.staging, self.was_staged = True, False

    def end_staging(self) -> bool:
        """Whether the patch has got to the loop, or is still on its way.

        Raises:
            RemendError: it was refused.
        """
        if not self.helper.poll(0):
            return False
        self.staging = False
        try:
            answer = self.helper.recv()
        except (EOFError, OSError):
            self._restart_helper()
            raise Refused(f"{self._setup.robot_id}: its helper ended over this patch; stage it again") from None
        if answer is not None:
            raise answer
        self.was_staged = True
        return True

    def look_after_helper(self) -> None:
        """Start a helper that has ended again. Its end shows as something to read that nobody waits for."""
        if not self.staging and self.helper.poll(0):
            self._restart_helper()

    def _restart_helper(self) -> None:
        self._count_restart("helper")
        _reap(self.helper_pid)
        self.helper.close()
        self._start_helper()
        self.ask(HelperAgain())

    def _restart_loop(self) -> None:
        """A new loop on what is committed, with new lines, because the old one may have left theirs anywhere."""
        self._count_restart("control loop")
        _reap(self.loop_pid)
        self._interrupted, self._host = INTERRUPTED, None
        self._let_go()
        self._start()
        if self._pacing is not None:
            self.ask(self._pacing)
        if self._last_frame is not None:
            self.lines.frames.write(self._last_frame)
            self.lines.loop_bell.ring()

    def _count_restart(self, what: str) -> None:
        self._restarts += 1
        if self._restarts > _MOST_RESTARTS:
            raise RobotFault(
                f"{self._setup.robot_id}: its {what} has ended {self._restarts} times; look at its machine"
            )

    def _let_go(self) -> None:
        """End the helper by closing its lines, and close what was ours."""
        os.close(self.lines.lifeline[1])
        os.close(self.lines.lifeline[0])
        os.close(self._loop)
        self.helper.close()
        _reap(self.helper_pid)
        for bell in (self.lines.loop_bell, self.lines.bridge_bell, self.lines.helper_bell):
            os.close(bell.descriptor)

    def close(self) -> None:
        """Have the loop finish what it ordered, and end both."""
        self.lines.requests.write(pickle.dumps(Stop()))
        self.lines.loop_bell.ring()
        poll = select.poll()
        poll.register(self._loop, select.POLLIN)
        if not poll.poll(_PATIENCE_S * 1000):
            os.kill(self.loop_pid, signal.SIGKILL)
        _reap(self.loop_pid)
        self._let_go()


def start_host(setup: Setup, clerk: Clerk | None = None) -> Host:
    """A host on what is committed; by default one that writes to disk itself, in the tick."""
    return Host(
        setup.robot,
        robot_id=setup.robot_id,
        baseline=setup.baseline,
        safety=setup.safety,
        trust=setup.trust,
        folder=setup.folder,
        wait_for_disk=True,
        simulated=setup.simulated,
        clerk=clerk,
    )


def _fork(run: Callable[[], None], keep: set[int]) -> int:
    """A child that does `run` and nothing else of what this process would do; of its descriptors it has `keep`."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        realtime.end_with_parent()
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            if descriptor > 2 and descriptor not in keep:  # input, output and errors stay
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        run()
        code = 0
    except BaseException:  # the child's one way out
        traceback.print_exc()
    finally:
        os._exit(code)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
