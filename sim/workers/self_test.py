"""The self-test of the confinement: five attacks, tried by a worker of the zygote that will run the candidates.

That a layer is there does not prove that it holds. What gets through counts as an open door, whatever the layers say.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from core.clock import Clock, SystemClock
from sim.workers.dispatch import Dispatch, Request
from sim.workers.keeper import Keeper
from sim.workers.layers import Door, Layers, no_layers
from sim.workers.outcome import Lost, Reason
from sim.workers.settings import WorkerSettings

_PATIENCE_S = 60.0
_MOST_WORDS = 200  # bytes
_REACHED = b"reached"


def _read_a_file() -> None:
    os.close(os.open(os.__file__, os.O_RDONLY))


def _write_a_file() -> None:
    path = os.path.join(_FOLDER, f"remend-escaped-{os.getpid()}")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.unlink(path)


def _send_a_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"escaped", ("127.0.0.1", 9))


def _start_a_process() -> None:
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _signal_the_zygote() -> None:
    os.kill(os.getppid(), signal.SIGCONT)


_FOLDER = tempfile.gettempdir()
ATTACKS: dict[str, tuple[Door, Callable[[], None]]] = {
    "read a file": (Door.FILES, _read_a_file),
    "write a file": (Door.FILES, _write_a_file),
    "send a datagram": (Door.NETWORK, _send_a_datagram),
    "start a process": (Door.PROGRAMS, _start_a_process),
    "signal the zygote": (Door.NEIGHBOURS, _signal_the_zygote),
}


class _Probe:
    """The work of a worker that tries one attack (`sim.workers.zygote.Work`)."""

    def warm_up(self, data: bytes) -> None:
        """There is nothing to load."""

    def prepare(self, request: bytes) -> Callable[[], None]:
        return ATTACKS[request.decode()][1]

    def perform(self, prepared: Callable[[], None]) -> bytes:
        try:
            prepared()
        except OSError as error:
            return os.strerror(error.errno or 0).encode()
        return _REACHED


PROBE = _Probe()
NAME = f"{__name__}:PROBE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attack and what became of it."""

    attack: str
    door: Door
    stopped: bool
    how: str


def self_test(keeper: Keeper, work: int, clock: Clock) -> tuple[Attempt, ...]:
    """Try every attack in a worker of `keeper`, where `work` is the index of NAME.

    Raises:
        RobotFault: no zygote starts.
    """
    requests = [Request(work=work, data=name.encode(), most_answer=_MOST_WORDS) for name in ATTACKS]
    found, _ = Dispatch(keeper, requests, count=1, timeout_s=_PATIENCE_S, clock=clock).run()
    return tuple(_attempt(name, door, answer) for (name, (door, _)), answer in zip(ATTACKS.items(), found, strict=True))


def examine(settings: WorkerSettings) -> tuple[Layers, tuple[Attempt, ...]]:
    """The layers of this machine and the self-test behind them, without a robot.

    Raises:
        RobotFault: no zygote starts.
    """
    if sys.platform != "linux":
        return no_layers("workers are confined on Linux only"), ()
    keeper = Keeper(
        ((NAME, b""),),
        memory=settings.memory_mb << 20,
        cpu_s=math.ceil(settings.timeout_s),
        with_bubblewrap=settings.bubblewrap,
    )
    try:
        layers = keeper.layers()
        attempts = self_test(keeper, 0, SystemClock())
    finally:
        keeper.close()
    return tested(layers, attempts), attempts


def tested(layers: Layers, attempts: Iterable[Attempt]) -> Layers:
    """`layers`, with what the attempts have found open."""
    return replace(layers, breached=tuple(attempt.door for attempt in attempts if not attempt.stopped))


def _attempt(name: str, door: Door, answer: bytes | Lost) -> Attempt:
    if isinstance(answer, Lost):
        killed = answer.reason is Reason.FORBIDDEN
        return Attempt(attack=name, door=door, stopped=killed, how="killed" if killed else answer.what)
    how = answer.decode(errors="replace")
    return Attempt(attack=name, door=door, stopped=answer != _REACHED, how=how)
