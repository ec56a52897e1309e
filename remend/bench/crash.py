"""What is left when a process of a robot is killed: loop, helper and bridge, each at random moments of whole swaps.

A moment is a part of the swap, from the idle robot to the end of its canary, and a tick in it. Afterwards the robot has
to run what its disk calls committed, which is the controller before or the patch whose commit was just being written,
with no trial under way; a swap that the end of its loop cut short has to be called interrupted.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from controllers.host_status import HostStatus
from controllers.pointer import CommitFolder
from controllers.processes import INTERRUPTED, Processes
from controllers.requests import BeginCanary, BeginShadow
from controllers.runtime import Stage
from core.errors import Refused, RobotFault
from core.robot import Robot
from remend.bench.figure import Figure
from remend.bench.swapping import measurement, patch_of, quick_canary, setup_of, status_of, versions, wide_limits
from sim.catalogue import find_robot

VICTIMS = ("loop", "helper", "bridge")
_ROBOT = "iiwa"
_KILLS, _QUICK = 200, 10
_PARTS = {"idle": 3, "staging": 15, "shadow": 10, "canary": 60}  # of a swap: ticks from which one is drawn
_AFTER, _MOST_AFTER = 5, 400  # ticks until all has to be well again, at once and with a commit that is written anew
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How it was when a process was killed, and what was left."""

    victim: str
    moment: tuple[str, int]  # part of the swap, and tick in it
    before: str  # stage
    well: bool
    why: str = ""


class Ride:
    """A robot that stands nearly still, with loop and helper of its own; this process is the bridge."""

    def __init__(self, robot: Robot, folder: Path) -> None:
        self.robot, self.folder, self.seq = robot, folder, 0
        self.processes = Processes(setup_of(robot, folder))
        self.processes.pace(free_running=False)  # a loop in real time waits for no disk
        self._tau = [0.0] * robot.dof

    def tick(self) -> None:
        """One measurement and its answer.

        Raises:
            RobotFault: no answer came.
        """
        stamp_ns = round(self.seq * self.robot.dt_s * 1e9)
        self.processes.send_frame(*measurement(self.robot, self.seq, stamp_ns, self._tau))
        while (reply := self.processes.take_reply()) is None:
            if not self.processes.wait(timeout_s=_PATIENCE_S):
                raise RobotFault("the loop gave no command")
        self.seq, self._tau = self.seq + 1, reply.tau

    def steps(self) -> Iterator[str]:
        """A whole swap, a step at a time; after each it says where it is."""
        for _ in range(3):
            self.tick()
            yield "idle"
        law = versions(self.robot)[1]
        self.processes.begin_staging(patch_of(self.robot, law, self.status().active_sha, 1))
        while not self.processes.end_staging():
            self.processes.wait(timeout_s=0.002)
            self.tick()
            yield "staging"
        self.processes.ask(BeginShadow(limits=wide_limits(self.robot)))
        for _ in range(10):
            self.tick()
            yield "shadow"
        self.processes.ask(BeginCanary())
        while True:
            self.tick()
            yield "canary"

    def ride_to(self, part: str, ticks: int) -> None:
        """Go on until so many ticks in a part of the swap are done, or it has ended."""
        done = 0
        for now in self.steps():
            done += now == part
            if done == ticks or (done and now != part):
                return

    def status(self) -> HostStatus:
        """What the loop says."""
        return status_of(self.processes)

    @property
    def committed(self) -> str:
        """What a start would run."""
        return CommitFolder(self.folder).read().committed or versions(self.robot)[0].sha256


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark."""
    for victim in VICTIMS:
        yield figure(victim, _in_process(victim, _QUICK if quick else _KILLS))


def figure(victim: str, ends: list[End]) -> Figure:
    """How many kills of one process left the robot well."""
    failed = [end for end in ends if not end.well]
    parts = ", ".join(f"{part} {sum(end.moment[0] == part for end in ends)}" for part in _PARTS)
    note = f"kills by part of the swap: {parts}" + "".join(f"; {end.moment}: {end.why}" for end in failed[:3])
    what = f"{_ROBOT}: kills of the {victim} that ended on what was committed"
    return Figure.share("crash", what, len(ends) - len(failed), len(ends), target=1.0, note=note)


def _in_process(victim: str, kills: int) -> list[End]:
    """From a fresh interpreter: loop and helper are forked, and would inherit what this process has loaded."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_session, args=(there, victim, kills))
    process.start()
    there.close()
    ends: list[End] = here.recv()
    process.join()
    return ends


def _session(line: Connection, victim: str, kills: int) -> None:
    line.send(list(kill(victim, kills)))


def kill(victim: str, kills: int) -> Iterator[End]:
    """Kill one process again and again, each time of a fresh robot."""
    robot = quick_canary(find_robot(_ROBOT))
    rng = np.random.default_rng([VICTIMS.index(victim), 9])
    for _ in range(kills):
        part = str(rng.choice(list(_PARTS)))
        moment = part, int(rng.integers(1, _PARTS[part] + 1))
        with tempfile.TemporaryDirectory(prefix="remend-bench-") as folder:
            try:
                if victim == "bridge":
                    yield _kill_bridge(robot, Path(folder), moment)
                else:
                    yield _kill_child(robot, Path(folder), moment, victim)
            except (Refused, RobotFault) as error:
                yield End(victim=victim, moment=moment, before="unknown", well=False, why=str(error))


def _kill_child(robot: Robot, folder: Path, moment: tuple[str, int], victim: str) -> End:
    ride = Ride(robot, folder)
    try:
        ride.ride_to(*moment)
        before = ride.status()
        pid = ride.processes.loop_pid if victim == "loop" else ride.processes.helper_pid
        os.kill(pid, signal.SIGKILL)
        if victim == "loop":
            for _ in range(_AFTER):
                ride.tick()
        else:
            _settle(ride)
        after = ride.status()
        why = _wrong(ride, before, after)
        if (
            not why
            and victim == "loop"
            and before.stage is not Stage.COMMITTED
            and after.rollback_reason != INTERRUPTED
        ):
            why = f"the swap is not called interrupted but {after.rollback_reason!r}"
        return End(victim=victim, moment=moment, before=before.stage.value, well=not why, why=why)
    finally:
        ride.processes.close()


def _settle(ride: Ride) -> None:
    """Go on as a bridge does until no trial is under way: the next helper writes what the last one did not."""
    for _ in range(_MOST_AFTER):
        if ride.processes.staging:
            with contextlib.suppress(Refused):  # its helper ended over it
                ride.processes.end_staging()
        ride.processes.look_after_helper()
        ride.tick()
        if ride.status().stage is Stage.COMMITTED and not ride.processes.staging:
            return
        if ride.status().stage is Stage.SHADOW:
            ride.processes.ask(BeginCanary())


def _kill_bridge(robot: Robot, folder: Path, moment: tuple[str, int]) -> End:
    reading, writing = os.pipe()
    bridge = os.fork()
    if bridge == 0:
        try:
            ride = Ride(robot, folder)
            ride.ride_to(*moment)
            stage = ride.status().stage.value
            os.write(writing, f"{stage} {ride.processes.loop_pid} {ride.processes.helper_pid}".encode())
            time.sleep(_PATIENCE_S)
        finally:
            os._exit(1)
    os.close(writing)
    said = os.read(reading, 200).decode().split()
    os.close(reading)
    os.kill(bridge, signal.SIGKILL)
    os.waitpid(bridge, 0)
    if len(said) != 3:
        return End(victim="bridge", moment=moment, before="unknown", well=False, why="the bridge failed by itself")
    until = time.monotonic() + _PATIENCE_S
    while any(_lives(int(pid)) for pid in said[1:]):
        if time.monotonic() > until:
            return End(victim="bridge", moment=moment, before=said[0], well=False, why="its loop or helper goes on")
        time.sleep(0.005)
    again = Ride(robot, folder)
    try:
        for _ in range(_AFTER):
            again.tick()
        why = _wrong(again, None, again.status())
        return End(victim="bridge", moment=moment, before=said[0], well=not why, why=why)
    finally:
        again.processes.close()


def _wrong(ride: Ride, before: HostStatus | None, after: HostStatus) -> str:
    """What is not as it has to be; empty if all is."""
    law, patch = (each.sha256 for each in versions(ride.robot))
    if after.stage is not Stage.COMMITTED:
        return f"a candidate is left in {after.stage.value}"
    if after.active_sha != ride.committed:
        return f"it runs {after.active_sha[:8]}, and {ride.committed[:8]} is committed"
    if after.active_sha not in (law, patch):
        return "it runs what nobody approved"
    if before is not None and before.active_sha == patch != after.active_sha:
        return "a committed patch was lost"
    if after.commands.get("safety") and not after.law_late:  # a law that a busy machine made late is no kill's doing
        return f"the safety law had to take over: {dict(after.breaches)}"
    return ""


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
