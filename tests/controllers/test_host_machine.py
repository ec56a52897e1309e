"""Every order of what a robot can be asked, with restarts in between: nothing that has not passed ever stays."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from controllers.latch import sign_rearm
from controllers.pointer import CommitFolder
from controllers.requests import BeginCanary, BeginShadow, Hold, Kill, Resume, RollBack
from controllers.runtime import Stage
from core.errors import Refused
from tests.controllers import candidates
from tests.controllers.test_host import BASELINE, LIMITS, NOW_NS, OPERATOR, Robot, patch

A_SWAP = 60  # ticks; more than a quick swap takes


class HostMachine(RuleBasedStateMachine):
    """A host on a disk of its own; the world stands still and the reference moves."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = tempfile.TemporaryDirectory()
        self.folder = Path(self.disk.name)
        self.robot = Robot(self.folder)
        self.version = 0
        self.artefacts = {BASELINE.sha256: BASELINE}
        self.good = {BASELINE.sha256}
        self.held = self.killed = False

    def teardown(self) -> None:
        self.robot.host.close()
        self.disk.cleanup()

    @initialize()
    def start(self) -> None:
        self.robot.tick(1)

    @property
    def running(self) -> str:
        return self.robot.host.runtime.a.sha256

    @rule(wrong=st.sampled_from(sorted(candidates.WRONG)), start=st.one_of(st.just(10**9), st.integers(0, 60)))
    def begin_shadow(self, wrong: str, start: int) -> None:
        self.version += 1
        law = candidates.hold(f"candidate{self.version}", kp=301.0 + self.version % 9, wrong=wrong, start=start)
        signed = patch(law, base=self.artefacts[self.running], version=self.version)
        busy = self.held or self.killed or self.robot.host.runtime.b is not None
        try:
            self.robot.host.stage(signed.to_json(), law.files, NOW_NS)
            self.robot.host.obey(BeginShadow(limits=LIMITS))
        except Refused:
            assert busy
        else:
            assert not busy
            self.artefacts[law.sha256] = law
            if start == 10**9:
                self.good.add(law.sha256)

    @rule()
    def begin_canary(self) -> None:
        self.robot.host.obey(BeginCanary())

    @rule(count=st.sampled_from([1, 5, A_SWAP]))
    def tick(self, count: int) -> None:
        for command in self.robot.tick(count):
            assert command.source != "safety", "the committed controller is right in every tick"

    @rule()
    def roll_back(self) -> None:
        self.robot.host.obey(RollBack(reason="asked to"))
        self.robot.tick(1)

    @rule()
    def hold(self) -> None:
        self.robot.host.obey(Hold(reason="a visitor"))
        self.robot.tick(1)
        self.held = True

    @rule()
    def resume(self) -> None:
        self.robot.host.obey(Resume())
        self.held = False

    @rule()
    def kill(self) -> None:
        self.robot.host.obey(Kill(reason="smoke"))
        self.robot.tick(1)
        self.killed = True

    @precondition(lambda self: self.killed)
    @rule(honest=st.booleans())
    def rearm(self, honest: bool) -> None:
        mark = CommitFolder(self.folder).read().killed
        assert mark is not None
        self.robot.host.rearm(sign_rearm("arm", mark if honest else "0" * 32, OPERATOR))
        self.restart()
        self.killed = not honest
        assert (self.robot.host.status(None).killed is None) is honest

    @rule()
    def restart(self) -> None:
        committed = self.running
        self.robot.host.close()
        self.robot = Robot(self.folder)
        assert self.robot.host.runtime.stage is Stage.COMMITTED
        assert self.running == committed
        self.robot.tick(1)

    @invariant()
    def what_runs_has_passed_and_boots(self) -> None:
        assert self.running in self.good
        assert (CommitFolder(self.folder).read().committed or BASELINE.sha256) == self.running
        assert not self.killed or self.running == BASELINE.sha256

    @invariant()
    def a_candidate_is_there_only_in_a_swap_of_a_robot_that_goes(self) -> None:
        runtime = self.robot.host.runtime
        assert (runtime.b is None) == (runtime.stage is Stage.COMMITTED)
        assert runtime.b is None or not (self.held or self.killed)
        assert runtime.stage in (Stage.CANARY, Stage.READY) or runtime.share == 0.0

    @invariant()
    def what_holds_it_is_said_and_refuses_patches(self) -> None:
        status = self.robot.host.status(None)
        assert (status.held is not None, status.killed is not None) == (self.held, self.killed)
        busy = self.held or self.killed or self.robot.host.runtime.b is not None
        assert (self.robot.host.loop_state().busy is not None) == busy


def test_any_order_of_requests_and_restarts_runs_only_what_has_passed() -> None:
    run_state_machine_as_test(HostMachine, settings=settings(max_examples=30, stateful_step_count=25, deadline=None))
