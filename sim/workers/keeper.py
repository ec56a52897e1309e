"""The service's side of a zygote: starts it, in bubblewrap where that works, hands it jobs, and ends it."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from core.errors import RobotFault
from sim.workers import bubblewrap
from sim.workers.layers import Layers, read_layers
from sim.workers.zygote import JOB, LONGEST_NOTE, SetUp

_PATIENCE_S = 600.0  # a machine under any load starts a zygote, or loads a few worlds, in less
# All memory in one heap of huge pages, for a world has many: with twenty worlds a fork then costs what it costs with
# one, and a world that is loaded takes the pages of one that made room for it.
_ONE_HEAP = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=17179869184"
_OWN_CODE = str(Path(__file__).parents[2])  # an editable install is found by a hook, and is not on the path
_GOODBYE_S = 10.0  # an idle zygote ends at once
_FOR_SYSTEM = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "HOME", "XDG_CACHE_HOME")
_FOR_NUMBERS = ("OPENBLAS_", "MKL_", "BLIS_", "OMP_", "NUMBA_", "NPY_")  # which kernels compute decides the last bits
_THREADED = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What the zygote says of a job."""

    job: int
    handle: int | None = None  # descriptor of the process, where it has started
    exit_code: int | None = None  # where it has ended: 0, or minus the signal that ended it
    cpu_s: float = 0.0  # CPU time that it took the zygote to start it, or the worker to end it
    refused: str = ""  # why it did not start
    is_input: bool = False  # the request was wrong, and not the machine


class Keeper:
    """One zygote, started when first needed and again after it died.

    Args:
        works: `module:object` of what its workers can be asked to do, with the data of each one's warm-up.
        memory: bytes that a job may take.
        cpu_s: seconds of CPU time that a job may take.
        readable: folders besides the libraries that the warm-up and the preparation of jobs read.
        with_bubblewrap: use bubblewrap where it is installed.
    """

    def __init__(
        self,
        works: Sequence[tuple[str, bytes]],
        *,
        memory: int,
        cpu_s: int,
        readable: Sequence[Path] = (),
        with_bubblewrap: bool = True,
    ) -> None:
        self._setup = SetUp(
            works=tuple(name for name, _ in works),
            data=tuple(data for _, data in works),
            memory=memory,
            cpu_s=cpu_s,
            in_bubblewrap=False,
            why_no_bubblewrap="not wanted",
        )
        self._readable, self._with_bubblewrap = tuple(map(str, readable)), with_bubblewrap
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None  # to the zygote
        self._blind: socket.socket | None = None  # to the one that reads no scenario
        self._complaints: IO[bytes] | None = None
        self._layers: Layers | None = None

    def start(self) -> None:
        """Start the zygote if there is none, without waiting until it is warm."""
        if self._process is not None:
            return
        program = bubblewrap.find() if self._with_bubblewrap else None
        if program is None:
            why = "not installed" if self._with_bubblewrap else self._setup.why_no_bubblewrap
            self._launch(replace(self._setup, why_no_bubblewrap=why), None)
        else:
            self._launch(replace(self._setup, in_bubblewrap=True, why_no_bubblewrap=""), program)

    def layers(self) -> Layers:
        """What its workers go behind; waits until the zygote is warm.

        Raises:
            RobotFault: it does not start.
        """
        self.start()
        if self._layers is None:
            found, complaint = self._greeting()
            if found is None and self._with_bubblewrap and bubblewrap.find() is not None:
                self.close()  # some containers do not let bubblewrap do its work
                why = f"it does not work here ({complaint})"
                self._launch(replace(self._setup, why_no_bubblewrap=why), None)
                found, complaint = self._greeting()
            if found is None:
                self.close()
                raise RobotFault(f"the process that simulations are forked from does not start: {complaint}")
            self._layers = found
        return self._layers

    def fork(
        self, number: int, work: int, user: int, request: bytes, *, blind: bool = False, wire: int | None = None
    ) -> int:
        """Hand over a job; the descriptor to read its answer from.

        Args:
            blind: to the zygote that reads no scenario.
            wire: descriptor of the socket to the worker beside.

        Raises:
            OSError: the zygote is gone.
        """
        self.layers()
        reading, writing = os.pipe()
        held = os.memfd_create("remend-job")
        try:
            with os.fdopen(os.dup(held), "wb") as file:
                file.write(request)
            line = self._blind if blind else self._line
            assert line is not None
            descriptors = [held, writing] if wire is None else [held, writing, wire]
            socket.send_fds(line, [JOB.pack(number, work, user)], descriptors)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(held)
            os.close(writing)
        os.set_blocking(reading, False)
        return reading

    @property
    def lines(self) -> tuple[socket.socket, ...]:
        """Readable when there is a note, or a zygote has died."""
        assert self._line is not None
        assert self._blind is not None
        return self._line, self._blind

    def note(self, line: socket.socket) -> Note | None:
        """The next note of one line; None if the zygote has died."""
        found, descriptors = _receive(line)
        if found is None:
            return None
        return Note(
            job=found["job"],
            handle=descriptors[0] if descriptors else None,
            exit_code=found.get("ended"),
            cpu_s=found.get("cpu_s", 0.0),
            refused=found.get("refused", ""),
            is_input=found.get("is_input", False),
        )

    def close(self) -> None:
        """End the zygote, and its workers with it."""
        for line in (self._line, self._blind):
            if line is not None:
                line.close()
        if self._process is not None:
            try:
                self._process.wait(timeout=_GOODBYE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._complaints is not None:
            self._complaints.close()
        self._line = self._blind = self._process = self._complaints = self._layers = None

    def _launch(self, setup: SetUp, program: str | None) -> None:
        self._line, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._blind, another = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for line in self.lines:
            line.settimeout(_PATIENCE_S)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 it lives as long as the process
        theirs = other.fileno(), another.fileno()
        command = [sys.executable, "-m", "sim.workers.zygote", *map(str, theirs)]
        path = [str(Path(entry).absolute()) for entry in sys.path if Path(entry).exists()]
        if program is not None:
            readable = [*path, _OWN_CODE, sys.prefix, sys.base_prefix, sys.executable, *self._readable]
            command = bubblewrap.wrapped(program, command, readable, as_root=os.geteuid() == 0)
        with other, another:
            self._process = subprocess.Popen(  # noqa: S603 this interpreter, and bubblewrap from the user's PATH
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                pass_fds=theirs,
                env=_environment(path),
                start_new_session=True,  # an interrupt from the keyboard is for the service
            )
        assert self._process.stdin is not None
        try:
            with self._process.stdin as stream:
                pickle.dump(setup, stream)
        except BrokenPipeError:
            pass  # it has died; the greeting says why

    def _greeting(self) -> tuple[Layers | None, str]:
        """The layers that the zygote has found, or its last words."""
        found, _ = _receive(self.lines[0])
        if found is not None:
            return read_layers(found["layers"]), ""
        assert self._complaints is not None
        assert self._process is not None
        self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return None, lines[-1] if lines else f"it ended with {self._process.returncode}"


def _receive(line: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    try:
        message, descriptors, _, _ = socket.recv_fds(line, LONGEST_NOTE, 1)
    except (ConnectionResetError, TimeoutError):
        return None, []
    return (json.loads(message) if message else None), list(descriptors)


def _environment(path: Sequence[str]) -> dict[str, str]:
    """What a zygote and its workers know of the service's environment: nothing that could be a secret."""
    kept = {name: value for name, value in os.environ.items() if name in _FOR_SYSTEM or name.startswith(_FOR_NUMBERS)}
    threads = {f"{library}_NUM_THREADS": "1" for library in _THREADED}
    return {**kept, **threads, "PYTHONPATH": os.pathsep.join(path), "GLIBC_TUNABLES": _ONE_HEAP}
