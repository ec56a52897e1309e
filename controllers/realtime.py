"""What the operating system can do for a loop that must not be late, each where it is allowed.

Real-time priority, memory that stays, no garbage collection, a bound on a loop that spins; absolute deadlines; and a
watchdog that takes a law's call away when it has used up its time.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from controllers.runtime import LawLate

PRIORITY = 80  # of SCHED_FIFO: above threaded interrupts, below the kernel's own watchdogs
_SPIN_US = 200_000  # a FIFO loop that has not slept for so long is ended by the kernel (RLIMIT_RTTIME)
_MCL_CURRENT, _MCL_FUTURE = 1, 2
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the operating system has granted."""

    fifo: bool
    locked: bool  # memory


def enter(priority: int = PRIORITY) -> Granted:
    """Make this process a real-time one as far as it is allowed to. Nothing that it asks for is needed to run."""
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection in mid-tick is a missed deadline
    libc = ctypes.CDLL(None, use_errno=True)
    # Under a limit, memory that is locked as it comes would one day not come at all.
    bounded = os.geteuid() != 0 and resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY
    locked = libc.mlockall(_MCL_CURRENT if bounded else _MCL_CURRENT | _MCL_FUTURE) == 0
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError:
        return Granted(fifo=False, locked=locked)
    resource.setrlimit(resource.RLIMIT_RTTIME, (_SPIN_US, _SPIN_US))
    return Granted(fifo=True, locked=locked)


def end_with_parent() -> None:
    """End this process when the one that forked it ends, however that goes."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended in between
        os._exit(1)


def sleep_until(due_ns: int) -> None:
    """Sleep until `due_ns` on the monotonic clock; Python sleeps to an absolute time inside."""
    left_ns = due_ns - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns * 1e-9)


class CpuWatchdog:
    """Raises `LawLate` inside a law's call that has used more than its share of processor time.

    A call that merely waited for the processor is not late by its own doing: it gets the rest of its time. Works on the
    main thread, on laws that cannot catch exceptions; the law language has no word for that.

    Args:
        budget_s: processor time of one call.
        thread_ns: processor time of this thread.
    """

    def __init__(self, budget_s: float, thread_ns: Callable[[], int] = time.thread_time_ns) -> None:
        self._budget_s, self._budget_ns = budget_s, round(budget_s * 1e9)
        self._thread_ns = thread_ns
        self._began_ns = 0
        self._armed = False
        signal.signal(signal.SIGALRM, self._ring)

    def start(self) -> None:
        """Give the call that follows its time."""
        self._began_ns = self._thread_ns()
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, self._budget_s)

    def stop(self) -> None:
        """The call is over. A signal that is still on its way finds nobody to disturb."""
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if not self._armed:
            return
        left_ns = self._budget_ns - (self._thread_ns() - self._began_ns)
        if left_ns > 0:
            signal.setitimer(signal.ITIMER_REAL, max(left_ns * 1e-9, 1e-6))
            return
        raise LawLate
