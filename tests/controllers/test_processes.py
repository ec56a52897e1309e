"""Bridge, loop and helper: the commands of one process, whatever is killed, and nothing uncommitted afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from controllers.host_status import HostStatus
from controllers.pointer import CommitFolder
from controllers.processes import INTERRUPTED, Processes, Setup
from controllers.requests import AskStatus, BeginCanary, BeginShadow, Hold, KeepHead, Kill, Resume, RollBack, StagePatch
from controllers.runtime import Stage
from core.errors import BadInput, Refused, SignatureInvalid
from tests.controllers import candidates
from tests.controllers.test_host import (
    BASELINE,
    BETTER,
    GOOD,
    HOUR_NS,
    LIMITS,
    NOW_NS,
    ROBOT,
    SAFETY,
    SERVICE,
    TRUST,
    Robot,
    patch,
)
from tests.controllers.test_witness import head

PATIENCE_S = 60.0


class Split:
    """A still world driven by loop and helper of their own; this process is the bridge."""

    def __init__(self, folder: Path) -> None:
        self.world = candidates.StillWorld(ROBOT)
        self.processes = Processes(
            Setup(
                robot=ROBOT,
                robot_id="arm",
                baseline=BASELINE,
                safety=SAFETY,
                trust=TRUST,
                folder=folder,
                simulated=False,
            )
        )

    def tick(self, count: int = 1) -> list[list[float]]:
        commands = []
        for _ in range(count):
            self.processes.send_frame(self.world.frame(), self.world.reference())
            while (reply := self.processes.take_reply()) is None:
                assert self.processes.wait(timeout_s=PATIENCE_S)
            self.world.seq += 1
            self.world.tau_cmd = reply.tau
            commands.append(reply.tau)
        return commands

    def stage(self, signed: bytes, files: dict[str, bytes]) -> None:
        self.processes.begin_staging(StagePatch(signed=signed, files=files, now_ns=NOW_NS))
        self.end_staging()

    def end_staging(self) -> None:
        while not self.processes.end_staging():
            assert self.processes.wait(timeout_s=PATIENCE_S)

    def status(self) -> HostStatus:
        answer = self.processes.ask(AskStatus())
        assert isinstance(answer, HostStatus)
        return answer

    def until(self, met: Callable[[HostStatus], bool]) -> HostStatus:
        deadline = time.monotonic() + PATIENCE_S
        while not met(status := self.status()):
            assert time.monotonic() < deadline, status
            self.tick()
        return status


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Split]]:
    with ExitStack() as stack:

        def begin() -> Split:
            stack.close()
            split = Split(tmp_path)
            stack.callback(split.processes.close)
            return split

        yield begin


def test_commands_through_a_whole_swap_are_those_of_one_process_to_the_bit(
    start: Callable[[], Split], tmp_path: Path
) -> None:
    split, one = start(), Robot(tmp_path / "one")
    signed = patch(GOOD).to_json()
    assert split.tick(20) == [c.tau for c in one.tick(20)]
    split.stage(signed, dict(GOOD.files))
    one.host.stage(signed, GOOD.files, NOW_NS)
    assert split.tick(3) == [c.tau for c in one.tick(3)]
    split.processes.ask(BeginShadow(limits=LIMITS))
    one.host.begin_shadow(LIMITS)
    assert split.tick(5) == [c.tau for c in one.tick(5)]
    split.processes.ask(BeginCanary())
    one.host.runtime.begin_canary()
    assert split.tick(150) == [c.tau for c in one.tick(150)]
    left, right = split.status(), one.host.status(None)
    assert left.active_sha == right.active_sha == GOOD.sha256
    assert left.stages_run == right.stages_run
    assert left.commands == right.commands
    one.host.close()
    pointer = CommitFolder(tmp_path).read()
    assert (pointer.committed, pointer.previous, pointer.version) == (GOOD.sha256, BASELINE.sha256, 1)
    again = start()
    again.tick()
    assert again.status().active_sha == GOOD.sha256


@pytest.mark.parametrize(
    ("signed", "files", "kind", "sentence"),
    [
        (patch(GOOD, robot_id="leg"), GOOD.files, SignatureInvalid, "for robot leg"),
        (patch(GOOD, base=BETTER), GOOD.files, SignatureInvalid, "builds on"),
        (patch(GOOD, expires_ns=NOW_NS - HOUR_NS), GOOD.files, SignatureInvalid, "expired"),
        (patch(GOOD, approver="demo"), GOOD.files, SignatureInvalid, "nobody's name"),
        (patch(GOOD), BETTER.files, SignatureInvalid, "is not the file"),
    ],
)
def test_the_helper_refuses_what_a_host_refuses(
    start: Callable[[], Split], signed: object, files: dict[str, bytes], kind: type[Exception], sentence: str
) -> None:
    split = start()
    split.tick(2)
    with pytest.raises(kind, match=sentence):
        split.stage(signed.to_json(), files)  # type: ignore[attr-defined]
    with pytest.raises(Refused, match="no staged patch"):
        split.processes.ask(BeginShadow(limits=LIMITS))
    split.stage(patch(GOOD).to_json(), dict(GOOD.files))  # the right one is still welcome


def test_the_helper_keeps_a_head_of_the_audit_log_and_takes_none_that_goes_back(start: Callable[[], Split]) -> None:
    split = start()
    split.tick(2)
    newer, older = head(8, key=SERVICE), head(7, key=SERVICE)
    split.processes.ask(KeepHead(head=newer))
    split.until(lambda status: status.audit_head == newer.decode())
    with pytest.raises(SignatureInvalid, match="one of row 8 is kept"):
        split.processes.ask(KeepHead(head=older))
    assert split.status().audit_head == newer.decode()
    split.processes.ask(KeepHead(head=head(9, key=SERVICE)))
    split.until(lambda status: status.audit_head == head(9, key=SERVICE).decode())
    again = start()
    again.tick()
    assert again.status().audit_head == head(9, key=SERVICE).decode()


def test_a_law_outside_the_language_and_a_patch_in_mid_swap_are_refused(start: Callable[[], Split]) -> None:
    split = start()
    split.tick(2)
    wild = candidates.hold("wild")
    files = {**wild.files, "law.py": b"import os\n"}
    signed = patch(candidates.artefact_from_files("wild", files))
    with pytest.raises(BadInput, match=r"law\.py"):
        split.stage(signed.to_json(), files)
    split.stage(patch(GOOD).to_json(), dict(GOOD.files))
    split.processes.ask(BeginShadow(limits=LIMITS))
    with pytest.raises(Refused, match="middle of a swap"):
        split.stage(patch(BETTER, version=2).to_json(), dict(BETTER.files))
    split.processes.ask(RollBack(reason="enough"))
    split.stage(patch(BETTER, version=2).to_json(), dict(BETTER.files))


@pytest.mark.parametrize("moment", range(6))
def test_a_loop_killed_at_any_moment_starts_again_on_what_is_committed(
    start: Callable[[], Split], tmp_path: Path, moment: int
) -> None:
    split = start()
    ticks = int(np.random.default_rng([7, moment]).integers(1, 60))
    split.tick(3)
    if moment > 0:
        split.stage(patch(GOOD).to_json(), dict(GOOD.files))
    if moment > 1:
        split.processes.ask(BeginShadow(limits=LIMITS))
        split.tick(5)
    if moment > 2:
        split.processes.ask(BeginCanary())
        split.tick(ticks)
    before = split.status()
    os.kill(split.processes.loop_pid, signal.SIGKILL)
    split.tick(3)
    after = split.status()
    committed = CommitFolder(tmp_path).read().committed
    assert after.active_sha == (BASELINE.sha256 if committed is None else committed)
    assert before.stage is Stage.COMMITTED or after.active_sha == BASELINE.sha256
    assert after.stage is Stage.COMMITTED
    assert after.rollback_reason == INTERRUPTED
    assert after.commands == {"a": 3}, "the measurements after a restart are fresh"
    assert after.ticks == 3


def test_a_helper_killed_over_a_patch_is_replaced_and_the_loop_goes_on(start: Callable[[], Split]) -> None:
    split = start()
    split.tick(3)
    os.kill(split.processes.helper_pid, signal.SIGSTOP)
    split.processes.begin_staging(StagePatch(signed=patch(GOOD).to_json(), files=dict(GOOD.files), now_ns=NOW_NS))
    split.tick(20)
    os.kill(split.processes.helper_pid, signal.SIGKILL)
    with pytest.raises(Refused, match="helper ended"):
        split.end_staging()
    split.stage(patch(GOOD).to_json(), dict(GOOD.files))
    assert split.status().commands == {"a": 23}


def test_a_commit_that_the_helper_did_not_live_to_write_is_written_by_the_next(
    start: Callable[[], Split], tmp_path: Path
) -> None:
    split = start()
    split.processes.pace(free_running=False)
    split.stage(patch(GOOD).to_json(), dict(GOOD.files))
    split.processes.ask(BeginShadow(limits=LIMITS))
    os.kill(split.processes.helper_pid, signal.SIGSTOP)
    split.processes.ask(BeginCanary())
    split.until(lambda status: status.stage is Stage.READY)
    split.tick(10)
    assert split.status().stage is Stage.READY, "nothing is committed before it is on disk"
    os.kill(split.processes.helper_pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while split.status().stage is not Stage.COMMITTED:
        assert time.monotonic() < deadline
        split.processes.look_after_helper()
        split.tick()
    assert split.status().active_sha == CommitFolder(tmp_path).read().committed == GOOD.sha256


def test_a_paced_loop_swaps_and_counts_its_deadlines(start: Callable[[], Split]) -> None:
    split = start()
    split.processes.pace(free_running=False)
    split.stage(patch(GOOD).to_json(), dict(GOOD.files))
    split.processes.ask(BeginShadow(limits=LIMITS))
    split.processes.ask(BeginCanary())
    status = split.until(lambda status: status.stage is Stage.COMMITTED)
    assert status.active_sha == GOOD.sha256
    timing = status.timing
    assert timing is not None
    assert sum(timing.wake_us) == sum(timing.tick_us) == timing.ticks > 20
    assert status.missed_deadlines == timing.missed == timing.late_by_law + timing.late_by_machine


def test_a_free_running_loop_does_not_wait_for_the_bridge(start: Callable[[], Split]) -> None:
    split = start()
    split.processes.pace(free_running=True)
    frame = split.world.frame()._replace(stamp_ns=time.monotonic_ns())
    split.processes.send_frame(frame, split.world.reference())
    deadline = time.monotonic() + PATIENCE_S
    while split.status().commands.get("safety", 0) < 5:  # the bridge stalls: what it brought last goes stale
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert split.status().breaches["stale measurement"] >= 5


@pytest.mark.parametrize("paced", [False, True])
@pytest.mark.parametrize("how", ["call", "signal", "file"])
def test_a_kill_reaches_the_loop_on_every_way(
    start: Callable[[], Split], tmp_path: Path, how: str, paced: bool
) -> None:
    split = start()
    split.tick(3)
    if paced:
        split.processes.pace(free_running=False)
    split.stage(patch(GOOD).to_json(), dict(GOOD.files))
    split.processes.ask(BeginShadow(limits=LIMITS))
    split.processes.ask(BeginCanary())
    split.tick(8)
    if how == "call":
        split.processes.ask(Kill(reason="by call"))
    elif how == "signal":
        os.kill(split.processes.loop_pid, signal.SIGUSR1)
    else:
        (tmp_path / "KILL").touch()
    status = split.until(lambda status: status.killed is not None)
    split.tick()
    assert split.status().active_sha == BASELINE.sha256
    assert split.status().stage is Stage.COMMITTED
    assert status.rollback_reason is None or status.rollback_reason.startswith("killed")
    deadline = time.monotonic() + PATIENCE_S
    while CommitFolder(tmp_path).read().killed is None:
        assert time.monotonic() < deadline
        split.tick()


def test_a_hold_is_the_same_to_the_bit_and_outlives_the_loop(start: Callable[[], Split], tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    one = Robot(tmp_path / "one")
    split = start()
    expected = [one.tick(4)]
    one.host.hold("a visitor")
    expected.append(one.tick(20))
    one.host.close()
    found = split.tick(4)
    split.processes.ask(Hold(reason="a visitor"))
    found += split.tick(20)
    assert found == [list(command.tau) for part in expected for command in part]
    split.until(lambda _: (tmp_path / "HOLD").exists())
    os.kill(split.processes.loop_pid, signal.SIGKILL)
    split.tick(3)
    assert split.status().held == "a visitor"
    split.processes.ask(Resume())
    split.until(lambda status: status.held is None and not (tmp_path / "HOLD").exists())


@pytest.mark.parametrize("seed", range(3))
def test_loop_and_helper_end_with_their_bridge_and_nothing_uncommitted_stays(tmp_path: Path, seed: int) -> None:
    reading, writing = os.pipe()
    bridge = os.fork()
    if bridge == 0:
        try:
            split = Split(tmp_path)
            split.stage(patch(GOOD).to_json(), dict(GOOD.files))
            split.processes.ask(BeginShadow(limits=LIMITS))
            split.processes.ask(BeginCanary())
            split.tick(int(np.random.default_rng([8, seed]).integers(1, 20)))
            os.write(writing, f"{split.processes.loop_pid} {split.processes.helper_pid}".encode())
            time.sleep(PATIENCE_S)
        finally:
            os._exit(1)
    os.close(writing)  # so that a bridge that failed is no riddle
    children = [int(pid) for pid in os.read(reading, 100).split()]
    ends = [os.pidfd_open(pid) for pid in children]
    os.kill(bridge, signal.SIGKILL)
    os.waitpid(bridge, 0)
    deadline = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{pid}").exists() and "Z" not in _state(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for descriptor in (*ends, reading):
        os.close(descriptor)
    again = Robot(tmp_path)
    assert again.running == BASELINE.sha256
    again.host.close()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
