"""A ROS 2 graph of its own for each test: a domain that nobody else has, and nodes as processes."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0  # for something to happen on a busy machine


class Domain:
    """A domain id that no other test on this machine uses, until `release`."""

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir()) / "remend-ros-domains"
        folder.mkdir(exist_ok=True)
        first = secrets.randbelow(101)
        for self.id in ((first + k) % 101 + 1 for k in range(101)):
            self._file: TextIO = (folder / str(self.id)).open("w")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._file.close()
                continue
            return
        raise AssertionError("all domains are taken")

    def release(self) -> None:
        self._file.close()


class Graph:
    """Processes on one domain."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.domain = Domain()
        self.environ = {
            "ROS_DOMAIN_ID": str(self.domain.id),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(folder / "ros-log"),
            "REMEND_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
            "RCUTILS_COLORIZED_OUTPUT": "0",
        }
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """`python COMMAND`, with its output in a file."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                env={**os.environ, **self.environ},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._started.append((name, process))
        return process

    def remend(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        return self.start(name, "-m", "remend", "ros", *arguments)

    def sim(self, robot: str, *arguments: str) -> subprocess.Popen[bytes]:
        return self.remend("sim", "sim", "--robot", robot, "--rate", "0", "--lockstep", *arguments)

    def host(self, robot: str, *arguments: str) -> subprocess.Popen[bytes]:
        return self.remend("host", "host", "--robot", robot, "--sim-time", "--simulated", *arguments)

    def said(self, name: str) -> str:
        file = self.folder / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def stop(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        """End one process, and wait for it."""
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
        try:
            return process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise

    def close(self) -> None:
        for _, process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with its children
            process.wait()
        self.domain.release()


def wait_for(met: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """What `met` returns once it is true."""
    deadline = time.monotonic() + patience_s
    while not (found := met()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


@contextmanager
def listening(*wanted: tuple[Any, str, Callable[[Any], None], Any]) -> Iterator[Node]:
    """A node in this process that hears (type, topic, callback, quality) in a thread of its own."""
    context = Context()
    rclpy.init(context=context, args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node("listener", context=context)
    for kind, topic, callback, quality in wanted:
        node.create_subscription(kind, topic, callback, quality)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()
        rclpy.try_shutdown(context=context)
