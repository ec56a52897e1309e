"""What became of a worker: its answer, or why its job was lost."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import StrEnum

from sim.workers.zygote import BLAMED, ERROR, MOST_TEXT, RESULT, UNCONFINED


class Reason(StrEnum):
    """Why a job was lost."""

    INPUT = "input"  # the request was wrong
    TIME = "time"  # it took too long, and was killed
    KILLED = "killed"  # by the kernel, which ran out of memory or patience, or by somebody
    OUTPUT = "output"  # it said more than there was to say, and was killed
    FORBIDDEN = "forbidden"  # it asked the kernel for something that no controller needs, and was killed
    CRASH = "crash"  # it ended without an answer, or said that it failed
    ANSWER = "answer"  # its answer was not one
    EXCHANGE = "exchange"  # the worker beside, which has the law, did not keep to the exchange
    MACHINE = "machine"  # not the job's doing: the zygote died, or a worker could not be confined


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A job without a result."""

    reason: Reason
    what: str  # in words; what a confined worker said is quoted, and is not to be trusted


_ENDS = {  # signal that ended a worker -> what that means
    signal.SIGSYS: Lost(reason=Reason.FORBIDDEN, what="killed for a system call that no controller needs"),
    signal.SIGKILL: Lost(reason=Reason.KILLED, what="killed by the kernel, or by somebody"),
    signal.SIGXCPU: Lost(reason=Reason.TIME, what="killed by the kernel for its CPU time"),
}


_FAILED = {ERROR: Reason.CRASH, BLAMED: Reason.EXCHANGE}


def outcome(exit_code: int, answer: bytes, most: int) -> bytes | Lost:
    """The result that a worker gave.

    Args:
        exit_code: 0, or minus the signal that ended it.
        answer: all that it wrote.
        most: bytes of the longest answer.
    """
    if -exit_code in _ENDS:
        return _ENDS[signal.Signals(-exit_code)]
    kind, said = answer[:1], answer[1:]
    if exit_code != 0 or not kind:
        return Lost(reason=Reason.CRASH, what=f"ended with {exit_code} and no answer")
    if len(answer) > most:
        return too_much(most)
    return said if kind == RESULT else _failure(kind, said)


def too_much(most: int) -> Lost:
    """A worker that said more than there was to say."""
    return Lost(reason=Reason.OUTPUT, what=f"said more than {most} bytes")


def _failure(kind: bytes, said: bytes) -> Lost:
    words = "".join(c if c.isprintable() else " " for c in said.decode(errors="replace"))[:MOST_TEXT]
    if kind == UNCONFINED:
        return Lost(reason=Reason.MACHINE, what=f"a worker could not be confined: {words}")
    if kind in _FAILED:
        return Lost(reason=_FAILED[kind], what=words)
    return Lost(reason=Reason.ANSWER, what="an answer of no known kind")
