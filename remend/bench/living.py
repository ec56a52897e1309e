"""A service as users start it, in a process of its own, for benchmarks to ask, to crowd and to kill."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from core.clock import SystemClock
from core.errors import RobotFault
from remend.service import accounts
from remend.service.accounts import Role
from remend.store import Store

T = TypeVar("T")
PATIENCE_S = 600.0  # for anything that a service should come to
NAME = "anna"
PASSWORD = "a password of a benchmark"  # noqa: S105 of nobody
_LINE = re.compile(r"serves \d+ robots? at (http://\S+)")
_SAID = 800  # characters of a log that are shown of it


def let_in(home: Path) -> tuple[str, str]:
    """Make an admin in a home that no service has; a token for programs and a session for pages."""
    with Store.open(home) as store, store.journal("benchmark") as journal:
        admin = accounts.add_user(journal, NAME, Role.ADMIN, PASSWORD)

        def issue(kind: str, scopes: tuple[str, ...]) -> str:
            return accounts.issue(
                journal,
                admin,
                kind=kind,
                role=Role.ADMIN,
                label="benchmark",
                hours=24.0 * 30,
                clock=SystemClock(),
                scopes=scopes,
            )

        return issue("token", (accounts.HIGH_RISK,)), issue("session", ())


class LivingService:
    """One `remend serve`. Use as a context manager; at the end nothing of it is left.

    Args:
        arguments: of `remend serve`, besides the port.

    Raises:
        RobotFault: it ended instead of serving.
    """

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 closed by `end`
        self._process = subprocess.Popen(  # noqa: S603 ourselves
            [sys.executable, "-m", "remend", "serve", "--port", "0", *arguments],
            env={**os.environ, "REMEND_HOME": str(home), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self.url = self.wait_for(self._address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Of the process that answers."""
        return self._process.pid

    @property
    def said(self) -> str:
        """Everything that it has printed."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def _address(self) -> str:
        found = _LINE.search(self.said)
        return found[1] if found else ""

    def wait_for(self, look: Callable[[], T], every_s: float = 0.2) -> T:
        """What `look` finds, as soon as it finds something.

        Raises:
            RobotFault: the service ended, or nothing came of it.
        """
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            if found := look():
                return found
            if self._process.poll() is not None:
                raise RobotFault(f"the service ended by itself: {self.said[-_SAID:]}")
            time.sleep(every_s)
        raise RobotFault(f"nothing came of it within {PATIENCE_S:g} s: {self.said[-_SAID:]}")

    def caretakers(self) -> list[int]:
        """The process ids of its caretakers that live."""
        return [pid for pid in children(self.pid) if b"--multiprocessing-fork" in _command(pid)]

    def kill(self) -> None:
        """As the kernel does it: at once, without a word."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """As an operator does it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=60.0)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()


def children(pid: int) -> list[int]:
    """The processes that `pid` has started; none if it is gone."""
    try:
        return [int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in _started(task)]
    except OSError:
        return []


def family(pid: int) -> Iterator[int]:
    """A process and everything that was started from it."""
    yield pid
    for child in children(pid):
        yield from family(child)


def _started(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
