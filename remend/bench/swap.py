"""What a swap costs the control loop: the same loop with and without swaps, beside a bare loop that does nothing.

Each swap is a whole one: signed, verified, compiled, kept on disk, shadow, canary in stages, commit. The loop runs free
at 500 Hz, fed by a process that stands for the robot's bus. Sessions of the three kinds take turns, idle and with one
busy process per processor. Isolated misses are the machine's; what counts is what the loop's own work has caused, and
how the sessions compare.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from controllers import realtime
from controllers.artefact import Artefact
from controllers.controller import prepare
from controllers.library import find_law
from controllers.lines import FrameCode
from controllers.loop import ForgetTiming
from controllers.processes import Processes
from controllers.requests import BeginCanary, BeginShadow
from controllers.runtime import Runtime, Stage
from controllers.slot import Slot
from controllers.timing import LoopTiming, Stopwatch
from core.robot import Robot
from core.stats import count_interval
from remend.bench.figure import Figure
from remend.bench.swapping import anew, measurement, patch_of, quick_canary, setup_of, status_of, versions, wide_limits
from sim.catalogue import find_robot

STEP_SHARE = 0.01  # of a joint's limit
_ROBOT = "iiwa"
_FEED_PRIORITY = 70  # below the loop, above everything else
_PATIENCE_S = 60.0
_LONGEST_S = 30.0  # of a session
_SWAP_S = 0.25  # about what a whole swap of this bench takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What one session came to."""

    timing: LoopTiming
    swaps: int
    inconclusive: int  # swaps that a late machine ended


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark."""
    rounds, swaps = (1, 20) if quick else (10, 50)
    yield _command_step()
    for stressed in (False, True):
        bare, threaded, without, with_swaps = [], [], [], []
        busy = _busy_processes(os.cpu_count() or 1) if stressed else []
        try:
            for _ in range(rounds):
                session = _in_process("swap", swaps, 0.0)
                with_swaps.append(session)
                seconds = session.timing.ticks * find_robot(_ROBOT).dt_s
                without.append(_in_process("plain", 0, seconds))
                bare.append(_in_process("bare", 0, seconds))
                threaded.append(_in_process("thread", 0, seconds))
        finally:
            for pid in busy:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        yield from _figures("busy" if stressed else "idle", bare, threaded, without, with_swaps)


def _figures(
    load: str,
    bare: Sequence[Session],
    threaded: Sequence[Session],
    without: Sequence[Session],
    with_swaps: Sequence[Session],
) -> Iterator[Figure]:
    done = sum(session.swaps for session in with_swaps)
    own = sum(session.timing.late_by_law for session in with_swaps)
    granted = "real-time priority" if with_swaps[0].timing.fifo else "no real-time priority"
    held = sum(session.inconclusive for session in with_swaps)
    yield Figure(
        bench="swap",
        figure=f"{load}: deadlines missed by law or swap, over {done} swaps",
        value=float(own),
        unit="1",
        interval=count_interval(own),
        n=done,
        target=0.0,
        sense="<=",
        peer="the same loop without swaps",
        peer_value=float(sum(session.timing.late_by_law for session in without)),
        note=f"{granted}; {held} swaps were inconclusive because the machine was late",
    )
    kinds = {
        "with swaps": with_swaps,
        "without swaps": without,
        "bare loop": bare,
        "bare loop, laws prepared in a thread of it": threaded,
    }
    for what, sessions in kinds.items():
        missed, ticks = sum(s.timing.missed for s in sessions), sum(s.timing.ticks for s in sessions)
        low, high = count_interval(missed)
        wake, longest = max(s.timing.wake_max_us for s in sessions), max(s.timing.tick_max_us for s in sessions)
        yield Figure(
            bench="swap",
            figure=f"{load}, {what}: deadlines missed of 1000",
            value=1e3 * missed / ticks,
            unit="1",
            interval=(1e3 * low / ticks, 1e3 * high / ticks),
            n=ticks,
            note=f"latest start {wake / 1000:.1f} ms, longest tick {longest / 1000:.1f} ms",
        )


# -- the command at a swap --------------------------------------------------------------------------------------------


def _command_step() -> Figure:
    """The largest change of a joint's command from one tick to the next during a swap, as a share of its limit."""
    robot = find_robot(_ROBOT)
    first, second = versions(robot)
    runtime = Runtime(robot, Slot(robot, first), Slot(robot, find_law(robot, robot.safety_controller)))
    commands: list[list[float]] = []
    tau = [0.0] * robot.dof
    for seq in range(20_000):
        frame, reference = measurement(robot, seq, round(seq * robot.dt_s * 1e9), tau)
        if seq == 1000:
            runtime.begin_shadow(Slot(robot, second), wide_limits(robot))
        if seq == 1100:
            runtime.begin_canary()
        tau = runtime.tick(frame, reference, frame.stamp_ns).tau
        commands.append(tau)
        if runtime.stage is Stage.READY:
            runtime.commit(armed_revert=False)
            break
    assert runtime.a.sha256 == second.sha256
    steps = np.abs(np.diff(np.array(commands[500:]), axis=0)) / np.array(robot.limits.effort)
    hard = np.abs(np.array(commands[-1]) - np.array(commands[999])) / np.array(robot.limits.effort)
    return Figure(
        bench="swap",
        figure=f"{_ROBOT}: largest step of a command in a swap, share of the limit",
        value=float(steps.max()),
        unit="1",
        interval=None,
        n=len(steps),
        target=STEP_SHARE,
        sense="<=",
        peer="the same swap at once",
        peer_value=float(hard.max()),
    )


# -- sessions ---------------------------------------------------------------------------------------------------------


def _in_process(kind: str, swaps: int, seconds: float) -> Session:
    """One session, from a fresh interpreter: what this one has loaded would be in the loop's memory too."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_session, args=(there, kind, swaps, seconds))
    process.start()
    there.close()
    session: Session = here.recv()
    process.join()
    return session


def _session(line: Connection, kind: str, swaps: int, seconds: float) -> None:
    robot = quick_canary(find_robot(_ROBOT))
    with tempfile.TemporaryDirectory(prefix="remend-bench-") as folder:
        if kind == "bare":
            line.send(_bare(robot, seconds))
        elif kind == "thread":
            line.send(_threaded(robot, seconds))
        else:
            line.send(_hosted(robot, Path(folder), swaps, seconds))


def _bare(robot: Robot, seconds: float) -> Session:
    """A loop that only wakes up: what the machine misses by itself."""
    period_ns = round(robot.dt_s * 1e9)
    watch = Stopwatch(period_ns)
    watch.fifo = realtime.enter().fifo
    due_ns = time.monotonic_ns() + period_ns
    for _ in range(round(seconds / robot.dt_s)):
        realtime.sleep_until(due_ns)
        began_ns = time.monotonic_ns()
        watch.count(due_ns, began_ns, time.monotonic_ns(), 0)
        due_ns += period_ns
    return Session(timing=watch.read(), swaps=0, inconclusive=0)


def _threaded(robot: Robot, seconds: float) -> Session:
    """A bare loop in whose process a thread prepares laws, as often as swaps come: what the helper is there for."""
    law, _ = versions(robot)
    running = True

    def prepare_again_and_again() -> None:
        number = 0
        while running:
            number += 1
            prepare(anew(law, number), robot.ports)
            time.sleep(_SWAP_S)

    thread = threading.Thread(target=prepare_again_and_again)
    thread.start()
    try:
        return _bare(robot, seconds)
    finally:
        running = False
        thread.join()


def _hosted(robot: Robot, folder: Path, swaps: int, seconds: float) -> Session:
    """Loop, helper and bus; as many swaps as asked for, or none for some seconds."""
    first, second = versions(robot)
    processes = Processes(setup_of(robot, folder))
    bus = os.fork()
    if bus == 0:
        _feed(robot, processes)
    try:
        processes.pace(free_running=True)
        time.sleep(0.5)  # start-up is no steady state
        processes.ask(ForgetTiming())
        inconclusive = 0
        if swaps:
            until = time.monotonic() + _LONGEST_S
            for done in range(1, swaps + 1):
                inconclusive += _swap(robot, processes, done, (second, first)[done % 2 == 0])
                if time.monotonic() > until:  # a helper at low priority may get little of a busy machine
                    break
        else:
            done = 0
            time.sleep(seconds)
        timing = status_of(processes).timing
        assert timing is not None
        return Session(timing=timing, swaps=done, inconclusive=inconclusive)
    finally:
        os.kill(bus, signal.SIGKILL)
        os.waitpid(bus, 0)
        processes.close()


def _feed(robot: Robot, processes: Processes) -> None:
    """The robot's bus: a measurement in the middle of every period."""
    try:
        realtime.enter(_FEED_PRIORITY)
        code, cell, period_ns = FrameCode(robot.ports), processes.lines.frames, round(robot.dt_s * 1e9)
        due_ns, seq = time.monotonic_ns(), 0
        while True:
            cell.write(code.pack(*measurement(robot, seq, time.monotonic_ns(), [0.0] * robot.dof)))
            if seq == 0:
                processes.lines.loop_bell.ring()
            seq, due_ns = seq + 1, due_ns + period_ns
            realtime.sleep_until(due_ns)
    finally:
        os._exit(1)


def _swap(robot: Robot, processes: Processes, version: int, artefact: Artefact) -> bool:
    """One whole swap, tried again where the machine was late; True if it had to be."""
    limits = wide_limits(robot)
    artefact = anew(artefact, version)
    processes.begin_staging(patch_of(robot, artefact, status_of(processes).active_sha, version))
    while not processes.end_staging():
        processes.wait(timeout_s=_PATIENCE_S)
    processes.ask(BeginShadow(limits=limits))
    time.sleep(robot.canary.shadow_s)
    processes.ask(BeginCanary())
    until = time.monotonic() + _PATIENCE_S
    while (status := status_of(processes)).stage is not Stage.COMMITTED:
        if time.monotonic() > until:
            raise RuntimeError(f"a swap of the bench does not end: {status}")
        time.sleep(0.02)
    if status.rollback_reason is not None and not status.inconclusive:
        raise RuntimeError(f"a swap of the bench was rolled back: {status.rollback_reason}")
    return status.rollback_reason is not None


def _busy_processes(count: int) -> list[int]:
    """Processes that do nothing but run."""
    found = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            realtime.end_with_parent()
            while True:
                pass
        found.append(pid)
    return found
