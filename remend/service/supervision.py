"""Caretakers are started, listened to, and started anew when they end; none of them takes the service along."""

from __future__ import annotations

import multiprocessing
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from core.clock import Clock
from remend.agency.policy import AgencyPolicy
from remend.service.board import Board
from remend.service.care import CareSetup, care_main
from remend.service.pulse import Doing, Said
from remend.service.robots import RobotEntry

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_GOOD_S = 60.0  # who worked this long starts with the first wait again
_GRACE_S = 10.0  # to finish what is under way when the service ends


class Care:
    """One robot that is looked after: its caretaker's process, and the board that shows what it says."""

    def __init__(
        self,
        home: Path,
        entry: RobotEntry,
        clock: Clock,
        config: Path | None = None,
        agency: AgencyPolicy | None = None,
    ) -> None:
        self.entry = entry
        self.board = Board(clock)
        self.starts = 0
        self._clock = clock
        self._setup = CareSetup(home=home, entry=entry, config=config, agency=agency or AgencyPolicy())
        self._stop = threading.Event()
        self._channel: Connection | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep_going, name=f"care of {entry.robot_id}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the caretaker; what it was in the middle of is taken up after the next start."""
        self._stop.set()
        with self._lock:
            if self._channel is not None:
                self._channel.close()
                self._channel = None

    def join(self) -> None:
        """Wait until the process is gone."""
        self._thread.join()

    def _keep_going(self) -> None:
        wait_s = _FIRST_WAIT_S
        while not self._stop.is_set():
            began_ns = self._clock.monotonic_ns()
            code = self._one_life()
            if self._stop.is_set():
                return
            worked_s = (self._clock.monotonic_ns() - began_ns) * 1e-9
            wait_s = _FIRST_WAIT_S if worked_s > _GOOD_S else min(2.0 * wait_s, _LONGEST_WAIT_S)
            self.board.take(Said(text=f"the caretaker ended (code {code}); it starts anew in {wait_s:.0f} s"))
            self.board.take(Doing(what="waiting to start anew"))
            self._stop.wait(wait_s)

    def _one_life(self) -> int | None:
        """Start a process and listen to it until it ends; its exit code."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=care_main, args=(self._setup, theirs))
        self.board.take(Doing(what="starting"))
        process.start()
        theirs.close()
        self.starts += 1
        with self._lock:
            self._channel = ours
            if self._stop.is_set():
                ours.close()
        try:
            while True:
                self.board.take(ours.recv())
        except (EOFError, OSError, TypeError):  # closed by either side; a connection that is closed while it waits
            pass
        process.join(_GRACE_S)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        return code
