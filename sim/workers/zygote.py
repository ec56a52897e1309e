"""The zygote: a trusted, warm, single-threaded process that forks one confined worker for each job.

It reads only what the service wrote: its set-up on standard input, and jobs on a socket. It never reads what a worker
wrote; that goes to the service, on a pipe of the job's own. A job's request is prepared before the fork, with all that
it may load; what runs the controller comes after the confinement.

There are two of it. The blind one is forked from the other once that is warm, before it reads a job: what a worker
inherits from it says nothing of any scenario. Laws that must not know what they are judged by come from there.

    service -> zygote   `JOB` number, work, user     + descriptors: request (a file in memory), answer (end of a pipe),
                                                       and wire (a socket), where a worker has one beside it
    zygote -> service   JSON: layers once; for each job a descriptor of the process, then "ended"; or "refused"
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pickle
import selectors
import socket
import struct
import sys
import time
from dataclasses import dataclass
from typing import Any, Protocol

from core.errors import RemendError
from sim.workers.confinement import Confinement, prepare
from sim.workers.limits import end_with
from sim.workers.wire import Blamed

JOB = struct.Struct("<IIq")  # number, index of the work, user
LONGEST_NOTE = 16384  # bytes of a message from the zygote
MOST_TEXT = 400  # characters of an error
RESULT, ERROR, BLAMED, UNCONFINED = b"R", b"E", b"B", b"U"  # first byte of an answer


class Work(Protocol):
    """What a worker can be asked to do: an object in a module, named `module:object`."""

    def warm_up(self, data: bytes) -> None:
        """Load everything that any job may need. In the zygote, once."""
        ...

    def prepare(self, request: bytes) -> Any:
        """Read a request of the service and load what only it needs. In the zygote."""
        ...

    def perform(self, prepared: Any) -> bytes:
        """Do it. In the confined worker."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What the service tells a zygote at its start."""

    works: tuple[str, ...]  # `module:object` of each Work
    data: tuple[bytes, ...]  # for the warm-up of each
    memory: int  # bytes that a job may take
    cpu_s: int  # seconds of CPU time that a job may take
    in_bubblewrap: bool
    why_no_bubblewrap: str


def main(control: int, blind: int) -> None:
    """Serve until the service closes its ends of the sockets `control` and `blind`."""
    line, other = socket.socket(fileno=control), socket.socket(fileno=blind)
    setup: SetUp = pickle.load(sys.stdin.buffer)  # noqa: S301 the service is the one that started this process
    works = []
    for name, data in zip(setup.works, setup.data, strict=True):
        module, _, item = name.partition(":")
        work: Work = getattr(importlib.import_module(module), item)
        work.warm_up(data)
        works.append(work)
    if len(os.listdir("/proc/self/task")) != 1:
        raise RuntimeError("the zygote must have one thread: what others hold at the fork stays locked for ever")
    confinement = prepare(
        memory=setup.memory,
        cpu_s=setup.cpu_s,
        in_bubblewrap=setup.in_bubblewrap,
        why_no_bubblewrap=setup.why_no_bubblewrap,
    )
    gc.collect()
    gc.freeze()  # a collection in a worker would touch, and so copy, every page
    parent = os.getpid()
    process = os.fork()
    if process == 0:
        line.close()
        end_with(parent)
        _serve(other, works, confinement)
        os._exit(0)
    other.close()
    _note(line, layers=confinement.layers.plain())
    _serve(line, works, confinement)
    os.waitpid(process, 0)


def _serve(line: socket.socket, works: list[Work], confinement: Confinement) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not line:
                    selector.unregister(key.fileobj)
                    _bury(line, *key.data)
                    continue
                message, descriptors, _, _ = socket.recv_fds(line, JOB.size, 3)
                if not message:  # the service is gone, and each worker ends with this process
                    return
                born = _take(line, works, confinement, message, descriptors)
                if born is not None:
                    selector.register(born[2], selectors.EVENT_READ, born)


def _take(
    line: socket.socket, works: list[Work], confinement: Confinement, message: bytes, descriptors: list[int]
) -> tuple[int, int, int] | None:
    """Prepare a job and fork its worker: number of the job, of the process, and descriptor of the process."""
    began_s = time.process_time()
    number, index, user = JOB.unpack(message)
    request, channel, *rest = descriptors
    wire = rest[0] if rest else None
    try:
        work = works[index]
        prepared = work.prepare(_read_all(request))
    except Exception as error:
        _note(line, job=number, refused=_said(error), is_input=isinstance(error, RemendError))
        for descriptor in (channel, *rest):
            os.close(descriptor)
        return None
    finally:
        os.close(request)
    parent = os.getpid()
    process = os.fork()
    if process == 0:
        _live(work, prepared, confinement, channel, user, parent, wire)
    for descriptor in (channel, *rest):
        os.close(descriptor)
    handle = os.pidfd_open(process)
    _note(line, handle, job=number, cpu_s=time.process_time() - began_s)
    return number, process, handle


def _live(
    work: Work,
    prepared: Any,
    confinement: Confinement,
    channel: int,
    user: int,
    parent: int,
    wire: int | None = None,
) -> None:
    """The worker, from its first instruction to its last."""
    try:
        try:
            confinement.apply(channel=channel, user=user, parent=parent, wire=wire)
        except BaseException as error:
            _answer(channel, UNCONFINED, _said(error).encode())
        else:
            try:
                answer = work.perform(prepared)
            except Blamed as error:
                _answer(channel, BLAMED, str(error).encode())
            except BaseException as error:
                _answer(channel, ERROR, _said(error).encode())
            else:
                _answer(channel, RESULT, answer)
    finally:
        os._exit(0)


def _answer(channel: int, kind: bytes, data: bytes) -> None:
    left = memoryview(kind + data)
    while left:
        left = left[os.write(channel, left) :]


def _bury(line: socket.socket, number: int, process: int, handle: int) -> None:
    """Say how a worker ended."""
    _, status, usage = os.wait4(process, 0)
    os.close(handle)
    code = os.waitstatus_to_exitcode(status)
    _note(line, job=number, ended=code, cpu_s=usage.ru_utime + usage.ru_stime)


def _note(line: socket.socket, *descriptors: int, **fields: Any) -> None:
    message = json.dumps(fields).encode()
    socket.send_fds(line, [message], descriptors)


def _read_all(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MOST_TEXT]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
